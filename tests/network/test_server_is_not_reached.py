"""A server that swallows every SYN, or that the network says cannot be reached: the next one of the
pool is tried, in time, and only then does the client get its reset."""

import time

import pytest

from lab import FAMILIES, NO_ROUTE, NOBODY, SECOND_SERVER, SERVER, VANISH, Relay, Server, \
    assert_between, ping_pong, reject
from lib.peers import Background, format_address
from lib.timing import NOISE, assert_elapsed

CONNECT = "1s"
D = 1.0
PORT = 7000  # of all servers here
AT_ONCE = 0.3
# An answer to a SYN, and how the session ends when there is no other server.
ANSWERS = {
    "icmpx host-unreachable": "connect_failed",
    "icmpx no-route": "connect_failed",
    "icmpx admin-prohibited": "connect_failed",
    "icmpx port-unreachable": "connect_refused",
    "tcp reset": "connect_refused",
}


def at(addresses, family):
    return format_address((addresses[family], PORT))


def to(address, rule):
    """The rule for that one of the server's addresses alone."""
    return f"{'ip6' if ':' in address else 'ip'} daddr {address} {rule}"


def expect_end(relay, since, ending, seconds):
    """The only client of the relay is reset after so long."""
    client = relay.peers[0]
    reader = Background(client.expect_reset)
    session = relay.wait_session()
    assert_elapsed(since, seconds)
    assert session["ending"] == ending
    assert session["first_closer"] == "finback"
    reader.result()
    return session


# A black hole

@pytest.mark.parametrize("family", FAMILIES)
def test_black_hole(lab, family):
    lab.fault("server", towards=VANISH)
    with Relay(lab, family, [at(SERVER, family)], timeouts={"connect": CONNECT}) as relay:
        start = time.monotonic()
        relay.connect().send(b"anybody there?")
        session = expect_end(relay, start, "connect_timeout", D)
        assert session["connects"] == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_black_hole_and_then_the_next_server(lab, family):
    lab.fault("server", towards=to(SERVER[family], VANISH))
    servers = [at(SERVER, family), at(SECOND_SERVER, family)]
    with Relay(lab, family, servers, timeouts={"connect": CONNECT}) as relay:
        backend = relay.own(Server(lab, SECOND_SERVER[family], PORT))
        client = relay.connect()
        client.send_and_half_close(b"said before anybody was there")
        start = time.monotonic()
        server = backend.accept()
        assert_elapsed(start, D)
        assert server.read_to_eof() == b"said before anybody was there"
        server.send_and_half_close(b"heard")
        assert client.read_to_eof() == b"heard"
        session = relay.wait_session()
        assert session["ending"] == "complete" and session["connects"] == 2
        assert_between(session["connect_ms"] / 1000, D, D + AT_ONCE)


def test_black_holes_only(lab):
    lab.fault("server", towards=VANISH)
    servers = [at(SERVER, "ipv4"), at(SECOND_SERVER, "ipv4")]
    with Relay(lab, servers=servers, timeouts={"connect": CONNECT}) as relay:
        start = time.monotonic()
        relay.connect()
        session = expect_end(relay, start, "connect_timeout", 2 * D)
        assert session["connects"] == 2


def test_black_hole_that_opens_in_time(lab):
    """The kernel's second SYN, after a second, gets through."""
    lab.fault("server", towards=VANISH)
    with Relay(lab, timeouts={"connect": "5s"}) as relay:
        client = relay.connect()
        time.sleep(0.4)
        lab.heal()
        ping_pong(client, relay.backend.accept())
        relay.expect_no_ending()


@pytest.mark.parametrize("word", (b"", b"swallowed"), ids=("silent", "spoken"))
def test_black_hole_and_on_timeout_close(lab, word):
    lab.fault("server", towards=VANISH)
    with Relay(lab, servers=[at(SERVER, "ipv4")], on_timeout="close",
               timeouts={"connect": CONNECT}) as relay:
        start = time.monotonic()
        client = relay.connect()
        client.send(word)
        assert client.read_to_eof() == b""
        assert_elapsed(start, D)
        client.half_close()
        assert relay.wait_session()["ending"] == "connect_timeout"
        with pytest.raises(AssertionError, match="hung up with error 0"):
            client.expect_reset()


