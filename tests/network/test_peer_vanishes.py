"""A peer that vanishes without a word is found by the kernel's probes, in every state of a session,
and the other side is reset; what the peer had sent before still arrives."""

import time

import pytest

from lab import FAMILIES, LOSE_RESETS, Relay, assert_between, ping_pong, reject, talk
from lib.daemon import SIDES, other
from lib.peers import SLOW_READER, Background, random_bytes
from lib.timing import assert_elapsed

KEEPALIVE = {"idle": "1s", "interval": "1s", "count": 2}
DEAD = 3.0      # idle + interval * count
EARLY = 0.5     # the last word was that long before, at most
LATE = 1.0      # the kernel's timers are coarse
SETTLE = 0.3    # longer than an acknowledgement is put off
USER_TIMEOUT = 3.0
STATES = ("open", "after_its_fin", "after_the_others_fin")
PLENTY = random_bytes(4 << 20)


def watched(side, **more):
    """Keepalive on that side alone, so that no other socket's probes find its peer."""
    return {side: {"keepalive": {**KEEPALIVE, **more}}}


def bring(state, one, two):
    """Both sides have spoken; now `one`, or `two`, or nobody, ends its flow."""
    if state == "after_its_fin":
        one.half_close()
        assert two.read_to_eof() == b""
    elif state == "after_the_others_fin":
        two.half_close()
        assert one.read_to_eof() == b""
    time.sleep(SETTLE)


def expect_found(relay, since, ending, survivor):
    reader = Background(survivor.expect_reset)
    session = relay.wait_session()
    assert_between(time.monotonic() - since, DEAD - EARLY, DEAD + LATE)
    assert session["ending"] == ending
    assert reader.result() == b""


# Nothing is in flight

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("side", SIDES)
def test_idle(lab, side, state, family):
    with Relay(lab, family, **watched(side)) as relay:
        gone, survivor = relay.sides(side)
        bring(state, gone, survivor)
        since = time.monotonic()
        lab.vanish(side)
        expect_found(relay, since, f"{side}_dead", survivor)


@pytest.mark.parametrize("state", STATES)
def test_both_at_once(lab, state):
    with Relay(lab, **watched("client"), **watched("server")) as relay:
        client, server = relay.sides("client")
        bring(state, client, server)
        since = time.monotonic()
        lab.vanish("client")
        lab.vanish("server")
        session = relay.wait_session()
        assert_between(time.monotonic() - since, DEAD - EARLY, DEAD + LATE)
        assert session["ending"] in ("client_dead", "server_dead")


@pytest.mark.parametrize("state", STATES)
def test_a_living_peer_is_left_alone(lab, state):
    """Probes are answered, however long nothing is said, also by a peer that lost some of them."""
    with Relay(lab, **watched("client", count=4), **watched("server", count=4)) as relay:
        client, server = relay.sides("client")
        bring(state, client, server)
        for side in SIDES:
            lab.vanish(side)
        time.sleep(1.5)
        lab.heal()
        time.sleep(DEAD + 2 + LATE)
        relay.expect_no_ending()
        if state == "open":
            ping_pong(client, server)
        elif state == "after_its_fin":
            talk(server, client)
        else:
            talk(client, server)


# A peer that came back without its memory answers with a reset

@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("side", SIDES)
def test_rebooted(lab, side, state):
    with Relay(lab, **watched(side)) as relay:
        gone, survivor = relay.sides(side)
        bring(state, gone, survivor)
        lab.fault(side, away=LOSE_RESETS)
        gone.reset()
        time.sleep(0.1)
        relay.expect_no_ending()
        since = time.monotonic()
        lab.heal()
        session = relay.wait_session()
        assert time.monotonic() - since < DEAD - EARLY  # by the answer, not by silence
        assert session["ending"] == f"{side}_reset"
        assert survivor.expect_reset() == b""


@pytest.mark.parametrize("side", SIDES)
def test_rebooted_and_spoken_to(lab, side):
    """No keepalive: the first byte towards it finds out."""
    with Relay(lab) as relay:
        gone, survivor = relay.sides(side)
        lab.fault(side, away=LOSE_RESETS)
        gone.reset()
        survivor.expect_silence(0.3)
        lab.heal()
        survivor.expect_silence(0.5)
        survivor.send(b"still there?")
        assert relay.wait_session()["ending"] == f"{side}_reset"
        assert survivor.expect_reset() == b""


# Something is in flight, so that the kernel sends no probes

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", SIDES)
def test_with_bytes_in_flight(lab, side, family):
    with Relay(lab, family, **watched(side, user_timeout="3s")) as relay:
        gone, survivor = relay.sides(side)
        lab.vanish(side)
        since = time.monotonic()
        survivor.send(b"who is to acknowledge this?")
        session = relay.wait_session()
        assert_between(time.monotonic() - since, USER_TIMEOUT - 0.1, USER_TIMEOUT + 2)
        assert session["ending"] == f"{side}_dead"
        assert survivor.expect_reset() == b""
        assert gone.tcp_state() == "ESTABLISHED"  # not a word has reached it


