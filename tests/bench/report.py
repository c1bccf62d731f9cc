"""A run as Markdown, and the part of the README that it replaces."""

import re

from figures import failures, lines_of, lost, peers
from rows import BEST, ITSELF

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
UNKNOWN = "-"


def format_figure(figure):
    if figure is None:
        return "fails"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def format_ratio(ratio):
    return UNKNOWN if ratio is None else f"{ratio:.2f}"


def format_goal(line, goal):
    word = "at least" if line.row.more_is_better else "at most"
    limit = f"{goal.limit:.2f}" if goal.of != ITSELF or line.row.field == "change" \
        else f"{goal.limit:,g}"
    of = "" if goal.of in (BEST, ITSELF) else f" of {goal.of}"
    verdict = {True: "met", False: "**missed**", None: "not told"}[line.is_met(goal)]
    return f"{word} {limit}{of}: {verdict}"


def peer_cell(line, peer):
    if peer not in line.others:
        return UNKNOWN
    ratio = line.ratio(peer)
    return format_figure(line.others[peer]) + (f" ({ratio:.2f})" if ratio is not None else "")


def own_cell(line):
    return format_figure(line.own) if line.is_measured else UNKNOWN


def best_cell(line):
    if line.ratio_to_best is None:
        return UNKNOWN
    return f"{line.ratio_to_best:.2f} ({line.best})"


def format_line(line, run):
    title = line.row.title.format(idle=f"{run['options']['sessions']:,}")
    cells = [f"{title}, {line.row.unit}", own_cell(line)]
    cells += [peer_cell(line, peer) for peer in peers(run)]
    cells.append(best_cell(line))
    if run["options"]["has_goals"]:
        cells.append("; ".join(format_goal(line, goal) for goal in line.row.goals))
    return "| " + " | ".join(cells) + " |"


def table(run):
    names = ["finback", *peers(run)]
    head = ["test", *names, "finback / best"]
    if run["options"]["has_goals"]:
        head.append("goal")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [format_line(line, run) for line in lines_of(run)]
    return lines


def how_it_ran(run):
    options, machine, other = run["options"], run["machine"], run["other"]
    where = "the relay with one thread on one CPU and the load on another" \
        if options["pinned"] else "nothing pinned"
    if options["workers"] > 1:
        where = f"relays with {options['workers']} threads or processes, nothing pinned"
    rounds = f"{options['rounds']} round" + ("s" if options["rounds"] > 1 else "")
    yield (f"{machine['cpu']}, {machine['cores']} CPUs, {machine['memory_gib']:g} GiB, "
           f"Linux {machine['kernel']}; {rounds} of {options['seconds']:g} s, "
           f"interleaved, {where}; {run['began'][:10]}.")
    yield (f"Others kept {other['median']:.2f} CPUs busy meanwhile (median; p90 "
           f"{other['p90']:.2f}); the load average was {other['loadavg'][0]:.2f} before and "
           f"{other['loadavg'][-1]:.2f} after.")
    yield "Medians; CPU and memory are the relay's, of all its processes and threads."


def footnotes(run):
    for test, kind, why in failures(run):
        yield f"- {kind} fails {test}: {why}"
    for kind in run["kinds"]:
        count, total = lost(run, kind["name"])
        if count:
            yield f"- {kind['name']} lost something in {count:,} of {total:,} sessions."


def versions(run):
    """Each program once."""
    found = {kind["version"]: None for kind in run["kinds"]}
    return ", ".join(found)


def markdown(run):
    """The whole report."""
    brackets = ("In brackets: finback as a part of that relay's figure, the median of the rounds' "
                "ratios. Less is better, but for GiB/s.")
    lines = [*how_it_ran(run), brackets, "", *table(run), ""]
    notes = list(footnotes(run))
    if notes:
        lines += ["A relay that loses a byte or a half-close in a test is no measure for it:", "",
                  *notes, ""]
    return "\n".join([*lines, versions(run) + ".", ""])


def for_users(run):
    """The same run, without the goals."""
    return {**run, "options": {**run["options"], "has_goals": False}}


def into_readme(text, run, picture):
    """The README's text with this run in its marked part."""
    body = f"![what each test costs, as a part of what the best other relay needs]({picture})"
    part = f"{BEGIN}\n{body}\n\n{markdown(for_users(run))}{END}"
    found, count = re.subn(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: part, text,
                           flags=re.S)
    if count != 1:
        raise ValueError(f"the README has {count} parts between {BEGIN} and {END}; right is one")
    return found
