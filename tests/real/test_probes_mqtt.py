"""A Mosquitto that is probed with PINGREQ, whose PINGRESP is taken out again: MQTT 3.1.1 and 5."""

import random
import struct
import subprocess
import time

import pytest

from lib.daemon import die_with_parent
from lib.peers import eventually
from probes import INTERVAL, PAUSE, Probed, Straight, expect_dead_server, hung, options_of, run_both
from programs import Server, need, run

CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
user {user}
max_queued_messages 0
"""
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
LARGE = PINGREQ + PINGRESP + random.Random(6).randbytes(300000) + PINGREQ * 1000

connack, publish, puback, pubrec, pubrel, pubcomp, subscribe, suback, unsubscribe, unsuback = (
    0x20, 0x30, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0)


@pytest.fixture(scope="module", name="server")
def mosquitto(tmp_path_factory):
    program = need("mosquitto")
    directory = tmp_path_factory.mktemp("mosquitto")
    config = directory / "mosquitto.conf"

    def command(port):
        config.write_text(CONFIG.format(port=port, user="root"))
        return [program, "-c", config]

    with Server(directory, command, **options_of("root")) as server:
        yield server


def check(session, server, **settings):
    run_both(session, server, protocol="mqtt", answer="10s", **settings)


def length(size):
    """The remaining length of a packet."""
    digits = bytearray()
    while True:
        digits.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if size == 0:
            return bytes(digits)


def packet(first, *parts):
    body = b"".join(parts)
    return bytes([first]) + length(len(body)) + body


def text(words):
    words = words.encode()
    return struct.pack(">H", len(words)) + words


def number(value):
    return struct.pack(">H", value)


class Client:
    """Packets of a level (4: 3.1.1, 5: 5.0), over a wire."""

    def __init__(self, way, level, name, keepalive=60, will=None):
        self.wire = way.wire()
        self.none = b"\0" if level == 5 else b""  # no properties
        flags = 2 | (4 if will else 0)
        last = [self.none, text(will[0]), text(will[1])] if will else []
        self.connect = packet(0x10, text("MQTT"), bytes([level, flags]), number(keepalive),
                              self.none, text(name), *last)

    def begin(self):
        self.wire.send(self.connect)
        return self.begun()

    def begun(self):
        kind, body = self.packet()
        assert (kind, body[:2]) == (connack, b"\0\0")
        return self

    def packet(self):
        """The next one: (first byte, body)."""
        first = self.wire.receive(1)[0]
        size, shift = 0, 0
        while True:
            digit = self.wire.receive(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return first, self.wire.receive(size)

    def expect(self, first, body):
        got = self.packet()
        assert got == (first, body), (got[0], got[1][:100], first, body[:100])

    def subscribe(self, topic, quality=0, identifier=1):
        self.wire.send(packet(subscribe, number(identifier), self.none, text(topic),
                              bytes([quality])))
        self.expect(suback, number(identifier) + self.none + bytes([quality]))

    def message(self, topic, payload, quality=0, identifier=None, retain=0):
        """A PUBLISH as bytes: to be sent, or to be compared with the body of what came."""
        return packet(publish | quality << 1 | retain, text(topic),
                      number(identifier) if quality else b"", self.none, payload)

    def expect_message(self, topic, payload, quality=0, identifier=None, retain=0):
        wanted = self.message(topic, payload, quality, identifier, retain)
        assert self.wire.receive(len(wanted)) == wanted

    def ping(self):
        self.wire.ask(PINGREQ, PINGRESP)

    def end(self):
        self.wire.send(b"\xe0\0")
        assert self.wire.finish() == b""


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5.0"], name="level")
def level_of_the_protocol(request):
    return request.param


def test_nothing_goes_before_the_connection_is_made(server, level):
    """A broker resets who sends a PINGREQ first, or one within a CONNECT."""

    def session(way):
        client = Client(way, level, "one")
        client.wire.expect_no_probe()
        client.wire.send_cut(client.connect, 1, 2, 9, -1)
        client.begun()
        client.wire.expect_probe(2)
        client.end()

    check(session, server)


def test_payload_cut_anywhere(server, level):
    """A PINGREQ inside one would silently be delivered as a part of it."""
    payload = b"before " + PINGREQ + PINGRESP + b" after"

    def session(way):
        receiver, sender = Client(way, level, "in").begin(), Client(way, level, "out").begin()
        receiver.subscribe("a/#")
        receiver.wire.expect_probe()
        message = sender.message("a/b", payload)
        sender.wire.send_cut(message, 1, 2, 4, -len(payload), -7, -1)
        receiver.expect_message("a/b", payload)
        sender.wire.expect_probe()
        sender.wire.send_cut(packet(subscribe, number(7), sender.none, text("c"), b"\0"), 3, -1)
        sender.expect(suback, number(7) + sender.none + b"\0")
        sender.wire.expect_probe()
        receiver.wire.expect_probe()
        for client in (sender, receiver):
            client.end()

    check(session, server)


def test_every_cut(server, level):
    def session(way):
        client = Client(way, level, "one")
        client.wire.send_crawling(client.connect)
        client.begun()
        client.subscribe("a")
        payload = PINGREQ + PINGRESP
        client.wire.send_crawling(client.message("a", payload) + PINGREQ +
                                  client.message("a", b"") + PINGREQ * 3)
        wanted = [client.message("a", payload), PINGRESP, client.message("a", b""), PINGRESP * 3]
        assert client.wire.receive(sum(map(len, wanted))) == b"".join(wanted)
        client.end()

    check(session, server)


def test_large_payload_cut_anywhere(server, level):
    def session(way):
        receiver, sender = Client(way, level, "in").begin(), Client(way, level, "out").begin()
        receiver.subscribe("large")
        message = sender.message("large", LARGE)
        places = random.Random(7).sample(range(20, len(message)), 2)
        sender.wire.send_cut(message, 1, 2, 3, 4, *places)
        head = receiver.wire.receive(1000)
        sender.wire.expect_probe()
        assert head + receiver.wire.receive(len(message) - len(head)) == message
        receiver.wire.expect_probe()
        for client in (sender, receiver):
            client.end()

    check(session, server)


def test_qualities_of_service(server, level):
    """All packets of qualities 1 and 2 in both directions, with a pause between any two."""

    def session(way):
        receiver, sender = Client(way, level, "in").begin(), Client(way, level, "out").begin()
        receiver.subscribe("q/1", 1, 1)
        receiver.subscribe("q/2", 2, 2)
        pause = sender.wire.expect_probe
        sender.wire.send(sender.message("q/1", b"one", 1, 5))
        sender.expect(puback, number(5))
        pause()
        sender.wire.send(sender.message("q/2", b"two", 2, 6))
        sender.expect(pubrec, number(6))
        pause()
        sender.wire.send_cut(packet(pubrel, number(6)), 1, 3)
        sender.expect(pubcomp, number(6))
        pause()
        pause = receiver.wire.expect_probe
        receiver.expect_message("q/1", b"one", 1, 1)
        pause()
        receiver.wire.send(packet(puback, number(1)))
        receiver.expect_message("q/2", b"two", 2, 2)
        pause()
        receiver.wire.send(packet(pubrec, number(2)))
        receiver.expect(pubrel, number(2))
        pause()
        receiver.wire.send_cut(packet(pubcomp, number(2)), 2)
        pause()
        receiver.wire.send(packet(unsubscribe, number(3), receiver.none, text("q/1")))
        got = receiver.packet()
        pause()
        for client in (sender, receiver):
            client.end()
        return got

    check(session, server)


def test_clients_own_pings(server, level):
    """Each of its own is answered to it, once; none of finback's is."""

    def session(way):
        client = Client(way, level, "one").begin()
        client.subscribe("news")
        for _ in range(3):
            client.wire.expect_probe()
            client.ping()
        client.wire.send_cut(PINGREQ, 1)
        assert client.wire.receive(2) == PINGRESP
        client.wire.ask(PINGREQ * 3, PINGRESP * 3)
        client.wire.expect_probe(2)
        client.wire.send(PINGREQ + client.message("news", PINGRESP * 3) + PINGREQ)
        wanted = PINGRESP + client.message("news", PINGRESP * 3) + PINGRESP
        assert sorted(client.wire.receive(len(wanted))) == sorted(wanted)
        client.wire.expect_probe()
        client.end()

    check(session, server)


