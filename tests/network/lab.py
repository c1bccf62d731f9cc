"""Three hosts in a row, client - relay - server, each a network namespace, with faults on the wire.

A namespace has no name and no file: it lives as long as a descriptor or a socket in it, so nothing
is left behind, whatever becomes of the tests. A socket stays in the namespace where it was made, so
peers are made inside() a host and used from anywhere.

Faults drop what has arrived on a host, never what it sends: a sender whose own kernel drops its
segments is told so, and behaves unlike one that lost them on the way.
"""

import contextlib
import ctypes
import os
import re
import socket
import subprocess

from lib.control import Control
from lib.daemon import Finback
from lib.peers import Backend, Peer, format_address
from lib.timing import NOISE

FAMILIES = ("ipv4", "ipv6")
CLONE_NEWNET = 0x40000000
TOOL_LIMIT = 10  # seconds for one call of ip or nft
# Of a socket's buffer: least, at first, most. Little data is to fill it. And how a sender takes
# losses is to be the same on every machine.
BUFFERS = "4096 65536 524288"
KERNEL = {"tcp_rmem": BUFFERS, "tcp_wmem": BUFFERS, "tcp_congestion_control": "reno"}
NO_GROUPS = "gso_max_segs 1"   # each segment goes, and gets lost, by itself

# The addresses on the two links. The server's host has two, for pools.
RELAY = {"ipv4": {"client": "10.77.1.1", "server": "10.77.2.1"},
         "ipv6": {"client": "fd00:77:1::1", "server": "fd00:77:2::1"}}
NETWORK = {"ipv4": {"client": "10.77.1.0/24", "server": "10.77.2.0/24"},
           "ipv6": {"client": "fd00:77:1::/64", "server": "fd00:77:2::/64"}}
RETRANSMIT_EARLY = {"ipv4": "proto kernel scope link rto_min 20ms",
                    "ipv6": "proto kernel metric 256 rto_min 20ms"}
CLIENT = {"ipv4": "10.77.1.2", "ipv6": "fd00:77:1::2"}
SERVER = {"ipv4": "10.77.2.2", "ipv6": "fd00:77:2::2"}
SECOND_SERVER = {"ipv4": "10.77.2.3", "ipv6": "fd00:77:2::3"}
NOBODY = {"ipv4": "10.77.2.99", "ipv6": "fd00:77:2::99"}    # on the server's link
NO_ROUTE = {"ipv4": "10.99.0.1", "ipv6": "fd00:99::1"}

# Rules for Lab.fault(). A reset and all that is not TCP get through a lossy link.
VANISH = "meta l4proto tcp drop"
BUT_RESETS = "meta l4proto tcp tcp flags & rst == 0 drop"
LOSE_RESETS = "tcp flags & rst == rst drop"
FORGET = "meta l4proto tcp reject with tcp reset"
LOSE_LONG = "meta l4proto tcp meta length > 150 drop"   # with more than a few bytes of data

SAMPLE = re.compile(r"(\w+)\{([^}]*)\} (\S+)")     # of the metrics
LABEL = re.compile(r'(\w+)="([^"]*)"')


def lose(percent):
    return f"meta l4proto tcp tcp flags & rst == 0 numgen random mod 100 < {percent} counter drop"


def lose_first_fins(count):
    return f"tcp flags & fin == fin numgen inc mod 1000000 < {count} counter drop"


def reject(answer, segments=""):
    return f"meta l4proto tcp {segments} reject with {answer}"


def table_of(name, *rules):
    """The table as nft reads it, with these rules for all that arrives."""
    lines = ("type filter hook input priority 0;", *rules)
    return "\n".join((f"table inet {name} {{", "chain arriving {", *lines, "}", "}", ""))


