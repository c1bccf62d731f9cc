"""The status page's numbers, plots and tables say what the daemon says, and notice at once what an
operator must not overlook."""

import pytest

from browser import Keys
from mock_daemon import listener, server, session


def tile(browser, name):
    """(value, more) of the tile with this name."""
    return tuple(browser.script("""
        const box = [...document.querySelectorAll('#tiles > div')]
            .find((one) => one.querySelector('dt').textContent === arguments[0]);
        return [...box.querySelectorAll('dd')].map((one) => one.textContent);""", name))


def wait_tile(browser, name, value):
    browser.wait(lambda: value in tile(browser, name), f"{value!r} in tile {name}")


def cells(browser, rows, key):
    """The row whose first cell says `key`, as texts."""
    return browser.script("""
        const row = [...document.querySelectorAll(arguments[0] + ' tr')]
            .find((one) => one.children[0].textContent === arguments[1]);
        return row && [...row.children].map((one) => one.textContent);""", rows, key)


def shares(browser, name):
    return browser.script("""
        return [...document.querySelectorAll('#' + arguments[0] + ' li')]
            .map((one) => [...one.querySelectorAll('button, b, .part')].map((each) => each.textContent));
        """, name)


def plot(number):
    return f".plot:nth-of-type({number})"


TRAFFIC, STATES, PACE, ENDINGS = map(plot, (1, 2, 3, 4))


def legend(browser, figure):
    """What the legend shows: name -> value."""
    return dict(browser.script("""
        return [...document.querySelectorAll(arguments[0] + ' .legend li')].filter((one) => !one.hidden)
            .map((one) => [one.children[1].textContent, one.querySelector('b').textContent]);""", figure))


def busy(mock):
    """A daemon with something of everything."""
    with mock.changing():
        mock.listeners = [listener(), listener("mail", listen=["127.0.0.1:25"], pool="mail"),
                          listener("old", listen=[], pool=None)]
        web = mock.listeners[0]
        web["endings"].update(complete=12345, server_reset=7, idle_timeout=3)
        web["bytes"].update(from_client=5 << 20, from_server=3 << 30)
        web["fins"].update(from_client=321)
        web["dead_peers"]["server"].update(keepalive=2, user_timeout=3)
        mock.pools = [{"name": "web", "balance": "least_sessions", "servers": [
            server("app-1", sessions=9),
            server("app-2", address="10.0.0.6:9000", state="drain", backup=True, weight=3),
            server("10.0.0.7:9000", address="10.0.0.7:9000", state="maint", up=False)]}]
        mock.pools[0]["servers"][0]["connects"].update(ok=12400, refused=4)
        states = ["open"] * 5 + ["half_closed_client"] * 3 + ["half_closed_server"] * 2
        mock.sessions = [session(number, state=state) for number, state in enumerate(states, 1)]
        mock.config.update(reloads=3)