def test_pings_at_any_moment(server, level):
    """Before, with and after each of finback's own, as it falls."""
    moments = random.Random(8)

    def session(way):
        client = Client(way, level, "one").begin()
        for _ in range(12):
            time.sleep(moments.uniform(0.9, 1.1) * INTERVAL if way.lanes[0].has_probes else 0)
            client.ping()
        client.wire.expect_probe()
        client.end()

    check(session, server)


def test_last_will(server, level):
    """Whose connection is reset has his will published; who says goodbye has not."""

    def session(way):
        receiver = Client(way, level, "in").begin()
        receiver.subscribe("wills")
        client = Client(way, level, "one", will=("wills", "first")).begin()
        client.wire.expect_probe()
        client.end()
        client = Client(way, level, "two", will=("wills", "second")).begin()
        client.wire.expect_probe()
        client.wire.finish()  # without a DISCONNECT
        receiver.wire.expect_probe()
        receiver.expect_message("wills", b"second")
        receiver.wire.expect_probe()
        receiver.end()

    check(session, server)


def test_retained_message(server, level):
    def session(way):
        client = Client(way, level, "one").begin()
        client.wire.send(client.message("kept", PINGRESP, 1, 9, retain=1))
        assert client.packet()[1][:2] == number(9)  # and why nobody got it, in 5.0
        client.wire.expect_probe()
        client.subscribe("kept")
        client.expect_message("kept", PINGRESP, retain=1)
        client.wire.expect_probe()
        client.wire.send(client.message("kept", b"", 1, 10, retain=1))
        got = sorted(client.packet() for _ in range(2))
        client.end()
        return got

    check(session, server)


