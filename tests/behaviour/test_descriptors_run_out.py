"""Running out of descriptors costs new sessions only, is logged at a bounded rate, does not spin,
and heals by itself."""

import contextlib
import resource
import select
import time

import pytest

from lib.daemon import Relay

WANTED = 80
FITTING = 40  # descriptors for sessions; each needs two

# The limit is there from the start, and the daemon knows it; or it comes down behind the daemon's
# back, so that accept() and socket() really fail, each of them at the odd descriptor's turn.
CASES = [(how, workers) for how in ("known", "real", "real and odd") for workers in (1, 2)]


@contextlib.contextmanager
def short_of_descriptors(how, workers=1):
    known = 256 if how == "known" else None
    with Relay(workers=workers, descriptors=known, top={"max_sessions": 10_000}) as relay:
        if how != "known":
            limit = relay.baseline + FITTING + (how == "real and odd")
            resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        yield relay


def connect_too_many(relay, how):
    count = 200 if how == "known" else WANTED
    return [relay.connect() for _ in range(count)]


def settle(relay, clients):
    """Greets each client that comes through, until nothing has changed for a while. Returns the
    clients that were greeted and those that still wait; the others were refused."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1:
        if select.select([relay.backend.sock], [], [], 0.1)[0]:
            with contextlib.suppress(ConnectionResetError):  # of a client that is gone already
                relay.backend.accept().send(b"hello")
            quiet_since = time.monotonic()
    greeted, waiting = [], []
    for client in clients:
        if not select.select([client.sock], [], [], 0)[0]:
            waiting.append(client)
            continue
        with contextlib.suppress(ConnectionResetError):
            if client.sock.recv(5) == b"hello":
                greeted.append(client)
    return greeted, waiting


@pytest.mark.parametrize("how, workers", CASES)
def test_burst_that_does_not_fit(how, workers):
    with short_of_descriptors(how, workers) as relay:
        clients = connect_too_many(relay, how)
        served, waiting = settle(relay, clients)
        assert 10 <= len(served) < len(clients)
        for client in served:
            client.reset()
        again, _ = settle(relay, waiting)
        assert len(again) >= min(len(waiting), 10), "not served when there were descriptors again"
        relay.reset_peers()
        relay.wait_descriptors(relay.baseline)
        late, _ = settle(relay, [relay.connect()])
        assert late, "not served when everybody had gone"


@pytest.mark.parametrize("how", ("known", "real", "real and odd"))
def test_no_spin_and_few_lines(how):
    with short_of_descriptors(how) as relay:
        served, _ = settle(relay, connect_too_many(relay, how))
        before = len(complaints(relay))
        assert before >= 1, "nobody is told"
        relay.expect_rest(seconds=2, wakeups_a_second=25)
        assert len(complaints(relay)) - before <= 4
        served[0].send(b"live sessions go on")
        assert any(peer_got(peer, b"live sessions go on") for peer in relay.backend.peers)


def complaints(relay):
    return relay.lines_like(r"finback: (error|warning): listener .*")


def peer_got(peer, data):
    return select.select([peer.sock], [], [], 0.1)[0] and peer.sock.recv(100) == data


@pytest.mark.parametrize("how", ("known", "real"))
def test_live_sessions_end_well_meanwhile(how):
    with short_of_descriptors(how) as relay:
        client, server = relay.pair()
        connect_too_many(relay, how)
        settle(relay, [])
        client.send_and_half_close(b"request")
        assert server.read_to_eof() == b"request"
        server.send_and_half_close(b"reply")
        assert client.read_to_eof() == b"reply"
        relay.wait_session(ending="complete")
