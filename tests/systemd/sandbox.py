"""A real systemd in namespaces of its own, with the daemon and its units installed, and what a
test does with it: commands, files, sockets and the journal."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BINARY = os.path.join(TOP, os.environ.get("FINBACK_BINARY", "build/release/finback"))
UNITS = [os.path.join(TOP, "systemd", name) for name in ("finback.service", "finback.socket")]
CONFIG = "/etc/finback/finback.conf"
DROP_IN = "/etc/systemd/system/finback.service.d/test.conf"

CANNOT_RUN = 77
LIFETIME = 300  # seconds, of the whole sandbox
TIMEOUT = 20  # seconds, of one step


class Unavailable(Exception):
    """Something that the sandbox needs is missing here; the text says what."""


def eventually(check, what, within=TIMEOUT):
    """Waits until check() gives something true, and returns that."""
    end = time.monotonic() + within
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.02)


class Sandbox:
    def __init__(self):
        command = [os.path.join(HERE, "systemd-sandbox"), "-t", str(LIFETIME)]
        for unit in UNITS:
            command += ["-u", unit]
        command += ["-f", BINARY + ":/usr/sbin/finback", "-f", BINARY + "ctl:/usr/bin/finbackctl",
                    "--", "/usr/bin/python3", "-B", os.path.join(HERE, "agent.py")]
        self._channel, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile(mode="w+")
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL,
                                             stderr=self._complaints, cwd="/")
        self._channel.settimeout(TIMEOUT + 10)
        try:
            self._reply()
        except BaseException:
            self.close()
            raise

    def close(self):
        self._channel.close()  # the agent ends, and with it the sandbox
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        self._complaints.close()

    def _reply(self):
        """The next line from the agent as a dict, with "socket" where one came along."""
        line, found = b"", []
        while not line.endswith(b"\n"):
            part, descriptors, _, _ = socket.recv_fds(self._channel, 65536, 1)
            found += descriptors
            if not part:
                self._ended()
            line += part
        reply = json.loads(line)
        if found:
            reply["socket"] = socket.socket(fileno=found[0])
        assert "error" not in reply, reply["error"]
        return reply

    def _ended(self):
        status = self._process.wait(TIMEOUT)
        self._complaints.seek(0)
        complaints = self._complaints.read().strip()
        if status == CANNOT_RUN:
            raise Unavailable(complaints)
        raise AssertionError(f"the sandbox ended with status {status}: {complaints}")

    def _ask(self, verb, **request):
        self._channel.sendall(json.dumps({"verb": verb, **request}).encode() + b"\n")
        return self._reply()

    def run(self, *argv, within=TIMEOUT):
        """Runs a command to its end. Returns a dict of status, stdout and stderr."""
        return self._ask("run", argv=argv, within=within)

    def check(self, *argv, within=TIMEOUT):
        """Runs a command that must succeed, and returns what it wrote."""
        done = self.run(*argv, within=within)
        assert done["status"] == 0, (argv, done)
        return done["stdout"]

    def write(self, path, text):
        self._ask("write", path=path, text=text)

    def read(self, path):
        return self._ask("read", path=path)["text"]

    def socket(self):
        """A TCP socket of the sandbox's network, neither bound nor connected."""
        made = self._ask("socket")["socket"]
        made.settimeout(TIMEOUT)
        return made

    def show(self, unit, name):
        """A property of a unit."""
        return self.check("systemctl", "show", "-P", name, unit).strip()

    def cursor(self):
        """Where the journal ends now."""
        self.check("journalctl", "--sync")
        last = self.check("journalctl", "--no-pager", "-n", "1", "-o", "json")
        return json.loads(last)["__CURSOR"]

    def journal(self, since, **fields):
        """The entries after a cursor that have these fields, as dicts."""
        self.check("journalctl", "--sync")
        text = self.check("journalctl", "--no-pager", "-o", "json", "--all", "--after-cursor",
                          since)
        return [entry for entry in map(json.loads, text.splitlines())
                if all(entry.get(name) == value for name, value in fields.items())]


class Backend:
    """Reads each connection to its end of file, and only then answers with its own name and what
    it read."""

    def __init__(self, sandbox, port, name):
        self.name = name
        self.accepted = 0
        self.socket = sandbox.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(64)
        self.socket.settimeout(None)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer:
            try:
                peer.sendall(self.name + b":" + read_all(peer))
            except OSError:
                pass  # reset, which is what some tests want

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        except OSError:
            pass
        self.socket.close()


def read_all(peer):
    parts = []
    while True:
        part = peer.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
