"""Medians, ratios and verdicts: a peer that lost something is no measure, and goals are what they
say."""

import pytest

import figures
from rows import BEST, ITSELF, Goal, Row


def records(*values, lost=0):
    return [{"figures": {"cpu": value, "rate": value}, "sessions": 10, "lost": lost}
            for value in values]


def failed(why="session 0: stuck"):
    return {"failed": why, "sessions": 10, "lost": 7}


def run_of(**by_kind):
    """A run of one test; keywords are relays, with _ for a space."""
    return {"tests": [{"name": "ping64", "own": "finback"}],
            "kinds": [{"name": name, "version": f"{name} 1.0"} for name in by_kind],
            "records": {"ping64": by_kind}}


def line_of(row=None, **by_kind):
    return figures.line_of(run_of(**by_kind), row or Row("ping64", "cpu", "messages", "us"))


def test_median_of_all_rounds():
    assert figures.median(records(3, 1, 100), "cpu") == 3


def test_no_median_where_one_round_failed():
    assert figures.median([*records(3, 1), failed()], "cpu") is None


def test_no_median_where_nothing_was_measured():
    assert figures.median([], "cpu") is None


def test_best_is_the_least_of_the_sound_peers():
    line = line_of(finback=records(4), haproxy=records(8), nginx=records(5),
                   lossy=[*records(1), failed()])
    assert line.best == "nginx"
    assert line.ratio_to_best == pytest.approx(0.8)
    assert line.ratio("haproxy") == pytest.approx(0.5)
    assert line.ratio("lossy") is None


def test_ratio_is_that_of_the_rounds():
    """A round in which the machine was slow for all is one ratio among others."""
    line = line_of(finback=records(4, 90, 4, 50, 4), nginx=records(5, 100, 8, 100, 5))
    assert (line.own, line.others["nginx"]) == (4, 8)
    assert line.ratio("nginx") == pytest.approx(0.8)
    assert line.cost("finback") == pytest.approx(0.8)


def test_best_is_the_most_where_more_is_better():
    row = Row("ping64", "rate", "messages", "GiB/s", more_is_better=True)
    line = line_of(row, finback=records(6), haproxy=records(3), nginx=records(4))
    assert line.best == "nginx"
    assert line.ratio_to_best == pytest.approx(1.5)
    assert line.cost("finback") == pytest.approx(4 / 6)
    assert line.cost("haproxy") == pytest.approx(4 / 3)


def test_capped_finback_is_no_peer():
    run = run_of(**{"finback": records(4), "finback, capped": records(1), "nginx": records(5)})
    assert figures.peers(run) == ["nginx"]
    assert figures.line_of(run, Row("ping64", "cpu", "messages", "us")).best == "nginx"


@pytest.mark.parametrize("own, limit, is_met", (
    (92, 0.92, True), (92.4, 0.92, True), (92.6, 0.92, False), (80, 0.92, True),
))
def test_goal_against_the_best(own, limit, is_met):
    line = line_of(finback=records(own), nginx=records(100), haproxy=records(1000))
    assert line.is_met(Goal(limit, BEST)) is is_met


def test_goal_against_one_peer():
    line = line_of(finback=records(30), nginx=records(20), haproxy=records(100))
    assert line.is_met(Goal(0.33, "haproxy")) is True
    assert line.is_met(Goal(0.29, "haproxy")) is False
    assert line.is_met(Goal(0.33, "socket-proxyd")) is None


def test_goal_of_its_own():
    line = line_of(finback=records(250), nginx=records(20))
    assert line.is_met(Goal(250, ITSELF)) is True
    assert line.is_met(Goal(249, ITSELF)) is False


def test_goal_where_more_is_better():
    row = Row("ping64", "rate", "bulk", "GiB/s", more_is_better=True)
    line = line_of(row, finback=records(1.05), nginx=records(1))
    assert line.is_met(Goal(1.05)) is True
    assert line.is_met(Goal(1.06)) is False


def test_a_finback_that_failed_meets_no_goal():
    line = line_of(finback=[*records(1), failed()], nginx=records(20))
    assert line.is_met(Goal(0.92)) is False
    assert line.is_met(Goal(250, ITSELF)) is False


def test_no_verdict_where_finback_was_not_measured():
    line = line_of(nginx=records(20))
    assert line.is_met(Goal(0.92)) is None
    assert line.is_met(Goal(250, ITSELF)) is None


def test_no_verdict_where_no_peer_is_sound():
    assert line_of(finback=records(1), nginx=[failed()]).is_met(Goal(0.92)) is None


def test_what_was_lost_is_counted_over_all_rounds():
    run = run_of(**{"finback": records(1, 1), "finback, capped": [failed()], "nginx": [failed()]})
    assert figures.lost(run, "nginx") == (7, 10)
    assert figures.lost(run, "finback") == (0, 20)
    assert figures.lost_by_finback(run) == 7
    assert figures.lost_by_finback(run_of(nginx=records(1))) is None


def test_losing_is_a_line_with_a_goal():
    line = figures.lines_of(run_of(finback=records(1, lost=1), nginx=records(1)))[-1]
    assert (line.own, line.others) == (1, {"nginx": 0})
    assert line.is_met(line.row.goals[0]) is False


def test_failures_say_who_and_why():
    run = run_of(finback=records(1), nginx=[failed("stuck"), failed("later")])
    assert figures.failures(run) == [("ping64", "nginx", "stuck")]
