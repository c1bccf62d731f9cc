"""New connections go to the workers in equal shares, also when they live for long."""

import os

import pytest

from lib.daemon import Relay


def shares_of(relay):
    """How many sessions each worker had, as it says at the end."""
    relay.end()
    return [int(match[1]) for match in
            relay.lines_like(r"finback: worker \d+: sessions=(\d+)\b.*")]


def assert_even(shares, connections, workers):
    assert len(shares) == workers
    assert sum(shares) == connections
    even = connections / workers
    assert all(abs(share - even) <= 0.1 * even + 2 for share in shares), shares


@pytest.mark.threads
@pytest.mark.parametrize("workers", (2, 4))
@pytest.mark.parametrize("client", ("ipv4", "unix"))
def test_long_lived(workers, client):
    connections = 200
    with Relay(client_family=client, workers=workers) as relay:
        for _ in range(connections):
            relay.pair()
        assert_even(shares_of(relay), connections, workers)


@pytest.mark.threads
def test_burst_from_a_full_queue():
    """All of them wait when the workers wake up."""
    connections, workers = 120, 4
    with Relay(workers=workers) as relay:
        with relay.stopped():
            for _ in range(connections):
                relay.connect()
        for _ in range(connections):
            relay.backend.accept()
        assert_even(shares_of(relay), connections, workers)


def test_as_many_workers_as_cpus_by_default():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with Relay(workers=0) as relay:
            assert len(shares_of(relay)) == 1
    finally:
        os.sched_setaffinity(0, allowed)
