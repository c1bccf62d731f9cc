"""Which files have nothing to do with the way that bytes take through the daemon, or see to it
themselves: scripts/test runs them once, and all others on each way (FINBACK_DATA_PATH)."""

import pytest

ONCE = """
    command_line control_counts_agree control_limits control_paths control_reload_and_drain
    control_servers control_sessions control_socket demo descriptors_run_out idle_spares_alive
    keepalive_options_are_set limits limits_embryonic limits_flood limits_half_closed log_json
    log_never_holds_a_session_up log_of_running_sessions metrics_are_well_formed
    metrics_of_descriptors passed_descriptors pipes pool probes reload session_line
    sessions_spread_over_workers spliced_flows ten_thousand_sessions unix_listener
"""
FILES = {f"test_{name}.py" for name in ONCE.split()}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in FILES:
            item.add_marker(pytest.mark.once)
