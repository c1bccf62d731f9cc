"""The exposition text: what Prometheus reads, with every name of the contract, from the start."""

import shutil
import subprocess

import pytest

from lib.control import Controlled, ControlledFinback
from lib.metrics import ENDINGS, STATES, Metrics
from lib.peers import refusing_backend

SIDES = ("client", "server")
FLOWS = ("from_client", "from_server")
RESULTS = ("ok", "refused", "timeout", "unreachable", "failed")
DETECTORS = ("keepalive", "user_timeout", "probe", "link")

FAMILIES = {
    "finback_build_info": "gauge",
    "finback_sessions_active": "gauge",
    "finback_sessions_accepted_total": "counter",
    "finback_sessions_ended_total": "counter",
    "finback_bytes_relayed_total": "counter",
    "finback_fins_relayed_total": "counter",
    "finback_resets_relayed_total": "counter",
    "finback_dead_peers_total": "counter",
    "finback_probes_sent_total": "counter",
    "finback_probe_replies_total": "counter",
    "finback_probe_bytes_sent_total": "counter",
    "finback_probe_bytes_swallowed_total": "counter",
    "finback_connect_seconds": "histogram",
    "finback_session_seconds": "histogram",
    "finback_half_closed_seconds": "histogram",
    "finback_connects_total": "counter",
    "finback_server_up": "gauge",
    "finback_server_sessions": "gauge",
    "finback_buffer_bytes": "gauge",
    "finback_pipes": "gauge",
    "finback_open_fds": "gauge",
    "finback_accept_pauses_total": "counter",
    "finback_max_sessions": "gauge",
    "finback_draining": "gauge",
    "finback_config_reloads_total": "counter",
    "finback_config_last_reload_successful": "gauge",
    "finback_config_last_reload_success_timestamp_seconds": "gauge",
    "finback_log_dropped_total": "counter",
    "process_start_time_seconds": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
}


def labels(**choices):
    """All combinations of label values, as the samples' keys."""
    combinations = [{}]
    for name, values in choices.items():
        combinations = [{**chosen, name: value} for chosen in combinations for value in values]
    return {frozenset(chosen.items()) for chosen in combinations}


def test_families_and_types():
    with Controlled() as relay:
        assert Metrics.of(relay.control).types == FAMILIES


def test_all_label_values_are_there_from_the_start():
    """So that the very first event shows as a rate."""
    with Controlled(workers=2) as relay:
        samples = Metrics.of(relay.control).samples
        expected = {
            "finback_sessions_accepted_total": labels(listener=["web"]),
            "finback_sessions_active": labels(listener=["web"], state=STATES),
            "finback_sessions_ended_total": labels(listener=["web"], ending=ENDINGS),
            "finback_bytes_relayed_total": labels(listener=["web"], flow=FLOWS),
            "finback_fins_relayed_total": labels(listener=["web"], flow=FLOWS),
            "finback_resets_relayed_total": labels(listener=["web"], flow=FLOWS),
            "finback_dead_peers_total": labels(listener=["web"], side=SIDES, detector=DETECTORS),
            "finback_probes_sent_total": labels(listener=["web"], side=SIDES),
            "finback_probe_replies_total": labels(listener=["web"], side=SIDES),
            "finback_probe_bytes_sent_total": labels(listener=["web"], side=SIDES),
            "finback_probe_bytes_swallowed_total": labels(listener=["web"], side=SIDES),
            "finback_connects_total": labels(pool=["web"], server=[relay.backend.address],
                                             result=RESULTS),
            "finback_server_up": labels(pool=["web"], server=[relay.backend.address]),
            "finback_server_sessions": labels(pool=["web"], server=[relay.backend.address]),
            "finback_connect_seconds_count": labels(listener=["web"]),
            "finback_session_seconds_count": labels(listener=["web"]),
            "finback_half_closed_seconds_count": labels(listener=["web"]),
            "finback_buffer_bytes": labels(worker=["0", "1"]),
            "finback_pipes": labels(worker=["0", "1"]),
            "finback_accept_pauses_total": labels(worker=["0", "1"]),
            "finback_open_fds": labels(worker=["0", "1", "main"]),
            "finback_config_reloads_total": labels(result=["ok", "failed"]),
        }
        for name, keys in expected.items():
            assert set(samples[name]) == keys, name
        assert all(value == 0 for value in samples["finback_sessions_ended_total"].values())


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_promtool_has_nothing_to_say():
    with Controlled(workers=2) as relay:
        client, server = relay.pair()
        client.send_and_half_close(b"request")
        server.read_to_eof()
        text = relay.http.get("/metrics").text
        result = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                capture_output=True, timeout=20, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout + result.stderr == ""


def test_both_addresses_give_the_same_families():
    with Controlled() as relay:
        assert Metrics.of(relay.http).samples.keys() == Metrics.of(relay.control).samples.keys()


def test_names_that_need_escapes():
    """A server's address is whatever the file says; a UNIX path may hold anything."""
    path = "/tmp/no such\\place \"at all\"/ä"
    config = {"listeners": ({"name": "web", "listen": "127.0.0.1:0",
                             "servers": "unix:" + path},)}
    with ControlledFinback(config) as finback:
        metrics = Metrics.of(finback.control)
        assert metrics.values_of("finback_server_up", "server") == ["unix:" + path]


def test_many_listeners_and_servers():
    backend = refusing_backend()
    servers = tuple({"name": f"s{i}", "address": backend.address} for i in range(20))
    config = {"workers": 2, "pools": ({"name": "app", "servers": servers},),
              "listeners": tuple({"name": f"l{i}", "listen": "127.0.0.1:0", "pool": "app"}
                                 for i in range(50))}
    finback = ControlledFinback(config)
    finback.own(backend)
    with finback:
        metrics = Metrics.of(finback.control)
        for name in ("finback_sessions_accepted_total", "finback_half_closed_seconds_count"):
            assert metrics.values_of(name, "listener") == [f"l{i}" for i in range(50)]
        assert metrics.values_of("finback_connects_total", "server") == [f"s{i}" for i in range(20)]
