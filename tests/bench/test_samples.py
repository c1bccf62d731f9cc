"""Whether memory is flat is told from the first and the last fifth, after a warm-up."""

import pytest

from samples import WARM_UP, summary
from steady import what_stayed

MIB = 1 << 20
AFTER = {"rss_bytes": 7 * MIB, "descriptors": 17, "pipes": 0, "sessions": 0}


def samples_of(values):
    return [{"rss_bytes": value} for value in values]


def is_flat(values):
    return summary("rss_bytes", samples_of(values), AFTER).is_flat


def test_constant_is_flat():
    assert is_flat([8 * MIB] * 60)


def test_warm_up_does_not_count():
    found = summary("rss_bytes", samples_of([MIB] * WARM_UP + [8 * MIB] * 50), AFTER)
    assert found.is_flat and found.first == 8 * MIB


def test_first_and_last_fifth_are_compared():
    found = summary("rss_bytes", samples_of([0] * WARM_UP + list(range(1, 101))), AFTER)
    assert (found.first, found.last, found.most, found.end) == (10.5, 90.5, 100, 7 * MIB)


def test_a_peak_is_no_growth():
    assert is_flat([8 * MIB] * 30 + [80 * MIB] * 2 + [8 * MIB] * 30)


@pytest.mark.parametrize("a_second", (20 << 10, 200 << 10))
def test_slow_growth_is_found(a_second):
    assert not is_flat([8 * MIB + a_second * n for n in range(100)])


def test_a_short_run_keeps_most_of_its_samples():
    assert summary("rss_bytes", samples_of(range(8)), AFTER).first == 2


def test_what_is_left_is_told():
    before = {"sessions": 0, "descriptors": 17, "pipes": 0}
    assert not list(what_stayed(before, {"sessions": 0, "descriptors": 49, "pipes": 16}))
    assert list(what_stayed(before, {"sessions": 0, "descriptors": 18, "pipes": 0})) == \
        ["1 descriptors are left"]
    assert list(what_stayed(before, {"sessions": 2, "descriptors": 17, "pipes": 0})) == \
        ["2 sessions are left"]
