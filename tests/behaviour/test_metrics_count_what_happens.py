"""Each thing that happens is counted once, under its name, as soon as it has happened."""

import time

import pytest

from lib.control import Controlled, ControlledFinback
from lib.daemon import SIDES, other
from lib.metrics import Metrics
from lib.peers import SLOW_READER, Backend, eventually, refusing_backend


def wait_for(relay, what, number, *, name="finback_sessions_active", **labels):
    """Scrapes until the sample has this number; the whole answer then."""
    def seen():
        metrics = Metrics.of(relay.control)
        return metrics.total(name, **labels) == number and metrics

    return eventually(seen, f"{name} {labels} {what}")


def wait_ended(relay, ending, number=1):
    return wait_for(relay, "ended", number, name="finback_sessions_ended_total", ending=ending)


@pytest.mark.parametrize("first", SIDES)
def test_the_states_of_a_session(first):
    with Controlled(timeouts={"half_closed": "30s"}) as relay:
        peer, opposite = relay.greeted_sides(first)
        wait_for(relay, "open", 1, state="open")
        peer.half_close()
        metrics = wait_for(relay, "half-closed", 1, state=f"half_closed_{first}")
        assert metrics.total("finback_sessions_active") == 1
        assert metrics.value("finback_fins_relayed_total", listener="web",
                             flow=f"from_{first}") == 1
        assert metrics.value("finback_fins_relayed_total", listener="web",
                             flow=f"from_{other(first)}") == 0
        opposite.half_close()
        metrics = wait_ended(relay, "complete")
        assert metrics.total("finback_sessions_active") == 0
        assert metrics.balance("web") == (1, 1)


def test_bytes_are_those_of_the_peers():
    with Controlled() as relay:
        client, server = relay.pair()
        client.send(b"x" * 100_000)
        assert len(server.receive(100_000)) == 100_000
        server.send_and_half_close(b"y" * 77)
        assert len(client.read_to_eof()) == 77
        metrics = wait_for(relay, "half-closed", 1, state="half_closed_server")
        assert metrics.value("finback_bytes_relayed_total", listener="web",
                             flow="from_client") == 100_000
        assert metrics.value("finback_bytes_relayed_total", listener="web",
                             flow="from_server") == 77


@pytest.mark.parametrize("first", SIDES)
def test_a_reset_is_counted_for_whom_it_came_from(first):
    with Controlled() as relay:
        peer, opposite = relay.greeted_sides(first)
        peer.reset()
        opposite.expect_reset()
        metrics = wait_ended(relay, f"{first}_reset")
        assert metrics.value("finback_resets_relayed_total", listener="web",
                             flow=f"from_{first}") == 1
        assert metrics.value("finback_resets_relayed_total", listener="web",
                             flow=f"from_{other(first)}") == 0


def test_a_reset_of_finbacks_own_is_none_of_a_peer():
    with Controlled(timeouts={"idle": "300ms"}) as relay:
        client, server = relay.pair()
        client.expect_reset()
        server.expect_reset()
        metrics = wait_ended(relay, "idle_timeout")
        assert metrics.total("finback_resets_relayed_total") == 0


def test_attempts_to_connect_and_their_ends():
    refuses = refusing_backend()
    backend = Backend()
    config = {"pools": ({"name": "app", "servers": (
                  {"name": "bad", "address": refuses.address},
                  {"name": "good", "address": backend.address, "backup": True})},),
              "listeners": ({"name": "web", "listen": "127.0.0.1:0", "pool": "app"},)}
    finback = ControlledFinback(config)
    finback.own(refuses)
    finback.own(backend)
    with finback:
        finback.connect()
        backend.accept()
        metrics = wait_for(finback, "open", 1, state="open")
        assert metrics.value("finback_connects_total", pool="app", server="bad",
                             result="refused") == 1
        assert metrics.value("finback_connects_total", pool="app", server="good", result="ok") == 1
        assert metrics.total("finback_connects_total") == 2
        assert metrics.value("finback_server_sessions", pool="app", server="bad") == 0
        assert metrics.value("finback_server_sessions", pool="app", server="good") == 1
        assert metrics.value("finback_connect_seconds_count", listener="web") == 1


def test_a_server_in_maintenance_is_down():
    with Controlled() as relay:
        name = relay.backend.address
        for state, up in (("maint", 0), ("drain", 1), ("ready", 1)):
            relay.control.set_server("web", name, state)
            metrics = Metrics.of(relay.control)
            assert metrics.value("finback_server_up", pool="web", server=name) == up, state


