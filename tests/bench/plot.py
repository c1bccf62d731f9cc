"""A run as a picture: for each row what finback needs, as a part of what the best other relay needs.

SVG by hand. Without a background of its own, and with colours for a light and for a dark page.
"""

from xml.sax.saxutils import escape

from figures import lines_of, peers
from relays import OWN_KINDS
from rows import BEST

WIDTH, LEFT, RIGHT = 840, 310, 90
TOP, ROW, BAR = 64, 26, 14
MOST = 2.0  # what is further to the right stands at the edge
STEPS = (0, 0.5, 1, 1.5, 2)
FOOT = 46

BARS = ((0, "finback, goal met"), (125, "goal missed"), (220, "no goal; upright: the goal"))

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 11px; fill: #59636e; }
.title { font-size: 14px; font-weight: 600; }
.grid { stroke: #d1d9e0; }
.par { stroke: #59636e; stroke-width: 1.5; }
.met { fill: #1a7f6b; }
.missed { fill: #c4561a; }
.free { fill: #6e7f91; }
.goal { stroke: #1f2328; stroke-width: 2; }
.peer { fill: #ffffff; stroke: #424a53; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.small { fill: #9198a1; }
.grid { stroke: #3d444d; }
.par { stroke: #9198a1; }
.met { fill: #3fb79d; }
.missed { fill: #f0883e; }
.free { fill: #8b98a5; }
.goal { stroke: #f0f6fc; }
.peer { fill: #0d1117; stroke: #d1d7e0; }
}
"""

# Of a peer each one, around 0, 0.
SHAPES = (
    '<circle class="peer" r="4"/>',
    '<rect class="peer" x="-3.5" y="-3.5" width="7" height="7"/>',
    '<path class="peer" d="M0-5 5 0 0 5-5 0Z"/>',
    '<path class="peer" d="M0-5 5 4H-5Z"/>',
)


def across(cost):
    """Where on the picture a cost is."""
    return LEFT + (WIDTH - LEFT - RIGHT) * min(cost, MOST) / MOST


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            + (f' class="{kind}"' if kind else "") + f">{escape(words)}</text>")


def line(x, top, bottom, kind):
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def goals_of(row_line, run):
    return row_line.row.goals if run["options"]["has_goals"] else ()


def goal_cost(row_line, run):
    """The goal against the best peer, as a cost; None where there is none."""
    for goal in goals_of(row_line, run):
        if goal.of == BEST:
            return 1 / goal.limit if row_line.row.more_is_better else goal.limit
    return None


def verdict(row_line, run):
    met = [row_line.is_met(goal) for goal in goals_of(row_line, run)]
    if not met or None in met:
        return "free"
    return "met" if all(met) else "missed"


def draw_bar(row_line, run, y):
    cost = row_line.cost(row_line.own_kind)
    middle = y + ROW / 2
    title = row_line.row.title.format(idle=f"{run['options']['sessions']:,}")
    yield text(LEFT - 10, middle + 4, title, anchor="end")
    yield (f'<rect class="{verdict(row_line, run)}" x="{LEFT}" y="{middle - BAR / 2:.1f}" rx="2" '
           f'width="{across(cost) - LEFT:.1f}" height="{BAR}"/>')
    goal = goal_cost(row_line, run)
    if goal is not None:
        yield line(across(goal), middle - BAR / 2 - 3, middle + BAR / 2 + 3, "goal")
    for shape, peer in zip(SHAPES, peers(run)):
        peer_cost = row_line.cost(peer)
        if peer_cost is not None:
            yield f'<g transform="translate({across(peer_cost):.1f} {middle:.1f})">{shape}</g>'
    yield text(WIDTH - RIGHT + 14, middle + 4, f"{cost:.2f}")


def draw_frame(bottom):
    for step in STEPS:
        yield line(across(step), TOP - 4, bottom, "par" if step == 1 else "grid")
        words = f"{step:g}" + (" or more" if step == MOST else "")
        yield text(across(step), TOP - 10, words, "small", "middle")


def draw_legend(run, y):
    x = LEFT
    for shape, peer in zip(SHAPES, peers(run)):
        yield f'<g transform="translate({x + 5} {y - 4})">{shape}</g>'
        yield text(x + 15, y, peer, "small")
        x += 30 + 6.2 * len(peer)
    for kind, (at, words) in zip(("met", "missed", "free"), BARS):
        yield f'<rect class="{kind}" x="{LEFT + at}" y="{y + 9}" width="10" height="10" rx="2"/>'
        yield text(LEFT + at + 15, y + 18, words, "small")


def svg(run):
    """The picture as text."""
    shown = [row_line for row_line in lines_of(run)
             if row_line.own_kind in OWN_KINDS and row_line.cost(row_line.own_kind) is not None]
    bottom = TOP + ROW * len(shown)
    height = bottom + FOOT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
             f'width="{WIDTH}" height="{height}" role="img">',
             "<title>What finback costs, against the best of the other relays</title>",
             f"<style>{STYLE}</style>",
             text(10, 22, "What finback costs, against the best of the other relays (less is "
                          "better)", "title")]
    parts += draw_frame(bottom)
    for number, row_line in enumerate(shown):
        parts += draw_bar(row_line, run, TOP + ROW * number)
    parts += draw_legend(run, bottom + 18)
    return "\n".join([*parts, "</svg>", ""])
