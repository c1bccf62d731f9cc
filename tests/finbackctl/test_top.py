"""top in a terminal: what it shows at several sizes, each of its keys, and a daemon that is slow,
has very many sessions, or goes away."""

import os
import re
import signal
import termios
import time

import pytest

from ctl import OK, PROTOCOL, UNAVAILABLE, USAGE, Terminal, ctl
from mock_daemon import STATES, Mock, problem, session, status

SIZES = ((80, 24), (120, 40), (140, 30), (200, 60))
HEAD = 4  # lines above the list


@pytest.fixture(name="mock")
def _mock():
    """60 sessions, 12 in each state; number 8 receives most, 9 some."""
    with Mock([session(number, STATES[number % 5]) for number in range(1, 61)]) as mock:
        mock.growth = {8: 5_000_000, 9: 20_000}
        yield mock


def top(mock, *arguments, **options):
    return Terminal("top", "--interval", "200ms", *arguments, socket=mock.path, **options)


def is_listed(terminal):
    return "ID STATE" in terminal.text and bool(ids(terminal))


def ids(terminal):
    """Of the sessions on the screen, from the top."""
    found = []
    for line in terminal.lines[HEAD:-2]:
        match = re.match(r" *(\d+) \S", line)
        if match:
            found.append(int(match[1]))
    return found


def selected(terminal):
    """The id in the line that is shown in reverse."""
    for number in range(HEAD, terminal.screen.lines - 2):
        if terminal.screen.buffer[number][0].reverse:
            return int(terminal.lines[number].split()[0])
    return None


def expect_well_laid_out(terminal):
    columns, lines = terminal.screen.columns, terminal.screen.lines
    text = terminal.lines
    assert text[0].startswith("finback 0.1.0 running for 3d4h   sessions 60 of 99850")
    assert "bytes from clients" in text[1] or "..." in text[1]
    assert "1 all 60  2 connecting 12  3 open 12  4 half-closed 24  5 closing 12" in text[2]
    assert text[3].split()[:4] == ["ID", "STATE", "CLIENT", "SERVER"] and "ENDS IN" in text[3]
    rows = text[HEAD:-2]
    assert len(rows) == lines - HEAD - 2 and len(ids(terminal)) == min(60, len(rows))
    # Columns stand under their titles: numbers end where these end.
    end = text[3].index("ENDS IN") + len("ENDS IN")
    assert all(re.search(r"\d[smhd]$", row[:end]) for row in rows[:60]), terminal.text
    for key in ("r rate", "d deadline", "1-5 state", "Enter explain", "k kill", "q quit"):
        assert key in text[-1]
    assert (columns >= 120) == ("UP/s" in text[3])


@pytest.mark.parametrize("columns, lines", SIZES)
def test_sizes(mock, columns, lines):
    with top(mock, columns=columns, lines=lines) as terminal:
        terminal.wait(is_listed)
        expect_well_laid_out(terminal)
        terminal.press("q").wait_exit(OK)


def test_resize(mock):
    with top(mock) as terminal:
        terminal.wait(is_listed)
        for columns, lines in (*SIZES, *reversed(SIZES)):
            terminal.resize(columns, lines)
            terminal.wait(lambda me, lines=lines, columns=columns:
                          me.lines[0].startswith("finback") and
                          "q quit" in me.lines[lines - 1] and
                          len(ids(me)) == min(60, lines - HEAD - 2) and
                          ("UP/s" in me.text) == (columns >= 120))
            expect_well_laid_out(terminal)


@pytest.mark.parametrize("columns, lines", ((1, 1), (39, 24), (80, 7), (40, 8), (66, 9)))
def test_windows_that_are_small(mock, columns, lines):
    with top(mock, columns=columns, lines=lines) as terminal:
        if columns < 40 or lines < 8:
            terminal.wait("too small"[:columns])
        else:
            terminal.wait(lambda me: len(ids(me)) == lines - HEAD - 2)
        terminal.resize(80, 24)
        terminal.wait(lambda me: len(ids(me)) == 18)
        terminal.resize(columns, lines)
        terminal.read(0.3)
        terminal.press("enter", "enter", "k", "n", "q").wait_exit(OK)


def test_rates(mock):
    """5 MB/s by the daemon's own clock, however late an answer comes."""
    with top(mock) as terminal:
        terminal.wait(lambda me: re.search(r"^ +8 .* 4\.8M +\d", me.text, re.M))
        assert ids(terminal)[:2] == [8, 9]
        assert re.search(r"^ +9 .* (19|20)K +\d", terminal.text, re.M)
        assert re.search(r"^ +3 .* 0 +\d", terminal.text, re.M)
        terminal.resize(120, 24)
        terminal.wait(lambda me: re.search(r"^ +8 .* 0 +4\.8M +", me.text, re.M))


