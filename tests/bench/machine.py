"""The machine that is measured on, and what else it does meanwhile."""

import os
import platform
import resource
import statistics
import time

TICK = os.sysconf("SC_CLK_TCK")
NOT_BUSY = (3, 4)  # columns of /proc/stat: idle, iowait
COUNTED = 8        # those behind are in the others already


def describe():
    return {"cpu": cpu_model(), "cores": os.cpu_count(), "memory_gib": memory_gib(),
            "kernel": platform.release()}


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return platform.machine()


def memory_gib():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemTotal:"):
                return round(int(line.split()[1]) / (1 << 20), 1)
    return 0


def busy_seconds(stat):
    """Of all CPUs together, from the text of /proc/stat; what a hypervisor gave to others, too."""
    columns = [int(word) for word in stat.splitlines()[0].split()[1:1 + COUNTED]]
    return sum(ticks for at, ticks in enumerate(columns) if at not in NOT_BUSY) / TICK


def own_seconds():
    """Of this process and of all that it started and that have ended."""
    total = 0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


class OtherLoad:
    """How many CPUs others keep busy: a sample for each stretch in which we start no process that
    does not end."""

    def __init__(self):
        self.cores = []
        self.loadavg = [os.getloadavg()[0]]

    @staticmethod
    def _now():
        with open("/proc/stat", encoding="ascii") as file:
            return time.monotonic(), busy_seconds(file.read()) - own_seconds()

    def __enter__(self):
        self._began = self._now()
        return self

    def __exit__(self, *exception):
        now = self._now()
        took = now[0] - self._began[0]
        if took > 0:
            self.cores.append(max(0, (now[1] - self._began[1]) / took))

    def summary(self):
        self.loadavg.append(os.getloadavg()[0])
        if not self.cores:
            return {"median": 0, "p90": 0, "loadavg": self.loadavg}
        return {"median": round(statistics.median(self.cores), 3),
                "p90": round(sorted(self.cores)[int(0.9 * (len(self.cores) - 1))], 3),
                "loadavg": [round(value, 2) for value in self.loadavg]}
