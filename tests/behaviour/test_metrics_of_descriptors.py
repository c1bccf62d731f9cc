"""finback_open_fds: what the workers and the rest have, which together is what the process has."""

import pytest

from lib.control import Controlled
from lib.metrics import Metrics
from lib.peers import eventually

LOOP = 3  # of each worker, without a session


def fds_of(metrics):
    return {dict(key)["worker"]: value
            for key, value in metrics.samples["finback_open_fds"].items()}


def quiet_metrics(relay):
    """An answer during which nothing was opened or closed."""
    def seen():
        before = relay.all_descriptors()
        metrics = Metrics.of(relay.control)
        return relay.all_descriptors() == before and metrics

    return eventually(seen, "a moment without change")


@pytest.mark.parametrize("workers", (1, 2))
def test_all_of_them_are_somewhere(workers):
    with Controlled(workers=workers) as relay:
        Metrics.of(relay.control)  # the client's own connection is there
        idle = quiet_metrics(relay)
        assert idle.value("process_open_fds") == relay.all_descriptors()
        assert sum(fds_of(idle).values()) == relay.all_descriptors()
        assert all(fds_of(idle)[str(i)] == LOOP for i in range(workers))
        sessions = [relay.greeted_sides("client") for _ in range(10)]
        busy = quiet_metrics(relay)
        assert sum(fds_of(busy).values()) == busy.value("process_open_fds") == relay.all_descriptors()
        pipes = 2 * len(relay.pipes())  # kept, where messages are spliced, too
        assert sum(fds_of(busy)[str(i)] for i in range(workers)) == workers * LOOP + 20 + pipes
        assert fds_of(busy)["main"] == fds_of(idle)["main"]
        for client, server in sessions[:4]:
            client.reset()
            server.expect_reset()
        eventually(lambda: Metrics.of(relay.control).value("process_open_fds") ==
                   busy.value("process_open_fds") - 8, "given back")
        fewer = quiet_metrics(relay)
        assert sum(fds_of(fewer)[str(i)] for i in range(workers)) == workers * LOOP + 12 + pipes


def test_a_connect_attempt_that_failed_holds_none():
    with Controlled() as relay:
        relay.backend.close()
        Metrics.of(relay.control)
        idle = quiet_metrics(relay)
        for _ in range(5):
            relay.connect().expect_reset()
        eventually(lambda: fds_of(Metrics.of(relay.control)) == fds_of(idle), "as before")


def test_a_thousand_scrapes_leave_nothing_behind():
    with Controlled() as relay:
        Metrics.of(relay.control)
        before = relay.all_descriptors()
        for _ in range(1000):
            assert relay.control.get("/metrics").status == 200
        assert relay.all_descriptors() == before
