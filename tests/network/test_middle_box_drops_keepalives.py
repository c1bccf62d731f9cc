"""A box on the path that passes data and drops keepalive: it lets segments without payload through
only where payload went just before, in either direction. To finback the peer behind it is dead, as
nothing it asks is answered; with an application probe, which is payload, the session lives."""

import time

import pytest

from lab import FAMILIES, WatchedRelay, assert_between, ping_pong, talk
from lib.daemon import SIDES, other

D = 6.0
DEAD_AFTER = "6s"
INTERVAL = "1500ms"     # well below a third of it, after which the kernel asks
LINES = {"protocol": "lines", "send": "NOOP\r\n", "interval": INTERVAL}
REDIS = {"protocol": "redis", "interval": INTERVAL}
# The length of a packet without payload: the headers, and a timestamp as TCP's only option.
EMPTY = {"ipv4": 52, "ipv6": 72}


def chain(hook, ports):
    passing = f"update @talking {{ {ports} }} accept"
    return "\n".join((
        f"chain {hook} {{", f"type filter hook {hook} priority 0;",
        "meta l4proto != tcp accept",
        f"tcp flags & (syn|fin|rst) != 0 {passing}",
        *(f"meta nfproto {family} meta length > {EMPTY[family]} {passing}" for family in FAMILIES),
        f"{ports} != @talking counter drop", "}"))


BOX = "\n".join((
    "table inet box {", "set talking {", "type inet_service . inet_service",
    "flags dynamic,timeout", "timeout 500ms", "}",
    chain("input", "tcp sport . tcp dport"), chain("output", "tcp dport . tcp sport"), "}", ""))


def settings(side, **more):
    return {side: {"dead_after": DEAD_AFTER, **more}, other(side): {"dead_after": "2m"}}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", SIDES)
def test_without_a_probe(lab, side, family):
    """Data still passes, and would have; that cannot be known."""
    with WatchedRelay(lab, family, **settings(side)) as relay:
        lab.hosts[side].nft(BOX)
        far, near = relay.sides(side)
        time.sleep(1.5)
        since = time.monotonic()
        ping_pong(far, near)
        session = relay.wait_session()
        assert_between(time.monotonic() - since, D - 0.1, D + 1.2)
        assert (session["ending"], session["detector"]) == (f"{side}_dead", "keepalive")
        assert near.expect_reset() == b""


def expect_probes(relay, far, message):
    """The far peer gets one each interval, and the session lives through what would have been two
    deaths."""
    end = time.monotonic() + 2 * D + 1
    while time.monotonic() < end:
        assert far.receive(len(message)) == message
    relay.expect_no_ending()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", SIDES)
def test_with_a_probe(lab, side, family):
    with WatchedRelay(lab, family, **settings(side, probe=LINES)) as relay:
        lab.hosts[side].nft(BOX)
        far, near = relay.sides(side)
        talk(near, far, b"hello\r\n")
        expect_probes(relay, far, b"NOOP\r\n")
        talk(far, near, b"welcome\r\n")


def test_with_a_probe_of_redis(lab):
    """That the server does not even answer: its kernel's acknowledgement is enough."""
    with WatchedRelay(lab, **settings("server", probe=REDIS)) as relay:
        lab.hosts["server"].nft(BOX)
        client, server = relay.connect(), relay.backend.accept()
        talk(client, server, b"PING\r\n")
        talk(server, client, b"+PONG\r\n")
        expect_probes(relay, server, b"\r\n")
        talk(client, server, b"PING\r\n")
