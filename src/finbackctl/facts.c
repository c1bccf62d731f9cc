/*
 * One session, explained. Each fact of a side is a row of the table below: what it is called, where
 * it stands in the daemon's object, how it is read.
 */
#include "facts.h"

#include <inttypes.h>
#include <math.h>
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
	KIND_AGO,    /* seconds */
	KIND_AGO_MS, /* milliseconds */
	KIND_TIME_US,
	KIND_RETRANSMITS /* an object with both counts */
};

/* `path` follows "client." or "server.". */
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

static void format_value(const json_t *session, const char *path, enum kind kind,
			 char text[VALUE_MAX])
{
	double number = field_number(session, path, NAN);

	(void)snprintf(text, VALUE_MAX, "-");
	if (kind == KIND_TEXT)
		(void)snprintf(text, VALUE_MAX, "%s", row_text(session, path));
	else if (kind == KIND_RETRANSMITS)
		format_retransmits(field_at(session, path), text);
	else if (!(number >= 0)) /* it is not there, or never was */
		return;
	else if (kind == KIND_COUNT)
		(void)snprintf(text, VALUE_MAX, "%.0f", number);
	else if (kind == KIND_BYTES)
		format_bytes(session, path, text);
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

static void add_sides(const json_t *session, int width, struct lines *lines)
{
	int column = (width - LABEL_WIDTH - 2) / 2;

	lines_add(lines, "%-*s%-*s  %s", LABEL_WIDTH, "", column, "CLIENT", "SERVER");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char client[VALUE_MAX], server[VALUE_MAX];

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
