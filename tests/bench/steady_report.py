"""The tables of a steady run."""

TITLES = {"rss_bytes": "RSS, MiB", "descriptors": "descriptors", "pipes": "pipes",
          "sessions": "sessions"}
CARRIED = {  # key of the load generator: what it counts, and how it is shown
    "messages": "messages",
    "complete": "sessions complete",
    "reset_by_client": "reset by the client",
    "reset_by_server": "reset by the server",
    "stalled": "held",
    "opened": "held",
}
GIB = 1 << 30


def cell(key, value):
    return f"{value / (1 << 20):.2f}" if key == "rss_bytes" else f"{value:,.0f}"


def samples_table(rows):
    yield "| finback | first fifth | last fifth | most | at the end | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        values = [cell(row.key, value) for value in (row.first, row.last, row.most, row.end)]
        verdict = "flat" if row.is_flat else "**grows**"
        yield f"| {TITLES[row.key]} | " + " | ".join(values) + f" | {verdict} |"


def carried(totals):
    words = [f"{totals[key]:,} {name}" for key, name in CARRIED.items() if key in totals]
    total = totals.get("bytes_up", 0) + totals.get("bytes_down", 0)
    if total:
        words.append(f"{total / GIB:.1f} GiB")
    return ", ".join(words)


def carried_table(parts):
    yield "| load | carried | errors |"
    yield "|---|---|---|"
    for part in parts:
        errors = part.totals.get("errors", 0) or len(part.complaints)
        yield f"| {part.name} | {carried(part.totals)} | {errors} |"
