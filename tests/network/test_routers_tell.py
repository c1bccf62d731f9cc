"""What a router says of a peer that was there (ICMP: unreachable, prohibited) ends no session
before its time: the router may be wrong, and the path may come back."""

import time

import pytest

from lab import FAMILIES, RelayOfBoth, assert_between, ping_pong, reject
from lib.daemon import SIDES
from lib.peers import Background

D = 3.0
DEAD_AFTER = "3s"
GONE = "meta l4proto tcp drop"
# Host unreachable; net unreachable, or no route; administratively prohibited.
ANSWERS = ("host-unreachable", "no-route", "admin-prohibited")


def sessions(relay, side):
    """Over each family one that is idle, and one that is to be spoken to: (far peer, near peer)."""
    return {(family, is_spoken_to): relay.sides_of(family, side)
            for family in FAMILIES for is_spoken_to in (False, True)}


def speak(pairs):
    for (_, is_spoken_to), (_, near) in pairs.items():
        if is_spoken_to:
            near.send(b"anybody there?")


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("side", SIDES)
def test_the_peer_is_gone(lab, side, answer):
    """It is dead no sooner than without a router."""
    with RelayOfBoth(lab, **{side: {"dead_after": DEAD_AFTER}}) as relay:
        pairs = sessions(relay, side)
        since = time.monotonic()
        lab.fault(side, towards=reject(f"icmpx {answer}"), away=GONE)
        speak(pairs)
        resets = [Background(near.expect_reset) for _, near in pairs.values()]
        relay.wait_session()
        assert time.monotonic() - since >= D - 0.5  # the last word may be as long ago
        relay.wait_session(count=len(pairs), ending=f"{side}_dead")
        assert_between(time.monotonic() - since, D - 0.5, D + 1.4)
        for family in FAMILIES:
            assert relay.dead_peers(family) == {(side, "keepalive"): 1, (side, "user_timeout"): 1}
        for reset in resets:
            assert reset.result() == b""


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("side", SIDES)
def test_the_path_comes_back(lab, side, answer):
    with RelayOfBoth(lab, **{side: {"dead_after": "5s"}}) as relay:
        pairs = sessions(relay, side)
        lab.fault(side, towards=reject(f"icmpx {answer}"), away=GONE)
        speak(pairs)
        time.sleep(3)
        relay.expect_no_ending()
        lab.heal()
        for (_, is_spoken_to), (far, near) in pairs.items():
            if is_spoken_to:
                assert far.receive(14) == b"anybody there?"
            ping_pong(far, near)
        time.sleep(4)
        relay.expect_no_ending()
