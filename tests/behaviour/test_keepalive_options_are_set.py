"""`keepalive` sets exactly those options on its side's sockets, and none on the other side's."""

import contextlib
import socket

import pytest

from lib.daemon import SIDES, Relay, other
from lib.peers import eventually

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


@pytest.mark.parametrize("side", SIDES)
def test_of_dead_after(side):
    """Once the session has lasted for an eighth of it; before, it costs nothing."""
    with sockets_of(**{side: {"dead_after": "8s"}, other(side): {"dead_after": "0"}}) as sockets:
        assert not is_alive_kept(sockets[side])
        eventually(lambda: is_alive_kept(sockets[side]), "keepalive is on")
        idle, interval, count, user_timeout = options(sockets[side])
        assert idle + interval * count == 8
        assert count >= 5
        assert user_timeout == 0
        assert not is_alive_kept(sockets[other(side)])
        check_rto_max(sockets[side], 1000)


def check_rto_max(sock, expected):
    """Where the kernel can be told to: how far retransmissions back off."""
    with contextlib.suppress(OSError):
        assert tcp(sock, TCP_RTO_MAX_MS) == expected


def test_a_reload_takes_them_back():
    """A kept listening socket passes on what is asked for now, and nothing of what was before."""
    with Relay(client={"keepalive": KEEPALIVE}) as relay:
        config = relay.config
        config["listeners"][0]["client"] = {"dead_after": "0"}
        relay.reload(config)
        client, server = relay.pair()
        server.send(b"connected")
        client.receive(9)
        found = look(relay, client, server)
        try:
            assert not is_alive_kept(found["client"])
            assert tcp(found["client"], socket.TCP_USER_TIMEOUT) == 0
        finally:
            for sock in found.values():
                sock.close()