def test_totals_have_rates(mock):
    started = time.monotonic()

    def answer(_):
        elapsed = time.monotonic() - started
        current = status(mock.sessions.values())
        current["uptime_s"] += elapsed
        listener = current["listeners"][0]
        listener["accepted"] += int(elapsed * 1000)
        listener["endings"]["complete"] += int(elapsed * 500)
        listener["bytes"] = {"from_client": int(elapsed * 1024 * 300),
                             "from_server": int(elapsed * 1024 * 1024 * 50)}
        return 200, current

    mock.fixed["GET", "/api/v1/status"] = answer
    with top(mock) as terminal:
        terminal.wait(lambda me: re.search(
            r"new (99\d|100\d) +ended (49\d|50\d) +bytes from clients (29\d|30\d)K "
            r"+from servers (49|50)M", me.lines[1]))


def test_sorting():
    number = [0]

    def one(**more):
        number[0] += 1
        made = session(number[0], **{key: value for key, value in more.items() if key != "bytes"})
        made["client"]["bytes"] = more.get("bytes", 0)
        made["server"]["bytes"] = 0
        return made

    made = [one(bytes=10, age_s=30.0, idle_s=1.0),
            one(bytes=30, age_s=20.0, idle_s=9.0, ending_in={"deadline": "stall", "in_s": 5.0}),
            one(bytes=20, age_s=10.0, idle_s=5.0, ending_in=None)]
    with Mock(made) as mock, top(mock) as terminal:
        mock.growth = {3: 9999}
        for key, order in (("b", [3, 2, 1]), ("a", [1, 2, 3]), ("i", [2, 3, 1]), ("d", [2, 1, 3]),
                           ("r", [3, 1, 2])):
            terminal.press(key)
            terminal.wait(lambda me, order=order: ids(me) == order, f"the screen after {key}")
            title = {"b": "BYTES", "a": "AGE", "i": "IDLE", "d": "ENDS IN", "r": "RATE"}[key]
            terminal.wait(lambda me, title=title: me.attributes(title).underscore)


def test_filters(mock):
    with top(mock) as terminal:
        terminal.wait(is_listed)
        for key, state, count in (("2", "connecting", 12), ("3", "open", 12), ("4", "half:", 18),
                                  ("5", "closing", 12), ("1", "", 18)):
            terminal.press(key)
            terminal.wait(lambda me, state=state, count=count: len(ids(me)) == count and
                          all(state in line for line in me.lines[HEAD:HEAD + count]),
                          f"the screen after {key}")
            terminal.wait(lambda me, key=key: me.attributes(f"{key} ").reverse)
        assert any("state=half_closed" in path for path in mock.asked())
        assert not any("brief=1" not in path for path in mock.asked() if "/sessions?" in path)


def test_selection_moves_and_scrolls(mock):
    mock.growth = {}
    with top(mock) as terminal:
        terminal.wait(is_listed)
        terminal.press("a").wait(lambda me: ids(me)[:1] == [60])  # the oldest
        terminal.wait(lambda me: selected(me) == 60)
        for key, expected in (("down", 59), ("down", 58), ("up", 59), ("page down", 41),
                              ("end", 1), ("down", 1), ("page up", 19), ("home", 60), ("up", 60)):
            terminal.press(key)
            terminal.wait(lambda me, expected=expected: selected(me) == expected,
                          f"the screen after {key}")
        terminal.press("end").wait(lambda me: ids(me) == list(range(18, 0, -1)))


def test_selection_stays_with_its_session(mock):
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:2] == [8, 9])
        terminal.press("down").wait(lambda me: selected(me) == 9)
        terminal.press("a").wait(lambda me: selected(me) == 9 and
                                 ids(me) == sorted(ids(me), reverse=True))
        terminal.press("r").wait(lambda me: ids(me)[:1] == [8] and selected(me) == 9)
        with mock.lock:
            del mock.sessions[9]
        terminal.wait(lambda me: 9 not in ids(me) and selected(me) is not None,
                      "the next one takes its place")


@pytest.mark.parametrize("back", ("enter", "q", "escape"))
def test_enter_explains(mock, back):
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("enter").wait("the sentence that explains session 8")
        for telling in ("CLIENT", "SERVER", "10.1.0.8:5000", "10.0.0.5:9000", "FIN_WAIT2",
                        "half_closed_server for 42s", "q back", "last heard"):
            assert telling in terminal.text
        terminal.wait(lambda me: mock.asked().count("/api/v1/sessions/8") > 1)  # it is live
        terminal.press(back).wait(is_listed)
        assert selected(terminal) == 8
        terminal.press("q").wait_exit(OK)


