/*
 * One session, explained. Each fact of a side is a row of the table below: what it is called, where
 * it stands in the daemon's object, how it is read.
 */
#include "facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "rows.h"
#include "words.h"

#define LABEL_WIDTH 18
#define WIDTH_LEAST 40
#define VALUE_MAX   256

enum kind {
	KIND_TEXT,
	KIND_COUNT,
	KIND_BYTES,
	KIND_SPAN, /* seconds, as the next one */
	KIND_AGO,
	KIND_AGO_MS, /* milliseconds */
	KIND_TIME_US,
	KIND_RETRANSMITS, /* an object with both counts */
	KIND_PROBE,       /* an object, as the following: how its application probe stands */
	KIND_PROBE_COUNTS,
	KIND_PROBE_NEXT
};

/* `path` follows "client." or "server.". Those of probes are there where a side has one. */
static const struct {
	const char *label, *path;
	enum kind kind;
} rows[] = {
	{ "address", "address", KIND_TEXT },
	{ "finback's own", "local_address", KIND_TEXT },
	{ "its flow", "flow", KIND_TEXT },
	{ "bytes from it", "bytes", KIND_BYTES },
	{ "last byte", "idle_s", KIND_AGO },
	{ "flow ended", "ended_s", KIND_AGO },
	{ "held by finback", "held_bytes", KIND_BYTES },
	{ "TCP state", "tcp.state", KIND_TEXT },
	{ "round trip", "tcp.rtt_us", KIND_TIME_US },
	{ "unacknowledged", "tcp.unacked_bytes", KIND_BYTES },
	{ "unsent", "tcp.unsent_bytes", KIND_BYTES },
	{ "unread", "tcp.unread_bytes", KIND_BYTES },
	{ "retransmits", "tcp", KIND_RETRANSMITS },
	{ "probes unanswered", "tcp.probes", KIND_COUNT },
	{ "last heard", "tcp.last_heard_ms", KIND_AGO_MS },
	{ "dead after", "dead_after_s", KIND_SPAN },
	{ "application probe", "probe", KIND_PROBE },
	{ "probes sent", "probe", KIND_PROBE_COUNTS },
	{ "next probe", "probe", KIND_PROBE_NEXT },
};

/* A count, and beside one that is long what it comes to. */
static void format_bytes(const json_t *session, const char *path, char text[VALUE_MAX])
{
	char size[WORDS_MAX];
	uint64_t bytes = field_count(session, path);

	(void)snprintf(text, VALUE_MAX, "%" PRIu64, bytes);
	if (bytes >= 10000)
		(void)snprintf(text + strlen(text), VALUE_MAX - strlen(text), " (%s)",
			       words_size((double)bytes, size));
}

static void format_ago(double seconds, char text[VALUE_MAX])
{
	char ago[WORDS_MAX];

	(void)snprintf(text, VALUE_MAX, "%s ago", words_duration(seconds, ago));
}

static void format_retransmits(const json_t *tcp, char text[VALUE_MAX])
{
	char now[WORDS_MAX], ever[WORDS_MAX];

	if (tcp)
		(void)snprintf(text, VALUE_MAX, "%s now, %s ever",
			       row_count(tcp, "retransmits", now),
			       row_count(tcp, "total_retransmits", ever));
}

/* Most protocols have no replies. */
static void format_probe_counts(const json_t *probe, char text[VALUE_MAX])
{
	uint64_t replies = field_count(probe, "replies");

	(void)snprintf(text, VALUE_MAX, "%" PRIu64, field_count(probe, "sent"));
	if (replies > 0 || field_at(probe, "awaiting_s"))
		(void)snprintf(text + strlen(text), VALUE_MAX - strlen(text), ", replies %" PRIu64,
			       replies);
}

static void format_probe_next(const json_t *probe, char text[VALUE_MAX])
{
	char span[WORDS_MAX];

	if (field_at(probe, "awaiting_s"))
		(void)snprintf(text, VALUE_MAX, "no answer for %s",
			       row_duration(probe, "awaiting_s", span));
	else if (field_at(probe, "next_in_s"))
		(void)snprintf(text, VALUE_MAX, "in %s", row_duration(probe, "next_in_s", span));
}

static void format_probe(const json_t *probe, enum kind kind, char text[VALUE_MAX])
{
	if (!probe)
		return;
	if (kind == KIND_PROBE_COUNTS)
		format_probe_counts(probe, text);
	else if (kind == KIND_PROBE_NEXT)
		format_probe_next(probe, text);
	else
		(void)snprintf(text, VALUE_MAX, "%s, %s", row_text(probe, "protocol"),
			       row_text(probe, "mode"));
}

