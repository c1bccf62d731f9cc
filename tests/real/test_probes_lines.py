"""Line protocols of the user's own, probed: Redis in its inline form, whose answers are taken out,
and SMTP, where lines become content."""

import importlib.util
import sys

import pytest

from lib.peers import eventually
from probes import Probed, expect_dead_server, hung, run_both
from programs import Server, need

REDIS = {"protocol": "lines", "send": "PING\r\n", "expect": "+PONG\r\n"}
SMTP = {"protocol": "lines", "send": "NOOP\r\n", "expect": "250 OK\r\n"}


@pytest.fixture(scope="module", name="redis")
def redis_server(tmp_path_factory):
    program = need("redis-server")
    directory = tmp_path_factory.mktemp("redis")

    def command(port):
        return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                str(directory)]

    with Server(directory, command) as server:
        yield server


@pytest.fixture(scope="module", name="smtpd")
def smtp_server(tmp_path_factory):
    if importlib.util.find_spec("smtpd") is None:
        pytest.skip("needs smtpd, a module of Python up to 3.11")

    def command(port):
        return [sys.executable, "-u", "-W", "ignore", "-m", "smtpd", "-n", "-c", "DebuggingServer",
                f"127.0.0.1:{port}"]

    with Server(tmp_path_factory.mktemp("smtpd"), command) as server:
        yield server


def inline_commands(way):
    wire = way.wire()
    wire.expect_no_probe()  # nothing says yet that these are lines
    wire.ask(b"SET word +PONG\r\n", b"+OK\r\n")
    wire.expect_probe(2)
    wire.send_cut(b"GET word\r\n", 2, -1)
    assert wire.receive_until(b"+PONG\r\n") == b"$5\r\n+PONG\r\n"
    wire.expect_probe()
    wire.send_crawling(b"PING\r\n")  # the client's own
    assert wire.receive_line() == b"+PONG\r\n"
    wire.expect_probe()
    wire.ask(b"PING\r\nPING\r\nECHO +PONG\r\n", b"+PONG\r\n+PONG\r\n$5\r\n+PONG\r\n")
    wire.expect_probe()
    wire.send(b"BLPOP list 1\r\n")
    wire.expect_no_probe()  # its answer is still to come
    assert wire.receive_line() == b"*-1\r\n"
    wire.expect_probe()
    wire.ask(b"WRONG\r\n", b"-ERR unknown command 'WRONG', with args beginning with: \r\n")
    wire.expect_probe()
    wire.send(b"QUIT\r\n")
    assert wire.finish() == b"+OK\r\n"


def test_answers_are_taken_out(redis):
    run_both(inline_commands, redis, **REDIS)


def test_an_answer_that_comes_late_is_taken_out(redis):
    """The client's own commands are behind the probe, and so are their answers."""
    with Probed(redis, answer="200ms", **REDIS) as probed:
        wire = probed.wire()
        wire.ask(b"SET n 1\r\n", b"+OK\r\n")
        wire.expect_probe()
        with hung(redis.process):
            sent = wire.lane.probes()
            eventually(lambda: wire.lane.probes() > sent, "a probe goes out")
            wire.send(b"INCR n\r\nPING\r\n")
            wire.expect_no_probe()
        assert wire.receive(11) == b":2\r\n+PONG\r\n"
        wire.expect_probe()
        assert wire.finish() == b""
        probed.expect_complete()


def test_an_answer_that_was_not_expected_reaches_the_client(redis):
    """And there is no other probe: what was configured is not what the server speaks."""
    with Probed(redis, **{**REDIS, "expect": "+PANG\r\n"}) as probed:
        wire = probed.wire()
        wire.ask(b"SET n 1\r\n", b"+OK\r\n")
        assert wire.receive_line() == b"+PONG\r\n"
        wire.expect_no_probe()
        wire.ask(b"GET n\r\n", b"$1\r\n1\r\n")
        wire.expect_no_probe()
        assert wire.finish() == b""
        probed.expect_complete()
        assert wire.lane.probes() == 1 and wire.lane.replies() == 0


def test_a_hung_server_is_found(redis):
    with Probed(redis, answer="500ms", on_silence="end", **REDIS) as probed:
        wire = probed.wire()
        wire.ask(b"SET n 1\r\n", b"+OK\r\n")
        wire.expect_probe()
        with hung(redis.process):
            expect_dead_server(probed, wire.lane)
            assert wire.expect_reset() == b""


def test_a_hung_server_is_counted_alone(redis):
    """The session goes on when the server does."""
    with Probed(redis, answer="200ms", on_silence="count", **REDIS) as probed:
        wire = probed.wire()
        wire.ask(b"SET n 1\r\n", b"+OK\r\n")
        wire.expect_probe()
        with hung(redis.process):
            wire.expect_silence(1)
        wire.expect_probe()
        wire.ask(b"GET n\r\n", b"$1\r\n1\r\n")
        assert wire.finish() == b""
        probed.expect_complete()


def mail(way):
    """Once there was content there are no probes: its lines are not answered one by one."""
    wire = way.wire()
    assert wire.receive_line().startswith(b"220 ")
    wire.expect_no_probe()
    wire.send_cut(b"EHLO client.example.net\r\n", 7)
    while not wire.receive_line().startswith(b"250 "):
        pass
    wire.expect_probe()
    wire.ask(b"MAIL FROM:<alice@example.net>\r\n", b"250 OK\r\n")
    wire.expect_probe()
    wire.ask(b"RCPT TO:<bob@example.net>\r\n", b"250 OK\r\n")
    wire.expect_probe()
    wire.ask(b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n")
    wire.send(b"Subject: lines\r\n\r\n")
    wire.expect_no_probe()
    wire.send_cut(b"one\r\ntwo\r\n", 6)
    wire.expect_no_probe()
    wire.ask(b".\r\n", b"250 OK\r\n")
    wire.expect_no_probe()
    wire.ask(b"NOOP\r\n", b"250 OK\r\n")
    wire.ask(b"QUIT\r\n", b"221 Bye\r\n")
    wire.finish()


def test_mail(smtpd):
    run_both(mail, smtpd, **SMTP)
    assert smtpd.log().count("b'Subject: lines'") == 2
    assert smtpd.log().count("b'one'\nb'two'\n---") == 2
