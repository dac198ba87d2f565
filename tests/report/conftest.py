"""A registration to report on, and a browser to look at the report."""

import os

import devtools
import pytest
from handmade import build


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if devtools.find() is None:
        pytest.skip(f"no browser: none of {', '.join(devtools.NAMES)} is installed")
    running = devtools.Browser(tmp_path_factory.mktemp("chromium"))
    try:
        running.send("Browser.getVersion")
    except (OSError, RuntimeError, TimeoutError) as error:
        running.close()
        if os.environ.get("TFREG_LONG_TESTS"):
            raise
        pytest.skip(f"the browser does not start: {error}")
    yield running
    running.close()


@pytest.fixture(scope="session")
def answers():
    return {ndim: build(ndim) for ndim in (2, 3)}
