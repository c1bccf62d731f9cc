"""The load generator must find what a relay does wrong: here are small relays, each with one fault,
and one without."""

import os
import socket
import struct
import subprocess
import threading

import pytest

from lib.daemon import BINARY, TOP

LOAD = os.path.join(TOP, os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load")))
WITHIN = 60
SESSIONS = 60


class Relay:
    """A thread a flow; `carry(flow)` decides what becomes of what was read."""

    def __init__(self, server, carry):
        self._server = server
        self._carry = carry
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._threads = []
        self._sockets = []
        self._start(self._accept)

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            self._start(self._run, client, server, "up")
            self._start(self._run, server, client, "down")

    def _run(self, source, sink, direction):
        try:
            self._carry(source, sink, direction)
        except OSError:
            for sock in (source, sink):
                reset(sock)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            reset(sock)
        for thread in self._threads:
            thread.join(WITHIN)


def reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    sock.close()


def faithful(source, sink, _):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def turns_a_bit(source, sink, direction):
    count = 0
    while data := source.recv(65536):
        if direction == "up" and count <= 2000 < count + len(data):
            data = bytearray(data)
            data[2000 - count] ^= 1
        count += len(data)
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def loses_the_last_byte(source, sink, direction):
    held = b""
    while data := source.recv(65536):
        data = held + data
        sink.sendall(data[:-1])
        held = data[-1:]
    if direction == "up":
        sink.sendall(held)
    sink.shutdown(socket.SHUT_WR)


def doubles_a_piece(source, sink, direction):
    while data := source.recv(65536):
        sink.sendall(data)
        if direction == "down" and len(data) > 5000:
            sink.sendall(data[-100:])
    sink.shutdown(socket.SHUT_WR)


def ends_both_flows(source, sink, _):
    """As a relay without half-close does: the first end of file is the end of the session."""
    while data := source.recv(65536):
        sink.sendall(data)
    for sock in (sink, source):
        sock.shutdown(socket.SHUT_RDWR)


def keeps_the_fin(source, sink, direction):
    while data := source.recv(65536):
        sink.sendall(data)
    if direction == "down":
        sink.shutdown(socket.SHUT_WR)


def makes_resets_polite(source, sink, _):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except ConnectionResetError:
        pass
    sink.shutdown(socket.SHUT_WR)


def swallows_resets(source, sink, _):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def ends_what_stalls(source, sink, _):
    sink.settimeout(0.3)
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def is_polite_to_what_stalls(source, sink, direction):
    """Its reader is told that this was all."""
    sink.settimeout(0.3)
    try:
        faithful(source, sink, direction)
    except TimeoutError:
        sink.shutdown(socket.SHUT_WR)


def takes_all(source, sink, direction):
    """As if memory had no end."""
    if direction == "up":
        faithful(source, sink, direction)
    while source.recv(1 << 20):
        pass


def loses_the_last_byte_down(source, sink, direction):
    (faithful if direction == "up" else loses_the_last_byte)(source, sink, direction)


def turns_a_bit_down(source, sink, direction):
    turns_a_bit(source, sink, "up" if direction == "down" else "down")


def gives_the_second_what_is_the_firsts(source, sink, direction):
    if direction == "up":
        number = bytearray(source.recv(8, socket.MSG_WAITALL))
        number[0] ^= 1
        sink.sendall(number)
    faithful(source, sink, direction)


def ends_the_silent(source, sink, direction):
    source.settimeout(0.4)
    faithful(source, sink, direction)


def forgets_the_silent(source, sink, _):
    source.settimeout(0.4)
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except TimeoutError:
        source.settimeout(WITHIN)
        while source.recv(65536):
            pass


def crowd_through(carry, resets):
    return load_through(carry, "crowd", "--sessions", str(SESSIONS), "--connections", "20",
                        "--seed", "7", "--huge", "0", "--patience", "2", "--resets", str(resets))


def stall_through(carry, most=64 << 20):
    return load_through(carry, "stall", "--sessions", "2", "--seconds", "0.6", "--patience", "2",
                        "--bytes", str(most))


def load_through(carry, *arguments):
    """Its exit status and what it complained of."""
    load = subprocess.Popen(
        [LOAD, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        host, port = load.stdout.readline().strip().removeprefix("listening=").split(":")
        relay = Relay((host, int(port)), carry)
        try:
            _, complaint = load.communicate(relay.address + "\nstart\n", WITHIN)
        finally:
            relay.close()
        return load.returncode, complaint
    finally:
        if load.poll() is None:
            load.kill()
            load.communicate()


def test_nothing_wrong_without_a_relay():
    subprocess.run([LOAD, "crowd", "--direct", "--sessions", "1000", "--patience", "10"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=WITHIN, check=True)


def test_nothing_wrong_with_a_faithful_relay():
    assert crowd_through(faithful, resets=0) == (0, "")


@pytest.mark.parametrize("carry, resets, complaint", (
    (turns_a_bit, 0, "wrong bytes"),
    (loses_the_last_byte, 0, "an end of file that the other end did not send"),
    (doubles_a_piece, 0, "wrong bytes|more bytes read"),
    (ends_both_flows, 0, "an end of file that the other end did not send"),
    (keeps_the_fin, 0, "stuck"),
    (makes_resets_polite, 1000, "an end of file that the other end did not send"),
    (swallows_resets, 1000, "stuck"),
))
def test_finds(carry, resets, complaint):
    status, found = crowd_through(carry, resets)
    assert status == 1
    assert any(words in found for words in complaint.split("|")), found


def test_nothing_wrong_with_stalled_sessions_through_a_faithful_relay():
    assert stall_through(faithful) == (0, "")


@pytest.mark.parametrize("carry, complaint", (
    (turns_a_bit_down, "wrong bytes"),
    (loses_the_last_byte_down, "an end of file before all that was sent"),
    (gives_the_second_what_is_the_firsts, "wrong bytes"),
    (keeps_the_fin, "stuck"),
    (ends_what_stalls, "reset"),
    (is_polite_to_what_stalls, "an end of file before all that was sent"),
))
def test_finds_in_stalled_sessions(carry, complaint):
    status, found = stall_through(carry)
    assert status == 1
    assert complaint in found, found


def test_finds_that_all_is_taken_though_nobody_reads():
    status, found = stall_through(takes_all, most=2 << 20)
    assert status == 1
    assert "all is taken, though nobody reads" in found


def messages_through(carry):
    return load_through(carry, "ping", "--connections", "2", "--idle", "3", "--seconds", "0.8",
                        "--patience", "2", "--wait")


def test_nothing_wrong_with_silent_connections_through_a_faithful_relay():
    assert messages_through(faithful) == (0, "")


@pytest.mark.parametrize("carry, complaint, other", (
    (ends_the_silent, "Connection reset", "have no answer"),
    (forgets_the_silent, "3 messages have no answer", "Connection reset"),
))
def test_finds_in_silent_connections(carry, complaint, other):
    status, found = messages_through(carry)
    assert status == 1
    assert complaint in found and other not in found, found
