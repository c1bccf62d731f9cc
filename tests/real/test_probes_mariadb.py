"""MariaDB and its clients, probed in the protocol "mysql": a COM_STMT_CLOSE of no statement stands
between the answer to one command and the next command, and nowhere else."""

import hashlib
import os
import struct

import pytest

from lib.peers import eventually
from probes import Probed, Straight, directory_of, options_of, run_both
from programs import Server, need, run

USER, PASSWORD, DATABASE = b"finback", b"secret", b"work"
QUIET = 1  # seconds that the server allows an idle session, where it is told to
PART = 0xffffff  # a packet's largest part; one of that size is followed by another

PROBE = {"protocol": "mysql"}

pytestmark = pytest.mark.xdist_group("mariadb")

# Capabilities: protocol 4.1 with a plain login, LOCAL INFILE, several statements and results. The
# first bit tells MySQL's clients from MariaDB's, which may have further capabilities.
COMMON, MYSQL, WITHOUT_EOF = 0xfa28e, 1, 1 << 24
PROGRESS, CACHED = 1, 1 << 4
CLIENTS = {"mysql": (COMMON | MYSQL, 0),
           "mysql_without_eof": (COMMON | MYSQL | WITHOUT_EOF, 0),
           "mariadb": (COMMON | WITHOUT_EOF, PROGRESS | CACHED)}

QUIT, PING, STATISTICS, QUERY = b"\1", b"\x0e", b"\x09", b"\3"
PREPARE, EXECUTE, LONG_DATA = b"\x16", b"\x17", b"\x18"
CLOSE, RESET, FETCH = b"\x19", b"\x1a", b"\x1c"
MORE_RESULTS, HAS_CURSOR = 8, 64  # of an answer's status

INIT = """
CREATE DATABASE IF NOT EXISTS work;
CREATE USER IF NOT EXISTS finback IDENTIFIED BY 'secret';
GRANT ALL ON *.* TO finback;
"""


@pytest.fixture(scope="module", name="mariadb")
def mariadb_server():
    install, program, client = need("mariadb-install-db", "mariadbd", "mariadb")
    with directory_of("nobody") as directory:
        data, init = os.path.join(directory, "data"), os.path.join(directory, "init.sql")
        # Its own: a server that starts clears away the temporary tables of all that share one.
        tmpdir = f"--tmpdir={directory}"
        small = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"]
        options = options_of("nobody")
        run([install, "--no-defaults", f"--datadir={data}", "--skip-test-db", tmpdir, *small,
             "--auth-root-authentication-method=normal"], **options)
        with open(init, "w", encoding="ascii") as file:
            file.write(INIT)

        def command(port):
            return [program, "--no-defaults", f"--datadir={data}", f"--port={port}", tmpdir,
                    *small,
                    "--bind-address=127.0.0.1", f"--socket={directory}/socket", "--local-infile=1",
                    f"--init-file={init}", "--skip-name-resolve", "--max-allowed-packet=64M"]

        with Server(directory, command, **options) as server:
            server.client = client
            eventually(lambda: "ready for connections" in server.log(), "it is ready")
            yield server


# The protocol, as far as these tests speak it.


def with_head(payload, sequence=0):
    """As a packet: in parts, if need be."""
    parts = b""
    for start in range(0, len(payload) + 1, PART):
        part = payload[start:start + PART]
        parts += struct.pack("<I", len(part) | sequence << 24) + part
        sequence += 1
    return parts


def encoded(data, at):
    """A length-encoded integer, and where it ends."""
    size = {0xfc: 2, 0xfd: 3, 0xfe: 8}.get(data[at], 0)
    if size == 0:
        return data[at], at + 1
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


def status_of(packet):
    """Of an OK or an EOF."""
    if packet[0] == 0xfe and len(packet) == 5:
        return struct.unpack_from("<H", packet, 3)[0]
    at = encoded(packet, encoded(packet, 1)[1])[1]
    return struct.unpack_from("<H", packet, at)[0]


