"""reload says whether the file was taken, and drain can wait for the end."""

import json
import signal
import time

import pytest

from ctl import LATER, REFUSED, UNAVAILABLE, ControlledRelay, Terminal, ctl
from lib.peers import eventually, refuses
from lib.timing import within
from mock_daemon import Mock, problem


def test_good_file_is_taken():
    with ControlledRelay() as relay:
        relay.listener["name"] = "renamed"
        relay.write_config(relay.config)
        assert relay.ctl("reload") == "reloaded\n"
        status = json.loads(relay.ctl("status", "--json"))
        assert status["config"]["reloads"] == 1
        assert "renamed" in relay.ctl("status")
        assert json.loads(relay.ctl("reload", "--json"))["reloaded"] is True


def test_bad_file_is_not_and_every_error_is_printed():
    with ControlledRelay() as relay:
        relay.listener["timeouts"] = {"idle": "soon"}
        relay.config["surprise"] = 1
        relay.write_config(relay.config)
        errors = relay.ctl("reload", status=REFUSED).splitlines()
        for telling in ("soon", "surprise"):
            assert any(line.startswith("finbackctl: error: ") and "finback.conf:" in line and
                       telling in line for line in errors), errors
        assert "the last reload failed" in relay.ctl("status")
        del relay.listener["timeouts"], relay.config["surprise"]
        relay.write_config(relay.config)
        relay.ctl("reload")
        assert "the last reload failed" not in relay.ctl("status")


def test_warnings_are_printed_with_either_answer():
    """They go to standard error, a line each."""
    for code, answer in ((0, (200, {"reloaded": True, "warnings": ["a:1: odd", "a:2: odder"]})),
                         (1, problem(422, "not taken", errors=["a:3: bad"],
                                     warnings=["a:1: odd", "a:2: odder"]))):
        with Mock(fixed={("POST", "/api/v1/reload"): answer}) as mock:
            result = ctl("reload", socket=mock.path)
            assert result.returncode == code
            assert "finbackctl: warning: a:1: odd\nfinbackctl: warning: a:2: odder\n" in result.stderr


def test_reload_may_take_long():
    """Names are looked up: longer than any other answer may take."""
    def late(_):
        time.sleep(12)
        return 200, {"reloaded": True, "warnings": []}

    with Mock(fixed={("POST", "/api/v1/reload"): late}) as mock:
        assert ctl("reload", socket=mock.path).returncode == 0


def test_drain_does_not_wait_unless_told():
    with ControlledRelay() as relay:
        client, server = relay.pair()
        with within(3):
            assert relay.ctl("drain") == "draining: sessions left 1, time to finish 10s\n"
        eventually(lambda: refuses(relay.address()), "draining", within=3)
        client.send_and_half_close(b"bye")
        assert server.read_to_eof() == b"bye"
        server.half_close()
        assert client.read_to_eof() == b""
        relay.wait_exit(within=3)


def test_drain_waits_for_the_end_of_the_process():
    with ControlledRelay() as relay:
        client, server = relay.pair()
        with Terminal("drain", "--wait", socket=relay.control) as terminal:
            terminal.wait("draining: sessions left 1")
            terminal.read(0.5)
            assert terminal.process.poll() is None
            client.half_close()
            assert server.read_to_eof() == b""
            server.half_close()
            relay.wait_exit(within=3)
            terminal.wait_exit()


def test_wait_ends_in_time():
    with ControlledRelay(top={"drain": "1h"}) as relay:
        relay.pair()
        assert "still runs" in relay.ctl("drain", "--wait", "--timeout", "700ms", status=LATER)
        relay.reset_peers()


@pytest.mark.parametrize("wait", (True, False))
def test_second_drain(wait):
    """Is refused; but one that waits only wants to see the end."""
    with ControlledRelay(top={"drain": "1h"}) as relay:
        relay.pair()
        relay.ctl("drain", "--json")
        if wait:
            with Terminal("drain", "--wait", socket=relay.control) as terminal:
                terminal.read(0.5)
                assert terminal.process.poll() is None
                relay.reset_peers()
                terminal.wait_exit(0)
        else:
            assert "drain" in relay.ctl("drain", status=REFUSED)
            relay.reset_peers()


def test_wait_sees_one_that_is_killed():
    with ControlledRelay(top={"drain": "1h"}) as relay:
        relay.pair()
        with Terminal("drain", "--wait", socket=relay.control) as terminal:
            terminal.wait("draining")
            relay.kill()
            terminal.wait_exit(0)


def test_wait_without_a_daemon():
    assert ctl("drain", "--wait", socket="/nonexistent/control.sock").returncode == UNAVAILABLE


def test_daemon_that_is_stopped_is_not_waited_for_without_end():
    with ControlledRelay() as relay:
        relay.signal(signal.SIGSTOP)
        try:
            with within(25):
                relay.ctl("status", status=UNAVAILABLE)
        finally:
            relay.signal(signal.SIGCONT)
