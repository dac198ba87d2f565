"""What all pages consist of: the document, cards, and planes with images to compare."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from tfreg import __version__
from tfreg.report import tables
from tfreg.report.planes import Plane

# What a reader asks of a network first; the rest is folded away.
_FIRST = ("name", "summary", "licence", "provenance", "score", "preprocessing", "sha256")


def document(title: str, kind: str, body: str, data: Mapping[str, Any] | None = None) -> str:
    """A page that requests nothing.

    Args:
        title: heading of the page.
        kind: what it is about, such as "registration".
        body: HTML.
        data: what ``page.js`` draws: ``planes``, the ``names`` of the images to compare, and the
            ``maps`` that have a picture of their own, each with what it is called. ``None``: a
            page without a script.
    """
    scripts = ""
    if data is not None:
        # "</" would end the script that holds the data, whatever the JSON around it says.
        content = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
        scripts = _SCRIPTS.format(data=content, script=_part("page.js"))
    return _PAGE.format(
        allowed="; script-src 'unsafe-inline'" if scripts else "",
        title=escape(title),
        style=_part("page.css"),
        kind=escape(kind),
        version=escape(__version__),
        body=body,
        scripts=scripts,
    )


def card(heading: str, content: str, kind: str = "card") -> str:
    """A part of a page."""
    return (
        f'<section class="{kind}"><h2>{heading}</h2><div class="scroll">{content}</div></section>'
    )


def figures(pairs: Sequence[tuple[str, str]]) -> str:
    """The card of the few numbers that matter most."""
    items = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in pairs)
    return card("In short", f'<dl class="figures">{items}</dl>')


def warnings(found: Sequence[Any]) -> str:
    """The card of what should be looked at."""
    if not found:
        return card("Warnings", "<p>None: nothing that should be looked at was noticed.</p>")
    items = "".join(f"<li>{escape(str(text))}</li>" for text in dict.fromkeys(found))
    return card("Warnings", f"<ul>{items}</ul>", "card warnings")


def network(preset: Mapping[str, Any]) -> str:
    """The card of where a network comes from."""
    known = {key: value for key, value in preset.items() if key not in ("path", "format")}
    first = {key: known.pop(key) for key in _FIRST if key in known}
    rest = f"<details><summary>All that is known</summary>{_lines(known)}</details>"
    return card("Network", _lines(first) + (rest if known else ""))


def controls(choices: Mapping[str, str]) -> str:
    """The choice of what is compared, and how.

    Args:
        choices: the words of each pair of images, such as ``"fixed-after"``; the first is chosen.
    """
    options = "\n".join(
        f'<label><input type="radio" name="compare" value="{escape(pair)}"'
        f"{' checked' if number == 0 else ''}> {escape(words)}</label>"
        for number, (pair, words) in enumerate(choices.items())
    )
    return _CONTROLS.format(options=options)


def planes(shown: Sequence[Plane], pictures: Mapping[str, str]) -> str:
    """The planes, each with a canvas on which two images are compared.

    Args:
        shown: which.
        pictures: further canvases of each, with what they are called.
    """
    single = " single" if len(shown) == 1 else ""
    sections = "".join(_plane(plane, pictures) for plane in shown)
    return f'<div class="planes{single}">{sections}</div>'


def _plane(plane: Plane, pictures: Mapping[str, str]) -> str:
    width, height = plane.extent
    # Physical proportions; no higher than 30 rem, so that a tall slice fits a screen.
    tallest = 42 if plane.normal is None else 30
    frame = (
        f"aspect-ratio:{width:.6g}/{height:.6g};width:min(100%,{tallest * width / height:.6g}rem)"
    )
    letters = "".join(
        f'<span class="letter {place}" aria-hidden="true">{escape(letter)}</span>'
        for place, letter in zip(("left", "right", "top", "bottom"), plane.letters, strict=True)
    )
    slices = ""
    if len(plane.slices) > 1:
        slices = (
            '<div class="slices"><span aria-hidden="true">'
            f"<span>{plane.name.capitalize()} slice</span><output></output></span>"
            f'<input class="slice" type="range" min="0" max="{len(plane.slices) - 1}" step="1" '
            f'aria-label="{plane.name.capitalize()} slice"></div>'
        )
    canvases = "".join(
        f'<figure><div class="frame" style="{frame}"><canvas class="{name}" role="img" '
        f'aria-label="{caption}"></canvas></div><figcaption>{caption}</figcaption></figure>'
        for name, caption in pictures.items()
    )
    return (
        f'<section class="plane" aria-label="{plane.name}"><div><h3>{plane.name}</h3>'
        f'<div class="frame" style="{frame}">'
        '<canvas class="compare" role="img" aria-label="images to compare"></canvas>'
        f'{letters}<span class="chip left-name"></span><span class="chip right-name"></span>'
        '<input class="wipe" type="range" min="0" max="100" value="50" '
        f'aria-label="{plane.name}: border between the two images"></div>{slices}</div>'
        f'<div><div class="pair">{canvases}</div></div></section>'
    )


def _lines(content: Mapping[str, Any]) -> str:
    return tables.rows(tables.flattened(content))


def _part(name: str) -> str:
    return resources.files("tfreg.report").joinpath(name).read_text(encoding="utf-8")


_CONTROLS = """
<div class="controls">
<fieldset><legend>Compare</legend>
{options}
</fieldset>
<fieldset><legend>As</legend>
<label><input type="radio" name="view" value="slider" checked> slider</label>
<label><input type="radio" name="view" value="checkerboard"> checkerboard</label>
</fieldset>
</div>
<noscript><p>The pictures are drawn by JavaScript, which this browser does not run.</p></noscript>
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'{allowed}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1><p class="quiet">A {kind} by tfreg {version}</p></header>
<main>
{body}
</main>
{scripts}</body>
</html>
"""

_SCRIPTS = """<script id="data" type="application/json">{data}</script>
<script>
{script}</script>
"""
