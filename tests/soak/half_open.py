"""Very many sessions through finback, a few of which lose a peer without a word: each of these is
to end as dead, in time, with the right side blamed; no other; and all counters are to agree.

The three hosts are those of the network tests. Both ends of every session are played by the program
finback-soak, which knows beforehand who vanishes, when, and in which state.
"""

import collections
import contextlib
import dataclasses
import os
import re
import select
import signal
import socket
import statistics
import subprocess

from lab import CLIENT, FAMILIES, RELAY, SERVER
from lib.control import ControlledFinback
from lib.daemon import BINARY, SIDES, die_with_parent
from lib.metrics import Metrics
from lib.peers import eventually, format_address, parse_address

PROGRAM = os.path.join(os.path.dirname(os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load"))),
    "finback-soak")

ROUTES = 4      # addresses of clients and of servers, in each family: each has ports of its own
LANES = 16      # for sessions in which the client is not the first to speak
BACKLOG = 4096
SILENT = 0xdead  # END_SILENT of the program
# Sessions come and go faster than ports are free again.
KERNEL = {"ipv4/ip_local_port_range": "1024 65000", "ipv4/tcp_tw_reuse": "1",
          "ipv4/tcp_max_tw_buckets": "1000000", "core/somaxconn": str(BACKLOG)}
DUMB = f"""table inet vanished {{
chain leaving {{
type filter hook output priority 0;
meta mark {SILENT} counter drop;
}}
}}
"""
PROBE_INTERVAL = 8      # of dead_after: what a kernel's probes are apart, at most
LEAST_INTERVAL = 1.0    # s
SLACK = 2.0             # s, for a busy machine
OUTLIVED = 1.5          # times dead_after: when the reader of a flood reads again
LINGER = 60             # s, that the last bytes of a session are given at most
STARTUP = 30            # s, for the program to tell of something
KEPT_SHARE = 0.1        # of the memory at rest
SHOWN = 20              # differences that are told of in words
ENDS_CLEANLY = ("closing",)     # states in which the other end has seen all that there was


@dataclasses.dataclass
class Plan:
    """What is to happen."""

    sessions: int
    one_in: int
    dead_after: float   # s
    seed: int
    at_a_time: int = 400
    rest_in: int = 2000     # of so many one is silent for longer than dead_after, and alive
    warm_up: int = 0        # sessions before, of which none vanishes
    kept_bytes: int = 8 << 20   # more memory at the end than this, beside KEPT_SHARE, is a leak

    def is_right(self, vanished):
        """Whether so many may vanish: one of each block, and of what is left perhaps one."""
        if self.one_in == 0:
            return vanished == 0
        blocks, rest = divmod(self.sessions, self.one_in)
        return blocks <= vanished <= blocks + (rest > 0)

    def latest(self, state):
        """When one that vanished must have been found, in seconds from then."""
        interval = max(LEAST_INTERVAL, self.dead_after / PROBE_INTERVAL)
        found = self.dead_after + interval + SLACK
        if state == "not_read_from":
            # The reader gets what came before, and reads it only when it looks again.
            return max(found, OUTLIVED * self.dead_after + SLACK)
        return found


class Vanished:
    """One of the sessions that lost a peer, as the program tells of it, and what finback logged."""

    def __init__(self, text):
        words = text.split()
        self.number = int(words[0])
        self.side, self.state, self.client = words[1:4]
        self.vanished_at, self._lived, self._cut = map(float, words[4:7])
        self.has_ended = dict(zip(SIDES, (word == "1" for word in words[7:9])))
        self.line = None

    @property
    def found_after(self):
        """Seconds from when it vanished to the end of the session."""
        return self.line["total_ms"] / 1000 - self._lived

    def wrongs(self, plan):
        """What is not as it should be, in words."""
        if self.line is None:
            yield "finback did not end it"
            return
        if self.line["ending"] != f"{self.side}_dead":
            yield f"ended as {self.line['ending']}"
        if not 0 < self.found_after <= plan.latest(self.state):
            yield f"ended after {self.found_after:.2f} s"
        if "detector" not in self.line:
            yield "no detector"
        if self._cut < 0 and self.state not in ENDS_CLEANLY:
            yield "the other end read no reset"

    def __str__(self):
        return f"session {self.number} ({self.state}, {self.side} {self.client})"


class Program:
    """A run of finback-soak: `with` starts it and makes sure that it ends."""

    def __init__(self, soak, plan):
        self.values = {}
        self.complaints = []
        self.vanished = []
        self.at_most = 0    # descriptors that finback had open
        self._soak = soak
        self._text = b""
        descriptors = [sock.fileno() for sock in soak.sockets]
        with soak.lab.inside("client"):
            self.process = subprocess.Popen(
                [PROGRAM, *soak.arguments(plan)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, pass_fds=descriptors, preexec_fn=die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def run(self, tell):
        """Until it has reported; the peers that vanished are kept until it is let go."""
        while "errors" not in self.values:
            if not select.select([self.process.stdout], [], [], STARTUP)[0]:
                raise AssertionError(f"finback-soak has been silent for {STARTUP} s")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                self.let_go()
                raise AssertionError(f"finback-soak ended: {self.complaints}")
            self._take(chunk, tell)
        return self

    def _take(self, chunk, tell):
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode().partition("=")
            if key == "vanished":
                self.vanished.append(Vanished(value))
            elif key == "done":
                self.at_most = max(self.at_most, self._soak.relay.descriptors())
                tell(int(value))
            else:
                self.values[key] = float(value)

    def let_go(self):
        """Lets it end. Its errors are few enough for a pipe to hold them."""
        self.process.stdin.close()
        self.process.wait(STARTUP)
        lines = self.process.stderr.read().decode().splitlines()
        self.complaints = [line.split("error: ", 1)[-1] for line in lines]


class Counted:
    """The counters of finback, summed over its listeners."""

    def __init__(self, control):
        self._metrics = Metrics.of(control)

    def total(self, name, **labels):
        return self._metrics.total(f"finback_{name}", **labels)

    def by(self, name, *keys):
        """Those that are not 0, by the values of these labels."""
        found = collections.Counter()
        for labels, value in self._metrics.samples[f"finback_{name}"].items():
            values = tuple(dict(labels)[key] for key in keys)
            found[values if len(keys) > 1 else values[0]] += value
        return +found


def address_of(family, base, number):
    """The n-th of the addresses that a host has for a soak; the first is the lab's."""
    return re.sub(r"\d+$", lambda match: str(int(match[0]) + 10 * number), base[family])


class Soak:
    """The hosts, a finback between them, and the servers' sockets."""

    def __init__(self, lab, plan):
        self.lab = lab
        self.plan = plan
        self.sockets = []
        self.relay = None

    @contextlib.contextmanager
    def ready(self):
        """Everything set up, and taken down afterwards."""
        try:
            self._prepare_hosts()
            with self._relay() as self.relay:
                yield self
        finally:
            for sock in self.sockets:
                sock.close()

    def _prepare_hosts(self):
        for host in self.lab.hosts.values():
            for path, value in KERNEL.items():
                host.sysctl(path, value)
        for side, base in (("client", CLIENT), ("server", SERVER)):
            host = self.lab.hosts[side]
            host.nft(DUMB)
            host.ip(*(f"addr add {address_of('ipv4', base, number)}/24 dev relay"
                      for number in range(1, ROUTES)))
            host.ip(*(f"addr add {address_of('ipv6', base, number)}/64 dev relay nodad"
                      for number in range(1, ROUTES)))

    def _listen(self, family, number):
        """A server's socket, and its address."""
        with self.lab.inside("server"):
            kind, name = parse_address(format_address((address_of(family, SERVER, number), 0)))
            sock = socket.socket(kind, socket.SOCK_STREAM)
        self.sockets.append(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sock.bind(name)
        sock.listen(BACKLOG)
        return sock.fileno(), format_address(sock.getsockname())

    def _relay(self):
        """finback's configuration: one listener for most, and a lane each for the rest."""
        self._web = [self._listen(family, number)
                     for family in FAMILIES for number in range(ROUTES)]
        self._lanes = [self._listen(lane_family(number), 0) for number in range(LANES)]
        sides = {side: {"dead_after": f"{round(self.plan.dead_after * 1000)}ms"} for side in SIDES}
        web = {"name": "web",
               "listen": [format_address((RELAY[family]["client"], 0)) for family in FAMILIES],
               "servers": tuple(address for _, address in self._web)}
        lanes = ({"name": f"lane{number}", "servers": (address,),
                  "listen": format_address((RELAY[lane_family(number)]["client"], 0))}
                 for number, (_, address) in enumerate(self._lanes))
        return Relay(self.lab, {"log": {"target": "stderr", "sessions": "failed"},
                                "defaults": {**sides, "backlog": BACKLOG},
                                "listeners": (web, *lanes)})

    def arguments(self, plan):
        """The program's command line."""
        options = {"sessions": plan.sessions, "one-in": plan.one_in, "rest-in": plan.rest_in,
                   "seed": plan.seed, "at-a-time": plan.at_a_time,
                   "dead-after-ms": round(plan.dead_after * 1000),
                   "patience-ms": round(plan.dead_after * 3000) + 30000}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        for descriptor, _ in self._web:
            words += ["--listener", str(descriptor)]
        for index, family in enumerate(FAMILIES):
            for number in range(ROUTES):
                words += ["--route", self._route(family, number, "web", index)]
        for number, (descriptor, _) in enumerate(self._lanes):
            route = self._route(lane_family(number), number % ROUTES, f"lane{number}", 0)
            words += ["--lane", f"{descriptor},{route}"]
        return words

    def _route(self, family, number, listener, index):
        source = format_address((address_of(family, CLIENT, number), 0))
        return f"{source},{self.relay.address(listener, index)}"

    # A run.

    def play(self, plan, tell):
        """Runs the program, until finback has nothing left; returns what both have to say."""
        before = self._at_rest()
        with Program(self, plan) as program:
            program.run(tell)
            self._wait_ends(plan)
            program.let_go()
        return Result(plan, program, before, self._at_rest(), self.relay.sessions())

    def _wait_ends(self, plan):
        """Those that vanished last are still to be found."""
        with contextlib.suppress(AssertionError):   # then it is told of, as a difference
            eventually(lambda: Counted(self.relay.control).total("sessions_active") == 0,
                       "no session left", OUTLIVED * plan.dead_after + LINGER)

    def _at_rest(self):
        """Counters, descriptors and memory, while nothing happens."""
        counted = Counted(self.relay.control)
        self.relay.control.close()
        with contextlib.suppress(AssertionError):   # as above
            self.relay.wait_descriptors(self.relay.baseline)
        return AtRest(counted, self.relay.descriptors(), self.relay.resident_bytes())


class Relay(ControlledFinback):
    """A daemon on the relay's host."""

    def __init__(self, lab, config):
        super().__init__(config)
        self.lab = lab
        self.logs_all_sessions = False

    def __enter__(self):
        with self.lab.inside("relay"):
            return super().__enter__()

    def end(self):
        """Without a look at the descriptors: what is left of them is in the result."""
        self.reset_peers()
        self.signal(signal.SIGTERM)
        self.wait_exit()


@dataclasses.dataclass
class AtRest:
    """finback between two runs."""

    counted: Counted
    descriptors: int
    resident: int


class Result:
    """What came of a run: `wrongs` in words, none where all is as it should be."""

    def __init__(self, plan, program, before, after, lines):
        self.plan = plan
        self.vanished = program.vanished
        self.values = program.values
        self.at_most = program.at_most
        self._before, self._after = before, after
        self._lines = lines
        self.wrongs = list(program.complaints)
        self._match()
        for check in (self._check_sessions, self._check_vanished, self._check_counters,
                      self._check_bytes, self._check_remains):
            self.wrongs += check()

    def _match(self):
        """Gives each that vanished its line of the log. What is left over is nobody's."""
        lines = collections.defaultdict(list)
        for line in self._lines:
            lines[line["client"]].append(line)
        for vanished in self.vanished:
            if lines[vanished.client]:
                vanished.line = lines[vanished.client].pop(0)
        self._strangers = [line for rest in lines.values() for line in rest]

    def counted(self, name, **labels):
        """By how much a counter has grown."""
        return (self._after.counted.total(name, **labels) -
                self._before.counted.total(name, **labels))

    def counted_by(self, name, *keys):
        found = self._after.counted.by(name, *keys)
        found.subtract(self._before.counted.by(name, *keys))
        return +found

    def _differs(self, what, found, expected):
        if found != expected:
            yield f"{what}: {found}, not {expected}"

    def _check_sessions(self):
        sessions, gone = self.plan.sessions, len(self.vanished)
        yield from self._differs("sessions launched", self.values["launched"], sessions)
        yield from self._differs("sessions that failed", self.values["failed"], 0)
        yield from self._differs("sessions complete", self.values["complete"], sessions - gone)
        if not self.plan.is_right(gone):
            yield f"sessions that vanished: {gone}"

    def _check_vanished(self):
        for vanished in self.vanished:
            for wrong in vanished.wrongs(self.plan):
                yield f"{vanished}: {wrong}"
        for line in self._strangers:
            yield f"nobody vanished, and yet: session {line['id']} of {line['client']} ended as " \
                  f"{line['ending']}"

    def _check_counters(self):
        gone = collections.Counter(f"{vanished.side}_dead" for vanished in self.vanished)
        endings = gone + collections.Counter(complete=self.plan.sessions - len(self.vanished))
        yield from self._differs("accepted", self.counted("sessions_accepted_total"),
                                 self.plan.sessions)
        yield from self._differs("active", self._after.counted.total("sessions_active"), 0)
        yield from self._differs("endings", self.counted_by("sessions_ended_total", "ending"),
                                 endings)
        dead = collections.Counter((vanished.side, vanished.line.get("detector"))
                                   for vanished in self.vanished if vanished.line)
        yield from self._differs("dead peers",
                                 self.counted_by("dead_peers_total", "side", "detector"), dead)
        yield from self._differs("log lines lost", self.counted("log_dropped_total"), 0)

    def _check_bytes(self):
        """To the byte, and to the end of file."""
        for side in SIDES:
            flow = f"from_{side}"
            logged = sum(vanished.line[f"bytes_{flow}"] for vanished in self.vanished
                         if vanished.line)
            yield from self._differs(f"bytes {flow}",
                                     self.counted("bytes_relayed_total", flow=flow),
                                     self.values[f"bytes_{flow}"] + logged)
            ended = sum(vanished.has_ended[side] for vanished in self.vanished)
            yield from self._differs(f"ends of file {flow}",
                                     self.counted("fins_relayed_total", flow=flow),
                                     self.values["complete"] + ended)

    def _check_remains(self):
        yield from self._differs("descriptors", self._after.descriptors, self._before.descriptors)
        grown = self._after.resident - self._before.resident
        if grown > max(self.plan.kept_bytes, KEPT_SHARE * self._before.resident):
            yield f"{grown} bytes of memory more than before"

    # For people, and for programs.

    def times(self):
        """When those of each state were found, in order."""
        found = collections.defaultdict(list)
        for vanished in self.vanished:
            if vanished.line:
                found[vanished.state].append(vanished.found_after)
        return {state: sorted(seconds) for state, seconds in sorted(found.items())}

    def detectors(self):
        return collections.Counter(f"{vanished.side}, {vanished.line.get('detector')}"
                                   for vanished in self.vanished if vanished.line)

    def as_json(self):
        plan = dataclasses.asdict(self.plan)
        figures = {key: value for key, value in self.values.items() if key != "errors"}
        return {"plan": plan, "ok": not self.wrongs, "wrongs": self.wrongs, "program": figures,
                "found_after_s": {state: {"sessions": len(seconds),
                                          "median": statistics.median(seconds),
                                          "worst": max(seconds)}
                                  for state, seconds in self.times().items()},
                "vanished": [self._record(vanished) for vanished in self.vanished],
                "detectors": self.detectors(), "descriptors_at_most": self.at_most,
                "descriptors": [self._before.descriptors, self._after.descriptors],
                "resident_bytes": [self._before.resident, self._after.resident]}

    @staticmethod
    def _record(vanished):
        line = vanished.line or {}
        return {"session": vanished.number, "side": vanished.side, "state": vanished.state,
                "client": vanished.client, "ending": line.get("ending"),
                "detector": line.get("detector"),
                "found_after_s": round(vanished.found_after, 3) if line else None}

    def lines(self):
        """The table."""
        times = self.times()
        every = sorted(seconds for column in times.values() for seconds in column)
        yield f"{'vanished':26} {'sessions':>8} {'median':>8} {'worst':>8} {'at most':>8}"
        for state, seconds in times.items():
            yield row(state, seconds, self.plan.latest(state))
        if every:
            yield row("all", every)
        yield ""
        for name, count in sorted(self.detectors().items()):
            yield f"found dead: {name}: {count}"
        seconds = self.values["seconds"]
        yield f"{self.plan.sessions} sessions in {seconds:.0f} s, " \
              f"{self.plan.sessions / seconds:.0f} a second"
        yield f"{self.values['rested']:.0f} were silent for longer than dead_after, and alive"
        yield f"descriptors: {self._before.descriptors} before, {self.at_most} at most, " \
              f"{self._after.descriptors} after"
        yield f"memory: {self._before.resident >> 10} KiB before, " \
              f"{self._after.resident >> 10} KiB after"
        yield ""
        for wrong in self.wrongs[:SHOWN]:
            yield f"WRONG: {wrong}"
        if len(self.wrongs) > SHOWN:
            yield f"WRONG: and {len(self.wrongs) - SHOWN} more"
        yield "not as it should be" if self.wrongs else "all as it should be"


def row(name, seconds, latest=None):
    text = f"{name:26} {len(seconds):8} {statistics.median(seconds):8.2f} {max(seconds):8.2f}"
    return f"{text} {latest:8.2f}" if latest else text


def lane_family(number):
    return FAMILIES[number % len(FAMILIES)]


def run(lab, plan, tell=lambda done: None):
    """The whole of it in this lab: the warm-up, then the run, whose Result it returns."""
    soak = Soak(lab, plan)
    with soak.ready():
        if plan.warm_up:
            warm = dataclasses.replace(plan, sessions=plan.warm_up, one_in=0, rest_in=0, warm_up=0)
            wrongs = soak.play(warm, lambda done: None).wrongs
            assert not wrongs, wrongs
        return soak.play(plan, tell)
