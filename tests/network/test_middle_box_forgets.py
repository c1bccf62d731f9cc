"""A box on the path that has forgotten a connection answers for the far peer with a reset, which
reaches the near one; the far peer's own segments do not get through any more."""

import time

import pytest

from lab import BUT_RESETS, FAMILIES, FORGET, Relay, assert_between, ping_pong, table_of
from lib.daemon import SIDES
from lib.peers import Background, random_bytes

KEEPALIVE = {"idle": "1s", "interval": "1s", "count": 5}
SETTLE = 0.3  # longer than an acknowledgement is put off
STATES = ("open", "after_its_fin", "after_the_others_fin")


# On a host: what belongs to no connection that is remembered is answered with a reset.
SHORT_MEMORY = table_of("box", "tcp flags & syn == 0 ct state new reject with tcp reset")
SILENT_MEMORY = table_of("box", "tcp flags & syn == 0 ct state new drop")


def forget(lab, side):
    lab.fault(side, towards=FORGET, away=BUT_RESETS)


def bring(state, far, near):
    if state == "after_its_fin":
        far.half_close()
        assert near.read_to_eof() == b""
    elif state == "after_the_others_fin":
        near.half_close()
        assert far.read_to_eof() == b""
    time.sleep(SETTLE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("state", ("open", "after_its_fin"))
@pytest.mark.parametrize("side", SIDES)
def test_found_by_the_next_byte(lab, side, state, family):
    with Relay(lab, family) as relay:
        far, near = relay.sides(side)
        bring(state, far, near)
        forget(lab, side)
        time.sleep(0.5)
        relay.expect_no_ending()
        near.send(b"do you remember?")
        assert relay.wait_session(within=2)["ending"] == f"{side}_reset"
        assert near.expect_reset() == b""


@pytest.mark.parametrize("side", SIDES)
def test_found_by_the_fin(lab, side):
    with Relay(lab) as relay:
        _, near = relay.sides(side)
        forget(lab, side)
        near.half_close()
        assert relay.wait_session(within=2)["ending"] == f"{side}_reset"
        assert near.expect_reset() == b""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("side", SIDES)
def test_found_by_keepalive(lab, side, state):
    """Both are silent, and wait for nothing."""
    with Relay(lab, **{side: {"keepalive": KEEPALIVE}}) as relay:
        far, near = relay.sides(side)
        bring(state, far, near)
        forget(lab, side)
        assert relay.wait_session(within=2.5)["ending"] == f"{side}_reset"
        assert near.expect_reset() == b""


@pytest.mark.parametrize("side", SIDES)
def test_in_the_middle_of_a_transfer(lab, side):
    """What had come from beyond the box arrives before the reset does."""
    data = random_bytes(4 << 20)
    with Relay(lab, **{side: {"keepalive": KEEPALIVE}}) as relay:
        far, near = relay.sides(side)
        sent, _ = far.fill(data)
        assert sent < len(data)
        forget(lab, side)
        acked = sent - far.unacked()
        reading = Background(near.expect_reset)
        assert relay.wait_session()["ending"] == f"{side}_reset"
        got = reading.result()
        assert len(got) >= acked and got == data[:len(got)]


def put_box(lab, side, memory):
    """It forgets after two silent seconds."""
    lab.hosts[side].nft(memory)
    lab.hosts[side].sysctl("netfilter/nf_conntrack_tcp_timeout_established", "2")


@pytest.mark.parametrize("has_probes", (True, False), ids=("keepalive", "none"))
def test_a_box_with_a_short_memory(lab, has_probes):
    """A probe each second is traffic to it."""
    settings = {"client": {"keepalive": KEEPALIVE}} if has_probes else {}
    with Relay(lab, **settings) as relay:
        put_box(lab, "client", SHORT_MEMORY)
        client, server = relay.sides("client")
        time.sleep(4)
        relay.expect_no_ending()
        server.send(b"still known")
        if has_probes:
            assert client.receive(11) == b"still known"
        else:
            assert relay.wait_session()["ending"] == "client_reset"
            assert server.expect_reset() == b""


# With dead_after: asked after a third of it

@pytest.mark.parametrize("memory", (SHORT_MEMORY, SILENT_MEMORY), ids=("resets", "is_silent"))
@pytest.mark.parametrize("side", SIDES)
def test_a_box_whose_memory_is_long_enough(lab, side, memory):
    """It never comes to forget."""
    with Relay(lab, **{side: {"dead_after": "4s"}}) as relay:
        put_box(lab, side, memory)
        far, near = relay.sides(side)
        time.sleep(7)
        relay.expect_no_ending()
        ping_pong(far, near)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", SIDES)
def test_a_box_that_forgets_and_is_silent(lab, side, family):
    """When it is asked after three seconds it knows nothing any more, and says nothing: dead."""
    with Relay(lab, family, **{side: {"dead_after": "9s"}}) as relay:
        put_box(lab, side, SILENT_MEMORY)
        _, near = relay.sides(side)
        since = time.monotonic()
        session = relay.wait_session()
        assert_between(time.monotonic() - since, 8.9, 10.5)
        assert (session["ending"], session["detector"]) == (f"{side}_dead", "keepalive")
        assert near.expect_reset() == b""


@pytest.mark.parametrize("side", SIDES)
def test_a_box_that_forgets_and_says_so(lab, side):
    with Relay(lab, **{side: {"dead_after": "9s"}}) as relay:
        put_box(lab, side, SHORT_MEMORY)
        _, near = relay.sides(side)
        since = time.monotonic()
        session = relay.wait_session()
        assert_between(time.monotonic() - since, 2.9, 4)
        assert session["ending"] == f"{side}_reset"
        assert near.expect_reset() == b""


# A host that was restarted

@pytest.mark.parametrize("is_spoken_to", (False, True), ids=("idle", "spoken_to"))
@pytest.mark.parametrize("side", SIDES)
def test_a_host_that_lost_its_state(lab, side, is_spoken_to):
    """It answers the first question with a reset, long before it would have been dead."""
    with Relay(lab, **{side: {"dead_after": "9s"}}) as relay:
        far, near = relay.sides(side)
        lab.vanish(side)
        far.reset()
        if is_spoken_to:
            near.send(b"still there?")
        time.sleep(1)
        relay.expect_no_ending()
        since = time.monotonic()
        lab.heal()
        session = relay.wait_session()
        assert time.monotonic() - since < 4
        assert session["ending"] == f"{side}_reset"
        assert near.expect_reset() == b""
