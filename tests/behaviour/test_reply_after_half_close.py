"""The job that needs half-close most: a request that ends with FIN, and a reply only after it."""

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import FAMILIES, Background, random_bytes

MIXES = [(client, server) for client in FAMILIES for server in FAMILIES]


@pytest.mark.parametrize("client, server", MIXES)
@pytest.mark.parametrize("side", SIDES)
def test_between_all_families(client, server, side):
    request, reply = random_bytes(300_000), random_bytes(700_000)
    with Relay(client_family=client, server_family=server) as relay:
        asking, answering = relay.sides(side)
        sending = Background(asking.send_and_half_close, request)
        assert answering.read_to_eof() == request
        sending.result()
        asking.expect_silence(0.05)
        sending = Background(answering.send_and_half_close, reply)
        assert asking.read_to_eof() == reply
        sending.result()
        session = relay.wait_session(ending="complete", first_closer=side)
        assert session[f"bytes_from_{side}"] == len(request)


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2, 4))
def test_many_at_a_time(workers):
    with Relay(workers=workers) as relay:
        pairs = [relay.pair() for _ in range(40)]
        for client, _ in pairs:
            client.send_and_half_close(b"request")
        for _, server in pairs:
            assert server.read_to_eof() == b"request"
            server.send_and_half_close(b"reply")
        for client, _ in pairs:
            assert client.read_to_eof() == b"reply"
        relay.wait_session(count=40, ending="complete")
