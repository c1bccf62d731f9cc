"""Rounds: every test with every relay, interleaved, and in another order each time, so that what
else the machine does falls on all alike."""

import datetime
import sys
import tempfile
import time

import machine
from generator import Failed, Load, free_port
from relays import OWN_KINDS


def measure_load(test, kind, arguments, options, record):
    """{field: figure}, or Failed; the sessions that were carried are added up in the record."""
    with tempfile.TemporaryDirectory(prefix="finback-bench-") as directory, \
         Load(options.load, arguments, options.cpus[0]) as load:
        server = load.wait_value("listening")
        port = free_port()
        try:
            relay = kind.start(port, server, directory, options.cpus[1])
        except (RuntimeError, OSError) as error:
            raise Failed(str(error)) from None
        try:
            return test.measure(load, relay, f"127.0.0.1:{port}")
        finally:
            relay.stop()
            sessions, errors = load.carried()
            record["sessions"] += sessions
            record["lost"] += errors


def measure_once(test, kind, options):
    """One record; see figures.py."""
    record = {"sessions": 0, "lost": 0}
    figures = {}
    try:
        for name, arguments in test.loads(kind).items():
            found = measure_load(test, kind, arguments, options, record)
            figures.update({name + field: figure for field, figure in found.items()})
        record["figures"] = test.combine(figures)
    except Failed as failure:
        record["failed"] = str(failure) or "failed"
        record["lost"] = max(1, record["lost"])
    return record


def kinds_of(test, kinds):
    """The peers, and of the finbacks the one that is meant."""
    return [kind for kind in kinds if kind.name == test.own or kind.name not in OWN_KINDS]


def how_long(tests, kinds, options):
    """Seconds, about."""
    return options.rounds * sum(test.takes(options.seconds) * len(kinds_of(test, kinds))
                                for test in tests)


def run_rounds(tests, kinds, options, other):
    """records[test][kind], of each round one."""
    records = {test.name: {kind.name: [] for kind in kinds_of(test, kinds)} for test in tests}
    began = time.monotonic()
    for number in range(options.rounds):
        for test in tests:
            those = kinds_of(test, kinds)
            shift = number % len(those)
            for kind in those[shift:] + those[:shift]:
                with other:
                    record = measure_once(test, kind, options)
                if "failed" in record:
                    print(f"{test.name}, {kind.name}: {record['failed']}", file=sys.stderr)
                records[test.name][kind.name].append(record)
            print(f"round {number + 1} of {options.rounds}: {test.name}, "
                  f"after {time.monotonic() - began:.0f} s", file=sys.stderr)
    return records


def run(tests, kinds, options):
    """All of it, as figures.py describes it."""
    other = machine.OtherLoad()
    began = datetime.datetime.now(datetime.timezone.utc)
    records = run_rounds(tests, kinds, options, other)
    return {
        "began": began.isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "other": other.summary(),
        "options": {"rounds": options.rounds, "seconds": options.seconds,
                    "sessions": options.sessions, "workers": options.workers,
                    "pinned": options.cpus[1] is not None,
                    "has_goals": options.has_goals},
        "tests": [{"name": test.name, "own": test.own} for test in tests],
        "kinds": [{"name": kind.name, "version": kind.version()} for kind in kinds],
        "records": records,
    }
