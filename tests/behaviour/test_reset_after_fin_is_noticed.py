"""A side whose reading has stopped, because its FIN came or because of back-pressure, is still
watched: when it resets, the session ends at once and not at the next write."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, random_bytes
from lib.timing import within

PLENTY = random_bytes(8 << 20)
AT_ONCE = 1  # second


@pytest.mark.threads
@pytest.mark.parametrize("side", SIDES)
def test_while_nothing_is_written(side):
    with Relay() as relay:
        resetting, remaining = relay.sides(side)
        resetting.send_and_half_close(b"all")
        assert remaining.read_to_eof() == b"all"
        time.sleep(0.3)
        with within(AT_ONCE):
            resetting.reset()
            remaining.expect_reset()
            relay.wait_session(ending=f"{side}_reset", first_closer=side)


@pytest.mark.parametrize("side", SIDES)
def test_while_the_opposite_flow_is_stuck(side):
    """It sent its FIN and reads nothing of what is sent to it."""
    with Relay() as relay:
        resetting, remaining = relay.sides(side)
        resetting.half_close()
        assert remaining.read_to_eof() == b""
        remaining.fill(PLENTY)
        with within(AT_ONCE):
            resetting.reset()
            remaining.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_reader_that_holds_everything_up(side):
    """No FIN so far: it simply does not read, then resets."""
    with Relay() as relay:
        resetting, remaining = relay.sides(side)
        remaining.fill(PLENTY)
        with within(AT_ONCE):
            resetting.reset()
            remaining.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_writer_that_is_held_up(side):
    """Nothing is read from it, as the other side takes nothing: the reset is seen all the same,
    and what came before it has `linger` to be taken."""
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "500ms"}) as relay:
        resetting, remaining = relay.sides(side)
        resetting.fill(PLENTY)
        with within(2):
            resetting.reset()
            relay.wait_session(ending=f"{side}_reset")
        remaining.expect_reset()


@pytest.mark.parametrize("side", SIDES)
def test_both_flows_stuck(side):
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "500ms"}) as relay:
        resetting, remaining = relay.sides(side)
        resetting.fill(PLENTY)
        remaining.fill(PLENTY)
        with within(2):
            resetting.reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_fin_then_reset_in_one_turn(side):
    """Both are found at once: the bytes before the FIN still arrive."""
    with Relay() as relay:
        resetting, remaining = relay.greeted_sides(side)
        with relay.stopped():
            resetting.send_and_half_close(b"all of it")
            resetting.wait_acked()
            resetting.reset()
        assert remaining.receive(9) == b"all of it"
        relay.wait_session(ending=f"{side}_reset", within=2)
