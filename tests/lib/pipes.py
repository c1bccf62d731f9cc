"""A daemon's pipes as the kernel sees them, and flows that are spliced for certain.

A flow is spliced once two reads in a row brought 16 KiB, and copied again after two splices of
less than 8 KiB. How much a read brings is up to the scheduler, unless the daemon is stopped while
the bytes come: that is what `bulk` and `messages` do. What a stalled flow holds is seen in the
kernel: bytes that wait in a pipe were spliced, bytes in the daemon's memory were copied.
"""

import contextlib
import fcntl
import os
import struct
import termios

from lib.daemon import LIBC, SYS_PIDFD_GETFD
from lib.peers import eventually, random_bytes

ROUND = 48 << 10     # fits any socket that was not made small, at one go
BULK_ROUNDS = 3      # the first two are copied
MESSAGE = 1000
MESSAGE_ROUNDS = 4   # the first two are spliced
KEPT = 64            # a worker keeps so many empty pipes
ENDS = 2             # descriptors of a pipe


def ends_of_pipes(relay):
    """The daemon's own pipes: by inode, the descriptors of both ends. (A log to us is a pipe of
    which it has but one.)"""
    found = {}
    directory = f"/proc/{relay.process.pid}/fd"
    for name in os.listdir(directory):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{directory}/{name}")
            if target.startswith("pipe:"):
                found.setdefault(target, []).append(int(name))
    return {inode: ends for inode, ends in found.items() if len(ends) == ENDS}


def open_pipes(relay):
    return len(ends_of_pipes(relay))


def _bytes_in(process, descriptor):
    copy = LIBC.syscall(SYS_PIDFD_GETFD, process, descriptor, 0)
    if copy < 0:
        return 0  # closed by now
    try:
        return struct.unpack("i", fcntl.ioctl(copy, termios.FIONREAD, struct.pack("i", 0)))[0]
    except OSError:
        return 0  # of another kind by now
    finally:
        os.close(copy)


def piped_bytes(relay):
    """Bytes that wait in each of the daemon's pipes, those without any left out."""
    process = os.pidfd_open(relay.process.pid)
    try:
        counts = [_bytes_in(process, ends[0]) for ends in ends_of_pipes(relay).values()]
    finally:
        os.close(process)
    return [count for count in counts if count]


def at_one_go(relay, sender, data):
    """The daemon finds all of it in one read."""
    with relay.stopped():
        sender.send(data)
        sender.wait_acked()


def move(relay, sender, reader, data):
    at_one_go(relay, sender, data)
    assert reader.receive(len(data)) == data


def bulk(relay, sender, reader):
    """The flow from `sender` is spliced from now on."""
    for _ in range(BULK_ROUNDS):
        move(relay, sender, reader, random_bytes(ROUND))


def messages(relay, sender, reader):
    """It is copied from now on."""
    for _ in range(MESSAGE_ROUNDS):
        move(relay, sender, reader, random_bytes(MESSAGE))


def stall(relay, sender, data, quiet=0.4):
    """Sends of `data` what finds room, which its reader does not read: the flow, spliced, has a
    pipe with bytes in it. Returns how many went."""
    sent, _ = sender.fill(data, quiet)
    assert sent < len(data), "nothing held the writer up"
    eventually(lambda: piped_bytes(relay), "bytes wait in a pipe")
    return sent
