"""log.format = "json": each line is one JSON object, and a session's has all that its text line
has."""

import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import threading

from lib.daemon import BINARY, Finback, Session, die_with_parent, environment, to_settings
from lib.peers import TIMEOUT, Backend, Peer, eventually, refusing_backend
from lib.ports import is_path_served

# What two runs of the same sessions differ in.
VARYING = re.compile(r"ms$|^ms_|^id$|^client|^server")
LEVELS = {"error", "warning", "info", "debug"}


class Log:
    """All lines of a stream, parsed as they come."""

    def __init__(self, stream):
        self.objects = []
        self.errors = []
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._stream:
            try:
                self.objects.append(json.loads(line))
            except ValueError as error:
                self.errors.append((line, error))

    def sessions(self):
        return [entry for entry in self.objects if "session" in entry]

    def end(self):
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        assert not self.errors, self.errors


@contextlib.contextmanager
def json_daemon(directory, servers, **log):
    """A daemon whose stderr is JSON, as (process, Log, address)."""
    address = f"unix:{directory}/web"
    config = directory / "finback.conf"
    config.write_bytes(to_settings({
        "log": {"target": "stderr", "format": "json", **log}, "drain": "1s", "listeners": (
            {"name": "web", "listen": address, "servers": "SERVERS"},)},
    ).encode().replace(b"SERVERS", servers))
    with subprocess.Popen([BINARY, "-c", str(config)], stderr=subprocess.PIPE, env=environment(),
                          preexec_fn=die_with_parent) as process:
        try:
            eventually(lambda: is_path_served(f"{directory}/web") or process.poll() is not None,
                       "it listens")
            yield process, Log(process.stderr), address
        finally:
            if process.poll() is None:
                process.kill()


def run_sessions(connect, backend):
    """One that is complete, one that is reset."""
    client, server = connect(), backend.accept()
    client.send_and_half_close(b"hello")
    assert server.read_to_eof() == b"hello"
    server.send_and_half_close(b"bye")
    assert client.read_to_eof() == b"bye"
    client.close()
    client, server = connect(), backend.accept()
    server.reset()
    client.expect_reset()
    client.close()


def text_sessions(directory):
    """The same sessions as the lines for people have them."""
    with Backend() as backend:
        config = {"listeners": ({"name": "web", "listen": f"unix:{directory}/text",
                                 "servers": backend.address},)}
        with Finback(config) as finback:
            run_sessions(lambda: Peer.connect(f"unix:{directory}/text"), backend)
            finback.wait_session(count=2)
            return finback.sessions()


def test_the_same_fields_as_text(tmp_path):
    with Backend() as backend:
        with json_daemon(tmp_path, backend.address.encode()) as (process, log, address):
            run_sessions(lambda: Peer.connect(address), backend)
            eventually(lambda: len(log.sessions()) == 2, "two sessions")
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
            log.end()
    entries = {entry["ending"]: entry for entry in log.sessions()}
    sessions = {session["ending"]: session for session in text_sessions(tmp_path)}
    assert set(entries) == set(sessions) == {"complete", "server_reset"}
    for ending, session in sessions.items():
        check_session(entries[ending], session)
    check_messages(log.objects)


def check_session(entry, session):
    ending = session["ending"]
    assert entry["message"] == f"session {entry['session']} {ending}"
    assert entry["level"] == "info"
    for key in ("time", "level", "message"):
        del entry[key]
    # Pairs in the same order, and of the same kind: the number comes first as "id" in text.
    assert ["id", *list(entry)[1:]] == list(session)
    for key, value in session.items():
        if not VARYING.search(key):
            assert entry[key] == value, key
        assert isinstance(value, int) == isinstance(entry.get(key, 0), int), key


def check_messages(entries):
    for entry in entries:
        if "session" not in entry:
            assert list(entry) == ["time", "level", "message"]
            assert entry["level"] in LEVELS
    messages = [entry["message"] for entry in entries if "session" not in entry]
    assert any(message.startswith("ready") for message in messages)


def test_the_time_is_now(tmp_path):
    with Backend() as backend:
        with json_daemon(tmp_path, backend.address.encode()) as (_, log, _):
            eventually(lambda: log.objects, "a line")
            time = datetime.datetime.fromisoformat(log.objects[0]["time"])
            assert time.utcoffset() is not None
            age = datetime.datetime.now(datetime.timezone.utc) - time
            assert abs(age.total_seconds()) < TIMEOUT


def test_null_stands_for_none(tmp_path):
    with refusing_backend() as backend:
        with json_daemon(tmp_path, backend.address.encode()) as (_, log, address):
            client = Peer.connect(address)
            client.expect_reset()
            client.close()
            session = eventually(log.sessions, "a session")[0]
            assert session["ending"] == "connect_refused"
            assert session["server_local"] is None
            assert session["detail"] == "Connection refused"
            assert session["client"] == "unix"


def test_names_of_odd_bytes(tmp_path):
    """A path may have any bytes; where they are no UTF-8 each is U+FFFD in the log."""
    name = b'a"b\\c =\xc3\xa4\xff\xc3'
    backend = Backend("unix")
    odd = os.path.join(os.fsencode(tmp_path), name)
    os.symlink(backend.address.removeprefix("unix:"), odd)
    written = odd.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    with backend, json_daemon(tmp_path, b"unix:" + written) as (_, log, address):
        client, server = Peer.connect(address), backend.accept()
        server.reset()
        client.read_to_eof()
        client.close()
        session = eventually(log.sessions, "a session")[0]
        assert session["server_name"] == "unix:" + odd.decode(errors="replace")
        assert not log.errors


def test_a_file_of_json_lines(tmp_path):
    """The format changes with a reload, and each line is whole in one format or the other."""
    log = tmp_path / "finback.log"
    config = tmp_path / "finback.conf"
    with Backend() as backend:
        with json_daemon(tmp_path, backend.address.encode(), target=str(log)) as (process, _, at):
            run_sessions(lambda: Peer.connect(at), backend)
            eventually(lambda: log.read_text().count('"session":') == 2, "two sessions")
            config.write_text(config.read_text().replace('"json"', '"text"'))
            process.send_signal(signal.SIGHUP)
            eventually(lambda: " finback: reloaded" in log.read_text(), "a reload")
            run_sessions(lambda: Peer.connect(at), backend)
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
    lines = log.read_text().splitlines()
    texts = [line.split(" ", 1)[1] for line in lines if not line.startswith("{")]
    assert len([text for text in texts if Session.of(text)]) == 2
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert len([entry for entry in entries if "session" in entry]) == 2
