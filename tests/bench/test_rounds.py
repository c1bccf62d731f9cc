"""A measurement through a real finback, one through a relay that does not start, and the order of
all."""

import argparse
import os

import pytest

import machine
import measures
import relays
import rounds
from lib.daemon import BINARY, TOP
from lib.ports import free_port
from rows import ROWS

LOAD = os.path.join(TOP, os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load")))


@pytest.fixture(name="options")
def _options(monkeypatch):
    """Without a network namespace of its own, which a benchmark has; so others want ports, too."""
    monkeypatch.setattr(rounds, "free_port", free_port)
    return argparse.Namespace(load=LOAD, cpus=(None, None), rounds=2, seconds=0.2, sessions=90,
                              workers=1)


class Broken:
    """Never listens."""

    name = "broken"

    @staticmethod
    def most_sessions():
        return 100

    @staticmethod
    def start(*_):
        raise RuntimeError("the relay does not listen")


class Noted:
    """Measures nothing, and remembers who was asked."""

    def __init__(self, name):
        self.name = name


def test_figures_of_every_test_through_finback(options):
    kind = relays.Finback(relays.OWN, BINARY)
    for test in measures.all_tests(options):
        record = rounds.measure_once(test, kind, options)
        assert "failed" not in record, test.name
        assert record["lost"] == 0 and record["sessions"] > 0, test.name
        fields = {row.field for row in ROWS if row.test == test.name}
        assert fields <= set(record["figures"]), test.name
        positive = fields - {"rss"}  # a difference, of few sessions here
        assert all(record["figures"][field] > 0 for field in positive), test.name


def test_every_row_has_its_test(options):
    names = {test.name for test in measures.all_tests(options)}
    assert {row.test for row in ROWS} == names


def test_a_relay_that_does_not_start_has_failed(options):
    test = measures.all_tests(options)[0]
    record = rounds.measure_once(test, Broken, options)
    assert record["failed"] == "the relay does not listen"
    assert record["lost"] == 1 and "figures" not in record


def test_order_is_rotated_and_each_finback_has_its_tests(options, monkeypatch):
    asked = []

    def measure_once(test, kind, _):
        asked.append((test.name, kind.name))
        return {"figures": {}, "sessions": 0, "lost": 0}

    monkeypatch.setattr(rounds, "measure_once", measure_once)
    kinds = [Noted(name) for name in (relays.OWN, relays.CAPPED, "a", "b")]
    tests = [measures.Test("plain"), measures.Test("capped", own=relays.CAPPED)]
    records = rounds.run_rounds(tests, kinds, options, machine.OtherLoad())
    assert asked == [("plain", relays.OWN), ("plain", "a"), ("plain", "b"),
                     ("capped", relays.CAPPED), ("capped", "a"), ("capped", "b"),
                     ("plain", "a"), ("plain", "b"), ("plain", relays.OWN),
                     ("capped", "a"), ("capped", "b"), ("capped", relays.CAPPED)]
    assert {kind: len(found) for kind, found in records["plain"].items()} == \
        {relays.OWN: 2, "a": 2, "b": 2}


def test_a_setting_that_finback_does_not_know_is_why_it_is_left_out():
    assert relays.Finback(relays.OWN, BINARY).why_missing() is None
    why = relays.Finback(relays.CAPPED, BINARY, listener="no_such_key = 1;").why_missing()
    assert "no_such_key" in why


def test_a_full_run_takes_at_most_25_minutes(options):
    options.rounds, options.seconds, options.sessions = 5, 2, 9000
    kinds = relays.all_kinds(BINARY)
    assert rounds.how_long(measures.all_tests(options), kinds, options) <= 25 * 60


def test_busy_time_is_all_but_idle_and_waiting(monkeypatch):
    monkeypatch.setattr(machine, "TICK", 100)
    assert machine.busy_seconds("cpu  100 200 300 9999 9999 10 20 30 5000 5000\ncpu0 1") == 6.6


def test_kernel_memory_is_what_sockets_are_charged_with():
    text = ("0 442368 127.0.0.1:8001 127.0.0.1:37378 "
            "skmem:(r0,rb524288,t0,tb524288,f1152,w527232,o0,bl0,d0)\n"
            "520597 0 127.0.0.1:46078 127.0.0.1:8002 "
            "skmem:(r522261,rb524288,t0,tb524288,f2027,w0,o0,bl0,d4)\n")
    assert measures.socket_bytes(text) == (129 + 128) * 4096
