#!/usr/bin/python3
"""finback side by side with other relays, in one run: what a GiB, a message, a session, an idle and
a stalled session cost each. Prints a table of medians, with finback as a ratio to each peer and to
the best sound one, its goals, the machine, and how busy others kept it.

A relay has one CPU to itself, the load generator another. Rounds are interleaved, and their order
is rotated, so that what else the machine does falls on all alike. Absolute figures belong to the
machine; only ratios of one run say anything. A peer that loses a byte or a half-close in a test is
no measure for that test. The exit status is 1 where finback itself lost one.
"""

import argparse
import json
import os
import signal
import sys

import measures
import observer
import plot
import relays
import report
import rounds
from figures import lost_by_finback
from generator import own_network
from running import two_cpus

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PICTURE = "docs/bench.svg"
RESULTS = os.path.join(TOP, "build/bench")
QUICK = {"rounds": 1, "seconds": 0.3, "sessions": 900}


def add_programs(parser):
    parser.add_argument("--finback", default=os.path.join(TOP, "build/release/finback"))
    parser.add_argument("--load", default=os.path.join(TOP, "build/release/tests/finback-load"))


def check_programs(parser, options):
    for program in (options.load, options.finback):
        if not os.access(program, os.X_OK):
            parser.error(f"{program} is not there; scripts/bench builds it")
    options.cpus = two_cpus()


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__.split("\n\n", maxsplit=1)[0],
        epilog="scripts/bench --flood, --flat and --steady measure other things; each has --help.")
    parser.add_argument("--rounds", type=int, help="5, unless it is said")
    parser.add_argument("--seconds", type=float, help="of each measurement; 2")
    parser.add_argument("--sessions", type=int, help="idle ones that are held; 9000")
    parser.add_argument("--quick", action="store_true",
                        help="a first look, within a minute or two: 1 round of 0.3 s, 900 sessions")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="a test or a relay, by the beginning of its name; may be repeated")
    parser.add_argument("--workers", type=int, default=1, metavar="N",
                        help="relays with so many threads or processes, and nothing pinned")
    parser.add_argument("--observed", action="store_true",
                        help="finback against itself with its control interface on and asked each "
                             "second, in place of other relays")
    parser.add_argument("--json", metavar="FILE", help="all figures; build/bench/results.json")
    parser.add_argument("--markdown", metavar="FILE", help="the table; build/bench/results.md")
    parser.add_argument("--svg", metavar="FILE", help="the plot; build/bench/results.svg")
    parser.add_argument("--readme", action="store_true",
                        help=f"writes table and plot into README.md and {PICTURE} as well")
    parser.add_argument("--from", dest="source", metavar="FILE",
                        help="measures nothing: reports on the run in this JSON file")
    add_programs(parser)
    options = parser.parse_args()
    check(parser, options)
    return options


def check(parser, options):
    usual = QUICK if options.quick else {"rounds": 5, "seconds": 2, "sessions": 9000}
    for key, value in usual.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    if options.rounds < 1 or not 0 < options.seconds <= 60 or not 0 < options.sessions <= 9000:
        parser.error("rounds from 1, seconds up to 60, sessions up to 9000")
    if not 1 <= options.workers <= 64:
        parser.error("workers from 1 to 64")
    options.has_goals = options.workers == 1 and not options.observed
    if not options.source:
        check_programs(parser, options)
        if options.workers > 1:
            options.cpus = (None, None)


def choose(every, only):
    """Those that --only names, or all where it names none of this sort."""
    chosen = [one for one in every if any(one.name.startswith(name) for name in only or ())]
    return chosen or every


def stop_politely(*_):
    sys.exit(128 + signal.SIGTERM)


def choose_kinds(options):
    if options.observed:
        every = observer.observed_kinds(options.finback)
    elif options.workers > 1:
        every = relays.many_workers(options.finback, options.workers)
    else:
        every = relays.all_kinds(options.finback)
    return relays.present(choose(every, options.only))


def choose_tests(options, kinds):
    """Without the finback that is meant in it a test is left out, unless --only wants peers."""
    every = measures.with_many_workers(options) if options.workers > 1 \
        else measures.all_tests(options)
    tests = choose(every, options.only)
    names = {kind.name for kind in kinds}
    if not names & set(relays.OWN_KINDS):
        return tests
    for test in tests:
        if test.own not in names and not options.observed:
            print(f"left out: {test.name}: it needs \"{test.own}\"", file=sys.stderr)
    return [test for test in tests if test.own in names]


def measure(options):
    kinds = choose_kinds(options)
    tests = choose_tests(options, kinds)
    if not kinds or not tests:
        sys.exit("nothing is left to measure")
    if not own_network():
        print("no network namespace of its own: fewer ports, others' traffic", file=sys.stderr)
    print(f"this takes about {rounds.how_long(tests, kinds, options) / 60:.1f} minutes",
          file=sys.stderr)
    return rounds.run(tests, kinds, options)


def write(path, default, text):
    path = path or os.path.join(RESULTS, default)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_readme(run):
    path = os.path.join(TOP, "README.md")
    with open(path, encoding="utf-8") as file:
        text = report.into_readme(file.read(), run, PICTURE)
    write(path, "", text)
    write(os.path.join(TOP, PICTURE), "", plot.svg(run))


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, stop_politely)
    if options.source:
        with open(options.source, encoding="utf-8") as file:
            run = json.load(file)
    else:
        run = measure(options)
        write(options.json, "results.json", json.dumps(run, indent=1) + "\n")
    text = report.markdown(run)
    print(text, end="")
    write(options.markdown, "results.md", text)
    write(options.svg, "results.svg", plot.svg(run))
    if options.readme:
        write_readme(run)
    return 1 if lost_by_finback(run) else 0


if __name__ == "__main__":
    sys.exit(main())
