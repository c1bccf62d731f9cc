"""Bytes arrive in order; none is added, changed, doubled or lost."""

import hashlib

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, random_bytes

MEGABYTE = 1 << 20


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_both_ways_at_once(workers):
    sent = [random_bytes(6 * MEGABYTE), random_bytes(5 * MEGABYTE)]
    with Relay(workers=workers) as relay:
        peers = relay.pair()
        senders = [Background(peer.send_and_half_close, data) for peer, data in zip(peers, sent)]
        readers = [Background(peer.read_to_eof) for peer in reversed(peers)]
        assert [digest(reader.result()) for reader in readers] == [digest(data) for data in sent]
        for sender in senders:
            sender.result()
        relay.wait_session(ending="complete", bytes_from_client=6 * MEGABYTE,
                           bytes_from_server=5 * MEGABYTE)


@pytest.mark.threads
def test_many_sessions_do_not_mix():
    with Relay(workers=2) as relay:
        pairs = [relay.pair() for _ in range(16)]
        sent = [random_bytes(300_000 + number) for number in range(len(pairs))]
        senders = [Background(client.send_and_half_close, data)
                   for (client, _), data in zip(pairs, sent)]
        readers = [Background(server.read_to_eof) for _, server in pairs]
        for reader, sender, data in zip(readers, senders, sent):
            sender.result()
            assert digest(reader.result()) == digest(data)


@pytest.mark.parametrize("side", SIDES)
def test_writes_of_one_byte(side):
    data = random_bytes(2000)
    with Relay() as relay:
        sender, reader = relay.sides(side)
        got = Background(reader.receive, len(data))
        for byte in data:
            sender.send(bytes([byte]))
        assert got.result() == data


@pytest.mark.parametrize("side", SIDES)
def test_through_a_small_buffer_and_a_slow_reader(side):
    """The buffer wraps around many times, filled and emptied in uneven steps."""
    data = random_bytes(3 * MEGABYTE)
    with Relay(receive_buffer=SLOW_READER, buffer="4KiB") as relay:
        sender, reader = relay.sides(side)
        sending = Background(sender.send_and_half_close, data)
        got = reader.read_slowly(177_777, 0.02)
        sending.result()
        assert digest(got) == digest(data)
