"""Which system calls a running process makes, by strace(1).

    with traced(relay.process.pid, "pipe2") as trace:
        ...
    assert trace.counts["pipe2"] <= 3
"""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from lib.daemon import die_with_parent
from lib.peers import TIMEOUT, eventually

CALL = re.compile(r"(?:\d+ +)?(\w+)\(")
UNDER_WAY = re.compile(r"<(?:unfinished \.\.\.|detached \.\.\.)>$")


class Trace:
    """`calls`: each as strace wrote it; `counts` by name. A call that began before the trace and
    ended in it counts, one that had not ended does not."""

    def __init__(self):
        self.calls, self.counts = [], collections.Counter()

    def read(self, path):
        with open(path, encoding="utf-8", errors="replace") as file:
            self.calls = [line.rstrip("\n") for line in file]
        for line in self.calls:
            match = CALL.match(line)
            if match and not UNDER_WAY.search(line):
                self.counts[match[1]] += 1
            elif resumed := re.search(r"<\.\.\. (\w+) resumed>", line):
                self.counts[resumed[1]] += 1


def _is_traced(tasks):
    def tracer(task):
        with open(f"/proc/{task}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"^TracerPid:\s*(\d+)", file.read(), re.M)[1])

    return all(tracer(task) for task in tasks)


@contextlib.contextmanager
def traced(pid, calls="all", thread=None):
    """A Trace of all threads of the process, or of one; it is filled when the block is left.
    `calls` as strace's `-e trace=` takes them. Skips the test, by name, where there is no strace,
    or where it may not look."""
    program = shutil.which("strace")
    if not program:
        pytest.skip("needs strace")
    tasks = [thread] if thread else list(map(int, os.listdir(f"/proc/{pid}/task")))
    trace = Trace()
    with tempfile.TemporaryDirectory(prefix="finback-") as directory:
        path = os.path.join(directory, "trace")
        command = [program, "-qq", "-o", path, "-e", f"trace={calls}", "-e", "signal=none",
                   *([] if thread else ["-f"]), "-p", str(thread or pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE,
                              preexec_fn=die_with_parent) as process:
            try:
                eventually(lambda: process.poll() is not None or _is_traced(tasks), "it is traced")
                if process.poll() is not None:
                    pytest.skip("strace: " + process.stderr.read().decode(errors="replace"))
                yield trace
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(TIMEOUT)
        trace.read(path)
