"""log.every: a session that runs has a line so often, with what is known of it by then."""

import re
import time

import pytest

from lib.daemon import Relay

RUNNING = r"finback: session (\d+) (\w+): (.*state=.*)"
PERIOD = 1.0  # the least there is
MARGIN = 0.7


def relay_with(**log):
    relay = Relay(top={"log": {"target": "stderr", "every": "1s", **log}})
    relay.logs_all_sessions = False  # lines of running sessions have no ending
    return relay


def fields_of(match):
    return dict(re.findall(r"(\w+)=(\S+)", match[3]))


def test_a_line_each_second_until_it_ends():
    with relay_with() as relay:
        start = time.monotonic()
        client, server = relay.pair()
        server.send(b"hello")
        client.receive(5)
        first = relay.wait_line(RUNNING)
        assert abs(time.monotonic() - start - PERIOD) < MARGIN
        client.send_and_half_close(b"xyz")
        second = relay.wait_line(RUNNING, count=2)
        assert abs(time.monotonic() - start - 2 * PERIOD) < MARGIN
        server.half_close()
        server.close()
        client.read_to_eof()
        client.close()
        relay.wait_line(r"finback: session \d+ complete: .*")
        time.sleep(PERIOD + MARGIN)
        assert len(relay.lines_like(RUNNING)) == 2
    check_lines(first, second)


def check_lines(first, second):
    assert first[1] == second[1]
    assert (first[2], second[2]) == ("open", "half_closed_client")
    before, after = fields_of(first), fields_of(second)
    assert list(before) == list(after)
    assert "ending" not in before
    assert (before["state"], after["state"]) == ("open", "half_closed_client")
    assert (before["first_closer"], after["first_closer"]) == ("-", "client")
    assert (before["bytes_from_client"], after["bytes_from_client"]) == ("0", "3")
    assert before["bytes_from_server"] == after["bytes_from_server"] == "5"
    for fields, seconds in ((before, PERIOD), (after, 2 * PERIOD)):
        assert abs(int(fields["total_ms"]) / 1000 - seconds) < MARGIN


@pytest.mark.parametrize("sessions, lines", (("failed", 1), ("none", 0)))
def test_as_the_choice_of_sessions_allows(sessions, lines):
    with relay_with(sessions=sessions) as relay:
        relay.pair()
        time.sleep(PERIOD + MARGIN)
        assert len(relay.lines_like(RUNNING)) == lines


def test_no_line_unless_asked_for():
    with Relay() as relay:
        relay.pair()
        time.sleep(PERIOD + MARGIN)
        assert not relay.lines_like(RUNNING)
