"""Puts generated tables into the Markdown files that show them.

A page holds ``<!-- table: NAME -->`` and ``<!-- end -->``; what stands between them is replaced by
``benchmarks/results/NAME/table.md``.
"""

import re
from pathlib import Path

from benchmarks import scaling
from tfreg.errors import InputError

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """The Markdown files that show tables."""
    return [
        ROOT / "README.md",
        ROOT / "benchmarks/README.md",
        *sorted(ROOT.glob("zoo/*/README.md")),
    ]


def updated(page: Path) -> str:
    """The text of a page with its tables as they are in ``benchmarks/results``."""

    def table(match: re.Match) -> str:
        path = ROOT / "benchmarks" / "results" / match[2] / "table.md"
        if not path.is_file():
            raise InputError(f"{page} shows a table that is not there. Received: {match[2]}")
        return f"{match[1]}\n{path.read_text(encoding='utf-8')}\n{match[3]}"

    return _BLOCK.sub(table, page.read_text(encoding="utf-8"))


def update() -> None:
    """Rewrites every page."""
    for page in pages():
        page.write_text(updated(page), encoding="utf-8")
    if scaling.there(ROOT):
        path = ROOT / scaling.PAGE
        path.parent.mkdir(exist_ok=True)
        path.write_text(scaling.page(ROOT), encoding="utf-8")
