"""A Redis that is probed with empty lines: no session with it is any different."""

import random
import subprocess

import pytest


from probes import INTERVAL, Probed, Straight, hung, options_of, run_both
from programs import Server, need

PIECES = (1, 2, 5, -3, -2, -1)  # where commands are cut
LARGE = random.Random(4).randbytes(300000) + b"\r\n*1\r\n$4\r\nPING\r\n" * 1000


@pytest.fixture(scope="module", name="server")
def redis_server(tmp_path_factory):
    redis = need("redis-server")
    directory = tmp_path_factory.mktemp("redis")

    def command(port):
        return [redis, "--bind", "127.0.0.1", "--port", str(port), "--dir", directory, "--save", "",
                "--appendonly", "no"]

    with Server(directory, command, **options_of("root")) as server:
        yield server


def check(session, server, **settings):
    run_both(session, server, protocol="redis", **settings)


def command(*words):
    """A request in RESP."""
    words = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                              for word in words)


def answer(wire):
    """One answer, RESP2 or RESP3, as Python values; an error is its text."""
    line = wire.receive_line()
    kind, text = line[:1], line[1:-2]
    if kind in b"$=" and int(text) >= 0:
        return wire.receive(int(text) + 2)[:-2]
    if kind in b"*~>%" and int(text) >= 0:
        return [answer(wire) for _ in range(int(text) * (2 if kind == b"%" else 1))]
    assert kind in (b"+", b"-", b":", b"$", b"*", b"_", b"#", b","), line
    return int(text) if kind == b":" else None if text == b"-1" else text


def ask(wire, *words):
    wire.send(command(*words))
    return answer(wire)


def begin(way):
    """A connection to a server that has forgotten everything."""
    wire = way.wire()
    assert ask(wire, "FLUSHALL") == b"OK"
    return wire


def test_nothing_goes_before_the_first_request(server):
    def session(way):
        wire = way.wire()
        wire.expect_no_probe()
        assert ask(wire, "PING") == b"PONG"
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_commands_cut_in_pieces(server):
    """An empty line inside one would be stored, or be a protocol error."""

    def session(way):
        wire = begin(way)
        wire.expect_probe(2)
        wire.send_cut(command("SET", "key", "a\r\nb"), 1, 4, 8, 11, 22, 27, 29, 30, 31)
        assert answer(wire) == b"OK"
        wire.expect_probe()
        assert ask(wire, "GET", "key") == b"a\r\nb"
        wire.expect_probe()
        wire.send_cut(b"SET other 'an inline one'\r\n", 2, 4, 15, -1)
        assert answer(wire) == b"OK"
        wire.send_cut(b"GET other\n\r\nPING\r\n", 3, 11, 14)
        assert answer(wire) == b"an inline one"
        assert answer(wire) == b"PONG"
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_every_cut(server):
    def session(way):
        wire = begin(way)
        wire.send_crawling(command("SET", "k", "\r\n*1") + b"GET k\r\nMULTI\n" +
                           command("INCR", "n") + b"EXEC\r\n")
        answers = [answer(wire) for _ in range(5)]
        assert answers == [b"OK", b"\r\n*1", b"OK", b"QUEUED", [1]]
        wire.finish()

    check(session, server)


def test_large_value_cut_anywhere(server):
    places = sorted(random.Random(5).sample(range(len(LARGE)), 3)) + [300000, 300001, 300002]

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send_cut(command("SET", "large", LARGE), *places)
        assert answer(wire) == b"OK"
        wire.expect_probe()
        wire.send(command("GET", "large"))
        head = wire.receive(1000)  # the answer is half read while time passes
        wire.expect_probe()
        wire.receive(len(f"${len(LARGE)}\r\n") + len(LARGE) + 2 - len(head))
        assert ask(wire, "STRLEN", "large") == len(LARGE)
        wire.finish()

    check(session, server)


