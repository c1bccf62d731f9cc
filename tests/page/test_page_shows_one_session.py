"""One session on the status page: in words, as a picture, with its next deadline counting down,
under an address of its own; and its ending when it is over."""

import pytest

from browser import Keys
from mock_daemon import Refusal, ended, probe, session, side, tcp

HALF_CLOSED = session(
    42, state="half_closed_client", worker=3, age_s=301.5, idle_s=41.0, half_closed_s=42.0,
    first_closer="client", connects=2, ending_in={"deadline": "half_closed", "in_s": 259.0},
    explanation="the client finished sending 42 s ago; finback waits for the server",
    client=side("192.0.2.7:5000", flow="finished", bytes=1234567, idle_s=42.0, ended_s=42.0,
                tcp=tcp(state="CLOSE_WAIT", unacked_bytes=1400)),
    server=side("10.0.0.5:9000", bytes=4096, idle_s=41.0, held_bytes=65536,
                tcp=tcp(state="FIN_WAIT2", rtt_us=1800, unread_bytes=20000, retransmits=2,
                        total_retransmits=9)))


@pytest.fixture
def one(mock):
    with mock.changing():
        mock.sessions = [session(41), HALF_CLOSED, session(43)]
    return mock


def fact(browser, name):
    return browser.script("""
        const term = [...document.querySelectorAll('#detail-facts dt')]
            .find((one) => one.textContent === arguments[0]);
        return term && term.nextElementSibling.textContent;""", name)


def of_sides(browser, name):
    """(client, server) in the table of both sides."""
    return tuple(browser.script("""
        const row = [...document.querySelectorAll('#side-rows tr')]
            .find((one) => one.children[0].textContent === arguments[0]);
        return [...row.children].slice(1).map((one) => one.textContent);""", name))


def words(browser):
    """The words by the arrows of the picture, from client first."""
    return [word for word in browser.texts("#picture .word") if word]


def open_one(browser, mock, number=42):
    browser.open(f"{mock.url}#session={number}")
    browser.wait_text("#detail-title", f"Session {number}")


def test_opens_by_click_and_has_an_address(browser, one):
    browser.open(one.url)
    browser.wait(lambda: len(browser.all("#list-rows tr.row")) == 3, "the rows")
    browser.click("tr.row[data-id='42'] td:nth-child(4)")
    browser.wait_text("#sentence", "the client finished sending 42 s ago")
    assert browser.driver.current_url.endswith("/#session=42")
    assert "shown" in browser.one("tr.row[data-id='42']").get_attribute("class")
    browser.click("tr.row[data-id='43'] a")
    browser.wait_text("#detail-title", "Session 43")
    browser.driver.back()
    browser.wait_text("#detail-title", "Session 42")
    browser.driver.back()
    browser.wait_shown("#detail", False)


def test_opens_by_link(browser, one):
    open_one(browser, one)
    browser.wait_text("#sentence", "the client finished sending 42 s ago")
    assert browser.text("#detail-state") == "half-closed by client"
    assert fact(browser, "Worker") == "3"
    assert fact(browser, "Half-closed") == "42 s"
    assert fact(browser, "Closed first") == "client"
    assert fact(browser, "Connects") == "2"
    assert of_sides(browser, "TCP state") == ("CLOSE_WAIT", "FIN_WAIT2")
    assert of_sides(browser, "Bytes from it") == ("1,234,567", "4,096")
    assert of_sides(browser, "Ended") == ("42 s ago", "–")
    assert of_sides(browser, "Round trip") == ("120 µs", "1.8 ms")
    assert of_sides(browser, "Retransmits")[1] == "2 now, 9 in all"
    assert of_sides(browser, "Taken for dead") == ("after 2 min 0 s", "after 2 min 0 s")


@pytest.mark.parametrize("changes, words", (
    ({}, "mqtt, watching, 1,200 sent, 1,199 replies, next in 10 s"),
    ({"mode": "awaiting", "replies": 1, "awaiting_s": 3.2, "next_in_s": None},
     "mqtt, awaiting, 1,200 sent, 1 reply, no answer for 3.2 s"),
    ({"protocol": "redis", "mode": "off", "replies": 0, "next_in_s": None},
     "redis, off, 1,200 sent"),
))
def test_shows_the_application_probe(browser, mock, changes, words):
    with mock.changing():
        mock.sessions = [session(42, server=side("10.0.0.5:9000", probe=probe(**changes)))]
    open_one(browser, mock)
    browser.wait(lambda: of_sides(browser, "Application probe") == ("–", words), words)


def test_keyboard_opens_and_closes(browser, one):
    browser.open(one.url)
    browser.wait(lambda: len(browser.all("#list-rows tr.row")) == 3, "the rows")
    browser.script("document.querySelector('#list-rows a[tabindex=\"0\"]').focus()")
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.focused() == "Session 42", "the heading has the focus")
    browser.wait_text("#sentence", "finback waits")
    browser.press(Keys.TAB)
    browser.wait(lambda: browser.focused() == "Close", "the way out")
    browser.press(Keys.ESCAPE)
    browser.wait_shown("#detail", False)
    assert "#session" not in browser.driver.current_url
    assert browser.focused() == "Session 42"  # the row where it began
    browser.press(Keys.ENTER)
    browser.wait_shown("#detail")
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_shown("#detail", False)


