"""PostgreSQL and its clients, probed: a Flush stands between two messages of the client, whatever
the state of the session, and never in one, nor before the login is over."""

import contextlib
import glob
import os
import random
import struct
import subprocess

import pytest

from lib.peers import eventually
from probes import Probed, Straight, directory_of, options_of, run_both
from programs import Server, need, run

USER, PASSWORD = "finback", "secret"
LARGE = 3 << 20
QUIET = 1  # seconds that the server allows an idle session, where it is told to
ROWS = 9000

PROBE = {"protocol": "postgresql"}

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture(scope="module", name="postgresql")
def postgresql_server():
    openssl = need("openssl")
    versions = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not versions:
        pytest.skip("needs postgresql")
    programs = os.path.dirname(max(versions, key=lambda path: float(path.split("/")[4])))
    options = options_of("nobody")
    with directory_of("nobody") as directory:
        data, password, key, certificate = (
            os.path.join(directory, name) for name in ("data", "password", "key", "certificate"))
        with open(password, "w", encoding="ascii") as file:
            file.write(PASSWORD)
        run([os.path.join(programs, "initdb"), "-D", data, "-U", USER, "-A", "password", "--pwfile",
             password, "--no-sync", "--no-locale", "-E", "UTF8"], **options)
        run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], **options)

        def command(port):
            settings = {"port": port, "listen_addresses": "127.0.0.1", "fsync": "off",
                        "unix_socket_directories": "", "log_min_messages": "fatal",
                        "ssl_key_file": key, "ssl_cert_file": certificate}
            return [os.path.join(programs, "postgres"), "-D", data,
                    *(f"--{name}={value}" for name, value in settings.items())]

        with Server(directory, command, **options) as server:
            server.psql = os.path.join(programs, "psql")
            is_ready = [os.path.join(programs, "pg_isready"), "-h", "127.0.0.1", "-p",
                        str(server.port)]
            eventually(lambda: subprocess.run(is_ready, check=False).returncode == 0, "it is ready")
            yield server


# The protocol, as far as these tests speak it.


def message(kind, *body):
    body = b"".join(body)
    return kind + struct.pack("!I", len(body) + 4) + body


def query(text):
    return message(b"Q", text.encode(), b"\0")


def parse(name, text):
    return message(b"P", name, b"\0", text, b"\0\0\0")


def bind(statement, *values):
    """To the unnamed portal, all as text."""
    return message(b"B", b"\0", statement, b"\0", struct.pack("!hh", 0, len(values)),
                   *(struct.pack("!i", len(value)) + value for value in values), b"\0\0")


def execute(rows=0):
    return message(b"E", b"\0", struct.pack("!i", rows))


FLUSH, SYNC, TERMINATE = message(b"H"), message(b"S"), message(b"X")


class Session:
    """A connection that is logged in, slowly if that is asked for."""

    def __init__(self, way, is_slow=False, **parameters):
        self.wire = way.wire()
        send = self.wire.send_cut if is_slow else lambda data, *_: self.wire.send(data)
        words = {"user": USER, "database": "postgres", "client_min_messages": "error",
                 **parameters}
        text = b"".join(word.encode() + b"\0" for pair in words.items() for word in pair) + b"\0"
        send(struct.pack("!II", len(text) + 8, 3 << 16) + text, 2, 11)
        assert self.read() == (b"R", b"\0\0\0\3")
        if is_slow:
            self.wire.expect_no_probe()
        send(message(b"p", PASSWORD.encode(), b"\0"), 7)
        self.read_until(b"Z")

    def read(self):
        kind, size = struct.unpack("!cI", self.wire.receive(5))
        body = self.wire.receive(size - 4)
        if kind in (b"K", b"A"):  # a process, perhaps with its secret
            self.wire.forget(body)
        return kind, body

    def read_until(self, kind):
        """Messages up to and with one of this kind, whose body is returned."""
        while True:
            got, body = self.read()
            if got == kind:
                return body

    def send(self, *messages):
        self.wire.send(b"".join(messages))

    def ask(self, text, status=b"I"):
        self.send(query(text))
        assert self.read_until(b"Z") == status

    def create(self, columns):
        """The table t, in a place that has the same name for everybody."""
        self.ask("DROP TABLE IF EXISTS t")
        self.ask(f"CREATE TABLE t ({columns})")

    def end(self):
        self.send(TERMINATE)
        assert self.wire.finish() == b""


