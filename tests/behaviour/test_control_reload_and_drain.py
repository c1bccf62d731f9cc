"""A reload and a drain on demand: the answer says how it went."""

import signal

import pytest

from lib.control import Controlled, ControlledFinback
from lib.peers import Background, Backend, eventually, refuses
from lib.timing import within


def write(relay, text):
    with open(relay.config_path, "w", encoding="utf-8") as file:
        file.write(text)


def ping(client, server):
    client.send(b"ping")
    assert server.receive(4) == b"ping"


# ---- reload ------------------------------------------------------------------------------------


@pytest.mark.threads
def test_a_good_file():
    with Controlled(workers=2) as relay, Backend() as other:
        old = relay.pair()
        config = {**relay.config, "listeners": (
            {**relay.listener, "servers": other.address},)}
        relay.write_config(config)
        answer = relay.control.reload()
        assert (answer.status, answer.json()) == (200, {"reloaded": True, "warnings": []})
        # It is in force when the answer comes.
        assert relay.control.status()["config"]["reloads"] == 1
        client = relay.connect()
        ping(client, other.accept())
        ping(*old)
        relay.wait_line(r"finback: control: uid \d+, pid \d+ asks for a reload")
        client.reset()
        for peer in other.peers:
            peer.reset()


def test_warnings_are_told():
    with Controlled() as relay:
        relay.write_config({**relay.config, "pools": (
            {"name": "idle", "servers": "127.0.0.1:9"},)})
        answer = relay.control.reload().json()
        assert answer["reloaded"] is True
        assert len(answer["warnings"]) == 1 and "pools.idle" in answer["warnings"][0]
        assert answer["warnings"][0].startswith(relay.config_path + ":")


def test_a_bad_file():
    with Controlled() as relay:
        write(relay, 'listeners = ( { name = "web"; } );\nworkers = "many";\n')
        before = relay.control.status()
        answer = relay.control.reload()
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == 422 and problem["type"] == "about:blank"
        assert problem["warnings"] == []
        assert any(f"{relay.config_path}:2: workers: " in line for line in problem["errors"])
        assert len(problem["errors"]) >= 2
        after = relay.control.status()
        assert after["config"]["failed_reloads"] == before["config"]["failed_reloads"] + 1
        assert after["config"]["last_reload_ok"] is False
        ping(*relay.pair())
        relay.write_config(relay.config)
        assert relay.control.reload().status == 200
        assert relay.control.status()["config"]["last_reload_ok"] is True


def test_a_good_file_that_cannot_be_had():
    with Controlled() as relay, Backend() as taken:
        relay.write_config({**relay.config, "listeners": (
            {**relay.listener, "name": "never", "listen": taken.address},)})
        answer = relay.control.reload()
        assert answer.status == 422
        assert len(answer.json()["errors"]) == 1 and taken.address in answer.json()["errors"][0]
        assert [each["name"] for each in relay.control.status()["listeners"]] == \
            [relay.listener["name"]], "what was never in force is not shown"
        ping(*relay.pair())
        relay.write_config(relay.config)


def test_the_file_is_gone():
    with Controlled() as relay:
        relay.write_config(relay.config)
        with open(relay.config_path, encoding="utf-8") as file:
            text = file.read()
        write(relay, "@include \"absent\"\n")
        assert relay.control.reload().status == 422
        write(relay, text)
        assert relay.control.reload().status == 200


@pytest.mark.threads
def test_many_at_once():
    """Each has the answer of a reload that began after it was asked for."""
    with Controlled(workers=2) as relay:
        clients = [relay.client(relay.control.address) for _ in range(20)]
        asking = [Background(client.reload) for client in clients]
        assert [one.result().status for one in asking] == [200] * len(clients)
        assert 1 <= relay.control.status()["config"]["reloads"] <= 20


