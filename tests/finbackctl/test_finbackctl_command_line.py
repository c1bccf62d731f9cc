"""Arguments, help and exit statuses, as far as no daemon is needed for them."""

import os
import re
import subprocess

import pytest

from ctl import CTL, OK, OUTPUT, UNAVAILABLE, USAGE, ctl
from mock_daemon import Mock, session

COMMANDS = ("status", "sessions", "session", "kill", "server", "reload", "drain", "top")


def test_version():
    result = ctl("--version")
    assert result.returncode == OK
    assert re.fullmatch(r"finbackctl \d+\.\d+\.\d+\n", result.stdout)


def test_help_names_every_command():
    result = ctl("--help")
    assert result.returncode == OK and not result.stderr
    for command in (*COMMANDS, "--socket", "--json", "/run/finback/control.sock"):
        assert command in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ("--help", "-h"))
def test_every_command_has_help(command, option):
    result = ctl(command, option)
    assert result.returncode == OK and not result.stderr
    assert result.stdout.startswith(f"usage: finbackctl {command}")
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("arguments, telling", (
    ((), "usage"),
    (("--unknown", "status"), "unknown"),
    (("stauts",), "'stauts'"),
    (("status", "surplus"), "'surplus'"),
    (("status", "--unknown"), "--unknown"),
    (("sessions", "7"), "finbackctl session ID"),
    (("sessions", "--limit", "0"), "from 1"),
    (("sessions", "--limit", "many"), "from 1"),
    (("sessions", "--limit"), "requires an argument"),
    (("sessions", "--state", "open", "--state", "closing"), "twice"),
    (("sessions", "--ended", "--state", "open"), "--state"),
    (("sessions", "--ended", "--min-age", "1s"), "--min-age"),
    (("session",), "one ID"),
    (("session", "1", "2"), "one ID"),
    (("session", "first"), "one ID"),
    (("session", "0"), "one ID"),
    (("session", "-1"), ""),
    (("session", "9" * 40), "one ID"),
    (("kill",), "one filter at least"),
    (("kill", "--yes"), "one filter at least"),
    (("kill", "--limit", "5"), "one filter at least"),
    (("kill", "5", "--pool", "web"), "not both"),
    (("kill", "5", "--limit", "1"), "not both"),
    (("kill", "5", "../status"), "'../status'"),
    (("kill", "5", "--json"), "--json"),
    (("--json", "kill", "5"), "--json"),
    (("server", "web/a", "gone"), "ready, drain or maint"),
    (("server", "web", "drain"), "POOL/SERVER"),
    (("server", "/a"), "POOL/SERVER"),
    (("server", "web/"), "POOL/SERVER"),
    (("server", ""), "POOL/SERVER"),
    (("server", "web/a", "drain", "now"), "'now'"),
    (("reload", "now"), "'now'"),
    (("drain", "now"), "'now'"),
    (("drain", "--timeout", "5s"), "--wait"),
    (("drain", "--wait", "--timeout", "5"), "such as \"30s\""),
    (("top", "--interval", "10ms"), "100ms to 1h"),
    (("top", "--interval", "1"), "100ms to 1h"),
    (("top", "now"), "'now'"),
    (("top",), "no terminal"),
    (("top", "--json"), "--json"),
))
def test_bad_usage(arguments, telling):
    with Mock([session(5)]) as mock:
        result = ctl(*arguments, socket=mock.path)
        assert result.returncode == USAGE, result
        assert telling in result.stderr and not result.stdout
        assert not mock.requests, "nothing is asked, and nothing is done"


@pytest.mark.parametrize("arguments", (
    ("--socket", "PATH", "status"), ("status", "--socket", "PATH"), ("--socket=PATH", "status")))
def test_socket_of_the_command_line_comes_first(arguments):
    with Mock() as mock:
        arguments = [text.replace("PATH", mock.path) for text in arguments]
        assert ctl(*arguments, socket="/nonexistent/other.sock").returncode == OK


def test_socket_of_the_environment_comes_next():
    with Mock() as mock:
        assert ctl("status", socket=mock.path).returncode == OK
    result = ctl("status", env={"FINBACK_SOCKET": "/nonexistent/other.sock"})
    assert result.returncode == UNAVAILABLE and "/nonexistent/other.sock" in result.stderr


def test_empty_environment_counts_as_none():
    result = ctl("status", env={"FINBACK_SOCKET": ""})
    assert "/run/finback/control.sock" in result.stderr or result.returncode == OK


@pytest.mark.parametrize("arguments", (("status",), ("sessions",), ("status", "--json"), ("--help",)))
def test_full_disk_is_noticed(arguments):
    with Mock([session(number) for number in range(1, 200)]) as mock, \
            open("/dev/full", "w", encoding="ascii") as full:
        result = ctl(*arguments, socket=mock.path, stdout=full)
        assert result.returncode == OUTPUT
        assert "No space left" in result.stderr


@pytest.mark.parametrize("ignores", (True, False))
def test_reader_that_has_gone_is_noticed(ignores):
    """A pipe ends it by SIGPIPE, or where that is ignored, as a failed write."""
    reader, writer = os.pipe()
    os.close(reader)
    with Mock([session(number) for number in range(1, 200)]) as mock:
        program = ["env", "--ignore-signal=PIPE" if ignores else "--default-signal=PIPE", CTL]
        try:
            result = subprocess.run([*program, "--socket", mock.path, "sessions"], stdout=writer,
                                    stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        finally:
            os.close(writer)
        assert result.returncode == (OUTPUT if ignores else -13)
