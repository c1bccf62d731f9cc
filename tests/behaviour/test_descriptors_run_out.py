"""Running out of descriptors costs new sessions only, is logged at a bounded rate, does not spin,
and heals by itself."""

import contextlib
import select
import time

import pytest

from lib.daemon import Relay
from lib.peers import eventually

WANTED = 80
LIMIT = 64  # descriptors: enough to start, and for some twenty sessions


def start_short_of_descriptors(**settings):
    return Relay(descriptors=LIMIT, top={"max_sessions": 10_000}, **settings)


def settle(relay, clients):
    """Answers a greeting on each connection that comes through; returns clients that got one and
    those that still wait, once nothing has changed for a while."""
    served = []
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1:
        if select.select([relay.backend.sock], [], [], 0.1)[0]:
            with contextlib.suppress(ConnectionResetError):  # of a client that is gone already
                relay.backend.accept().send(b"hello")
            quiet_since = time.monotonic()
    waiting = []
    for client in clients:
        if not select.select([client.sock], [], [], 0)[0]:
            waiting.append(client)
            continue
        try:
            if client.sock.recv(5) == b"hello":
                served.append(client)
        except ConnectionResetError:
            pass  # refused for want of a second descriptor: its own ending says so
    return served, waiting


@pytest.mark.parametrize("workers", (1, 2))
def test_burst_that_does_not_fit(workers):
    with start_short_of_descriptors(workers=workers) as relay:
        clients = [relay.connect() for _ in range(WANTED)]
        served, waiting = settle(relay, clients)
        assert 10 <= len(served) < LIMIT // 2
        assert waiting or len(relay.sessions()) == WANTED - len(served)
        for client in served:
            client.reset()
        again, _ = settle(relay, waiting)
        assert len(again) >= min(len(waiting), 10), "not served when there were descriptors again"
        late, _ = settle_new(relay)
        assert late


def settle_new(relay):
    """A new connection after everybody has gone is served as if nothing had been."""
    relay.reset_peers()
    eventually(lambda: relay.descriptors() <= relay.baseline, "descriptors given back")
    return settle(relay, [relay.connect()])


def test_no_spin_and_few_lines():
    with start_short_of_descriptors() as relay:
        clients = [relay.connect() for _ in range(WANTED)]
        served, _ = settle(relay, clients)
        before = len(complaints(relay))
        assert before >= 1, "nobody is told"
        relay.expect_rest(seconds=2, wakeups_a_second=25)
        assert len(complaints(relay)) - before <= 4
        served[0].send(b"live sessions go on")
        assert any(peer_got(peer, b"live sessions go on") for peer in relay.backend.peers)


def complaints(relay):
    return relay.lines_like(r"finback: (error|warning): .*")


def peer_got(peer, data):
    return select.select([peer.sock], [], [], 0.1)[0] and peer.sock.recv(100) == data


def test_established_sessions_end_well_meanwhile():
    with start_short_of_descriptors() as relay:
        client, server = relay.pair()
        for _ in range(WANTED):
            relay.connect()
        settle(relay, [])
        client.send_and_half_close(b"request")
        assert server.read_to_eof() == b"request"
        server.send_and_half_close(b"reply")
        assert client.read_to_eof() == b"reply"
        relay.wait_session(ending="complete")
