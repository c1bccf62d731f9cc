"""The daemon under test as a black box: started from a configuration, watched through its log.

Leaving the `with` block normally is a test of its own: the descriptors of all sessions are given
back, the daemon ends with status 0 when told to, no sanitizer complained, and every connection
that was accepted has exactly one ending.
"""

import collections
import contextlib
import ctypes
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from lib.peers import TIMEOUT, Backend, Peer, eventually

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.join(TOP, os.environ.get("FINBACK_BINARY", "build/asan/finback"))

# A small quarantine, so that freed memory goes back to the system and is seen to do so.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=4:thread_local_quarantine_size_kb=64",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}
COMPLAINTS = re.compile(r"Sanitizer|runtime error:|Assertion .* failed")
CLOCK_TICK = os.sysconf("SC_CLK_TCK")
NUMERIC = re.compile(r"\d+")
SYS_PIDFD_GETFD = 438
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def to_libconfig(value):
    """Python values as libconfig text: dict a group, list an array, tuple a list."""
    if isinstance(value, dict):
        return "{ " + to_settings(value) + " }"
    if isinstance(value, list):
        return "[ " + ", ".join(map(to_libconfig, value)) + " ]"
    if isinstance(value, tuple):
        return "( " + ", ".join(map(to_libconfig, value)) + " )"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def to_settings(group):
    return " ".join(f"{key} = {to_libconfig(value)};\n" for key, value in group.items())


def environment():
    return {**SANITIZERS, **os.environ}


def run(*arguments, within=TIMEOUT, **options):
    """Runs the program to its end and returns what subprocess.run() does, output as text."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=within,
                          env=environment(), check=False, **options)


def die_with_parent():
    """No daemon outlives a test run that is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(*arguments):
    """The program as a running process, for what Finback does not suit."""
    return subprocess.Popen([BINARY, *arguments], env=environment(), preexec_fn=die_with_parent)


# Sums over all listeners: `endings` by name; `counted` is all else, "accepted" among it.
Totals = collections.namedtuple("Totals", "counted endings")
COUNTED = re.compile("accepted|active|bytes_|fins_|resets_")


class Session(dict):
    """A session's line in the log: its fields, numbers as int; ["id"] and ["ending"] too."""

    LINE = re.compile(r"finback: session (\d+) (\w+): (.*)")
    FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')

    @classmethod
    def of(cls, line):
        match = cls.LINE.fullmatch(line)
        if not match:
            return None
        session = cls(id=int(match[1]))
        for key, value in cls.FIELD.findall(match[3]):
            value = value.strip('"')
            session[key] = int(value) if NUMERIC.fullmatch(value) else value
        if "state" in session:  # it still runs
            return None
        assert session["ending"] == match[2], line
        return session

    def has(self, fields):
        return all(self.get(key) == value for key, value in fields.items())


