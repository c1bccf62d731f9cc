"""What callers of the control interface may cost: connections, memory, time. Whoever asks a real
question has the answer at once, whatever the others do."""

import contextlib
import resource
import select
import socket
import time

import pytest

from lib.control import Controlled
from lib.peers import Background, eventually
from lib.timing import within

CALLERS_MAX = 128  # of each of the two doors
IDLE_SECONDS = 10
REQUEST_SECONDS = 30
CROWD = 1000
ANSWER_WITHIN = 2  # seconds, on a machine that is shared

HALVES = (b"", b"G", b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n",
          b"PATCH /api/v1/servers/web/x HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
DOORS = ("unix", "tcp")


def address_of(relay, door):
    return relay.http_address if door == "tcp" else "unix:" + relay.socket_path


def connect(relay, door, receive_buffer=None):
    return relay.raw(address_of(relay, door), receive_buffer)


def is_readable(peer, within=0):
    poller = select.poll()  # there may be more descriptors than select() takes
    poller.register(peer.sock, select.POLLIN)
    return bool(poller.poll(within * 1000))


def is_closed(peer):
    """Whether the daemon has closed the connection by now; what it sent is read."""
    try:
        while is_readable(peer):
            if not peer.sock.recv(65536):
                return True
    except ConnectionResetError:
        return True
    return False


def ask(relay, door):
    """A real question on a connection of its own."""
    client = relay.client(address_of(relay, door))
    with within(ANSWER_WITHIN):
        assert client.status()["state"] == "running"
        assert client.get("/api/v1/sessions").status == 200
    client.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("half", HALVES)
def test_a_thousand_half_requests(door, half):
    with Controlled(workers=2) as relay:
        relay.pair()
        memory = relay.resident_bytes()
        crowd = []
        for number in range(CROWD):
            peer = connect(relay, door)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.send(half)
            crowd.append(peer)
            if number % 100 == 99:
                ask(relay, door)
                ask(relay, "tcp" if door == "unix" else "unix")
        assert relay.descriptors() <= relay.baseline + 2 + CALLERS_MAX + 8
        # The first ones had to go, the last ones are still there.
        eventually(lambda: sum(map(is_closed, crowd)) >= CROWD - CALLERS_MAX)
        assert not any(map(is_closed, crowd[-20:])) or half == b""
        grown = relay.resident_bytes() - memory
        assert grown < 64 << 20, f"{grown} bytes"
        for peer in crowd:
            peer.close()
        eventually(lambda: relay.descriptors() <= relay.baseline + 2 + 8, "given back")
        ask(relay, door)


@pytest.mark.parametrize("door", DOORS)
def test_a_thousand_at_once_are_all_answered(door):
    """They are all there before the first is served."""
    with Controlled() as relay:
        with relay.stopped():
            crowd = []
            for _ in range(CROWD):
                peer = connect(relay, door)
                peer.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                crowd.append(peer)
        for peer in crowd:
            assert peer.read_to_eof().startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("door", DOORS)
def test_many_that_keep_their_connections(door):
    """More than there is room for take turns."""
    with Controlled() as relay:
        clients = [relay.client(address_of(relay, door)) for _ in range(2 * CALLERS_MAX)]
        for _ in range(3):
            for client in clients:
                assert client.status()["state"] == "running"


def fill_with_sessions(relay, count):
    for _ in range(count):
        relay.pair()
    eventually(lambda: relay.control.status()["sessions"] == count)


def ask_for_the_list(relay, door):
    """As one who does not read the answer."""
    peer = connect(relay, door, receive_buffer=4096)
    peer.send(b"GET /api/v1/sessions?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n")
    return peer


@pytest.mark.parametrize("door", DOORS)
def test_lists_that_nobody_reads(door):
    other = "tcp" if door == "unix" else "unix"
    with Controlled(workers=2) as relay:
        fill_with_sessions(relay, 1500)
        memory = relay.resident_bytes()
        slow = [ask_for_the_list(relay, door) for _ in range(300)]
        for _ in range(3):
            client = relay.client(address_of(relay, door))
            with within(ANSWER_WITHIN):
                client.status()
            client.close()
            ask(relay, other)
        grown = relay.resident_bytes() - memory
        assert grown < 128 << 20, f"{grown} bytes"
        # As long as so many of them wait, this door has no more lists; then it has.
        for peer in slow:
            peer.close()
        eventually(lambda: relay.client(address_of(relay, door)).get("/api/v1/sessions").status ==
                   200)


@pytest.mark.parametrize("door", DOORS)
def test_a_slow_reader_gets_all_of_it(door):
    """Also when a crowd comes meanwhile: those without a request have to go before."""
    with Controlled(workers=2) as relay:
        fill_with_sessions(relay, 600)
        peer = ask_for_the_list(relay, door)
        time.sleep(0.5)
        for _ in range(2 * CALLERS_MAX):
            connect(relay, door).send(b"GET /nothing")
        answer = bytearray()
        peer.sock.settimeout(20)
        while not answer.endswith(b"0\r\n\r\n"):
            answer += peer.receive(1)
            answer += peer.sock.recv(100_000)
        assert answer.count(b'"server_name":') == 600


@contextlib.contextmanager
def few_descriptors(relay, more):
    """The daemon may have so many more than it has now."""
    old = resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE)
    limit = relay.descriptors() + more
    resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, (limit, old[1]))
    try:
        yield
    finally:
        resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, old)


