"""No byte waits for a following one: small messages pass at once."""

import statistics
import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import FAMILIES

ROUNDS = 60


@pytest.mark.parametrize("side", SIDES)
def test_two_small_writes_and_an_answer(side):
    """The pattern that waits 40 ms a round where one side gathers small writes: the second write
    would be kept until the reader acknowledged the first, which it delays."""
    with Relay() as relay:
        asking, answering = relay.sides(side)
        times = []
        for _ in range(ROUNDS):
            start = time.monotonic()
            asking.send(b"1")
            assert answering.receive(1) == b"1"
            asking.send(b"2")
            assert answering.receive(1) == b"2"
            answering.send(b"ok")
            assert asking.receive(2) == b"ok"
            times.append(time.monotonic() - start)
        assert statistics.median(times[ROUNDS // 2:]) < 0.02


@pytest.mark.parametrize("client", FAMILIES)
def test_server_speaks_first(client):
    """The server is connected as soon as the client is accepted, before any byte."""
    with Relay(client_family=client) as relay:
        client, server = relay.pair()
        server.send(b"220 ready\r\n")
        assert client.receive(11) == b"220 ready\r\n"
        client.send(b"QUIT\r\n")
        assert server.receive(6) == b"QUIT\r\n"
