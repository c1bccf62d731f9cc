"""`keepalive` sets exactly those options on its side's sockets, and none on the other side's."""

import contextlib
import socket

import pytest

from lib.daemon import SIDES, Relay, other

TCP_RTO_MAX_MS = 44     # linux/tcp.h, from 6.15 on
KEEPALIVE = {"idle": "20s", "interval": "7s", "count": 4, "user_timeout": "9s"}


def tcp(sock, option):
    return sock.getsockopt(socket.IPPROTO_TCP, option)


def look(relay, client, server):
    """Copies of the daemon's two sockets: {"client": ..., "server": ...}."""
    names = {client.name: "client", server.name: "server"}
    found = relay.sockets()
    if not found:
        pytest.skip("may not look into the daemon")
    return {names[sock.getpeername()]: sock for sock in found}


@contextlib.contextmanager
def sockets_of(**settings):
    """The daemon's two sockets of a session under these settings, by side. They are copies, and
    closed before the daemon closes its own."""
    with Relay(**settings) as relay:
        client, server = relay.pair()
        server.send(b"connected")
        client.receive(9)
        found = look(relay, client, server)
        try:
            yield found
        finally:
            for sock in found.values():
                sock.close()


def is_alive_kept(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def options(sock):
    """Silence before the first probe, between two, how many; and the user timeout."""
    assert is_alive_kept(sock)
    return tuple(tcp(sock, option) for option in (
        socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT))


@pytest.mark.parametrize("side", SIDES)
def test_on_one_side(side):
    with sockets_of(**{side: {"keepalive": KEEPALIVE},
                       other(side): {"dead_after": "0"}}) as sockets:
        assert options(sockets[side]) == (20, 7, 4, 9000)
        assert not is_alive_kept(sockets[other(side)])
        assert tcp(sockets[other(side)], socket.TCP_USER_TIMEOUT) == 0


def test_of_dead_after_by_default():
    """Two minutes, on both sides; a sixteenth early, as the kernel is late."""
    with sockets_of() as sockets:
        for sock in sockets.values():
            idle, interval, count, user_timeout = options(sock)
            assert 112 <= idle + interval * count <= 120
            assert count >= 40
            assert user_timeout == 0


@pytest.mark.parametrize("side", SIDES)
def test_of_dead_after_on_one_side(side):
    with sockets_of(**{side: {"dead_after": "3s"}, other(side): {"dead_after": "0"}}) as sockets:
        assert options(sockets[side]) == (1, 1, 2, 0)
        assert not is_alive_kept(sockets[other(side)])


@pytest.mark.parametrize("side", SIDES)
def test_how_far_retransmissions_back_off(side):
    """So far that the kernel makes all its tries within dead_after; where it cannot be told to, as
    far as ever."""
    with sockets_of(**{side: {"dead_after": "60s"}}) as sockets:
        try:
            most = tcp(sockets[side], TCP_RTO_MAX_MS)
        except OSError:
            pytest.skip("this kernel has no TCP_RTO_MAX_MS")
        assert most == 5000


def test_a_reload_takes_them_back():
    """A kept listening socket passes on what is asked for now, and nothing of what was before."""
    with Relay(client={"dead_after": "60s"}) as relay:
        config = relay.config
        config["listeners"][0]["client"] = {"dead_after": "0"}
        relay.reload(config)
        client, server = relay.pair()
        server.send(b"connected")
        client.receive(9)
        found = look(relay, client, server)
        try:
            assert not is_alive_kept(found["client"])
            with contextlib.suppress(OSError):
                assert tcp(found["client"], TCP_RTO_MAX_MS) == 120000
        finally:
            for sock in found.values():
                sock.close()
