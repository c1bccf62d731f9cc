"""Application probes: when a session is silent one goes to the side that asks for it, and its
answer is taken out; never where it could do harm. Each peer gets what the other sent, byte for
byte."""

import time

import pytest

from lib.control import Controlled
from lib.daemon import SIDES, Relay, other
from lib.metrics import Metrics
from lib.peers import SLOW_READER, Background, eventually, random_bytes
from lib.timing import assert_elapsed

INTERVAL = 0.2
EARLIEST = INTERVAL * 7 / 8     # they are spread
PAUSE = 4 * INTERVAL            # in which one would go out, where it may
SEND = b"NOOP\r\n"
EXPECT = b"OK\r\n"
LINES = {"protocol": "lines", "send": SEND.decode(), "interval": "200ms"}
ASKING = {**LINES, "expect": EXPECT.decode(), "answer": "500ms"}
QUESTION, ANSWER = b"question\r\n", b"answer\r\n"
PLENTY = b"".join(b"line %07d\n" % number for number in range(1 << 20))


def begin(relay, target):
    """A session with a question and its answer: the peer that probes go to, and the other one."""
    far, near = relay.sides(target)
    near.send(QUESTION)
    assert far.receive(len(QUESTION)) == QUESTION
    far.send(ANSWER)
    assert near.receive(len(ANSWER)) == ANSWER
    return far, near


def finish(relay, far, near):
    """Both end; whatever else was on its way to `near` is wrong."""
    near.half_close()
    rest = far.read_to_eof()
    far.half_close()
    assert near.read_to_eof() == b""
    return rest, relay.wait_session()


def expect_bytes(session, target, from_target=ANSWER, to_target=QUESTION):
    assert session["ending"] == "complete"
    assert session[f"bytes_from_{target}"] == len(from_target)
    assert session[f"bytes_from_{other(target)}"] == len(to_target)


# Where they go out

