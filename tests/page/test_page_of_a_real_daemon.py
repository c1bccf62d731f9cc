"""The status page as the daemon itself serves it: what peers do to their connections is seen in the
browser, in numbers, in the list and in the picture of one session."""

import contextlib
import signal

import pytest

from browser import Keys
from lib.daemon import Finback, Relay
from lib.peers import SLOW_READER, Backend, refusing_backend
from mock_daemon import POLICY
from test_page_is_locked_down import headers_and_text
from test_page_shows_one_session import of_sides, words
from test_page_shows_the_numbers import cells, shares, tile

KEPT_CONNECTIONS = 6  # a browser keeps so many to one host


@pytest.fixture
def relay():
    with with_page(Relay(workers=2)) as relay:
        yield relay


@contextlib.contextmanager
def with_page(finback):
    """The daemon with its page on; `url` is where."""
    if isinstance(finback, Relay):
        finback.write_config({**finback.config, "control": {"http": "127.0.0.1:0"}})
    with finback:
        finback.url = f"http://{finback.wait_line(r'finback: control: http on (.*)')[1]}/"
        finback.baseline += KEPT_CONNECTIONS
        yield finback


def wait_row(browser, number, state):
    browser.wait(lambda: state in browser.text(f"tr.row[data-id='{number}']"),
                 f"session {number} {state}")


def half_closed(relay):
    """A session whose client has said all it will."""
    client, server = relay.pair()
    client.send_and_half_close(b"question")
    assert server.read_to_eof() == b"question"
    return client, server


def test_comes_whole_and_under_its_policy(browser, relay):
    headers, text = headers_and_text(relay.url)
    nonce = text.split('nonce="', 1)[1].split('"', 1)[0]
    assert headers["Content-Security-Policy"] == POLICY.format(nonce)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    browser.open(relay.url)
    browser.wait_text("#state", "running")
    assert browser.text("#pid") == str(relay.process.pid)
    browser.wait_text("#list-nothing", "No session is running.")
    assert cells(browser, "#server-rows", relay.backend.address)[1] == "ready, up"


def test_sessions_come_and_go(browser, relay):
    browser.open(relay.url)
    browser.wait_text("#state", "running")
    pairs = [relay.pair() for _ in range(3)]
    asking = half_closed(relay)
    browser.wait(lambda: tile(browser, "Live sessions")[0] == "4", "four sessions")
    browser.wait(lambda: tile(browser, "Half-closed") == ("1", "client 1, server 0"), "one of them")
    browser.wait_text("#list-count", "4 sessions")
    browser.type("#search", "half_closed_client")
    browser.wait(lambda: browser.texts("#list-rows td:nth-child(2)") == ["half-closed by client"],
                 "the half-closed one alone")
    browser.one("#search").clear()
    browser.type("#search", f"{pairs[0][0].name[1]}", Keys.ENTER)  # the client's port
    browser.wait(lambda: len(browser.all("tr.row")) == 1, "one client")

    asking[1].send_and_half_close(b"answer")
    assert asking[0].read_to_eof() == b"answer"
    pairs[0][1].reset()
    pairs[1][0].reset()
    wanted = {"complete": "1", "server_reset": "1", "client_reset": "1"}
    browser.wait(lambda: {name: n for name, n, _ in shares(browser, "ending-shares")} == wanted,
                 f"{wanted}")
    browser.wait(lambda: tile(browser, "Live sessions")[0] == "1", "one left")
    assert tile(browser, "Not complete")[0] == "2"
    browser.one("#search").clear()
    browser.click(".switch label:nth-child(2)")
    browser.wait(lambda: sorted(text.strip() for text in browser.texts("#list-rows td:nth-child(2)"))
                 == sorted(wanted), "the last ended")


def test_one_session_from_question_to_ending(browser, relay):
    client, server = half_closed(relay)
    browser.open(relay.url)
    browser.wait(lambda: browser.texts("#list-rows a"), "the row")
    number = browser.text("#list-rows a")
    browser.click("#list-rows a")
    sentence = browser.wait_text("#sentence", "the client finished sending")
    assert "half_closed" in sentence
    browser.wait(lambda: words(browser) == ["finished", "FIN sent", "open"], "the picture")
    assert of_sides(browser, "TCP state") == ("CLOSE_WAIT", "FIN_WAIT2")
    assert of_sides(browser, "Bytes from it") == ("8", "0")
    assert "Next deadline: half_closed in" in browser.text("#deadline")
    server.send(b"answer")
    assert client.receive(6) == b"answer"
    browser.wait(lambda: of_sides(browser, "Bytes from it")[1] == "6", "the answer")
    server.half_close()
    assert client.read_to_eof() == b""
    browser.wait_text("#verdict", "Ended: complete")
    assert browser.text("#announcer") == f"Session {number} has ended: complete"


def test_bytes_that_nobody_takes_are_seen_in_the_picture(browser):
    with with_page(Relay(receive_buffer=SLOW_READER)) as relay:
        client, _ = relay.pair()
        client.fill(bytes(8 << 20))
        browser.open(relay.url)
        browser.wait(lambda: browser.texts("#list-rows a"), "the row")
        browser.click("#list-rows a")
        browser.wait(lambda: "unread" in browser.texts("#picture .pile"), "a pile of bytes")
        assert any(text.endswith("KiB held") for text in browser.texts("#picture .pile"))
        assert "unsent" in browser.texts("#picture .pile")


def test_refused_connects_are_counted(browser):
    with with_page(Relay(backend=refusing_backend())) as relay:
        for _ in range(3):
            relay.connect().expect_reset()
        browser.open(relay.url)
        browser.wait(lambda: shares(browser, "ending-shares")[:1]
                     == [["connect_refused", "3", "100 %"]], "the endings")
        row = cells(browser, "#server-rows", relay.backend.address)
        assert row[6:] == ["0", "3", "0", "0", "0"]


def test_unix_and_ipv6_are_shown(browser):
    for family in ("unix", "ipv6"):
        with with_page(Relay(client_family=family, server_family=family)) as relay:
            relay.pair()
            browser.open(relay.url)
            browser.wait(lambda: browser.texts("#list-rows a"), "the row")
            browser.click("#list-rows a")
            browser.wait(lambda: words(browser) == ["open", "open"], "the picture")
            states = {"unix": ("–", "–"), "ipv6": ("ESTABLISHED", "ESTABLISHED")}
            assert of_sides(browser, "TCP state") == states[family]
            browser.open("about:blank")


def test_drain_is_loud_and_the_end_is_said(browser):
    with Backend() as backend:
        config = {"control": {"http": "127.0.0.1:0"}, "listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": backend.address},)}
        with with_page(Finback(config)) as finback:
            client = finback.connect()
            server = backend.accept()
            browser.open(finback.url)
            browser.wait_text("#state", "running")
            finback.signal(signal.SIGTERM)
            browser.wait_text("#notices", "Draining: no new session is accepted")
            client.half_close()
            assert server.read_to_eof() == b""
            server.half_close()
            finback.wait_exit()
            browser.wait_text("#notices", "finback does not answer")


def test_many_sessions(browser):
    with with_page(Relay(workers=2)) as relay:
        for _ in range(150):
            relay.pair()
        browser.open(relay.url)
        browser.wait_text("#list-count", "150 sessions")
        ids = [int(text) for text in browser.texts("#list-rows a")]
        assert ids == sorted(ids)
        assert browser.one("#list").get_attribute("aria-rowcount") == "151"
