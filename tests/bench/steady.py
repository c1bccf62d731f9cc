#!/usr/bin/python3
"""finback alone under a mixed load, for as long as is asked: streams, messages, sessions, sessions of
every shape with resets among them, idle ones and readers that do not read. Its memory, descriptors,
pipes and sessions are looked at each second. The exit status is 1 where memory is not flat, where
something stays behind at the end, or where a byte, a half-close or a reset was lost."""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time

import machine
from bench import add_programs, check_programs, stop_politely, write
from generator import Failed, Load, free_port, own_network
from relays import Kind
from samples import KEYS, Sampler, summary
from steady_report import carried_table, samples_table

OPENING = 60  # seconds that the mix may take until all of it runs
ENDING = 120  # and until it is over
EMPTYING = 30
SETTLING = 0.5  # for what finback closes after it has answered the question before

CONFIG = """
workers = {workers};
log = {{ target = "stderr"; level = "warning"; sessions = "none"; }};
control = {{ socket = "{directory}/control.sock"; }};
listeners = (
{listeners}
);
"""

# Formatted twice.
LISTENER = """  {{{{ name = "part{number}"; listen = "127.0.0.1:{port}"; servers = "{server}"; }}}}"""

TIMED, HELD, REPEATED = "timed", "held", "repeated"
PATIENT = ("--patience", "60")
MIX = (  # name, how long it lasts, the line that says that it runs, the load
    ("stalled readers", HELD, "stalled", ("stall", "--sessions", "50", *PATIENT)),
    ("idle sessions", HELD, "opened", ("idle", "--sessions", "1000", "--size", "65536", *PATIENT)),
    ("streams", TIMED, "ready", ("bulk", "--connections", "2", "--direction", "both", *PATIENT)),
    ("messages", TIMED, "ready", ("ping", "--connections", "64", *PATIENT)),
    ("sessions", TIMED, "ready", ("churn", "--connections", "16", "--sources", "32", *PATIENT)),
    ("every shape, resets", REPEATED, "listening",
     ("crowd", "--sessions", "2000", "--connections", "50", "--resets", "150", *PATIENT)),
)


class Part:
    """One of the loads; the repeated one starts anew, at the same address, whenever it has ended."""

    def __init__(self, name, lasts, begun, arguments, options):
        self.name = name
        self.lasts = lasts
        self.begun = begun
        self.port = free_port()
        self.via = None
        self.totals = {}
        self.complaints = []
        self._options = options
        self._arguments = [*arguments]
        if lasts == TIMED:
            self._arguments += ["--seconds", str(options.minutes * 60)]
        self._load = None

    @property
    def listen(self):
        return f"127.0.0.1:{self.port}"

    def launch(self):
        self._load = Load(self._options.load, self._arguments, self._options.cpus[0], self.listen)
        self._load.wait_value("listening")

    def open(self, via):
        self.via = via
        self._load.tell(via)
        self._load.wait_value(self.begun, OPENING)

    def start(self):
        if self.lasts == TIMED:
            self._load.tell("start")

    def look_after(self):
        """Once in a while: a load that ended before its time is started anew, or has failed."""
        if self.complaints or self._load.process.poll() is None:
            return
        self._take_stock()
        if self.lasts == REPEATED and not self.complaints:
            self.launch()
            self._load.tell(self.via)
        elif not self.complaints:
            self.complaints.append("ended before its time")

    def end(self):
        if self.complaints:
            return
        try:
            self._load.wait_value({"messages": "messages"}.get(self.name, "listening"), ENDING)
            if self.lasts == HELD or self.name == "messages":
                self._load.tell("end")
            self._load.wait_value("errors", ENDING)
        except Failed as failure:
            self.complaints.append(str(failure))
            return
        self._take_stock()

    def _take_stock(self):
        try:
            self._load.finish()
        except Failed as failure:
            self.complaints.append(str(failure) or "failed")
        for key, value in self._load.values.items():
            if value.isdecimal():
                self.totals[key] = self.totals.get(key, 0) + int(value)
        self._load.__exit__()

    def close(self):
        if self._load:
            self._load.__exit__()


