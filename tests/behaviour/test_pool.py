"""Which server a session gets, and what happens when one refuses or does not answer."""

import collections
import contextlib
import time

import pytest

from lib.daemon import Finback
from lib.peers import Backend, SilentBackend, eventually, refusing_backend
from lib.timing import assert_elapsed


@contextlib.contextmanager
def pool_of(*servers, balance=None, workers=1, **listener):
    """A daemon with one pool. A server is a backend, or (backend, {settings})."""
    entries, backends = [], []
    for server in servers:
        backend, settings = server if isinstance(server, tuple) else (server, {})
        backends.append(backend)
        entries.append({"address": backend.address, **settings})
    pool = {"name": "app", "servers": tuple(entries)}
    if balance:
        pool["balance"] = balance
    config = {"workers": workers, "pools": (pool,),
              "listeners": ({"name": "web", "listen": "127.0.0.1:0", "pool": "app", **listener},)}
    finback = Finback(config)
    for backend in backends:
        finback.own(backend)
    with finback:
        yield finback


def session_through(finback, *backends):
    """One more session: the client, the server's peer, and which backend got it."""
    client = finback.connect()
    server, index = accept_on_any(backends)
    return client, server, index


def accept_on_any(backends):
    def one():
        for index, backend in enumerate(backends):
            with contextlib.suppress(TimeoutError, BlockingIOError):
                return backend.accept(within=0.01), index
        return None

    return eventually(one, "a server gets the connection")


def finish(client, server):
    client.half_close()
    server.read_to_eof()
    server.half_close()
    client.read_to_eof()


# Servers that refuse

def test_next_server_when_one_refuses():
    good = Backend()
    with pool_of(refusing_backend(), refusing_backend("unix"), good) as finback:
        for _ in range(3):
            client, server, _ = session_through(finback, good)
            finish(client, server)
        finback.wait_session(count=3, ending="complete", server_name=good.address, pool="app")
        assert {session["connects"] for session in finback.sessions()} <= {1, 2, 3}
        assert any(session["connects"] > 1 for session in finback.sessions())


def test_all_refuse():
    with pool_of(refusing_backend(), refusing_backend()) as finback:
        client = finback.connect()
        assert client.expect_reset(within=3) == b""
        session = finback.wait_session(ending="connect_refused")
        assert session["connects"] == 2 and session["first_closer"] == "finback"


def test_unreachable():
    """A UNIX server whose socket is not there."""
    config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                             "servers": "unix:/nonexistent/server"},)}
    with Finback(config) as finback:
        finback.connect().expect_reset(within=3)
        finback.wait_session(ending="connect_failed", connects=1)


def test_server_that_comes_back_is_used():
    first = refusing_backend()
    with pool_of(first) as finback:
        finback.connect().expect_reset()
        first.sock.listen(8)
        client, server, _ = session_through(finback, first)
        finish(client, server)
        finback.wait_session(ending="complete")


# Servers that do not answer

@pytest.mark.parametrize("family", ("ipv4", "unix"))
def test_next_server_when_one_is_silent(family):
    """Each server has `connect` for itself."""
    good = Backend()
    with pool_of(SilentBackend(family), (good, {"backup": True}),
                 timeouts={"connect": "600ms"}) as finback:
        start = time.monotonic()
        client, server, _ = session_through(finback, good)
        assert_elapsed(start, 0.6)
        finish(client, server)
        session = finback.wait_session(ending="complete", connects=2)
        assert session["connect_ms"] >= 590


def test_all_are_silent():
    with pool_of(SilentBackend(), SilentBackend(), timeouts={"connect": "500ms"}) as finback:
        start = time.monotonic()
        client = finback.connect()
        client.expect_reset()
        assert_elapsed(start, 1.0)
        finback.wait_session(ending="connect_timeout", connects=2)


# Balance

@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_round_robin_by_weight(workers):
    """Exact over a cycle, whichever workers the sessions fall to."""
    backends = [Backend(), Backend(), Backend()]
    weights = (3, 1, 2)
    servers = [(backend, {"weight": weight}) for backend, weight in zip(backends, weights)]
    with pool_of(*servers, balance="round_robin", workers=workers) as finback:
        for _ in range(3):
            got = collections.Counter()
            for _ in range(sum(weights)):
                client, server, index = session_through(finback, *backends)
                got[index] += 1
                finish(client, server)
            assert [got[index] for index in range(3)] == list(weights)


def test_round_robin_is_the_default():
    backends = [Backend(), Backend()]
    with pool_of(*backends) as finback:
        got = [session_through(finback, *backends)[2] for _ in range(8)]
        assert sorted(got) == [0] * 4 + [1] * 4


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_least_sessions(workers):
    backends = [Backend(), Backend(), Backend()]
    with pool_of(*backends, balance="least_sessions", workers=workers) as finback:
        live = [session_through(finback, *backends) for _ in range(6)]
        assert collections.Counter(index for _, _, index in live) == {0: 2, 1: 2, 2: 2}
        freed = live[0][2]
        ended = 0
        for client, server, index in live:
            if index == freed:
                finish(client, server)
                ended += 1
        finback.wait_session(count=ended, ending="complete")
        assert [session_through(finback, *backends)[2] for _ in range(2)] == [freed, freed]


def test_least_sessions_by_weight():
    backends = [Backend(), Backend()]
    servers = [(backends[0], {"weight": 3}), backends[1]]
    with pool_of(*servers, balance="least_sessions") as finback:
        got = [session_through(finback, *backends)[2] for _ in range(8)]
        assert collections.Counter(got) == {0: 6, 1: 2}


def test_backup_only_when_the_others_fail():
    main, backup = Backend(), Backend()
    with pool_of((backup, {"backup": True}), main) as finback:
        for _ in range(4):
            assert session_through(finback, backup, main)[2] == 1
        main.sock.close()
        client, server, index = session_through(finback, backup)
        finish(client, server)
        finback.wait_session(ending="complete", server_name=backup.address)
        assert index == 0


# Names

def test_server_by_host_name():
    good = Backend()
    port = good.address.rsplit(":", 1)[1]
    config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                             "servers": f"localhost:{port}"},)}
    with Finback(config) as finback:
        finback.own(good)
        client, server, _ = session_through(finback, good)
        finish(client, server)
        finback.wait_session(ending="complete", server_name=f"localhost:{port}")


def test_server_with_a_name_of_its_own():
    good = Backend()
    with pool_of((good, {"name": "alpha"})) as finback:
        client, server, _ = session_through(finback, good)
        finish(client, server)
        finback.wait_session(ending="complete", server_name="alpha", server=good.address)
