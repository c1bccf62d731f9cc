"""idle_spares_alive: a session that is silent for many times `idle` lives for as long as both peers
answer, and ends as dead when one does not."""

import time

import pytest

from lab import FAMILIES, Relay, assert_between, ping_pong
from lib.daemon import SIDES

SPARING = {"idle": "2s", "idle_spares_alive": True}
BOTH = {side: {"dead_after": "3s"} for side in SIDES}
LITERALLY = {side: {"keepalive": {"idle": "1s", "interval": "1s", "count": 3}} for side in SIDES}
LONG = 11


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", (BOTH, LITERALLY), ids=("dead_after", "keepalive"))
def test_both_answer(lab, family, settings):
    with Relay(lab, family, timeouts=SPARING, **settings) as relay:
        client, server = relay.sides("client")
        time.sleep(LONG)
        relay.expect_no_ending()
        ping_pong(client, server)


@pytest.mark.parametrize("side", SIDES)
def test_one_has_vanished(lab, side):
    """Long after `idle` had passed once. The next time lies where nobody is overdue."""
    with Relay(lab, timeouts={**SPARING, "idle": "5s"}, **BOTH) as relay:
        _, survivor = relay.sides(side)
        time.sleep(6)
        relay.expect_no_ending()
        since = time.monotonic()
        lab.vanish(side)
        session = relay.wait_session()
        assert_between(time.monotonic() - since, 1.8, 4)    # it had answered a second before
        assert (session["ending"], session["detector"]) == (f"{side}_dead", "keepalive")
        assert survivor.expect_reset() == b""


def test_it_is_not_asked_for(lab):
    with Relay(lab, timeouts={"idle": "2s"}, **BOTH) as relay:
        relay.sides("client")
        since = time.monotonic()
        assert relay.wait_session()["ending"] == "idle_timeout"
        assert_between(time.monotonic() - since, 1.9, 2.2)


def test_half_closed_is_not_spared(lab):
    """`half_closed` is another deadline, and ends the living too."""
    with Relay(lab, timeouts={**SPARING, "half_closed": "4s"}, **BOTH) as relay:
        client, server = relay.sides("client")
        client.half_close()
        assert server.read_to_eof() == b""
        since = time.monotonic()
        assert relay.wait_session()["ending"] == "half_closed_timeout"
        assert_between(time.monotonic() - since, 3.9, 4.2)