@pytest.mark.parametrize("family", ("ipv4", "unix"))
@pytest.mark.parametrize("target", SIDES)
def test_one_goes_out_after_each_interval_of_silence(target, family):
    with Controlled(family, family, **{target: {"probe": LINES}}) as relay:
        far, near = begin(relay, target)
        since = time.monotonic()
        for count in range(1, 4):
            assert far.receive(len(SEND)) == SEND
            assert time.monotonic() - since >= count * EARLIEST - 0.02
        near.expect_silence(0)
        eventually(lambda: Metrics.of(relay.control).value(
            "finback_probes_sent_total", listener="web", side=target) >= 3, "counted")
        rest, session = finish(relay, far, near)
        assert rest == SEND * (len(rest) // len(SEND))
        expect_bytes(session, target)


def test_silence_begins_with_the_last_byte():
    with Relay(server={"probe": LINES}) as relay:
        far, near = begin(relay, "server")
        for _ in range(10):
            time.sleep(INTERVAL / 2)
            near.send(QUESTION)
            assert far.receive(len(QUESTION)) == QUESTION
        since = time.monotonic()
        assert far.receive(len(SEND)) == SEND
        assert time.monotonic() - since >= EARLIEST - 0.02


@pytest.mark.parametrize("target", SIDES)
def test_answers_are_taken_out(target):
    with Controlled(**{target: {"probe": ASKING}}) as relay:
        far, near = begin(relay, target)
        for _ in range(3):
            assert far.receive(len(SEND)) == SEND
            far.send(EXPECT)
        near.expect_silence(0.1)
        eventually(lambda: Metrics.of(relay.control).value(
            "finback_probe_replies_total", listener="web", side=target) >= 3, "counted")
        _, session = finish(relay, far, near)
        expect_bytes(session, target)


def test_what_is_said_while_an_answer_is_awaited():
    """The next question goes on at once; its answer comes second, and is not taken out."""
    with Relay(server={"probe": {**ASKING, "answer": "5s"}}) as relay:
        far, near = begin(relay, "server")
        assert far.receive(len(SEND)) == SEND
        near.send(QUESTION)
        assert far.receive(len(QUESTION)) == QUESTION
        far.send(EXPECT[:1])
        near.expect_silence(0.1)
        far.send(EXPECT[1:] + EXPECT)
        assert near.receive(len(EXPECT)) == EXPECT


def test_an_answer_that_is_not_the_one_expected():
    """All of it is passed on, and there are no more probes."""
    with Relay(server={"probe": ASKING}) as relay:
        far, near = begin(relay, "server")
        assert far.receive(len(SEND)) == SEND
        far.send(b"O")
        near.expect_silence(0.1)
        far.send(b"uch\r\n")
        assert near.receive(6) == b"Ouch\r\n"
        far.expect_silence(PAUSE)
        _, session = finish(relay, far, near)
        expect_bytes(session, "server", from_target=ANSWER + b"Ouch\r\n")


# A process that hangs, on a host that lives

@pytest.mark.parametrize("target", SIDES)
def test_no_answer_ends_the_session(target):
    with Relay(**{target: {"probe": {**ASKING, "on_silence": "end"}}}) as relay:
        far, near = begin(relay, target)
        assert far.receive(len(SEND)) == SEND
        since = time.monotonic()
        assert near.expect_reset() == b""
        assert_elapsed(since, 0.5)
        session = relay.wait_session()
        assert session["ending"] == f"{target}_dead"
        assert session["detector"] == "probe"
        assert far.expect_reset() == b""


@pytest.mark.parametrize("target", SIDES)
def test_no_answer_is_counted_and_the_session_lives(target):
    """The answer that comes at last is still taken out, and probes go on."""
    with Relay(**{target: {"probe": ASKING}}) as relay:
        far, near = begin(relay, target)
        assert far.receive(len(SEND)) == SEND
        far.expect_silence(1.5)
        far.send(EXPECT)
        assert far.receive(len(SEND)) == SEND
        far.send(EXPECT)
        near.expect_silence(0)
        _, session = finish(relay, far, near)
        expect_bytes(session, target)


# Where none may go

@pytest.mark.parametrize("first", SIDES)
@pytest.mark.parametrize("target", SIDES)
def test_none_in_a_half_closed_session(target, first):
    """Nothing may follow an end of file that was passed on, nor stand before one that comes."""
    with Relay(**{target: {"probe": LINES}}) as relay:
        far, near = begin(relay, target)
        ender, other_one = (far, near) if target == first else (near, far)
        ender.half_close()
        assert other_one.read_to_eof() == b""
        time.sleep(PAUSE)
        other_one.send_and_half_close(b"done\r\n")
        assert ender.read_to_eof() == b"done\r\n"
        session = relay.wait_session()
        assert session["ending"] == "complete"
        assert session[f"bytes_from_{first}"] == len(ANSWER if first == target else QUESTION)


@pytest.mark.parametrize("target", SIDES)
def test_an_end_of_file_while_an_answer_is_awaited(target):
    """The answer is still taken out, where it comes before the target's own end."""
    with Relay(**{target: {"probe": ASKING}}) as relay:
        far, near = begin(relay, target)
        assert far.receive(len(SEND)) == SEND
        near.half_close()
        assert far.read_to_eof() == b""
        far.send_and_half_close(EXPECT + b"bye\r\n")
        assert near.read_to_eof() == b"bye\r\n"
        expect_bytes(relay.wait_session(), target, from_target=ANSWER + b"bye\r\n")


@pytest.mark.parametrize("target", SIDES)
def test_none_within_a_line(target):
    with Relay(**{target: {"probe": LINES}}) as relay:
        far, near = begin(relay, target)
        near.send(b"half of ")
        assert far.receive(8) == b"half of "
        far.expect_silence(PAUSE)
        near.send(b"it\r\n")
        assert far.receive(4) == b"it\r\n"
        assert far.receive(len(SEND)) == SEND


@pytest.mark.parametrize("target", SIDES)
def test_none_before_anything_was_said(target):
    with Relay(**{target: {"probe": LINES}}) as relay:
        client, server = relay.pair()
        client.expect_silence(PAUSE)
        server.expect_silence(0)


def take_all(peer, count):
    """That many bytes, and probes only behind all of them."""
    got = peer.receive(count)
    assert SEND not in got
    return got


@pytest.mark.parametrize("target", SIDES)
def test_none_while_bytes_wait_for_the_target(target):
    """In its window, in finback, or unread behind."""
    with Relay(receive_buffer=SLOW_READER, **{target: {"probe": LINES}}) as relay:
        far, near = begin(relay, target)
        sent, _ = near.fill(PLENTY)
        assert sent < len(PLENTY)
        time.sleep(PAUSE)
        writing = Background(near.send, PLENTY[sent:])
        assert take_all(far, len(PLENTY)) == PLENTY
        writing.result()
        assert far.receive(len(SEND)) == SEND


@pytest.mark.parametrize("target", SIDES)
def test_none_while_bytes_of_the_target_wait(target):
    """Its reader is slow, so that an answer would come late."""
    with Relay(receive_buffer=SLOW_READER, **{target: {"probe": LINES}}) as relay:
        far, near = begin(relay, target)
        sent, _ = far.fill(PLENTY)
        assert sent < len(PLENTY)
        far.expect_silence(PAUSE)
        writing = Background(far.send, PLENTY[sent:])
        assert near.receive(len(PLENTY)) == PLENTY
        writing.result()
        assert far.receive(len(SEND)) == SEND


def test_none_in_what_is_no_text():
    """TLS, for one: what cannot be followed is left alone for good."""
    hello = b"\x16\x03\x01" + random_bytes(200)
    with Relay(server={"probe": LINES}) as relay:
        far, near = relay.sides("server")
        near.send(hello)
        assert far.receive(len(hello)) == hello
        far.send(b"line\r\n")
        near.receive(6)
        near.send(QUESTION)
        assert far.receive(len(QUESTION)) == QUESTION
        far.expect_silence(PAUSE)


def test_probes_are_no_progress():
    """Deadlines run on."""
    with Relay(timeouts={"idle": "1500ms"}, server={"probe": ASKING}) as relay:
        far, near = begin(relay, "server")
        since = time.monotonic()
        answering = Background(answer_all, far)
        assert near.expect_reset() == b""
        assert_elapsed(since, 1.5)
        assert relay.wait_session()["ending"] == "idle_timeout"
        assert answering.result() >= 4


def answer_all(peer):
    """Answers probes until it is reset, and returns how many there were."""
    count = 0
    try:
        while peer.receive(len(SEND)) == SEND:
            count += 1
            peer.send(EXPECT)
    except ConnectionResetError:
        pass
    return count
