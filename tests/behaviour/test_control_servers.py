"""The operator's word on a server: ready, drain, maint. It steers new sessions at once, leaves live
ones alone, and outlives a reload."""

import threading

import pytest

from lib.control import Controlled, ControlledFinback, server_path
from lib.peers import Backend, eventually


@pytest.fixture
def pair():
    """Two servers of one pool, the daemon in front of them."""
    with Backend() as first, Backend() as second:
        config = {"workers": 2, "pools": ({"name": "app", "servers": (
            {"address": first.address, "name": "first"},
            {"address": second.address, "name": "second", "weight": 3})},),
            "listeners": ({"name": "web", "listen": "127.0.0.1:0", "pool": "app"},)}
        with ControlledFinback(config) as finback:
            yield finback, first, second
            for backend in (first, second):
                for peer in backend.peers:
                    peer.reset()


def state_of(finback, name):
    return finback.control.server("app", name)["state"]


def up_of(finback, name):
    """What the metrics say of it."""
    line = f'finback_server_up{{pool="app",server="{name}"}} '
    return next(int(text.removeprefix(line)) for text in
                finback.control.get("/metrics").text.splitlines() if text.startswith(line))


@pytest.mark.parametrize("state, is_up", (("drain", True), ("maint", False)))
def test_new_sessions_go_elsewhere(pair, state, is_up):
    finback, first, second = pair
    old = finback.connect()
    served = first.accept(within=5) if finback.control.server("app", "first")["sessions"] else \
        second.accept()
    answer = finback.control.set_server("app", "second", state)
    assert answer["state"] == state and answer["up"] is is_up and answer["name"] == "second"
    assert answer == finback.control.server("app", "second")
    assert up_of(finback, "second") == is_up
    for _ in range(10):
        finback.connect()
        first.accept()
    second.expect_nobody(0.3)
    old.send(b"live ones go on")
    assert served.receive(15) == b"live ones go on"
    finback.wait_line(rf"finback: control: server second of pool app is set from ready to {state} "
                      r"\(uid \d+, pid \d+\)")
    finback.control.set_server("app", "second", "ready")
    for _ in range(4):
        finback.connect()
    second.accept()
    finback.reset_peers()


@pytest.mark.threads
def test_it_outlives_a_reload(pair):
    finback, first, second = pair
    finback.control.set_server("app", "second", "maint")
    finback.reload(finback.config)
    assert state_of(finback, "second") == "maint"
    finback.connect()
    first.accept()
    second.expect_nobody(0.3)


def test_no_server_is_left(pair):
    finback, first, second = pair
    finback.control.set_server("app", "first", "drain")
    finback.control.set_server("app", "second", "maint")
    client = finback.connect()
    client.expect_reset()
    assert finback.wait_session()["ending"] in ("no_server", "connect_failed", "connect_refused")
    finback.control.set_server("app", "first", "ready")
    finback.connect()
    first.accept()
    second.expect_nobody(0.1)


def test_the_same_word_again_says_nothing(pair):
    finback, _, _ = pair
    for state in ("drain", "drain", "ready", "ready"):
        assert finback.control.set_server("app", "first", state)["state"] == state
    finback.control.set_server("app", "second", "maint")
    finback.wait_line(r"finback: control: server second .*")
    assert len(finback.lines_like(r"finback: control: server first .*")) == 2


def test_connects_are_counted():
    with Controlled() as relay:
        name = relay.backend.address
        for _ in range(3):
            relay.pair()
        eventually(lambda: relay.control.server("web", name)["connects"]["ok"] == 3)
        assert relay.control.server("web", name)["sessions"] == 3


@pytest.mark.threads
def test_words_from_many_at_once(pair):
    finback, first, second = pair
    path = server_path("app", "first")

    def change(client):
        for state in ("drain", "maint", "ready") * 20:
            assert client.patch(path, {"state": state}).status == 200

    clients = [finback.client(finback.control.address) for _ in range(4)]
    threads = [threading.Thread(target=change, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for _ in range(40):
        finback.connect()
    for thread in threads:
        thread.join()
    assert state_of(finback, "first") == "ready"
    finback.reset_peers()
    for backend in (first, second):
        backend.sock.setblocking(False)
