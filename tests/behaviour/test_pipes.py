"""Pipes are few, and nobody depends on having one: a flow that gets none is copied and loses
nothing, idle sessions hold none, and stalled ones no more than one each."""

import contextlib
import os
import resource
import subprocess
import sys
import time

import pytest

from lib.control import Controlled
from lib.daemon import BINARY, SIDES, Relay, run
from lib.metrics import Metrics
from lib.peers import SLOW_READER, TIMEOUT, Background, eventually, plenty, random_bytes
from lib.pipes import (BULK_ROUNDS, KEPT, MESSAGE, ROUND, at_one_go, bulk, messages, move,
                       open_pipes, piped_bytes, stall)
from lib.strace import traced

BURST = random_bytes(2 << 20)  # more than what UNIX sockets on the way take in
PIPE_BYTES = 256 << 10
QUIET = 0.1                 # s, after which a crowd is at rest
DESCRIPTORS = 256
FEW = DESCRIPTORS // 64     # pipes that a worker may have then
MANY = KEPT + 16            # more than are kept, all of which may be there under an ample limit


@pytest.fixture(autouse=True, name="way")
def way_of_bytes(monkeypatch):
    """As in service, but where a test has its own."""
    monkeypatch.setenv("FINBACK_DATA_PATH", "auto")


def over_unix_sockets(**settings):
    """They take little in, so that many can be stalled."""
    return Controlled(client_family="unix", server_family="unix", **settings)


def held(relay):
    """What finback says that sessions hold: (pipes, bytes of its own memory)."""
    metrics = Metrics.of(relay.control)
    return metrics.total("finback_pipes"), metrics.total("finback_buffer_bytes")


def expect_nothing_held(relay):
    eventually(lambda: held(relay) == (0, 0), "nothing is held")
    assert not piped_bytes(relay)


# There and back.


@pytest.mark.parametrize("side", SIDES)
def test_bulk_then_messages_then_bulk(side):
    """What holds the bytes of a flow that stalls tells how it goes."""
    with over_unix_sockets() as relay:
        sender, reader = relay.sides(side)
        for _ in range(2):
            bulk(relay, sender, reader)
            sent = stall(relay, sender, BURST, QUIET)
            assert held(relay) == (1, 0)
            assert reader.receive(sent) == BURST[:sent]
            expect_nothing_held(relay)
            messages(relay, sender, reader)
            sent = stall_with_messages(relay, sender)
            assert held(relay)[0] == 0 and not piped_bytes(relay)
            assert reader.receive(sent) == BURST[:sent]
            expect_nothing_held(relay)


def stall_with_messages(relay, sender):
    """One at a time until one waits in finback; the flow stays one of messages."""
    for start in range(0, len(BURST), MESSAGE):
        at_one_go(relay, sender, BURST[start:start + MESSAGE])
        if held(relay)[1] > 0:
            return start + MESSAGE
    raise AssertionError("nothing held the messages up")


@pytest.mark.parametrize("families", (("ipv4", "ipv4"), ("unix", "unix")), ids="-".join)
def test_an_idle_session_holds_none(families):
    with Controlled(*families) as relay:
        for _ in range(8):
            for pair in (relay.pair(), relay.pair()[::-1]):
                bulk(relay, *pair)
        expect_nothing_held(relay)
        assert 1 <= open_pipes(relay) <= 2


def test_messages_open_none():
    with Relay() as relay:
        client, server = relay.pair()
        for number in range(500):
            client.send(b"%04d" % number)
            assert server.receive(4) == b"%04d" % number
        at_one_go(relay, client, plenty()[:ROUND])
        assert server.receive(ROUND) == plenty()[:ROUND]
        assert open_pipes(relay) == 0


# Stalled flows.


@pytest.mark.parametrize("side", SIDES)
def test_slow_reader(side):
    """Its writer is held up, and goes on when it reads again."""
    with Controlled(receive_buffer=SLOW_READER) as relay:
        sender, reader = relay.sides(side)
        bulk(relay, sender, reader)
        sent = stall(relay, sender, plenty())
        assert held(relay) == (1, 0)
        assert sum(piped_bytes(relay)) <= PIPE_BYTES
        reader.send(b"the other flow is not held up")
        sender.receive(29)
        assert reader.receive(sent) == plenty()[:sent]
        sending = Background(sender.send_and_half_close, plenty()[sent:])
        assert reader.read_slowly(1 << 20, 0.002) == plenty()[sent:]
        sending.result()
        expect_nothing_held(relay)


def send_some(sender, data):
    """As much as goes now."""
    sender.sock.setblocking(False)
    try:
        return sender.sock.send(data)
    except BlockingIOError:
        return 0
    finally:
        sender.sock.settimeout(TIMEOUT)


