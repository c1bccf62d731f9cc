"""A RabbitMQ and its clients that are probed with an end of line, either side: STOMP 1.1 and 1.2."""

import random
import re
import threading

import pytest

from lib.peers import eventually
from probes import run_both

PAYLOAD = b"\n\0\nMESSAGE\n\n\0" * 5
LARGE = random.Random(12).randbytes(300000) + PAYLOAD
VARYING = re.compile(rb"session-[^\n@]*|T_[0-9a-f]{32}|[0-9A-Fa-f-]{36}")

pytestmark = pytest.mark.xdist_group("stomp")


@pytest.fixture(name="server")
def stomp_of_rabbitmq(rabbit):
    return rabbit.stomp


@pytest.fixture(params=["server", "client"], name="probed")
def probed_side(request):
    return request.param


def check(session, server, probed="server", **settings):
    run_both(session, server, message_size=1, protocol="stomp", probed=probed, **settings)


def frame(command, body=b"", **headers):
    """An underscore in a header's name stands for a hyphen."""
    lines = [f"{name.replace('_', '-')}:{value}" for name, value in headers.items()]
    return "\n".join([command, *lines, "", ""]).encode() + body + b"\0"


def send(queue, body, **headers):
    return frame("SEND", body, destination=f"/queue/{queue}", content_length=len(body), **headers)


class Client:
    """Frames over a wire. Ends of line between them are left out, as every client does."""

    def __init__(self, way):
        self.wire = way.wire()
        self.frames = []

    def frame(self):
        """The next one: its command, its body; kept without what differs between any two runs."""
        begin = len(self.wire.received)
        while (first := self.wire.receive(1)) == b"\n":
            pass
        head = first + self.wire.receive_until(b"\n\n")
        length = re.search(rb"^content-length:(\d+)$", head, re.M)
        if length:
            body = self.wire.receive(int(length[1]) + 1)
        else:
            body = self.wire.receive_until(b"\0")
        self.wire.forget(bytes(self.wire.received[begin:]))
        self.frames.append((sorted(VARYING.sub(b"", head).split(b"\n")), body[:-1]))
        return head.split(b"\n", 1)[0], body[:-1], head

    def expect(self, command, body=None):
        got = self.frame()
        assert got[0] == command, got
        assert body is None or got[1] == body, (got[1][:100], body[:100])
        return got[2]

    def begin(self, *cuts, version="1.2"):
        request = frame("CONNECT", accept_version=version, host="/", login="guest",
                        passcode="guest", heart_beat="0,0")
        if cuts:
            self.wire.send_cut(request, *cuts)
        else:
            self.wire.send(request)
        self.expect(b"CONNECTED")
        return self

    def subscribe(self, queue, **headers):
        self.wire.send(frame("SUBSCRIBE", id="one", destination=f"/queue/{queue}",
                             receipt="subscribed", **headers))
        self.expect(b"RECEIPT")
        return self

    def end(self):
        """All is read before either closes."""
        self.wire.send(frame("DISCONNECT", receipt="bye"))
        self.expect(b"RECEIPT")
        assert not self.wire.finish().strip(b"\n")
        return self.frames


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_nothing_goes_before_the_connection_is_made(server, probed, version):
    def session(way):
        client = Client(way)
        client.wire.expect_no_probe()
        client.begin(3, 8, 40, -2, -1, version=version)
        client.wire.expect_probe(2)
        return client.end()

    check(session, server, probed)


def test_version_without_ends_of_line_is_left_alone(server, probed):
    """1.0 does not know of any between frames."""

    def session(way):
        client = Client(way).begin(version="1.0")
        client.wire.expect_no_probe()
        return client.end()

    check(session, server, probed, is_probed=False)


def test_body_cut_anywhere(server):
    """A NUL in a body that says its length is none of the frame's."""

    def session(way):
        client = Client(way).begin().subscribe("cut")
        client.wire.expect_probe()
        request = send("cut", PAYLOAD, receipt="sent")
        client.wire.send_cut(request, 4, 5, 20, -len(PAYLOAD) - 1, -len(PAYLOAD) + 1, -2, -1)
        got = [client.frame()[:2] for _ in range(2)]
        client.wire.expect_probe()
        return sorted(got), client.end()[3:]

    check(session, server)


def test_every_cut(server):
    def session(way):
        client = Client(way).begin().subscribe("crawl")
        client.wire.send_crawling(b"\r\n" + send("crawl", b"\n\0\n") + b"\n")
        client.expect(b"MESSAGE", b"\n\0\n")
        return client.end()

    check(session, server)


