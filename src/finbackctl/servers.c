/*
 * The table of servers that `server` and `status` print.
 */
#include "servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "rows.h"

static const struct column columns[] = {
	{ "POOL", COLUMN_CUT },
	{ "SERVER", COLUMN_CUT },
	{ "STATE", 0 },
	{ "UP", 0 },
	{ "SESSIONS", COLUMN_RIGHT },
	{ "CONNECTED", COLUMN_RIGHT },
	{ "REFUSED", COLUMN_RIGHT },
	{ "TIMEOUT", COLUMN_RIGHT },
	{ "OTHER", COLUMN_RIGHT },
	{ "WEIGHT", COLUMN_RIGHT | COLUMN_OPTIONAL },
	{ "ADDRESS", COLUMN_OPTIONAL },
};

struct table *servers_table(void)
{
	return table_create(columns, sizeof columns / sizeof *columns);
}

static void add(struct table *table, const json_t *server)
{
	char sessions[WORDS_MAX], ok[WORDS_MAX], refused[WORDS_MAX], timeout[WORDS_MAX],
		other[WORDS_MAX], weight[WORDS_MAX];
	const char *values[] = {
		field_text(server, "pool"),
		field_text(server, "name"),
		field_text(server, "state"),
		field_is_true(server, "up") ? "yes" : "no",
		row_count(server, "sessions", sessions),
		row_count(server, "connects.ok", ok),
		row_count(server, "connects.refused", refused),
		row_count(server, "connects.timeout", timeout),
		other,
		field_is_true(server, "backup") ? "backup" : row_count(server, "weight", weight),
		field_text(server, "address"),
	};

	(void)snprintf(other, sizeof other, "%" PRIu64,
		       field_count(server, "connects.unreachable") +
			       field_count(server, "connects.failed"));
	table_add(table, values);
}

void servers_add(struct table *table, const json_t *servers)
{
	for (size_t i = 0; i < json_array_size(servers); i++)
		add(table, json_array_get(servers, i));
}
