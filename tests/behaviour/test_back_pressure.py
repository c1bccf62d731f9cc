"""A slow reader slows its writer, and a session holds its buffers at most, whatever is sent."""

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, plenty

BUFFER = 64 << 10


@pytest.mark.parametrize("side", SIDES)
def test_writer_is_held_up_and_goes_on_later(side):
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sent, _ = sender.fill(plenty())
        assert sent < len(plenty()), "nothing held the writer up"
        assert reader.receive(sent) == plenty()[:sent]
        sending = Background(sender.send_and_half_close, b"and more")
        assert reader.read_to_eof() == b"and more"
        sending.result()


@pytest.mark.parametrize("side", SIDES)
def test_opposite_flow_is_not_held_up(side):
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sender.fill(plenty())
        for number in range(50):
            reader.send(b"%03d" % number)
            assert sender.receive(3) == b"%03d" % number


def test_other_sessions_are_not_held_up():
    with Relay(receive_buffer=SLOW_READER) as relay:
        relay.pair()[0].fill(plenty())
        client, server = relay.pair()
        sending = Background(client.send_and_half_close, plenty()[:1 << 20])
        assert server.read_to_eof() == plenty()[:1 << 20]
        sending.result()


def test_memory_of_stalled_sessions_is_bounded():
    """Far more is sent in both flows of each session than it may hold."""
    sessions, sent = 64, plenty()[:2 << 20]
    with Relay(receive_buffer=SLOW_READER, buffer="64KiB") as relay:
        resident = relay.resident_bytes()
        pairs = [relay.pair() for _ in range(sessions)]
        fills = [Background(peer.fill, sent, 1.0) for pair in pairs for peer in pair]
        assert sum(fill.result()[0] for fill in fills) > sessions << 20
        grown = relay.resident_bytes() - resident
        assert grown < sessions * 2 * BUFFER * 1.25 + (8 << 20), f"{grown >> 20} MiB"
