"""The report: figures, ratios, goals and what failed, as Markdown and in a README."""

import os

import pytest

import report
from lib.daemon import TOP
from test_figures import failed, records, run_of


def whole_run(**by_kind):
    run = run_of(**by_kind)
    run.update(began="2000-01-02T03:04:05+00:00",
               machine={"cpu": "a CPU", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
               other={"median": 0.011, "p90": 0.5, "loadavg": [0.1, 2.3]},
               options={"rounds": 5, "seconds": 2, "sessions": 9000, "workers": 1,
                        "pinned": True, "has_goals": True})
    return run


@pytest.fixture(name="run")
def _run():
    return whole_run(finback=records(46), nginx=records(50), haproxy=records(92),
                     proxyd=[failed("session 3: stuck")])


def rows_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]


def test_table_has_figures_ratios_and_verdict(run):
    head, _, ping, lost = rows_of(report.markdown(run))
    assert head == ["test", "finback", "nginx", "haproxy", "proxyd", "finback / best", "goal"]
    assert ping == ["messages, 64 B, 64 connections, CPU-us each", "46", "50 (0.92)", "92 (0.50)",
                    "fails", "0.92 (nginx)", "at most 0.92: met"]
    assert lost == ["sessions that lost a byte or a half-close, in all tests", "0", "0", "0", "7",
                    "-", "at most 0: met"]


def test_a_missed_goal_is_said():
    run = whole_run(finback=records(47), nginx=records(50))
    assert "at most 0.92: **missed**" in report.markdown(run)


def test_footnote_says_what_failed(run):
    text = report.markdown(run)
    assert "- proxyd fails ping64: session 3: stuck\n" in text
    assert "- proxyd lost something in 7 of 10 sessions." in text
    sound = report.markdown(whole_run(finback=records(1), nginx=records(1)))
    assert "fails" not in sound and "lost something" not in sound


def test_machine_and_other_load_stand_beside_it(run):
    text = report.markdown(run)
    for words in ("a CPU, 2 CPUs, 24 GiB, Linux 6.1; 5 rounds of 2 s, interleaved",
                  "one thread on one CPU and the load on another; 2000-01-02.",
                  "Others kept 0.01 CPUs busy meanwhile (median; p90 0.50)",
                  "0.10 before and 2.30 after", "finback 1.0, nginx 1.0"):
        assert words in text


def test_many_workers_have_no_goals(run):
    run["options"].update(workers=4, pinned=False, has_goals=False)
    text = report.markdown(run)
    assert "4 threads or processes, nothing pinned" in text
    assert "at most" not in text


def test_a_test_without_finback_has_no_verdict():
    text = report.markdown(whole_run(nginx=records(50)))
    assert rows_of(text)[2] == ["messages, 64 B, 64 connections, CPU-us each", "-", "50", "-",
                                "at most 0.92: not told"]


@pytest.mark.parametrize("figure, text", (
    (None, "fails"), (0.6554, "0.655"), (13.84, "13.8"), (99.94, "99.9"), (3375.2, "3,375"),
    (0, "0"),
))
def test_figures_have_three_digits(figure, text):
    assert report.format_figure(figure) == text


def test_readme_changes_between_its_marks_alone(run):
    before, after = "# x\n\nkeep \\1\n", "\n## more\n"
    old = f"{before}{report.BEGIN}\nold\n| table |\n{report.END}{after}"
    new = report.into_readme(old, run, "docs/plot.svg")
    assert new.startswith(before + report.BEGIN) and new.endswith(report.END + after)
    assert "old" not in new and "(docs/plot.svg)" in new and \
        report.markdown(report.for_users(run)) in new
    assert report.into_readme(new, run, "docs/plot.svg") == new
    assert "| goal |" in report.markdown(run) and "goal" not in new


@pytest.mark.parametrize("marks", ("", f"{report.BEGIN}{report.END}" * 2, report.BEGIN))
def test_readme_without_its_marks_is_refused(run, marks):
    with pytest.raises(ValueError):
        report.into_readme(f"text {marks}", run, "plot.svg")


def test_the_readme_of_this_tree_has_its_marks(run):
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        text = file.read()
    assert report.markdown(report.for_users(run)) in report.into_readme(text, run, "plot.svg")
