"""A session with a real server twice: straight to it, and through a finback that probes. What the
client gets is the same, what goes wrong is none of it, and probes went where they may.

    def session(way):
        wire = way.wire()
        wire.send_cut(b"SET a 1\r\n", 3)   # cut after 3 bytes, for long enough for probes
        assert wire.receive(5) == b"+OK\r\n"
        wire.expect_probe()                # here one goes out
        wire.finish()

    run_both(session, server, protocol="redis")

All that wires receive is compared by itself, and so is what the session returns. What a program or
a library is to do goes over a lane of its own: `way.lane().address`. Straight to the server there
are no probes, and nothing waits for any. One thread uses a way and its wires.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import tempfile
import time

from lib.control import ControlledFinback
from lib.daemon import die_with_parent
from lib.metrics import Metrics
from lib.peers import Peer, eventually, parse_address

INTERVAL = 0.1
PAUSE = 3 * INTERVAL  # in which a probe goes out, where it may
LANES = 8             # of a way at most


class Wire(Peer):
    """A client's connection over a lane; counts what it sends, keeps what it receives."""

    def __init__(self, lane):
        family, name = parse_address(lane.address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        super().__init__(sock)
        sock.connect(name)
        self.lane = lane
        self.sent = 0
        self.received = bytearray()
        self.forgotten = 0

    def send(self, data):
        super().send(data)
        self.sent += len(data)

    def send_cut(self, data, *cuts):
        """Sends it in pieces, cut at these offsets; at each cut there is a pause without a probe. A
        negative offset counts from the end."""
        begin = 0
        for cut in sorted(cut if cut > 0 else len(data) + cut for cut in cuts):
            assert begin < cut < len(data), "no cut"
            self.send(data[begin:cut])
            self.expect_no_probe()
            begin = cut
        self.send(data[begin:])

    def send_cut_towards(self, probed, data, *cuts):
        """In pieces: a cut in the client's message keeps probes from the server, and none from the
        client itself, towards which one goes after each of two pieces."""
        if probed == "server":
            self.send_cut(data, *cuts)
            return
        for part in (data[:cuts[0]], data[cuts[0]:]):
            self.send(part)
            self.expect_probe()

    def send_crawling(self, data):
        """Sends it byte by byte, with a pause before each: a probe goes out wherever it may."""
        for at in range(len(data)):
            if self.lane.has_probes:
                time.sleep(1.2 * INTERVAL)
            self.send(data[at:at + 1])

    def expect_probe(self, count=1):
        """Waits until that many more probes have gone out, and were answered if they are to be."""
        self.lane.expect_probe(count)

    def expect_no_probe(self):
        """In a pause that is long enough for probes none goes out."""
        self.lane.expect_no_probe(self.sent)

    def receive(self, count):
        got = super().receive(count)
        self.received += got
        return got

    def receive_until(self, end):
        """All bytes up to and with `end`."""
        got = bytearray()
        while not got.endswith(end):
            got += super().receive(1)
        self.received += got
        return bytes(got)

    def receive_line(self):
        return self.receive_until(b"\n")

    def ask(self, request, answer):
        """Sends a request and receives exactly this answer."""
        self.send(request)
        got = self.receive(len(answer))
        assert got == answer, (request[:100], got[:100], answer[:100])

    def read_to_eof(self):
        got = super().read_to_eof()
        self.received += got
        return got

    def forget(self, what):
        """What was received last differs between any two runs: it is not compared."""
        assert self.received.endswith(what)
        del self.received[len(self.received) - len(what):]
        self.forgotten += len(what)

    def finish(self):
        """Ends the client's direction, reads the server's to its end and returns what came."""
        with contextlib.suppress(OSError):  # the server may have been first
            self.half_close()
        rest = self.read_to_eof()
        self.close()
        return rest


class Lane:
    """One way to the server, with a name of its own; without finback it has no probes."""

    has_probes = False

    def __init__(self, address):
        self.address = address
        self.wires = []

    @property
    def port(self):
        return parse_address(self.address)[1][1]

    def wire(self):
        self.wires.append(Wire(self))
        return self.wires[-1]

    def expect_probe(self, count=1):
        pass

    def expect_no_probe(self, sent=None):
        pass


class ProbedLane(Lane):
    """A listener of a finback that probes one side of the sessions."""

    has_probes = True

    def __init__(self, finback, name):
        super().__init__(finback.address(name))
        self._finback = finback
        self.name = name

    def wire(self):
        wire = super().wire()
        self._finback.peers.append(wire)
        return wire

    def _count(self, what):
        metrics = Metrics.of(self._finback.control)
        return metrics.value(what, listener=self.name, side=self._finback.probed)

    def probes(self):
        return self._count("finback_probes_sent_total")

    def replies(self):
        return self._count("finback_probe_replies_total")

    def _sent(self):
        sessions = self._finback.control.sessions(listener=self.name)
        return sum(session["client"]["bytes"] for session in sessions)

    def expect_probe(self, count=1):
        counter = self.replies if self._finback.has_answers else self.probes
        wanted = counter() + count
        eventually(lambda: counter() >= wanted, f"{count} probes on {self.name}")

    def expect_no_probe(self, sent=None):
        """`sent`: what the one client has sent; only when finback has seen it the pause begins."""
        if sent is not None:
            eventually(lambda: self._sent() == sent, "finback has read it")
        before = self.probes()
        time.sleep(PAUSE)
        assert self.probes() == before, "a probe where none may go"


class Straight:
    """To the server without finback."""

    def __init__(self, server):
        self._server = server
        self.lanes = []

    def lane(self):
        self.lanes.append(Lane(self._server.address))
        return self.lanes[-1]

    def wire(self):
        """A connection over a lane of its own."""
        return self.lane().wire()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for lane in self.lanes:
            for wire in lane.wires:
                wire.close()


class Probed(ControlledFinback):
    """Through a finback that probes. `probed` is the side it probes; what is not known here is a
    setting of the probe."""

    def __init__(self, server, probed="server", interval=INTERVAL, listener=None, **probe):
        self.probed = probed
        self.lanes = []
        self.has_answers = "answer" in probe or "expect" in probe
        side = {"probe": {"interval": f"{round(interval * 1000)}ms", **probe}}
        listeners = tuple({"name": f"lane{number}", "listen": "127.0.0.1:0", probed: side,
                           "servers": server.address, **(listener or {})}
                          for number in range(LANES))
        super().__init__({"workers": 1, "listeners": listeners})

    def lane(self):
        self.lanes.append(ProbedLane(self, f"lane{len(self.lanes)}"))
        return self.lanes[-1]

    def wire(self):
        """A connection over a lane of its own."""
        return self.lane().wire()

    def expect_complete(self, message_size=None):
        """Every session of every lane ends as complete, and counts its peers' bytes alone. Towards
        the client the probes are among what was received: each of `message_size` bytes."""
        for lane in self.lanes:
            count = max(1, len(lane.wires))
            self.wait_session(count=count, listener=lane.name)
            sessions = [one for one in self.sessions() if one["listener"] == lane.name]
            assert {one["ending"] for one in sessions} == {"complete"}, sessions
            if lane.wires:
                self._check_bytes(lane, sessions, message_size)

    def _check_bytes(self, lane, sessions, message_size):
        injected = lane.probes() * message_size if self.probed == "client" else 0
        sent = sum(wire.sent for wire in lane.wires)
        received = sum(len(wire.received) + wire.forgotten for wire in lane.wires)
        assert sum(one["bytes_from_client"] for one in sessions) == sent
        assert sum(one["bytes_from_server"] for one in sessions) == received - injected


def _received(way):
    return [bytes(wire.received) for lane in way.lanes for wire in lane.wires]


def run_both(session, server, message_size=None, is_probed=True, **settings):
    """Runs the session both ways, and compares. With the client probed, what wires received is not
    compared, as the probes are among it: the session must return what it understood."""
    with Straight(server) as straight:
        wanted = session(straight)
    with Probed(server, **settings) as probed:
        got = session(probed)
        probed.expect_complete(message_size)
        assert (sum(lane.probes() for lane in probed.lanes) > 0) == is_probed
        assert got == wanted
        if probed.probed == "server":
            assert _received(probed) == _received(straight)


@contextlib.contextmanager
def hung(process):
    """The process is there, and its kernel answers for it; it does nothing."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def expect_dead_server(finback, lane, within=10):
    """The session of the lane ends because probes found its server hung."""
    finback.wait_session(listener=lane.name, ending="server_dead", detector="probe", within=within)
    metrics = Metrics.of(finback.control)
    assert metrics.value("finback_dead_peers_total", listener=lane.name, side="server",
                         detector="probe") == 1


# Servers that refuse to run as root, or have to be found by one who is not.


def options_of(user):
    """For programs.Server: it ends with the tests, and runs as this user where we are root."""
    options = {"preexec_fn": die_with_parent}
    if os.geteuid() == 0 and user != "root":
        entry = pwd.getpwnam(user)
        options.update(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
    return options


@contextlib.contextmanager
def directory_of(user):
    """A directory that this user reaches and owns; pytest's own are for the one who runs it."""
    path = tempfile.mkdtemp(prefix="finback-real-")
    try:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