def fill_all(pairs, data):
    """Stalls both flows of each: [(reader, how many bytes it is to get)]."""
    flows = [flow for pair in pairs for flow in (pair, pair[::-1])]
    sent = dict.fromkeys(flows, 0)
    is_moving = True
    while is_moving:
        is_moving = False
        for flow in flows:
            while count := send_some(flow[0], memoryview(data)[sent[flow]:]):
                sent[flow] += count
                is_moving = True
        time.sleep(QUIET)
    assert all(ROUND < count < len(data) for count in sent.values()), "nothing was held up"
    return [(reader, count) for (_, reader), count in sent.items()]


def test_memory_of_a_crowd_is_bounded():
    """Spliced, a stalled session costs next to nothing of finback's own memory."""
    sessions = 32
    with over_unix_sockets(buffer="64KiB") as relay:
        pairs = [relay.pair() for _ in range(sessions)]
        for pair in pairs:
            bulk(relay, *pair)
            bulk(relay, *pair[::-1])
        resident = relay.resident_bytes()
        readers = fill_all(pairs, BURST)
        pipes, buffered = held(relay)
        assert pipes == 2 * sessions and buffered == 0
        assert max(piped_bytes(relay)) <= PIPE_BYTES
        assert relay.resident_bytes() - resident < 4 << 20
        for reader, sent in readers:
            assert reader.receive(sent) == BURST[:sent]
        expect_nothing_held(relay)


def test_more_stalled_flows_than_pipes():
    """Those that get none are copied. All get on, and what was lent is given back."""
    with over_unix_sockets(descriptors=DESCRIPTORS) as relay:
        pairs = [relay.pair() for _ in range(5 * FEW)]
        readers = fill_all(pairs, BURST)
        assert open_pipes(relay) == len(piped_bytes(relay)) == FEW
        assert held(relay)[0] == FEW and held(relay)[1] > 0
        for reader, sent in readers:
            assert reader.receive(sent) == BURST[:sent]
        expect_nothing_held(relay)
        assert open_pipes(relay) <= FEW
        # And none is lost in whatever order they come and go.
        for _ in range(3):
            for reader, sent in fill_all(pairs[:FEW], BURST)[::-1]:
                assert reader.receive(sent) == BURST[:sent]
        assert open_pipes(relay) <= FEW
        for client, server in pairs:
            client.half_close()
            assert server.read_to_eof() == b""
            server.half_close()
        relay.wait_session(count=len(pairs), ending="complete")


def test_a_crowd_leaves_a_few_behind():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 64 * 2 * MANY:
        pytest.skip(f"needs {64 * 2 * MANY} descriptors")
    with over_unix_sockets(descriptors=64 * 2 * MANY) as relay:
        pairs = [relay.pair() for _ in range(MANY)]
        readers = fill_all(pairs, BURST)
        eventually(lambda: held(relay)[0] > KEPT, "more pipes than are kept")
        assert open_pipes(relay) <= 2 * MANY
        for reader, sent in readers:
            assert reader.receive(sent) == BURST[:sent]
        expect_nothing_held(relay)
        assert open_pipes(relay) == KEPT
        # Who ends with bytes in a pipe leaves none.
        fill_all(pairs, BURST)
        relay.reset_peers()
        relay.wait_descriptors(relay.baseline + 1)  # the control connection
        expect_nothing_held(relay)
        assert open_pipes(relay) <= KEPT


# Pipes are not to be had.


def stream(sender, reader, data):
    sending = Background(sender.send, data)
    assert reader.receive(len(data)) == data
    sending.result()


def lowest_free(relay):
    """The descriptor that it would get next."""
    used = set(map(int, os.listdir(f"/proc/{relay.process.pid}/fd")))
    return min(set(range(len(used) + 1)) - used)


@pytest.mark.parametrize("side", SIDES)
def test_no_descriptors_for_pipes(side):
    """It goes on copying, and splices some time after there are descriptors again."""
    with Relay() as relay:
        sender, reader = relay.sides(side)
        limit = relay.process.pid, resource.RLIMIT_NOFILE
        before = resource.prlimit(*limit, (lowest_free(relay), resource.prlimit(*limit)[1]))
        stream(sender, reader, plenty()[:8 << 20])
        assert open_pipes(relay) == 0
        relay.expect_rest()
        resource.prlimit(*limit, before)
        for _ in range(300):
            if open_pipes(relay) > 0:
                break
            stream(sender, reader, plenty()[:4 << 20])
        assert open_pipes(relay) > 0, "it never splices again"
        sender.half_close()
        assert reader.read_to_eof() == b""


