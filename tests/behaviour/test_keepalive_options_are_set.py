"""`keepalive` sets exactly those options on its side's sockets, and none on the other side's."""

import socket

import pytest

from lib.daemon import SIDES, Relay, other

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


@pytest.mark.parametrize("side", SIDES)
def test_on_one_side(side):
    with Relay(**{side: {"keepalive": KEEPALIVE}}) as relay:
        client, server = relay.pair()
        server.send(b"connected")
        client.receive(9)
        sockets = look(relay, client, server)
        asked, left = sockets[side], sockets[other(side)]
        assert asked.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert tcp(asked, socket.TCP_KEEPIDLE) == 20
        assert tcp(asked, socket.TCP_KEEPINTVL) == 7
        assert tcp(asked, socket.TCP_KEEPCNT) == 4
        assert tcp(asked, socket.TCP_USER_TIMEOUT) == 9000
        assert left.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert tcp(left, socket.TCP_USER_TIMEOUT) == 0
        for sock in sockets.values():
            sock.close()
