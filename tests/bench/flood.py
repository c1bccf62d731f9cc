#!/usr/bin/python3
"""What a flood of connections that never speak costs finback, and what an honest client beside it
sees: without the limits, with `first_byte`, and with `max_embryonic` as well.

The flood, its server and the honest client share one CPU, finback with one worker has another. The
honest client makes sessions one after the other: connect, a request and its end of file, the answer
and its end of file. What it costs finback without a flood is taken off the flood's cost.
"""

import argparse
import os
import platform
import re
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

from bench import add_programs, check_programs, stop_politely
from generator import PATIENCE as LOAD_PATIENCE
from generator import Load, free_port, own_network
from relays import Kind

REQUEST = b"x" * 64
PATIENCE = 3.0   # seconds that the honest client waits for anything
PAUSE = 0.002    # between two of its sessions
QUIET = 5.0      # seconds that are measured without a flood
RESET = struct.pack("ii", 1, 0)

CONFIG = """
workers = 1;
drain = "1s";
log = {{ target = "stderr"; level = "info"; sessions = "none"; }};
listeners = (
  {{ name = "bench"; listen = [ "127.0.0.1:{port}" ]; servers = "{server}"; {options} }}
);
"""

FIRST_BYTE = 'timeouts = {{{{ first_byte = "1s"; }}}};'  # formatted twice
VARIANTS = (  # name, settings, whether there is a flood
    ("no flood", FIRST_BYTE, False),
    ("no limit", "", True),
    ('first_byte = "1s"', FIRST_BYTE, True),
    ("and max_embryonic = {embryonic}", FIRST_BYTE + " max_embryonic = {embryonic};", True),
)


class Honest:
    """The honest client, in a thread of its own."""

    def __init__(self, port):
        self._address = ("127.0.0.1", port)
        self._stopped = threading.Event()
        self.latencies = []
        self.failures = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._session()
                self.latencies.append(time.monotonic() - began)
            except OSError as error:
                why = type(error).__name__
                self.failures[why] = self.failures.get(why, 0) + 1
            self._stopped.wait(PAUSE)

    def _session(self):
        with socket.socket() as sock:
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.connect(self._address)
            sock.sendall(REQUEST)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := sock.recv(4096):
                answer += chunk
            if not answer.startswith(b"answer"):
                raise ConnectionError("no answer")

    def stop(self):
        self._stopped.set()
        self._thread.join(3 * PATIENCE)

    @property
    def attempts(self):
        return len(self.latencies) + sum(self.failures.values())

    def milliseconds(self, part):
        """A part of all latencies, as 0.5 for the median; None: there was no session."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class Result:
    """What one variant came to."""

    def __init__(self, name):
        self.name = name
        self.cpu = 0
        self.peak = 0
        self.honest = None
        self.load = {}
        self.endings = ""


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^VmHWM:\s*(\d+) kB", file.read(), re.M)[1]) * 1024


def endings_of(relay):
    """What finback counted, from the line at its end."""
    with open(relay.log_path, encoding="utf-8", errors="replace") as log:
        matches = re.findall(r"listener bench: (accepted=.*)", log.read())
    return matches[-1] if matches else "no totals in its log"


def measure(variant, options):
    name, settings, has_flood = variant
    result = Result(name.format(embryonic=options.embryonic))
    arguments = ("flood", "--sessions", str(options.connections), "--connections",
                 str(options.open), "--rate", str(options.rate), "--sources", "32",
                 "--seconds", str(options.seconds))
    kind = Kind("finback", options.finback, CONFIG, ["-c", "{path}"],
                options=settings.format(embryonic=options.embryonic))
    with tempfile.TemporaryDirectory(prefix="finback-flood-") as directory, \
         Load(options.load, arguments, options.cpus[0]) as load:
        server = load.wait_value("listening")
        port = free_port()
        relay = kind.start(port, server, directory, options.cpus[1])
        try:
            load.tell(f"127.0.0.1:{port}")
            load.wait_value("ready")
            watch(result, load if has_flood else None, relay, port, options)
            load.process.kill()
        finally:
            relay.stop()
        result.load = load.values
        result.endings = endings_of(relay)
    return result


def watch(result, load, relay, port, options):
    before = relay.cpu_seconds()
    result.honest = Honest(port)
    if load:
        load.tell("start")
        load.wait_value("life_longest", options.seconds + LOAD_PATIENCE)
    else:
        time.sleep(QUIET)
    result.honest.stop()
    result.cpu = relay.cpu_seconds() - before
    result.peak = peak_bytes(relay.process.pid)


def format_ms(value):
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def format_row(result, quiet):
    honest = result.honest
    begun = int(result.load.get("begun", 0))
    a_session = quiet.cpu / max(1, len(quiet.honest.latencies))
    cost = result.cpu - a_session * len(honest.latencies)
    cells = [result.name]
    cells.append(f"{begun}" if begun else "-")
    cells.append(f"{result.cpu:.2f}")
    cells.append(f"{1e6 * cost / begun:.0f}" if begun else "-")
    cells.append(f"{result.peak / (1 << 20):.1f}")
    cells.append(f"{len(honest.latencies)} of {honest.attempts}"
                 f" ({len(honest.latencies) / max(1, honest.attempts):.1%})")
    cells += [format_ms(honest.milliseconds(part)) for part in (0.5, 0.99)]
    return "| " + " | ".join(cells) + " |"


def print_report(results, options):
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs; at most {options.connections} "
          f"connections, {options.rate or 'any number'} a second, {options.open} at a time, "
          f"{options.seconds:g} s\n")
    print("| listener | connections | CPU-s | CPU-us/connection | most RSS, MiB "
          "| honest sessions | median, ms | p99, ms |")
    print("|---" * 8 + "|")
    for result in results:
        print(format_row(result, results[0]))
    for result in results:
        life = [f"{key} {result.load[key]}" for key in
                ("connected", "resets", "ends_of_file", "held", "unreachable", "life_shortest",
                 "life_median", "life_longest") if key in result.load]
        print(f"\n{result.name}: {result.endings}")
        if life:
            print("  the flood saw: " + ", ".join(life))
        if result.honest.failures:
            print(f"  the honest client failed: {result.honest.failures}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --flood", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--connections", type=int, default=100000, help="of the flood in all")
    parser.add_argument("--open", type=int, default=12000, help="of the flood at a time")
    parser.add_argument("--rate", type=int, default=5000, help="new ones a second; 0: no bound")
    parser.add_argument("--seconds", type=float, default=40, help="that a flood may last")
    parser.add_argument("--embryonic", type=int, default=1000, help="the limit that is tried")
    add_programs(parser)
    options = parser.parse_args()
    if not 0 < options.connections <= 200000 or not 0 < options.open <= 19000 or \
       not 0 < options.seconds <= 600 or options.rate < 0 or options.embryonic < 1:
        parser.error("connections up to 200000, open up to 19000, seconds up to 600, "
                     "embryonic from 1")
    check_programs(parser, options)
    return options


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, stop_politely)
    if not own_network():
        print("no network namespace of its own: fewer ports, others' traffic", file=sys.stderr)
    if options.cpus[0] is not None:
        os.sched_setaffinity(0, {options.cpus[0]})
    results = []
    for variant in VARIANTS:
        results.append(measure(variant, options))
        print(f"measured: {results[-1].name}", file=sys.stderr)
    print_report(results, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
