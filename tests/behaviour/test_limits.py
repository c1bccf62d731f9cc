"""Connections beyond a limit are reset, counted as `limited`, and cost the others nothing."""

import pytest

from lib.daemon import Finback, Relay
from lib.peers import Backend


@pytest.mark.threads
@pytest.mark.parametrize("where", ("listener", "process"))
@pytest.mark.parametrize("workers", (1, 2))
def test_max_sessions(where, workers):
    limit = {"max_sessions": 3}
    settings = limit if where == "listener" else {"top": limit}
    with Relay(workers=workers, **settings) as relay:
        pairs = [relay.pair() for _ in range(3)]
        for _ in range(4):
            relay.connect().expect_reset(within=3)
        relay.wait_session(count=4, ending="limited", first_closer="finback", connects=0)
        relay.backend.expect_nobody(0.1)
        client, server = pairs.pop()
        client.half_close()
        server.read_to_eof()
        server.half_close()
        client.read_to_eof()
        relay.wait_session(ending="complete")
        client, server = relay.let_in()
        client.send(b"there is room again")
        assert server.receive(19) == b"there is room again"
        for client, server in pairs:
            server.send(b"untouched")
            assert client.receive(9) == b"untouched"


def two_listeners(backend, settings, top):
    return {**top, "listeners": tuple(
        {"name": name, "listen": "127.0.0.1:0", "servers": backend.address, **settings}
        for name in ("one", "two"))}


def test_limit_of_the_process_counts_all_listeners():
    backend = Backend()
    with Finback(two_listeners(backend, {}, {"max_sessions": 2})) as finback:
        finback.own(backend)
        finback.connect("one")
        finback.connect("two")
        backend.accept()
        backend.accept()
        finback.connect("one").expect_reset(within=3)
        finback.connect("two").expect_reset(within=3)
        finback.wait_session(ending="limited", listener="one")
        finback.wait_session(ending="limited", listener="two")


def test_limit_of_a_listener_is_its_own():
    backend = Backend()
    with Finback(two_listeners(backend, {"max_sessions": 1}, {})) as finback:
        finback.own(backend)
        finback.connect("one")
        finback.connect("two")
        backend.accept()
        backend.accept()
        finback.connect("one").expect_reset(within=3)
        finback.wait_session(ending="limited", listener="one")
        assert len(finback.sessions()) == 1
