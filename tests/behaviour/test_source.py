"""`source`: the addresses that connections to servers come from, in turn."""

import pytest

from lib.daemon import Finback, Relay
from lib.peers import Backend

NOBODYS = "203.0.113.9"     # TEST-NET-3
ABSENT = rf'finback: warning: (?:reload: )?\S+: listeners\.web\.server\.source\S*: "{NOBODYS}" .*'


def source_of(relay, backend=None):
    """Where the server sees a new session come from; the session goes on."""
    client = relay.connect()
    server = (backend or relay.backend).accept()
    client.send(b"ping")
    assert server.receive(4) == b"ping"
    return server.remote_name[0]


def sources_of(relay, count):
    return [source_of(relay) for _ in range(count)]


def test_in_turn():
    sources = ["127.0.0.7", "127.9.9.9", "127.255.255.254"]
    with Relay(server={"source": sources}) as relay:
        assert sources_of(relay, 7) == [*sources, *sources, sources[0]]
        assert not relay.lines_like("finback: warning.*")


@pytest.mark.threads
def test_in_turn_with_several_workers():
    sources = ["127.0.0.7", "127.0.0.8"]
    with Relay(workers=3, server={"source": sources}) as relay:
        assert sorted(sources_of(relay, 8)) == sorted(4 * sources)


def test_one_source_of_defaults():
    with Relay(top={"defaults": {"server": {"source": "127.0.0.7"}}}) as relay:
        assert sources_of(relay, 2) == 2 * ["127.0.0.7"]


def test_each_family_has_its_own():
    """Servers take turns too, and each gets all the sources of its family."""
    backends = [Backend("ipv4"), Backend("ipv6")]
    config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                             "servers": tuple(backend.address for backend in backends),
                             "server": {"source": ["127.0.0.7", "::1", "127.0.0.8"]}},)}
    with Finback(config) as finback:
        for backend in backends:
            finback.own(backend)
        seen = [source_of(finback, backends[number % 2]) for number in range(6)]
        assert seen == ["127.0.0.7", "::1", "127.0.0.8", "::1", "127.0.0.7", "::1"]


def test_where_none_has_the_family_the_kernel_chooses():
    with Relay(server={"source": "::1"}) as relay:
        assert source_of(relay) == "127.0.0.1"


def test_unix_servers_have_none():
    with Relay(server_family="unix", server={"source": "127.0.0.7"}) as relay:
        client, server = relay.pair()
        client.send(b"ping")
        assert server.receive(4) == b"ping"


def with_source(relay, source):
    return {**relay.config, "listeners": ({**relay.listener, "server": {"source": source}},)}


def test_a_reload_changes_it():
    with Relay(server={"source": "127.0.0.7"}) as relay:
        assert source_of(relay) == "127.0.0.7"
        relay.reload(with_source(relay, ["127.0.0.8", "127.0.0.9"]))
        assert sources_of(relay, 2) == ["127.0.0.8", "127.0.0.9"]
        relay.reload({**relay.config, "listeners": (
            {key: value for key, value in relay.listener.items() if key != "server"},)})
        assert source_of(relay) == "127.0.0.1"


def test_one_that_is_not_here_is_told_and_passed_over():
    with Relay(server={"source": [NOBODYS, "127.0.0.7"]}) as relay:
        relay.wait_line(ABSENT)
        assert sources_of(relay, 3) == 3 * ["127.0.0.7"]


def test_where_none_is_here_the_session_says_why():
    with Relay(server={"source": "127.0.0.7"}) as relay:
        relay.reload(with_source(relay, NOBODYS))
        relay.wait_line(ABSENT)
        relay.connect().expect_reset()
        relay.wait_session(ending="limited", detail="Cannot assign requested address")
        relay.reload(relay.config)
        assert source_of(relay) == "127.0.0.7"
