"""SIGHUP: a good file takes effect for new sessions, a bad one changes nothing, and live sessions
go on under the settings they began with."""

import signal
import time

import pytest

from lib.daemon import Finback, Relay
from lib.peers import Backend, eventually, refuses

LISTEN = "127.0.0.1:0"


def config_of(*listeners, **top):
    return {**top, "listeners": tuple(listeners)}


def listener(backend, name="web", **settings):
    return {"name": name, "listen": LISTEN, "servers": backend.address, **settings}


def ping(client, server):
    client.send(b"ping")
    assert server.receive(4) == b"ping"
    server.send(b"pong")
    assert client.receive(4) == b"pong"


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_new_sessions_go_to_the_new_server(workers):
    with Backend() as old, Backend() as new:
        with Finback(config_of(listener(old), workers=workers)) as finback:
            before = finback.connect(), old.accept()
            finback.reload(config_of(listener(new), workers=workers))
            for _ in range(4):
                ping(finback.connect(), new.accept())
            old.expect_nobody(0.1)
            ping(*before)
            before[0].half_close()
            assert before[1].read_to_eof() == b""
            ping_back(*before)
            finback.wait_session(ending="complete", server_name=old.address)
            for backend in (old, new):
                for peer in backend.peers:
                    peer.reset()


def ping_back(client, server):
    server.send_and_half_close(b"bye")
    assert client.read_to_eof() == b"bye"


def test_live_sessions_keep_their_deadlines():
    with Relay(timeouts={"idle": "1h"}) as relay:
        old = relay.pair()
        relay.reload({"listeners": ({**relay.listener, "timeouts": {"idle": "500ms"}},)})
        new = relay.pair()
        relay.wait_session(ending="idle_timeout", within=3)
        new[0].expect_reset()
        time.sleep(0.5)
        ping(*old)


def test_many_reloads_with_live_sessions():
    """Every session keeps the configuration it began with alive, and gives it back."""
    with Relay() as relay:
        pairs = []
        for number in range(8):
            pairs.append(relay.pair())
            timeouts = {"idle": f"{600 + number}s"}
            relay.reload({"listeners": ({**relay.listener, "timeouts": timeouts},)})
        for client, server in pairs:
            ping(client, server)


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_kept_listener_loses_no_connection_in_its_queue(workers):
    with Relay(workers=workers) as relay:
        with relay.stopped():
            clients = [relay.connect() for _ in range(30)]
            for number, client in enumerate(clients):
                client.send(b"%02d" % number)
            relay.signal(signal.SIGHUP)
        relay.wait_line(r"finback: reloaded\b.*")
        servers = {server.receive(2): server for server in
                   (relay.backend.accept() for _ in clients)}
        for number, client in enumerate(clients):
            servers[b"%02d" % number].send(b"served")
            assert client.receive(6) == b"served"
        assert len(relay.addresses["web"]) == 1 or len(set(relay.addresses["web"])) == 1


@pytest.mark.threads
def test_reload_under_connections_that_keep_coming():
    with Relay(workers=2) as relay:
        for number in range(10):
            relay.signal(signal.SIGHUP)
            for _ in range(5):
                ping(*relay.pair())
        relay.wait_line(r"finback: reloaded\b.*")


def test_added_listener():
    with Backend() as backend, Finback(config_of(listener(backend))) as finback:
        finback.reload(config_of(listener(backend), listener(backend, "second")))
        finback.baseline = finback.descriptors()
        ping(finback.connect("second"), backend.accept())
        ping(finback.connect("web"), backend.accept())
        for peer in backend.peers:
            peer.reset()


def test_removed_listener():
    with Backend() as backend:
        with Finback(config_of(listener(backend), listener(backend, "second"))) as finback:
            live = finback.connect("second"), backend.accept()
            finback.reload(config_of(listener(backend)))
            eventually(lambda: refuses(finback.address("second")), "the listener is gone")
            ping(*live)
            ping(finback.connect("web"), backend.accept())
            for peer in backend.peers:
                peer.reset()


def test_removed_listener_serves_its_queue_first():
    backend = Backend()
    with Finback(config_of(listener(backend), listener(backend, "second"))) as finback:
        finback.own(backend)
        with finback.stopped():
            clients = [finback.connect("second") for _ in range(100)]
            finback.write_config(config_of(listener(backend)))
            finback.signal(signal.SIGHUP)
        for client in clients:
            client.send(b"patient")
        for _ in clients:
            assert backend.accept().receive(7) == b"patient"


def test_changed_limit():
    with Relay() as relay:
        relay.pair()
        relay.pair()
        relay.reload({"listeners": ({**relay.listener, "max_sessions": 2},)})
        relay.connect().expect_reset(within=3)
        relay.wait_session(ending="limited")


@pytest.mark.parametrize("text, complaint", (
    ("listeners = ( ;\n", ":1"),
    ('listeners = ( { name = "web"; listen = "127.0.0.1:0"; pool = "absent"; } );', "absent"),
    ("", "listeners"),
))
def test_bad_file_changes_nothing(text, complaint):
    with Relay(timeouts={"idle": "1h"}) as relay:
        old = relay.pair()
        with open(relay.config_path, "w", encoding="utf-8") as file:
            file.write(text)
        relay.signal(signal.SIGHUP)
        relay.wait_line(rf"finback: error: reload: .*{complaint}.*")
        ping(*old)
        ping(*relay.pair())
        assert not relay.lines_like(r"finback: reloaded\b.*")
        relay.reload(relay.config)


def test_address_in_use_changes_nothing():
    with Relay() as relay, Backend() as taken:
        config = config_of(relay.listener, {**listener(relay.backend, "second"),
                                            "listen": taken.address})
        relay.write_config(config)
        relay.signal(signal.SIGHUP)
        relay.wait_line(r"finback: error: reload: .*")
        ping(*relay.pair())
