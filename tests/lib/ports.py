"""Ports for programs that cannot be told to let the kernel choose one, and whose socket it is that
listens there.

Such a program is given a number now and binds it seconds later. So the number is one that the
kernel hands to nobody by itself, and that no other test takes: each test process keeps a name for
every port it gave away, for as long as it lives. Whoever listens there in the end is looked up, not
asked: a connection might be answered by anybody.
"""

import contextlib
import errno
import os
import random
import socket

LOWEST = 10000     # below are the usual ports of servers
ENOUGH = 1000      # ports to choose among
TRIES = 1000
LISTENING = "0A"   # a state in /proc/net/tcp
ACCEPTS = 0x10000  # a flag in /proc/net/unix

_names = []  # sockets that stand for the ports given away


def _candidates():
    """The ports below the kernel's own range; else those above it, else all."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    ranges = range(LOWEST, first), range(last + 1, 65536), range(LOWEST, 65536)
    return next(ports for ports in ranges if len(ports) >= ENOUGH)


def _is_free(port):
    with socket.socket() as sock:
        try:
            sock.bind(("", port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True


def _is_claimed(port):
    """Whether it is ours now. Names are, like ports, those of a network namespace."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0finback-test-port-{port}")
    except OSError:
        name.close()
        return False
    _names.append(name)
    return True


def free_port():
    """A port that nobody holds, and nobody but the caller gets."""
    ports = _candidates()
    for _ in range(TRIES):
        port = random.choice(ports)
        if _is_free(port) and _is_claimed(port):
            return port
    raise AssertionError(f"no free port in {ports}")


def _family(pid):
    """The process and all its descendants that are left."""
    children = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(name))
    family = [pid]
    for member in family:
        family += children.get(member, ())
    return family


def _sockets(pid):
    """The inodes of a process's sockets, as links name them."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def _listening(port):
    """The same, of the sockets that listen on it, whoever's they are."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as file:
            for fields in map(str.split, list(file)[1:]):
                if fields[3] == LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def is_served_by(pid, port):
    """Whether the process, or a descendant of its, listens on the port."""
    wanted = _listening(port)
    return bool(wanted) and any(wanted & _sockets(member) for member in _family(pid))


def is_path_served(path):
    """Whether somebody listens on a UNIX socket's path. The file is there a moment before, and a
    connection to find out would be a session."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file]
    return any(row[7:] == [str(path)] and int(row[3], 16) & ACCEPTS for row in rows[1:])
