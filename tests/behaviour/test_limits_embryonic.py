"""A connection is embryonic until its server is connected and its client has said something. Beyond
max_embryonic of them a connection is reset as `limited`; others are not."""

import time

import pytest

from lib.daemon import Relay
from lib.peers import Backend, SilentBackend


def spoken(relay):
    """A session that is embryonic no more."""
    client, server = relay.let_in()
    client.send(b"hello")
    assert server.receive(5) == b"hello"
    return client, server


def expect_refused(relay, count):
    relay.connect().expect_reset(within=3)
    relay.wait_session(count=count, ending="limited", first_closer="finback", connects=0)


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_silent_clients_are_refused_beyond_the_limit(workers):
    with Relay(workers=workers, max_embryonic=3) as relay:
        before = spoken(relay)
        silent = [relay.let_in() for _ in range(3)]
        for number in range(4):
            expect_refused(relay, number + 1)
        relay.backend.expect_nobody(0.1)
        for client, server in (before, *silent):
            server.send(b"untouched")
            assert client.receive(9) == b"untouched"
        assert relay.lines_like(r"finback: warning: listener web: connection refused: "
                                r"max_embryonic reached.*")


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_each_that_speaks_makes_room(workers):
    with Relay(workers=workers, max_embryonic=2) as relay:
        for _ in range(8):
            spoken(relay)
        silent = [relay.let_in() for _ in range(2)]
        expect_refused(relay, 1)
        silent[0][0].send(b"at last")
        assert silent[0][1].receive(7) == b"at last"
        relay.let_in()
        expect_refused(relay, 2)


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 2))
def test_first_byte_makes_room_for_an_honest_client(workers):
    """A flood fills the limit; when first_byte has ended it, who speaks gets in."""
    with Relay(workers=workers, max_embryonic=5, timeouts={"first_byte": "1s"}) as relay:
        flood = [relay.connect() for _ in range(5)]
        for _ in range(5):
            relay.backend.accept()
        expect_refused(relay, 1)
        for client in flood:
            client.expect_reset()
        relay.wait_session(count=5, ending="first_byte_timeout")
        spoken(relay)


def test_an_end_of_file_counts_as_spoken():
    with Relay(max_embryonic=1) as relay:
        pairs = []
        for _ in range(3):
            client, server = relay.let_in()
            client.half_close()
            assert server.read_to_eof() == b""
            pairs.append((client, server))
        for client, server in pairs:
            server.send_and_half_close(b"answer")
            assert client.read_to_eof() == b"answer"
        relay.wait_session(count=3, ending="complete")


def test_a_server_that_speaks_first_does_not_count_as_the_client():
    with Relay(max_embryonic=1) as relay:
        client, server = relay.pair()
        server.send(b"220 ready")
        assert client.receive(9) == b"220 ready"
        expect_refused(relay, 1)
        client.send(b"EHLO")
        assert server.receive(4) == b"EHLO"
        spoken(relay)


def test_a_server_that_half_closes_leaves_the_client_embryonic():
    with Relay(max_embryonic=1) as relay:
        client, server = relay.pair()
        server.send_and_half_close(b"220 bye")
        assert client.read_to_eof() == b"220 bye"
        expect_refused(relay, 1)
        client.half_close()
        relay.wait_session(ending="complete")
        spoken(relay)


def test_a_client_that_spoke_waits_for_its_server_as_an_embryo():
    backend = SilentBackend()
    with Relay(backend=backend, max_embryonic=1, timeouts={"connect": "30s"}) as relay:
        client = relay.connect()
        client.send(b"early")
        time.sleep(0.1)
        expect_refused(relay, 1)
        backend.release()
        assert backend.accept().receive(5) == b"early"
        spoken(relay)


@pytest.mark.parametrize("how", ("client resets", "server resets", "server refuses"))
def test_those_that_end_as_embryos_make_room(how):
    with Relay(max_embryonic=1) as relay:
        for number in range(1, 4):
            if how == "server refuses":
                relay.backend.sock.close()
                relay.connect().expect_reset()
                relay.wait_session(count=number, ending="connect_refused")
                continue
            client, server = relay.let_in()
            (client if how == "client resets" else server).reset()
            relay.wait_session(count=number, ending=how.replace(" resets", "_reset"))


class TestReload:
    """A session counts if it began under a limit: no place is lost, and none is given back twice."""

    @staticmethod
    def reload(relay, **settings):
        relay.reload({**relay.config, "listeners": ({**relay.listener, **settings},)})

    @pytest.mark.parametrize("workers", (1, 2))
    def test_on_off_and_on_again(self, workers):
        with Relay(workers=workers) as relay:
            before = [relay.pair() for _ in range(3)]
            self.reload(relay, max_embryonic=2)
            counted = [relay.pair() for _ in range(2)]
            expect_refused(relay, 1)
            for client, server in before:  # these never had a place to give back
                client.send(b"x")
                assert server.receive(1) == b"x"
            expect_refused(relay, 2)
            self.reload(relay, max_embryonic=0)
            uncounted = [relay.pair() for _ in range(3)]
            self.reload(relay, max_embryonic=3)
            relay.pair()
            expect_refused(relay, 3)
            for client, server in uncounted + counted:
                client.send(b"x")
                assert server.receive(1) == b"x"
            for _ in range(2):
                relay.let_in()
            expect_refused(relay, 4)

    def test_a_lower_limit_refuses_until_there_are_fewer(self):
        with Relay(max_embryonic=3) as relay:
            pairs = [relay.pair() for _ in range(3)]
            self.reload(relay, max_embryonic=1)
            for number, (client, server) in enumerate(pairs):
                expect_refused(relay, number + 1)
                client.send(b"x")
                assert server.receive(1) == b"x"
            relay.let_in()
            expect_refused(relay, 4)


def test_a_limit_is_the_listeners_own():
    with Relay(max_embryonic=1) as relay:
        backend = relay.own(Backend())
        relay.reload({"listeners": (relay.listener, {
            "name": "other", "listen": "127.0.0.1:0", "servers": backend.address})})
        relay.baseline = relay.descriptors()
        relay.pair()
        for _ in range(3):
            relay.connect("other")
            backend.accept()
        expect_refused(relay, 1)


def test_two_addresses_of_a_listener_share_its_limit():
    """Each is another worker's, and both count."""
    with Relay(workers=2, max_embryonic=2,
               listen=["127.0.0.1:0", "127.0.0.2:0"]) as relay:
        for index in (0, 1):
            relay.connect(index=index)
            relay.backend.accept()
        for index in (0, 1):
            relay.connect(index=index).expect_reset(within=3)
        relay.wait_session(count=2, ending="limited")


def test_a_refused_connection_holds_no_place():
    """Beyond max_sessions a connection is nobody's embryo."""
    with Relay(max_sessions=1, max_embryonic=1) as relay:
        client, server = spoken(relay)
        for number in range(3):
            expect_refused(relay, number + 1)
        client.reset()
        server.expect_reset()
        relay.wait_session(ending="client_reset")
        spoken(relay)
