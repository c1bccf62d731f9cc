"""One sandbox for all tests here, and for each of them a service that starts from nothing."""

import os
import socket
import struct

import pytest

from sandbox import BINARY, CONFIG, DROP_IN, Backend, Sandbox, Unavailable, eventually, read_all

PORT = 8080
CONFIGURATION = """\
drain = "%(drain)s";
workers = 2;
listeners = (
  { name = "front";
    listen = "%(listen)s";
    servers = "127.0.0.1:%(backend)d"; }
);
"""


@pytest.fixture(scope="session")
def sandbox():
    if not os.access(BINARY, os.X_OK):
        pytest.skip(f"no daemon at {BINARY}; FINBACK_BINARY names it")
    if os.geteuid() != 0:
        pytest.skip("a systemd of one's own needs root")
    try:
        box = Sandbox()
    except Unavailable as missing:
        pytest.skip(f"no systemd of one's own here: {missing}")
    yield box
    box.close()


class Service:
    """finback.service, and peers for it."""

    def __init__(self, box):
        self.box = box
        self.backends = []
        self.peers = []
        self.has_drop_in = False
        self.since = box.cursor()

    def configure(self, backend, listen=f"127.0.0.1:{PORT}", drain="2s"):
        self.box.write(CONFIG, CONFIGURATION % {"drain": drain, "listen": listen,
                                                "backend": backend.port})

    def drop_in(self, text):
        self.has_drop_in = True
        self.box.write(DROP_IN, text)
        self.box.check("systemctl", "daemon-reload")

    def backend(self, name, port=0):
        made = Backend(self.box, port, name)
        self.backends.append(made)
        return made

    def start(self):
        self.box.check("systemctl", "start", "finback.service")

    def show(self, name):
        return self.box.show("finback.service", name)

    def connect(self, port=PORT):
        peer = self.box.socket()
        self.peers.append(peer)
        peer.connect(("127.0.0.1", port))
        return peer

    def ask(self, text, port=PORT):
        """A whole session: sends, ends its flow, and returns all that comes back."""
        peer = self.connect(port)
        peer.sendall(text)
        peer.shutdown(socket.SHUT_WR)
        return read_all(peer)

    def journal(self, **fields):
        return self.box.journal(self.since, **fields)

    def messages(self):
        return [str(entry.get("MESSAGE")) for entry in self.journal()
                if entry.get("_COMM") == "finback" or entry.get("SYSLOG_IDENTIFIER") == "finback"]

    def wait_message(self, part):
        """Waits for a line of the daemon's that has this in it."""
        def found():
            return [message for message in self.messages() if part in message]
        return eventually(found, f'"{part}" in the journal')[0]

    def wait_session(self, ending):
        """Waits for the entry of a session that ended so."""
        return eventually(lambda: self.journal(FINBACK_ENDING=ending),
                          f"a session that ended as {ending}")[0]

    def clear(self):
        for peer in self.peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        for backend in self.backends:
            backend.close()
        self.box.run("systemctl", "stop", "finback.socket", "finback.service")
        self.box.run("systemctl", "reset-failed", "finback.socket", "finback.service")
        self.box.check("rm", "-f", CONFIG)
        if self.has_drop_in:
            self.box.check("rm", "-r", os.path.dirname(DROP_IN))
            self.box.check("systemctl", "daemon-reload")


@pytest.fixture
def service(sandbox):  # pylint: disable=redefined-outer-name
    """The service with a configuration and a backend "a", not started."""
    made = Service(sandbox)
    try:
        made.configure(made.backend(b"a"))
        yield made
        print("\n".join(made.messages()))  # shown by pytest when the test failed
    finally:
        made.clear()
