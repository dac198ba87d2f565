"""A report to look at: one self-contained HTML page about one registration."""

from tfreg.report.page import html, write

__all__ = ["html", "write"]
