"""A write that fails is a reset from that side; so is a peer that closed with unread data."""

import pytest

from lib.daemon import SIDES, Relay
from lib.timing import within


@pytest.mark.parametrize("side", SIDES)
def test_close_on_unread_data(side):
    with Relay() as relay:
        closing, other = relay.sides(side)
        other.send(b"never read")
        assert closing.sock.recv(1) == b"n"
        with within(1):
            closing.close()
            other.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_close_on_unread_data_that_still_comes(side):
    with Relay() as relay:
        closing, other = relay.sides(side)
        other.fill(b"x" * (8 << 20))
        with within(1):
            closing.close()
            other.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


@pytest.mark.parametrize("side", SIDES)
def test_write_to_a_peer_that_closed_both_ways(side):
    """close() without unread data looks like a half-close until something is written to it."""
    with Relay() as relay:
        closing, other = relay.sides(side)
        closing.send(b"bye")
        closing.close()
        assert other.read_to_eof() == b"bye"
        with within(1):
            other.send(b"are you there?")
            other.expect_reset()
            relay.wait_session(ending=f"{side}_reset")


def test_unix_server_that_closed_both_ways():
    """There the write itself fails, with EPIPE."""
    with Relay(server_family="unix") as relay:
        client, server = relay.pair()
        server.close()
        assert client.read_to_eof() == b""
        with within(1):
            client.send(b"are you there?")
            client.expect_reset()
            relay.wait_session(ending="server_reset")
