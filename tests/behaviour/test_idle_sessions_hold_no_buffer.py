"""A session that has moved bytes and is idle again holds no buffer."""

import pytest

from lib.daemon import Relay, environment
from lib.peers import random_bytes

SESSIONS = 150
BURST = random_bytes(1 << 20)
A_SESSION = 8 << 10
ALLOCATOR = 6 << 20  # what it may keep for the next one, a sanitizer's quarantine among it


@pytest.mark.timeout(300)
def test_resident_memory_after_traffic(monkeypatch):
    """Each session in turn gets its buffers filled, both ways. (Over UNIX sockets, as the kernel's
    buffers are small there.)"""
    # ASan keeps what is freed for a while, unless told not to.
    monkeypatch.setenv("ASAN_OPTIONS", environment().get("ASAN_OPTIONS", "") +
                       ":quarantine_size_mb=1")
    with Relay(client_family="unix", server_family="unix", buffer="128KiB") as relay:
        pairs = [relay.pair() for _ in range(SESSIONS)]
        move_a_burst(pairs[0])
        resident = relay.resident_bytes()
        for pair in pairs:
            move_a_burst(pair)
        grown = relay.resident_bytes() - resident
        assert grown < SESSIONS * A_SESSION + ALLOCATOR, f"{grown // SESSIONS} bytes a session"


def move_a_burst(pair):
    for sender, reader in (pair, pair[::-1]):
        sent, _ = sender.fill(BURST, quiet=0.03)
        assert 128 << 10 < sent < len(BURST), "nothing was held up"
        assert reader.receive(sent) == BURST[:sent]
