"""The line that each ended session leaves in the log, and the totals at the end."""

import re
import signal
import time

import pytest

from lib.daemon import SIDES, Finback, Relay, start, to_settings
from lib.peers import TIMEOUT, Backend, Peer, eventually, format_address

FIELDS = ("listener", "pool", "server_name", "client", "client_local", "server", "server_local",
          "ending", "first_closer", "bytes_from_client", "bytes_from_server", "ms_from_client",
          "ms_from_server", "half_closed_ms", "connect_ms", "total_ms", "connects")


@pytest.mark.parametrize("family", ("ipv4", "ipv6"))
@pytest.mark.parametrize("side", SIDES)
def test_all_fields(side, family):
    with Relay(client_family=family, server_family=family) as relay:
        first, second = relay.sides(side)
        client, server = (first, second) if side == "client" else (second, first)
        names = {"client": format_address(client.name),
                 "client_local": format_address(client.remote_name),
                 "server": format_address(server.name),
                 "server_local": format_address(server.remote_name)}
        time.sleep(0.3)
        first.send_and_half_close(b"x" * 12)
        second.read_to_eof()
        time.sleep(0.5)
        second.send_and_half_close(b"y" * 34)
        first.read_to_eof()
        session = relay.wait_session()
        assert set(FIELDS) <= set(session)
        assert {key: session[key] for key in names} == names
        assert session.has({"listener": "web", "pool": "web", "ending": "complete", "connects": 1,
                            "server_name": relay.backend.address, "first_closer": side})
        sizes = {"client": 12, "server": 34} if side == "client" else {"client": 34, "server": 12}
        assert {name: session[f"bytes_from_{name}"] for name in SIDES} == sizes
        assert 480 <= session["half_closed_ms"] <= 1000
        assert 780 <= session["total_ms"] <= 1500
        assert session[f"ms_from_{side}"] < 780
        assert session["connect_ms"] < 300


def test_ids_differ():
    with Relay(workers=2) as relay:
        for _ in range(10):
            relay.connect().reset()
        relay.wait_session(count=10)
        assert len({session["id"] for session in relay.sessions()}) == 10


@pytest.mark.parametrize("choice, kept", (("all", 2), ("failed", 1), ("none", 0)))
def test_which_sessions_are_logged(choice, kept):
    with Backend() as backend:
        config = {"log": {"target": "stderr", "sessions": choice}, "listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": backend.address},)}
        with Finback(config) as finback:
            finback.logs_all_sessions = choice == "all"
            run_one_complete_and_one_reset(finback, backend)
            finback.end()
            endings = [session["ending"] for session in finback.sessions()]
            assert endings == ["complete", "client_reset"][2 - kept:]
            assert finback.totals().endings == {"complete": 1, "client_reset": 1}


def run_one_complete_and_one_reset(finback, backend):
    descriptors = finback.descriptors()
    client = finback.connect()
    server = backend.accept()
    client.half_close()
    server.read_to_eof()
    server.half_close()
    client.read_to_eof()
    finback.wait_descriptors(descriptors)
    client = finback.connect()
    server = backend.accept()
    client.reset()
    server.expect_reset()
    finback.wait_descriptors(descriptors)


def test_log_file(tmp_path):
    """A file gets the same lines with the time before each, and lets go of a rotated file."""
    log, socket_path = tmp_path / "finback.log", f"unix:{tmp_path}/web"
    config = tmp_path / "finback.conf"
    with Backend() as backend:
        config.write_text(to_settings({"log": {"target": str(log)}, "listeners": (
            {"name": "web", "listen": socket_path, "servers": backend.address},)}))
        with start("-c", str(config)) as process:
            try:
                wait_for(log, r"finback: ready")
                run_one_reset(socket_path, backend)
                wait_for(log, SESSION)
                log.rename(tmp_path / "rotated.log")
                process.send_signal(signal.SIGHUP)
                wait_for(log, r"finback: reloaded")
                run_one_reset(socket_path, backend)
                wait_for(log, SESSION)
            finally:
                process.terminate()
            assert process.wait(TIMEOUT) == 0


SESSION = r"(?m)^\d{4}-\d\d-\d\d\S*.* finback: session \d+ client_reset: "


def wait_for(path, pattern):
    eventually(lambda: path.exists() and re.search(pattern, path.read_text()), pattern)


def run_one_reset(address, backend):
    """From a UNIX client, whose reset is a close on unread data."""
    client = Peer.connect(address)
    server = backend.accept()
    server.send(b"never read")
    assert client.sock.recv(1) == b"n"
    client.close()
    server.expect_reset()