@pytest.mark.parametrize("side", SIDES)
def test_with_the_fin_in_flight(lab, side):
    with Relay(lab, **watched(side, user_timeout="3s")) as relay:
        _, survivor = relay.sides(side)
        lab.vanish(side)
        since = time.monotonic()
        survivor.half_close()
        session = relay.wait_session()
        assert_between(time.monotonic() - since, USER_TIMEOUT - 0.1, USER_TIMEOUT + 2)
        assert session["ending"] == f"{side}_dead"
        assert survivor.expect_reset() == b""


@pytest.mark.parametrize("answer", ("host-unreachable", "no-route", "admin-prohibited"))
def test_with_bytes_in_flight_and_a_router_that_tells(lab, answer):
    """What ICMP says of a peer that was there is not a reset of the peer's."""
    with Relay(lab, **watched("server", user_timeout="3s")) as relay:
        client, _ = relay.sides("client")
        lab.fault("server", towards=reject(f"icmpx {answer}"), away="meta l4proto tcp drop")
        since = time.monotonic()
        client.send(b"anybody there?")
        session = relay.wait_session()
        assert_between(time.monotonic() - since, USER_TIMEOUT - 0.1, USER_TIMEOUT + 2)
        assert session["ending"] == "server_dead"
        assert client.expect_reset() == b""


@pytest.mark.parametrize("side", SIDES)
def test_with_a_shut_window(lab, side):
    """It had stopped reading, so that the kernel holds bytes for it that it may not send."""
    with Relay(lab, receive_buffer=SLOW_READER, **watched(side, user_timeout="3s")) as relay:
        _, survivor = relay.sides(side)
        survivor.fill(PLENTY)
        lab.vanish(side)
        session = relay.wait_session()
        assert session["ending"] == f"{side}_dead"
        assert survivor.expect_reset() == b""


# The relay has stopped reading from it

@pytest.mark.parametrize("side", SIDES)
def test_back_pressured(lab, side):
    """What it had sent before goes on once its reader reads, and then comes the reset."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"linger": "30s"},
               **watched(side)) as relay:
        gone, survivor = relay.sides(side)
        sent, _ = gone.fill(PLENTY)
        assert sent < len(PLENTY)
        lab.vanish(side)
        acked = sent - gone.unacked()
        time.sleep(DEAD + LATE)
        got = survivor.expect_reset()
        session = relay.wait_session()
        assert session["ending"] == f"{side}_dead"
        assert acked <= len(got) <= sent
        assert got == PLENTY[:len(got)]
        assert session[f"bytes_from_{side}"] == len(b"a word") + len(got)


@pytest.mark.parametrize("side", SIDES)
def test_back_pressured_by_a_reader_that_never_reads(lab, side):
    """Nobody takes the tail: the session ends after `linger`, for the reason it had."""
    with Relay(lab, receive_buffer=SLOW_READER, timeouts={"linger": "2s"},
               **watched(side)) as relay:
        gone, _ = relay.sides(side)
        gone.fill(PLENTY)
        since = time.monotonic()
        lab.vanish(side)
        session = relay.wait_session()
        assert_between(time.monotonic() - since, DEAD - EARLY + 2, DEAD + LATE + 2)
        assert session["ending"] == f"{side}_dead"


# Nobody looks for it

@pytest.mark.parametrize("side", SIDES)
def test_without_keepalive(lab, side):
    """Only a deadline ends the session."""
    with Relay(lab, timeouts={"idle": "5s"}) as relay:
        last = time.monotonic()
        _, survivor = relay.sides(side)
        lab.vanish(side)
        survivor.expect_silence(DEAD + LATE)
        relay.expect_no_ending()
        session = relay.wait_session()
        assert_elapsed(last, 5)
        assert session["ending"] == "idle_timeout"
        assert survivor.expect_reset() == b""


# Both ends of file were passed on

@pytest.mark.parametrize("keepalive", (False, True), ids=("alone", "with_keepalive"))
@pytest.mark.parametrize("side", SIDES)
def test_while_closing(lab, side, keepalive):
    """It asked, ended its flow and vanished; the answer is never acknowledged."""
    with Relay(lab, timeouts={"linger": "2s"}, **(watched(side) if keepalive else {})) as relay:
        gone, survivor = relay.sides(side)
        bring("after_its_fin", gone, survivor)
        lab.vanish(side)
        since = time.monotonic()
        survivor.send_and_half_close(random_bytes(10000))
        session = relay.wait_session()
        assert_elapsed(since, 2)
        assert session["ending"] == "undelivered"
        assert session[f"bytes_from_{other(side)}"] == 10000 + len(b"a word")


@pytest.mark.parametrize("side", SIDES)
def test_while_closing_and_back_in_time(lab, side):
    """The kernel's retransmissions reach it, and nothing was lost."""
    answer = random_bytes(10000)
    with Relay(lab, timeouts={"linger": "6s"}) as relay:
        gone, survivor = relay.sides(side)
        bring("after_its_fin", gone, survivor)
        lab.vanish(side)
        survivor.send_and_half_close(answer)
        time.sleep(1)
        relay.expect_no_ending()
        lab.heal()
        assert gone.read_to_eof() == answer
        assert relay.wait_session()["ending"] == "complete"