_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _open_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Host:
    """A network namespace of its own."""

    def __init__(self):
        home = _open_namespace()
        try:
            _check(_libc.unshare(CLONE_NEWNET))
            self._namespace = _open_namespace()
            _check(_libc.setns(home, CLONE_NEWNET))
        finally:
            os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self._namespace}"

    @contextlib.contextmanager
    def inside(self):
        """Sockets and processes made in the block are on this host."""
        home = _open_namespace()
        try:
            _check(_libc.setns(self._namespace, CLONE_NEWNET))
            yield
        finally:
            _check(_libc.setns(home, CLONE_NEWNET))
            os.close(home)

    def run(self, *command, text=""):
        """Runs a tool with this as its input, and returns its output."""
        with self.inside():
            done = subprocess.run(command, input=text, capture_output=True, text=True,
                                  timeout=TOOL_LIMIT, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}\n{text}"
        return done.stdout

    def ip(self, *lines):
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def nft(self, text):
        self.run("nft", "-f", "-", text=text)

    def sysctl(self, path, value):
        """`path` is below /proc/sys/net, which shows each host its own."""
        with self.inside():
            with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
                file.write(value)

    def close(self):
        os.close(self._namespace)


class Lab:
    """The three hosts, and the faults between them."""

    def __init__(self):
        self.hosts = {}
        try:
            for name in ("client", "relay", "server"):
                self.hosts[name] = Host()
                for key, value in KERNEL.items():
                    self.hosts[name].sysctl(f"ipv4/{key}", value)
            self._link("client", CLIENT)
            self._link("server", SERVER, SECOND_SERVER)
        except BaseException:
            self.close()
            raise

    def _link(self, side, *addresses):
        relay, host = self.hosts["relay"], self.hosts[side]
        relay.ip(
            "link set lo up",
            f"link add {side} type veth peer name relay netns {host.path}",
            f"addr add {RELAY['ipv4'][side]}/24 dev {side}",
            f"addr add {RELAY['ipv6'][side]}/64 dev {side} nodad",
            f"link set {side} {NO_GROUPS} up")
        host.ip(
            "link set lo up",
            *(f"addr add {address['ipv4']}/24 dev relay" for address in addresses),
            *(f"addr add {address['ipv6']}/64 dev relay nodad" for address in addresses),
            f"link set relay {NO_GROUPS} up")

    def inside(self, name):
        return self.hosts[name].inside()

    def fault(self, side, towards="", away=""):
        """From now on this, and nothing else, goes wrong between the relay and that side's host:
        nft rules for what arrives there, and for what arrives from there. Answers of a rule are
        not hit by the other."""
        self._filter(self.hosts[side], f"to_{side}", "relay", towards)
        self._filter(self.hosts["relay"], f"from_{side}", side, away)

    @staticmethod
    def _filter(host, table, device, rule):
        text = f"table inet {table}\ndelete table inet {table}\n"
        if rule:
            text += table_of(table, f'iifname "{device}" {rule}')
        host.nft(text)

    def hurry(self, side):
        """From now on both ends of the link retransmit early, so that losses cost less time."""
        for host, device in ((self.hosts["relay"], side), (self.hosts[side], "relay")):
            host.ip(*(f"route change {network[side]} dev {device} {RETRANSMIT_EARLY[family]}"
                      for family, network in NETWORK.items()))

    def bound_retransmission(self, side):
        """From now on sockets on that host never wait long to send again what was lost, where the
        kernel has a bound for it. Much less, and the kernel would soon give up."""
        with contextlib.suppress(FileNotFoundError):
            self.hosts[side].sysctl("ipv4/tcp_rto_max_ms", "10000")

    def vanish(self, side):
        """The host is gone without a word."""
        self.fault(side, towards=VANISH, away=VANISH)

    def heal(self):
        for side in ("client", "server"):
            self.fault(side)

    def dropped(self, side):
        """How many segments the counting rules dropped: (towards that host, away from it)."""
        def count(host, table):
            listing = host.run("nft", "list", "ruleset")
            rules = re.search(rf"^table inet {table} {{.*?^}}", listing, re.S | re.M)
            return sum(map(int, re.findall(r"counter packets (\d+)", rules[0] if rules else "")))

        return (count(self.hosts[side], f"to_{side}"),
                count(self.hosts["relay"], f"from_{side}"))

    def dropped_in_all(self):
        return sum(sum(self.dropped(side)) for side in ("client", "server"))

    def close(self):
        """Cuts the links, so that nothing of a failed test goes on."""
        relay = self.hosts.get("relay")
        try:
            if relay:
                for side in ("client", "server"):
                    with contextlib.suppress(AssertionError):  # the link was not made
                        relay.ip(f"link del {side}")
        finally:
            for host in self.hosts.values():
                host.close()


