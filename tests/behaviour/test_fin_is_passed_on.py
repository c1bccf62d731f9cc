"""A FIN from one side reaches the other, once, behind the last byte; the opposite flow goes on."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, EndsWatch, random_bytes

CASES = [(side, workers) for side in SIDES for workers in (1, 2)]


@pytest.mark.threads
@pytest.mark.parametrize("side, workers", CASES)
def test_one_after_the_other(side, workers):
    with Relay(workers=workers) as relay:
        first, second = relay.sides(side)
        first.send_and_half_close(b"first")
        assert second.read_to_eof() == b"first"
        assert second.tcp_state() == "CLOSE_WAIT"
        first.expect_silence(0.2)
        second.send_and_half_close(b"second")
        assert first.read_to_eof() == b"second"
        relay.wait_session(ending="complete", first_closer=side)


@pytest.mark.threads
def test_both_at_once():
    with Relay() as relay:
        for _ in range(20):
            client, server = relay.pair()
            client.half_close()
            server.half_close()
            assert client.read_to_eof() == b""
            assert server.read_to_eof() == b""
        relay.wait_session(count=20, ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_behind_a_slow_reader(side):
    data = random_bytes(4 << 20)
    with Relay(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        sending = Background(sender.send_and_half_close, data)
        time.sleep(0.5)
        reader.send(b"while you wait")
        assert sender.receive(14) == b"while you wait"
        got = Background(reader.read_slowly, 500_000, 0.1)
        assert got.result() == data
        sending.result()
        reader.send_and_half_close(b"thanks")
        assert sender.read_to_eof() == b"thanks"
        relay.wait_session(ending="complete", first_closer=side)


@pytest.mark.parametrize("side", SIDES)
def test_opposite_flow_runs_on_for_long(side):
    with Relay() as relay:
        first, second = relay.sides(side)
        first.half_close()
        assert second.read_to_eof() == b""
        for number in range(10):
            second.send(b"line %d\n" % number)
            assert first.receive(7) == b"line %d\n" % number
            time.sleep(0.25)
        bulk = random_bytes(1 << 20)
        sending = Background(second.send_and_half_close, bulk)
        assert first.read_to_eof() == bulk
        sending.result()
        relay.wait_session(ending="complete")


@pytest.mark.parametrize("side", SIDES)
def test_full_close_lets_the_rest_arrive(side):
    """close() is a FIN too: what was sent before it arrives, and the other side may take its time
    to close."""
    data = random_bytes(200_000)
    with Relay() as relay:
        first, second = relay.sides(side)
        first.send(data)
        first.close()
        assert second.read_to_eof() == data
        second.close()
        relay.wait_session(ending="complete", first_closer=side)


def test_connection_that_is_fin_and_nothing_else():
    with Relay() as relay:
        client = relay.connect()
        client.half_close()
        server = relay.backend.accept()
        assert server.read_to_eof() == b""
        client.expect_silence(0.2)
        server.half_close()
        assert client.read_to_eof() == b""
        relay.wait_session(ending="complete", bytes_from_client=0, bytes_from_server=0)


@pytest.mark.parametrize("side", SIDES)
def test_exactly_one_fin_and_no_reset_on_the_wire(side):
    try:
        watch = EndsWatch()
    except PermissionError:
        pytest.skip("needs CAP_NET_RAW")
    with watch, Relay() as relay:
        first, second = relay.sides(side)
        to_peer = [(peer.remote_name[1], peer.name[1]) for peer in (first, second)]
        second.send(b"data before")
        first.receive(11)
        first.send_and_half_close(b"x" * 100_000)
        second.read_to_eof()
        time.sleep(0.2)
        second.send_and_half_close(b"y" * 100_000)
        first.read_to_eof()
        relay.wait_session(ending="complete")
        seen = watch.collect()
        for source, target in to_peer:
            assert seen["FIN", source, target] == 1
            assert seen["RST", source, target] == 0
