"""SIGTERM drains: no new sessions, live ones may finish, the rest end as `drained`."""

import signal
import time

import pytest

from lib.daemon import Relay
from lib.peers import Background, eventually, random_bytes, refuses
from lib.timing import assert_elapsed, within

STOPS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.threads
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("workers", (1, 2))
def test_sessions_finish(stop, workers):
    with Relay(workers=workers) as relay:
        pairs = [relay.pair() for _ in range(4)]
        relay.signal(stop)
        eventually(lambda: refuses(relay.address()), "new connections are refused", within=2)
        time.sleep(0.3)
        for client, server in pairs:
            data = random_bytes(500_000)
            sending = Background(client.send_and_half_close, data)
            assert server.read_to_eof() == data
            sending.result()
            server.send_and_half_close(b"reply")
            assert client.read_to_eof() == b"reply"
        relay.wait_exit(within=3)
        assert relay.totals().endings["complete"] == 4


def test_sessions_that_do_not_finish_are_drained():
    with Relay(top={"drain": "800ms"}) as relay:
        open_pair, half_closed = relay.pair(), relay.pair()
        half_closed[0].half_close()
        assert half_closed[1].read_to_eof() == b""
        start = time.monotonic()
        relay.signal(signal.SIGTERM)
        open_pair[0].expect_reset()
        assert_elapsed(start, 0.8)
        open_pair[1].expect_reset()
        half_closed[0].expect_reset()
        half_closed[1].expect_reset()
        relay.wait_exit(within=5)
        assert relay.totals().endings == {"drained": 2}


@pytest.mark.parametrize("first", STOPS)
@pytest.mark.parametrize("second", STOPS)
def test_second_signal_ends_at_once(first, second):
    with Relay(top={"drain": "1h"}) as relay:
        client, server = relay.pair()
        relay.signal(first)
        eventually(lambda: refuses(relay.address()), "draining", within=2)
        client.expect_silence(0.3)
        with within(3):
            relay.signal(second)
            client.expect_reset()
            server.expect_reset()
            relay.wait_exit()
        assert relay.totals().endings["drained"] == 1


def test_connections_in_the_queue_are_served_first():
    with Relay() as relay:
        with relay.stopped():
            clients = [relay.connect() for _ in range(100)]
            relay.signal(signal.SIGTERM)
        for client in clients:
            client.send_and_half_close(b"patient")
        # In what order they come: the handshake of one whose client has spoken ends with its bytes.
        for server in [relay.backend.accept() for _ in clients]:
            assert server.read_to_eof() == b"patient"
            server.half_close()
        for client in clients:
            assert client.read_to_eof() == b""
        relay.wait_exit(within=3)
        assert relay.totals().endings == {"complete": 100}


def test_nothing_to_wait_for():
    with Relay(workers=4, top={"drain": "1h"}) as relay, within(3):
        relay.signal(signal.SIGTERM)
        relay.wait_exit()


def test_drain_of_zero_ends_at_once():
    with Relay(top={"drain": "0"}) as relay:
        client, _ = relay.pair()
        with within(3):
            relay.signal(signal.SIGTERM)
            client.expect_reset()
            relay.wait_exit()


def test_tail_is_delivered_while_draining():
    """Both ends of file have been passed on; the last bytes have not been read."""
    data = random_bytes(400_000)
    with Relay(receive_buffer=16384) as relay:
        client, server = relay.pair()
        client.send_and_half_close(data)
        server.half_close()
        relay.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.read_to_eof() == data
        relay.wait_exit(within=5)
        assert relay.totals().endings == {"complete": 1}
