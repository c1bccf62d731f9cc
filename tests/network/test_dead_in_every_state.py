"""The table of states and detectors: in whatever state a session is when a peer's host vanishes, it
ends as dead within dead_after of the peer's last word, found by the detector that the table says;
never sooner; and the other peer gets all that had come before, and then a reset.

Each cell brings a session over IPv4 and one over IPv6 to its state. Only the side that vanishes is
watched, so that nothing else finds out."""

import collections
import os
import time

import pytest

from lab import FAMILIES, LOSE_LONG, VANISH, RelayOfBoth, WatchedRelay, assert_between, talk
from lib.daemon import SIDES, other
from lib.peers import SLOW_READER, Background, eventually, random_bytes
from lib.timing import NOISE

D = 3.0
DEAD_AFTER = "3s"
EARLY = 0.02    # the kernel counts in whole ticks
SETTLE = 0.3    # longer than an acknowledgement is put off
PLENTY = random_bytes(4 << 20)
WORDS = random_bytes(5000)
if os.path.exists("/proc/sys/net/ipv4/tcp_rto_max_ms"):
    LATE = 1.4  # the kernel's probes are a second apart at such a short time, and its timers coarse
    LONG = 6.0  # until it asks, or sends again, as rarely as it ever will
else:
    LATE = 15   # each of three probes comes after twice the time of the one before
    LONG = 1.5


class Case:
    """One session of a cell. `gone` is the peer whose host vanishes; `before` is what it sent
    without the survivor having read it."""

    def __init__(self, relay, family, side):
        self.relay = relay
        self.family = family
        self.side = side
        self.control = relay.client()
        self.before = b""
        self.gone = self.survivor = self.number = None

    def begin(self):
        self.gone, self.survivor = self.relay.sides_of(self.family, self.side)

    def look(self):
        """The session as the daemon shows it."""
        if self.number is None:
            self.number = self.control.sessions(brief=True, listener=self.family)[0]["id"]
        return self.control.session(self.number)

    def heard(self):
        """When the gone peer was last heard."""
        now = time.monotonic()
        return now - self.look()[self.side]["tcp"]["last_heard_ms"] / 1000

    def wait_cut(self):
        """The session ends, or delivers its last bytes to the survivor."""
        return self._wait_active(lambda active: active["closing"] or not sum(active.values()))

    def wait_over(self):
        return self._wait_active(lambda active: not sum(active.values()))

    def _wait_active(self, is_found):
        return eventually(lambda: is_found(self.control.listener(self.family)["active"]) and
                          time.monotonic(), "found")

    def dead_peers(self):
        return self.relay.dead_peers(self.family, self.control)


# ---- nothing is unacknowledged: what the kernel's keepalive finds ------------------------------


def idle(case):
    case.begin()


def half_closed_by_it(case):
    case.begin()
    case.gone.half_close()
    assert case.survivor.read_to_eof() == b""
    time.sleep(SETTLE)


def half_closed_by_the_other(case):
    case.begin()
    case.survivor.half_close()
    assert case.gone.read_to_eof() == b""
    time.sleep(SETTLE)


def not_read(case):
    """Its reader is slow, so that finback does not read from it."""
    case.begin()
    sent, _ = case.gone.fill(PLENTY)
    assert sent < len(PLENTY)
    case.before = PLENTY[:sent - case.gone.unacked()]


def not_read_with_its_fin(case):
    """Likewise, and what finback has not read ends with its end of file."""
    case.begin()
    sent = 0
    while not case.look()[case.side]["tcp"]["unread_bytes"]:
        case.gone.send(PLENTY[sent:sent + 20000])
        sent += 20000
        time.sleep(0.05)
    case.gone.half_close()
    eventually(lambda: case.gone.tcp_state() == "FIN_WAIT2", "its FIN acknowledged")
    case.before = PLENTY[:sent]


# ---- something is: what finback finds itself ----------------------------------------------------


def bytes_unacknowledged(case):
    idle(case)
    yield
    case.survivor.send(WORDS)


def bytes_after_its_fin(case):
    half_closed_by_it(case)
    yield
    case.survivor.send(WORDS)


def bytes_and_the_others_fin(case):
    idle(case)
    yield
    case.survivor.send_and_half_close(WORDS)


def the_others_fin(case):
    idle(case)
    yield
    case.survivor.half_close()


def bytes_after_long_silence(case):
    """Nearly all of the time has passed, though no more is known than that nothing was said."""
    idle(case)
    yield
    time.sleep(D * 0.4)
    case.survivor.send(WORDS)


def window_shut(case):
    case.begin()
    case.survivor.fill(PLENTY)


def window_shut_for_long(case):
    case.begin()
    case.survivor.fill(PLENTY)
    time.sleep(LONG)


