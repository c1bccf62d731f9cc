"""A real Prometheus: on an address of the kernel's choice, with its data in a temporary directory.

    with Prometheus([address], rules=[path]) as prometheus:
        prometheus.wait_scrapes(3)
        assert prometheus.value("up") == 1
"""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

from lib.daemon import TOP, die_with_parent
from lib.peers import TIMEOUT, eventually

JOB = "finback"
INTERVAL = 0.25  # seconds from scrape to scrape
RULES = os.path.join(TOP, "conf", "prometheus", "finback.rules.yml")

CONFIG = """
global:
  scrape_interval: {interval}ms
  scrape_timeout: {interval}ms
  evaluation_interval: 200ms
rule_files: {rules}
scrape_configs:
  - job_name: {job}
    static_configs:
      - targets: {targets}
"""


class Prometheus:
    def __init__(self, targets, rules=(), interval=INTERVAL):
        self.directory = tempfile.mkdtemp(prefix="finback-prometheus-")
        self._config = os.path.join(self.directory, "prometheus.yml")
        self._lines = []
        self.address = None
        self.process = None
        with open(self._config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(interval=int(interval * 1000), job=JOB,
                                     rules=json.dumps(list(rules)),
                                     targets=json.dumps(list(targets))))

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def _start(self):
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", self._config, "--log.format=json",
             "--storage.tsdb.path", os.path.join(self.directory, "data"),
             "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        eventually(self._is_ready, "prometheus is ready")

    def _read_log(self):
        for line in self.process.stderr:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))

    def _is_ready(self):
        assert self.process.poll() is None, "\n".join(self._lines)
        for line in list(self._lines):
            said = json.loads(line)
            if said.get("msg") == "Listening on":
                self.address = said["address"]
            if said.get("msg", "").startswith("Server is ready"):
                return self.address is not None
        return False

    def __exit__(self, *exception):
        self._clean_up()

    def _clean_up(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(TIMEOUT)
            self._reader.join(TIMEOUT)
            self.process.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What it knows.

    def ask(self, path, **parameters):
        """What the API answers; a refusal is an AssertionError with Prometheus's own words."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters, True)}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression, at=None):
        """The result of an instant query: a list of {"metric", "value"}."""
        moment = {} if at is None else {"time": at}
        return self.ask("query", query=expression, **moment)["result"]

    def value(self, expression, at=None):
        """The number of the one series that the query has; None while there is none."""
        result = self.query(expression, at)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def raw(self, selector, at=None, seconds=300):
        """All samples as they were scraped: {labels: {time: value}}."""
        found = {}
        for series in self.query(f"{selector}[{seconds}s]", at):
            samples = {moment: float(value) for moment, value in series["values"]}
            found[frozenset(series["metric"].items())] = samples
        return found

    def names(self):
        return set(self.ask("label/__name__/values"))

    def rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        return self.ask("alerts")["alerts"]

    def wait_scrapes(self, count):
        eventually(lambda: (self.value("sum(count_over_time(up[5m]))") or 0) >= count,
                   f"{count} scrapes")