def test_body_without_a_length(server):
    """It goes up to the NUL."""

    def session(way):
        client = Client(way).begin().subscribe("plain")
        client.wire.send_cut(frame("SEND", b"line\n\n\nline", destination="/queue/plain"), -5, -1)
        client.expect(b"MESSAGE", b"line\n\n\nline")
        client.wire.expect_probe()
        client.wire.send(b"\n\r\n\n")  # the client's own
        client.wire.expect_probe()
        return client.end()

    check(session, server)


def test_large_body(server, probed):
    def session(way):
        client = Client(way).begin().subscribe("large")
        request = send("large", LARGE)
        client.wire.send(request[:100000])
        if probed == "server":
            client.wire.expect_no_probe()
        client.wire.send(request[100000:])
        client.expect(b"MESSAGE", LARGE)
        client.wire.expect_probe()
        return client.end()

    check(session, server, probed)


def test_consumer(server, probed):
    """Messages that another one sends are acknowledged one by one; what is not comes again."""

    def session(way):
        sender, receiver = Client(way).begin(), Client(way).begin()
        receiver.subscribe("news", ack="client-individual", prefetch_count=1)
        for count in range(10):
            sender.wire.send(send("news", PAYLOAD * count))
            head = receiver.expect(b"MESSAGE", PAYLOAD * count)
            if count % 4 == 0:
                receiver.wire.expect_probe()
                sender.wire.expect_probe()
            identifier = re.search(rb"^ack:(.*)$", head, re.M)[1].decode()
            receiver.wire.send(frame("ACK", id=identifier, receipt="acknowledged"))
            receiver.expect(b"RECEIPT")
        receiver.wire.send(frame("UNSUBSCRIBE", id="one", receipt="over"))
        receiver.expect(b"RECEIPT")
        receiver.wire.expect_probe()
        return receiver.end(), sender.end()

    check(session, server, probed)


def test_transaction(server, probed):
    def session(way):
        client = Client(way).begin().subscribe("tx")
        for end, body in (("ABORT", b"given up"), ("COMMIT", b"kept")):
            client.wire.send(frame("BEGIN", transaction="t", receipt="begun"))
            client.expect(b"RECEIPT")
            client.wire.expect_probe()
            client.wire.send(send("tx", body, transaction="t"))
            client.wire.expect_probe()
            client.wire.send(frame(end, transaction="t", receipt="over"))
            if end == "ABORT":
                client.expect(b"RECEIPT")
                client.wire.expect_probe()
        got = sorted(client.frame()[:2] for _ in range(2))
        assert [body for command, body in got if command == b"MESSAGE"] == [b"kept"]
        frames = client.end()
        return got, frames[-1]

    check(session, server, probed)


def test_nothing_goes_after_an_error(server, probed):
    """The server says what it does not like, and closes."""

    def session(way):
        client = Client(way).begin()
        client.wire.expect_probe()
        client.wire.send(frame("SUBSCRIBE", destination="/nonsense/x"))
        client.expect(b"ERROR")
        client.wire.lane.expect_no_probe()
        client.wire.finish()

    check(session, server, probed)


def test_python_client(server, probed):
    """stomp.py: a subscription, a transaction, a large message. Not often: it loses a frame with two
    ends of line before it that it reads in one go, as one does that was away for two intervals."""
    stomp = pytest.importorskip("stomp")

    class Listener(stomp.ConnectionListener):
        def __init__(self):
            self.bodies, self.receipts = [], threading.Semaphore(0)

        def on_message(self, received):
            self.bodies.append(received.body)

        def on_receipt(self, _):
            self.receipts.release()

    def session(way):
        lane = way.lane()
        client = stomp.Connection12([("127.0.0.1", lane.port)], vhost="/")
        listener = Listener()
        client.set_listener("", listener)
        client.connect("guest", "guest", wait=True)
        client.subscribe("/queue/python", "one", receipt="subscribed")
        assert listener.receipts.acquire(timeout=20)
        lane.expect_probe()
        for count in range(30):
            client.send("/queue/python", "x\n" * count)
        lane.expect_probe()
        client.send("/queue/python", "y" * 300000)
        transaction = client.begin()
        client.send("/queue/python", "given up", transaction=transaction)
        lane.expect_probe()
        client.abort(transaction)
        eventually(lambda: len(listener.bodies) == 31)
        lane.expect_probe()
        client.disconnect()
        return listener.bodies

    check(session, server, probed, interval=1)