def window_shut_after_its_fin(case):
    half_closed_by_it(case)
    case.survivor.fill(PLENTY)
    time.sleep(1)


def both_windows_shut(case):
    case.begin()
    case.survivor.fill(PLENTY)
    sent, _ = case.gone.fill(PLENTY)
    case.before = PLENTY[:sent - case.gone.unacked()]
    time.sleep(1)


def backed_off(case):
    """For long no data has got through to it, though it was heard all the time."""
    case.begin()
    case.relay.lab.fault(case.side, towards=LOSE_LONG)
    case.survivor.send(WORDS)
    for _ in range(1 + int(LONG / 0.3)):
        case.gone.send(b"x")
        case.before += b"x"
        time.sleep(0.3)
    assert case.look()[case.side]["tcp"]["retransmits"] >= 3


def closing(case):
    half_closed_by_it(case)
    yield
    case.survivor.send_and_half_close(WORDS)


def cutting(case):
    """The survivor is reset, and the gone one is to get what came before."""
    case.begin()
    yield
    case.survivor.send(WORDS)
    eventually(lambda: case.look()[other(case.side)]["bytes"] > len(WORDS), "read")
    case.survivor.reset()


Cell = collections.namedtuple("Cell", "bring detector finish buffer found",
                              defaults=(None, Case.wait_cut))


def expect_reset(case, found):
    """At once, as nothing is left to be delivered."""
    session = case.relay.wait_session(listener=case.family)
    assert time.monotonic() - found < NOISE
    assert session["ending"] == f"{case.side}_dead"
    assert case.survivor.expect_reset() == case.before
    return session


def expect_tail(case, found):
    """Once the survivor reads."""
    del found
    assert not [session for session in case.relay.sessions() if session["listener"] == case.family]
    got = case.survivor.expect_reset()
    assert got[:len(case.before)] == case.before and PLENTY.startswith(got)
    session = case.relay.wait_session(listener=case.family)
    assert session["ending"] == f"{case.side}_dead"
    return session


def expect_tail_and_end(case, found):
    """Its end of file had come, and is kept."""
    del found
    assert case.survivor.read_to_eof() == case.before
    assert case.survivor.expect_reset() == b""
    session = case.relay.wait_session(listener=case.family)
    assert session["ending"] == f"{case.side}_dead"
    return session


def expect_end(case, found):
    """Both ends of file were passed on: there is nothing to be reset."""
    session = case.relay.wait_session(listener=case.family)
    assert time.monotonic() - found < NOISE
    assert session["ending"] == f"{case.side}_dead"
    assert case.survivor.tcp_state() in ("TIME_WAIT", "CLOSE")
    return session


def expect_first_cause(case, found):
    """The ending was the survivor's reset, whoever was found dead later."""
    session = case.relay.wait_session(listener=case.family)
    assert time.monotonic() - found < NOISE
    assert session["ending"] == f"{other(case.side)}_reset"
    return session


TABLE = {
    "idle": Cell(idle, "keepalive", expect_reset),
    "half_closed_by_it": Cell(half_closed_by_it, "keepalive", expect_reset),
    "half_closed_by_the_other": Cell(half_closed_by_the_other, "keepalive", expect_reset),
    "not_read": Cell(not_read, "keepalive", expect_tail, SLOW_READER),
    "not_read_with_its_fin": Cell(not_read_with_its_fin, "keepalive", expect_tail_and_end,
                                  SLOW_READER),
    "bytes_unacknowledged": Cell(bytes_unacknowledged, "user_timeout", expect_reset),
    "bytes_after_its_fin": Cell(bytes_after_its_fin, "user_timeout", expect_reset),
    "bytes_and_the_others_fin": Cell(bytes_and_the_others_fin, "user_timeout", expect_reset),
    "the_others_fin": Cell(the_others_fin, "user_timeout", expect_reset),
    "bytes_after_long_silence": Cell(bytes_after_long_silence, "user_timeout", expect_reset),
    "window_shut": Cell(window_shut, "user_timeout", expect_reset, SLOW_READER),
    "window_shut_for_long": Cell(window_shut_for_long, "user_timeout", expect_reset, SLOW_READER),
    "window_shut_after_its_fin": Cell(window_shut_after_its_fin, "user_timeout", expect_reset,
                                      SLOW_READER),
    "both_windows_shut": Cell(both_windows_shut, "user_timeout", expect_tail, SLOW_READER),
    "backed_off": Cell(backed_off, "user_timeout", expect_reset),
    "closing": Cell(closing, "user_timeout", expect_end, found=Case.wait_over),
    "cutting": Cell(cutting, "user_timeout", expect_first_cause, found=Case.wait_over),
}