def test_explanation_scrolls_where_it_does_not_fit(mock):
    mock.sessions[8]["explanation"] = "word " * 200 + "end"
    with top(mock, lines=12) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("enter").wait("word word")
        assert "dead after" not in terminal.text
        terminal.press("page down", "page down", "page down", "page down", "page down", "down")
        terminal.wait("dead after")
        assert "word word" not in terminal.text
        terminal.press("up").wait(lambda me: "dead after" not in me.text)
        terminal.press("page up", "page up", "page up", "page up", "page up")
        terminal.wait(lambda me: me.lines[0].startswith("word word"))


def test_session_that_ends_while_it_is_explained(mock):
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("enter").wait("the sentence that explains")
        with mock.lock:
            del mock.sessions[8]
        terminal.wait("no session 8: it has ended or never was")
        assert "the sentence that explains" in terminal.text, "what was known of it stays"
        terminal.press("q").wait(is_listed)
        assert "no session 8" not in terminal.text


def test_kill_after_a_question(mock):
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("k").wait("end session 8? [y/N]  (10.1.0.8:5000 to 10.0.0.5:9000)")
        assert not mock.asked("DELETE")
        terminal.press("n").wait(lambda me: "[y/N]" not in me.text)
        terminal.press("k").wait("[y/N]").resize(100, 30)
        terminal.wait(lambda me: "end session 8? [y/N]" in me.lines[28]).press("n")
        terminal.wait(lambda me: "[y/N]" not in me.text)
        terminal.press("k").wait("[y/N]").press("enter").wait(lambda me: "[y/N]" not in me.text)
        assert not mock.asked("DELETE") and "explains" not in terminal.text
        terminal.press("k").wait("[y/N]").press("y").wait("session 8 was ended")
        assert mock.asked("DELETE") == ["/api/v1/sessions/8"]
        terminal.wait(lambda me: 8 not in ids(me))
        terminal.wait(lambda me: "was ended" not in me.text)  # after a while


def test_kill_of_one_that_has_ended(mock):
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("enter").wait("the sentence").press("k").wait("[y/N]")
        with mock.lock:
            del mock.sessions[8]
        terminal.press("y").wait("no session 8")
        assert mock.sessions.keys() >= {1, 2, 3}


def test_more_than_ten_thousand_sessions():
    """Only the first are shown, which is said; keys work while pages come."""
    with Mock([session(number) for number in range(1, 12001)]) as mock:
        with top(mock) as terminal:
            terminal.wait("only the first 10000 are shown, 2000 are not")
            assert "sessions 12000 of 99850" in terminal.text
            terminal.press("a").wait(lambda me: ids(me)[:1] == [10000])
            terminal.press("end").wait(lambda me: selected(me) == 1)
            terminal.press("q").wait_exit(OK)
        pages = [path for path in mock.asked() if "/sessions?" in path]
        assert all("brief=1" in path for path in pages)


def test_keyboard_works_while_an_answer_is_late(mock):
    held = [False]

    def answer(query):
        if held[0]:
            mock.lock.release()
            try:
                time.sleep(3)
            finally:
                mock.lock.acquire()
        return mock.page(query)

    mock.fixed["GET", "/api/v1/sessions"] = answer
    with top(mock) as terminal:
        terminal.wait(is_listed)
        held[0] = True
        terminal.read(0.5)
        started = time.monotonic()
        terminal.press("a").wait(lambda me: ids(me)[:1] == [60])
        terminal.press("down").wait(lambda me: selected(me) not in (None, 60))
        terminal.press("q").wait_exit(OK)
        assert time.monotonic() - started < 2


def test_answer_that_nobody_waits_for_any_more_is_not_shown(mock):
    """Session 8 is explained late, when somebody has gone on to 9."""
    def late(_):
        mock.lock.release()
        try:
            time.sleep(1)
        finally:
            mock.lock.acquire()
        return 200, mock.sessions[8]

    mock.fixed["GET", "/api/v1/sessions/8"] = late
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me)[:2] == [8, 9])
        terminal.press("enter").wait(lambda me: me.lines[0] == "session 8")
        terminal.press("q").wait(is_listed)
        terminal.press("down").wait(lambda me: selected(me) == 9)
        terminal.press("enter").wait("explains session 9")
        assert b"explains session 8" not in terminal.output


