"""How exact a deadline must be, and how much a shared machine is forgiven."""

import contextlib
import time

EARLY = 0.02   # the daemon's clock and ours are read at different moments
NOISE = 0.5    # scheduling on a busy machine


def assert_elapsed(since, wanted, until=None):
    """`wanted` seconds have passed since then: not fewer, and at most 2 % or 100 ms more."""
    elapsed = (time.monotonic() if until is None else until) - since
    assert elapsed >= wanted - EARLY, f"{elapsed:.3f} s, too early for {wanted} s"
    limit = wanted + max(0.02 * wanted, 0.1) + NOISE
    assert elapsed <= limit, f"{elapsed:.3f} s, too late for {wanted} s"


@contextlib.contextmanager
def within(seconds):
    """The block takes no longer than that."""
    start = time.monotonic()
    yield
    elapsed = time.monotonic() - start
    assert elapsed <= seconds, f"{elapsed:.3f} s, more than {seconds} s"
