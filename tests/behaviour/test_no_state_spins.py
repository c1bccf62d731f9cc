"""A session that moves nothing makes no wake-up, whatever state it is in."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, SilentBackend, random_bytes

PLENTY = random_bytes(8 << 20)
TAIL = 400_000


def idle(first, second):
    first.send(b"ping")
    second.receive(4)
    second.send(b"pong")
    first.receive(4)


def stalled(first, second):
    first.fill(PLENTY)


def stalled_both_ways(first, second):
    first.fill(PLENTY)
    second.fill(PLENTY)


def half_closed(first, second):
    first.send_and_half_close(b"all")
    assert second.read_to_eof() == b"all"


def fin_behind_a_tail(first, second):
    """The FIN has been sent behind bytes that the reader does not take."""
    first.send_and_half_close(PLENTY[:TAIL])


def fin_behind_a_full_buffer(first, second):
    """The FIN itself has not even been read."""
    first.fill(PLENTY)
    first.half_close()


def half_closed_and_stalled(first, second):
    first.half_close()
    assert second.read_to_eof() == b""
    second.fill(PLENTY)


def both_fins_with_a_tail(first, second):
    """Hung up in both directions, and bytes still on the way in one."""
    first.send_and_half_close(PLENTY[:TAIL])
    second.half_close()
    assert first.read_to_eof() == b""


def both_fins_with_two_tails(first, second):
    first.send_and_half_close(PLENTY[:TAIL])
    second.send_and_half_close(PLENTY[:TAIL])


def both_fins_behind_a_full_buffer(first, second):
    second.half_close()
    assert first.read_to_eof() == b""
    first.fill(PLENTY)
    first.half_close()


def reset_behind_a_tail(first, second):
    """One side is gone; what it sent waits to be taken."""
    first.send(PLENTY[:TAIL])
    first.wait_acked()
    first.reset()


def reset_behind_a_full_buffer(first, second):
    first.fill(PLENTY)
    first.reset()


def fin_then_reset_behind_a_tail(first, second):
    first.send_and_half_close(PLENTY[:TAIL])
    time.sleep(0.3)
    first.reset()


def urgent_byte_waiting(first, second):
    first.send_urgent(b"!")


STATES = (
    idle, stalled, stalled_both_ways, half_closed, fin_behind_a_tail, fin_behind_a_full_buffer,
    half_closed_and_stalled, both_fins_with_a_tail, both_fins_with_two_tails,
    both_fins_behind_a_full_buffer, reset_behind_a_tail, reset_behind_a_full_buffer,
    fin_then_reset_behind_a_tail, urgent_byte_waiting,
)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bring_to", STATES)
def test_state(bring_to, side):
    with Relay(receive_buffer=SLOW_READER) as relay:
        bring_to(*relay.sides(side))
        time.sleep(0.4)
        relay.expect_rest()


def connecting(client):
    pass


def connecting_with_bytes(client):
    client.send(b"early")


def connecting_with_more_than_fits(client):
    client.fill(PLENTY)


def connecting_with_fin(client):
    client.send_and_half_close(b"early")


@pytest.mark.parametrize("bring_to", (connecting, connecting_with_bytes, connecting_with_fin,
                                      connecting_with_more_than_fits))
@pytest.mark.parametrize("family", ("ipv4", "unix"))
def test_connecting(bring_to, family):
    backend = SilentBackend(family)
    with Relay(backend=backend, timeouts={"connect": "4s"}) as relay:
        bring_to(relay.connect())
        time.sleep(0.4)
        relay.expect_rest()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bring_to", (idle, stalled, half_closed, half_closed_and_stalled,
                                      fin_behind_a_tail, both_fins_with_a_tail))
def test_state_over_unix_sockets(bring_to, side):
    with Relay(client_family="unix", server_family="unix") as relay:
        bring_to_in_background(bring_to, *relay.sides(side))
        time.sleep(0.4)
        relay.expect_rest()


def bring_to_in_background(bring_to, first, second):
    """A UNIX socket holds little: a send of a tail may wait for a reader."""
    bringing = Background(bring_to, first, second)
    try:
        bringing.result(within=2)
    except AssertionError:
        pass


def test_after_sessions_have_ended():
    with Relay() as relay:
        for _ in range(5):
            client, server = relay.pair()
            half_closed(client, server)
            half_closed(server, client)
        relay.wait_session(count=5, ending="complete")
        relay.expect_rest()


def test_with_nothing_at_all():
    with Relay(workers=4) as relay:
        time.sleep(0.3)
        relay.expect_rest()
