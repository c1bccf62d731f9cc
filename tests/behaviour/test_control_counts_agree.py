"""accepted = active + sum of endings, in every answer, while sessions come and go at full speed."""

import os
import re
import subprocess
import time

import pytest

from lib.control import ControlledFinback, balance_of
from lib.daemon import BINARY, TOP
from lib.peers import TIMEOUT, Background

LOAD = os.path.join(TOP, os.environ.get(
    "FINBACK_LOAD", os.path.join(os.path.dirname(BINARY), "tests", "finback-load")))
SESSIONS = 1500
CONNECTIONS = 40


class Crowd:
    """Sessions of random sizes, ends and resets, by the load generator."""

    def __init__(self):
        assert os.access(LOAD, os.X_OK), f"{LOAD} is not built"
        self._process = subprocess.Popen(
            [LOAD, "crowd", "--connections", str(CONNECTIONS), "--sessions", str(SESSIONS),
             "--resets", "200", "--size", "5000", "--huge", "0", "--seconds", "60"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.server = self._process.stdout.readline().strip().removeprefix("listening=")

    def run(self, address):
        _, complaint = self._process.communicate(address + "\n", 60 + TIMEOUT)
        assert self._process.returncode == 0, complaint

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


SAMPLE = re.compile(r'(finback_sessions_(?:accepted_total|active|ended_total))'
                    r'\{listener="web".*\} (\d+)')


def balance_of_metrics(text):
    sums = {}
    for name, value in SAMPLE.findall(text):
        sums[name] = sums.get(name, 0) + int(value)
    accepted = sums.pop("finback_sessions_accepted_total")
    return accepted, sum(sums.values())


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 4))
def test_in_every_answer(workers):
    crowd = Crowd()
    with ControlledFinback({"workers": workers, "log": {"target": "stderr"}, "listeners": (
            {"name": "web", "listen": "127.0.0.1:0", "servers": crowd.server},)}) as finback:
        finback.own(crowd)
        start = time.monotonic()
        running = Background(crowd.run, finback.address())
        answers, before = 0, 0
        while running._thread.is_alive():
            listener = finback.control.listener()
            accepted, counted = balance_of(listener)
            assert accepted == counted, listener
            assert accepted >= before
            before = accepted
            accepted, counted = balance_of_metrics(finback.http.get("/metrics").text)
            assert accepted == counted
            assert accepted >= before
            before = accepted
            answers += 2
        running.result()
        rate = SESSIONS / (time.monotonic() - start)
        print(f"{answers} answers, {rate:.0f} sessions/s")
        assert answers > 10
        final = finback.control.listener()
        assert final["accepted"] == SESSIONS
        assert balance_of(final) == (SESSIONS, SESSIONS)
