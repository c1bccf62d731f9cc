"""Ten thousand sessions of random sizes, ends and resets over four workers: every byte is checked
by the load generator, the endings are those that it caused, and nothing is left behind."""

import os
import subprocess

import pytest

from lib.daemon import BINARY, TOP, Finback
from lib.peers import TIMEOUT

LOAD = os.path.join(TOP, os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load")))
CONNECTIONS = 200  # at a time
WARM_UP = 1000     # sessions, after which memory is what it will be
RUN_SECONDS = 100
MEMORY_MARGIN = 8 << 20


def is_thread_sanitized():
    with open(BINARY, "rb") as file:
        return b"__tsan_init" in file.read()


def session_count():
    default = 2000 if is_thread_sanitized() else 10_000
    return int(os.environ.get("FINBACK_SESSIONS", default))


class Crowd:
    """A crowd of the load generator: its servers listen at once, its clients begin when told where
    to connect to."""

    def __init__(self, *arguments):
        assert os.access(LOAD, os.X_OK), f"{LOAD} is not built"
        self.process = subprocess.Popen(
            [LOAD, "crowd", "--connections", str(CONNECTIONS), "--seconds", str(RUN_SECONDS),
             *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.server = self.process.stdout.readline().strip().removeprefix("listening=")

    def run(self, address):
        """Its account as numbers; fails with its words when it found an error."""
        answer, complaint = self.process.communicate(address + "\n", RUN_SECONDS + TIMEOUT)
        print(answer)
        assert self.process.returncode == 0, complaint
        pairs = dict(line.split("=", 1) for line in answer.splitlines())
        assert pairs.pop("errors") == "0"
        pairs.pop("seconds")
        return {key: int(value) for key, value in pairs.items()}

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.mark.threads
@pytest.mark.timeout(RUN_SECONDS + 3 * TIMEOUT)
def test_all_of_them():
    count = session_count()
    warm_up = Crowd("--sessions", str(WARM_UP))
    crowd = Crowd("--sessions", str(count))
    with Finback({"workers": 4, "listeners": (
            {"name": "first", "listen": "127.0.0.1:0", "servers": warm_up.server},
            {"name": "web", "listen": "127.0.0.1:0", "servers": crowd.server})}) as finback:
        finback.own(warm_up)
        finback.own(crowd)
        warm_up.run(finback.address("first"))
        finback.wait_descriptors(finback.baseline)
        memory = finback.resident_bytes()
        account = crowd.run(finback.address("web"))
        finback.wait_descriptors(finback.baseline)
        grown = finback.resident_bytes() - memory
        print(f"{grown} bytes grown, from {memory}")
        finback.end()
        assert account["sessions"] == count
        check_endings(finback, account)
        assert grown < MEMORY_MARGIN, f"{grown} bytes more after {count} sessions"


def check_endings(finback, account):
    sessions = [session for session in finback.sessions() if session["listener"] == "web"]
    endings = {ending: sum(session["ending"] == ending for session in sessions)
               for ending in ("complete", "client_reset", "server_reset")}
    assert len(sessions) == account["sessions"]
    assert endings == {"complete": account["complete"],
                       "client_reset": account["reset_by_client"],
                       "server_reset": account["reset_by_server"]}
    # What a reset cuts off, finback may have read and nobody after it.
    assert sum(session["bytes_from_client"] for session in sessions) >= account["bytes_up"]
    assert sum(session["bytes_from_server"] for session in sessions) >= account["bytes_down"]
