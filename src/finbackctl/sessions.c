/*
 * finbackctl sessions: live sessions, or the last that ended, as a table or as JSON.
 *
 * The table needs all rows before it knows its widths; JSON goes out page by page.
 */
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "listing.h"
#include "output.h"
#include "rows.h"
#include "table.h"
#include "words.h"

static const char usage[] =
	"usage: finbackctl sessions [FILTER...] [--brief] [--json]\n"
	"       finbackctl sessions --ended [--listener NAME] [--pool NAME]\n"
	"                                   [--server NAME] [--limit N] [--json]\n"
	"\n"
	"Lists live sessions, or the last that ended, newest first.\n"
	"\n" LISTING_USAGE "      --ended              those that ended, and how\n"
	"      --brief              with --json: without the explanation and what the\n"
	"                           kernel says of the sockets, which is much cheaper\n"
	"      --json               print the sessions as finback describes them\n"
	"\n"
	"UP and DOWN are bytes from the client and from the server. Where standard\n"
	"output is no terminal, nothing is cut to fit.\n";

static const struct column live_columns[] = {
	{ "ID", COLUMN_RIGHT },      { "LISTENER", COLUMN_OPTIONAL }, { "STATE", 0 },
	{ "CLIENT", COLUMN_CUT },    { "SERVER", COLUMN_CUT },        { "AGE", COLUMN_RIGHT },
	{ "IDLE", COLUMN_RIGHT },    { "UP", COLUMN_RIGHT },          { "DOWN", COLUMN_RIGHT },
	{ "ENDS IN", COLUMN_RIGHT }, { "DEADLINE", COLUMN_OPTIONAL },
};

static const struct column ended_columns[] = {
	{ "ID", COLUMN_RIGHT },       { "LISTENER", COLUMN_OPTIONAL }, { "ENDING", 0 },
	{ "CLIENT", COLUMN_CUT },     { "SERVER", COLUMN_CUT },        { "AGO", COLUMN_RIGHT },
	{ "LASTED", COLUMN_RIGHT },   { "UP", COLUMN_RIGHT },          { "DOWN", COLUMN_RIGHT },
	{ "FIRST", COLUMN_OPTIONAL }, { "DETAIL", COLUMN_OPTIONAL },
};

/* A table that is being filled. */
struct printing {
	struct table *table;
	int width;
};

static void add_live(struct printing *printing, const json_t *session)
{
	char id[WORDS_MAX], age[WORDS_MAX], idle[WORDS_MAX], up[WORDS_MAX], down[WORDS_MAX],
		ends_in[WORDS_MAX];
	const char *state = field_text(session, "state");
	const char *values[] = {
		row_count(session, "id", id),
		field_text(session, "listener"),
		printing->width && printing->width < ROW_NARROW ? row_short_state(state) : state,
		field_text(session, "client.address"),
		row_server(session),
		row_duration(session, "age_s", age),
		row_duration(session, "idle_s", idle),
		row_size(session, "client.bytes", up),
		row_size(session, "server.bytes", down),
		row_duration(session, "ending_in.in_s", ends_in),
		field_text(session, "ending_in.deadline"),
	};

	table_add(printing->table, values);
}

static void add_ended(struct printing *printing, const json_t *session)
{
	char id[WORDS_MAX], ago[WORDS_MAX], lasted[WORDS_MAX], up[WORDS_MAX], down[WORDS_MAX];
	const char *detail = field_text(session, "detail");
	const char *values[] = {
		row_count(session, "id", id),
		field_text(session, "listener"),
		field_text(session, "ending"),
		field_text(session, "client.address"),
		row_server(session),
		row_duration(session, "ago_s", ago),
		row_duration(session, "age_s", lasted),
		row_size(session, "client.bytes", up),
		row_size(session, "server.bytes", down),
		field_text(session, "first_closer"),
		detail ? detail : field_text(session, "detector"),
	};

	table_add(printing->table, values);
}

static int on_live_page(void *user, const json_t *sessions)
{
	for (size_t i = 0; i < json_array_size(sessions); i++)
		add_live(user, json_array_get(sessions, i));
	return CTL_OK;
}

static int on_ended_page(void *user, const json_t *sessions)
{
	for (size_t i = 0; i < json_array_size(sessions); i++)
		add_ended(user, json_array_get(sessions, i));
	return CTL_OK;
}

static int print_table(struct ctl *ctl, const struct listing *listing)
{
	const struct column *columns = listing->is_ended ? ended_columns : live_columns;
	size_t count = listing->is_ended ? sizeof ended_columns / sizeof *ended_columns
					 : sizeof live_columns / sizeof *live_columns;
	struct printing printing = { table_create(columns, count), output_width() };
	int status = listing_walk(ctl, listing, listing->is_ended ? on_ended_page : on_live_page,
				  &printing);

	if (status == CTL_OK)
		table_print(printing.table, stdout, printing.width);
	table_destroy(printing.table);
	return status;
}

/* The beginning goes out with the first page, so that a refusal leaves nothing on the output. */
static int on_json_page(void *user, const json_t *sessions)
{
	const char **separator = user;

	if (!*separator)
		(void)fputs("{\n\"sessions\": [", stdout);
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		(void)fputs(*separator ? *separator : "\n  ", stdout);
		output_json_value(json_array_get(sessions, i));
		*separator = ",\n  ";
	}
	if (!*separator)
		*separator = "";
	return CTL_OK;
}

static int print_json(struct ctl *ctl, const struct listing *listing)
{
	const char *separator = NULL;
	int status = listing_walk(ctl, listing, on_json_page, &separator);

	if (status == CTL_OK)
		(void)puts(*separator ? "\n]\n}" : "]\n}");
	return status;
}

static int run(struct ctl *ctl, int count, char **values)
{
	struct listing listing = { 0 };
	struct choice choices[CHOICES_MAX];
	size_t choice_count = listing_choices(&listing, choices);
	int first, status;

	choices[choice_count++] =
		(struct choice){ .name = "ended", .ret_is_set = &listing.is_ended };
	choices[choice_count++] =
		(struct choice){ .name = "brief", .ret_is_set = &listing.is_brief };
	status = ctl_options(ctl, &command_sessions, choices, choice_count, count, values, &first);
	if (status < 0)
		status = listing_check(&command_sessions, &listing);
	if (status >= 0)
		return status;
	if (first < count)
		return ctl_say_usage(&command_sessions,
				     "sessions: unexpected argument '%s'; one session is shown by "
				     "'finbackctl session ID'",
				     values[first]);
	if (ctl->is_json)
		return print_json(ctl, &listing);
	listing.is_brief = true;
	return print_table(ctl, &listing);
}

const struct command command_sessions = { "sessions", usage, true, run };
