"""When finback itself is killed, its peers read a reset and never a clean end of file."""

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SilentBackend, random_bytes


def idle(first, second):
    pass


def after_traffic(first, second):
    first.send(b"ping")
    assert second.receive(4) == b"ping"


def half_closed(first, second):
    first.half_close()
    assert second.read_to_eof() == b""


def stalled(first, second):
    first.fill(random_bytes(8 << 20))


def half_closed_and_stalled(first, second):
    half_closed(first, second)
    second.fill(random_bytes(8 << 20))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("bring_to", (idle, after_traffic, half_closed, stalled,
                                      half_closed_and_stalled))
def test_killed(bring_to, side):
    with Relay() as relay:
        first, second = relay.sides(side)
        bring_to(first, second)
        relay.kill()
        first.expect_reset()
        second.expect_reset()


def test_killed_while_connecting():
    with Relay(backend=SilentBackend()) as relay:
        client = relay.connect()
        client.send_and_half_close(b"early")
        client.expect_silence(0.2)
        relay.kill()
        client.expect_reset()
