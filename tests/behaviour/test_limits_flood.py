"""A flood of clients that connect and say nothing is bounded by max_embryonic and swept away by
first_byte; each of its connections is counted, and who speaks is served once it is over."""

import os
import subprocess

import pytest

from lib.daemon import BINARY, TOP, Finback
from lib.peers import TIMEOUT

LOAD = os.path.join(TOP, os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load")))
CONNECTIONS = 1500
LIMIT = 100
RUN_SECONDS = 30


class Flood:
    """The load generator's flood: its server listens at once and stays until close()."""

    def __init__(self):
        assert os.access(LOAD, os.X_OK), f"{LOAD} is not built"
        self.process = subprocess.Popen(
            [LOAD, "flood", "--wait", "--sessions", str(CONNECTIONS), "--connections", "300",
             "--rate", "1500", "--sources", "8", "--seconds", str(RUN_SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server = self._until("listening")["listening"]

    def _until(self, last):
        pairs = {}
        while last not in pairs:
            line = self.process.stdout.readline()
            assert line, f"ended without {last}"
            key, _, pairs[key] = line.strip().partition("=")
        return pairs

    def _tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def run(self, address):
        """Its account, when the last of its connections has ended."""
        self._tell(address)
        self._until("ready")
        self._tell("start")
        pairs = self._until("life_longest")
        print(pairs)
        return {key: float(value) for key, value in pairs.items()}

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.mark.threads
@pytest.mark.timeout(RUN_SECONDS + 3 * TIMEOUT)
@pytest.mark.parametrize("workers", (1, 2))
def test_a_flood(workers):
    flood = Flood()
    with Finback({"workers": workers, "listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": flood.server,
             "max_embryonic": LIMIT, "timeouts": {"first_byte": "500ms"}},)}) as finback:
        finback.own(flood)
        account = flood.run(finback.address())
        finback.wait_descriptors(finback.baseline)
        check_account(account)
        for _ in range(3):
            client = finback.connect()
            client.send_and_half_close(b"hello")
            assert client.read_to_eof().startswith(b"answer")
        finback.end()
        _, endings = finback.totals()
        assert set(endings) == {"complete", "first_byte_timeout", "limited"}, endings
        assert endings["complete"] == 3
        assert endings["first_byte_timeout"] + endings["limited"] == CONNECTIONS
        check_rate(finback, account)


def check_account(account):
    """A client that is reset in the moment it connects may never have seen that it was."""
    assert account["begun"] == account["connected"] + account["unreachable"] == CONNECTIONS
    assert account["resets"] == account["connected"]
    assert account["ends_of_file"] == account["held"] == 0


def check_rate(finback, account):
    """No more than LIMIT places, and each taken for as long as first_byte says."""
    served = [session for session in finback.sessions()
              if session["ending"] == "first_byte_timeout"]
    turns = account["seconds"] / 0.5 + 1
    assert LIMIT <= len(served) <= LIMIT * turns
    assert all(480 <= session["total_ms"] for session in served)