def scrambled(salt):
    """mysql_native_password."""
    once = hashlib.sha1(PASSWORD).digest()
    mixed = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mixed))


class Session:
    """A connection that is logged in, slowly if that is asked for."""

    def __init__(self, way, client="mysql", is_slow=False):
        capabilities, further = CLIENTS[client]
        self.wire = way.wire()
        self.without_eof = capabilities & WITHOUT_EOF
        self.tells_cached = further & CACHED
        greeting = self.read()
        self.wire.forget(greeting)  # the connection's number, and its salt
        at = greeting.index(b"\0") + 5
        answer = scrambled(greeting[at:at + 8] + greeting[at + 27:at + 39])
        response = struct.pack("<IIB19xI", capabilities, 1 << 24, 45, further) + USER + b"\0" + \
            bytes([len(answer)]) + answer + DATABASE + b"\0mysql_native_password\0"
        response = with_head(response, 1)
        if is_slow:
            self.wire.expect_no_probe()
            self.wire.send_cut(response, 3, 20)
        else:
            self.wire.send(response)
        assert self.read()[0] == 0

    def read(self):
        """A packet, of all its parts."""
        packet = bytearray()
        while True:
            size = int.from_bytes(self.wire.receive(4)[:3], "little")
            packet += self.wire.receive(size)
            if size < PART:
                return bytes(packet)

    def is_end(self, packet):
        return packet[0] == 0xff or \
            packet[0] == 0xfe and len(packet) < (PART if self.without_eof else 9)

    def read_rows(self):
        """Rows to their end, whose status is returned; 0 after an error."""
        while not self.is_end(packet := self.read()):
            pass
        return 0 if packet[0] == 0xff else status_of(packet)

    def read_definitions(self, count):
        for _ in range(count):
            self.read()
        return 0 if self.without_eof or count == 0 else status_of(self.read())

    def read_result(self):
        """A result: its status."""
        first = self.read()
        if first[0] == 0xff:
            return 0
        if first[0] == 0:
            return status_of(first)
        count, at = encoded(first, 0)
        if self.tells_cached and first[at] == 0:
            count = 0
        status = self.read_definitions(count)
        return status if status & HAS_CURSOR else self.read_rows()

    def read_results(self):
        while self.read_result() & MORE_RESULTS:
            pass

    def send(self, kind, payload=b""):
        self.wire.send(with_head(kind + payload))

    def ask(self, text):
        self.send(QUERY, text.encode())
        self.read_results()

    def prepare(self, text):
        """A statement's number."""
        self.send(PREPARE, text.encode())
        answer = self.read()
        self.wire.forget(answer)  # the server counts the statements of all sessions
        _, number, columns, parameters = struct.unpack_from("<BIHH", answer)
        self.read_definitions(parameters)
        self.read_definitions(columns)
        return struct.pack("<I", number)

    def end(self):
        self.send(QUIT)
        assert self.wire.finish() == b""


def queries(client):
    def session(way):
        session = Session(way, client, is_slow=True)
        wire = session.wire
        session.ask("CREATE OR REPLACE TABLE t (n INT PRIMARY KEY AUTO_INCREMENT, word CHAR(3))")
        wire.expect_probe()
        wire.send_cut(with_head(QUERY + b"SELECT 'cut', 'anywhere'"), 3, 12)
        session.read_results()
        session.send(QUERY, b"SELECT SLEEP(1.5)")
        wire.expect_no_probe()
        session.read_results()
        session.ask("SELECT 1; SELECT 2, 3; DO 4; SELECT 5 FROM DUAL WHERE FALSE")
        wire.expect_probe()
        session.ask("CREATE OR REPLACE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END")
        session.ask("CALL p()")
        wire.expect_probe()
        session.ask("SELECT 1; SELECT wrong; SELECT 3")
        wire.expect_probe()
        wire.send_crawling(with_head(PING))
        assert session.read()[0] == 0
        wire.expect_probe()
        session.send(STATISTICS)
        wire.forget(with_head(session.read(), 1))  # its size differs, too
        wire.expect_probe()
        session.end()
    return session


