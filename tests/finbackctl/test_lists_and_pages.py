"""Lists longer than a page, wider than a terminal, empty, and in parts: what a daemon under test is
not easily brought to."""

import json

import pytest

from ctl import OK, Terminal, ctl
from mock_daemon import PROBE, STATES, Mock, session, status

MANY = 2500


@pytest.fixture(scope="module", name="many")
def _many():
    with Mock([session(number, STATES[number % 5]) for number in range(1, MANY + 1)]) as mock:
        yield mock


def ids(result):
    return [int(line.split()[0]) for line in result.stdout.splitlines()[1:]]


def test_all_pages_are_listed(many):
    result = ctl("sessions", socket=many.path)
    assert result.returncode == OK
    assert ids(result) == list(range(1, MANY + 1))


@pytest.mark.parametrize("limit", (1, 999, 1000, 1001, 2500, 9000))
def test_limit_is_over_all_pages(many, limit):
    assert len(ids(ctl("sessions", "--limit", limit, socket=many.path))) == min(limit, MANY)


def test_json_of_all_pages_is_one_document(many):
    result = ctl("sessions", "--json", socket=many.path)
    document = json.loads(result.stdout)
    assert [one["id"] for one in document["sessions"]] == list(range(1, MANY + 1))
    assert "next" not in document
    shown, sent = document["sessions"][7], many.sessions[8]
    assert {**shown, "age_s": 0} == {**sent, "age_s": 0}


def test_filters_go_to_the_daemon_as_they_are():
    with Mock() as mock:
        values = {"state": "open,closing", "listener": "a b", "pool": "p&q=1", "server": "unix:/x/é",
                  "min-age": "30s", "ending-within": "5m", "client": "2001:db8::/32"}
        arguments = [text for name, value in values.items() for text in (f"--{name}", value)]
        seen = []
        mock.fixed["GET", "/api/v1/sessions"] = lambda query: (seen.append(query),
                                                               (200, {"sessions": []}))[1]
        assert ctl("sessions", *arguments, socket=mock.path).returncode == OK
        wanted = {name.replace("-", "_"): value for name, value in values.items()}
        assert seen == [{**wanted, "brief": "1", "limit": "1000"}]


def test_table_asks_for_no_more_than_it_shows(many):
    many.requests.clear()
    ctl("sessions", "--limit", 3, socket=many.path)
    ctl("sessions", "--limit", 3, "--json", socket=many.path)
    ctl("sessions", "--limit", 3, "--json", "--brief", socket=many.path)
    assert ["brief=1" in path for path in many.asked()] == [True, False, True]


def test_short_and_empty_pages_are_not_the_end():
    """A daemon may look at a bounded number of sessions, find none that fits, and go on."""
    pages = {None: ([1], "a"), "a": ([], "b"), "b": ([], "c"), "c": ([2, 3], "d"), "d": ([], None)}

    def answer(query):
        numbers, cursor = pages[query.get("after")]
        found = {"sessions": [session(number) for number in numbers]}
        return 200, found | ({"next": cursor} if cursor else {})

    with Mock(fixed={("GET", "/api/v1/sessions"): answer}) as mock:
        assert ids(ctl("sessions", socket=mock.path)) == [1, 2, 3]
        document = json.loads(ctl("sessions", "--json", socket=mock.path).stdout)
        assert [one["id"] for one in document["sessions"]] == [1, 2, 3]


def test_nothing_to_list():
    with Mock() as mock:
        result = ctl("sessions", socket=mock.path)
        assert result.returncode == OK and result.stdout.startswith("ID") and not ids(result)
        result = ctl("sessions", "--json", socket=mock.path)
        assert json.loads(result.stdout) == {"sessions": []}
        assert ctl("sessions", "--ended", socket=mock.path).stdout.startswith("ID")


LONG = {"address": "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", "bytes": 123456789012}


