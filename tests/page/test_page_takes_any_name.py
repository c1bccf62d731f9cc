"""Names and texts that come from configurations and peers stay text on the status page, whatever
is in them, and break nothing however long they are."""

import pytest

from mock_daemon import ended, listener, server, session, side

HOSTILE = (
    "<img src=x onerror=\"window.pwned=1\">",
    "</script><script>window.pwned=1</script>",
    "\"><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "{{7*7}}${window.pwned=1}",
    "\u202egnp.exe",
    "__proto__", "constructor", "toString",
    "a" * 300,
    "ü 漢字 🐋 &amp; \t\\",
)


@pytest.fixture
def named(mock):
    """Every name of the configuration is hostile, and so is what peers say."""
    with mock.changing():
        mock.listeners = [listener(name, pool=name, listen=[name]) for name in HOSTILE]
        mock.pools = [{"name": name, "balance": name, "servers": [
            server(name, pool=name, address=name)]} for name in HOSTILE]
        mock.sessions = [
            session(number, listener=name, pool=name, server_name=name, explanation=name,
                    first_closer=name, client=side(name, local_address=name),
                    server=side(name, flow=name),
                    ending_in={"deadline": name, "in_s": 3.0})
            for number, name in enumerate(HOSTILE, 1)]
        mock.ended = [
            ended(number, "fault", listener=name, pool=name, server_name=name, detail=name,
                  first_closer=name, detector=name, client={"address": name, "bytes": 1})
            for number, name in enumerate(HOSTILE, 101)]
        mock.config["path"] = HOSTILE[0]
        mock.version = HOSTILE[1]
    return mock


def check(browser):
    assert browser.script("return window.pwned") is None
    assert browser.all("main img, aside img, main script, aside script") == []
    assert browser.overflow() <= 0


@pytest.mark.parametrize("width", (1440, 360))
def test_hostile_names_stay_text(browser, named, width):
    browser.screen(width, 900)
    browser.open(named.url)
    browser.wait_text("#state", "running")
    browser.wait(lambda: browser.texts("#listener-rows th") == list(HOSTILE), "all listeners")
    assert browser.texts("#server-rows th") == list(HOSTILE)
    assert browser.texts("#filter-listener option")[1:] == list(HOSTILE)
    assert browser.text("#version") == HOSTILE[1]
    browser.script("document.querySelector('#sessions').scrollIntoView()")
    browser.wait(lambda: len(browser.all("#list-rows tr.row")) >= 3, "the list")
    browser.type("#search", "onerror")
    browser.wait(lambda: browser.texts("#list-rows tr.row a") == ["1"], "the first name's session")
    check(browser)


@pytest.mark.parametrize("width", (1440, 360))
def test_hostile_words_in_a_session(browser, named, width):
    browser.screen(width, 900)
    browser.open(named.url)
    for number, name in enumerate(HOSTILE, 1):
        browser.script("location.hash = arguments[0]", f"session={number}")
        browser.wait(lambda: browser.text("#sentence") == name, name)
        assert name in browser.text("#detail-facts")
        check(browser)
        browser.script("location.hash = arguments[0]", f"session={number + 100}")
        browser.wait_text("#verdict", "Ended: fault")
        browser.wait(lambda: name in browser.text("#detail-facts"), name)
        check(browser)


def test_a_hostile_listener_is_asked_for_by_its_name(browser, named):
    browser.open(named.url)
    browser.wait_text("#list-count", f"{len(HOSTILE)} sessions")
    for index, name in enumerate(HOSTILE, 1):
        browser.script("const select = document.querySelector('#filter-listener');"
                       "select.selectedIndex = arguments[0];"
                       "select.dispatchEvent(new Event('change'))", index)
        browser.wait(lambda: browser.texts("#list-rows tr.row a") == [str(index)], name)
