"""kill by filters says how many sessions these are, and does nothing without a yes."""

import pytest

from ctl import OK, REFUSED, USAGE, Terminal, ctl
from mock_daemon import STATES, Mock, problem, session


@pytest.fixture(name="mock")
def _mock():
    with Mock([session(number, STATES[number % 5]) for number in range(1, 41)]) as mock:
        yield mock


def test_yes_ends_them(mock):
    with Terminal("kill", "--state", "open", socket=mock.path) as terminal:
        terminal.wait("end 8 sessions? [y/N]")
        assert not mock.asked("DELETE")
        terminal.press("y", "enter").wait_exit()
        assert "ended 8 sessions" in terminal.text
    assert len(mock.sessions) == 32
    assert not any(one["state"] == "open" for one in mock.sessions.values())


@pytest.mark.parametrize("answer", ("n", "", "maybe y", "no"))
def test_anything_else_does_nothing(mock, answer):
    with Terminal("kill", "--state", "open", socket=mock.path) as terminal:
        terminal.wait("[y/N]").press(*answer, "enter").wait_exit()
        assert "nothing was done" in terminal.text
    assert not mock.asked("DELETE")


def test_end_of_file_is_no_answer(mock):
    with Terminal("kill", "--state", "open", socket=mock.path) as terminal:
        terminal.wait("[y/N]").press("\x04").wait_exit()
    assert not mock.asked("DELETE")


def test_without_a_terminal_it_refuses(mock):
    result = ctl("kill", "--state", "open", socket=mock.path)
    assert result.returncode == USAGE
    assert "8 sessions" in result.stderr and "--yes" in result.stderr
    assert not mock.asked("DELETE")


@pytest.mark.parametrize("option", ("--yes", "-y"))
def test_option_answers_for_it(mock, option):
    result = ctl("kill", "--state", "half_closed", option, socket=mock.path)
    assert result.returncode == OK and result.stdout == "ended 16 sessions\n"
    assert len(mock.sessions) == 24


def test_limit_holds(mock):
    result = ctl("kill", "--state", "open", "--limit", 3, "--yes", socket=mock.path)
    assert result.stdout == "ended 3 sessions\n" and len(mock.sessions) == 37


def test_none_fits(mock):
    result = ctl("kill", "--state", "closed-down", socket=mock.path)
    assert result.returncode == OK and result.stdout == "no session fits\n"


def test_those_that_ended_meanwhile_are_counted(mock):
    for number in (1, 6, 11):
        mock.fixed["DELETE", f"/api/v1/sessions/{number}"] = problem(404, "it has ended")
    result = ctl("kill", "--state", "open", "--yes", socket=mock.path)
    assert result.returncode == OK
    assert result.stdout == "ended 5 sessions; 3 had ended before\n"


def test_ids_are_not_asked_about(mock):
    result = ctl("kill", 3, 4, socket=mock.path)
    assert result.returncode == OK and result.stdout == "ended 2 sessions\n"
    assert set(range(1, 41)) - set(mock.sessions) == {3, 4}


def test_id_that_is_not_there_is_a_refusal(mock):
    result = ctl("kill", 3, 77, 4, socket=mock.path)
    assert result.returncode == REFUSED
    assert result.stdout == "ended 2 sessions; 1 had ended before\n"
    assert "no session 77" in result.stderr
    assert set(range(1, 41)) - set(mock.sessions) == {3, 4}


def test_failure_in_between_is_told_with_what_was_done(mock):
    mock.fixed["DELETE", "/api/v1/sessions/11"] = problem(503, "worker 0 does not answer")
    result = ctl("kill", "--state", "open", "--yes", socket=mock.path)
    assert result.returncode == REFUSED
    assert result.stdout == "ended 2 sessions\n"
    assert result.stderr == "finbackctl: session 11: worker 0 does not answer\n"
