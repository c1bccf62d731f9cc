"""The kernel reports an error once, to whichever call asks first; a read after that returns 0, as
for a clean end. A relay that writes while the reset comes must not pass that 0 on as a FIN."""

import errno
import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import Background

ROUNDS = 25


@pytest.mark.parametrize("side", SIDES)
def test_peer_resets_while_it_is_written_to(side):
    with Relay() as relay:
        for number in range(ROUNDS):
            resetting, flooding = relay.sides(side)
            flood = Background(flooding.flood_until_broken, b"x" * 16384)
            resetting.receive(200_000 + 7919 * number)
            resetting.reset()
            assert flood.result() == errno.ECONNRESET, f"round {number}"
        relay.wait_session(count=ROUNDS, ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_reset_and_write_meet(side):
    """The reset and a write towards it are under way at the same time."""
    with Relay() as relay:
        for number in range(ROUNDS):
            resetting, other = relay.sides(side)
            other.send(b"ping")
            resetting.receive(4)
            other.send(b"x" * (1 + 997 * number))
            resetting.reset()
            other.expect_reset()


@pytest.mark.parametrize("side", SIDES)
def test_reset_while_the_daemon_is_stopped(side):
    """Bytes to write and the reset are found in one turn, with the write side ready first."""
    with Relay() as relay:
        resetting, other = relay.greeted_sides(side)
        with relay.stopped():
            other.send(b"x" * 50_000)
            resetting.send(b"last words")
            resetting.wait_acked()
            resetting.reset()
            time.sleep(0.05)
        assert other.expect_reset() == b"last words"
        relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_both_reset_at_once(side):
    with Relay() as relay:
        first, second = relay.greeted_sides(side)
        with relay.stopped():
            first.send(b"to nobody")
            second.send(b"to nobody")
            first.reset()
            second.reset()
        relay.wait_session()
