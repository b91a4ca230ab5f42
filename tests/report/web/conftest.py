from collections.abc import Iterator

import pytest
from browser_pages import Watched, watch
from playwright.sync_api import Browser


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page of the server, of which nothing may be wrong in the end."""
    watched = watch(browser, 1360, 900)
    yield watched
    assert watched.complaints == []
    assert watched.hosts() == {"127.0.0.1"}
    watched.page.context.close()
