"""finback with its control interface on and in use: what being watched costs."""

import os
import socket
import sys
import threading
import time

from relays import CONTROL, OWN, Finback
from running import STARTING, thread_seconds


class Observed(Finback):
    """finback that is asked each second."""

    def start(self, port, server, directory, cpu):
        running = super().start(port, server, directory, cpu)
        running.observer = Observer(os.path.join(directory, "control.sock"), cpu,
                                    running.process.pid)
        return running


class Observer:
    """Asks each second what a scraper and an open status page ask, from a CPU that is not the
    relay's. Says at the end what the thread that answers has taken."""

    PATHS = ("/metrics", "/api/v1/status", "/api/v1/sessions?brief=1&limit=100",
             "/api/v1/sessions?state=ended&limit=100")

    def __init__(self, path, cpu, pid):
        self._path = path
        self._pid = pid
        self._began = time.monotonic(), thread_seconds(pid, pid)
        self._cpus = os.sched_getaffinity(0) - {cpu} or os.sched_getaffinity(0)
        self._stopped = threading.Event()
        self.answers = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        os.sched_setaffinity(0, self._cpus)  # of this thread
        while not self._stopped.is_set():
            for path in self.PATHS:
                self._ask(path)
            self._stopped.wait(1)

    def _ask(self, path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(STARTING)
            sock.connect(self._path)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = sock.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{path}: {answer[:200]!r}")
            while sock.recv(1 << 20):
                pass
        self.answers += 1

    def stop(self):
        self._stopped.set()
        self._thread.join()
        took = thread_seconds(self._pid, self._pid) - self._began[1]
        share = took / (time.monotonic() - self._began[0])
        print(f"{self.answers} answers; the thread that gives them: {share:.2%} of a CPU",
              file=sys.stderr)
        if self.answers == 0:
            raise RuntimeError("the control interface never answered")


def observed_kinds(finback):
    """The same program twice: with the control interface off, and on and in use."""
    return [Finback(OWN, finback), Observed("finback, observed", finback, options=CONTROL)]