@pytest.mark.parametrize("client", CLIENTS)
def test_queries(mariadb, client):
    run_both(queries(client), mariadb, **PROBE)


def transactions(way):
    """What a session remembers of its last command is the same after a probe."""
    session = Session(way)
    wire = session.wire
    session.ask("SET sql_mode = ''")
    session.ask("CREATE OR REPLACE TABLE t (n INT PRIMARY KEY AUTO_INCREMENT, word CHAR(3))")
    session.ask("BEGIN")
    wire.expect_probe()
    session.ask("INSERT INTO t (word) VALUES ('long one'), ('two')")
    for asked in ("SHOW WARNINGS", "SELECT LAST_INSERT_ID()"):
        wire.expect_probe()
        session.ask(asked)
    session.ask("UPDATE t SET word = 'new'")
    wire.expect_probe()
    session.ask("SELECT ROW_COUNT()")
    session.ask("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1")
    wire.expect_probe()
    session.ask("SELECT FOUND_ROWS()")
    session.ask("INSERT INTO t VALUES (1, 'again')")
    wire.expect_probe()
    session.ask("SHOW ERRORS")
    wire.expect_probe()
    session.ask("ROLLBACK")
    session.ask("SELECT * FROM t")
    wire.expect_probe()
    session.ask("BEGIN; INSERT INTO t VALUES (7, 'in'); SAVEPOINT s; DELETE FROM t")
    wire.expect_probe()
    session.ask("ROLLBACK TO s; COMMIT")
    session.ask("SELECT * FROM t")
    session.end()


def test_a_transaction_and_what_it_tells(mariadb):
    run_both(transactions, mariadb, **PROBE)


def statements(client):
    def session(way):
        session = Session(way, client)
        wire = session.wire
        session.ask("CREATE OR REPLACE TABLE t (n INT, word TEXT)")
        put = session.prepare("INSERT INTO t VALUES (?, ?)")
        wire.expect_probe()
        for number in (1, 2):
            for piece in (b"one ", b"piece ", b"after another"):
                session.send(LONG_DATA, put + struct.pack("<H", 1) + piece)
                wire.expect_probe()
            # One execution, no value is NULL, types follow: an integer and a string.
            session.send(EXECUTE, put + struct.pack("<BIBBHHI", 0, 1, 0, 1, 3, 252, number))
            session.read_results()
            wire.expect_probe()
        wire.send_cut(with_head(LONG_DATA + put + struct.pack("<H", 1) + b"forgotten"), 8)
        session.send(RESET, put)
        assert session.read()[0] == 0
        get = session.prepare("SELECT * FROM t WHERE n < ?")
        wire.expect_probe()
        session.send(EXECUTE, get + struct.pack("<BIBBHI", 0, 1, 0, 1, 3, 9))
        session.read_results()
        session.send(CLOSE, get)
        wire.expect_probe()
        rows = session.prepare("SELECT seq FROM seq_1_to_10")
        session.send(EXECUTE, rows + struct.pack("<BI", 1, 1))  # opens a cursor
        session.read_results()
        for _ in range(3):
            wire.expect_probe()
            session.send(FETCH, rows + struct.pack("<I", 4))
            session.read_rows()
        # The statement that was prepared last, as MariaDB's clients may say.
        session.prepare("SELECT 'last'")
        wire.expect_probe()
        session.send(EXECUTE, b"\xff" * 4 + struct.pack("<BI", 0, 1))
        session.read_results()
        session.end()
    return session


@pytest.mark.parametrize("client", CLIENTS)
def test_prepared_statements(mariadb, client):
    run_both(statements(client), mariadb, **PROBE)