def transactions(way):
    session = Session(way, is_slow=True)
    wire = session.wire
    session.create("n int PRIMARY KEY, word text")
    wire.expect_probe()
    wire.send_cut(query("SELECT 'cut' || 'anywhere'"), 1, 4, 17)
    session.read_until(b"Z")
    session.ask("BEGIN", b"T")
    wire.expect_probe()
    session.ask("INSERT INTO t VALUES (1, 'one')", b"T")
    wire.expect_probe()
    session.ask("COMMIT")
    session.ask("BEGIN", b"T")
    session.ask("INSERT INTO t VALUES (1, 'again')", b"E")
    wire.expect_probe()
    session.ask("SELECT 'refused'", b"E")
    wire.expect_probe()
    session.ask("ROLLBACK")
    session.ask("SELECT n + 0, word || '' FROM t")
    session.end()


def test_a_transaction_and_a_failed_one(postgresql):
    run_both(transactions, postgresql, **PROBE)


def slow_query(way):
    """Probes go while the server works, and wait there for as long."""
    session = Session(way)
    session.send(query("SELECT 'late' FROM pg_sleep(3)"))
    session.wire.expect_probe(3)
    session.read_until(b"Z")
    session.wire.expect_probe()
    session.ask("SELECT 'next'")
    session.end()


def test_a_query_of_three_seconds(postgresql):
    run_both(slow_query, postgresql, **PROBE)


def pipelines(way):
    """The transaction of a pipeline ends with the client's own Sync, not sooner."""
    session = Session(way)
    wire = session.wire
    session.create("n int PRIMARY KEY")
    wire.send_cut(parse(b"put", b"INSERT INTO t VALUES ($1::int)"), 5, 12)
    wire.expect_probe()
    session.send(bind(b"put", b"1"))
    wire.expect_probe()
    session.send(execute())
    wire.expect_probe()
    session.send(bind(b"put", b"2"))
    wire.send_crawling(execute() + SYNC)
    assert session.read_until(b"Z") == b"I"
    # An error late in a pipeline takes back what it executed long before.
    session.send(bind(b"put", b"3"), execute())
    wire.expect_probe()
    session.send(bind(b"put", b"1"), execute())
    wire.expect_probe()
    session.send(bind(b"put", b"4"), execute(), SYNC)
    assert session.read_until(b"Z") == b"I"
    session.ask("SELECT n + 0 FROM t ORDER BY 1")
    # A portal that is fetched from in pieces, with a Flush of the client's own.
    session.ask("BEGIN", b"T")
    session.send(parse(b"", b"SELECT generate_series(1, 10)"), bind(b""))
    for _ in range(2):
        session.send(execute(4), FLUSH)
        session.read_until(b"s")
        wire.expect_probe()
    session.send(execute(), SYNC)
    assert session.read_until(b"Z") == b"T"
    session.ask("COMMIT")
    session.end()


def test_pipelines_before_their_sync(postgresql):
    run_both(pipelines, postgresql, **PROBE)