def test_server_that_ends_the_session(server):
    """A broker of 5.0 says why: here that nothing can be published to a pattern."""

    def session(way):
        client = Client(way, 5, "one").begin()
        client.wire.expect_probe()
        client.wire.send(client.message("a/+", b"payload"))
        kind, _ = client.packet()
        assert kind == 0xe0
        assert client.wire.finish() == b""

    check(session, server)


def test_name_that_another_takes_over(server, level):
    def session(way):
        first = Client(way, level, "same").begin()
        first.wire.expect_probe()
        second = Client(way, level, "same").begin()
        first.wire.finish()
        second.wire.expect_probe()
        second.end()

    check(session, server)


def test_another_protocol_is_left_alone(server):
    """Version 3.1, with its other name, is not followed, and goes through whole."""

    def session(way):
        wire = way.wire()
        wire.ask(packet(0x10, text("MQIsdp"), b"\x03\x02", number(60), text("old")),
                 b"\x20\x02\0\0")
        wire.expect_no_probe()
        wire.ask(PINGREQ, PINGRESP)
        wire.send(b"\xe0\0")
        assert wire.finish() == b""

    check(session, server, is_probed=False)


# Its own clients.


def test_command_line_clients(server):
    need("mosquitto_sub", "mosquitto_pub")

    def session(way):
        lane = way.lane()
        with subprocess.Popen(["mosquitto_sub", "-p", str(lane.port), "-h", "127.0.0.1", "-q", "2",
                               "-t", "t/#", "-v", "-C", "102", "-i", "sub"],
                              preexec_fn=die_with_parent, stdout=subprocess.PIPE) as receiver:
            lane.expect_probe()
            publishing = ["mosquitto_pub", "-p", str(way.lane().port), "-h", "127.0.0.1", "-q", "2"]
            eventually(lambda: is_heard(publishing, receiver))
            lines = b"".join(b"line %d\n" % count for count in range(100))
            run([*publishing, "-t", "t/lines", "-l"], input=lines)
            lane.expect_probe()
            run([*publishing, "-t", "t/last", "-m", "last"])
            return receiver.communicate(timeout=20)[0]

    def is_heard(publishing, receiver):
        """The subscription has no other sign of its being made than what it receives."""
        time.sleep(PAUSE)
        run([*publishing, "-t", "t/first", "-m", "first"])
        return receiver.poll() is None

    check(session, server)


def test_python_client(server):
    """paho, which pings on its own each second."""
    paho = pytest.importorskip("paho.mqtt.client")

    def session(way):
        lane = way.lane()
        got = []
        client = paho.Client("paho")
        client.on_message = lambda _, __, message: got.append((message.topic, message.payload))
        client.on_subscribe = lambda *_: got.append("subscribed")
        client.connect("127.0.0.1", lane.port, keepalive=5)
        client.loop_start()
        client.subscribe("p/#", 2)
        eventually(lambda: got)
        for count in range(50):
            client.publish(f"p/{count}", PINGREQ * count, qos=count % 3)
            if count % 10 == 0:
                lane.expect_probe()
        eventually(lambda: len(got) == 51)
        lane.expect_probe()
        client.disconnect()
        client.loop_stop()
        return sorted(got[1:])

    check(session, server)