class Finback:
    """A running daemon with the configuration `config` (a dict). `log` is added to it, and a short
    drain where it says nothing."""

    def __init__(self, config=None, arguments=None, descriptors=None):
        self.directory = tempfile.mkdtemp(prefix="finback-")
        self.config_path = os.path.join(self.directory, "finback.conf")
        self.peers = []
        self.addresses = collections.defaultdict(list)  # of each listener, as the log says
        self._lines = []
        self._grown = threading.Condition()
        self._arguments = arguments or ["-c", self.config_path]
        self._descriptors = descriptors
        self._resources = []
        self.process = None
        self.is_killed = False
        self.logs_all_sessions = True
        self.baseline = 0
        if config is not None:
            self.write_config(config)

    # Its life.

    def write_config(self, config):
        config = {"log": {"target": "stderr"}, "drain": "10s", **config}
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(to_settings(config))

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def _start(self):
        self.process = subprocess.Popen(
            [BINARY, *self._arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment(), preexec_fn=self._prepare)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.wait_line(r"finback: ready\b.*")
        self.baseline = self.descriptors()

    def _prepare(self):
        """In the child, before the program starts."""
        die_with_parent()
        if self._descriptors:
            limit = (self._descriptors, self._descriptors)
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)

    def _read_log(self):
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            match = re.fullmatch(r"finback: listener (\S+): listening on (\S+)", line)
            with self._grown:
                if match:
                    self.addresses[match[1]].append(match[2])
                self._lines.append((time.monotonic(), line))
                self._grown.notify_all()
        with self._grown:
            self._lines.append((time.monotonic(), None))  # the log has ended
            self._grown.notify_all()

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                self._check_end()
        finally:
            self._clean_up()

    def end(self):
        """Resets what is left of the sessions, and ends the daemon when they are gone."""
        self.reset_peers()
        self.wait_descriptors(self.baseline)
        self.signal(signal.SIGTERM)
        self.wait_exit()

    def wait_descriptors(self, count):
        eventually(lambda: self.descriptors() <= count, "descriptors given back")

    def _check_end(self):
        if not self.is_killed:
            if self.process.poll() is None:
                self.end()
            self.wait_exit()
            self._check_endings()
        self._check_complaints()

    def _check_complaints(self):
        complaints = [line for line in self.lines() if COMPLAINTS.search(line)]
        assert not complaints, "\n".join(self.lines())

    def _check_endings(self):
        counted, endings = self.totals()
        assert counted["active"] == 0
        assert counted["accepted"] == sum(endings.values()), (counted, endings)
        if self.logs_all_sessions:
            sessions = self.sessions()
            assert collections.Counter(session["ending"] for session in sessions) == endings
            for name in ("bytes_from_client", "bytes_from_server"):
                assert sum(session[name] for session in sessions) == counted[name], name

    def _clean_up(self):
        for peer in self.peers:
            peer.reset()
        for held in self._resources:
            held.close()
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(TIMEOUT)
            self._reader.join(TIMEOUT)
            self.process.stderr.close()
            print("\n".join(self.lines()))  # shown by pytest when the test failed
        shutil.rmtree(self.directory, ignore_errors=True)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL: nothing is checked at the end but what the log says."""
        self.is_killed = True
        self.process.kill()
        self.process.wait(TIMEOUT)

    @contextlib.contextmanager
    def stopped(self):
        """What happens in the block is found by the daemon all at once, afterwards."""
        self.signal(signal.SIGSTOP)
        try:
            eventually(lambda: self._stat()[0] == "T", "stopped")
            yield
        finally:
            self.signal(signal.SIGCONT)

    def reload(self, config):
        """A reload with a good configuration."""
        self.write_config(config)
        before = len(self.lines_like(r"finback: reloaded\b.*"))
        self.signal(signal.SIGHUP)
        self.wait_line(r"finback: reloaded\b.*", count=before + 1)

    def wait_exit(self, status=0, within=TIMEOUT):
        assert self.process.wait(within) == status, "\n".join(self.lines())
        self._reader.join(TIMEOUT)

    def own(self, resource_with_close):
        """Closes it when the daemon has ended."""
        self._resources.append(resource_with_close)
        return resource_with_close

    # Its peers.

    def address(self, listener="web", index=0):
        return self.addresses[listener][index]

    def connect(self, listener="web", receive_buffer=None, index=0):
        peer = Peer.connect(self.address(listener, index), receive_buffer)
        self.peers.append(peer)
        return peer

    def reset_peers(self):
        for peer in self.peers:
            peer.reset()
        for held in self._resources:
            if isinstance(held, Backend):
                for peer in held.peers:
                    peer.reset()

    # Its log.

    def lines(self):
        with self._grown:
            return [line for _, line in self._lines if line is not None]

    def lines_like(self, pattern):
        """All matches of whole lines so far."""
        return [match for line in self.lines() if (match := re.fullmatch(pattern, line))]

    def wait_line(self, pattern, count=1, within=TIMEOUT):
        """Waits for the count-th line that matches as a whole, and returns the match."""
        return self._wait(lambda line: re.fullmatch(pattern, line), count, within, pattern)

    def wait_session(self, count=1, within=TIMEOUT, **fields):
        """Waits for the count-th session line with these fields, and returns it as a Session."""

        def fits(line):
            session = Session.of(line)
            return session if session is not None and session.has(fields) else None

        return self._wait(fits, count, within, f"a session line with {fields}")

    def _wait(self, fits, count, within, what):
        end = time.monotonic() + within
        seen = 0
        with self._grown:
            while True:
                while seen < len(self._lines):
                    line = self._lines[seen][1]
                    seen += 1
                    if line is None:
                        raise AssertionError(f"the daemon ended without {what}")
                    result = fits(line)
                    if result:
                        count -= 1
                        if count == 0:
                            return result
                if not self._grown.wait(max(0, end - time.monotonic())):
                    raise AssertionError(f"no {what} within {within} s")

    def sessions(self):
        """All session lines so far."""
        return [session for line in self.lines() if (session := Session.of(line)) is not None]

    def totals(self):
        """What the lines at the end say of all listeners together, as Totals."""
        totals = Totals(collections.Counter(), collections.Counter())
        matches = self.lines_like(r"finback: (?:traffic of )?listener \S+: (\w+=.*)")
        assert matches, "no totals in the log"
        for match in matches:
            for name, value in re.findall(r"(\w+)=(\d+)", match[1]):
                is_ending = not COUNTED.match(name)
                (totals.endings if is_ending else totals.counted)[name] += int(value)
        return totals

    # Its use of the machine.

    def _proc(self, *path):
        return os.path.join("/proc", str(self.process.pid), *path)

    def _links(self):
        """What its descriptors stand for."""
        for number in os.listdir(self._proc("fd")):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                yield os.readlink(os.path.join(self._proc("fd"), number))

    def descriptors(self):
        """Open ones without those of pipes, which a worker keeps for the next flow."""
        return sum(not link.startswith("pipe:") for link in self._links())

    def all_descriptors(self):
        return len(os.listdir(self._proc("fd")))

    def pipes(self):
        """Open pipes, by their number; its standard error is none."""
        found = collections.Counter(link for link in self._links() if link.startswith("pipe:"))
        return [link for link, ends in found.items() if ends == 2]

    def resident_bytes(self):
        with open(self._proc("statm"), encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def wakeups(self):
        """Voluntary context switches of all threads: each is a sleep that ended."""
        total = 0
        for task in os.listdir(self._proc("task")):
            with open(self._proc("task", task, "status"), encoding="ascii") as file:
                total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1])
        return total

    def _stat(self):
        """The fields of /proc/PID/stat from the state on."""
        with open(self._proc("stat"), encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()

    def cpu_seconds(self):
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICK

    def expect_rest(self, seconds=1.0, wakeups_a_second=10):
        """Nothing happens outside, so nothing may happen inside: no wake-ups, no CPU time."""
        wakeups, cpu = self.wakeups(), self.cpu_seconds()
        time.sleep(seconds)
        wakeups, cpu = self.wakeups() - wakeups, self.cpu_seconds() - cpu
        assert wakeups < wakeups_a_second * seconds, f"{wakeups} wake-ups in {seconds} s"
        assert cpu < 0.1 * seconds, f"{cpu} s of CPU time in {seconds} s"

    def sockets(self):
        """Copies of all its TCP sockets that are connected, to look at their options. To be closed
        before anything else happens: a copy keeps a connection open."""
        process = os.pidfd_open(self.process.pid)
        found = []
        try:
            for number in map(int, os.listdir(self._proc("fd"))):
                copy = LIBC.syscall(SYS_PIDFD_GETFD, process, number, 0)
                if copy >= 0:
                    found += self._connected(copy)
        finally:
            os.close(process)
        return found

    @staticmethod
    def _connected(descriptor):
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            return []
        try:
            if sock.family != socket.AF_UNIX:
                sock.getpeername()
                return [sock]
        except OSError:
            pass
        sock.close()
        return []


class Relay(Finback):
    """A daemon with one listener "web" in front of one backend of its own. The families are those
    of the two sides; `receive_buffer` is what both peers have; `top` are settings outside the
    listener, the rest are the listener's."""

    def __init__(self, client_family="ipv4", server_family="ipv4", workers=1, backend=None,
                 receive_buffer=None, top=None, descriptors=None, **settings):
        self.backend = backend or Backend(server_family, receive_buffer=receive_buffer)
        self.receive_buffer = receive_buffer
        super().__init__(descriptors=descriptors)
        self.own(self.backend)
        listen = {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0",
                  "unix": "unix:" + os.path.join(self.directory, "web")}[client_family]
        self.listener = {"name": "web", "listen": listen, "servers": self.backend.address,
                         **settings}
        self.config = {"workers": workers, **(top or {}), "listeners": (self.listener,)}
        self.write_config(self.config)

    def pair(self):
        """A session: (client, server)."""
        client = self.connect(receive_buffer=self.receive_buffer)
        return client, self.backend.accept()

    def let_in(self):
        """A session, soon: (client, server). A place under a limit is given back a moment after the
        byte, or the end, that does it was seen outside; who is refused till then tries again."""
        for _ in range(50):
            client = self.connect()
            ready = select.select([self.backend.sock, client.sock], [], [], TIMEOUT)[0]
            assert ready, "neither served nor reset"
            if self.backend.sock in ready:
                return client, self.backend.accept()
            client.expect_reset()
            time.sleep(0.05)
        raise AssertionError("no place is given back")

    def sides(self, first):
        """A session: the peer on the side `first` ("client" or "server"), and the other one."""
        client, server = self.pair()
        return (client, server) if first == "client" else (server, client)

    def greeted_sides(self, first):
        """As sides(), and the daemon is known to have seen that the server is connected."""
        client, server = self.pair()
        server.send(b"hello")
        assert client.receive(5) == b"hello"
        return (client, server) if first == "client" else (server, client)


SIDES = ("client", "server")


def other(side):
    return "server" if side == "client" else "client"
