"""The page of a registration to X-rays: the images, before and after, and edges over each other."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from tfreg import __version__
from tfreg.report.png import data_uri, png
from tfreg.report.sheets import window

_GREYS = 240  # of a palette whose last colour is that of edges
_EDGE = (255, 80, 40)
_STRONG = 0.95  # share of the pixels of an image's gradient below an edge
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:75rem;color:#222;background:#fff}
figure{display:inline-block;margin:0 1rem 1rem 0}
img{width:22rem;max-width:100%;image-rendering:pixelated;background:#000}
figcaption{color:#555}table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0}
"""


def html(answer: Any, found: Mapping[str, Any]) -> str:
    """One page, with all that it shows inside: it requests nothing.

    Args:
        answer: a ``tfreg.registration.ProjectionRegistration`` of one pose.
        found: ``"pose"`` and ``"initial"`` by parameter, ``"similarity_before"``,
            ``"similarity_after"``, ``"renderings"``, ``"seconds"``.
    """
    views = []
    for number, xray in enumerate(answer.xrays):
        before, after = answer.before[number], answer.after[number]
        pictures = (
            ("X-ray", _grey(xray)),
            ("the volume at the initial pose", _grey(before)),
            ("the volume where it was found", _grey(after)),
            ("X-ray with edges of the volume, before", overlay(xray, before)),
            ("X-ray with edges of the volume, after", overlay(xray, after)),
        )
        title = f"<h2>Camera {number + 1}</h2>" if len(answer.xrays) > 1 else ""
        views.append(title + "".join(_figure(text, content) for text, content in pictures))
    rows = [
        (name, f"{found['initial'][name]:.3f}", f"{value:.3f}", _unit(name))
        for name, value in found["pose"].items()
    ]
    numbers = (
        ("similarity", f"{found['similarity_before']:.4f}", f"{found['similarity_after']:.4f}", ""),
        ("renderings", "", f"{found['renderings']}", ""),
        ("time", "", f"{found['seconds']:.2f}", "s"),
    )
    cells = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>"
        for row in (("", "initial", "found", ""), *rows, *numbers)
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Registration to X-rays</title><style>{_STYLE}</style></head><body>"
        f"<h1>Registration to X-rays</h1>{''.join(views)}<table>{cells}</table>"
        f"<p>tfreg {escape(__version__)}</p></body></html>"
    )


def files(answer: Any, found: Mapping[str, Any]) -> dict[str, bytes]:
    """What to write: ``report.html``, and ``overlay.png`` of each camera.

    Args:
        answer, found: as :func:`html`.

    Returns:
        Contents by name.
    """
    pairs = list(zip(answer.xrays, answer.after, strict=True))
    pictures = {
        f"overlay-{k}.png" if len(pairs) > 1 else "overlay.png": overlay(*pair)
        for k, pair in enumerate(pairs, 1)
    }
    return {"report.html": html(answer, found).encode(), **pictures}


def overlay(xray: np.ndarray, image: np.ndarray) -> bytes:
    """A PNG of an X-ray with the edges of an image over it.

    Args:
        xray, image: ``(rows, columns)``.

    Example:

    >>> import numpy as np
    >>> from tfreg.report.projection import overlay
    >>> overlay(np.eye(9), np.eye(9))[1:4]
    b'PNG'
    """
    down, across = np.gradient(np.asarray(image, "float64"))
    size = np.hypot(down, across)
    edges = (size >= np.quantile(size, _STRONG)) & (size > 0.05 * size.max())
    greys = np.linspace(0, 255, _GREYS).astype("uint8")
    palette = np.concatenate([np.repeat(greys[:, None], 3, axis=1), [_EDGE]]).astype("uint8")
    indices = (_scaled(xray) * (_GREYS - 1)).astype("uint8")
    return png(np.where(edges, np.uint8(_GREYS), indices), palette)


def _grey(image: np.ndarray) -> bytes:
    return png((255 * _scaled(image)).astype("uint8"))


def _scaled(image: np.ndarray) -> np.ndarray:
    low, high = window(image)
    return np.clip((np.asarray(image, "float64") - low) / (high - low), 0, 1)


def _figure(text: str, content: bytes) -> str:
    picture = f'<img src="{data_uri(content)}" alt="{escape(text)}">'
    return f"<figure>{picture}<figcaption>{escape(text)}</figcaption></figure>"


def _unit(name: str) -> str:
    return "mm" if name in ("t_x", "t_y", "t_z") else "°"