class Server(Backend):
    """A listening socket on the server's host."""

    def __init__(self, lab, address, port=0, receive_buffer=None):
        # pylint: disable=super-init-not-called
        self.peers = []
        self._directory = None
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        with lab.inside("server"):
            self.sock = socket.socket(kind, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((address, port))
        self.sock.listen(128)
        self.address = format_address(self.sock.getsockname())


class Relay(Finback):
    """A daemon on the relay's host, with one listener "web" in front of one backend, or of the
    addresses `servers`. `receive_buffer` is what both peers have; the rest are the listener's
    settings."""

    def __init__(self, lab, family="ipv4", servers=None, receive_buffer=None, **settings):
        super().__init__()
        self.lab = lab
        self.receive_buffer = receive_buffer
        if servers is None:
            self.backend = self._backend(family)
            servers = (self.backend.address,)
        self._write(self._listener("web", family, servers, settings))

    def _backend(self, family):
        return self.own(Server(self.lab, SERVER[family], receive_buffer=self.receive_buffer))

    @staticmethod
    def _listener(name, family, servers, settings):
        return {"name": name, "listen": format_address((RELAY[family]["client"], 0)),
                "servers": tuple(servers), **settings}

    def _write(self, *listeners):
        self.write_config({"workers": 1, "listeners": listeners})

    def __enter__(self):
        with self.lab.inside("relay"):
            return super().__enter__()

    def connect(self, listener="web", receive_buffer=None, index=0):
        with self.lab.inside("client"):
            return super().connect(listener, receive_buffer or self.receive_buffer, index)

    def reset_peers(self):
        self.lab.heal()
        super().reset_peers()

    def sides(self, first):
        """A session through which both sides have spoken: the peer on the side `first`, and the
        other one."""
        client, server = self.connect(), self.backend.accept()
        talk(client, server)
        talk(server, client)
        return (client, server) if first == "client" else (server, client)

    def expect_no_ending(self):
        assert not self.sessions(), self.lines()


class WatchedRelay(Relay):
    """With a control socket, which needs no network."""

    def write_config(self, config):
        super().write_config({"control": {"socket": self._socket(), "http": "none"}, **config})

    def _socket(self):
        return os.path.join(self.directory, "control.sock")

    def __enter__(self):
        super().__enter__()
        self._clients = []
        self.control = self.client()
        return self

    def client(self):
        """One more client of the control socket, for a thread of its own."""
        self._clients.append(self.own(Control("unix:" + self._socket())))
        return self._clients[-1]

    def reset_peers(self):
        for client in self._clients:
            client.close()  # it has a descriptor of the daemon's
        super().reset_peers()

    def dead_peers(self, listener="web", control=None):
        """The counters that are not 0, by side and detector."""
        counts = {}
        metrics = (control or self.control).get("/metrics").text
        for name, labels, value in SAMPLE.findall(metrics):
            labels = dict(LABEL.findall(labels))
            if (name == "finback_dead_peers_total" and value != "0"
                    and labels["listener"] == listener):
                counts[labels["side"], labels["detector"]] = int(value)
        return counts

    def only_session(self):
        """The one that there is, with the kernel's facts."""
        return self.control.session(self.control.sessions(brief=True)[0]["id"])


class RelayOfBoth(WatchedRelay):
    """With two listeners, "ipv4" and "ipv6", each in front of a backend of its own."""

    def __init__(self, lab, receive_buffer=None, **settings):
        super().__init__(lab, servers=("127.0.0.1:1",), receive_buffer=receive_buffer)
        self.backends = {family: self._backend(family) for family in FAMILIES}
        self._write(*(self._listener(family, family, (backend.address,), settings)
                      for family, backend in self.backends.items()))

    def sides_of(self, family, first):
        client, server = self.connect(family), self.backends[family].accept()
        talk(client, server)
        talk(server, client)
        return (client, server) if first == "client" else (server, client)


def talk(sender: Peer, reader: Peer, data=b"a word"):
    """`data` goes from one to the other, and is acknowledged all the way."""
    sender.send(data)
    assert reader.receive(len(data)) == data
    sender.wait_acked()


def ping_pong(first: Peer, second: Peer):
    talk(first, second, b"there")
    talk(second, first, b"and back")


def assert_between(elapsed, low, high):
    assert low <= elapsed <= high + NOISE, f"{elapsed:.2f} s, not {low} to {high} s"
