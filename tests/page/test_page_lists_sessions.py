"""The status page's list: searched, narrowed and sorted, with thousands of rows as light as with
ten, by mouse and by keyboard."""

import pytest

from browser import Keys
from mock_daemon import Refusal, ended, listener, server, session, side


def rows(browser, column=None):
    """What the rows say, or one column of them by the title of its head."""
    return browser.script("""
        const heads = [...document.querySelectorAll('#list-head th')].map((one) =>
            one.querySelector('button').firstChild.textContent);
        const place = heads.indexOf(arguments[0]);
        return [...document.querySelectorAll('#list-rows tr.row')].map((row) => place < 0
            ? row.textContent : row.children[place].textContent);""", column)


def wait_rows(browser, column, expected):
    expected = [str(one) for one in expected]
    browser.wait(lambda: rows(browser, column) == expected, f"{column}: {expected}")


def head(title):
    number = {"Session": 1, "State": 2, "Listener": 3, "Client": 4, "Server": 5, "Age": 6, "Idle": 7,
              "From client": 8, "From server": 9, "Next deadline": 10}[title]
    return f"#list-head th:nth-child({number}) button"


@pytest.fixture
def few(mock):
    """Four sessions that differ in everything."""
    with mock.changing():
        mock.listeners = [listener(), listener("mail", pool="mail")]
        mock.sessions = [
            session(1, age_s=100.0, idle_s=5.0, ending_in={"deadline": "idle", "in_s": 50.0},
                    client=side("192.0.2.10:1111", bytes=3000), server_name="alpha"),
            session(2, state="half_closed_client", age_s=50.0, idle_s=40.0,
                    ending_in={"deadline": "half_closed", "in_s": 4.0},
                    client=side("[2001:db8::2]:2222", bytes=200), server_name="beta"),
            session(3, state="half_closed_server", listener="mail", pool="mail", age_s=20.0,
                    idle_s=0.5, ending_in=None, client=side("192.0.2.30:3333", bytes=1 << 20),
                    server_name="gamma"),
            session(10, state="connecting", age_s=0.01, idle_s=0.01, server_name=None,
                    ending_in={"deadline": "connect", "in_s": 5.0},
                    client=side("192.0.2.99:4444", bytes=0), server=side(None, tcp=None)),
        ]
    return mock


