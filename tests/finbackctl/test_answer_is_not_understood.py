"""What listens on the socket is not finback, or another one: no answer makes the program do worse
than say so with status 76, and nothing that a terminal would obey gets through to it."""

import json

import pytest

from ctl import OK, PROTOCOL, REFUSED, USAGE, Terminal, ctl
from mock_daemon import Mock, problem, server, session, status

OK_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"

COMMANDS = {
    ("status",): ("GET", "/api/v1/status"),
    ("sessions",): ("GET", "/api/v1/sessions"),
    ("sessions", "--ended"): ("GET", "/api/v1/sessions"),
    ("session", "1"): ("GET", "/api/v1/sessions/1"),
    ("kill", "1"): ("DELETE", "/api/v1/sessions/1"),
    ("server",): ("GET", "/api/v1/servers"),
    ("server", "web/a", "drain"): ("PATCH", "/api/v1/servers/web/a"),
    ("reload",): ("POST", "/api/v1/reload"),
    ("drain",): ("POST", "/api/v1/drain"),
}

GARBAGE = {
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "nothing but noise": bytes(range(256)) * 40,
    "no JSON": OK_HEAD + b"Content-Length: 5\r\n\r\n<html",
    "no object": OK_HEAD + b"Content-Length: 4\r\n\r\n[{}]",
    "empty": OK_HEAD + b"Content-Length: 0\r\n\r\n",
    "cut off": OK_HEAD + b"Content-Length: 4000\r\n\r\n{",
    "broken UTF-8": OK_HEAD + b'Content-Length: 9\r\n\r\n{"a":"\xff"}',
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    "elsewhere, with an object": b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\n{}",
    "a plain error": b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 4\r\n\r\noops",
    "deep": OK_HEAD + b"\r\n" + b'{"a":' + b"[" * 100000,
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage(command, garbage):
    with Mock(fixed={COMMANDS[command]: GARBAGE[garbage]}) as mock:
        result = ctl(*command, socket=mock.path)
        assert result.returncode == PROTOCOL, result
        assert not result.stdout
        assert result.stderr.isprintable() or result.stderr[:-1].isprintable()


@pytest.mark.parametrize("command", [("status",), ("sessions",), ("sessions", "--ended"),
                                     ("server",), ("status", "--json"), ("sessions", "--json")],
                         ids=" ".join)
def test_objects_of_somebody_else(command):
    with Mock(fixed={key: (200, {"hello": "world"}) for key in COMMANDS.values()}) as mock:
        result = ctl(*command, socket=mock.path)
        assert result.returncode == PROTOCOL and not result.stdout


def test_answer_without_end():
    """It stops at the 64 MiB that it takes at most."""
    endless = OK_HEAD + b"\r\n" + b" " * (66 << 20)
    with Mock(fixed={("GET", "/api/v1/status"): endless}) as mock:
        result = ctl("status", socket=mock.path)
        assert result.returncode == PROTOCOL
        assert "64 MiB" in result.stderr


def test_list_without_end():
    fixed = {("GET", "/api/v1/sessions"): (200, {"sessions": [], "next": "again"})}
    with Mock(fixed=fixed) as mock:
        result = ctl("sessions", socket=mock.path)
        assert result.returncode == PROTOCOL and "no end" in result.stderr


@pytest.mark.parametrize("value", (None, 7, "seven", True, [], {}, [None], 1e300, -1))
def test_values_of_another_type_are_left_out(value):
    """An object where each value in turn is of a wrong type is shown as far as it goes."""
    for key in session(1):
        broken = {**session(1, "half_closed_client"), key: value}
        with Mock(fixed={("GET", "/api/v1/sessions/1"): (200, broken),
                         ("GET", "/api/v1/sessions"): (200, {"sessions": [broken, value]}),
                         ("GET", "/api/v1/servers"): (200, {"servers": [value]})}) as mock:
            for command in (("session", "1"), ("sessions",), ("sessions", "--ended"), ("server",)):
                result = ctl(*command, socket=mock.path)
                assert result.returncode == OK and not result.stderr, (key, result)
                assert result.stdout


@pytest.mark.parametrize("value", (None, 7, "seven", [], {}, [None]))
def test_status_of_another_version(value):
    for key in status():
        broken = {**status([session(1)]), key: value}
        with Mock(fixed={("GET", "/api/v1/status"): (200, broken)}) as mock:
            result = ctl("status", socket=mock.path)
            good = key != "listeners" or isinstance(value, list)
            assert result.returncode == (OK if good else PROTOCOL), (key, result)


EVIL = "a\x1b[2J\x1b]0;title\x07\u009b31m\u202e\n\r\tb\u0000c"


@pytest.mark.parametrize("terminal", (True, False))
def test_nothing_gets_through_to_the_terminal(terminal):
    evil = EVIL.replace("\0", "")
    one = json.loads(json.dumps(session(1)).replace("10.0.0.5:9000", json.dumps(evil)[1:-1]))
    one |= {"listener": evil, "explanation": evil, "state": evil}
    fixed = {
        ("GET", "/api/v1/sessions/1"): (200, one),
        ("GET", "/api/v1/sessions/2"): problem(404, evil),
        ("GET", "/api/v1/sessions"): (200, {"sessions": [one]}),
        ("GET", "/api/v1/servers"): (200, {"servers": [server(evil)]}),
        ("GET", "/api/v1/servers/web/a"): (200, server(evil)),
        ("GET", "/api/v1/status"): (200, {**status([one]), "version": evil}),
        ("POST", "/api/v1/reload"): problem(422, evil, errors=[evil], warnings=[evil]),
    }
    commands = (("session", 1), ("session", 2), ("sessions",), ("server",), ("server", "web/a"),
                ("status",), ("reload",))
    with Mock(fixed=fixed) as mock:
        for command in commands:
            if terminal:
                with Terminal(*command, socket=mock.path, columns=200) as shown:
                    shown.wait_exit(REFUSED if command in (("session", 2), ("reload",)) else OK)
                    output = shown.output.decode().replace("\r\n", "\n")
            else:
                result = ctl(*command, socket=mock.path)
                output = result.stdout + result.stderr
            assert "a?[2J?]0;title??31m?" in output, command
            assert all(line.isprintable() for line in output.split("\n")), (command, output)


def test_json_is_escaped():
    """As JSON everything goes out, and nothing of it as it is."""
    one = session(1, explanation=EVIL.replace("\0", ""), listener="gr\u00fc\u00df\u00e9")
    with Mock(fixed={("GET", "/api/v1/sessions/1"): (200, one)}) as mock:
        result = ctl("session", "1", "--json", socket=mock.path)
        assert json.loads(result.stdout) == one
        assert result.stdout.isascii()
        assert all(line.isprintable() for line in result.stdout.split("\n"))


def test_value_that_the_daemon_finds_wrong_is_wrong_usage():
    fixed = {("GET", "/api/v1/sessions"): problem(400, "min_age: \"soon\" is no duration")}
    with Mock(fixed=fixed) as mock:
        result = ctl("sessions", "--min-age", "soon", socket=mock.path)
        assert result.returncode == USAGE
        assert result.stderr == 'finbackctl: min_age: "soon" is no duration\n'
