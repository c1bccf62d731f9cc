"""The Grafana dashboard: its queries are asked of a real Prometheus that knows a real finback."""

import json
import os
import re

import pytest

from lib.daemon import TOP

PATH = os.path.join(TOP, "conf", "grafana", "finback.json")
METRIC = re.compile(r"\b(?:finback|process)_\w+")
VARIABLE = re.compile(r"\$(?:\{\w+\}|\w+)")
SUFFIXES = ("_bucket", "_sum", "_count")
RATE_INTERVAL = "4s"

# What an operator needs, each in some query.
NEEDED = (
    "finback_build_info", "finback_sessions_active", "finback_sessions_accepted_total",
    "finback_sessions_ended_total", "finback_bytes_relayed_total", "finback_fins_relayed_total",
    "finback_resets_relayed_total", "finback_connect_seconds", "finback_session_seconds",
    "finback_half_closed_seconds", "finback_dead_peers_total", "finback_probes_sent_total",
    "finback_probe_replies_total", "finback_probe_bytes_sent_total",
    "finback_probe_bytes_swallowed_total", "finback_connects_total", "finback_server_up",
    "finback_server_sessions", "finback_buffer_bytes", "finback_pipes", "finback_open_fds",
    "finback_max_sessions", "finback_draining", "finback_log_dropped_total",
    "finback_accept_pauses_total", "finback_config_reloads_total",
    "finback_config_last_reload_successful", "process_open_fds", "process_max_fds",
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
)


def load():
    with open(PATH, encoding="utf-8") as file:
        return json.load(file)


def panels():
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def targets():
    return [(f"{panel['title']} {target['refId']}", target["expr"])
            for panel in panels() for target in panel["targets"]]


def filled_in(expression):
    """As Grafana sends it with "All" chosen everywhere."""
    text = expression.replace("$__rate_interval", RATE_INTERVAL)
    for name in ("job", "instance", "listener"):
        text = re.sub(rf"\${name}\b", ".*", text)
    assert not VARIABLE.search(text), f"a variable that there is not: {text}"
    return text


def test_it_is_what_grafana_imports():
    board = load()
    assert board["schemaVersion"] >= 36
    assert board["title"] == "finback" and board["uid"] and board["id"] is None
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_the_data_source_is_a_variable():
    board = load()
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert set(variables) == {"datasource", "job", "instance", "listener"}
    for panel in panels():
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_panel_says_what_it_shows():
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles))
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]


def test_panels_do_not_overlap():
    taken = {}
    for panel in load()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} and {taken.get((x, y))}"
                taken[x, y] = panel["title"]


def test_all_that_an_operator_needs_is_there():
    everything = " ".join(expression for _, expression in targets())
    missing = [name for name in NEEDED if name not in everything]
    assert missing == []


@pytest.mark.parametrize("name, expression", targets(), ids=[name for name, _ in targets()])
def test_every_query_is_understood_and_answered(watched, name, expression):
    names = watched.prometheus.names()
    for metric in METRIC.findall(expression):
        assert metric in names, f"{name}: there is no {metric}"
    result = watched.prometheus.query(filled_in(expression), watched.end)
    assert result, f"{name}: nothing for {expression}"


def test_annotations_are_understood(watched):
    for annotation in load()["annotations"]["list"]:
        if "expr" in annotation:
            watched.prometheus.query(filled_in(annotation["expr"]), watched.end)


def test_variables_have_values(watched):
    for variable in load()["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        values = watched.prometheus.ask(f"label/{match[2]}/values",
                                        **{"match[]": filled_in(match[1])})
        assert values, variable["name"]
