/*
 * libFuzzer over admin/query: any parameters are taken or refused without harm; a refusal is a
 * sentence and changes nothing, what is taken is within its bounds, and a cursor reads back.
 *
 * The input is a query string, "state=open&limit=5": as in a request, but with nothing encoded.
 */
#include <finback/admin/query.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 4096
#define WORKERS        4

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void require_sentence(int result, const char why[QUERY_WHY_MAX])
{
	require(result == 0 || result == -EINVAL, "an error that is not in the contract");
	require(memchr(why, '\0', QUERY_WHY_MAX) != NULL, "a sentence without an end");
	require((result == 0) == (why[0] == '\0'), "a sentence where there is none to say");
}

static void add(struct query *query, const char *name, const char *value)
{
	char why[QUERY_WHY_MAX] = "";
	struct query before = *query;
	int result = query_add(query, name, value, why);

	require_sentence(result, why);
	if (result < 0) {
		require(memcmp(&before, query, sizeof(before)) == 0, "a refusal that changes");
		return;
	}
	require(query->given != before.given, "a parameter that is not noted");
	require(query_add(query, name, value, why) == -EINVAL, "a parameter that is taken twice");
}

static void check_bounds(const struct query *query)
{
	const struct survey_filter *filter = &query->filter;

	require(query->limit >= 1 && query->limit <= QUERY_LIMIT_MAX, "a limit out of bounds");
	require(filter->states < 1U << STATES, "a state that there is none of");
	require(filter->min_age_us >= 0 && filter->ending_within_us >= 0, "a negative duration");
	require(filter->client_prefix <= (filter->client.family == ENDPOINT_IPV4 ? 32U : 128U),
		"a prefix out of bounds");
	require(!filter->listener || filter->listener == query->names[QUERY_LISTENER],
		"a name that is not its own");
	for (size_t i = 0; i < QUERY_NAMES; i++)
		require(strlen(query->names[i]) <= QUERY_NAME_MAX, "a name without an end");
}

static void check_cursor(const struct query *query)
{
	char text[QUERY_CURSOR_MAX];
	char why[QUERY_WHY_MAX];
	struct query again;

	query_init(&again);
	query_cursor(query->worker, query->after, text);
	require(query_add(&again, "after", text, why) == 0, "its own cursor is none");
	require(again.worker == query->worker && again.after == query->after,
		"its own cursor is another");
}

/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_BYTES_MAX + 1];
	char why[QUERY_WHY_MAX] = "";
	size_t length = size < TEXT_BYTES_MAX ? size : TEXT_BYTES_MAX;
	char *rest = text;
	struct query query;

	if (length > 0)
		memcpy(text, data, length);
	text[length] = '\0';
	query_init(&query);
	while (rest) {
		char *name = strsep(&rest, "&");
		const char *value = strchr(name, '=') ? strchr(name, '=') + 1 : NULL;

		name[strcspn(name, "=")] = '\0';
		add(&query, name, value);
	}
	check_bounds(&query);
	check_cursor(&query);
	require_sentence(query_check(&query, WORKERS, why), why);
	return 0;
}