def copies(way):
    session = Session(way)
    wire = session.wire
    session.create("n int, word text")
    session.send(query("COPY t FROM STDIN"))
    session.read_until(b"G")
    wire.expect_probe()
    wire.send_cut(message(b"d", b"1\tone\n2\ttwo\n"), 1, 4, 9)
    wire.expect_probe()
    session.send(message(b"d", b"3\tth"))
    wire.expect_probe()  # between messages, in the middle of a row
    session.send(message(b"d", b"ree\n"), message(b"c"))
    session.read_until(b"Z")
    session.send(query("COPY t FROM STDIN"))
    session.read_until(b"G")
    session.send(message(b"d", b"4\tfour\n"))
    wire.expect_probe()
    session.send(message(b"f", b"enough\0"))
    session.read_until(b"Z")
    session.ask("COPY t TO STDOUT")
    wire.expect_probe()
    session.send(query(f"COPY (SELECT n, repeat('x', 1000) FROM generate_series(1, {ROWS}) n) "
                       "TO STDOUT"))
    session.read_until(b"H")
    for _ in range(3):
        wire.expect_no_probe()  # much of it waits to be read
        for _ in range(ROWS // 10):
            session.read()
    session.read_until(b"Z")
    wire.expect_probe()
    session.end()


def test_copy_in_and_out(postgresql):
    run_both(copies, postgresql, **PROBE)


def large_values(way):
    """Among them one that is full of what looks like a probe."""
    session = Session(way)
    wire = session.wire
    chosen = random.Random(4)
    session.create("value text")
    value = "".join(chosen.choices("abcdefgh", k=LARGE))
    insert = query(f"INSERT INTO t VALUES ('{value}')")
    wire.send_cut(insert, *chosen.sample(range(6, len(insert)), 3), -1)
    session.read_until(b"Z")
    wire.expect_probe()
    session.send(parse(b"", b"INSERT INTO t VALUES (encode($1::bytea, 'hex'))"))
    insert = bind(b"", b"\\x" + b"4800000004" * 100000)
    wire.send_cut(insert, *chosen.sample(range(6, len(insert)), 2), -1)
    session.send(execute(), SYNC)
    session.read_until(b"Z")
    session.send(query("SELECT value || '' FROM t"))
    session.read_until(b"T")
    session.read_until(b"Z")
    wire.expect_probe()
    session.end()


def test_large_values_cut_anywhere(postgresql):
    run_both(large_values, postgresql, **PROBE)


def notifications(way):
    session, speaker = Session(way), Session(way)
    session.ask("LISTEN news")
    for word in ("first", "second"):
        session.wire.expect_probe()
        speaker.ask(f"NOTIFY news, '{word}'")
        assert word.encode() in session.read_until(b"A")
        speaker.wire.expect_probe()
    speaker.end()
    session.wire.expect_probe()
    session.end()


def test_notifications(postgresql):
    run_both(notifications, postgresql, **PROBE)


# psql.

SCRIPT = r"""
\set ON_ERROR_STOP off
CREATE TEMP TABLE t (n int, word text);
\! sleep 0.5
BEGIN;
INSERT INTO t VALUES (1, 'one'), (2, 'two');
\! sleep 0.5
SELECT 1 / 0;
\! sleep 0.5
SELECT 'refused';
ROLLBACK;
\copy t from program 'echo 3,three; sleep 0.5; echo 4,four' with (format csv)
\copy (SELECT n, repeat(word, 1000) FROM t) to program 'md5sum'
SELECT 'late' FROM pg_sleep(1);
\set FETCH_COUNT 3
SELECT generate_series(1, 10);
\! sleep 0.5
SELECT count(*) FROM t \gdesc
"""
TLS_SCRIPT = r"""
SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
\! sleep 1
SELECT 'still ' || 'here';
"""


def psql(lane, program, script):
    host, port = lane.address.rsplit(":", 1)
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    return run([program, "-XAta", "-h", host, "-p", port, "-U", USER, "postgres"],
               input=script.encode(), env=environment)


def test_psql(postgresql):
    """It asks for TLS first, and is refused."""
    wanted = psql(Straight(postgresql).lane(), postgresql.psql, SCRIPT)
    assert b"COPY 2" in wanted
    with Probed(postgresql, **PROBE) as probed:
        lane = probed.lane()
        assert psql(lane, postgresql.psql, SCRIPT) == wanted
        probed.expect_complete()
        assert lane.probes() > 4


@contextlib.contextmanager
def with_tls(postgresql):
    lane = Straight(postgresql).lane()
    for value in ("on", "off"):
        psql(lane, postgresql.psql, f"ALTER SYSTEM SET ssl = {value};\nSELECT pg_reload_conf();")
        eventually(lambda: value.encode() in psql(lane, postgresql.psql, "SHOW ssl;"), "it is set")
        if value == "on":
            yield


def test_psql_over_tls_is_not_probed(postgresql):
    with with_tls(postgresql), Probed(postgresql, **PROBE) as probed:
        lane = probed.lane()
        said = psql(lane, postgresql.psql, TLS_SCRIPT)
        assert b"\nt\n" in said and b"\nstill here\n" in said
        assert lane.probes() == 0


# What a probe defeats, as the manual says.


def idle_session(way, limit):
    session = Session(way, options=f"-c {limit}={QUIET}s")
    if "transaction" in limit:
        session.ask("BEGIN", b"T")
    return session


LIMITS = [("idle_session_timeout", b"57P05"), ("idle_in_transaction_session_timeout", b"25P03")]


@pytest.mark.parametrize("limit, error", LIMITS)
def test_one_probe_switches_the_limits_of_idle_sessions_off(postgresql, limit, error):
    with Straight(postgresql) as straight:
        assert error in idle_session(straight, limit).read_until(b"E")
    with Probed(postgresql, **PROBE) as probed:
        session = idle_session(probed, limit)
        session.wire.expect_probe()
        session.wire.expect_silence(3 * QUIET)
        session.ask("COMMIT")
        session.end()
        probed.expect_complete()


@pytest.mark.parametrize("limit, error", LIMITS)
def test_with_rarer_probes_the_server_ends_an_idle_session(postgresql, limit, error):
    with Probed(postgresql, interval=10 * QUIET, **PROBE) as probed:
        session = idle_session(probed, limit)
        assert error in session.read_until(b"E")
        session.wire.finish()
        probed.expect_complete()
        assert session.wire.lane.probes() == 0
