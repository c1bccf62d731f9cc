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
    assert re.search(r"^dead after +2m0s +2m0s$", text, re.M)
    assert "application probe" not in text
    one = json.loads(relay.ctl("session", 2, "--json"))
    assert one["id"] == 2 and one["client"]["bytes"] == 100 and "explanation" in one


def test_application_probe_is_shown():
    probe = {"protocol": "lines", "send": "NOOP\r\n", "expect": "OK\r\n", "interval": "500ms",
             "answer": "1h"}
    with ControlledRelay(server={"probe": probe}) as relay:
        client, server = relay.pair()
        client.send(b"hello\r\n")
        assert server.receive(7) == b"hello\r\n"
        server.send(b"hi\r\n")
        assert client.receive(4) == b"hi\r\n"
        assert server.receive(6) == b"NOOP\r\n"
        text = relay.ctl("session", 1)
        assert re.search(r"a probe was sent to the server (\d+\.\d|\d+|under 0\.1) s ago and has no "
                         r"answer yet", " ".join(text.split("\n\n")[0].split()))
        assert re.search(r"^application probe +- +lines, awaiting$", text, re.M)
        assert re.search(r"^probes sent +- +1, replies 0$", text, re.M)
        assert re.search(r"^next probe +- +no answer for \d+\.\ds$", text, re.M)
        server.send(b"OK\r\n")
        eventually(lambda: relay.listed()[0]["server"]["probe"]["replies"] == 1, "a reply")
        assert relay.listed()[0]["client"]["probe"] is None
        client.send(b"STARTTLS\r\n")  # what comes after it is not for reading
        eventually(lambda: relay.listed()[0]["server"]["probe"]["mode"] == "off", "off")
        assert re.search(r"^application probe +- +lines, off$\n^probes sent .*\n^next probe +- +-$",
                         relay.ctl("session", 1), re.M)


def test_what_finds_dead_peers_is_shown():
    probe = {"protocol": "lines", "send": "NOOP\r\n", "interval": "1h"}
    sides = {"client": {"keepalive": {"idle": "20s"}},
             "server": {"dead_after": "1d", "probe": probe}}
    with ControlledRelay(**sides) as relay:
        relay.greeted_sides("client")
        one = relay.listed()[0]
        assert one["client"]["dead_after_s"] is None and one["server"]["dead_after_s"] == 86400
        assert 3600 * 7 / 8 - 60 < one["server"]["probe"]["next_in_s"] <= 3600
    with ControlledRelay(server_family="unix", client={"dead_after": "0"}) as relay:
        relay.greeted_sides("client")
        assert relay.listed()[0]["client"]["dead_after_s"] is None
        assert relay.listed()[0]["server"]["dead_after_s"] is None


def test_idle_that_spares_is_explained():
    with ControlledRelay(timeouts={"idle": "1h", "idle_spares_alive": True}) as relay:
        relay.greeted_sides("client")
        assert relay.listed()[0]["ending_in"]["deadline"] == "idle"
        eventually(lambda: re.search(r"; idle is due in \d+ min( \d+ s)?, and is put off while both "
                                     r"peers are known to be alive$",
                                     relay.listed()[0]["explanation"]), "the explanation")


def test_brief_leaves_out_what_is_costly(relay):
    whole, brief = relay.listed()[0], relay.listed("--brief")[0]
    assert "explanation" in whole and whole["client"]["tcp"]
    assert "explanation" not in brief and "tcp" not in brief["client"]
    assert "probe" in whole["client"] and "probe" not in brief["client"]


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
