"""`spin`: a worker that polls for a while before it sleeps relays as ever, and then sleeps."""

import time

import pytest

from lib.daemon import Relay
from lib.timing import assert_elapsed

SPIN = "10ms"    # the most there is
SPACING = 0.03   # long after a spin has ended
MESSAGES = 30


def ping(client, server):
    client.send(b"ping")
    assert server.receive(4) == b"ping"
    server.send(b"pong")
    assert client.receive(4) == b"pong"


def cpu_of_messages(relay, client, server):
    """CPU seconds that messages cost, each long after the one before."""
    before = relay.cpu_seconds()
    for _ in range(MESSAGES):
        client.send(b"ping")
        assert server.receive(4) == b"ping"
        time.sleep(SPACING)
    return relay.cpu_seconds() - before


def test_each_message_is_followed_by_a_spin_and_a_reload_ends_that():
    with Relay(top={"spin": SPIN}) as relay:
        pair = relay.pair()
        ping(*pair)
        assert 0.07 < cpu_of_messages(relay, *pair) < 0.6    # 0.3 on an idle machine
        relay.reload({**relay.config, "spin": "0"})
        assert cpu_of_messages(relay, *pair) < 0.06
        relay.reload(relay.config)
        assert 0.07 < cpu_of_messages(relay, *pair) < 0.6


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_sessions_work_and_then_it_rests(workers):
    with Relay(workers=workers, top={"spin": SPIN}) as relay:
        pairs = [relay.pair() for _ in range(8)]
        for _ in range(20):
            for client, server in pairs:
                ping(client, server)
        for client, server in pairs:
            client.send_and_half_close(b"all")
            assert server.read_to_eof() == b"all"
            server.send_and_half_close(b"well")
            assert client.read_to_eof() == b"well"
        relay.wait_session(count=len(pairs), ending="complete")
        time.sleep(0.1)
        relay.expect_rest(wakeups_a_second=25)  # a sanitizer's own thread has some


def test_idle_and_half_closed_sessions_rest():
    with Relay(top={"spin": SPIN}) as relay:
        ping(*relay.pair())
        client, server = relay.pair()
        client.half_close()
        assert server.read_to_eof() == b""
        time.sleep(0.4)
        relay.expect_rest()


def test_deadlines_hold_while_it_spins():
    """Another session keeps the worker polling all the time."""
    with Relay(top={"spin": SPIN}, timeouts={"idle": "500ms"}) as relay:
        busy = relay.pair()
        client, server = relay.pair()
        ping(client, server)
        start = time.monotonic()
        while not relay.sessions() and time.monotonic() - start < 5:
            ping(*busy)
        client.expect_reset()
        server.expect_reset()
        assert_elapsed(start, 0.5, time.monotonic())
        ping(*busy)