def test_what_is_running(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    assert rows(browser, "State") == ["open", "half-closed by client", "half-closed by server",
                                      "connecting"]
    assert rows(browser, "Client")[1] == "[2001:db8::2]:2222"
    assert rows(browser, "Server") == ["alpha", "beta", "gamma", "–"]
    assert rows(browser, "From client") == ["2.93 KiB", "200 B", "1.00 MiB", "0 B"]
    assert rows(browser, "Next deadline") == ["idle 50 s", "half_closed 4 s", "–", "connect 5 s"]
    assert browser.text("#list-count") == "4 sessions"
    assert few.asked("brief=1") > 0


def test_follows_what_comes_and_goes(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    with few.changing():
        few.end(2)
        few.sessions.append(session(11))
    wait_rows(browser, "Session", (1, 3, 10, 11))


def test_search(browser, few):
    with few.changing():
        for one in few.sessions:
            one["server"]["address"] = "172.16.0.5:9000"
        few.sessions[2]["client"]["address"] = "192.0.2.30:10333"
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    for words, found in (
            ("10", (1, 3, 10)),             # an id, and parts of addresses
            ("2001:DB8", (2,)),
            ("gamma", (3,)),
            ("mail", (3,)),
            ("half_closed", (2, 3)),
            ("half-closed by client", (2,)),
            ("192.0.2 connecting", (10,)),  # every word must be there
            ("nowhere", ())):
        browser.one("#search").clear()
        browser.type("#search", words)
        wait_rows(browser, "Session", found)
        assert browser.text("#list-count") == f"{len(found)} of 4 sessions match"
        assert browser.is_shown("#list-nothing") == (not found)
        assert browser.text("#announcer").split()[0] == str(len(found))


def test_state_is_asked_of_the_daemon(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    for state, found in (("half_closed", (2, 3)), ("half_closed_server", (3,)),
                         ("connecting", (10,)), ("closing", ())):
        browser.choose("#filter-state", state)
        wait_rows(browser, "Session", found)
        assert few.asked(f"state={state}") > 0
    browser.wait_text("#list-nothing", "No session is like that.")


def test_listener_is_asked_of_the_daemon(browser, few):
    browser.open(few.url)
    browser.wait(lambda: browser.texts("#filter-listener option")
                 == ["All listeners", "web", "mail"], "the listeners")
    browser.choose("#filter-listener", "mail")
    wait_rows(browser, "Session", (3,))
    assert few.asked("listener=mail") > 0
    browser.choose("#filter-state", "open")
    wait_rows(browser, "Session", ())


def test_sort(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    assert browser.texts("#list-head [aria-sort]") == ["Session▲"]
    for title, rising, falling in (
            ("Age", (10, 3, 2, 1), (1, 2, 3, 10)),
            ("Idle", (10, 3, 1, 2), (2, 1, 3, 10)),
            ("From client", (10, 2, 1, 3), (3, 1, 2, 10)),
            ("Next deadline", (2, 10, 1, 3), (3, 1, 10, 2)),
            ("Listener", (3, 1, 2, 10), (1, 2, 10, 3)),
            ("Client", (1, 3, 10, 2), (2, 10, 3, 1))):
        browser.click(head(title))
        wait_rows(browser, "Session", rising)
        assert browser.one("#list-head [aria-sort]").get_attribute("aria-sort") == "ascending"
        browser.click(head(title))
        wait_rows(browser, "Session", falling)
        assert browser.texts("#list-head [aria-sort]") == [f"{title}▼"]


def test_last_ended(browser, few):
    with few.changing():
        few.ended = [ended(9, "server_reset", ago_s=1.0, server_name="beta",
                           detail="Connection reset by peer"),
                     ended(8, ago_s=2.0), ended(7, "idle_timeout", ago_s=3.0)]
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    browser.click(".switch label:nth-child(2)")
    wait_rows(browser, "Session", (9, 8, 7))
    assert [text.strip() for text in rows(browser, "Ending")] == [
        "server_reset", "complete", "idle_timeout"]
    assert rows(browser, "Ended") == ["1.0 s ago", "2.0 s ago", "3.0 s ago"]
    browser.choose("#filter-state", "failed")
    wait_rows(browser, "Session", (9, 7))
    browser.choose("#filter-state", "complete")
    wait_rows(browser, "Session", (8,))
    browser.choose("#filter-state", "")
    browser.type("#search", "reset by peer")
    wait_rows(browser, "Session", (9,))


def test_legends_lead_to_the_list(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    browser.click("#state-shares li:nth-child(3) button")
    wait_rows(browser, "Session", (3,))
    with few.changing():
        few.end(1, "client_reset")
    browser.wait(lambda: "client_reset" in browser.text("#ending-shares"), "the ending")
    browser.click("#ending-shares li:first-child button")
    wait_rows(browser, "Ending", (" client_reset",))


def test_hold_still(browser, few):
    browser.open(few.url)
    wait_rows(browser, "Session", (1, 2, 3, 10))
    browser.click("#hold")
    with few.changing():
        few.end(1)
    before = few.asked("/api/v1/sessions?")
    browser.wait(lambda: browser.text("#ending-shares") != "", "the ending is counted")
    browser.sleep(3)
    assert rows(browser, "Session") == ["1", "2", "3", "10"]
    assert few.asked("/api/v1/sessions?") <= before + 1

    # What is chosen is asked for once, and held again.
    browser.choose("#filter-state", "half_closed")
    wait_rows(browser, "Session", (2, 3))
    before = few.asked("/api/v1/sessions?")
    with few.changing():
        few.end(2)
    browser.sleep(3)
    assert few.asked("/api/v1/sessions?") == before
    browser.click("#hold")
    wait_rows(browser, "Session", (3,))


def crowd(mock, count):
    with mock.changing():
        mock.sessions = [session(number, age_s=float(count - number), state="open")
                         for number in range(1, count + 1)]
        mock.sessions[count - 1]["state"] = "half_closed_client"


def test_thousands_are_as_light_as_ten(browser, mock):
    crowd(mock, 1800)
    browser.open(mock.url)
    browser.wait_text("#list-count", "1,800 sessions")
    assert len(browser.all("#list-rows tr.row")) < 60
    assert browser.one("#list").get_attribute("aria-rowcount") == "1801"
    browser.script("document.querySelector('#list-box').scrollTop = 1e9")
    browser.wait(lambda: rows(browser, "Session")[-1:] == ["1800"], "the last row")
    assert len(browser.all("#list-rows tr.row")) < 60

    # A look at the whole list, as long as no more than a frame or two on an idle machine.
    browser.script("""
        window.longest = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries())
                window.longest = Math.max(window.longest, entry.duration);
        }).observe({ type: 'longtask' });""")
    before = mock.asked("after=1000")
    browser.wait(lambda: mock.asked("after=1000") >= before + 3, "three looks")
    assert browser.script("return window.longest") < 400


def test_more_than_fit_are_said_to_be(browser, mock):
    crowd(mock, 4500)
    browser.open(mock.url)
    text = browser.wait_text("#list-count", "There are more")
    assert text.startswith("2,000 sessions") and "only 2,000 are listed" in text
    assert mock.asked("after=2000") == 0
    browser.choose("#filter-state", "half_closed")
    wait_rows(browser, "Session", (4500,))
    assert browser.text("#list-count") == "1 session"


def test_a_number_beyond_the_list_can_be_looked_for(browser, mock):
    crowd(mock, 2500)
    browser.open(mock.url)
    browser.wait_text("#list-count", "There are more")
    browser.type("#search", "2400")
    browser.wait_text("#list-direct", "Look for session 2400")
    browser.click("#list-direct a")
    browser.wait_text("#sentence", "both directions")
    browser.one("#search").clear()
    browser.type("#search", "77")
    browser.wait_shown("#list-direct", False)


def test_rows_by_keyboard(browser, mock):
    crowd(mock, 300)
    browser.open(mock.url)
    browser.wait_text("#list-count", "300 sessions")
    tab_stops = "#list-rows a[tabindex='0']"
    assert browser.texts(tab_stops) == ["1"]
    browser.script(f"""document.querySelector("{tab_stops}").focus()""")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    browser.wait(lambda: browser.focused() == "Session 3", "the third")
    browser.press(Keys.END)
    browser.wait(lambda: browser.focused() == "Session 300", "the last")
    assert browser.texts(tab_stops) == ["300"]
    browser.sleep(2.5)  # a new list comes in between
    assert browser.focused() == "Session 300"
    browser.press(Keys.PAGE_UP, Keys.ARROW_UP)
    number = int(browser.focused().split()[1])
    assert 250 < number < 299
    browser.press(Keys.HOME)
    browser.wait(lambda: browser.focused() == "Session 1", "the first")
    browser.press(Keys.ENTER)
    browser.wait_text("#detail-title", "Session 1")


def test_an_error_is_said(browser, few):
    with few.changing():
        few.refusals["/api/v1/sessions"] = Refusal(503, "worker 1 does not answer within 5 s")
    browser.open(few.url)
    browser.wait_text("#list-problem", "503: worker 1 does not answer within 5 s")
    with few.changing():
        few.refusals.clear()
    wait_rows(browser, "Session", (1, 2, 3, 10))
    assert not browser.is_shown("#list-problem")


def test_nothing_runs(browser, mock):
    with mock.changing():
        mock.pools[0]["servers"] = [server()]
    browser.open(mock.url)
    browser.wait_text("#list-nothing", "No session is running.")
