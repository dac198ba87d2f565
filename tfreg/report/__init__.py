"""A report to look at: one self-contained HTML page about one registration, or one fusion."""

from tfreg.report.fusion import fusion_html
from tfreg.report.page import html, write

__all__ = ["fusion_html", "html", "write"]