static void format_value(const json_t *session, const char *path, enum kind kind,
			 char text[VALUE_MAX])
{
	double number = field_number(session, path, NAN);
	char span[WORDS_MAX];

	(void)snprintf(text, VALUE_MAX, "-");
	if (kind == KIND_TEXT)
		(void)snprintf(text, VALUE_MAX, "%s", row_text(session, path));
	else if (kind == KIND_RETRANSMITS)
		format_retransmits(field_at(session, path), text);
	else if (kind >= KIND_PROBE)
		format_probe(field_at(session, path), kind, text);
	else if (!(number >= 0)) /* it is not there, or never was */
		return;
	else if (kind == KIND_COUNT)
		(void)snprintf(text, VALUE_MAX, "%.0f", number);
	else if (kind == KIND_BYTES)
		format_bytes(session, path, text);
	else if (kind == KIND_SPAN)
		(void)snprintf(text, VALUE_MAX, "%s", words_duration(number, span));
	else if (kind == KIND_TIME_US)
		(void)snprintf(text, VALUE_MAX, "%.3g ms", number / 1e3);
	else
		format_ago(kind == KIND_AGO_MS ? number / 1e3 : number, text);
}

/* The value of one side, cut to its column. */
static void format_side(const json_t *session, const char *side, size_t row, int width,
			char text[VALUE_MAX])
{
	char path[64];

	(void)snprintf(path, sizeof path, "%s.%s", side, rows[row].path);
	format_value(session, path, rows[row].kind, text);
	words_cut_middle(words_one_line(text), width);
}

static bool is_shown(const json_t *session, size_t row)
{
	return rows[row].kind < KIND_PROBE || field_at(session, "client.probe") ||
	       field_at(session, "server.probe");
}

static void add_sides(const json_t *session, int width, struct lines *lines)
{
	int column = (width - LABEL_WIDTH - 2) / 2;

	lines_add(lines, "%-*s%-*s  %s", LABEL_WIDTH, "", column, "CLIENT", "SERVER");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char client[VALUE_MAX], server[VALUE_MAX];

		if (!is_shown(session, i))
			continue;
		format_side(session, "client", i, column, client);
		format_side(session, "server", i, column, server);
		lines_add(lines, "%-*s%s%*s  %s", LABEL_WIDTH, rows[i].label, client,
			  column - words_width(client), "", server);
	}
}

static void add_state(const json_t *session, int width, struct lines *lines)
{
	char id[WORDS_MAX], age[WORDS_MAX], idle[WORDS_MAX], half_closed[WORDS_MAX],
		value[VALUE_MAX];
	const char *state = row_text(session, "state");
	bool is_half_closed = strncmp(state, "half_closed", strlen("half_closed")) == 0;
	size_t length;

	(void)snprintf(value, sizeof value, "%s, %s", row_count(session, "id", id), state);
	length = strlen(value);
	if (field_at(session, "half_closed_s"))
		(void)snprintf(value + length, sizeof value - length, "%s for %s",
			       is_half_closed ? "" : ", was half-closed",
			       row_duration(session, "half_closed_s", half_closed));
	length = strlen(value);
	(void)snprintf(value + length, sizeof value - length, ", age %s, idle for %s",
		       row_duration(session, "age_s", age), row_duration(session, "idle_s", idle));
	lines_label(lines, width, LABEL_WIDTH, "session", value);
}

static void add_route(const json_t *session, int width, struct lines *lines)
{
	char worker[WORDS_MAX], connects[WORDS_MAX], value[VALUE_MAX];
	const char *server = row_server(session);

	(void)snprintf(value, sizeof value, "%s to pool %s, server %s; tried %s, worker %s",
		       row_text(session, "listener"), row_text(session, "pool"),
		       server ? server : "-", row_count(session, "connects", connects),
		       row_count(session, "worker", worker));
	lines_label(lines, width, LABEL_WIDTH, "listener", value);
}

static void add_ending(const json_t *session, int width, struct lines *lines)
{
	char in[WORDS_MAX], value[VALUE_MAX];
	size_t length;

	if (field_at(session, "ending_in"))
		(void)snprintf(value, sizeof value, "%s, by the deadline %s",
			       row_duration(session, "ending_in.in_s", in),
			       row_text(session, "ending_in.deadline"));
	else
		(void)snprintf(value, sizeof value, "no deadline");
	length = strlen(value);
	(void)snprintf(value + length, sizeof value - length, "; first to close: %s",
		       row_text(session, "first_closer"));
	lines_label(lines, width, LABEL_WIDTH, "ends in", value);
}

void facts_lay_out(const json_t *session, int width, struct lines *lines)
{
	const char *explanation = field_text(session, "explanation");

	if (width < WIDTH_LEAST)
		width = WIDTH_LEAST;
	if (explanation) {
		lines_wrap(lines, width, 0, explanation);
		lines_add(lines, "%s", "");
	}
	add_state(session, width, lines);
	add_route(session, width, lines);
	add_ending(session, width, lines);
	lines_add(lines, "%s", "");
	add_sides(session, width, lines);
}
