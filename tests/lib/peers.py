"""Clients and servers with raw sockets: they half-close, reset, stall and look closely.

No call here waits for ever: each has TIMEOUT seconds. A peer tells an end of file from a reset and
never takes one for the other. The kernel reports an error once, to the call that asks first, and
shows a reset that follows an end of file only as a pending error; `expect_reset` knows both.
"""

import collections
import ctypes
import errno
import fcntl
import functools
import os
import select
import shutil
import socket
import struct
import tempfile
import termios
import threading
import time

TIMEOUT = 20
SLOW_READER = 16384  # SO_RCVBUF of a reader that is to be slow

FAMILIES = ("ipv4", "ipv6", "unix")
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}

TCP_STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
)


def random_bytes(count):
    return os.urandom(count)


@functools.cache
def plenty():
    """More than all kernels on the way take in, where nobody reads: 48 MiB. Made when it is asked
    for, as every process of a test run imports all tests."""
    return random_bytes(48 << 20)


def parse_address(text):
    """"127.0.0.1:80", "[::1]:80" or "unix:/path" as (family, address) for a socket."""
    if text.startswith("unix:"):
        return socket.AF_UNIX, text[len("unix:"):]
    host, port = text.rsplit(":", 1)
    if host.startswith("["):
        return socket.AF_INET6, (host.strip("[]"), int(port))
    return socket.AF_INET, (host, int(port))


def format_address(sock_name):
    """A TCP socket's name as the log prints it."""
    host, port = sock_name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def eventually(condition, what="the condition", within=TIMEOUT):
    """Waits until condition() is true and returns what it returned."""
    end = time.monotonic() + within
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: still not after {within} s")
        time.sleep(0.01)


class Background:
    """A call in a thread of its own; result() waits for it and raises what it raised."""

    def __init__(self, function, *args):
        self._result = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function, args):
        try:
            self._result = function(*args)
        except BaseException as error:  # handed to the caller of result()
            self._error = error

    def result(self, within=3 * TIMEOUT):
        self._thread.join(within)
        if self._thread.is_alive():
            raise AssertionError(f"still running after {within} s")
        if self._error is not None:
            raise self._error
        return self._result


