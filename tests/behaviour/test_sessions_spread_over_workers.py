"""New connections go to the workers in equal shares, also when they live for long."""

import pytest

from lib.daemon import Relay


@pytest.mark.threads
@pytest.mark.parametrize("workers", (2, 4))
@pytest.mark.parametrize("client", ("ipv4", "unix"))
def test_long_lived(workers, client):
    connections = 200
    with Relay(client_family=client, workers=workers) as relay:
        for _ in range(connections):
            relay.pair()
        relay.end()
        shares = [int(match[1]) for match in
                  relay.lines_like(r"finback: worker \d+: sessions=(\d+)\b.*")]
        assert len(shares) == workers
        assert sum(shares) == connections
        even = connections / workers
        for share in shares:
            assert abs(share - even) <= 0.1 * even + 2, shares


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
        relay.end()
        shares = [int(match[1]) for match in
                  relay.lines_like(r"finback: worker \d+: sessions=(\d+)\b.*")]
        even = connections / workers
        assert sum(shares) == connections
        for share in shares:
            assert abs(share - even) <= 0.1 * even + 2, shares
