"""A session that has moved bytes and is idle again holds no buffer."""

import pytest

from lib.daemon import Relay
from lib.peers import SLOW_READER, Background, random_bytes

SESSIONS = 300
BURST = random_bytes(600_000)


@pytest.mark.timeout(300)
def test_resident_memory_after_traffic():
    """Each session in turn needs its buffers, as its readers begin late."""
    with Relay(receive_buffer=SLOW_READER, buffer="128KiB") as relay:
        pairs = [relay.pair() for _ in range(SESSIONS)]
        move_a_burst(pairs[0])
        resident = relay.resident_bytes()
        for pair in pairs:
            move_a_burst(pair)
        grown = relay.resident_bytes() - resident
        assert grown < SESSIONS * (8 << 10), f"{grown // SESSIONS} bytes a session"


def move_a_burst(pair):
    for sender, reader in (pair, pair[::-1]):
        sending = Background(sender.send, BURST)
        assert reader.receive(len(BURST)) == BURST
        sending.result()
