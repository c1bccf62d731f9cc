"""Bytes and FIN that come before the server is connected are kept, and passed on once it is."""

import time

import pytest

from lib.daemon import Finback, Relay
from lib.peers import Background, Backend, SilentBackend, random_bytes, refusing_backend
from lib.timing import within

LATE = {"timeouts": {"connect": "15s"}}


def late_relay(family="ipv4"):
    """A relay whose server takes no connection until released."""
    return Relay(backend=SilentBackend(family), **LATE)


@pytest.mark.parametrize("family", ("ipv4", "unix"))
def test_bytes_and_fin(family):
    with late_relay(family) as relay:
        client = relay.connect()
        client.send_and_half_close(b"early")
        client.expect_silence(0.5)
        relay.backend.release()
        server = relay.backend.accept()
        assert server.read_to_eof() == b"early"
        server.send_and_half_close(b"reply")
        assert client.read_to_eof() == b"reply"
        relay.wait_session(ending="complete", bytes_from_client=5)


def test_fin_and_nothing_else():
    with late_relay() as relay:
        client = relay.connect()
        client.half_close()
        time.sleep(0.3)
        relay.backend.release()
        server = relay.backend.accept()
        assert server.read_to_eof() == b""
        server.send_and_half_close(b"you said nothing")
        assert client.read_to_eof() == b"you said nothing"
        relay.wait_session(ending="complete", bytes_from_client=0)


def test_bytes_without_fin():
    with late_relay() as relay:
        client = relay.connect()
        client.send(b"early")
        time.sleep(0.3)
        relay.backend.release()
        server = relay.backend.accept()
        assert server.receive(5) == b"early"
        client.send(b" and late")
        assert server.receive(9) == b" and late"


def test_more_bytes_than_the_buffer_wait_outside():
    data = random_bytes(3 << 20)
    with late_relay() as relay:
        client = relay.connect()
        resident = relay.resident_bytes()
        sending = Background(client.send_and_half_close, data)
        time.sleep(0.5)
        assert relay.resident_bytes() - resident < 1 << 20
        relay.backend.release()
        server = relay.backend.accept()
        assert server.read_to_eof() == data
        sending.result()


@pytest.mark.parametrize("before", ("nothing", "fin"))
def test_reset_while_connecting_ends_the_session(before):
    with late_relay() as relay:
        client = relay.connect()
        if before == "fin":
            client.half_close()
        time.sleep(0.3)
        with within(1):
            client.reset()
            relay.wait_session(ending="client_reset", bytes_from_server=0)


def test_bytes_before_a_reset_are_passed_on_first():
    with late_relay() as relay:
        client = relay.connect()
        client.send(b"last words")
        time.sleep(0.3)
        client.reset()
        time.sleep(0.3)
        relay.backend.release()
        assert relay.backend.accept().expect_reset() == b"last words"
        relay.wait_session(ending="client_reset", bytes_from_client=10)


def test_passed_on_to_the_second_server_when_the_first_refuses():
    with refusing_backend() as refusing, Backend() as good:
        config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                                 "servers": (refusing.address, good.address)},)}
        with Finback(config) as finback:
            for _ in range(2):
                client = finback.connect()
                client.send_and_half_close(b"early")
                server = good.accept()
                assert server.read_to_eof() == b"early"
                server.send_and_half_close(b"reply")
                assert client.read_to_eof() == b"reply"
            finback.wait_session(ending="complete", connects=2, server_name=good.address)
