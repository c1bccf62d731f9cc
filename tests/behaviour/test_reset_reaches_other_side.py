"""A reset stays a reset, in every state and both directions; what came before it comes first."""

import time

import pytest

from lib.daemon import SIDES, Relay, other
from lib.peers import SLOW_READER, random_bytes
from lib.timing import within

STATES = ("fresh", "after traffic", "its own flow ended", "the opposite flow ended")
CASES = [(side, state) for side in SIDES for state in STATES]


def bring_to(state, resetting, remaining):
    """Brings a session into a state, seen from the side that is going to reset."""
    if state == "after traffic":
        resetting.send(b"ping")
        assert remaining.receive(4) == b"ping"
        remaining.send(b"pong")
        assert resetting.receive(4) == b"pong"
    if state == "its own flow ended":
        resetting.send_and_half_close(b"all of it")
        assert remaining.read_to_eof() == b"all of it"
    if state == "the opposite flow ended":
        remaining.send_and_half_close(b"all of it")
        assert resetting.read_to_eof() == b"all of it"


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
@pytest.mark.parametrize("side, state", CASES)
def test_in_every_state(side, state, workers):
    with Relay(workers=workers) as relay:
        resetting, remaining = relay.sides(side)
        bring_to(state, resetting, remaining)
        time.sleep(0.1)
        with within(1):
            resetting.reset()
            remaining.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("family", ("ipv6", "unix"))
@pytest.mark.parametrize("state", STATES)
def test_to_another_family(state, family):
    """From IPv4 to the other families. A UNIX socket cannot be reset: it is closed."""
    with Relay(server_family=family) as relay:
        resetting, remaining = relay.sides("client")
        bring_to(state, resetting, remaining)
        time.sleep(0.1)
        with within(1):
            resetting.reset()
            remaining.expect_reset()
            relay.wait_session(ending="client_reset")


@pytest.mark.parametrize("side", SIDES)
def test_bytes_right_before_it_are_delivered(side):
    with Relay() as relay:
        for number in range(20):
            resetting, remaining = relay.greeted_sides(side)
            data = random_bytes(1 + 3001 * number)
            resetting.send(data)
            resetting.wait_acked()
            resetting.reset()
            assert remaining.expect_reset() == data


@pytest.mark.parametrize("side", SIDES)
def test_bytes_behind_a_slow_reader_are_delivered_first(side):
    """All that the daemon's kernel had acknowledged arrives, though the reader begins late."""
    data = random_bytes(8 << 20)
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "5s"}) as relay:
        resetting, remaining = relay.sides(side)
        sent, _ = resetting.fill(data)
        accepted = sent - resetting.unacked()
        resetting.reset()
        time.sleep(1)
        assert not relay.sessions()
        got = remaining.expect_reset()
        assert got == data[:len(got)]
        assert len(got) >= accepted > 0
        relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_reader_that_stops_for_good_gets_its_reset_after_linger(side):
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "700ms"}) as relay:
        resetting, remaining = relay.sides(side)
        resetting.fill(random_bytes(8 << 20))
        resetting.reset()
        relay.wait_session(ending=f"{side}_reset", within=3)
        remaining.expect_reset()


@pytest.mark.parametrize("side", SIDES)
def test_in_the_half_closed_state_with_bytes_held(side):
    """The other side has ended its flow and reads slowly what this side still sent."""
    data = random_bytes(8 << 20)
    with Relay(receive_buffer=SLOW_READER) as relay:
        resetting, remaining = relay.sides(side)
        remaining.half_close()
        assert resetting.read_to_eof() == b""
        sent, _ = resetting.fill(data)
        accepted = sent - resetting.unacked()
        resetting.reset()
        time.sleep(0.5)
        got = remaining.expect_reset()
        assert got == data[:len(got)] and len(got) >= accepted
        relay.wait_session(ending=f"{side}_reset", first_closer=other(side))