def test_a_client_that_leaves_does_not_stop_it():
    with Controlled() as relay:
        for number in range(10):
            peer = relay.raw()
            peer.send(b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.close()
            assert relay.control.reload().status == 200
        assert relay.control.status()["config"]["reloads"] >= 10


def test_a_reload_by_a_signal_and_one_on_demand():
    with Controlled() as relay:
        relay.signal(signal.SIGHUP)
        assert relay.control.reload().status == 200
        eventually(lambda: relay.control.status()["config"]["reloads"] >= 1)


def test_not_while_draining():
    with Controlled(top={"drain": "1h"}) as relay:
        relay.pair()
        relay.signal(signal.SIGTERM)
        eventually(lambda: relay.control.status()["state"] == "draining")
        answer = relay.control.reload()
        assert answer.status == 409 and "draining" in answer.json()["detail"]
        assert relay.control.status()["config"]["reloads"] == 0


# ---- drain -------------------------------------------------------------------------------------


@pytest.mark.threads
@pytest.mark.parametrize("workers", (1, 4))
def test_drain(workers):
    with Controlled(workers=workers, top={"drain": "90s"}) as relay:
        pairs = [relay.pair() for _ in range(3)]
        eventually(lambda: relay.control.status()["sessions"] == 3)
        answer = relay.control.drain()
        assert answer.status == 202
        assert answer.json() == {"draining": True, "sessions": 3, "drain_s": 90.0}
        eventually(lambda: refuses(relay.address()), "no new connections")

        again = relay.control.drain()
        assert again.status == 409 and "draining" in again.json()["detail"]

        # To the very end all can be seen, and ended.
        status = relay.control.status()
        assert status["state"] == "draining" and status["sessions"] == 3
        assert "finback_draining 1" in relay.http.get("/metrics").text
        victim = relay.control.sessions()[0]["id"]
        assert relay.control.kill(victim).status == 200
        eventually(lambda: relay.control.status()["sessions"] == 2)
        for client, server in pairs:
            client.reset()
            server.reset()
        relay.wait_exit(within=5)
        assert relay.totals().endings["killed"] == 1


def test_drain_without_sessions_is_answered():
    for _ in range(5):
        with Controlled(workers=2, top={"drain": "1h"}) as relay, within(5):
            answer = relay.control.drain()
            assert answer.status == 202 and answer.json()["sessions"] == 0
            relay.wait_exit()


def test_drain_of_zero():
    with Controlled(top={"drain": "0"}) as relay:
        client, _ = relay.pair()
        eventually(lambda: relay.control.status()["sessions"] == 1)
        assert relay.control.drain().json() == {"draining": True, "sessions": 1, "drain_s": 0.0}
        client.expect_reset()
        relay.wait_exit(within=5)


def test_the_end_leaves_nobody_waiting():
    """Half requests and idle connections do not keep it; answers under way are sent."""
    with Controlled(workers=2, top={"drain": "1h"}) as relay:
        idle, half = relay.raw(), relay.raw(relay.http_address)
        half.send(b"GET /api/v1/sta")
        relay.control.status()
        with within(5):
            relay.signal(signal.SIGTERM)
            relay.wait_exit()
        for peer in (idle, half):
            assert peer.read_to_eof() == b""


def test_requests_until_the_end():
    """Every answer is a whole one, or the connection is closed before it begins."""
    for _ in range(3):
        with Controlled(workers=2, top={"drain": "300ms"}) as relay:
            for _ in range(30):
                relay.pair()
            relay.signal(signal.SIGTERM)
            assert ask_until_the_end(relay, relay.control.address) > 3
            relay.wait_exit()


def ask_until_the_end(relay, address):
    count = 0
    while True:
        client = relay.client(address)
        try:
            assert client.get("/api/v1/sessions").status in (200, 503)
            client.status()
        except (ConnectionError, FileNotFoundError):
            return count
        finally:
            client.close()
        count += 1


def test_no_file_to_read():
    """A daemon from no file has no control interface to ask: nothing to test but that it runs."""
    with ControlledFinback({}, arguments=["--demo=127.0.0.1:0"]) as finback:
        finback.signal(signal.SIGHUP)
        finback.wait_line(r"finback: warning: reload: there is no configuration file.*")