# Takes all the pages that its user may use for pipes, and then waits.
GREEDY = """
import fcntl, os, sys
held = []
for size in (1 << 20, 1 << 16):
    while True:
        held.append(os.pipe())
        try:
            fcntl.fcntl(held[-1][1], fcntl.F_SETPIPE_SZ, size)
        except OSError:
            break
while fcntl.fcntl(os.pipe()[1], fcntl.F_GETPIPE_SZ) >= 1 << 16:
    pass
print(flush=True)
sys.stdin.read()
"""


def become(user):
    """In a child."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


class Unprivileged(Relay):
    """Runs as a user of its own, whose pages nobody else uses."""

    user = 700_000 + os.getpid()

    def _prepare(self):
        become(self.user)
        super()._prepare()

    def _start(self):
        os.chown(self.directory, self.user, self.user)
        try:
            super()._start()
        except PermissionError:
            pytest.skip(f"{BINARY} is not there for other users")


@contextlib.contextmanager
def pages_used_up():
    with subprocess.Popen([sys.executable, "-c", GREEDY], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE,
                          preexec_fn=lambda: become(Unprivileged.user)) as greedy:
        assert greedy.stdout.readline() == b"\n"
        yield
        greedy.stdin.close()


def soft_pages():
    with open("/proc/sys/fs/pipe-user-pages-soft", encoding="ascii") as file:
        return int(file.read())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.skipif(not 0 < soft_pages() <= 1 << 16, reason="needs fs.pipe-user-pages-soft")
def test_pages_of_pipes_are_used_up():
    """The kernel gives pipes of 8 KiB then. They are not taken, nor asked for at each read."""
    with Unprivileged() as relay:
        client, server = relay.pair()
        with pages_used_up():
            for _ in range(BULK_ROUNDS - 1):
                move(relay, client, server, plenty()[:ROUND])
            with traced(relay.process.pid, "pipe2,recvfrom") as trace:
                stream(client, server, plenty())
                assert open_pipes(relay) == 0
            client.half_close()
            assert server.read_to_eof() == b""
        reads = trace.counts["recvfrom"]
        assert 1 <= trace.counts["pipe2"] <= 1 + reads / 50 and reads > 300, trace.counts
        # There is room again: another session is spliced.
        for _ in range(300):
            if open_pipes(relay) > 0:
                break
            client, server = relay.pair()
            stream(client, server, plenty()[:8 << 20])
        assert open_pipes(relay) > 0, "it never splices again"


# Flows that are copied whatever comes.


def redis_set(value):
    return b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (len(value), value)


@pytest.mark.parametrize("way", ("auto", "splice", "random"))
def test_a_session_with_a_probe_is_never_spliced(way, monkeypatch):
    """Its parser has to see each byte."""
    monkeypatch.setenv("FINBACK_DATA_PATH", way)
    probe = {"probe": {"protocol": "redis", "interval": "60s"}}
    with Controlled(receive_buffer=SLOW_READER, server=probe) as relay:
        client, server = relay.pair()
        for _ in range(3):
            request = redis_set(plenty()[:1 << 20])
            stream(client, server, request)
            stream(server, client, b"$%d\r\n%s\r\n" % (1 << 20, plenty()[:1 << 20]))
        sent, _ = client.fill(redis_set(plenty()))
        eventually(lambda: held(relay)[1] > 0, "bytes wait in finback")
        assert open_pipes(relay) == 0
        assert server.receive(sent) == redis_set(plenty())[:sent]


@pytest.mark.parametrize("way, kept", (("copy", 0), ("splice", 1)))
def test_the_way_that_the_environment_names(way, kept, monkeypatch):
    monkeypatch.setenv("FINBACK_DATA_PATH", way)
    with over_unix_sockets() as relay:
        client, server = relay.pair()
        stream(client, server, b"hello")
        assert open_pipes(relay) == kept
        sent, _ = client.fill(BURST)
        assert len(piped_bytes(relay)) == held(relay)[0] == kept
        assert (held(relay)[1] > 0) == (kept == 0)
        assert server.receive(sent) == BURST[:sent]


@pytest.mark.parametrize("way", ("fast", "Splice", "copy "))
def test_a_way_that_nobody_knows(way, monkeypatch, tmp_path):
    monkeypatch.setenv("FINBACK_DATA_PATH", way)
    config = tmp_path / "finback.conf"
    config.write_text('listeners = ({ name = "web"; listen = "127.0.0.1:0"; '
                      'servers = "127.0.0.1:9"; });')
    result = run("-c", str(config))
    assert result.returncode != 0
    assert f"FINBACK_DATA_PATH={way}: unknown" in result.stderr
