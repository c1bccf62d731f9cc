"""The tests: how the load runs in each, and which figures are made of it."""

import re
import subprocess
import time

from relays import CAPPED, OWN

GIB = 1 << 30


class Test:
    """A load, and the figures that one relay has under it. `own` is the finback that is meant."""

    def __init__(self, name, *load, own=OWN, needs=0.5):
        self.name = name
        self.load = list(load)
        self.own = own
        self.needs = needs  # seconds beside those of the load itself

    holds = False   # whether the load waits for a word before it ends
    last = "errors"  # the last key of the measured part

    def loads(self, kind):
        """Arguments of the load generator, by the name that their figures have before a field."""
        del kind
        return {"": self.load}

    def takes(self, seconds):
        """About how long one measurement is."""
        return len(self.loads(None)) * (seconds + self.needs)

    def measure(self, load, relay, address):
        """{field: figure} of the relay at this address."""
        load.tell(address)
        load.wait_value("ready")
        before = relay.cpu_seconds()
        load.tell("start")
        load.wait_value(self.last)
        cost = relay.cpu_seconds() - before
        if self.holds:
            load.tell("end")
        load.finish()
        amount = self.amount(load)
        return {"cpu": cost / amount, "rate": amount / load.number("seconds"),
                **self.more_figures(load)}

    def amount(self, load):
        raise NotImplementedError

    def more_figures(self, load):
        del load
        return {}

    def combine(self, figures):
        """What follows from the figures of all loads."""
        return figures


class Bulk(Test):
    """CPU-seconds for each GiB, and GiB a second."""

    def amount(self, load):
        return (load.number("bytes_up") + load.number("bytes_down")) / GIB


class Ping(Test):
    """CPU-microseconds for each request and response, and how long one takes."""

    last = "messages"
    holds = True

    def amount(self, load):
        return load.number("messages") / 1e6

    def more_figures(self, load):
        return {"latency": load.number("latency_median_us")}


class Churn(Test):
    """CPU-microseconds for each session."""

    def amount(self, load):
        return load.number("complete") / 1e6


class BesideIdle(Ping):
    """Messages without idle sessions and then beside them, one right after the other."""

    def __init__(self, name, sessions, *load, **others):
        super().__init__(name, *load, **others)
        self.sessions = sessions

    def loads(self, kind):
        talking = int(self.load[self.load.index("--connections") + 1])
        idle = self.sessions if kind is None else min(self.sessions,
                                                      kind.most_sessions() - talking)
        return {"alone_": self.load, "beside_": [*self.load, "--idle", str(idle)]}

    def combine(self, figures):
        return {**figures, "change": figures["beside_cpu"] / figures["alone_cpu"]}


class Held(Test):
    """What is held while sessions are open and nothing moves."""

    held_at = "opened"

    def __init__(self, name, sessions, *load, **others):
        super().__init__(name, *load, **others)
        self.sessions = sessions

    def loads(self, kind):
        most = self.sessions if kind is None else min(self.sessions, kind.most_sessions())
        return {"": [*self.load, "--sessions", str(most)]}

    def takes(self, seconds):
        return self.needs + self.sessions / 4000

    def measure(self, load, relay, address):
        before = self.holding(load, relay, address)
        load.tell(address)
        load.wait_value(self.held_at)
        time.sleep(0.3)
        held = self.holding(load, relay, address) - before
        load.tell("end")
        load.finish()
        return self.figures_of(held / load.number("sessions"))


class Idle(Held):
    """Resident bytes for each session held."""

    @staticmethod
    def holding(load, relay, address):
        del load, address
        return relay.resident_bytes()

    @staticmethod
    def figures_of(each):
        return {"rss": each}


class Stall(Held):
    """The kernel's MB for each session whose client does not read: what waits in the relay's own two
    sockets, to be read or to be acknowledged, with the room taken for it."""

    held_at = "stalled"

    @staticmethod
    def holding(load, relay, address):
        del relay
        ours = f"sport = :{port_of(address)} or dport = :{port_of(load.values['listening'])}"
        result = subprocess.run(["ss", "-tmnHO", ours], capture_output=True, text=True,
                                timeout=60, check=True)
        return socket_bytes(result.stdout)

    @staticmethod
    def figures_of(each):
        return {"kernel": each / 1e6}


def port_of(address):
    return address.rpartition(":")[2]


def socket_bytes(text):
    """What the kernel has charged all sockets with, from ss -m: received (r), queued to be sent (w),
    and taken ahead (f)."""
    total = 0
    for found in re.finditer(r"skmem:\(([^)]*)\)", text):
        fields = dict(re.findall(r"([a-z]+)(\d+)", found[1]))
        total += sum(int(fields[key]) for key in "rwf")
    return total


def all_tests(options):
    timed = ("--seconds", str(options.seconds))
    sources = ("--sources", "32")
    idle = min(options.sessions, 9000)
    stalled = max(20, options.sessions // 90)
    return [
        Bulk("bulk1-up", "bulk", "--direction", "up", *timed),
        Bulk("bulk1-down", "bulk", "--direction", "down", *timed),
        Bulk("bulk16-down", "bulk", "--direction", "down", "--connections", "16", *timed),
        Bulk("bulk16-both", "bulk", "--direction", "both", "--connections", "16", *timed),
        Bulk("capped1-down", "bulk", "--direction", "down", *timed, own=CAPPED),
        Ping("ping1", "ping", *timed),
        Ping("ping64", "ping", "--connections", "64", *timed),
        Ping("ping1000", "ping", "--connections", "1000", *timed),
        Ping("ping64-4k", "ping", "--connections", "64", "--size", "4096", *timed),
        Churn("churn16", "churn", "--connections", "16", *sources, *timed),
        Churn("churn256", "churn", "--connections", "256", *sources, *timed),
        Idle("idle", idle, "idle", *sources),
        Idle("idle-64k", idle, "idle", "--size", "65536", *sources),
        Stall("stall", stalled, "stall", own=CAPPED, needs=3),
        BesideIdle("beside-idle", idle, "ping", "--connections", "64", *sources, *timed, needs=2),
    ]


def with_many_workers(options):
    """Those tests in which more than one thread can be busy."""
    names = ("bulk16-down", "bulk16-both", "ping64", "ping1000", "churn16", "churn256")
    return [test for test in all_tests(options) if test.name in names]
