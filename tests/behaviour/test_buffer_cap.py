"""`buffer_cap` bounds the kernel's buffers of both sockets of a session, and a reload changes it."""

import contextlib
import socket

import pytest

from lib.daemon import Relay
from lib.peers import random_bytes

CAP = 96 << 10      # other than what the kernel starts with
SMALL_CAP = 8 << 10
PLENTY = random_bytes(4 << 20)


@contextlib.contextmanager
def sockets_of(relay):
    """The daemon's two sockets of a new session, by side: copies, closed in the end."""
    client, server = relay.pair()
    server.send(b"connected")
    assert client.receive(9) == b"connected"
    names = {client.name: "client", server.name: "server"}
    found = relay.sockets()
    if not found:
        pytest.skip("may not look into the daemon")
    try:
        yield {names[sock.getpeername()]: sock for sock in found if sock.getpeername() in names}
    finally:
        for sock in found:
            sock.close()
        client.reset()
        relay.wait_descriptors(relay.baseline)


def buffers(relay):
    """By side: (to send, to receive), as the kernel says, which doubles them."""
    with sockets_of(relay) as sockets:
        return {side: tuple(sock.getsockopt(socket.SOL_SOCKET, option) // 2
                            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF))
                for side, sock in sockets.items()}


def with_cap(relay, cap):
    return {**relay.config, "listeners": ({**relay.listener, "buffer_cap": cap},)}


@pytest.mark.parametrize("family", ("ipv4", "ipv6"))
def test_on_both_sides_and_over_reloads(family):
    capped = {"client": (CAP, CAP), "server": (CAP, CAP)}
    with Relay(family, family) as relay:
        tuned = buffers(relay)
        assert CAP not in tuned["client"] + tuned["server"]
        relay.reload(with_cap(relay, CAP))
        assert buffers(relay) == capped
        relay.reload(with_cap(relay, 0))
        assert buffers(relay) == tuned
        relay.reload(with_cap(relay, "96KiB"))
        assert buffers(relay) == capped
        assert not relay.lines_like(r"finback: warning.*")


def test_from_the_start():
    with Relay(top={"defaults": {"buffer_cap": CAP}}) as relay:
        assert buffers(relay) == {"client": (CAP, CAP), "server": (CAP, CAP)}


def held(side, **settings):
    """How much of what the peer on this side sends is taken, while the other one does not read.
    finback itself holds next to nothing."""
    with Relay("unix", "unix", buffer="1KiB", **settings) as relay:
        first, second = relay.sides(side)
        second.send(b"connected")
        assert first.receive(9) == b"connected"
        return first.fill(PLENTY)[0]


@pytest.mark.parametrize("side", ("client", "server"))
def test_unix_sockets(side):
    """What waits for a reader lies in finback's own buffer to send."""
    assert held(side, buffer_cap=SMALL_CAP) < held(side) - SMALL_CAP


def test_sessions_under_the_least_cap():
    with Relay(buffer_cap="4KiB") as relay:
        client, server = relay.pair()
        for sender, reader in ((client, server), (server, client)):
            sending = PLENTY[:200_000]
            sent = 0
            while sent < len(sending):
                sender.send(sending[sent:sent + 4096])
                assert reader.receive(len(sending[sent:sent + 4096])) == sending[sent:sent + 4096]
                sent += 4096
        client.half_close()
        assert server.read_to_eof() == b""
        server.half_close()
        assert client.read_to_eof() == b""