# A broker that hangs, and what an operator has to know.


@pytest.fixture(name="broker")
def broker_of_its_own(tmp_path):
    program = need("mosquitto")
    config = tmp_path / "mosquitto.conf"

    def command(port):
        config.write_text(CONFIG.format(port=port, user="root"))
        return [program, "-c", config]

    with Server(tmp_path, command, **options_of("root")) as server:
        yield server


def test_hung_server_is_found(broker):
    with Probed(broker, protocol="mqtt", answer="1s", on_silence="end") as finback:
        client = Client(finback, 4, "one").begin()
        client.wire.expect_probe()
        with hung(broker.process):
            expect_dead_server(finback, client.wire.lane)
            client.wire.expect_reset()


def test_hung_server_is_only_counted(broker):
    """And when it goes on, its late answer is not the client's."""
    with Probed(broker, protocol="mqtt", answer="1s", on_silence="count") as finback:
        client = Client(finback, 4, "one").begin()
        client.wire.expect_probe()
        with hung(broker.process):
            time.sleep(2.5)
            assert finback.control.sessions(listener=client.wire.lane.name)
        client.wire.expect_probe()
        client.subscribe("news")
        client.ping()
        client.end()
        finback.expect_complete()


def test_answer_that_comes_after_the_clients_end(broker):
    """It is on its way when the client finishes, and is not the client's."""
    with Probed(broker, protocol="mqtt", answer="10s") as finback:
        client = Client(finback, 4, "one").begin()
        client.wire.expect_probe()
        with hung(broker.process):
            expect_unanswered(client.wire.lane)
            client.wire.half_close()
        assert client.wire.finish() == b""
        finback.expect_complete()


def test_clients_ping_behind_an_unanswered_probe(broker):
    """Two answers come, and the second one is the client's."""
    with Probed(broker, protocol="mqtt", answer="10s") as finback:
        client = Client(finback, 4, "one").begin()
        client.wire.expect_probe()
        with hung(broker.process):
            expect_unanswered(client.wire.lane)
            client.wire.send(PINGREQ)
        assert client.wire.receive(2) == PINGRESP
        client.wire.expect_probe()
        client.end()
        finback.expect_complete()


def test_answer_behind_a_message(broker):
    """What looks like the answer in a message that comes before it is the message's."""
    with Straight(broker) as straight, \
            Probed(broker, protocol="mqtt", answer="10s") as finback:
        sender = Client(straight, 4, "out").begin()
        client = Client(finback, 4, "in").begin()
        client.subscribe("a")
        client.wire.expect_probe()
        with hung(broker.process):
            sender.wire.send(sender.message("a", PINGRESP + b"and more"))
            expect_unanswered(client.wire.lane)
        client.expect_message("a", PINGRESP + b"and more")
        client.wire.expect_probe()
        client.ping()
        client.end()
        finback.expect_complete()


def test_nothing_goes_while_the_clients_ping_is_unanswered(broker):
    """The next answer is the client's."""
    with Probed(broker, protocol="mqtt", answer="10s") as finback:
        client = Client(finback, 4, "one").begin()
        client.wire.expect_probe()
        with hung(broker.process):
            client.wire.send(PINGREQ)
            client.wire.expect_no_probe()
        assert client.wire.receive(2) == PINGRESP
        client.wire.expect_probe()
        client.end()
        finback.expect_complete()


def expect_unanswered(lane):
    eventually(lambda: lane.probes() == lane.replies() + 1)
    time.sleep(PAUSE)
    assert lane.probes() == lane.replies() + 1


def test_probes_defeat_the_keepalive_of_a_silent_client(server):
    """The broker gives a client up after 1.5 times its keepalive, but not while finback probes."""
    with Straight(server) as straight, \
            Probed(server, protocol="mqtt", answer="10s") as probed:
        silent = Client(straight, 4, "silent", keepalive=1).begin()
        kept = Client(probed, 4, "kept", keepalive=1).begin()
        assert silent.wire.read_to_eof() == b""
        kept.wire.expect_probe(int(1 / INTERVAL))
        kept.ping()
        kept.end()
        probed.expect_complete()