def test_pipelined_requests(server):
    """The last of a hundred is cut; all answers come in their order."""

    def session(way):
        wire = begin(way)
        requests = b"".join(command("INCRBY", "n", str(number)) for number in range(100))
        wire.send_cut(requests, -5)
        assert [answer(wire) for _ in range(100)] == [n * (n + 1) // 2 for n in range(100)]
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_transaction(server):
    """A PING would have added an element to what EXEC returns."""

    def session(way):
        wire, other = begin(way), way.wire()
        assert ask(wire, "WATCH", "a") == b"OK"
        wire.expect_probe()
        assert ask(wire, "MULTI") == b"OK"
        wire.expect_probe()
        assert ask(wire, "SET", "a", "1") == b"QUEUED"
        wire.expect_probe()
        wire.send_cut(command("INCR", "a"), 9)
        assert answer(wire) == b"QUEUED"
        wire.expect_probe()
        assert ask(wire, "EXEC") == [b"OK", 2]
        assert ask(wire, "MULTI") == b"OK"
        wire.expect_probe()
        assert ask(wire, "NOSUCH").startswith(b"ERR unknown command")
        wire.expect_probe()
        assert ask(wire, "EXEC").startswith(b"EXECABORT")
        assert ask(wire, "WATCH", "a") == b"OK"
        wire.expect_probe()
        assert ask(other, "SET", "a", "5") == b"OK"
        assert ask(wire, "MULTI") == b"OK"
        assert ask(wire, "GET", "a") == b"QUEUED"
        wire.expect_probe()
        assert ask(wire, "EXEC") is None
        assert ask(wire, "MULTI") == b"OK"
        wire.expect_probe()
        assert ask(wire, "DISCARD") == b"OK"
        for each in (wire, other):
            each.finish()

    check(session, server)


def test_subscriptions(server):
    """A subscriber that is probed gets the messages, and nothing else."""

    def session(way):
        publisher, wire = begin(way), way.wire()
        assert ask(wire, "SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        wire.expect_probe(2)
        assert ask(publisher, "PUBLISH", "news", "\r\none\r\n") == 1
        assert answer(wire) == [b"message", b"news", b"\r\none\r\n"]
        wire.send_cut(command("PSUBSCRIBE", "n*"), 6)
        assert answer(wire) == [b"psubscribe", b"n*", 2]
        wire.expect_probe()
        assert ask(wire, "PING", "mine") == [b"pong", b"mine"]
        wire.expect_probe()
        assert ask(publisher, "PUBLISH", "news", "two") == 2
        assert answer(wire) == [b"message", b"news", b"two"]
        assert answer(wire) == [b"pmessage", b"n*", b"news", b"two"]
        assert ask(wire, "GET", "a").startswith(b"ERR Can't execute 'get'")
        assert ask(wire, "UNSUBSCRIBE") == [b"unsubscribe", b"news", 1]
        assert ask(wire, "PUNSUBSCRIBE") == [b"punsubscribe", b"n*", 0]
        wire.expect_probe()
        assert ask(wire, "PING") == b"PONG"
        for each in (wire, publisher):
            each.finish()

    check(session, server)


def test_blocking_command(server):
    """The answer to a PING would have come after the element."""

    def session(way):
        wire, pusher = begin(way), way.wire()
        wire.send(command("BLPOP", "queue", "0"))
        wire.expect_probe(3)
        assert ask(pusher, "RPUSH", "queue", "one") == 1
        assert answer(wire) == [b"queue", b"one"]
        wire.expect_probe()
        assert ask(wire, "BLPOP", "queue", "0.3") is None
        wire.send(command("XREAD", "BLOCK", "0", "STREAMS", "log", "$"))
        wire.expect_probe(2)
        assert ask(pusher, "XADD", "log", "1-1", "field", "value") == b"1-1"
        assert answer(wire) == [[b"log", [[b"1-1", [b"field", b"value"]]]]]
        for each in (wire, pusher):
            each.finish()

    check(session, server)


def test_server_that_answers_nothing(server):
    """CLIENT REPLY OFF: who waits for an answer would take one of the client's."""

    def session(way):
        wire = begin(way)
        wire.send(command("CLIENT", "REPLY", "OFF"))
        wire.expect_no_probe()
        wire.send(command("SET", "a", "1"))
        wire.expect_probe(2)
        wire.send_cut(command("INCR", "a"), 7)
        wire.expect_probe()
        assert ask(wire, "CLIENT", "REPLY", "ON") == b"OK"
        assert ask(wire, "GET", "a") == b"2"
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_request_whose_answer_is_skipped(server):
    """CLIENT REPLY SKIP is about the next request, which an empty line would be."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send(command("CLIENT", "REPLY", "SKIP"))
        wire.expect_no_probe()
        wire.send(command("SET", "a", "7"))
        wire.expect_probe()
        assert ask(wire, "GET", "a") == b"7"
        wire.expect_probe()
        wire.finish()

    check(session, server)


def monitored(wire):
    """A line of MONITOR without its time and address."""
    line = wire.receive_line()
    wire.forget(line)
    return line.split(b"] ", 1)[1]


def test_monitor(server):
    """Probes are no commands: MONITOR does not show them, and its lines go on while it is probed."""

    def session(way):
        wire, other = way.wire(), begin(way)
        assert ask(wire, "MONITOR") == b"OK"
        wire.expect_probe(2)
        other.expect_probe(2)
        assert ask(other, "SET", "a", "1") == b"OK"
        assert monitored(wire) == b'"SET" "a" "1"\r\n'
        wire.expect_probe()
        assert ask(other, "GET", "a") == b"1"
        assert monitored(wire) == b'"GET" "a"\r\n'
        for each in (wire, other):
            each.finish()

    check(session, server)


def hello(wire):
    """HELLO 3, whose answer has the connection's number."""
    wire.send(command("HELLO", "3"))
    size = len(wire.received)
    fields = answer(wire)
    wire.forget(bytes(wire.received[size:]))
    assert fields[fields.index(b"proto") + 1] == 3


def test_resp3(server):
    """Maps, sets, doubles, and pushes that nobody asked for at that moment."""

    def session(way):
        wire, other = begin(way), way.wire()
        hello(wire)
        wire.expect_probe()
        assert ask(wire, "HSET", "h", "a", "1") == 1
        assert ask(wire, "HGETALL", "h") == [b"a", b"1"]
        wire.expect_probe()
        assert ask(wire, "ZADD", "z", "1.5", "a") == 1
        assert ask(wire, "ZSCORE", "z", "a") == b"1.5"
        assert ask(wire, "GET", "none") == b""
        assert ask(wire, "SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        wire.expect_probe()
        assert ask(wire, "PING") == b"PONG"
        assert ask(other, "PUBLISH", "news", "one") == 1
        assert answer(wire) == [b"message", b"news", b"one"]
        wire.expect_probe()
        for each in (wire, other):
            each.finish()

    check(session, server)


def test_cache_that_is_told_what_to_keep(server):
    """CLIENT CACHING YES is about the next request, too: what it asks for is told of."""

    def session(way):
        wire, other = begin(way), way.wire()
        hello(wire)
        assert ask(wire, "CLIENT", "TRACKING", "ON", "OPTIN") == b"OK"
        wire.expect_probe()
        assert ask(wire, "CLIENT", "CACHING", "YES") == b"OK"
        wire.expect_no_probe()
        assert ask(wire, "GET", "a") == b""
        wire.expect_probe()
        assert ask(other, "SET", "a", "1") == b"OK"
        assert answer(wire) == [b"invalidate", [b"a"]]
        for each in (wire, other):
            each.finish()

    check(session, server)


def test_before_the_password(server):
    """An empty line is answered by no error."""

    def session(way):
        admin = begin(way)
        assert ask(admin, "CONFIG", "SET", "requirepass", "secret") == b"OK"
        try:
            wire = way.wire()
            assert ask(wire, "GET", "a").startswith(b"NOAUTH")
            wire.expect_probe()
            wire.send_cut(command("AUTH", "secret"), *PIECES)
            assert answer(wire) == b"OK"
            wire.expect_probe()
            assert ask(wire, "GET", "a") is None
        finally:
            assert ask(admin, "CONFIG", "SET", "requirepass", "") == b"OK"
        for each in (wire, admin):
            each.finish()

    check(session, server)


def test_script_that_takes_long(server):
    """The server does nothing else meanwhile, so probes wait in its socket."""
    script = ("local t = redis.call('TIME') local e = t[1] * 1000 + t[2] / 1000 + 700 "
              "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > e return 'done'")

    def session(way):
        wire = begin(way)
        assert ask(wire, "EVAL", script, "0") == b"done"
        wire.expect_probe()
        assert ask(wire, "PING") == b"PONG"
        wire.finish()

    check(session, server)


def test_nothing_goes_after_quit(server):
    """The server will close; what came after would be answered with a reset."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        with hung(server.process):
            wire.send(command("QUIT"))
            wire.expect_no_probe()
        assert answer(wire) == b"OK"
        assert wire.finish() == b""

    check(session, server)


def test_another_protocol_is_left_alone(server):
    """What is no request of Redis turns the probe off; every byte still gets there."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send(b"*1\r\n?3\r\n")
        assert b"Protocol error" in wire.finish()

    check(session, server)


def test_replication_is_left_alone(server):
    """After PSYNC an empty line would mean something."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send(command("REPLCONF", "capa", "eof"))
        assert answer(wire) == b"OK"
        wire.expect_no_probe()
        wire.finish()

    check(session, server)


# Its own clients.


def test_python_client(server):
    """redis-py: a pipeline, a transaction, a subscription in a thread."""
    redis = pytest.importorskip("redis")

    def session(way):
        lane, listening = way.lane(), way.lane()
        client = redis.Redis("127.0.0.1", lane.port, single_connection_client=True)
        subscriber = redis.Redis("127.0.0.1", listening.port)
        client.flushall()
        results = []
        with subscriber.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe("news")
            listening.expect_probe() if pubsub.get_message(timeout=5) is None else None
            with client.pipeline() as pipeline:
                for number in range(1000):
                    pipeline.set(f"key{number}", LARGE[:number])
                results.append(pipeline.execute())
            lane.expect_probe()
            with client.pipeline() as pipeline:
                pipeline.watch("key1")
                lane.expect_probe()
                pipeline.multi()
                pipeline.append("key1", "more")
                pipeline.publish("news", "appended")
                results.append(pipeline.execute())
            results += client.mget(f"key{number}" for number in range(1000))
            results.append(pubsub.get_message(timeout=5))
            listening.expect_probe()
        client.set("large", LARGE)
        lane.expect_probe()
        assert client.get("large") == LARGE
        client.close()
        subscriber.close()
        return results

    check(session, server)


def test_command_line_client(server):
    """redis-cli reads commands from a pipe, with pauses between them."""
    cli = need("redis-cli")

    def session(way):
        lane = way.lane()
        with subprocess.Popen([cli, "-p", str(lane.port)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            for words in (b"FLUSHALL", b"MULTI", b"SET a 1", b"INCR a", b"EXEC", b"GET a"):
                process.stdin.write(words + b"\n")
                process.stdin.flush()
                lane.expect_probe()
            process.stdin.close()
            output = process.stdout.read()
        assert process.returncode == 0
        return output

    check(session, server)


# What an operator has to know.


def test_probes_defeat_the_servers_own_timeout(server):
    """Redis's `timeout` ends who is silent; to it a client that is probed is not."""
    with Straight(server) as straight, Probed(server, protocol="redis") as probed:
        admin = straight.wire()
        assert ask(admin, "CONFIG", "SET", "timeout", "1") == b"OK"
        try:
            silent, kept = straight.wire(), probed.wire()
            for each in (silent, kept):
                assert ask(each, "PING") == b"PONG"
            assert silent.read_to_eof() == b""
            kept.expect_probe(int(2 / INTERVAL))
            assert ask(kept, "PING") == b"PONG"
        finally:
            assert ask(straight.wire(), "CONFIG", "SET", "timeout", "0") == b"OK"
        kept.finish()
        probed.expect_complete()
