"""From all figures of a run to medians, ratios and verdicts.

A run is a dictionary, as it is written to JSON: `tests` in their order, each with the name of the
finback that is meant in it; `kinds` in theirs; `records[test][kind]` is a list, of each round one:
{"figures": {field: number}, "sessions": n, "lost": n}, and "failed": why, in place of figures, where
the relay did not carry the load. A relay that failed once in a test is no measure for it.
"""

import statistics

from relays import OWN, OWN_KINDS
from rows import BEST, ITSELF, LOST, ROWS


def records_of(run, test, kind):
    return run["records"].get(test, {}).get(kind, [])


def why_failed(records):
    """The first complaint; None where there is none."""
    return next((record["failed"] for record in records if "failed" in record), None)


def median(records, field):
    """None where one of the runs failed, or there was none."""
    if not records or why_failed(records):
        return None
    return statistics.median(record["figures"][field] for record in records)


def median_ratio(own, others, field):
    """Of the ratios of each round, whose runs were minutes apart at most: what a machine does to all
    alike for a while is not in it. None where one failed, or there was none."""
    if not own or not others or why_failed(own) or why_failed(others):
        return None
    pairs = [(one["figures"][field], other["figures"][field]) for one, other in zip(own, others)]
    if any(other == 0 for _, other in pairs):
        return None
    return statistics.median(one / other for one, other in pairs)


def lost(run, kind):
    """(sessions that lost something, of how many), over all tests."""
    records = [record for test in run["records"] for record in records_of(run, test, kind)]
    return (sum(record["lost"] for record in records),
            sum(record["sessions"] for record in records))


def lost_by_finback(run):
    """None where it was not measured."""
    names = [kind["name"] for kind in run["kinds"] if kind["name"] in OWN_KINDS]
    return sum(lost(run, name)[0] for name in names) if names else None


def peers(run):
    return [kind["name"] for kind in run["kinds"] if kind["name"] not in OWN_KINDS]


class Line:
    """A row of the table with its figures."""

    def __init__(self, row, own_kind, own, others, is_measured=True, ratios=None):
        self.row = row
        self.ratios = ratios or {}  # {peer: of finback's figure and its own}; absent: of the medians
        self.own_kind = own_kind
        self.is_measured = is_measured  # finback was; where it was and has no figure, it failed
        self.own = own
        self.others = others  # {peer: figure}; None: it failed; absent: it was not measured

    @property
    def best(self):
        """The best sound peer's name; None: there is none."""
        sound = {name: figure for name, figure in self.others.items() if figure}
        if self.row.is_own or not sound:
            return None
        return (max if self.row.more_is_better else min)(sound, key=sound.get)

    def ratio(self, peer):
        """finback's figure as a part of this peer's; None where there is none."""
        figure = self.others.get(peer)
        if self.row.is_own or not figure or self.own is None:
            return None
        ratio = self.ratios.get(peer)
        return self.own / figure if ratio is None else ratio

    @property
    def ratio_to_best(self):
        return self.ratio(self.best)

    def cost(self, name):
        """What a relay needs as a part of what the best peer needs, whichever way is better."""
        figure = self.own if name == self.own_kind else self.others.get(name)
        if self.best is None or not figure:
            return None
        if name == self.own_kind:
            part = self.ratio_to_best
        else:
            part = figure / self.others[self.best]
        return 1 / part if self.row.more_is_better else part

    def is_met(self, goal):
        """None where it cannot be told. To the two digits that are shown."""
        if self.own is None:
            return False if self.is_measured else None
        value = {BEST: self.ratio_to_best, ITSELF: self.own}.get(goal.of, self.ratio(goal.of))
        if value is None:
            return None
        value = round(value, 2)
        return value >= goal.limit if self.row.more_is_better else value <= goal.limit


def line_of(run, row):
    own_kind = next(test["own"] for test in run["tests"] if test["name"] == row.test)
    others = {name: median(records_of(run, row.test, name), row.field) for name in peers(run)
              if records_of(run, row.test, name)}
    own = records_of(run, row.test, own_kind)
    ratios = {name: median_ratio(own, records_of(run, row.test, name), row.field)
              for name in others}
    return Line(row, own_kind, median(own, row.field), others, bool(own), ratios)


def lines_of(run):
    """All lines of the table that the run has figures for."""
    names = {test["name"] for test in run["tests"]}
    lines = [line_of(run, row) for row in ROWS if row.test in names]
    lines.append(Line(LOST, OWN, lost_by_finback(run),
                      {name: lost(run, name)[0] for name in peers(run)},
                      lost_by_finback(run) is not None))
    return lines


def failures(run):
    """[(test, kind, why)]: who failed in what."""
    found = []
    for test, by_kind in run["records"].items():
        for kind, records in by_kind.items():
            why = why_failed(records)
            if why:
                found.append((test, kind, why))
    return found
