"""A memcached that is probed with a quiet meta get: nobody who reads or stores sees any of it."""

import random
import struct

import pytest

from probes import options_of, run_both
from programs import Server, need, run

PROBE = b"mg finback:probe q\r\n"
LARGE = PROBE + random.Random(9).randbytes(600000) + b"\r\n" + PROBE * 100


@pytest.fixture(scope="module", name="server")
def memcached(tmp_path_factory):
    program = need("memcached")

    def command(port):
        return [program, "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "2"]

    with Server(tmp_path_factory.mktemp("memcached"), command, **options_of("root")) as server:
        yield server


def check(session, server, **settings):
    run_both(session, server, protocol="memcached", **settings)


def begin(way):
    """A connection to a server that has forgotten everything."""
    wire = way.wire()
    wire.ask(b"flush_all\r\n", b"OK\r\n")
    return wire


def test_nothing_goes_before_the_first_answer(server):
    def session(way):
        wire = way.wire()
        wire.expect_no_probe()
        wire.send_cut(b"get a\r\n", 1, 3, 5, 6)
        assert wire.receive(5) == b"END\r\n"
        wire.expect_probe(2)
        wire.finish()

    check(session, server)


def test_data_block_cut_anywhere(server):
    """A probe inside one would be stored, or make it one that is too long."""
    data = b"one\r\n" + PROBE + b"two"
    request = b"set key 5 0 %d\r\n%s\r\n" % (len(data), data)

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send_cut(request, 3, 14, 16, 17, 20, 22, -10, -2, -1)
        assert wire.receive_line() == b"STORED\r\n"
        wire.expect_probe()
        wire.ask(b"get key none\r\n", b"VALUE key 5 %d\r\n%s\r\nEND\r\n" % (len(data), data))
        wire.expect_probe()
        wire.send_cut(b"set empty 0 0 0\r\n\r\n", -2, -1)
        assert wire.receive_line() == b"STORED\r\n"
        wire.expect_probe()
        wire.ask(b"get empty\r\n", b"VALUE empty 0 0\r\n\r\nEND\r\n")
        wire.finish()

    check(session, server)


def test_every_cut(server):
    def session(way):
        wire = begin(way)
        wire.send_crawling(b"set a 5 0 5\r\nmg b\r\r\nget  a\nms n 1\r\n4\r\nincr n 1\r\n")
        assert wire.receive_until(b"\r\n5\r\n").count(b"\r\n") == 6
        wire.finish()

    check(session, server)


def test_large_value_cut_anywhere(server):
    places = random.Random(10).sample(range(len(LARGE)), 3)
    wanted = b"VALUE large 0 %d\r\n%s\r\nEND\r\n" % (len(LARGE), LARGE)

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send_cut(b"set large 0 0 %d\r\n" % len(LARGE) + LARGE + b"\r\n", *places, -1)
        assert wire.receive_line() == b"STORED\r\n"
        wire.send(b"get large\r\n")
        head = wire.receive(1000)
        wire.expect_probe()
        assert head + wire.receive(len(wanted) - len(head)) == wanted
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_every_command(server):
    """With a pause after each of them."""
    talk = (
        (b"add n 0 0 1\r\n5\r\n", b"STORED\r\n"), (b"add n 0 0 1\r\n6\r\n", b"NOT_STORED\r\n"),
        (b"incr n 10\r\n", b"15\r\n"), (b"decr n 1\r\n", b"14\r\n"),
        (b"replace n 0 0 2\r\n16\r\n", b"STORED\r\n"), (b"append n 0 0 1\r\n7\r\n", b"STORED\r\n"),
        (b"prepend n 0 0 1\r\n1\r\n", b"STORED\r\n"), (b"touch n 100\r\n", b"TOUCHED\r\n"),
        (b"get n\r\n", b"VALUE n 0 4\r\n1167\r\nEND\r\n"),
        (b"gat 0 n\r\n", b"VALUE n 0 4\r\n1167\r\nEND\r\n"),
        (b"cas n 0 0 1 99999999999\r\n0\r\n", b"EXISTS\r\n"),
        (b"delete n\r\n", b"DELETED\r\n"), (b"delete n\r\n", b"NOT_FOUND\r\n"),
        (b"verbosity 0\r\n", b"OK\r\n"), (b"mn\r\n", b"MN\r\n"),
    )

    def session(way):
        wire = begin(way)
        for request, answer in talk:
            wire.ask(request, answer)
            wire.expect_probe()
        wire.send(b"set a 0 0 1 noreply\r\n1\r\n")
        wire.expect_probe()
        wire.send_cut(b"incr a 41 noreply\r\n", -3)
        wire.expect_probe()
        wire.ask(b"get a\r\n", b"VALUE a 0 2\r\n42\r\nEND\r\n")
        wire.finish()

    check(session, server)


def test_meta_commands(server):
    """Quiet ones answer nothing on a hit or a miss, as the probe does; mn tells them apart."""

    def session(way):
        wire = begin(way)
        wire.send_cut(b"ms key 5 T0 F7\r\nvalue\r\n", 2, 8, 18, -1)
        assert wire.receive_line() == b"HD\r\n"
        wire.expect_probe()
        wire.ask(b"mg key v f k O9\r\n", b"VA 5 f7 kkey O9\r\nvalue\r\n")
        wire.expect_probe()
        wire.send(b"ms quiet 3 q\r\nabc\r\n")
        wire.expect_probe()
        wire.send(b"mg none v q O1\r\nmg quiet v q O2\r\nmg none v q O3\r\nma key q\r\n")
        assert wire.receive_line() == b"VA 3 O2\r\n"
        assert wire.receive_line() == b"abc\r\n"
        assert wire.receive_line().startswith(b"CLIENT_ERROR")  # not a number
        wire.expect_probe()
        wire.ask(b"md quiet q\r\nmn\r\n", b"MN\r\n")
        wire.expect_probe()
        wire.ask(b"me none\r\nmg finback:probe\r\n", b"EN\r\nEN\r\n")
        wire.finish()

    check(session, server)


def test_pipelined_requests(server):
    requests = b"".join(b"set k%d 0 0 %d\r\n%s\r\n" % (n, n, b"x" * n) for n in range(100))

    def session(way):
        wire = begin(way)
        wire.send_cut(requests, len(requests) // 2, -3)
        assert wire.receive(100 * len(b"STORED\r\n")) == b"STORED\r\n" * 100
        wire.expect_probe()
        keys = b" ".join(b"k%d" % n for n in range(100))
        wire.send_cut(b"get " + keys + b"\r\n", 200)
        assert wire.receive_until(b"END\r\n").count(b"VALUE ") == 100
        wire.expect_probe()
        wire.finish()

    check(session, server)


def test_refused_data_block(server):
    """The server reads what is too large to its end, or not at all: nothing is put in between."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.send_cut(b"set large 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\n", 1000000, -1)
        assert wire.receive_line().startswith(b"SERVER_ERROR object too large")
        wire.ask(b"get large\r\n", b"END\r\n")
        wire.finish()

    check(session, server)


def test_probe_counts_as_a_miss(server):
    """And as nothing else that statistics tell."""
    shown = (b"cmd_set", b"get_hits", b"total_items", b"cmd_touch", b"auth_errors")

    def statistics(wire):
        wire.send(b"stats\r\n")
        answer = wire.receive_until(b"END\r\n")
        wire.forget(answer)
        return dict(line.split(b" ")[1:3] for line in answer.split(b"\r\n")[:-2])

    def session(way):
        wire = begin(way)
        wire.ask(b"set a 0 0 1\r\n1\r\n", b"STORED\r\n")
        before = statistics(wire)
        wire.expect_probe(3)
        after = statistics(wire)
        misses = int(after[b"get_misses"]) - int(before[b"get_misses"])
        assert misses >= 3 if way.lanes[0].has_probes else misses == 0
        wire.finish()
        return [int(after[name]) - int(before[name]) for name in shown]

    check(session, server)


def test_unknown_command_ends_probes(server):
    """Whether a block of data follows it is not known, so finback stays out of it."""

    def session(way):
        wire = begin(way)
        wire.expect_probe()
        wire.ask(b"nonsense a 0 0 1\r\n", b"ERROR\r\n")
        wire.expect_no_probe()
        wire.ask(b"set a 0 0 1\r\n1\r\n", b"STORED\r\n")
        wire.expect_no_probe()
        wire.finish()

    check(session, server)


def binary(opcode, key=b"", value=b"", extras=b"", opaque=0):
    total = len(extras) + len(key) + len(value)
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, total, opaque,
                       0) + extras + key + value


def test_binary_protocol_is_left_alone(server):
    """A line on such a connection would close it."""

    def answer(wire):
        head = wire.receive(24)
        return wire.receive(struct.unpack(">I", head[8:12])[0])

    def session(way):
        wire = way.wire()
        request = binary(1, b"key", PROBE, struct.pack(">II", 7, 0), 5)
        wire.send_cut(request, 1, 24, 30)
        head = wire.receive(24)  # with the number of this version in it
        wire.forget(head)
        wire.send(binary(0x19, b"key", b"more"))  # quiet
        wire.expect_no_probe()
        wire.send(binary(0x0a, opaque=6))
        assert wire.receive(24)[:2] == b"\x81\x0a"
        wire.send(binary(0x00, b"key"))
        head = wire.receive(24)
        wire.forget(head)
        assert wire.receive(struct.unpack(">I", head[8:12])[0])[4:] == PROBE + b"more"
        wire.expect_no_probe()
        wire.finish()

    check(session, server, is_probed=False)


@pytest.fixture(scope="module", name="locked")
def memcached_with_a_password(tmp_path_factory):
    program = need("memcached")
    directory = tmp_path_factory.mktemp("locked")
    secrets = directory / "users"
    secrets.write_text("user:secret\n")

    def command(port):
        return [program, "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "2",
                "-Y", secrets]

    with Server(directory, command, **options_of("root")) as server:
        yield server


def test_before_the_password(locked):
    """Until the login each line is answered with an error, and a probe would be, too."""

    def session(way):
        good, bad = way.wire(), way.wire()
        good.expect_no_probe()
        good.send_cut(b"set x 0 0 11\r\nuser secret\r\n", 5, 14, 20, -1)
        assert good.receive_line() == b"STORED\r\n"
        good.expect_probe()
        bad.send(b"get a\r\n")
        assert b"ERROR" in bad.receive_line()
        bad.expect_no_probe()
        for wire in (good, bad):
            wire.finish()

    check(session, locked)


# Its own clients.


def test_python_client(server):
    pymemcache = pytest.importorskip("pymemcache")

    def session(way):
        lane = way.lane()
        client = pymemcache.Client(("127.0.0.1", lane.port), default_noreply=False)
        got = [client.flush_all()]
        lane.expect_probe()
        got.append(client.set_many({f"key{n}": PROBE * n for n in range(100)}))
        lane.expect_probe()
        got.append(client.get_many([f"key{n}" for n in range(100)]))
        got.append(client.set("large", LARGE))
        lane.expect_probe()
        assert client.get("large") == LARGE
        got += [client.set("n", "1"), client.incr("n", 4), client.delete("n"), client.get("n")]
        lane.expect_probe()
        client.quit()
        return got

    check(session, server)


def test_command_line_clients(server, tmp_path):
    """Those of libmemcached speak the text protocol unless asked for the binary one."""
    need("memccp", "memccat")
    file = tmp_path / "value"
    file.write_bytes(LARGE)

    def session(way):
        port = way.lane().port
        servers = f"--servers=127.0.0.1:{port}"
        run(["memccp", servers, file])
        return run(["memccat", servers, "value"])

    def twice(way):
        wire = begin(way)
        wire.expect_probe()
        wire.finish()
        return session(way)

    check(twice, server)