def large_values(way):
    session = Session(way)
    wire = session.wire
    probe = b"\5\0\0\0\x19\0\0\0\0"
    for size in (PART + 70000, PART):
        text = b"SELECT MD5('%b') AS sum"
        value = (probe.hex().encode() * (size // 18 + 1))[:size - 1 - len(text % b"")]
        packet = with_head(QUERY + text % value)
        # In both parts, between them, and in the head of the second.
        wire.send_cut(packet, 5000000, PART + 4, PART + 6, -1)
        session.read_results()
        wire.expect_probe()
    session.ask(f"SELECT REPEAT('x', {PART + 70000}) AS value")
    wire.expect_probe()
    session.ask(f"SELECT REPEAT('x', {PART - 4}) AS value")
    wire.expect_probe()
    session.end()


def test_values_of_several_parts_cut_anywhere(mariadb):
    run_both(large_values, mariadb, **PROBE)


def load_data(way):
    """After it no probe goes out."""
    session = Session(way)
    wire = session.wire
    session.ask("CREATE OR REPLACE TABLE t (n INT, word TEXT)")
    wire.expect_probe()
    session.send(QUERY, b"LOAD DATA LOCAL INFILE 'file' INTO TABLE t")
    assert session.read() == b"\xfbfile"
    wire.expect_no_probe()
    content = with_head(b"1\tone\n2\ttwo\n", 2)
    wire.send_cut(content, 2, 4, 10)
    wire.expect_no_probe()
    wire.send(with_head(b"3\tthree\n", 3))
    wire.expect_no_probe()
    wire.send(with_head(b"", 4))
    session.read_results()
    session.ask("SELECT * FROM t")
    wire.expect_no_probe()
    session.end()


def test_load_data_local(mariadb):
    run_both(load_data, mariadb, **PROBE)


# The client program.

SCRIPT = """
CREATE OR REPLACE TABLE t (n INT, word VARCHAR(100));
BEGIN;
INSERT INTO t VALUES (1, 'one'), (2, 'two');
\\! sleep 0.5
SELECT * FROM t;
ROLLBACK;
\\! sleep 0.5
SELECT wrong FROM t;
SHOW WARNINGS;
\\! sleep 0.5
PREPARE s FROM 'SELECT ?';
EXECUTE s USING 7;
\\! sleep 0.5
LOAD DATA LOCAL INFILE '{file}' INTO TABLE t;
\\! sleep 0.5
SELECT SLEEP(1), COUNT(*) FROM t;
"""


def mariadb_client(lane, server, file):
    host, port = lane.address.rsplit(":", 1)
    command = [server.client, "--no-defaults", "-h", host, "-P", port, f"-u{USER.decode()}",
               f"-p{PASSWORD.decode()}", "-D", DATABASE.decode(), "-v", "-f", "-t",
               "--show-warnings", "--local-infile=1"]
    return run(command, input=SCRIPT.format(file=file).encode())


def test_mariadb_client(mariadb, tmp_path):
    file = tmp_path / "rows"
    file.write_text("".join(f"{number}\tword\n" for number in range(1000)), encoding="ascii")
    wanted = mariadb_client(Straight(mariadb).lane(), mariadb, file)
    assert b"1000" in wanted
    with Probed(mariadb, **PROBE) as probed:
        lane = probed.lane()
        assert mariadb_client(lane, mariadb, file) == wanted
        probed.expect_complete()
        assert lane.probes() > 3


# What a probe defeats, as the manual says.


def idle_session(way):
    session = Session(way)
    session.ask(f"SET wait_timeout = {QUIET}")
    return session


def test_probes_hold_wait_timeout_off(mariadb):
    with Straight(mariadb) as straight:
        session = idle_session(straight)
        with pytest.raises((ConnectionResetError, AssertionError)):  # a reset, or an end of file
            session.read()
    with Probed(mariadb, **PROBE) as probed:
        session = idle_session(probed)
        session.wire.expect_silence(3 * QUIET)
        session.ask("SELECT 'still here'")
        session.end()
        probed.expect_complete()