class Peer:
    """One end of a connection, with the calls that tests need."""

    def __init__(self, sock):
        self.sock = sock
        self.at_eof = False
        self.was_reset_at_once = False
        self.is_unix = sock.family == socket.AF_UNIX
        sock.settimeout(TIMEOUT)
        if not self.is_unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, address, receive_buffer=None):
        family, name = parse_address(address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(TIMEOUT)
            sock.connect(name)
        except ConnectionResetError:
            peer = cls(sock)
            peer.was_reset_at_once = True  # connected, and reset before connect() had returned
            return peer
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    # What a peer does.

    def send(self, data):
        self.sock.sendall(data)

    def send_urgent(self, data):
        """Sends `data` with the urgent mark behind its last byte."""
        assert self.sock.send(data, socket.MSG_OOB) == len(data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send_and_half_close(self, data):
        self.send(data)
        self.half_close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Sends a reset. A UNIX socket has none to send: its peer sees it close."""
        if self.sock.fileno() >= 0:
            if not self.is_unix:
                linger = struct.pack("ii", 1, 0)
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.sock.close()

    def fill(self, data, quiet=0.4):
        """Sends from `data` until nothing more has gone for `quiet` seconds, or all has. Returns
        how many bytes went and when the last one did."""
        sent, last = 0, time.monotonic()
        self.sock.setblocking(False)
        try:
            while sent < len(data):
                if not select.select([], [self.sock], [], quiet)[1]:
                    break
                try:
                    sent += self.sock.send(memoryview(data)[sent:sent + 65536])
                    last = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
        finally:
            self.sock.settimeout(TIMEOUT)
        return sent, last

    # What a peer sees.

    def receive(self, count):
        """Exactly `count` bytes."""
        got = bytearray()
        while len(got) < count:
            chunk = self.sock.recv(min(count - len(got), 1 << 18))
            if not chunk:
                self.at_eof = True
                raise AssertionError(f"end of file after {len(got)} of {count} bytes")
            got += chunk
        return bytes(got)

    def read_to_eof(self):
        """All bytes up to a clean end of file; a reset raises ConnectionResetError."""
        got = bytearray()
        while chunk := self.sock.recv(1 << 18):
            got += chunk
        self.at_eof = True
        return bytes(got)

    def read_slowly(self, chunk, pause):
        """As read_to_eof, at most `chunk` bytes at a time with a pause after each."""
        got = bytearray()
        while True:
            piece = bytearray()
            while len(piece) < chunk and (more := self.sock.recv(chunk - len(piece))):
                piece += more
            got += piece
            if len(piece) < chunk:
                self.at_eof = True
                return bytes(got)
            time.sleep(pause)

    def expect_reset(self, within=TIMEOUT):
        """All bytes up to a reset; fails when there is an end of file instead. After an end of
        file that was read before, it waits for the reset behind it. A UNIX peer sees a close."""
        if self.was_reset_at_once:
            return b""
        if self.at_eof:
            self._expect_reset_behind_eof(within)
            return b""
        got = bytearray()
        self.sock.settimeout(within)
        try:
            while chunk := self.sock.recv(1 << 18):
                got += chunk
        except ConnectionResetError:
            return bytes(got)
        except TimeoutError:
            raise AssertionError(f"no reset within {within} s") from None
        finally:
            self.sock.settimeout(TIMEOUT)
        if self.is_unix:
            return bytes(got)
        raise AssertionError(f"a clean end of file after {len(got)} bytes, not a reset")

    def _expect_reset_behind_eof(self, within):
        poller = select.poll()
        poller.register(self.sock, 0)
        if not poller.poll(within * 1000):
            raise AssertionError(f"no reset behind the end of file within {within} s")
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not self.is_unix and error not in (errno.EPIPE, errno.ECONNRESET):
            raise AssertionError(f"hung up with error {error}, not with a reset")

    def expect_silence(self, seconds):
        """Nothing arrives for a while: no byte, no end of file, no reset."""
        readable = select.select([self.sock], [], [], seconds)[0]
        if readable:
            raise AssertionError("not silent: " + self._what_came())

    def _what_came(self):
        try:
            data = self.sock.recv(64)
        except OSError as error:
            return str(error)
        return repr(data) if data else "end of file"

    def flood_until_broken(self, data):
        """Sends `data` over and over until the connection breaks, and asks for input before each
        send. Returns the first error; None for an end of file."""
        end = time.monotonic() + TIMEOUT
        self.sock.setblocking(False)
        try:
            while time.monotonic() < end:
                try:
                    if not self.sock.recv(65536):
                        return None
                except BlockingIOError:
                    pass
                try:
                    self.sock.send(data)
                except BlockingIOError:
                    select.select([self.sock], [self.sock], [], 0.1)
        except OSError as error:
            return error.errno
        finally:
            self.sock.settimeout(TIMEOUT)
        raise AssertionError(f"not broken after {TIMEOUT} s")

    def tcp_state(self):
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        return TCP_STATES[info[0]]

    def unacked(self):
        """Bytes, a FIN among them, that the other kernel has not acknowledged (SIOCOUTQ)."""
        answer = fcntl.ioctl(self.sock, termios.TIOCOUTQ, struct.pack("i", 0))
        return struct.unpack("i", answer)[0]

    def wait_acked(self):
        """All that was sent is in the other kernel. (A UNIX socket counts unread bytes instead.)"""
        if not self.is_unix:
            eventually(lambda: self.unacked() == 0, "everything acknowledged")

    @property
    def name(self):
        return self.sock.getsockname()

    @property
    def remote_name(self):
        return self.sock.getpeername()


class Backend:
    """A server's listening socket on an address of the kernel's choice."""

    def __init__(self, family="ipv4", backlog=128, receive_buffer=None, is_listening=True):
        self.peers = []
        self._directory = None
        if family == "unix":
            self._directory = tempfile.mkdtemp(prefix="finback-")
            name = os.path.join(self._directory, "server")
            self.address = "unix:" + name
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.bind(name)
        else:
            kind = socket.AF_INET6 if family == "ipv6" else socket.AF_INET
            self.sock = socket.socket(kind, socket.SOCK_STREAM)
            if receive_buffer:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.sock.bind((LOOPBACK[family], 0))
            self.address = format_address(self.sock.getsockname())
        self.sock.settimeout(TIMEOUT)
        if is_listening:
            self.sock.listen(backlog)

    def accept(self, within=TIMEOUT):
        self.sock.settimeout(within)
        peer = Peer(self.sock.accept()[0])
        self.peers.append(peer)
        return peer

    def expect_nobody(self, seconds):
        """No connection comes for a while."""
        if select.select([self.sock], [], [], seconds)[0]:
            raise AssertionError("a connection came")

    def close(self):
        for peer in self.peers:
            peer.reset()
        self.sock.close()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def refusing_backend(family="ipv4"):
    """An address that is taken, so that nobody else gets it, and refuses connections."""
    return Backend(family, is_listening=False)


def refuses(address):
    """Whether nobody listens there (any more)."""
    try:
        Peer.connect(address).reset()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    return False


class SilentBackend(Backend):
    """A server that answers no connect: its accept queue is full, until release()."""

    def __init__(self, family="ipv4"):
        super().__init__(family, backlog=0)
        self._fillers = []
        kind, name = parse_address(self.address)
        for _ in range(8):
            filler = socket.socket(kind, socket.SOCK_STREAM)
            filler.setblocking(False)
            if not self._is_taken(filler, name):
                filler.close()
                return
            self._fillers.append(filler)
        raise AssertionError("the accept queue does not fill")

    @staticmethod
    def _is_taken(filler, name):
        code = filler.connect_ex(name)
        if code == errno.EINPROGRESS:
            return bool(select.select([], [filler], [], 0.2)[1])
        return code == 0

    def release(self):
        """Makes room in the queue; a connect that waits gets through within about a second."""
        for filler in self._fillers:
            self.sock.accept()[0].close()
            filler.close()
        self._fillers = []

    def close(self):
        for filler in self._fillers:
            filler.close()
        super().close()


class EndsWatch:
    """Counts the segments with FIN and with RST that arrive over the loopback device."""

    class _Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    SO_ATTACH_FILTER = 26
    SO_RCVBUFFORCE = 33
    ETH_P_IP = 0x0800
    PACKET_HOST = 0
    FIN, RST = 1, 4

    def __init__(self):
        """Needs CAP_NET_RAW; PermissionError without it."""
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(self.ETH_P_IP))
        flags_at = 20 + 13  # behind an IPv4 header without options
        instructions = b"".join((
            struct.pack("HBBI", 0x30, 0, 0, flags_at),               # load the flags byte
            struct.pack("HBBI", 0x45, 0, 1, self.FIN | self.RST),    # either bit set?
            struct.pack("HBBI", 0x06, 0, 0, 128),                    # yes: keep the headers
            struct.pack("HBBI", 0x06, 0, 0, 0),                      # no: drop
        ))
        code = ctypes.create_string_buffer(instructions)
        program = self._Program(4, ctypes.addressof(code))
        self.sock.setsockopt(socket.SOL_SOCKET, self.SO_ATTACH_FILTER, bytes(program))
        # A segment counts with all the bytes it carries, though only its headers are kept.
        self.sock.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, 32 << 20)
        self.sock.bind(("lo", self.ETH_P_IP))

    def collect(self):
        """How many came since the last call: a Counter of ("FIN" or "RST", from port, to port)."""
        seen = collections.Counter()
        self.sock.setblocking(False)
        while True:
            try:
                packet, where = self.sock.recvfrom(256)
            except BlockingIOError:
                return seen
            if where[2] != self.PACKET_HOST:
                continue
            ports = struct.unpack_from("!HH", packet, 20)
            for name, bit in (("FIN", self.FIN), ("RST", self.RST)):
                seen[(name, *ports)] += bool(packet[33] & bit)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
