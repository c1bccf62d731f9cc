"""The status page when the daemon is away, answers wrongly or comes back, when nobody looks at the
page, and when it stays open for hours."""

import time

from mock_daemon import Refusal, session

# Time goes by SPEED times as fast for the page, so that its five minutes pass in seconds.
SPEED = 60
FAST = f"""
    const later = window.setTimeout, start = Date.now(), now = Date.now;
    const since = performance.now.bind(performance);
    window.setTimeout = (call, ms, ...rest) => later(call, ms / {SPEED}, ...rest);
    Date.now = () => start + {SPEED} * (now() - start);
    performance.now = () => {SPEED} * since();
"""


def test_away_and_back(browser, mock):
    with mock.changing():
        mock.sessions = [session(1)]
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    browser.wait_text("#list-count", "1 session")
    mock.stop()
    text = browser.wait_text("#notices", "finback does not answer")
    assert "The last answer came at " in text and "ago; what you see is from then" in text
    assert browser.text("#state") == "no answer"
    assert browser.text("#announcer") == "finback does not answer"
    assert browser.driver.title.startswith("no answer")
    assert "1 session" in browser.text("#list-count")
    mock.start()
    browser.wait_text("#state", "running")
    assert browser.texts("#notices li") == []
    assert browser.text("#announcer") == "finback answers again"
    with mock.changing():
        mock.sessions.append(session(2))
    browser.wait_text("#list-count", "2 sessions")


def test_backs_off_and_can_be_told_to_try(browser, mock):
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    mock.stop()
    browser.wait_text("#notices", "Next try in 4 s")
    mock.start()
    started = time.monotonic()
    browser.click("#notices button")
    browser.wait_text("#state", "running", within=3)
    assert time.monotonic() - started < 3


def test_away_from_the_start(browser, mock):
    with mock.changing():
        mock.refusals["/api/v1/status"] = Refusal(503, "worker 2 does not answer within 5 s")
    browser.open(mock.url)
    text = browser.wait_text("#notices", "503: worker 2 does not answer within 5 s")
    assert "There was no answer yet." in text
    with mock.changing():
        mock.refusals.clear()
    browser.wait_text("#state", "running")


def test_what_answers_is_something_else(browser, mock):
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    with mock.changing():
        mock.raw["/api/v1/status"] = "<html>"
    browser.wait_text("#notices", "what answers here is not finback")
    with mock.changing():
        mock.raw.clear()
    browser.wait_text("#state", "running")


def test_asks_nothing_while_nobody_looks(browser, mock):
    with mock.changing():
        mock.sessions = [session(1)]
    browser.open(f"{mock.url}#session=1")
    browser.wait_text("#sentence", "both directions")
    page = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.sleep(1)
    asked = mock.asked("/api/")
    browser.sleep(4)
    assert mock.asked("/api/") == asked
    browser.driver.close()
    browser.driver.switch_to.window(page)
    browser.wait(lambda: mock.asked("/api/") > asked + 3, "it asks again")


def test_asks_for_no_list_that_is_not_on_the_screen(browser, mock):
    browser.screen(400, 500)
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    browser.sleep(2.5)
    assert mock.asked("/api/v1/sessions?") == 0
    browser.script("document.querySelector('#sessions').scrollIntoView()")
    browser.wait(lambda: mock.asked("/api/v1/sessions?") > 0, "the list")


def measure(browser):
    """(elements, bytes of the script's heap), with the garbage gone."""
    browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    counters = browser.driver.execute_cdp_cmd("Memory.getDOMCounters", {})
    heap = browser.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})
    return counters["nodes"], heap["usedSize"]


def churn(mock, number):
    """A second of the daemon's life: a session comes, an old one goes."""
    with mock.changing():
        mock.sessions.append(session(number))
        if len(mock.sessions) > 50:
            mock.end(mock.sessions[0]["id"], ("complete", "client_reset", "killed")[number % 3])
            del mock.ended[200:]
        mock.listeners[0]["bytes"]["from_client"] += 1000 * (number % 7)


def live_on(mock, number, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        churn(mock, number)
        time.sleep(0.02)
    return number


def test_keeps_five_minutes_and_no_more(browser, mock):
    """After a quarter of an hour of its time it is as large as after the first five minutes."""
    mock.speed = SPEED
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument",
                                            {"source": FAST})
    try:
        browser.open(mock.url)
        number = live_on(mock, 0, 7)
        first = measure(browser)
        live_on(mock, number, 10)
        second = measure(browser)
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert mock.asked("/api/v1/status") > 150  # a browser on a busy machine skips some
    points = browser.script("return document.querySelector('.plot:nth-of-type(2) .edge')"
                            ".getAttribute('d').split('L').length")
    assert 30 < points <= 620, points
    assert second[0] < 1.1 * first[0] + 100, (first, second)
    assert second[1] < 1.2 * first[1] + 500000, (first, second)