@pytest.mark.parametrize("door", DOORS)
def test_no_descriptors_left(door):
    """It does not spin, says so now and then, and heals by itself."""
    with Controlled() as relay:
        with few_descriptors(relay, 0):
            waiting = connect(relay, door)
            waiting.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            relay.wait_line(r"finback: error: control: cannot accept: Too many open files")
            relay.expect_rest(seconds=2, wakeups_a_second=25)
            assert len(relay.lines_like(r"finback: error: control: cannot accept: .*")) <= 5
        assert waiting.receive(12) == b"HTTP/1.1 404"


def test_nobody_there_costs_nothing():
    with Controlled(workers=2) as relay:
        relay.control.status()
        relay.control.close()
        relay.http.status()
        relay.http.close()
        eventually(lambda: relay.descriptors() <= relay.baseline)
        time.sleep(1.2)
        relay.expect_rest(seconds=2)


def test_idle_connections_cost_next_to_nothing():
    with Controlled(workers=2) as relay:
        for door in DOORS:
            for half in HALVES:
                connect(relay, door).send(half)
        for client in (relay.control, relay.http):
            client.status()
        relay.expect_rest(seconds=2)


# ---- time --------------------------------------------------------------------------------------


def dribble(peer, text):
    """Sends a byte a second for as long as the daemon lets it. Returns how long that was."""
    start = time.monotonic()
    try:
        while not is_closed(peer) and time.monotonic() - start < 2 * REQUEST_SECONDS:
            peer.send(text)
            time.sleep(1)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return time.monotonic() - start


def sip(peer):
    """Reads a little every second for as long as there is more. Returns how long that was."""
    start = time.monotonic()
    try:
        while time.monotonic() - start < 2 * REQUEST_SECONDS and peer.sock.recv(20_000):
            time.sleep(1)
    except ConnectionResetError:
        pass
    return time.monotonic() - start


def wait_closed(peer):
    start = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        peer.sock.settimeout(2 * REQUEST_SECONDS)
        while peer.sock.recv(65536):
            pass
    return time.monotonic() - start


@pytest.mark.timeout(4 * REQUEST_SECONDS)
def test_time_limits():
    """All of them at once, as each takes its time."""
    with Controlled() as relay:
        fill_with_sessions(relay, 1500)
        idle, dribbling = {}, {}
        for door in DOORS:
            for half in HALVES:
                peer = connect(relay, door)
                peer.send(half)
                idle[door, half] = Background(wait_closed, peer)
            head, body = connect(relay, door), connect(relay, door)
            head.send(b"GET /api/v1/status HTTP/1.1\r\n")
            dribbling[door, "head"] = Background(dribble, head, b"X")
            body.send(b"PATCH /api/v1/servers/web/x HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
            dribbling[door, "body"] = Background(dribble, body, b" ")
        # Over TCP the kernel would hold all of it, and finback be done with it.
        sipping = Background(sip, ask_for_the_list(relay, "unix"))
        keeping = relay.client(relay.control.address)
        while not all(one._thread.is_alive() is False for one in dribbling.values()):
            keeping.status()  # one who asks now and then is kept
            time.sleep(1)
        for key, one in idle.items():
            assert IDLE_SECONDS - 1 <= one.result() <= IDLE_SECONDS + 4, key
        for key, one in dribbling.items():
            assert REQUEST_SECONDS - 1 <= one.result() <= REQUEST_SECONDS + 5, key
        assert REQUEST_SECONDS - 1 <= sipping.result() <= REQUEST_SECONDS + 15
        assert relay.descriptors() <= relay.baseline + 2 * 1500 + 2, "they are closed"


def test_a_caller_in_no_hurry_is_heard():
    """A request in pieces, and one more on the same connection some seconds later."""
    with Controlled() as relay:
        peer = relay.raw()
        for piece in (b"GET /no", b"thing HTTP/1.1\r\nHo", b"st: x\r\n", b"\r\n"):
            peer.send(piece)
            time.sleep(0.5)
        assert peer.receive(12) == b"HTTP/1.1 404"
        time.sleep(3)
        while is_readable(peer, 0.1):
            peer.sock.recv(4096)
        peer.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.receive(12) == b"HTTP/1.1 404"


def test_urgent_data_does_not_hurt():
    with Controlled() as relay:
        peer = connect(relay, "tcp")
        with contextlib.suppress(OSError):
            peer.sock.send(b"GET / HTTP/1.1\r\n", socket.MSG_OOB)
            time.sleep(0.2)
        ask(relay, "tcp")
