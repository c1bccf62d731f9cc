#!/usr/bin/python3
"""Relays very many sessions, of which a few, chosen at random, lose a peer without a word, in a
random state. Each of these has to end as dead, in time; no other one may; counters agree to the
unit, and descriptors and memory are back where they began. The table goes to standard output."""

import argparse
import contextlib
import io
import json
import os
import random
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The first of them has the conftest that is meant.
sys.path[:0] = [os.path.join(TESTS, "network"), TESTS]

# pylint: disable=wrong-import-position
from conftest import what_is_missing, why_not_here
from lab import Lab
from soak.half_open import PROGRAM, Plan, run

UNITS = {"ms": 0.001, "s": 1, "m": 60}
WARM_UP = 20000
VANISHING_MOST = 5000


def duration(text):
    match = re.fullmatch(r"(\d+)(ms|s|m)", text)
    if not match or not 3 <= int(match[1]) * UNITS[match[2]] <= 600:
        raise argparse.ArgumentTypeError("a duration from 3s to 10m")
    return int(match[1]) * UNITS[match[2]]


def count(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("a number from 1 on")
    return int(text)


def parse():
    parser = argparse.ArgumentParser(prog="scripts/soak half-open", description=__doc__)
    parser.add_argument("--sessions", type=count, default=2500000, metavar="N")
    parser.add_argument("--one-in", type=count, default=40000, metavar="N",
                        help="of so many sessions one vanishes (40000)")
    parser.add_argument("--dead-after", type=duration, default=20, metavar="D",
                        help="of both sides, such as 20s, the default")
    parser.add_argument("--rest-in", type=count, default=2000, metavar="N",
                        help="of so many sessions one is silent for longer than that, and alive")
    parser.add_argument("--at-a-time", type=count, default=400, metavar="N",
                        help="sessions beside those that take their time (400)")
    parser.add_argument("--seed", type=count, default=random.randrange(1, 1 << 48), metavar="N",
                        help="repeats a run: the same sessions, the same ones vanish")
    parser.add_argument("--json", metavar="FILE", help="all figures, and each that vanished")
    options = parser.parse_args()
    if options.sessions // options.one_in > VANISHING_MOST:
        parser.error(f"at most {VANISHING_MOST} may vanish in all")
    if options.at_a_time > 4000:
        parser.error("at most 4000 at a time")
    return options


def progress(sessions):
    """Tells of it on a terminal only."""
    def tell(done):
        if sys.stderr.isatty():
            print(f"\r{done} of {sessions} ", end="", file=sys.stderr, flush=True)
    return tell


def main():
    options = parse()
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"soak: {PROGRAM} is not there; scripts/soak builds it")
    obstacle = what_is_missing() or why_not_here()
    if obstacle:
        sys.exit(f"soak: {obstacle}")
    plan = Plan(options.sessions, options.one_in, options.dead_after, options.seed,
                options.at_a_time, options.rest_in, WARM_UP)
    print(f"seed {plan.seed}", flush=True)
    lab = Lab()
    log = io.StringIO()
    try:
        with contextlib.redirect_stdout(log):   # finback's, which is shown at its end
            result = run(lab, plan, progress(plan.sessions))
    except BaseException:
        print(log.getvalue(), file=sys.stderr)
        raise
    finally:
        lab.close()
    print("\n".join(result.lines()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result.as_json(), file, indent=1)
    return 1 if result.wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