def test_nobody_to_connect_to():
    backend = refusing_backend()
    with Controlled(backend=backend) as relay:
        relay.connect().expect_reset()
        metrics = wait_ended(relay, "connect_refused")
        assert metrics.value("finback_connect_seconds_count", listener="web") == 0
        assert metrics.value("finback_session_seconds_count", listener="web") == 1


def test_times_go_to_their_buckets():
    with Controlled() as relay:
        client, server = relay.pair()
        time.sleep(0.2)
        client.half_close()
        server.read_to_eof()
        time.sleep(0.7)
        server.half_close()
        metrics = wait_ended(relay, "complete")
        assert metrics.value("finback_connect_seconds_count", listener="web") == 1
        assert 0 < metrics.value("finback_connect_seconds_sum", listener="web") < 10
        half_closed = metrics.value("finback_half_closed_seconds_sum", listener="web")
        assert 0.68 <= half_closed < 5
        assert metrics.value("finback_half_closed_seconds_bucket", listener="web", le="0.5") == 0
        assert metrics.value("finback_half_closed_seconds_bucket", listener="web", le="5") == 1
        session = metrics.value("finback_session_seconds_sum", listener="web")
        assert half_closed + 0.18 <= session < 10


def test_a_session_that_was_never_half_closed_has_no_such_time():
    with Controlled() as relay:
        client, _ = relay.pair()
        client.reset()
        metrics = wait_ended(relay, "client_reset")
        assert metrics.value("finback_half_closed_seconds_count", listener="web") == 0


def test_held_bytes_are_shown_and_go_with_the_session():
    with Controlled(receive_buffer=SLOW_READER, buffer="64KiB") as relay:
        client, server = relay.pair()
        client.fill(b"x" * (8 << 20))
        metrics = Metrics.of(relay.control)
        assert metrics.total("finback_buffer_bytes") <= 2 * 65536
        assert metrics.total("finback_buffer_bytes") or metrics.total("finback_pipes")
        client.reset()
        server.reset()
        wait_for(relay, "ended", 0)
        wait_for(relay, "held", 0, name="finback_buffer_bytes")
        wait_for(relay, "held", 0, name="finback_pipes")


def test_connections_beyond_the_limit():
    with Controlled(max_sessions=1) as relay:
        relay.pair()
        relay.connect().expect_reset()
        metrics = wait_ended(relay, "limited")
        assert metrics.balance("web") == (2, 2)
        assert metrics.total("finback_sessions_active") == 1


def test_reloads():
    with Controlled() as relay:
        loaded = "finback_config_last_reload_success_timestamp_seconds"
        first = Metrics.of(relay.control).value(loaded)
        assert abs(first - time.time()) < 60
        relay.reload(relay.config)
        good = Metrics.of(relay.control)
        assert good.value("finback_config_reloads_total", result="ok") == 1
        assert good.value("finback_config_last_reload_successful") == 1
        assert good.value(loaded) > first
        relay.write_config({**relay.config, "workers": "many"})
        assert relay.control.reload().status == 422
        bad = Metrics.of(relay.control)
        assert bad.value("finback_config_reloads_total", result="ok") == 1
        assert bad.value("finback_config_reloads_total", result="failed") == 1
        assert bad.value("finback_config_last_reload_successful") == 0
        assert bad.value(loaded) == good.value(loaded)


def test_draining():
    with Controlled() as relay:
        client, server = relay.pair()
        assert Metrics.of(relay.control).value("finback_draining") == 0
        assert relay.control.drain().status == 202
        metrics = Metrics.of(relay.control)
        assert metrics.value("finback_draining") == 1
        assert metrics.total("finback_sessions_active") == 1
        client.reset()
        server.expect_reset()
        relay.wait_exit()


def test_limits_and_the_process():
    with Controlled(descriptors=1000, workers=2) as relay:
        metrics = Metrics.of(relay.control)
        assert metrics.value("process_max_fds") == 1000
        assert 100 <= metrics.value("finback_max_sessions") < 500
        assert abs(metrics.value("process_start_time_seconds") - time.time()) < 60
        seconds = metrics.value("process_cpu_seconds_total")
        assert 0 < seconds <= relay.cpu_seconds() + 0.5
        resident = metrics.value("process_resident_memory_bytes")
        assert 0.5 < resident / relay.resident_bytes() < 2
