"""The alert rules: they load, they fire when they should, and say what to do."""

import http.server
import re
import subprocess
import threading
import time

import pytest
import yaml

from lib.daemon import TOP
from lib.peers import Backend, eventually
from prometheus import RULES, Prometheus

UNIT_TESTS = "tests/prometheus/alerts.test.yml"
EXAMPLE = "conf/prometheus/prometheus.yml"


def promtool(*arguments):
    result = subprocess.run(["promtool", *arguments], cwd=TOP, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def rules():
    with open(RULES, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def test_rules_are_valid():
    promtool("check", "rules", RULES)


def test_the_example_is_a_valid_configuration():
    promtool("check", "config", EXAMPLE)


def test_rules_fire_when_they_should_and_else_do_not():
    promtool("test", "rules", UNIT_TESTS)


def test_every_rule_has_a_unit_test_in_which_it_fires():
    with open(f"{TOP}/{UNIT_TESTS}", encoding="utf-8") as file:
        tests = yaml.safe_load(file)["tests"]
    fired = {re.search(r'alertname="(\w+)"', sample["labels"])[1]
             for test in tests for one in test["promql_expr_test"] for sample in one["exp_samples"]}
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_what_is_wrong_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("page", "ticket")
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert "$labels.instance" in summary
    assert len(summary) < 200
    assert 100 < len(description) < 600


def test_a_healthy_finback_raises_none(watched):
    loaded = watched.prometheus.rules()
    assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
    for rule in loaded:
        assert rule["health"] == "ok", rule
    assert [alert for alert in watched.prometheus.alerts() if alert["state"] == "firing"] == []


# ---- everything at once ------------------------------------------------------------------------

SICK = """
process_start_time_seconds {starts}
process_open_fds 99
process_max_fds 100
finback_max_sessions 100
finback_config_last_reload_successful 0
finback_log_dropped_total {many}
finback_accept_pauses_total{{worker="0"}} {many}
finback_server_up{{pool="app",server="one"}} 0
finback_connects_total{{pool="app",server="one",result="refused"}} {many}
finback_connects_total{{pool="app",server="one",result="ok"}} 0
finback_sessions_active{{listener="web",state="half_closed_client"}} 99
finback_sessions_active{{listener="web",state="open"}} 0
finback_dead_peers_total{{listener="web",side="client",detector="keepalive"}} {many}
finback_dead_peers_total{{listener="web",side="server",detector="probe"}} {many}
finback_probes_sent_total{{listener="web",side="server"}} {many}
finback_probe_replies_total{{listener="web",side="server"}} {starts}
finback_sessions_ended_total{{listener="web",ending="first_byte_timeout"}} {most}
finback_sessions_ended_total{{listener="web",ending="evicted"}} {many}
finback_sessions_ended_total{{listener="web",ending="client_dead"}} {many}
finback_sessions_ended_total{{listener="web",ending="limited"}} {many}
finback_sessions_ended_total{{listener="web",ending="no_server"}} {many}
finback_sessions_ended_total{{listener="web",ending="undelivered"}} {many}
finback_sessions_ended_total{{listener="web",ending="half_closed_timeout"}} {many}
""".lstrip()


class SickDaemon:
    """Answers a scraper with all that can be wrong at once, and getting worse."""

    def __enter__(self):
        scrapes = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                nonlocal scrapes
                scrapes += 1
                text = SICK.format(starts=scrapes, many=scrapes * 100, most=scrapes * 1000)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)


@pytest.fixture(name="impatient_rules")
def make_impatient_rules(tmp_path):
    """The rules, but nothing has to last before it is told."""
    with open(RULES, encoding="utf-8") as file:
        text = re.sub(r"^ +for: .*\n", "", file.read(), flags=re.M)
    path = tmp_path / "rules.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_told_names_names_and_numbers(impatient_rules):
    """Each alert as somebody would get it: no template is left, and none failed."""
    with SickDaemon() as sick, Backend(is_listening=False) as down:
        with Prometheus([sick.address, down.address], rules=[impatient_rules]) as prometheus:
            wanted = {rule["alert"] for rule in rules()}
            alerts = eventually(lambda: firing(prometheus, wanted), "all alerts")
    for alert in alerts:
        for text in alert["annotations"].values():
            assert not re.search(r"<error|<no value>|{{|}}|NaN|\s{2}", text), text
            print(f"{alert['labels']['alertname']}: {text}")
    for name, word in (("FinbackHalfOpen", "clients"), ("FinbackServerFails", "app/one"),
                       ("FinbackDescriptorsNearLimit", "99%"), ("FinbackRefuses", "web"),
                       ("FinbackPeersHang", "servers"), ("FinbackProbesUnanswered", "servers")):
        assert any(word in alert["annotations"]["summary"] + alert["annotations"]["description"]
                   for alert in alerts if alert["labels"]["alertname"] == name), name


def firing(prometheus, wanted):
    alerts = [alert for alert in prometheus.alerts() if alert["state"] == "firing"]
    time.sleep(0.1)
    return alerts if {alert["labels"]["alertname"] for alert in alerts} == wanted else None
