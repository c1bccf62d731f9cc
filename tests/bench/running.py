"""A relay that runs: its processor time and its memory, of all its processes together."""

import os
import signal
import subprocess
import time

STARTING = 10  # seconds that a relay may take to listen, and to end
PAGE = os.sysconf("SC_PAGE_SIZE")
LISTENING = "0A"


class Running:
    """A relay's processes, from its start to its stop."""

    def __init__(self, command, port, directory, cpu, **popen):
        self.observer = None
        self.log_path = os.path.join(directory, "relay.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=pinned(cpu), **popen)
        try:
            self._wait_for(lambda: is_listening(port))
        except BaseException:
            self.stop()
            raise

    def _wait_for(self, condition):
        end = time.monotonic() + STARTING
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log_path, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("the relay does not listen: " + log.read()[-2000:])
            time.sleep(0.02)
        time.sleep(0.1)  # for what it does after it listens

    def wait_for_program(self, path):
        """Where the listening socket was passed on: until the program itself runs."""
        self._wait_for(lambda: os.path.samefile(f"/proc/{self.process.pid}/exe", path))

    def processes(self):
        """Its own and all below it."""
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.processes():
            total += sum(thread_seconds(pid, task) for task in os.listdir(f"/proc/{pid}/task"))
        return total

    def resident_bytes(self):
        total = 0
        for pid in self.processes():
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                total += int(file.read().split()[1]) * PAGE
        return total

    def stop(self):
        if self.observer:
            self.observer.stop()
        if self.process.poll() is not None:
            return
        processes = self.processes()
        self.process.terminate()
        try:
            self.process.wait(STARTING)
        except subprocess.TimeoutExpired:
            for pid in processes:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait(STARTING)


def thread_seconds(pid, task):
    with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def pinned(cpu):
    """For preexec_fn: runs on this CPU alone; None: anywhere."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def two_cpus():
    """One for the load and one for the relay; None where there is only one for both."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def is_listening(port):
    """Asked of the kernel, since a connection to find out would already be a session."""
    wanted = f":{port:04X}"
    with open("/proc/self/net/tcp", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == LISTENING:
                return True
    return False
