"""Runs of the load generator (tests/load), and the network that they have to themselves."""

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import time

from running import pinned

PATIENCE = 60  # seconds without an expected line from the load generator

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


class Failed(Exception):
    """The relay did not carry the load as it should."""


class Load:
    """A run of the load generator: `with` starts it and makes sure that it ends."""

    def __init__(self, program, arguments, cpu, listen="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [program, *arguments, "--listen", listen, "--wait"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=pinned(cpu))
        self.values = {}
        self._text = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def tell(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._complaint() or "ended before its time") from None

    def wait_value(self, key, within=PATIENCE):
        """Reads its key=value lines up to this key."""
        end = time.monotonic() + within
        while key not in self.values:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failed(f"no {key} within {within} s")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise Failed(self._complaint() or f"ended without {key}")
            self._take(chunk)
        return self.values[key]

    def _take(self, chunk):
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode().partition("=")
            self.values[key] = value

    def finish(self):
        """Lets it end, and checks that it had nothing to complain of."""
        self.wait_value("errors")
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        if self.values["errors"] != "0":
            raise Failed(self._complaint())

    def _complaint(self):
        lines = os.read(self.process.stderr.fileno(), 65536).decode().splitlines()
        return lines[0].removeprefix("finback-load: ").removeprefix("error: ") if lines else ""

    def number(self, key):
        return float(self.values[key])

    def carried(self):
        """How many sessions there were, and how many of them lost something."""
        keys = ("sessions", "streams", "connections")
        sessions = next((int(self.values[key]) for key in keys if key in self.values), 0)
        return sessions, int(self.values.get("errors", 0))


def own_network():
    """A network namespace for this run alone, with ports enough; False where not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
        file.write("1024 65000")
    return True


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
