"""idle_spares_alive: `idle` does not end a session whose peers are both known to be alive. The
other end of a UNIX socket always is. (Peers that vanish are in tests/network.)"""

import time

import pytest

from lib.daemon import Relay
from lib.timing import assert_elapsed

SPARING = {"idle": "1s", "idle_spares_alive": True}
BOTH = {side: {"dead_after": "3s"} for side in ("client", "server")}
FAMILIES = ("ipv4", "ipv6", "unix")


def ping_pong(client, server):
    for one, two in ((client, server), (server, client)):
        one.send(b"word")
        assert two.receive(4) == b"word"


@pytest.mark.parametrize("server_family", FAMILIES)
@pytest.mark.parametrize("client_family", FAMILIES)
def test_a_silent_session_goes_on(client_family, server_family):
    with Relay(client_family, server_family, timeouts=SPARING, **BOTH) as relay:
        client, server = relay.pair()
        ping_pong(client, server)
        time.sleep(4.5)
        assert not relay.sessions()
        relay.expect_rest(wakeups_a_second=20)
        ping_pong(client, server)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_it_is_not_asked_for(family):
    with Relay(family, family, timeouts={"idle": "1s"}, **BOTH) as relay:
        client, server = relay.pair()
        ping_pong(client, server)
        since = time.monotonic()
        client.expect_reset()
        assert_elapsed(since, 1)
        assert relay.wait_session()["ending"] == "idle_timeout"


@pytest.mark.parametrize("timeouts, ending", (
    ({"session": "2500ms"}, "session_timeout"), ({"first_byte": "2500ms"}, "first_byte_timeout")))
def test_other_deadlines_spare_nobody(timeouts, ending):
    with Relay(timeouts={**SPARING, **timeouts}, **BOTH) as relay:
        since = time.monotonic()
        client, _ = relay.pair()
        client.expect_reset()
        assert_elapsed(since, 2.5)
        assert relay.wait_session()["ending"] == ending


def test_a_clean_end_after_many_idles():
    with Relay(timeouts=SPARING, **BOTH) as relay:
        client, server = relay.pair()
        ping_pong(client, server)
        time.sleep(2.5)
        client.half_close()
        assert server.read_to_eof() == b""
        server.half_close()
        assert client.read_to_eof() == b""
        assert relay.wait_session()["ending"] == "complete"
