"""A RabbitMQ and its clients that are probed with heartbeats, either side: AMQP 0-9-1."""

import random
import struct

import pytest

from probes import Probed, Straight, run_both

HEARTBEAT = b"\x08\0\0\0\0\0\0\xce"
FRAME_MAX = 131072
PAYLOAD = b"before" + HEARTBEAT + b"\xce\x08after"
LARGE = HEARTBEAT * 1000 + random.Random(11).randbytes(400000)

METHOD, HEADER, BODY = 1, 2, 3
CONNECTION, CHANNEL, QUEUE, BASIC, CONFIRM, TX = 10, 20, 50, 60, 85, 90


pytestmark = pytest.mark.xdist_group("amqp")


@pytest.fixture(name="server")
def amqp_of_rabbitmq(rabbit):
    return rabbit


@pytest.fixture(params=["server", "client"], name="probed")
def probed_side(request):
    return request.param


def check(session, server, probed="server"):
    run_both(session, server, message_size=len(HEARTBEAT), protocol="amqp", probed=probed)


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel, kind, number, *arguments):
    return frame(METHOD, channel, struct.pack(">HH", kind, number) + b"".join(arguments))


def short(words):
    return bytes([len(words)]) + words.encode()


def long(payload):
    return struct.pack(">I", len(payload)) + payload


def number(value):
    return struct.pack(">H", value)


