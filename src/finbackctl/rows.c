/*
 * Values of lists.
 */
#include "rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "field.h"

char *row_count(const json_t *object, const char *path, char text[WORDS_MAX])
{
	if (!json_is_integer(field_at(object, path)))
		return words_none(text);
	(void)snprintf(text, WORDS_MAX, "%" PRIu64, field_count(object, path));
	return text;
}

char *row_duration(const json_t *object, const char *path, char text[WORDS_MAX])
{
	return words_duration(field_number(object, path, NAN), text);
}

char *row_size(const json_t *object, const char *path, char text[WORDS_MAX])
{
	return words_size(field_number(object, path, NAN), text);
}

const char *row_text(const json_t *object, const char *path)
{
	const char *text = field_text(object, path);

	return text ? text : "-";
}

const char *row_server(const json_t *session)
{
	const char *name = field_text(session, "server_name");

	return name ? name : field_text(session, "server.address");
}

const char *row_short_state(const char *state)
{
	static const char prefix[] = "half_closed_";

	if (!state || strncmp(state, prefix, sizeof prefix - 1) != 0)
		return state;
	return strcmp(state + sizeof prefix - 1, "client") == 0 ? "half:client" : "half:server";
}
