#!/usr/bin/python3
"""finback side by side with other relays, in one run: what a GiB, a message, a session and an idle
session cost each. Prints a table of medians, and finback as a ratio to the best sound peer.

A relay has one CPU to itself, the load generator another. Rounds are interleaved, and their order
is rotated, so that what else the machine does falls on all alike. Absolute figures belong to the
machine; only ratios of one run say anything. A peer that loses a byte or a half-close in a test is
no measure for that test.
"""

import argparse
import ctypes
import fcntl
import json
import os
import platform
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import relays

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 60  # seconds without an expected line from the load generator
GIB = 1 << 30

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


class Failed(Exception):
    """The relay did not carry the load as it should."""


class Load:
    """A run of the load generator: `with` starts it and makes sure that it ends."""

    def __init__(self, program, arguments, cpu):
        self.process = subprocess.Popen(
            [program, *arguments, "--listen", "127.0.0.1:0", "--wait"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=relays.pinned(cpu))
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
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

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
        return lines[0] if lines else ""

    def number(self, key):
        return float(self.values[key])


class Test:
    """One row of the table: how the load runs, and what is made of it."""

    def __init__(self, name, unit, *load):
        self.name = name
        self.unit = unit
        self.load = list(load)

    def measure(self, load, relay, address):
        """The cost of one unit, by the relay at this address."""
        load.tell(address)
        load.wait_value("ready")
        before = relay.cpu_seconds()
        load.tell("start")
        load.wait_value(self.last)
        cost = relay.cpu_seconds() - before
        if self.holds:
            load.tell("end")
        load.finish()
        return cost / self.amount(load)

    last = "errors"
    holds = False

    def amount(self, load):
        raise NotImplementedError


class Bulk(Test):
    """CPU-seconds for each GiB."""

    def amount(self, load):
        return (load.number("bytes_up") + load.number("bytes_down")) / GIB


class Ping(Test):
    """CPU-microseconds for each request and response."""

    last = "messages"
    holds = True

    def amount(self, load):
        return load.number("messages") / 1e6


class Churn(Test):
    """CPU-microseconds for each session."""

    def amount(self, load):
        return load.number("complete") / 1e6


class Idle(Test):
    """Resident bytes for each session held."""

    def measure(self, load, relay, address):
        before = relay.resident_bytes()
        load.tell(address)
        load.wait_value("opened")
        time.sleep(0.3)
        held = relay.resident_bytes() - before
        load.tell("end")
        load.finish()
        return held / load.number("sessions")


def all_tests(seconds, sessions):
    timed = ("--seconds", str(seconds))
    many = ("--sources", "32", *timed)
    held = ("idle", "--sessions", str(sessions))
    return [
        Bulk("bulk1-up", "CPU-s/GiB", "bulk", "--direction", "up", *timed),
        Bulk("bulk1-down", "CPU-s/GiB", "bulk", "--direction", "down", *timed),
        Bulk("bulk16-down", "CPU-s/GiB", "bulk", "--direction", "down", "--connections", "16",
             *timed),
        Bulk("bulk16-both", "CPU-s/GiB", "bulk", "--direction", "both", "--connections", "16",
             *timed),
        Ping("ping1", "CPU-us/message", "ping", *timed),
        Ping("ping64", "CPU-us/message", "ping", "--connections", "64", *timed),
        Ping("ping1000", "CPU-us/message", "ping", "--connections", "1000", *timed),
        Churn("churn16", "CPU-us/session", "churn", "--connections", "16", *many),
        Churn("churn256", "CPU-us/session", "churn", "--connections", "256", *many),
        Idle("idle", "RSS B/session", *held),
        Idle("idle-64k", "RSS B/session", *held, "--size", "65536"),
    ]


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


def measure_once(test, kind, options):
    """One figure, or Failed."""
    with tempfile.TemporaryDirectory(prefix="finback-bench-") as directory, \
         Load(options.load, test.load, options.cpus[0]) as load:
        server = load.wait_value("listening")
        port = free_port()
        try:
            relay = kind.start(port, server, directory, options.cpus[1])
        except RuntimeError as error:
            raise Failed(str(error)) from None
        try:
            return test.measure(load, relay, f"127.0.0.1:{port}")
        finally:
            relay.stop()


def run_rounds(tests, kinds, options):
    """{test: {relay: [figures]}}; a failure is kept as its text."""
    figures = {test.name: {kind.name: [] for kind in kinds} for test in tests}
    for number in range(options.rounds):
        shift = number % len(kinds)
        for test in tests:
            for kind in kinds[shift:] + kinds[:shift]:
                try:
                    figure = measure_once(test, kind, options)
                except Failed as failure:
                    figure = str(failure) or "failed"
                    print(f"{test.name}, {kind.name}: {figure}", file=sys.stderr)
                figures[test.name][kind.name].append(figure)
            print(f"round {number + 1} of {options.rounds}: {test.name}", file=sys.stderr)
    return figures


def median(figures):
    """None when one of the runs failed."""
    if not figures or any(isinstance(figure, str) for figure in figures):
        return None
    return statistics.median(figures)


def format_figure(figure):
    if figure is None:
        return "fails"
    return f"{figure:.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def format_row(test, kinds, figures):
    medians = {kind.name: median(figures[kind.name]) for kind in kinds}
    own = medians.pop("finback", None)
    sound = {name: figure for name, figure in medians.items() if figure}
    cells = [format_figure(own)] if "finback" in figures else []
    cells += [format_figure(figure) for figure in medians.values()]
    ratio = "-"
    if own is not None and sound:
        best = min(sound, key=sound.get)
        ratio = f"{own / sound[best]:.2f} ({best})"
    return f"| {test.name}, {test.unit} | " + " | ".join(cells) + f" | {ratio} |"


def print_table(tests, kinds, figures):
    names = sorted((kind.name for kind in kinds), key=lambda name: name != "finback")
    print("| test | " + " | ".join(names) + " | finback / best |")
    print("|---" * (len(names) + 2) + "|")
    for test in tests:
        print(format_row(test, kinds, figures[test.name]))


def print_head(kinds, options):
    pinned = options.cpus[1] is not None
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs; {options.rounds} rounds of "
          f"{options.seconds} s; medians, lower is better; relay and load "
          + ("each on one CPU of its own." if pinned else "not pinned: one CPU only."))
    for kind in kinds:
        print(f"- {kind.name}: {kind.version()}")
    print()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--sessions", type=int, default=4000, help="idle ones that are held")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="a test or a relay, by the beginning of its name; may be repeated")
    parser.add_argument("--observed", action="store_true",
                        help="finback against itself with its control interface on and asked each "
                             "second, in place of other relays")
    parser.add_argument("--json", metavar="FILE", help="all figures, not only medians")
    parser.add_argument("--finback", default=os.path.join(TOP, "build/release/finback"))
    parser.add_argument("--load", default=os.path.join(TOP, "build/release/tests/finback-load"))
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds <= 60 or not 0 < options.sessions <= 9000:
        parser.error("rounds from 1, seconds up to 60, sessions up to 9000")
    if not os.access(options.load, os.X_OK):
        parser.error(f"{options.load} is not there; scripts/bench builds it")
    cpus = sorted(os.sched_getaffinity(0))
    options.cpus = (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)
    return options


def choose(every, only):
    """Those that --only names, or all where it names none of this sort."""
    chosen = [one for one in every if any(one.name.startswith(name) for name in only or ())]
    return chosen or every


def stop_politely(*_):
    sys.exit(128 + signal.SIGTERM)


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, stop_politely)
    kinds = []
    every = relays.observed_kinds if options.observed else relays.all_kinds
    for kind in choose(every(options.finback), options.only):
        why = kind.why_missing()
        if why:
            print(f"left out: {kind.name}: {why}", file=sys.stderr)
        else:
            kinds.append(kind)
    tests = choose(all_tests(options.seconds, options.sessions), options.only)
    if not own_network():
        print("no network namespace of its own: fewer ports, others' traffic", file=sys.stderr)
    figures = run_rounds(tests, kinds, options)
    print_head(kinds, options)
    print_table(tests, kinds, figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rounds": options.rounds, "seconds": options.seconds,
                       "figures": figures}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