def message(channel, queue, body, size=FRAME_MAX - 8):
    """The frames of a message for a queue."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return [method(channel, BASIC, 40, number(0), short(""), short(queue), b"\0"),
            frame(HEADER, channel, struct.pack(">HHQH", BASIC, 0, len(body), 0)),
            *(frame(BODY, channel, piece) for piece in pieces)]


class Client:
    """Frames over a wire. Heartbeats that come are left out, as every client does."""

    def __init__(self, way, heartbeat=0):
        self.wire = way.wire()
        self.heartbeat = heartbeat
        self.frames = []

    def frame(self):
        while True:
            head = self.wire.receive(7)
            kind, channel, size = struct.unpack(">BHI", head)
            payload = self.wire.receive(size + 1)
            assert payload[-1] == 0xce
            if kind != HEARTBEAT[0]:
                self.frames.append((kind, channel, payload[:-1]))
                return self.frames[-1]

    def expect(self, kind, name, channel=1):
        """A method; returns its arguments."""
        got = self.frame()
        assert got[:2] == (METHOD, channel) and got[2][:4] == struct.pack(">HH", kind, name), got
        return got[2][4:]

    def call(self, kind, name, *arguments, channel=1):
        """A method whose answer is the next one."""
        self.wire.send(method(channel, kind, name, *arguments))
        return self.expect(kind, name + 1, channel)

    def body(self):
        """The content after a method."""
        kind, _, payload = self.frame()
        assert kind == HEADER
        size, got = struct.unpack(">Q", payload[4:12])[0], b""
        while len(got) < size:
            kind, _, payload = self.frame()
            assert kind == BODY
            got += payload
        return got

    def begin(self, *cuts):
        """The login; with `cuts` each step of it is cut there, and none of it is probed."""
        send = self.wire.send_cut if cuts else lambda data, *_: self.wire.send(data)
        send(b"AMQP\0\0\x09\x01", *cuts)
        self.expect(CONNECTION, 10, 0)
        self.frames.clear()  # the server's properties
        send(method(0, CONNECTION, 11, long(b""), short("PLAIN"), long(b"\0guest\0guest"),
                    short("en_US")), *cuts)
        self.expect(CONNECTION, 30, 0)
        self.wire.send(method(0, CONNECTION, 31, number(100), struct.pack(">I", FRAME_MAX),
                              number(self.heartbeat)))
        send(method(0, CONNECTION, 40, short("/"), short(""), b"\0"), *cuts)
        self.expect(CONNECTION, 41, 0)
        return self

    def channel(self, identifier=1):
        self.call(CHANNEL, 10, short(""), channel=identifier)
        return self

    def declare(self, queue):
        return self.call(QUEUE, 10, number(0), short(queue), b"\0", struct.pack(">I", 0))

    def get(self, queue, channel=1):
        """The next message of a queue, acknowledged; None: it has none."""
        self.wire.send(method(channel, BASIC, 70, number(0), short(queue), b"\x01"))
        kind, _, payload = self.frame()
        assert kind == METHOD
        return self.body() if payload[:4] == struct.pack(">HH", BASIC, 71) else None

    def end(self, *queues):
        for queue in queues:
            self.call(QUEUE, 40, number(0), short(queue), b"\0")
        self.call(CONNECTION, 50, number(200), short("bye"), number(0), number(0), channel=0)
        rest = self.wire.finish()
        assert not rest.replace(HEARTBEAT, b"")
        return self.frames


def test_nothing_goes_before_the_login_is_over(server, probed):
    def session(way):
        client = Client(way).begin(1, 5)
        client.wire.expect_probe(2)
        return client.channel().end()

    check(session, server, probed)


def test_content_cut_anywhere(server):
    """In the frames and, where the specification allows a heartbeat, between them."""

    def session(way):
        client = Client(way).begin().channel()
        client.declare("cut")
        client.call(CONFIRM, 10, b"\0")
        client.wire.expect_probe()
        for piece in message(1, "cut", PAYLOAD, size=20):
            client.wire.send_cut(piece, 3, 7, -1)
            client.wire.expect_probe()
        client.expect(BASIC, 80)
        assert client.get("cut") == PAYLOAD
        client.wire.expect_probe()
        return client.end("cut")

    check(session, server)


def test_every_cut(server):
    def session(way):
        client = Client(way).begin().channel()
        client.declare("crawl")
        client.wire.send_crawling(b"".join(message(1, "crawl", HEARTBEAT)))
        assert client.get("crawl") == HEARTBEAT
        return client.end("crawl")

    run_both(session, server, protocol="amqp")


def test_large_content(server, probed):
    """Of several frames, sent with pauses and read with pauses."""

    def session(way):
        client = Client(way).begin().channel()
        client.declare("large")
        for piece in message(1, "large", LARGE):
            client.wire.send(piece[:5000])
            if probed == "server":
                client.wire.expect_no_probe() if len(piece) > 5000 else client.wire.expect_probe()
            client.wire.send(piece[5000:])
        client.wire.expect_probe()
        client.wire.send(method(1, BASIC, 70, number(0), short("large"), b"\x01"))
        client.expect(BASIC, 71)
        if probed == "server":
            client.wire.expect_probe()
        assert client.body() == LARGE
        client.wire.expect_probe()
        return client.end("large")

    check(session, server, probed)


def test_consumer(server, probed):
    """Deliveries on one connection while another one publishes; some are given back."""

    def session(way):
        sender, receiver = Client(way).begin().channel(), Client(way).begin().channel()
        sender.declare("news")
        receiver.call(BASIC, 20, number(0), short("news"), short("tag"), b"\0",
                      struct.pack(">I", 0))
        receiver.wire.expect_probe(2)
        for count in range(20):
            sender.wire.send(b"".join(message(1, "news", PAYLOAD * count)))
            receiver.expect(BASIC, 60)
            assert receiver.body() == PAYLOAD * count
            if count % 5 == 0:
                receiver.wire.expect_probe()
                sender.wire.expect_probe()
            receiver.wire.send(method(1, BASIC, 80, struct.pack(">Q", count + 1), b"\0"))
        sender.wire.send(b"".join(message(1, "news", b"again")))
        receiver.expect(BASIC, 60)
        assert receiver.body() == b"again"
        receiver.wire.send(method(1, BASIC, 120, struct.pack(">Q", 21), b"\x02"))
        receiver.expect(BASIC, 60)
        receiver.wire.expect_probe()
        assert receiver.body() == b"again"
        receiver.call(BASIC, 30, short("tag"), b"\0")
        receiver.wire.expect_probe()
        return receiver.end(), sender.end("news")

    check(session, server, probed)


def test_transaction(server, probed):
    """Published and acknowledged in one, which is committed or given up."""

    def session(way):
        client = Client(way).begin().channel()
        client.declare("tx")
        client.channel(2)
        client.call(TX, 10)
        client.wire.expect_probe()
        client.wire.send(b"".join(message(1, "tx", b"given up")))
        client.wire.expect_probe()
        assert client.get("tx", 2) is None
        client.call(TX, 30)
        client.wire.expect_probe()
        client.wire.send(b"".join(message(1, "tx", b"kept")))
        client.wire.expect_probe()
        client.call(TX, 20)
        client.wire.expect_probe()
        assert client.get("tx", 2) == b"kept"
        return client.end("tx")

    check(session, server, probed)


def test_error_of_a_channel(server):
    """It closes the channel; another one goes on, and so do probes."""

    def session(way):
        client = Client(way).begin().channel()
        client.wire.send(method(1, BASIC, 70, number(0), short("no such queue"), b"\0"))
        client.expect(CHANNEL, 40)
        client.wire.expect_probe()
        client.wire.send(method(1, CHANNEL, 41))
        client.wire.expect_probe()
        return client.channel().end()

    check(session, server)


def test_nothing_goes_after_close(server):
    """The server ends the connection, and says why; it waits for an answer."""

    def session(way):
        client = Client(way).begin().channel()
        client.wire.expect_probe()
        client.wire.send(method(7, BASIC, 70, number(0), short("no channel"), b"\0"))
        client.expect(CONNECTION, 50, 0)
        client.wire.expect_no_probe()
        client.wire.send(method(0, CONNECTION, 51))
        client.wire.finish()
        return client.frames

    check(session, server)


def test_refused_login(server, probed):
    def session(way):
        client = Client(way)
        client.wire.send(b"AMQP\0\0\x09\x01")
        client.expect(CONNECTION, 10, 0)
        client.wire.send(method(0, CONNECTION, 11, long(b""), short("PLAIN"), long(b"\0guest\0bad"),
                                short("en_US")))
        client.wire.expect_no_probe()
        client.wire.send(HEARTBEAT)
        client.wire.finish()

    run_both(session, server, message_size=len(HEARTBEAT), is_probed=False, protocol="amqp",
             probed=probed)


def test_python_client(server, probed):
    """pika: confirms, a consumer, a transaction, a large message."""
    pika = pytest.importorskip("pika")

    def session(way):
        lane = way.lane()
        parameters = pika.ConnectionParameters("127.0.0.1", lane.port, heartbeat=30)
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        channel.queue_declare("pika")
        lane.expect_probe()
        channel.confirm_delivery()
        for count in range(50):
            channel.basic_publish("", "pika", PAYLOAD * count)
            if count % 20 == 0:
                lane.expect_probe()
        channel.basic_publish("", "pika", LARGE)
        channel.basic_qos(prefetch_count=1)  # nothing unread that would hold up probes
        got = []
        for deliver, _, body in channel.consume("pika"):
            got.append((deliver.delivery_tag, body))
            channel.basic_ack(deliver.delivery_tag)
            if len(got) % 20 == 0:
                lane.expect_probe()
            if len(got) == 51:
                break
        channel.cancel()
        transacted = connection.channel()
        transacted.tx_select()
        transacted.basic_publish("", "pika", b"given up")
        lane.expect_probe()
        transacted.tx_rollback()
        got.append(channel.basic_get("pika"))
        connection.process_data_events(0)
        channel.queue_delete("pika")
        connection.close()
        return got

    check(session, server, probed)


def test_probes_defeat_heartbeats(server):
    """A server ends a connection that is silent for twice its heartbeat, but not while finback
    sends it some."""
    with Straight(server) as straight, Probed(server, protocol="amqp") as probed:
        silent = Client(straight, heartbeat=1).begin()
        kept = Client(probed, heartbeat=1).begin()
        with pytest.raises((AssertionError, ConnectionResetError)):
            while True:
                silent.frame()
        kept.wire.expect_probe(2)
        kept.channel()
        kept.end()
        probed.expect_complete()