def test_header_and_tiles(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    assert browser.text("#version") == "0.1.0"
    assert browser.text("#pid") == "4242"
    assert browser.text("#host") == f"127.0.0.1:{mock.port}"
    assert browser.text("#uptime").endswith("s")
    assert tile(browser, "Live sessions") == ("10", "at most 9,985")
    assert tile(browser, "Half-closed") == ("5", "client 3, server 2")
    assert tile(browser, "Accepted")[1] == "12,365 in all"
    assert tile(browser, "Not complete") == ("10", "< 0.1 % of ended")
    assert tile(browser, "From clients")[1] == "5.00 MiB in all"
    assert tile(browser, "From servers")[1] == "3.00 GiB in all"
    assert tile(browser, "Servers up") == ("2 of 3", "1 in drain")
    assert tile(browser, "Open files") == ("57", "of 20,000")
    assert "10 sessions" in browser.driver.title


def test_states_and_endings_as_shares(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    assert shares(browser, "state-shares") == [
        ["open", "5", "50 %"], ["half-closed by client", "3", "30 %"],
        ["half-closed by server", "2", "20 %"], ["closing", "0", "0 %"], ["connecting", "0", "0 %"]]
    assert shares(browser, "ending-shares") == [
        ["complete", "12,345", "100 %"], ["server_reset", "7", "< 0.1 %"],
        ["idle_timeout", "3", "< 0.1 %"]]
    widths = browser.script("return [...document.querySelectorAll('#state-bar rect')]"
                            ".map((one) => one.getAttribute('width'))")
    assert widths == ["50%", "30%", "20%", "0%", "0%"]


def test_tables(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait(lambda: cells(browser, "#listener-rows", "web"), "the listeners")
    assert cells(browser, "#listener-rows", "web") == [
        "web", "0.0.0.0:8080, [::]:8080", "web", "10", "0", "5", "0", "3", "2", "12,365", "12,345",
        "10", "5.00 MiB", "3.00 GiB", "321", "0", "0", "0", "0", "5"]
    assert cells(browser, "#listener-rows", "old")[1:3] == ["nothing: of an older configuration", "–"]
    assert cells(browser, "#server-rows", "app-1") == [
        "app-1", "ready, up", "10.0.0.5:9000", "web · least_sessions", "1", "9", "12,400", "4",
        "0", "0", "0"]
    assert cells(browser, "#server-rows", "app-2")[1:5] == [
        "drain, up", "10.0.0.6:9000", "web · least_sessions", "3 backup"]
    assert cells(browser, "#server-rows", "10.0.0.7:9000")[1:3] == ["maint, down", "the same"]
    assert cells(browser, "#worker-rows", "0") == ["0", "0", "0 B", "0", "22", "0"]
    facts = browser.text("#process-facts")
    assert "/etc/finback/finback.conf" in facts and "3, 0 failed" in facts and "taken" in facts


def test_tables_follow_a_reload(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait(lambda: cells(browser, "#listener-rows", "old"), "the listeners")
    with mock.changing():
        mock.listeners[1:] = [listener("new", pool="web")]
        del mock.pools[0]["servers"][1]
    browser.wait(lambda: cells(browser, "#listener-rows", "new"), "the new listener")
    assert browser.texts("#listener-rows th") == ["web", "new"]
    assert browser.texts("#server-rows th") == ["app-1", "10.0.0.7:9000"]


def test_traffic_and_pace_are_plotted(browser, mock):
    browser.open(mock.url)
    browser.wait_text("#state", "running")

    def goes_on():
        """Until it is seen: twice as much from servers as from clients, five sessions a look."""
        with mock.changing():
            web = mock.listeners[0]
            web["bytes"]["from_client"] += 1 << 20
            web["bytes"]["from_server"] += 2 << 20
            web["endings"]["complete"] += 5
        values = [*legend(browser, TRAFFIC).values(), *legend(browser, PACE).values()]
        return not any(value.startswith(("0", "–")) for value in values)

    browser.wait(goes_on, "rates")
    browser.wait(lambda: "L" in browser.one(f"{TRAFFIC} .edge").get_attribute("d"), "a line")
    assert "/s" in tile(browser, "Accepted")[0]
    assert browser.texts(f"{TRAFFIC} text")[0] == "0"
    assert any("iB/s" in mark for mark in browser.texts(f"{TRAFFIC} text"))
    assert "−4 min" in browser.texts(f"{TRAFFIC} text")


def test_states_are_stacked(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait(lambda: legend(browser, STATES).get("open") == "5", "the states")
    edges = browser.script(f"return [...document.querySelectorAll('{STATES} .edge')]"
                           ".map((one) => one.getAttribute('d'))")
    heights = [float(edge.split()[-1]) for edge in edges if edge]
    assert len(heights) == 3
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 3


def test_one_failure_among_thousands_stands_out(browser, mock):
    with mock.changing():
        mock.sessions = [session(1)]
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    wait_tile(browser, "Accepted", "1 in all")
    with mock.changing():
        mock.listeners[0]["endings"]["complete"] += 10000
        mock.end(1, "server_reset")
    browser.wait(lambda: legend(browser, ENDINGS).get("server_reset") == "1", "the reset")
    assert legend(browser, ENDINGS) == {"complete": "10,000", "server_reset": "1"}
    heights = browser.script(f"return [...document.querySelectorAll('{ENDINGS} .bins path')]"
                             ".map((one) => one.getBBox().height).filter((height) => height > 0)")
    assert len(heights) == 2 and min(heights) > 10, heights


def test_values_under_the_pointer(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait(lambda: legend(browser, STATES).get("open") == "5", "the states")
    with mock.changing():
        mock.sessions = mock.sessions[:1]
    browser.wait(lambda: legend(browser, STATES).get("open") == "1", "fewer")
    assert browser.text(f"{STATES} .when") == "now"

    # To the left of all there is: the first look.
    picture = browser.one(f"{STATES} > svg")
    browser.script("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", picture)
    browser.hover(picture)
    browser.wait(lambda: legend(browser, STATES)["open"] == "5", "the first look's value")
    assert browser.text(f"{STATES} .when").count(":") == 2
    assert "on" in browser.one(f"{TRAFFIC} .cross").get_attribute("class").split()
    browser.hover(browser.one("h1"))
    browser.wait_text(f"{STATES} .when", "now")


def test_values_by_keyboard(browser, mock):
    busy(mock)
    browser.open(mock.url)
    browser.wait(lambda: legend(browser, STATES).get("open") == "5", "the states")
    with mock.changing():
        mock.sessions = mock.sessions[:1]
    browser.wait(lambda: legend(browser, STATES).get("open") == "1", "fewer")
    browser.script(f"document.querySelector('{STATES} > svg').focus()")
    browser.press(Keys.HOME)
    browser.press(Keys.HOME)
    browser.wait(lambda: legend(browser, STATES)["open"] == "5", "the first look's value")
    assert "open5" in browser.text("#announcer")
    browser.press(Keys.END)
    browser.wait(lambda: legend(browser, STATES)["open"] == "1", "the last look's value")
    browser.press(Keys.ESCAPE)
    browser.wait_text(f"{STATES} .when", "now")


def test_restart_of_the_daemon_is_no_burst(browser, mock):
    with mock.changing():
        mock.listeners[0]["bytes"]["from_client"] = 1 << 40
        mock.listeners[0]["endings"]["complete"] = 1 << 30
    browser.open(mock.url)
    browser.wait(lambda: legend(browser, TRAFFIC)["from clients"] == "0 B/s", "a rate")
    with mock.changing():
        mock.restart_process()
        mock.listeners[0]["bytes"]["from_client"] = 1 << 30
    wait_tile(browser, "From clients", "1.00 GiB in all")
    browser.wait(lambda: tile(browser, "From clients")[0] == "0 B/s", "a rate again")
    marks = " ".join(browser.texts(f"{TRAFFIC} text"))
    assert "MiB" not in marks and "GiB" not in marks and "-" not in marks
    assert legend(browser, ENDINGS)["complete"] == "0"


def test_listener_that_goes_is_no_burst(browser, mock):
    """After a reload there may be two of one name, until the last session of the older is over."""
    with mock.changing():
        mock.listeners = [listener(bytes={"from_client": 5, "from_server": 0}),
                          listener(bytes={"from_client": 1 << 30, "from_server": 0}, listen=[])]
    browser.open(mock.url)
    browser.wait(lambda: legend(browser, TRAFFIC)["from clients"] == "0 B/s", "a rate")
    with mock.changing():
        del mock.listeners[1]
    wait_tile(browser, "From clients", "5 B in all")
    browser.sleep(1.5)
    marks = " ".join(browser.texts(f"{TRAFFIC} text"))
    assert "iB" not in marks and "-" not in marks
    assert tile(browser, "From clients")[0] == "0 B/s"


@pytest.mark.parametrize("count, words", ((3, "3 sessions still running are"),
                                          (1, "1 session still running is")))
def test_draining_is_loud(browser, mock, count, words):
    with mock.changing():
        mock.sessions = [session(number) for number in range(1, count + 1)]
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    assert browser.texts("#notices li") == []
    with mock.changing():
        mock.state = "draining"
    browser.wait_text("#notices", words)
    assert browser.text("#state") == "draining"
    assert browser.text("#announcer") == "finback is draining"
    assert browser.driver.title.startswith("draining")


def test_refused_reload_and_lost_log_lines_are_noticed(browser, mock):
    with mock.changing():
        mock.config.update(failed_reloads=1, last_reload_ok=False)
        mock.dropped = 12
    browser.open(mock.url)
    browser.wait_text("#notices", "The last reload was refused")
    assert "12 lines of the log" in browser.texts("#notices li")[1]
    with mock.changing():
        mock.config.update(reloads=1, last_reload_ok=True)
        mock.dropped = 0
    browser.wait(lambda: browser.texts("#notices li") == [], "no notice")
