"""A log that takes nothing costs lines, and nothing else: sessions are relayed, the signal to stop is
heard, and what was queued comes when somebody reads again."""

import fcntl
import os
import re
import signal
import subprocess
import time

import pytest

from lib.daemon import BINARY, die_with_parent, environment, to_settings
from lib.peers import TIMEOUT, Background, Backend, Peer, eventually
from lib.ports import is_path_served

SESSIONS = 300    # with their lines: more than the pipe holds, less than the queue
PIPE_BYTES = 4096
STOP_SECONDS = 2  # as long as the log waits at the end for a target that takes nothing


class Deaf:
    """A daemon with a listener in front of one backend, whose stderr is a small pipe that nobody
    reads until read_all() does."""

    def __init__(self, directory, **log):
        self.backend = Backend()
        self.address = f"unix:{directory}/web"
        config = directory / "finback.conf"
        config.write_text(to_settings({
            "workers": 1, "drain": "1s", "log": {"target": "stderr", **log}, "listeners": (
                {"name": "web", "listen": self.address, "servers": self.backend.address},)}))
        self.pipe, end = os.pipe()
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.process = subprocess.Popen([BINARY, "-c", str(config)], stderr=end,
                                        env=environment(), preexec_fn=die_with_parent)
        os.close(end)
        self.peers = []

    def __enter__(self):
        eventually(lambda: is_path_served(self.address.removeprefix("unix:")), "it listens")
        return self

    def __exit__(self, *exception):
        for peer in self.peers:
            peer.reset()
        self.backend.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        os.close(self.pipe)

    def pair(self):
        client = Peer.connect(self.address)
        self.peers.append(client)
        return client, self.backend.accept()

    def read_all(self):
        """The log up to its end, as lines."""
        text = bytearray()
        while chunk := os.read(self.pipe, 1 << 16):
            text += chunk
        return text.decode().splitlines()


def ping(client, server):
    client.send(b"ping")
    assert server.receive(4) == b"ping"
    server.send(b"pong")
    assert client.receive(4) == b"pong"


def run_sessions(deaf, count):
    """Sessions that are reset one after the other; each has a line."""
    for _ in range(count):
        client, server = deaf.pair()
        ping(client, server)
        server.reset()
        client.read_to_eof()
        client.close()


@pytest.mark.threads
def test_sessions_go_on_and_no_line_is_lost(tmp_path):
    with Deaf(tmp_path) as deaf:
        live = deaf.pair()
        run_sessions(deaf, SESSIONS)
        ping(*live)
        reader = Background(deaf.read_all)
        live[1].reset()
        deaf.process.send_signal(signal.SIGTERM)
        assert deaf.process.wait(TIMEOUT) == 0
        lines = reader.result()
        ids = [int(match[1]) for line in lines
               if (match := re.match(r"finback: session (\d+) server_reset: ", line))]
        assert len(set(ids)) == SESSIONS + 1
        assert ids[:-1] == sorted(ids[:-1])
        assert any(line.startswith("finback: ready") for line in lines)
        assert not any("lines of the log were" in line for line in lines)


def test_it_stops_though_nobody_reads(tmp_path):
    with Deaf(tmp_path) as deaf:
        run_sessions(deaf, SESSIONS)
        start = time.monotonic()
        deaf.process.send_signal(signal.SIGTERM)
        assert deaf.process.wait(TIMEOUT) == 0
        assert time.monotonic() - start < STOP_SECONDS + 4
        assert deaf.read_all()[0].startswith("finback: ")


@pytest.mark.threads
def test_a_reload_takes_the_log_away(tmp_path):
    """From a pipe that nobody reads to a file, and that at once."""
    log = tmp_path / "finback.log"
    with Deaf(tmp_path) as deaf:
        run_sessions(deaf, SESSIONS)
        config = tmp_path / "finback.conf"
        config.write_text(config.read_text().replace('"stderr"', f'"{log}"'))
        deaf.process.send_signal(signal.SIGHUP)
        eventually(log.exists, "the new log")
        ping(*deaf.pair())
        reader = Background(deaf.read_all)
        eventually(lambda: "finback: reloaded" in log.read_text(), "the reload in the new log")
        run_sessions(deaf, 1)
        deaf.process.send_signal(signal.SIGTERM)
        assert deaf.process.wait(TIMEOUT) == 0
        lines = reader.result() + log.read_text().splitlines()
        assert sum(" server_reset: " in line for line in lines) == SESSIONS + 1


@pytest.mark.parametrize("arguments", (["-c", "/dev/null"], ["--demo=nothing"]))
def test_the_last_error_is_seen(arguments):
    """What is logged just before the end is written before it."""
    result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=TIMEOUT,
                            env=environment(), check=False)
    assert result.returncode > 0
    assert "finback: error: " in result.stderr


def test_the_error_of_a_failed_start_is_seen(tmp_path):
    with Backend() as taken:
        config = tmp_path / "finback.conf"
        config.write_text(to_settings({"log": {"target": "stderr"}, "listeners": (
            {"name": "web", "listen": taken.address, "servers": "127.0.0.1:9"},)}))
        result = subprocess.run([BINARY, "-c", str(config)], capture_output=True, text=True,
                                timeout=TIMEOUT, env=environment(), check=False)
    assert result.returncode == os.EX_OSERR
    assert re.search(rf"(?m)^finback: error: .*{re.escape(taken.address)}", result.stderr)
