"""accepted = active + sum of endings, for each listener, in every answer, whatever goes on."""

import contextlib
import random
import threading
import time

import pytest

from lib.control import Controlled, ControlledFinback
from lib.metrics import Metrics
from lib.peers import Backend, eventually


class Traffic:
    """Sessions that come and go in `threads` threads: some end well, some half-closed for a while,
    some by a reset of either side, some with nobody to talk to."""

    def __init__(self, relay, threads=4):
        self.relay = relay
        self.stopping = threading.Event()
        self.count = 0
        self._threads = [threading.Thread(target=self._play, args=(seed,), daemon=True)
                         for seed in range(threads)]
        self._threads.append(threading.Thread(target=self._serve, daemon=True))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _serve(self):
        """Answers with what came, once the client has ended its direction; resets some."""
        held = []
        while not self.stopping.is_set():
            with contextlib.suppress(OSError):
                held.append(self.relay.backend.accept(within=0.05))
            for peer in held[:-8] if not self.stopping.is_set() else held:
                self._answer(peer)
                held.remove(peer)

    @staticmethod
    def _answer(peer):
        with contextlib.suppress(OSError):
            peer.sock.settimeout(0.2)
            data = peer.read_to_eof()
            if len(data) % 3:
                peer.send_and_half_close(data)
                peer.close()
                return
        peer.reset()

    def _play(self, seed):
        choice = random.Random(seed)
        while not self.stopping.is_set():
            with contextlib.suppress(OSError):
                client = self.relay.connect()
                self.count += 1
                client.sock.settimeout(0.3)
                client.send(b"x" * choice.randrange(1, 9))
                if choice.random() < 0.3:
                    client.reset()
                    continue
                client.half_close()
                client.read_to_eof()
                client.close()


def watch(control, seconds):
    """Scrapes for a while, one answer after the other. Returns how many there were, the last one,
    and the greatest number of sessions seen at once."""
    end = time.monotonic() + seconds
    before, scrapes, most = None, 0, 0
    while time.monotonic() < end:
        metrics = Metrics.of(control)
        accepted, sum_ = metrics.balance("web")
        assert accepted == sum_, f"scrape {scrapes}"
        if before:
            metrics.assert_not_before(before)
        before, scrapes = metrics, scrapes + 1
        most = max(most, metrics.total("finback_sessions_active"))
    return scrapes, before, most


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 3))
def test_while_sessions_come_and_go(workers):
    with Controlled(workers=workers) as relay:
        with Traffic(relay) as traffic:
            scrapes, last, most = watch(relay.control, 3)
        assert scrapes >= 10
        assert last.total("finback_sessions_accepted_total") >= 30, "no traffic"
        assert most >= 1
        relay.reset_peers()
        eventually(lambda: Metrics.of(relay.client("unix:" + relay.socket_path))
                   .total("finback_sessions_active") == 0, "all sessions ended")
        assert traffic.count >= 30


def test_over_reloads_that_drop_and_bring_back_a_listener():
    """What was counted for a listener stays; a pool's servers are those in force, and what was
    counted for them is there again when they are."""
    finback = ControlledFinback({})
    backend = finback.own(Backend())

    def config(*names):
        return {"workers": 2, "control": finback.config["control"],
                "listeners": tuple({"name": name, "listen": "127.0.0.1:0",
                                    "servers": backend.address} for name in names)}

    finback.write_config(config("web", "extra"))
    with finback:
        pairs = [(finback.connect(name), backend.accept()) for name in ("web", "extra", "extra")]
        start = wait_open(finback, 3)
        finback.reload(config("web"))
        without = Metrics.of(finback.control)
        without.assert_not_before(start, may_go=["finback_connects_total"])
        assert without.balance("extra") == (2, 2)
        assert without.values_of("finback_server_up", "pool") == ["web"]
        pairs[1][0].reset()
        pairs[1][1].expect_reset()
        fewer = wait_open(finback, 2)
        assert fewer.value("finback_sessions_ended_total", listener="extra",
                           ending="client_reset") == 1
        finback.reload(config("extra", "web"))
        again = Metrics.of(finback.control)
        again.assert_not_before(start)
        again.assert_not_before(fewer)
        assert again.balance("extra") == (2, 2)
        assert again.value("finback_server_sessions", pool="extra", server=backend.address) == 1
        assert again.value("finback_config_reloads_total", result="ok") == 2


def wait_open(finback, count):
    def seen():
        metrics = Metrics.of(finback.control)
        return metrics.total("finback_sessions_active", state="open") == count and metrics

    return eventually(seen, f"{count} open sessions")
