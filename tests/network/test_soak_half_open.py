"""The short soak: 50,000 sessions, of which 1 in 500 loses a peer without a word. The long one is
`scripts/soak half-open`."""

import random
import socket
import struct
import threading
import time

import pytest

from lib.daemon import environment
from lib.peers import format_address
from soak.half_open import Plan, run

LIMIT = 300         # s; it takes some 30
UNDERWAY = 0.5      # s, that a segment may take from its sender to us
ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
ROOM = 64 << 20     # for what is heard while we do something else
TCP = 6


@pytest.mark.timeout(LIMIT)
def test_those_that_vanish_end_as_dead_and_no_other(lab, monkeypatch):
    # ASan keeps what is freed for a while, unless told not to.
    monkeypatch.setenv("ASAN_OPTIONS", environment().get("ASAN_OPTIONS", "") +
                       ":quarantine_size_mb=4:thread_local_quarantine_size_kb=64")
    plan = Plan(sessions=50000, one_in=500, rest_in=500, dead_after=5,
                seed=random.randrange(1, 1 << 48), warm_up=2000, kept_bytes=24 << 20)
    result = run(lab, plan)
    print(f"seed {plan.seed}", *result.lines(), sep="\n")
    assert not result.wrongs


# That they are as silent as they should be

def tcp_addresses(packet):
    """(source, destination) of a TCP segment with its network header, or None."""
    if packet[0] >> 4 == 4:
        family, protocol, at, size, end = socket.AF_INET, packet[9], 12, 4, (packet[0] & 15) * 4
    else:
        family, protocol, at, size, end = socket.AF_INET6, packet[6], 8, 16, 40
    if protocol != TCP:
        return None
    hosts = (packet[at + i * size:at + (i + 1) * size] for i in range(2))
    ports = struct.unpack("!HH", packet[end:end + 4])
    return tuple(format_address((socket.inet_ntop(family, host), port))
                 for host, port in zip(hosts, ports))


class Listener:
    """Hears all that the relay's host is sent and sends: when it last heard from one address to
    another."""

    def __init__(self, lab):
        with lab.inside("relay"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                         socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self._socket.settimeout(0.1)
        self.last = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._is_over = True
        self._thread.join()
        self._socket.close()

    def missed(self):
        """How many segments it had no room for."""
        return struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def _listen(self):
        while not self._is_over:
            try:
                packet = self._socket.recv(128)
            except TimeoutError:
                continue
            addresses = tcp_addresses(packet)
            if addresses:
                self.last[addresses] = time.monotonic()


def test_they_vanish_without_a_word(lab):
    plan = Plan(sessions=400, one_in=20, dead_after=3, seed=7, at_a_time=20)
    with Listener(lab) as heard:
        result = run(lab, plan)
        assert heard.missed() == 0
    assert not result.wrongs
    assert len(result.vanished) == 20
    for vanished in result.vanished:
        line, side = vanished.line, vanished.side
        peer, finback = line[side], line[f"{side}_local"]
        assert heard.last[peer, finback] < vanished.vanished_at + UNDERWAY, vanished
        assert heard.last[finback, peer] > vanished.vanished_at + plan.dead_after / 2, vanished
