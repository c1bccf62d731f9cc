"""Where finback is not reached, it is said which socket that was, why, and what to do."""

import os
import shutil
import socket
import tempfile

import pytest

from ctl import REFUSED, UNAVAILABLE, ctl
from lib.timing import within
from mock_daemon import Mock, problem, session

COMMANDS = (("status",), ("sessions",), ("session", "1"), ("kill", "1"), ("kill", "--pool", "web"),
            ("server",), ("server", "web/a", "drain"), ("reload",), ("drain",), ("drain", "--wait"))


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="finback-")
    yield path
    shutil.rmtree(path)


def expect_unreached(path, telling, arguments=("status",), **options):
    result = ctl(*arguments, socket=path, **options)
    assert result.returncode == UNAVAILABLE, result
    assert not result.stdout
    assert path in result.stderr and telling in result.stderr
    assert result.stderr.count("\n") == 1
    return result


@pytest.mark.parametrize("arguments", COMMANDS)
def test_there_is_no_socket(directory, arguments):
    expect_unreached(f"{directory}/control.sock", "is finback running?", arguments)


def test_nobody_listens(directory):
    path = f"{directory}/control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    expect_unreached(path, "start it again")


def test_it_is_no_socket(directory):
    path = f"{directory}/control.sock"
    with open(path, "w", encoding="ascii"):
        pass
    expect_unreached(path, "that is no socket")


def test_path_is_too_long(directory):
    expect_unreached(f"{directory}/{'x' * 200}", "longer than")


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, to be somebody else")
def test_permission_is_denied(directory):
    path = f"{directory}/control.sock"
    os.chmod(directory, 0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        os.chmod(path, 0o600)
        listening.listen()
        result = ctl("--socket", path, "status", user=65534, group=65534, extra_groups=())
    assert result.returncode == UNAVAILABLE
    assert "permission denied" in result.stderr and "control.owner" in result.stderr


def test_connection_is_closed_without_an_answer():
    with Mock(fixed={("GET", "/api/v1/status"): b""}) as mock:
        expect_unreached(mock.path, "closed without an answer")


def test_no_answer_comes(directory):
    """Longer than the daemon itself would wait for a worker."""
    path = f"{directory}/control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with within(20):
            expect_unreached(path, "no answer in time")


def test_worker_that_does_not_answer_is_a_refusal():
    fixed = {("GET", "/api/v1/sessions"): problem(503, "worker 3 does not answer")}
    with Mock([session(1)], fixed=fixed) as mock:
        result = ctl("sessions", socket=mock.path)
        assert result.returncode == REFUSED
        assert result.stderr == "finbackctl: worker 3 does not answer\n"


def test_daemon_that_goes_away_in_between_is_noticed():
    """The first page comes, the second does not."""
    def answer(query):
        if "after" in query:
            return b""
        return 200, {"sessions": [session(1)], "next": "c1"}

    with Mock(fixed={("GET", "/api/v1/sessions"): answer}) as mock:
        expect_unreached(mock.path, "closed without an answer", ("sessions",))
        result = ctl("sessions", "--json", socket=mock.path)
        assert result.returncode == UNAVAILABLE
