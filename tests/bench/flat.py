#!/usr/bin/python3
"""What a message and a session cost while there are few sessions, and while there are many: is it
flat? Messages: so many connections that all talk. Sessions: so many at a time, each with its
half-close. Relays and load as in scripts/bench: one CPU and one thread each, interleaved."""

import argparse
import json
import signal
import sys

import figures
import measures
import relays
import report
import rounds
from bench import add_programs, check_programs, choose, stop_politely, write
from generator import own_network

SIZES = (100, 1000, 3000, 9500)
TITLES = {"ping": "a message, CPU-us", "churn": "a session, CPU-us"}


def tests_of(sizes, seconds):
    timed = ("--sources", "32", "--seconds", str(seconds))
    found = []
    for size in sizes:
        needs = 1 + size / 2000
        at_a_time = ("--connections", str(size))
        found.append(measures.Ping(f"ping-{size}", "ping", *at_a_time, *timed, needs=needs))
        found.append(measures.Churn(f"churn-{size}", "churn", *at_a_time, *timed, needs=needs))
    return found


def row_of(run, load, kind, sizes):
    """The medians at all sizes, and the last as a part of the first; None where it failed."""
    medians = [figures.median(figures.records_of(run, f"{load}-{size}", kind), "cpu")
               for size in sizes]
    ends = medians[0], medians[-1]
    return medians, None if None in ends else ends[1] / ends[0]


def table(run, sizes):
    head = ["", "relay", *(f"{size:,}" for size in sizes), f"{sizes[-1]:,} / {sizes[0]:,}"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for load, title in TITLES.items():
        for kind in run["kinds"]:
            medians, growth = row_of(run, load, kind["name"], sizes)
            cells = [title, kind["name"], *map(report.format_figure, medians),
                     report.format_ratio(growth)]
            yield "| " + " | ".join(cells) + " |"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench --flat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N",
                        help="sessions at a time; " + " ".join(map(str, SIZES)))
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="a relay, by the beginning of its name; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="all figures; build/bench/flat.json")
    add_programs(parser)
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds <= 60 or \
       not all(0 < size <= 9500 for size in options.sizes):
        parser.error("rounds from 1, seconds up to 60, sizes up to 9500")
    check_programs(parser, options)
    options.workers, options.sessions, options.has_goals = 1, max(options.sizes), False
    return options


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, stop_politely)
    every = [relays.Finback(relays.OWN, options.finback), relays.haproxy("haproxy"),
             relays.nginx()]
    kinds = relays.present(choose(every, options.only))
    tests = tests_of(options.sizes, options.seconds)
    if not own_network():
        print("no network namespace of its own: fewer ports, others' traffic", file=sys.stderr)
    print(f"this takes about {rounds.how_long(tests, kinds, options) / 60:.1f} minutes",
          file=sys.stderr)
    run = rounds.run(tests, kinds, options)
    write(options.json, "flat.json", json.dumps(run, indent=1) + "\n")
    print("\n".join([*report.how_it_ran(run), "", *table(run, options.sizes), "",
                     *report.footnotes(run)]))
    return 1 if figures.lost_by_finback(run) else 0


if __name__ == "__main__":
    sys.exit(main())
