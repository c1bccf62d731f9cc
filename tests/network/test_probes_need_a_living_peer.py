"""A probe goes to one side only while the other is known to be alive: the session of a client that
vanished is not kept up at its server, nor the other way."""

import time

import pytest

from lab import WatchedRelay, talk
from lib.daemon import SIDES, other
from lib.peers import eventually

LINE = b"NOOP\r\n"
PROBE = {"protocol": "lines", "send": "NOOP\r\n", "interval": "500ms"}
# Known to be alive for three seconds after the last word, and dead only long after that: with a
# user timeout the kernel does not count its probes.
SLOWLY_DEAD = {"keepalive": {"idle": "1s", "interval": "1s", "count": 2, "user_timeout": "12s"}}
ALIVE = 3.0


def begin(relay, target):
    """A session in which a probe may go out: the peer that it goes to, and the other one."""
    far, near = relay.sides(target)
    talk(near, far, b"hello\r\n")
    return far, near


def take_probes(peer, seconds):
    """How long ago they began to be missing, after so many seconds."""
    last, end = time.monotonic(), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        peer.sock.settimeout(left)
        try:
            assert peer.receive(len(LINE)) == LINE
        except TimeoutError:
            break
        last = time.monotonic()
    return time.monotonic() - last


@pytest.mark.parametrize("target", SIDES)
def test_no_probe_for_a_peer_that_vanished(lab, target):
    settings = {target: {"probe": PROBE, "dead_after": "1m"}, other(target): SLOWLY_DEAD}
    with WatchedRelay(lab, **settings) as relay:
        far, _ = begin(relay, target)
        assert take_probes(far, 2) < 1
        since = time.monotonic()
        lab.vanish(other(target))
        silence = take_probes(far, ALIVE + 3)
        assert silence >= 2.5, "probes went on"
        assert time.monotonic() - since - silence >= ALIVE / 3, "they ended before it was known"
        relay.expect_no_ending()
        far.sock.settimeout(20)
        far.expect_reset()
        session = relay.wait_session()
        assert (session["ending"], session["detector"]) == (f"{other(target)}_dead", "keepalive")
        assert session[f"bytes_from_{other(target)}"] == len("a wordhello\r\n")


@pytest.mark.parametrize("target", SIDES)
def test_probes_again_when_it_is_back(lab, target):
    settings = {target: {"probe": PROBE, "dead_after": "1m"}, other(target): SLOWLY_DEAD}
    with WatchedRelay(lab, **settings) as relay:
        far, _ = begin(relay, target)
        lab.vanish(other(target))
        assert take_probes(far, ALIVE + 3) >= 2.5
        lab.heal()
        assert take_probes(far, 4) < 1
        relay.expect_no_ending()


@pytest.mark.parametrize("target", SIDES)
def test_none_while_one_is_unacknowledged(lab, target):
    """Whatever the interval: what is unacknowledged is one probe, and it arrives once."""
    settings = {target: {"probe": PROBE, "dead_after": "1m"}, other(target): {"dead_after": "1m"}}
    with WatchedRelay(lab, **settings) as relay:
        far, _ = begin(relay, target)
        lab.vanish(target)
        eventually(lambda: relay.only_session()[target]["tcp"]["unacked_bytes"], "a probe")
        time.sleep(3)
        assert relay.only_session()[target]["tcp"]["unacked_bytes"] == len(LINE)
        lab.heal()
        assert far.receive(len(LINE)) == LINE
        relay.expect_no_ending()
