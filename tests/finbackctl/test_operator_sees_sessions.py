"""What a running finback is asked: status, lists by every filter, one session, those that ended."""

import json
import re

import pytest

from ctl import OK, REFUSED, USAGE, ControlledRelay, Terminal
from lib.peers import Backend, eventually


@pytest.fixture(name="relay")
def _relay():
    """Three sessions: 1 is open, the client has ended its direction in 2, the server in 3."""
    with ControlledRelay(timeouts={"idle": "1h", "half_closed": "90s"}) as relay:
        pairs = [relay.greeted_sides("client") for _ in range(3)]
        pairs[1][0].send(b"x" * 100)
        pairs[1][1].receive(100)
        pairs[1][0].half_close()
        pairs[2][1].half_close()
        assert pairs[1][1].read_to_eof() == pairs[2][0].read_to_eof() == b""
        relay.pairs = pairs
        eventually(lambda: {one["id"]: one["state"] for one in relay.listed()} ==
                   {1: "open", 2: "half_closed_client", 3: "half_closed_server"}, "half-closed")
        yield relay


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


def test_status(relay):
    text = relay.ctl("status")
    assert re.search(r"running for \d+\.\ds since 20\d\d-", text)
    assert f"pid {relay.process.pid}\n" in text and relay.config_path in text
    assert re.search(r"sessions +3 of at most \d+: connecting 0, open 1, half_closed_client 1,\n"
                     r" +half_closed_server 1, closing 0", text)
    assert relay.address() in text and relay.backend.address in text
    assert "ended          none so far" in text
    assert "problems" not in text
    status = json.loads(relay.ctl("status", "--json"))
    assert status["sessions"] == 3 and status["listeners"][0]["accepted"] == 3


def test_list(relay):
    client = relay.pairs[1][0].name
    text = relay.ctl("sessions")
    assert [row[0] for row in rows(text)] == ["1", "2", "3"]
    row = rows(text)[1]
    assert row[1:5] == ["web", "half_closed_client", f"{client[0]}:{client[1]}",
                        relay.backend.address]
    assert row[7:9] == ["100", "5"] and row[10] == "half_closed"
    assert re.fullmatch(r"1m\d+s", row[9])


@pytest.mark.parametrize("filters, ids", (
    ("--state open", [1]),
    ("--state half_closed", [2, 3]),
    ("--state half_closed_server,open", [1, 3]),
    ("--state=closing", []),
    ("--listener web", [1, 2, 3]),
    ("--listener other", []),
    ("--pool web --state open", [1]),
    ("--pool other", []),
    ("--server BACKEND", [1, 2, 3]),
    ("--server other", []),
    ("--min-age 0", [1, 2, 3]),
    ("--min-age 1h", []),
    ("--ending-within 2m", [2, 3]),
    ("--ending-within 2h", [1, 2, 3]),
    ("--client 127.0.0.0/8", [1, 2, 3]),
    ("--client 127.0.0.1 --limit 2", [1, 2]),
    ("--client 10.0.0.1", []),
))
def test_filters(relay, filters, ids):
    filters = filters.replace("BACKEND", relay.backend.address).split()
    assert [int(row[0]) for row in rows(relay.ctl("sessions", *filters))] == ids
    assert [one["id"] for one in relay.listed(*filters)] == ids


@pytest.mark.parametrize("filters", (
    "--state odd", "--min-age soon", "--min-age 5", "--ending-within 1x", "--client somewhere",
    "--client 10.0.0.0/64"))
def test_values_that_are_wrong(relay, filters):
    assert "finbackctl: " in relay.ctl("sessions", *filters.split(), status=USAGE)


def test_one_session_is_explained(relay):
    eventually(lambda: relay.listed()[1]["server"]["tcp"]["state"] == "FIN_WAIT2",
               "finback's FIN acknowledged")
    text = relay.ctl("session", 2)
    sentence = " ".join(text.split("\n\n")[0].split())
    assert sentence.startswith("the client finished sending") and "half_closed ends it" in sentence
    client, server = (f"{name[0]}:{name[1]}" for name in
                      (relay.pairs[1][0].name, relay.pairs[1][1].name))
    assert re.search(rf"^address +{client} +{server}$", text, re.M)
    assert re.search(r"^its flow +finished +open$", text, re.M)
    assert re.search(r"^bytes from it +100 +5$", text, re.M)
    assert re.search(r"^TCP state +CLOSE_WAIT +FIN_WAIT2$", text, re.M)
    assert re.search(r"^flow ended +\d+\.\ds ago +-$", text, re.M)
    one = json.loads(relay.ctl("session", 2, "--json"))
    assert one["id"] == 2 and one["client"]["bytes"] == 100 and "explanation" in one


def test_brief_leaves_out_what_is_costly(relay):
    whole, brief = relay.listed()[0], relay.listed("--brief")[0]
    assert "explanation" in whole and whole["client"]["tcp"]
    assert "explanation" not in brief and "tcp" not in brief["client"]


def test_session_that_is_not_there(relay):
    assert relay.ctl("session", 77, status=REFUSED) == (
        "finbackctl: no session 77: it has ended or never was\n")


def test_sessions_that_ended(relay):
    relay.pairs[0][1].reset()
    eventually(lambda: len(relay.listed()) == 2, "ended")
    text = relay.ctl("sessions", "--ended")
    assert [row[:3] for row in rows(text)] == [["1", "web", "server_reset"]]
    assert "Connection reset by peer" in text
    ended = json.loads(relay.ctl("sessions", "--ended", "--json"))["sessions"]
    assert ended[0]["id"] == 1 and ended[0]["ending"] == "server_reset"
    assert not rows(relay.ctl("sessions", "--ended", "--listener", "other"))
    assert "server_reset 1; 1 of 3 accepted" in relay.ctl("status")


def test_top_is_live(relay):
    with Terminal("top", "--interval", "100ms", socket=relay.control) as terminal:
        terminal.wait("half:client").wait("half:server")
        terminal.press("4").wait(lambda me: " open " not in "\n".join(me.lines[4:]))
        terminal.press("1", "a").wait(lambda me: me.lines[4].split()[:2] == ["1", "open"])

        def has_a_rate(me):
            relay.pairs[0][0].send(b"y" * 50_000)
            assert len(relay.pairs[0][1].receive(50_000)) == 50_000
            return re.search(r" \d[.\d]*[KM] +\d[.\d]*[KM] +(59m\d+s|1h0m)$", me.lines[4])

        terminal.wait(has_a_rate)
        terminal.press("enter").wait("CLIENT").wait("ESTABLISHED")
        terminal.press("k").wait("[y/N]").press("y")
        relay.pairs[0][0].expect_reset()
        terminal.press("q").wait(lambda me: "1 all 2 " in me.text)
        terminal.press("q").wait_exit(OK)


def test_a_thousand_sessions_are_listed():
    """More than a page, over several workers."""
    backend = Backend(backlog=2048)
    with ControlledRelay(workers=3, backend=backend) as relay:
        for _ in range(1050):
            relay.pair()
        numbers = [one["id"] for one in relay.listed("--brief")]
        assert sorted(numbers) == list(range(1, 1051))
        assert len(rows(relay.ctl("sessions"))) == 1050
        assert len(relay.listed("--brief", "--limit", 1020)) == 1020
