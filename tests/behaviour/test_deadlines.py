"""Every deadline: kept in time, pushed on by progress, off with "0", and named by its ending.
A session that one ends is reset on both sides, so that nobody takes it for a clean end."""

import time

import pytest

from lib.daemon import SIDES, Relay
from lib.peers import SLOW_READER, Background, SilentBackend, random_bytes
from lib.timing import NOISE, assert_elapsed

D = 0.8
DEADLINE = "800ms"
PLENTY = random_bytes(8 << 20)


def expect_end(relay, since, ending, *peers, seconds=D):
    """Both sides are reset when the deadline passes, and the line says so."""
    readers = [Background(peer.expect_reset) for peer in peers]
    session = relay.wait_session()
    assert_elapsed(since, seconds)
    assert session["ending"] == ending
    assert session["first_closer"] in ("client", "server", "finback")
    for reader in readers:
        reader.result()
    return session


# connect

def test_connect():
    with Relay(backend=SilentBackend(), timeouts={"connect": DEADLINE}) as relay:
        start = time.monotonic()
        client = relay.connect()
        session = expect_end(relay, start, "connect_timeout", client)
        assert session["connects"] == 1 and session["first_closer"] == "finback"


def test_connect_is_not_pushed_on_by_the_client():
    with Relay(backend=SilentBackend(), timeouts={"connect": DEADLINE}) as relay:
        start = time.monotonic()
        client = relay.connect()
        time.sleep(D / 2)
        client.send(b"hurry")
        expect_end(relay, start, "connect_timeout", client)


# first_byte

def test_first_byte():
    with Relay(timeouts={"first_byte": DEADLINE}) as relay:
        start = time.monotonic()
        client, server = relay.pair()
        server.send(b"a greeting does not count")
        expect_end(relay, start, "first_byte_timeout", client, server)


@pytest.mark.parametrize("first", ("byte", "fin"))
def test_first_byte_is_met(first):
    with Relay(timeouts={"first_byte": DEADLINE}) as relay:
        client, server = relay.pair()
        if first == "byte":
            client.send(b"x")
            assert server.receive(1) == b"x"
        else:
            client.half_close()
            assert server.read_to_eof() == b""
        client.expect_silence(1.5 * D)


def test_first_byte_runs_while_connecting():
    with Relay(backend=SilentBackend(), timeouts={"first_byte": DEADLINE}) as relay:
        start = time.monotonic()
        client = relay.connect()
        expect_end(relay, start, "first_byte_timeout", client)


# idle

def test_idle():
    with Relay(timeouts={"idle": DEADLINE}) as relay:
        start = time.monotonic()
        client, server = relay.pair()
        expect_end(relay, start, "idle_timeout", client, server)


@pytest.mark.parametrize("side", SIDES)
def test_idle_is_pushed_on_by_either_flow(side):
    with Relay(timeouts={"idle": DEADLINE}) as relay:
        sender, reader = relay.sides(side)
        for _ in range(6):
            time.sleep(D / 2)
            last = time.monotonic()
            sender.send(b"x")
            assert reader.receive(1) == b"x"
        expect_end(relay, last, "idle_timeout", sender, reader)


def test_idle_of_one_session_does_not_touch_another():
    with Relay(timeouts={"idle": DEADLINE}) as relay:
        quiet = relay.pair()
        busy = relay.pair()
        for _ in range(8):
            time.sleep(D / 4)
            busy[0].send(b"x")
            assert busy[1].receive(1) == b"x"
        assert relay.wait_session()["ending"] == "idle_timeout"
        for peer in quiet:
            peer.expect_reset()
        busy[1].send(b"still here")
        assert busy[0].receive(10) == b"still here"


# half_closed, half_closed_max

@pytest.mark.parametrize("side", SIDES)
def test_half_closed(side):
    with Relay(timeouts={"half_closed": DEADLINE}) as relay:
        first, second = relay.sides(side)
        time.sleep(0.3)
        start = time.monotonic()
        first.half_close()
        assert second.read_to_eof() == b""
        expect_end(relay, start, "half_closed_timeout", first, second)


@pytest.mark.parametrize("side", SIDES)
def test_half_closed_is_pushed_on_by_the_other_flow(side):
    with Relay(timeouts={"half_closed": DEADLINE, "idle": "350ms"}) as relay:
        first, second = relay.sides(side)
        first.half_close()
        assert second.read_to_eof() == b""
        for _ in range(6):
            time.sleep(D / 2)
            last = time.monotonic()
            second.send(b"x")
            assert first.receive(1) == b"x"
        expect_end(relay, last, "half_closed_timeout", first, second)


@pytest.mark.parametrize("side", SIDES)
def test_half_closed_max_whatever_the_progress(side):
    with Relay(timeouts={"half_closed_max": "1500ms", "half_closed": DEADLINE}) as relay:
        first, second = relay.sides(side)
        time.sleep(0.3)
        start = time.monotonic()
        first.half_close()
        assert second.read_to_eof() == b""
        while time.monotonic() - start < 1:
            second.send(b"x")
            assert first.receive(1) == b"x"
            time.sleep(0.2)
        expect_end(relay, start, "half_closed_timeout", first, second, seconds=1.5)


# stall