def finback_of(parts, options, directory):
    """Started with a listener for each part; sets where each has to connect to."""
    ports = [free_port() for _ in parts]
    listeners = ",\n".join(LISTENER.format(number=number, port=port, server=part.listen)
                           for number, (port, part) in enumerate(zip(ports, parts)))
    kind = Kind("finback", options.finback, CONFIG, ["-c", "{path}"], workers=options.workers,
                listeners=listeners)
    return kind.start(ports[-1], "", directory, options.cpus[1]), ports


def watch(parts, sampler, seconds):
    """A sample each second, until the time is over."""
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        sampler.take(now)
        for part in parts:
            part.look_after()
        if sampler.relay.process.poll() is not None:
            raise Failed("finback ended")
        time.sleep(max(0, 1 - (time.monotonic() - began - now)))


def wait_until_empty(sampler):
    """The last sample: of when no session is left, or when that takes too long."""
    end = time.monotonic() + EMPTYING
    while sampler.look(0)["sessions"] > 0 and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(SETTLING)
    return sampler.look(0)


def run_mix(options, directory, stack):
    parts = [Part(*row, options) for row in MIX]
    for part in parts:
        stack.callback(part.close)
        part.launch()
    relay, ports = finback_of(parts, options, directory)
    stack.callback(relay.stop)
    sampler = Sampler(relay, os.path.join(directory, "control.sock"))
    before = sampler.look(0)
    for part, port in zip(parts, ports):
        part.open(f"127.0.0.1:{port}")
    for part in parts:
        part.start()
    print(f"all of it runs, for {options.minutes:g} minutes", file=sys.stderr)
    watch(parts, sampler, options.minutes * 60)
    for part in sorted(parts, key=lambda part: part.lasts == HELD):
        part.end()
    after = wait_until_empty(sampler)
    return parts, sampler.samples, before, after, relay.cpu_seconds()


def what_stayed(before, after):
    """Pipes are kept for the next session, everything else has to be back where it was."""
    def others(sample):
        return sample["descriptors"] - 2 * sample["pipes"]

    if after["sessions"]:
        yield f"{after['sessions']} sessions are left"
    if others(after) > others(before):
        yield f"{others(after) - others(before)} descriptors are left"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench --steady", description=__doc__)
    parser.add_argument("minutes", type=float, metavar="MINUTES", help="0.25 to 59")
    parser.add_argument("--workers", type=int, default=1, metavar="N",
                        help="of finback; more than 1: nothing is pinned")
    parser.add_argument("--json", metavar="FILE", help="every sample; build/bench/steady.json")
    add_programs(parser)
    options = parser.parse_args()
    if not 0.25 <= options.minutes <= 59 or not 1 <= options.workers <= 64:
        parser.error("minutes from 0.25 to 59, workers from 1 to 64")
    check_programs(parser, options)
    if options.workers > 1:
        options.cpus = (None, None)
    return options


def print_report(parts, rows, wrong):
    about = machine.describe()
    print(f"{about['cpu']}, {about['cores']} CPUs, {about['memory_gib']:g} GiB, "
          f"Linux {about['kernel']}\n")
    print("\n".join([*samples_table(rows), "", *carried_table(parts)]))
    for words in wrong:
        print(f"\nwrong: {words}")


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, stop_politely)
    if not own_network():
        print("no network namespace of its own: fewer ports, others' traffic", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="finback-steady-") as directory, \
         contextlib.ExitStack() as stack:
        try:
            parts, samples, before, after, cpu = run_mix(options, directory, stack)
        except (Failed, RuntimeError) as failure:
            sys.exit(f"steady: {failure}")
    rows = [summary(key, samples, after) for key in KEYS]
    wrong = [f"{row.key} is not flat" for row in rows if not row.is_flat]
    wrong += [f"{part.name}: {words}" for part in parts for words in part.complaints]
    wrong += what_stayed(before, after)
    print_report(parts, rows, wrong)
    write(options.json, "steady.json", json.dumps(
        {"machine": machine.describe(), "minutes": options.minutes, "cpu_seconds": cpu,
         "before": before, "after": after, "samples": samples,
         "carried": {part.name: part.totals for part in parts}, "wrong": wrong}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