def watched(side):
    return {side: {"dead_after": DEAD_AFTER}, other(side): {"dead_after": "0"}}


def bring(cell, case):
    """To its state; returns what is left to be done once the host has vanished."""
    rest = cell.bring(case)
    if rest is not None:
        next(rest)
    return rest


def expect_found(cell, case, heard, since):
    """In time, told alike everywhere. Returns how long after its last word."""
    found = cell.found(case)
    assert found - heard >= D - EARLY, f"too early: {found - heard:.2f} s"
    assert found - since <= D + LATE + NOISE, f"too late: {found - since:.2f} s"
    session = cell.finish(case, found)
    if session["ending"].endswith("_dead"):
        assert session["detector"] == cell.detector
    assert case.dead_peers() == {(case.side, cell.detector): 1}
    return found - heard


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("state", TABLE)
def test_found(lab, state, side):
    cell = TABLE[state]
    with RelayOfBoth(lab, receive_buffer=cell.buffer, **watched(side)) as relay:
        cases = [Case(relay, family, side) for family in FAMILIES]
        brought = [Background(bring, cell, case) for case in cases]
        rests = [one.result() for one in brought]
        heard = [case.heard() for case in cases]
        lab.vanish(side)
        since = time.monotonic()
        for call in [Background(next, rest, None) for rest in rests if rest is not None]:
            call.result()
        calls = [Background(expect_found, cell, case, when, since)
                 for case, when in zip(cases, heard)]
        print("after", *(f"{call.result():.2f}" for call in calls), "s")


# ---- while the server is being connected to ------------------------------------------------------

CONNECTING = {**watched("client"), "timeouts": {"connect": "20s"}}


@pytest.mark.parametrize("family", FAMILIES)
def test_found_while_connecting(lab, family):
    """Nobody else is there yet."""
    lab.fault("server", towards=VANISH)
    with WatchedRelay(lab, family, **CONNECTING) as relay:
        since = time.monotonic()
        relay.connect()
        lab.vanish("client")
        session = relay.wait_session()
        assert_between(time.monotonic() - since, D - EARLY, D + LATE)
        assert (session["ending"], session["detector"]) == ("client_dead", "keepalive")
        assert relay.dead_peers() == {("client", "keepalive"): 1}


@pytest.mark.parametrize("family", FAMILIES)
def test_found_while_connecting_with_bytes_unread(lab, family):
    """They are the server's, once it is reached."""
    lab.fault("server", towards=VANISH)
    with WatchedRelay(lab, family, **CONNECTING) as relay:
        client = relay.connect()
        client.send(WORDS)
        client.wait_acked()
        lab.vanish("client")
        time.sleep(D + LATE)
        relay.expect_no_ending()
        lab.fault("server")
        server = relay.backend.accept()  # at the kernel's next try
        assert server.expect_reset() == WORDS
        session = relay.wait_session()
        assert (session["ending"], session["detector"]) == ("client_dead", "keepalive")
        assert relay.dead_peers() == {("client", "keepalive"): 1}


# ---- with a probe out, and with a deadline that is shorter ---------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_found_by_a_probe_that_is_not_acknowledged(lab, side):
    """From then on keepalive sleeps."""
    probe = {"protocol": "lines", "send": "NOOP\n", "interval": "1s"}
    with WatchedRelay(lab, **{side: {"dead_after": DEAD_AFTER, "probe": probe},
                              other(side): {"dead_after": "1m"}}) as relay:
        gone, survivor = relay.sides(side)
        talk(survivor, gone, b"a line\n")
        since = time.monotonic()
        lab.vanish(side)
        eventually(lambda: relay.only_session()[side]["tcp"]["unacked_bytes"] == len("NOOP\n"),
                   "a probe")
        session = relay.wait_session()
        assert_between(time.monotonic() - since, D - SETTLE, D + LATE)
        assert (session["ending"], session["detector"]) == (f"{side}_dead", "user_timeout")
        assert survivor.expect_reset() == b""
        assert session[f"bytes_from_{other(side)}"] == len("a worda line\n")


@pytest.mark.parametrize("side", SIDES)
def test_linger_is_shorter(lab, side):
    """Then it is what ends a session that closes."""
    with WatchedRelay(lab, timeouts={"linger": "2s"}, **watched(side)) as relay:
        gone, survivor = relay.sides(side)
        gone.half_close()
        assert survivor.read_to_eof() == b""
        lab.vanish(side)
        since = time.monotonic()
        survivor.send_and_half_close(WORDS)
        assert relay.wait_session()["ending"] == "undelivered"
        assert_between(time.monotonic() - since, 2 - EARLY, 2.2)
        assert not relay.dead_peers()