@pytest.mark.parametrize("side", SIDES)
def test_stall(side):
    with Relay(receive_buffer=SLOW_READER, timeouts={"stall": "1200ms"}) as relay:
        sender, reader = relay.sides(side)
        start = time.monotonic()
        _, last = sender.fill(PLENTY)
        session = relay.wait_session()
        ended = time.monotonic()
        assert ended - start >= 1.2, "too early"
        assert ended - last <= 1.3 + NOISE, "too late"
        assert session["ending"] == "stall_timeout"
        sender.expect_reset()
        reader.expect_reset()


@pytest.mark.parametrize("side", SIDES)
def test_stall_spares_a_slow_reader(side):
    with Relay(receive_buffer=SLOW_READER, timeouts={"stall": "1s"}) as relay:
        sender, reader = relay.sides(side)
        data = PLENTY[:3 << 20]
        sending = Background(sender.send_and_half_close, data)
        assert reader.read_slowly(len(data) // 10, 0.3) == data
        sending.result()
        assert not relay.sessions()


def test_stall_spares_an_idle_session():
    with Relay(timeouts={"stall": "400ms"}) as relay:
        client, server = relay.pair()
        client.send(b"taken")
        assert server.receive(5) == b"taken"
        client.expect_silence(1)


# session

def test_session_whatever_happens():
    with Relay(timeouts={"session": "1200ms"}) as relay:
        start = time.monotonic()
        client, server = relay.pair()
        for _ in range(5):
            time.sleep(0.2)
            client.send(b"x")
            assert server.receive(1) == b"x"
        expect_end(relay, start, "session_timeout", client, server, seconds=1.2)


def test_session_in_the_half_closed_state():
    with Relay(timeouts={"session": "1200ms"}) as relay:
        start = time.monotonic()
        client, server = relay.pair()
        client.half_close()
        assert server.read_to_eof() == b""
        expect_end(relay, start, "session_timeout", client, server, seconds=1.2)


def test_session_while_connecting():
    with Relay(backend=SilentBackend(), timeouts={"session": DEADLINE}) as relay:
        start = time.monotonic()
        client = relay.connect()
        expect_end(relay, start, "session_timeout", client)


# linger

@pytest.mark.parametrize("side", SIDES)
def test_linger(side):
    """Both have sent their FIN, and one does not read its last bytes."""
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "1s"}) as relay:
        sender, reader = relay.sides(side)
        data = PLENTY[:200_000]
        sender.send_and_half_close(data)
        start = time.monotonic()
        reader.half_close()
        session = relay.wait_session()
        assert_elapsed(start, 1)
        assert session["ending"] == "undelivered"
        got = reader.expect_reset()
        assert data.startswith(got) and len(got) < len(data)


# All of them

def test_zero_turns_each_off():
    names = ("first_byte", "idle", "half_closed", "half_closed_max", "stall", "session", "connect")
    with Relay(timeouts={name: "0" for name in names}) as relay:
        client, server = relay.pair()
        client.expect_silence(1)
        client.half_close()
        assert server.read_to_eof() == b""
        time.sleep(1)
        server.fill(PLENTY)
        time.sleep(0.5)
        assert not relay.sessions()


def test_zero_linger_waits_for_ever():
    with Relay(receive_buffer=SLOW_READER, timeouts={"linger": "0"}) as relay:
        client, server = relay.pair()
        client.send_and_half_close(PLENTY[:200_000])
        server.half_close()
        time.sleep(1.5)
        assert not relay.sessions()
        assert server.read_to_eof() == PLENTY[:200_000]
        relay.wait_session(ending="complete")


def test_the_earliest_wins():
    timeouts = {"first_byte": "900ms", "idle": "1s", "session": "600ms"}
    with Relay(timeouts=timeouts) as relay:
        start = time.monotonic()
        client, server = relay.pair()
        expect_end(relay, start, "session_timeout", client, server, seconds=0.6)


@pytest.mark.threads
def test_many_sessions_each_in_its_own_time():
    with Relay(workers=2, timeouts={"idle": DEADLINE}) as relay:
        started = []
        for _ in range(30):
            started.append((time.monotonic(), relay.pair()))
            time.sleep(0.03)
        for start, (client, server) in started:
            client.expect_reset()
            server.expect_reset()
        relay.wait_session(count=30)
        for session in relay.sessions():
            assert session["ending"] == "idle_timeout"
            assert 0.98 * D * 1000 <= session["total_ms"] <= (D + 0.7) * 1000


# on_timeout = "close"

def test_close_instead_of_reset_when_idle():
    with Relay(timeouts={"idle": DEADLINE}, on_timeout="close") as relay:
        start = time.monotonic()
        client, server = relay.pair()
        assert client.read_to_eof() == b""
        assert server.read_to_eof() == b""
        assert_elapsed(start, D)
        client.close()
        server.close()
        relay.wait_session(ending="idle_timeout")


@pytest.mark.parametrize("side", SIDES)
def test_close_instead_of_reset_when_half_closed(side):
    with Relay(timeouts={"half_closed": DEADLINE}, on_timeout="close") as relay:
        first, second = relay.sides(side)
        start = time.monotonic()
        first.half_close()
        assert second.read_to_eof() == b""
        assert first.read_to_eof() == b""
        assert_elapsed(start, D)
        second.close()
        relay.wait_session(ending="half_closed_timeout", first_closer=side)


def test_close_is_for_deadlines_alone():
    """A server that resets is no deadline."""
    with Relay(timeouts={"idle": "10s"}, on_timeout="close") as relay:
        client, server = relay.greeted_sides("client")
        server.reset()
        client.expect_reset()
        relay.wait_session(ending="server_reset")
