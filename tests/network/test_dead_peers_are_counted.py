"""A peer that vanishes is found, and what found it is told in the session's line, among the last
sessions that ended and in the metrics. While it is not found yet, what the kernel knows of it is
there to be looked at, and the explanation says so."""

import re
import time

import pytest

from lab import WatchedRelay as Relay
from lab import talk
from lib.daemon import SIDES, other
from lib.peers import SLOW_READER, eventually, random_bytes

KEEPALIVE = {"idle": "1s", "interval": "1s", "count": 1}
PATIENT = {"idle": "1s", "interval": "1s", "count": 60}     # asks on and on
DETECTORS = ("keepalive", "user_timeout", "probe", "link")
SOME = r"(?:under )?[\d.]+ s"    # of a duration below a minute


def expect_found(relay, side, detector):
    """In all places alike, and nobody else was."""
    session = relay.wait_session()
    assert session["ending"] == f"{side}_dead"
    assert session["detector"] == detector
    assert relay.dead_peers() == {(side, detector): 1}
    dead_peers = relay.control.listener()["dead_peers"]
    for one in SIDES:
        assert dead_peers[one] == {name: int((one, name) == (side, detector))
                                   for name in DETECTORS}
    ended = relay.control.ended()[0]
    assert (ended["ending"], ended["detector"]) == (f"{side}_dead", detector)


@pytest.mark.parametrize("half_closed", (False, True), ids=("open", "half_closed"))
@pytest.mark.parametrize("side", SIDES)
def test_an_idle_peer_is_found_by_keepalive(lab, side, half_closed):
    """A user timeout that is set as well has nothing to do with it."""
    with Relay(lab, **{side: {"keepalive": {**KEEPALIVE, "user_timeout": "2s"}}}) as relay:
        gone, survivor = relay.sides(side)
        if half_closed:
            survivor.half_close()
            assert gone.read_to_eof() == b""
            time.sleep(0.3)  # longer than an acknowledgement is put off
        lab.vanish(side)
        assert survivor.expect_reset() == b""
        expect_found(relay, side, "keepalive")


@pytest.mark.parametrize("what", ("bytes", "fin"))
@pytest.mark.parametrize("side", SIDES)
def test_one_that_owes_an_acknowledgement_is_found_by_user_timeout(lab, side, what):
    with Relay(lab, **{side: {"keepalive": {**KEEPALIVE, "user_timeout": "2s"}}}) as relay:
        _, survivor = relay.sides(side)
        lab.vanish(side)
        if what == "bytes":
            survivor.send(b"who is to acknowledge this?")
        else:
            survivor.half_close()
        expect_found(relay, side, "user_timeout")


def test_a_reset_is_no_dead_peer(lab):
    with Relay(lab) as relay:
        client, server = relay.sides("client")
        client.reset()
        assert server.expect_reset() == b""
        session = relay.wait_session()
        assert session["ending"] == "client_reset"
        assert "detector" not in session
        assert relay.dead_peers() == {}
        assert relay.control.ended()[0]["detector"] is None


# What can be seen before it is found

@pytest.mark.parametrize("side", SIDES)
def test_retransmissions_are_seen(lab, side):
    lab.hurry(side)
    with Relay(lab) as relay:
        _, survivor = relay.sides(side)
        lab.vanish(side)
        survivor.send(b"17 bytes in vain!")
        session = eventually(lambda: (session := relay.only_session())
                             and session[side]["tcp"]["retransmits"] >= 2 and session,
                             "two retransmissions")
        tcp = session[side]["tcp"]
        assert tcp["state"] == "ESTABLISHED"
        assert tcp["unacked_bytes"] == 17
        assert tcp["unsent_bytes"] == 0
        assert tcp["total_retransmits"] >= tcp["retransmits"]
        assert session[other(side)]["tcp"]["retransmits"] == 0
        assert re.search(rf"the {side} has not acknowledged 17 bytes from the {other(side)}.*"
                         rf" \(\d+ retransmissions unanswered, last heard {SOME} ago, "
                         r"taken for dead after 2 min of silence\);",
                         session["explanation"]), session["explanation"]
        lab.heal()


@pytest.mark.parametrize("side", SIDES)
def test_unanswered_probes_are_seen(lab, side):
    with Relay(lab, **{side: {"keepalive": PATIENT}}) as relay:
        relay.sides(side)
        lab.vanish(side)
        session = eventually(lambda: (session := relay.only_session())
                             and session[side]["tcp"]["probes"] >= 2 and session, "two probes")
        assert session[side]["tcp"]["last_heard_ms"] >= 2000
        assert re.search(rf"nothing has moved for .*; the {side} was heard {SOME} ago "
                         r"\(\d keepalive probes unanswered\);",
                         session["explanation"]), session["explanation"]
        lab.heal()
        eventually(lambda: relay.only_session()[side]["tcp"]["probes"] == 0, "an answer")


def test_answered_probes_are_seen(lab):
    """Silent, and alive: it was heard though nothing has moved."""
    with Relay(lab, **{side: {"keepalive": PATIENT} for side in SIDES}) as relay:
        client, server = relay.sides("client")
        client.half_close()
        assert server.read_to_eof() == b""
        time.sleep(4)
        session = relay.only_session()
        for side in SIDES:
            assert session[side]["tcp"]["last_heard_ms"] < 2000
        assert session["client"]["tcp"]["state"] == "CLOSE_WAIT"
        assert session["server"]["tcp"]["state"] == "FIN_WAIT2"
        assert re.search(rf"the client finished sending {SOME} ago; finback waits for the server, "
                         rf"which acknowledged everything and has sent nothing for {SOME}, though "
                         rf"it was heard {SOME} ago; half_closed ends it in 4 min",
                         session["explanation"]), session["explanation"]


@pytest.mark.parametrize("side", SIDES)
def test_a_reader_without_room_is_seen(lab, side):
    with Relay(lab, receive_buffer=SLOW_READER) as relay:
        _, writer = relay.sides(side)
        writer.fill(random_bytes(4 << 20))
        time.sleep(1.5)
        session = relay.only_session()
        tcp = session[side]["tcp"]
        assert tcp["unsent_bytes"] > 0
        assert tcp["unacked_bytes"] == 0
        assert session[other(side)]["held_bytes"] > 0
        assert session[other(side)]["tcp"]["unread_bytes"] > 0
        assert re.search(rf"finback waits for the {side} to take [\d.]+ KiB from the "
                         rf"{other(side)}, held for {SOME}, with [\d.]+ KiB ahead and [\d.]+ KiB "
                         r"unread behind in the kernel \(no room in its receive window, ",
                         session["explanation"]), session["explanation"]


def talkative(relay):
    client, server = relay.sides("client")
    for _ in range(3):
        talk(client, server)
    return relay.only_session()


def test_a_healthy_session_shows_nothing_of_the_kind(lab):
    with Relay(lab) as relay:
        session = talkative(relay)
        for side in SIDES:
            tcp = session[side]["tcp"]
            assert tcp["state"] == "ESTABLISHED"
            assert (tcp["retransmits"], tcp["probes"], tcp["unacked_bytes"]) == (0, 0, 0)
        assert "unanswered" not in session["explanation"]
