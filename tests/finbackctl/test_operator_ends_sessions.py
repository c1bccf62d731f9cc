"""kill: the sessions that were meant, both sides, and no other."""

import pytest

from ctl import REFUSED, USAGE, ControlledRelay, Terminal
from lib.peers import eventually


@pytest.fixture(name="relay")
def _relay():
    """Four sessions; the client of 2 and 4 has ended its direction."""
    with ControlledRelay(workers=2) as relay:
        relay.pairs = [relay.greeted_sides("client") for _ in range(4)]
        for client, server in relay.pairs[1::2]:
            client.half_close()
            assert server.read_to_eof() == b""
        eventually(lambda: len(relay.listed("--state", "half_closed")) == 2, "half-closed")
        yield relay


def expect_killed(relay, *numbers):
    for number in numbers:
        for peer in relay.pairs[number - 1]:
            peer.expect_reset()
        relay.wait_session(id=number, ending="killed")
    assert sorted(one["id"] for one in relay.listed()) == sorted({1, 2, 3, 4} - set(numbers))


def test_by_id(relay):
    assert relay.ctl("kill", 3, 1) == "ended 2 sessions\n"
    expect_killed(relay, 1, 3)


def test_by_filter_after_a_question(relay):
    with Terminal("kill", "--state", "half_closed", socket=relay.control) as terminal:
        terminal.wait("end 2 sessions? [y/N]")
        assert len(relay.listed()) == 4
        terminal.press("y", "enter").wait_exit()
    expect_killed(relay, 2, 4)


def test_by_filter_with_yes(relay):
    assert relay.ctl("kill", "--state", "open", "--client", "127.0.0.1", "-y") == (
        "ended 2 sessions\n")
    expect_killed(relay, 1, 3)


def test_nothing_without_a_terminal(relay):
    assert "--yes" in relay.ctl("kill", "--pool", "web", status=USAGE)
    expect_killed(relay)


def test_one_that_is_not_there(relay):
    assert "no session 77" in relay.ctl("kill", 77, 2, status=REFUSED)
    expect_killed(relay, 2)