# Unreachable

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_unreachable(lab, family, answer):
    lab.fault("server", towards=reject(answer, "tcp flags & (syn|ack) == syn"))
    with Relay(lab, family, timeouts={"connect": "10s"}) as relay:
        start = time.monotonic()
        relay.connect()
        expect_end(relay, start, ANSWERS[answer], 0)
        relay.backend.expect_nobody(0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_unreachable_and_then_the_next_server(lab, family, answer):
    lab.fault("server", towards=to(SERVER[family], reject(answer)))
    servers = [at(SERVER, family), at(SECOND_SERVER, family)]
    with Relay(lab, family, servers, timeouts={"connect": "10s"}) as relay:
        backend = relay.own(Server(lab, SECOND_SERVER[family], PORT))
        start = time.monotonic()
        client = relay.connect()
        server = backend.accept()
        assert_elapsed(start, 0)
        ping_pong(client, server)
        client.half_close()
        server.read_to_eof()
        server.half_close()
        assert relay.wait_session(ending="complete")["connects"] == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_no_route(lab, family):
    with Relay(lab, family, [at(NO_ROUTE, family)], timeouts={"connect": "10s"}) as relay:
        start = time.monotonic()
        relay.connect()
        expect_end(relay, start, "connect_failed", 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_route_and_then_the_next_server(lab, family):
    servers = [at(NO_ROUTE, family), at(SERVER, family)]
    with Relay(lab, family, servers, timeouts={"connect": "10s"}) as relay:
        backend = relay.own(Server(lab, SERVER[family], PORT))
        start = time.monotonic()
        client = relay.connect()
        server = backend.accept()
        assert_elapsed(start, 0)
        ping_pong(client, server)


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_on_the_link(lab, family):
    """The kernel asks three times, a second apart, who has the address."""
    with Relay(lab, family, [at(NOBODY, family)], timeouts={"connect": "10s"}) as relay:
        start = time.monotonic()
        client = relay.connect()
        client.expect_reset()
        assert_between(time.monotonic() - start, 2, 4.5)
        assert relay.wait_session()["ending"] == "connect_failed"


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_on_the_link_and_then_the_next_server(lab, family):
    """`connect` is shorter than what the kernel takes to find out."""
    servers = [at(NOBODY, family), at(SERVER, family)]
    with Relay(lab, family, servers, timeouts={"connect": CONNECT}) as relay:
        backend = relay.own(Server(lab, SERVER[family], PORT))
        start = time.monotonic()
        client = relay.connect()
        server = backend.accept()
        assert_elapsed(start, D)
        ping_pong(client, server)


# The last server tried says how it ends

def test_black_hole_and_then_one_that_refuses(lab):
    lab.fault("server", towards=to(SERVER["ipv4"], VANISH))
    servers = [at(SERVER, "ipv4"), at(SECOND_SERVER, "ipv4")]
    with Relay(lab, servers=servers, timeouts={"connect": CONNECT}) as relay:
        start = time.monotonic()
        relay.connect()
        expect_end(relay, start, "connect_refused", D)


def test_one_that_refuses_and_then_a_black_hole(lab):
    lab.fault("server", towards=to(SECOND_SERVER["ipv4"], VANISH))
    servers = [at(SERVER, "ipv4"), at(SECOND_SERVER, "ipv4")]
    with Relay(lab, servers=servers, timeouts={"connect": CONNECT}) as relay:
        start = time.monotonic()
        relay.connect()
        expect_end(relay, start, "connect_timeout", D)


def test_many_sessions_before_a_black_hole(lab):
    """Each keeps its own deadline, and the accept queue does not wait for any of them."""
    lab.fault("server", towards=VANISH)
    with Relay(lab, servers=[at(SERVER, "ipv4")], timeouts={"connect": CONNECT}) as relay:
        started = []
        for _ in range(20):
            started.append((time.monotonic(), relay.connect()))
            time.sleep(0.02)
        for start, client in started:
            client.expect_reset()
            assert D - 0.05 <= time.monotonic() - start <= D + AT_ONCE + NOISE
        relay.wait_session(count=20, ending="connect_timeout")
