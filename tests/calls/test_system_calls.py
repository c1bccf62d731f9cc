"""How many system calls finback needs: exactly for a message and for a session, about for bulk.

Most of what a relay costs is the kernel's, and each call has its price; one more comes in unseen.
Who adds one on purpose, or saves one, writes the new number down here."""

import collections
import os
import socket
import time

import pytest

from lib.daemon import Relay
from lib.peers import Background, random_bytes
from lib.strace import traced

MESSAGE = b"m" * 64
ROUNDS = 100
SESSIONS = 20
PAUSE = 0.02         # s, after which all that follows from the last step has happened
STRAY = 0.2          # of a call each time: the timer fires now and then
GIGABYTE = 1 << 30
CALLS_PER_MIB = 40   # a pipe takes 256 KiB: 4 times in and out, with a look at epoll each

MESSAGE_EACH_WAY = {"epoll_wait": 4, "recvfrom": 2, "sendto": 2}

# The client's request and its end of file come apart, the server's reply with its own.
SESSION = {
    "accept4": 1, "socket": 1, "setsockopt": 3, "connect": 1, "getsockname": 1, "epoll_ctl": 2,
    "epoll_wait": 11, "recvfrom": 3, "sendto": 2, "shutdown": 2, "ioctl": 3, "close": 2,
}


def worker_of(relay):
    """The thread that relays: the first that is not the main one."""
    tasks = sorted(map(int, os.listdir(f"/proc/{relay.process.pid}/task")))
    for task in tasks:
        with open(f"/proc/{relay.process.pid}/task/{task}/comm", encoding="ascii") as file:
            if task != relay.process.pid and file.read().strip() == "finback":
                return task
    raise AssertionError("no thread that relays")


def check(trace, times, expected):
    """`times` what is expected, and next to nothing besides."""
    each = {name: count / times for name, count in trace.counts.items()}
    wrong = {name for name in each.keys() | expected
             if abs(each.get(name, 0) - expected.get(name, 0)) > STRAY}
    if wrong:
        lines = [f"{name}: {each.get(name, 0):g}, not {expected.get(name, 0)}"
                 for name in sorted(wrong)]
        last = trace.calls[-3 * sum(expected.values()):]
        raise AssertionError("\n".join(["calls each time:", *lines, "the last ones:", *last]))


def exchange(client, server):
    client.send(MESSAGE)
    server.receive(len(MESSAGE))
    server.send(MESSAGE)
    client.receive(len(MESSAGE))


def test_a_message_each_way():
    with Relay() as relay:
        client, server = relay.pair()
        for _ in range(3):
            exchange(client, server)
        with traced(relay.process.pid, thread=worker_of(relay)) as trace:
            for _ in range(ROUNDS):
                exchange(client, server)
            time.sleep(PAUSE)
        check(trace, ROUNDS, MESSAGE_EACH_WAY)


def send_last(peer, data):
    """With the FIN in the same segment."""
    peer.sock.send(data, socket.MSG_MORE)
    peer.half_close()


def half_closed_session(relay):
    client, server = relay.pair()
    time.sleep(PAUSE)
    client.send(MESSAGE)
    server.receive(len(MESSAGE))
    time.sleep(PAUSE)
    client.half_close()
    assert server.read_to_eof() == b""
    time.sleep(PAUSE)
    send_last(server, MESSAGE)
    assert client.read_to_eof() == MESSAGE
    client.close()
    server.close()
    time.sleep(PAUSE)


def test_a_session_with_half_close():
    with Relay(top={"log": {"target": "stderr", "sessions": "none"}}) as relay:
        relay.logs_all_sessions = False
        half_closed_session(relay)
        with traced(relay.process.pid, thread=worker_of(relay)) as trace:
            for _ in range(SESSIONS):
                half_closed_session(relay)
        check(trace, SESSIONS, SESSION)


@pytest.mark.parametrize("side", (0, 1), ids=("client", "server"))
def test_a_gigabyte(side):
    """Nearly all of it spliced, in pieces as large as a pipe where they come like that."""
    piece = random_bytes(1 << 20)
    with Relay() as relay:
        pair = relay.pair()
        sender, reader = pair[side], pair[1 - side]

        def send():
            for _ in range(GIGABYTE // len(piece)):
                sender.send(piece)
            sender.half_close()

        def receive():
            room, total = bytearray(len(piece)), 0
            while count := reader.sock.recv_into(room):
                total += count
            return total

        with traced(relay.process.pid, thread=worker_of(relay)) as trace:
            receiving, sending = Background(receive), Background(send)
            assert receiving.result(within=100) == GIGABYTE
            sending.result()
        counts = collections.Counter(trace.counts)
        calls = sum(counts.values()) / (GIGABYTE >> 20)
        assert calls < CALLS_PER_MIB, counts
        copied = counts["recvfrom"] + counts["sendto"]
        assert copied < 0.02 * counts["splice"], counts
