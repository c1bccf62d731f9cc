"""The rows of the table, and what finback has to reach in each."""

import dataclasses

BEST = "best"      # the best of the peers that lost nothing
ITSELF = "itself"  # no peer: finback's own figure
RSS_GOAL = 250
KERNEL_GOAL = 1.1


@dataclasses.dataclass(frozen=True)
class Goal:
    """How finback has to compare: at most this much of it, or at least, where more is better."""

    limit: float
    of: str = BEST


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure of a test, and its goals."""

    test: str
    field: str
    title: str
    unit: str
    goals: tuple = ()
    more_is_better: bool = False
    is_own: bool = False  # says something of each relay by itself: no ratio


def _cpu_per_gib(test, title, *goals):
    return Row(test, "cpu", title, "CPU-s/GiB", goals)


def _cpu_each(test, title, *goals):
    return Row(test, "cpu", title, "CPU-us each", goals)


def _resident(test, title):
    return Row(test, "rss", title, "RSS bytes each", (Goal(RSS_GOAL, ITSELF),))


ROWS = (
    _cpu_per_gib("bulk1-up", "bulk, 1 stream up", Goal(1.00)),
    _cpu_per_gib("bulk1-down", "bulk, 1 stream down", Goal(0.95)),
    _cpu_per_gib("bulk16-down", "bulk, 16 streams down", Goal(1.00)),
    _cpu_per_gib("bulk16-both", "bulk, 16 streams both ways", Goal(0.95), Goal(0.33, "haproxy")),
    Row("capped1-down", "rate", "bulk, 1 stream down, finback capped", "GiB/s", (Goal(1.05),),
        more_is_better=True),
    _cpu_each("ping1", "messages, 64 B, 1 connection"),
    Row("ping1", "latency", "messages, 64 B, 1 connection: median latency", "us"),
    _cpu_each("ping64", "messages, 64 B, 64 connections", Goal(0.92)),
    _cpu_each("ping1000", "messages, 64 B, 1,000 connections", Goal(0.78)),
    _cpu_each("ping64-4k", "messages, 4 KiB, 64 connections", Goal(0.90)),
    _cpu_each("churn16", "sessions with half-close, 16 at a time", Goal(0.86)),
    _cpu_each("churn256", "sessions with half-close, 256 at a time", Goal(0.88)),
    _resident("idle", "idle session, new"),
    _resident("idle-64k", "idle session, after 64 KiB each way"),
    Row("stall", "kernel", "stalled session, finback capped", "MB in its sockets each",
        (Goal(KERNEL_GOAL, ITSELF),)),
    Row("beside-idle", "beside_cpu", "messages, 64 B, 64 beside {idle} idle",
        "CPU-us each"),
    Row("beside-idle", "change", "the same, against without the idle", "times",
        (Goal(1.03, ITSELF),), is_own=True),
)

LOST = Row("", "lost", "sessions that lost a byte or a half-close", "in all tests",
           (Goal(0, ITSELF),), is_own=True)
