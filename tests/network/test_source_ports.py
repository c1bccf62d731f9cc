"""More addresses to come from are more ports to come from, and a link-local one has its zone."""

import select
import socket

import pytest

from lab import Host, Relay
from lib.daemon import Finback
from lib.peers import Backend

PORTS = (40000, 40003)      # all that the kernel may choose from
COUNT = 4


@pytest.fixture(name="host")
def make_host(obstacle):
    if obstacle:
        pytest.skip(obstacle)
    host = Host()
    try:
        host.ip("link set lo up")
        yield host
    finally:
        host.close()


def sessions_from(host, sources, family="ipv4", servers=1):
    """How many sessions there can be at a time, of more than there are ports for."""
    with host.inside():
        backends = [Backend(family) for _ in range(servers)]
    host.sysctl("ipv4/ip_local_port_range", "%d %d" % PORTS)
    finback = Finback({"listeners": ()})
    finback.write_config({"workers": 1, "listeners": ({
        "name": "web", "listen": f"unix:{finback.directory}/web",
        "servers": tuple(backend.address for backend in backends),
        **({"server": {"source": sources}} if sources else {})},)})
    for backend in backends:
        finback.own(backend)
    with host.inside(), finback:
        for number in range(1, 100):
            finback.connect()
            if not is_served(finback, backends):
                finback.wait_session(ending="limited", detail="Cannot assign requested address")
                return number - 1
    raise AssertionError("ports enough for all")


def is_served(finback, backends):
    """Whether one of the backends gets this connection."""
    while not finback.sessions():
        ready = select.select([backend.sock for backend in backends], [], [], 0.02)[0]
        for backend in backends:
            if backend.sock in ready:
                backend.accept()
                return True
    return False


@pytest.mark.parametrize("sources, count", (
    ((), COUNT),
    (("127.0.0.2",), COUNT),
    (("127.0.0.2", "127.0.0.3"), 2 * COUNT),
    (("127.0.0.2", "127.0.0.3", "127.0.0.4"), 3 * COUNT),
))
def test_each_source_has_ports_of_its_own(host, sources, count):
    assert sessions_from(host, list(sources)) == count


def test_over_ipv6(host):
    host.ip(*(f"addr add fd00:7::{number}/64 dev lo nodad" for number in (1, 2)))
    assert sessions_from(host, ["fd00:7::1", "fd00:7::2"], "ipv6") == 2 * COUNT


def test_a_port_serves_once_for_each_server(host):
    """The kernel chooses it when it knows both ends."""
    assert sessions_from(host, ["127.0.0.2"], servers=3) == 3 * COUNT


def test_a_link_local_source_has_its_zone(lab):
    lab.hosts["relay"].ip("addr add fe80::77/64 dev server nodad",
                          "addr add fe80::78/64 dev server nodad")
    lab.hosts["server"].ip("addr add fe80::99/64 dev relay nodad")
    with lab.inside("server"):
        zone = socket.if_nametoindex("relay")
        sock = socket.create_server(("fe80::99", 0, 0, zone), family=socket.AF_INET6)
    with sock:
        server = f"[fe80::99%server]:{sock.getsockname()[1]}"
        sources = ["fe80::77%server", "fe80::78%server"]
        with Relay(lab, servers=(server,), server={"source": sources}) as relay:
            seen = []
            for _ in range(3):
                relay.connect()
                peer, address = sock.accept()
                peer.close()
                seen.append(address[0].partition("%")[0])
            assert seen == ["fe80::77", "fe80::78", "fe80::77"]
