import pytest

from benchmarks import readme


@pytest.mark.parametrize("page", readme.pages(), ids=lambda p: str(p.relative_to(readme.ROOT)))
def test_pages_show_the_committed_tables(page):
    assert page.read_text(encoding="utf-8") == readme.updated(page)
