"""One run that all tests here look back at: a finback, 200 sessions a second, and a Prometheus that
scrapes it four times a second."""

import pathlib
import shutil
import time

import pytest

from churn import Churn
from lib.control import Controlled
from lib.peers import eventually
from prometheus import RULES, Prometheus

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 8


def pytest_collection_modifyitems(items):
    missing = [name for name in ("prometheus", "promtool") if not shutil.which(name)]
    for item in items if missing else ():
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"no {' and no '.join(missing)}"))


class Watched:
    """What there was: the daemon and Prometheus, still alive, and the traffic that has ended."""

    def __init__(self, relay, prometheus):
        self.relay = relay
        self.prometheus = prometheus
        self.churn = Churn(relay.address(), relay.backend)

    def run(self):
        self.prometheus.wait_scrapes(3)
        self.begin = time.time()
        with self.churn:
            time.sleep(SECONDS)
            self.end = time.time()
        eventually(lambda: self.prometheus.value("sum(finback_sessions_active)") == 0,
                   "a scrape after the last session")
        self.after = time.time()


@pytest.fixture(scope="session")
def watched():
    with Controlled(workers=2) as relay:
        with Prometheus([relay.http_address], rules=[RULES]) as prometheus:
            watched = Watched(relay, prometheus)
            watched.run()
            yield watched