def test_short_and_empty_pages_are_not_the_end(mock):
    pages = {None: ([], "a"), "a": ([1], "b"), "b": ([2, 3], None)}

    def answer(query):
        numbers, cursor = pages[query.get("after")]
        found = {"sessions": [session(number) for number in numbers]}
        return 200, found | ({"next": cursor} if cursor else {})

    mock.fixed["GET", "/api/v1/sessions"] = answer
    with top(mock) as terminal:
        terminal.wait(lambda me: ids(me) == [1, 2, 3])
        # A list that never ends is left after a while, with what it has.
        pages["b"] = ([], "b")
        terminal.wait(lambda me: ids(me) == [1])
        terminal.press("q").wait_exit(OK)


def test_daemon_that_goes_away_and_comes_back(mock):
    with top(mock) as terminal:
        terminal.wait(is_listed)
        os.rename(mock.path, mock.path + ".away")
        mock.fixed["GET", "/api/v1/status"] = b""  # ends the connection that is kept
        terminal.wait("cannot reach finback")
        assert is_listed(terminal), "what was known stays on the screen"
        del mock.fixed["GET", "/api/v1/status"]
        os.rename(mock.path + ".away", mock.path)
        terminal.wait(lambda me: "cannot reach" not in me.text)
        terminal.press("q").wait_exit(OK)


def test_answers_that_are_not_understood(mock):
    with top(mock) as terminal:
        terminal.wait(is_listed)
        for wrong in ((200, {"hello": "world"}), (200, "<html>"), problem(503, "worker\x1b[2J 1")):
            mock.fixed["GET", "/api/v1/sessions"] = wrong
            terminal.wait(lambda me: "not finback's" in me.text or "worker?[2J 1" in me.text)
            del mock.fixed["GET", "/api/v1/sessions"]
            terminal.wait(lambda me: "not finback's" not in me.text and "worker" not in me.text)
        terminal.press("q").wait_exit(OK)


def test_first_answer_decides_before_the_window_opens():
    with Terminal("top", socket="/nonexistent/control.sock") as terminal:
        terminal.wait_exit(UNAVAILABLE)
        assert "is finback running?" in terminal.text
    with Mock(fixed={("GET", "/api/v1/status"): (200, {})}) as mock:
        with Terminal("top", socket=mock.path) as terminal:
            terminal.wait_exit(PROTOCOL)


def test_terminal_that_cannot_show_it(mock):
    for name in ("no-such-terminal", ""):
        with top(mock, env={"TERM": name}) as terminal:
            terminal.wait_exit(USAGE)
            assert "TERM is" in terminal.text
    assert ctl("top", socket=mock.path).returncode == USAGE


@pytest.mark.parametrize("variable, colored", ((None, True), ("1", False), ("", True)))
def test_colors(mock, variable, colored):
    mock.sessions[8]["ending_in"] = {"deadline": "half_closed", "in_s": 3.0}
    with top(mock, env={"NO_COLOR": variable}) as terminal:
        terminal.wait(lambda me: ids(me)[:1] == [8])
        terminal.press("down").wait(lambda me: selected(me) == 9)
        assert (terminal.attributes("half:server").fg != "default") == colored
        assert (terminal.attributes("3.0s").fg != "default") == colored
        assert terminal.attributes("closing 12").fg == "default"
        has_color_codes = re.search(rb"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7])m", terminal.output)
        assert bool(has_color_codes) == colored


@pytest.mark.parametrize("how", ("q", signal.SIGINT, signal.SIGTERM))
def test_terminal_is_as_before_in_the_end(mock, how):
    with top(mock) as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.wait(is_listed)
        if how == "q":
            terminal.press("q").wait_exit(OK)
        else:
            terminal.process.send_signal(how)
            terminal.wait_exit(None)
        after = termios.tcgetattr(terminal.master)
        assert after[3] & (termios.ECHO | termios.ICANON) == before[3] & (termios.ECHO |
                                                                          termios.ICANON)


def test_terminal_that_goes_away_ends_it(mock):
    terminal = top(mock)
    try:
        terminal.wait(is_listed)
        os.close(terminal.master)
        terminal.process.wait(10)  # by SIGHUP; where that is ignored, for want of a keyboard
    finally:
        terminal.close()


def test_rest_costs_nothing(mock):
    """Between its rounds it sleeps."""
    with Terminal("top", "--interval", "1h", socket=mock.path) as terminal:
        terminal.wait(is_listed)
        terminal.read(0.3)
        asked, cpu = len(mock.requests), cpu_seconds(terminal.process.pid)
        terminal.read(1)
        assert len(mock.requests) == asked
        assert cpu_seconds(terminal.process.pid) - cpu <= 0.02


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
