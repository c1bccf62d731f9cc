"""Real programs as servers: each on a free port of the loopback device, in a directory of its own,
and gone when its test is."""

import hashlib
import os
import shutil
import subprocess

import pytest

from lib.peers import TIMEOUT, eventually
from lib.ports import free_port, is_served_by

TRIES = 3  # a program that is no test of ours may take the port between our look and the start


def need(*names):
    """The paths of programs; skips the test, by name, where one is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = [shutil.which(name, path=path) for name in names]
    missing = [name for name, where in zip(names, found) if where is None]
    if missing:
        pytest.skip("needs " + ", ".join(missing))
    return found[0] if len(found) == 1 else found


class Server:
    """A program that serves on a port; `make_command(port)` returns how it is started."""

    starts_within = TIMEOUT

    def __init__(self, directory, make_command, **options):
        self.process = None
        self._log_path = os.path.join(directory, "server.log")
        for _ in range(TRIES):
            self.port = free_port()
            if self._start(make_command(self.port), options):
                return
        raise AssertionError("the server does not start: " + self.log())

    def _start(self, command, options):
        with open(self._log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **options)
        try:
            eventually(lambda: self.process.poll() is not None or self.is_served(),
                       "the server serves", self.starts_within)
        except BaseException:
            self.close()
            raise
        return self.process.poll() is None

    def is_served(self):
        """By this program: somebody else's socket on the port is none of ours."""
        return is_served_by(self.process.pid, self.port)

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def run(command, within=3 * TIMEOUT, **options):
    """Runs a client to its end; its output as bytes. A failure says what the client said."""
    result = subprocess.run(command, capture_output=True, timeout=within, check=False, **options)
    assert result.returncode == 0, (command[0], result.returncode,
                                    result.stderr.decode(errors="replace"))
    return result.stdout


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