def test_picture_shows_where_bytes_lie(browser, one):
    open_one(browser, one)
    browser.wait(lambda: browser.all("#picture svg"), "the picture")
    text = browser.texts("#picture text")
    # On the lower arrow, which comes from the server: right of finback, and left of it.
    assert browser.script("""
        const place = (word) => { const one = [...document.querySelectorAll('#picture .pile')]
            .find((text) => text.textContent === word); return [one.getAttribute('x'), one.getAttribute('y') > 160]; };
        return [place('unread'), place('unacked')];""") == [["430", True], ["210", True]]
    assert words(browser) == ["finished", "FIN sent", "open"]
    assert "64.0 KiB held" in text and "0 B held" in text
    assert text[text.index("19.5 KiB") + 1] == "unread"     # not yet read from the server
    assert text[text.index("1.37 KiB") + 1] == "unacked"    # by the client
    assert "2 retransmits" in text
    assert "from client: 1.18 MiB, ended 42 s ago" in text
    assert "CLOSE_WAIT" in text and "FIN_WAIT2" in text
    label = browser.one("#picture svg").get_attribute("aria-label")
    assert "From the client: finished, 1.18 MiB" in label
    assert "64.0 KiB held in finback" in label


@pytest.mark.parametrize("flow, expected", (
    ("open", ["open", "open"]), ("draining", ["ended", "draining", "open"]),
    ("finished", ["finished", "FIN sent", "open"]), ("broken", ["broken", "open"]),
))
def test_every_state_of_a_flow_has_its_word(browser, one, flow, expected):
    with one.changing():
        one.sessions[0]["client"]["flow"] = flow
    open_one(browser, one, 41)
    browser.wait(lambda: words(browser) == expected, f"{expected}")
    kind = {"open": "open", "draining": "draining", "finished": "finished", "broken": "broken"}[flow]
    assert browser.all(f"#picture .way.{kind}")


def test_picture_while_connecting_and_on_unix_sockets(browser, one):
    with one.changing():
        one.sessions[0].update(state="connecting", server_name=None, client=side("unix", tcp=None),
                               server=side(None, tcp=None, local_address=None, idle_s=None))
    open_one(browser, one, 41)
    browser.wait(lambda: words(browser) == ["waiting", "waiting"], "waiting")
    assert "not connected" in browser.texts("#picture text")
    assert "UNIX socket" in browser.texts("#picture text")
    assert browser.all("#picture .box.absent")
    assert of_sides(browser, "TCP state") == ("–", "–")


def test_refreshes_and_counts_down(browser, one):
    open_one(browser, one)
    browser.wait_text("#deadline", "4 min 19 s")
    assert "Next deadline: half_closed in" in browser.text("#deadline")
    with one.changing():
        one.sessions[1]["ending_in"]["in_s"] = 6.2
        one.sessions[1]["server"]["bytes"] = 5000
    browser.wait_text("#deadline", "7 s")
    assert of_sides(browser, "Bytes from it")[1] == "5,000"
    assert "soon" in browser.one("#deadline").get_attribute("class")
    assert "unless something moves before" in browser.text("#deadline")
    with one.changing():
        one.sessions[1]["ending_in"] = {"deadline": "session", "in_s": 30.0}
    browser.wait_text("#deadline", "Next deadline: session in 30 s")
    assert "unless" not in browser.text("#deadline")
    with one.changing():
        one.sessions[1]["ending_in"] = None
    browser.wait_text("#deadline", "No deadline is running")
    asked = one.asked("/api/v1/sessions/42")
    browser.sleep(3.2)
    assert 2 <= one.asked("/api/v1/sessions/42") - asked <= 4


def test_ends_while_it_is_shown(browser, one):
    open_one(browser, one)
    browser.wait_text("#sentence", "finback waits")
    with one.changing():
        one.end(42, "server_reset", detail="Connection reset by peer", first_closer="client")
    browser.wait_text("#verdict", "Ended: server_reset")
    assert "the server sent a reset" in browser.text("#verdict")
    assert "bad" in browser.one("#verdict").get_attribute("class")
    assert fact(browser, "Detail") == "Connection reset by peer"
    assert fact(browser, "Lived") == "12 s"
    assert browser.text("#announcer") == "Session 42 has ended: server_reset"
    assert "past" in browser.one("#picture svg").get_attribute("class")
    assert not browser.is_shown("#deadline")
    asked = one.asked("/api/v1/sessions/42")
    browser.sleep(2.5)
    assert one.asked("/api/v1/sessions/42") == asked


def test_ended_before(browser, one):
    with one.changing():
        one.ended = [ended(6), ended(7, "undelivered", server={"address": None, "bytes": 0},
                                     server_name=None, half_closed_s=None)]
    open_one(browser, one, 7)
    browser.wait_text("#verdict", "Ended: undelivered")
    assert fact(browser, "Half-closed") == "–"
    assert not browser.all("#picture svg")
    open_one(browser, one, 6)
    browser.wait_text("#verdict", "Ended: complete")
    assert "bad" not in browser.one("#verdict").get_attribute("class")


def test_never_was(browser, one):
    open_one(browser, one, 4711)
    browser.wait_text("#verdict", "There is no session 4711")
    browser.open(f"{one.url}#session=x'%22%3E")
    browser.wait_text("#state", "running")
    assert not browser.is_shown("#detail")


def test_an_error_is_said(browser, one):
    open_one(browser, one)
    browser.wait_text("#sentence", "finback waits")
    with one.changing():
        one.refusals["/api/v1/sessions/42"] = Refusal(503, "worker 3 does not answer within 5 s")
    browser.wait_text("#detail-problem", "503: worker 3 does not answer")
    assert "finback waits" in browser.text("#sentence")
    with one.changing():
        one.refusals.clear()
    browser.wait_shown("#detail-problem", False)