@pytest.mark.parametrize("columns", (80, 100, 120, 200))
def test_table_fits_the_terminal(columns):
    sessions = [session(number, STATES[number % 5], client={**session(1)["client"], **LONG},
                        server_name="a-server-of-a-rather-long-name.example.net:9000")
                for number in range(1000000, 1000010)]
    with Mock(sessions) as mock:
        with Terminal("sessions", socket=mock.path, columns=columns) as terminal:
            terminal.wait_exit()
            lines = terminal.output.decode().splitlines()
            assert len(lines) == 11, "no line is broken"
            assert all(len(line) <= columns for line in lines)
            # The ends of an address tell it from others.
            assert all("[20" in line and "535" in line for line in lines[1:])
        plain = ctl("sessions", socket=mock.path).stdout
        assert LONG["address"] in plain and "half_closed_client" in plain
        assert "…" not in plain


@pytest.mark.parametrize("columns", (40, 80, 132))
def test_one_session_fits_the_terminal(columns):
    one = session(7, explanation="a sentence of many words " * 12, server_name="s" * 70)
    one["client"] = {**one["client"], **LONG}
    one["server"] = {**one["server"], "address": "unix", "local_address": None, "tcp": None,
                     "probe": PROBE}
    with Mock([one]) as mock:
        with Terminal("session", 7, socket=mock.path, columns=columns, lines=60) as terminal:
            terminal.wait_exit()
            lines = terminal.output.decode().splitlines()
        assert all(len(line) <= columns for line in lines), lines
        if columns > 40:
            middle = next(line for line in lines if "CLIENT" in line).index("SERVER")
            facts = [line for line in lines if line.startswith(("address", "TCP state", "unsent"))]
            assert [line[middle:] for line in facts] == ["unix", "-", "-"]
            assert [line[middle:] for line in lines[-3:]] == ["mqtt, watching", "12, replies 12",
                                                              "in 9.5s"]
            assert all(line[middle - 2:middle] == "  " for line in facts)
            assert "[20" in facts[0] and "535" in facts[0]
        plain = ctl("session", 7, socket=mock.path).stdout
        assert max(map(len, plain.splitlines())) <= 80


def test_status_fits_80_columns_and_one_screen():
    sessions = [session(number, STATES[number % 5]) for number in range(1, 40)]
    with Mock(sessions) as mock:
        current = status(sessions)
        current["log"]["dropped"] = 7
        current["config"]["last_reload_ok"] = False
        current["workers"][0]["accept_pauses"] = 3
        current["listeners"].append({**current["listeners"][0], "name": "old", "listen": [],
                                     "pool": None})
        mock.fixed["GET", "/api/v1/status"] = (200, current)
        with Terminal("status", socket=mock.path) as terminal:
            terminal.wait_exit()
            lines = terminal.output.decode().splitlines()
            assert len(lines) <= 24 and all(len(line) <= 80 for line in lines)
            shown = " ".join(" ".join(lines).split())
        for telling in ("0.1.0, running for 3d4h", "descriptors 57 of 200000", "open 16", "closing",
                        "complete 1800", "server_reset 6", "server by keepalive 4",
                        "the last reload failed", "7 lines of the log were dropped",
                        "pause 3 times", "0.0.0.0:8080", "older configuration", "10.0.0.5:9000"):
            assert telling in shown, (telling, shown)


def test_json_prints_numbers_as_they_were():
    """Six decimals come and six decimals go; large counts stay exact."""
    one = session(1, age_s=12.345678, idle_s=1000000.000001)
    one["client"]["bytes"] = 2**62 + 1
    with Mock(fixed={("GET", "/api/v1/sessions/1"): (200, one)}) as mock:
        text = ctl("session", 1, "--json", socket=mock.path).stdout
        assert '"age_s": 12.345678,' in text and '"idle_s": 1000000.000001,' in text
        assert json.loads(text) == one


@pytest.mark.parametrize("locale, expected", (("C.UTF-8", "gr\u00fcn"), ("C", "gr??n")))
def test_text_is_what_the_locale_has(locale, expected):
    one = session(1, listener="gr\u00fcn")
    with Mock(fixed={("GET", "/api/v1/sessions"): (200, {"sessions": [one]})}) as mock:
        assert expected in ctl("sessions", socket=mock.path, env={"LC_ALL": locale}).stdout
