"""A UNIX listening socket: its file, before and after."""

import os
import stat

import pytest

from lib.daemon import Finback, run
from lib.peers import Backend, Peer, parse_address


@pytest.fixture
def backend():
    with Backend() as one:
        yield one


def config_of(path, backend, **settings):
    return {"listeners": ({"name": "web", "listen": f"unix:{path}", "servers": backend.address,
                           **settings},)}


def is_served(finback, backend):
    """Another daemon that looked whether the socket is alive may have been a client before."""
    finback.connect().send(b"hello")
    servers = []
    while not servers or servers[-1].sock.recv(5) != b"hello":
        assert len(servers) < 3
        servers.append(backend.accept())
    for server in servers:
        server.reset()
    return True


def test_file_that_a_crash_left_is_replaced(tmp_path, backend):
    path = tmp_path / "web"
    with Finback(config_of(path, backend)) as crashed:
        crashed.kill()
    assert path.is_socket()
    with Finback(config_of(path, backend)) as finback:
        assert is_served(finback, backend)
    assert not path.exists()


def test_socket_that_is_alive_is_left_alone(tmp_path, backend):
    with Finback(config_of(tmp_path / "web", backend)) as finback:
        with Finback(config_of(tmp_path / "other", backend)) as second:
            path = second.config_path
            second.write_config(config_of(tmp_path / "web", backend))
            assert run("-c", path).returncode != 0
        assert is_served(finback, backend)


def test_file_that_is_no_socket_is_left_alone(tmp_path, backend):
    path = tmp_path / "web"
    path.write_text("precious")
    with Finback(config_of(tmp_path / "other", backend)) as finback:
        finback.write_config(config_of(path, backend))
        assert run("-c", finback.config_path).returncode != 0
    assert path.read_text() == "precious"


def test_mode(tmp_path, backend):
    with Finback(config_of(tmp_path / "web", backend, mode="0620")):
        assert stat.S_IMODE(os.stat(tmp_path / "web").st_mode) == 0o620


def test_socket_is_the_same_after_a_reload(tmp_path, backend):
    path = tmp_path / "web"
    with Finback(config_of(path, backend)) as finback:
        before = os.stat(path).st_ino
        finback.reload(config_of(path, backend, max_sessions=100))
        assert os.stat(path).st_ino == before
        assert Peer.connect(f"unix:{path}").sock.getpeername() == parse_address(f"unix:{path}")[1]
        backend.accept().reset()
