"""A real Prometheus scrapes a real finback while 200 sessions a second come and go."""

import collections

FEWEST_SCRAPES = 20


def by_time(found):
    """Sums over all series of a listener, for each scrape."""
    sums = collections.Counter()
    for samples in found.values():
        for moment, value in samples.items():
            sums[moment] += value
    return sums


def test_every_scrape_was_answered(watched):
    up = by_time(watched.prometheus.raw("up", watched.after))
    assert len(up) >= FEWEST_SCRAPES
    assert set(up.values()) == {1}


def test_scrapes_are_quick(watched):
    usual = watched.prometheus.value("avg_over_time(scrape_duration_seconds[1m])", watched.after)
    assert usual < 0.05, f"{usual} s"


def test_accepted_is_active_and_ended_at_every_scrape(watched):
    """Exactly, and for every single scrape: each is one moment of the counters."""
    raw = watched.prometheus.raw
    accepted = by_time(raw("finback_sessions_accepted_total", watched.after))
    active = by_time(raw("finback_sessions_active", watched.after))
    ended = by_time(raw("finback_sessions_ended_total", watched.after))
    assert accepted.keys() == active.keys() == ended.keys()
    for moment, count in accepted.items():
        assert count == active[moment] + ended[moment], f"at {moment}"
    assert len(accepted) >= FEWEST_SCRAPES
    assert len(set(accepted.values())) >= FEWEST_SCRAPES, "there was no traffic"
    assert sum(value > 0 for value in active.values()) >= FEWEST_SCRAPES, "nobody was there"


def test_the_rate_is_that_of_the_traffic(watched):
    window = int(watched.end - watched.begin) - 1
    rate = watched.prometheus.value(
        f"sum(rate(finback_sessions_accepted_total[{window}s]))", watched.end)
    assert watched.churn.rate > 100, "this machine is too slow for 200 a second"
    assert 0.8 < rate / watched.churn.rate < 1.25


def test_everything_has_ended_once(watched):
    value = watched.prometheus.value
    assert value("sum(finback_sessions_accepted_total)", watched.after) == watched.churn.sessions
    assert value("sum(finback_sessions_ended_total)", watched.after) == watched.churn.sessions
    kinds = watched.prometheus.query("sum by (ending) (finback_sessions_ended_total) > 0",
                                     watched.after)
    assert {kind["metric"]["ending"] for kind in kinds} >= {"complete", "client_reset",
                                                            "server_reset"}


def test_every_session_was_connected(watched):
    value = watched.prometheus.value
    connects = value('sum(finback_connects_total{result="ok"})', watched.after)
    assert connects == value("sum(finback_connects_total)", watched.after)
    assert connects == value("sum(finback_connect_seconds_count)", watched.after)
    assert connects <= watched.churn.sessions


def test_nothing_that_counts_went_back(watched):
    names = [name for name in watched.prometheus.names()
             if name.startswith(("finback_", "process_cpu")) and
             name.endswith(("_total", "_bucket", "_count", "_sum"))]
    assert len(names) >= 20
    for name in names:
        assert watched.prometheus.query(f"resets({name}[5m]) > 0", watched.after) == [], name


def test_quantiles_are_of_the_right_size(watched):
    for metric, least, most in (("finback_connect_seconds", 0, 0.5),
                                ("finback_session_seconds", 0.02, 2),
                                ("finback_half_closed_seconds", 0.02, 2)):
        median = watched.prometheus.value(
            f"histogram_quantile(0.5, sum by (le) (rate({metric}_bucket[4s])))", watched.end)
        assert least < median < most, metric


def test_the_process_is_the_one_that_runs(watched):
    value = watched.prometheus.value
    assert abs(value("process_start_time_seconds") - watched.begin) < 60
    assert value("sum(finback_open_fds)") == value("process_open_fds")
