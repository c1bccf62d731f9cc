"""What the tests of the page share: one browser a process, and a daemon for each test."""

import pytest

from browser import Browser, missing
from mock_daemon import MockDaemon


@pytest.fixture(scope="session")
def one_browser():
    if missing:
        pytest.skip(missing)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser):
    """A window as new. At the end nothing may stand on its console."""
    one_browser.fresh()
    yield one_browser
    assert one_browser.complaints() == []


@pytest.fixture
def mock():
    with MockDaemon() as daemon:
        yield daemon
