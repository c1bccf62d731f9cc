/*
 * The parameters of a list of sessions.
 *
 * Invariant: what one parameter was refused for changes nothing.
 *
 * A cursor is WORKER-ID, which its users need not know: the list goes on with the sessions of that
 * worker, above that id. Ids only grow, so it stays good whatever has ended meanwhile.
 */
#include <finback/admin/query.h>
#include <finback/host/duration.h>
#include <finback/io/address.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ENDED_WORD       "ended"
#define HALF_CLOSED_WORD "half_closed"
#define ECHO_MAX         40
#define ECHO             "%.40s" /* of what was given, in an answer */

static int refuse(char why[QUERY_WHY_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(char why[QUERY_WHY_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(why, QUERY_WHY_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* Reads the decimal digits at *at, and moves it behind them. */
static bool read_number(const char **at, uint64_t max, uint64_t *ret_number)
{
	const char *from = *at;
	uint64_t number = 0;

	for (; **at >= '0' && **at <= '9'; ++*at) {
		unsigned digit = (unsigned)(**at - '0');

		if (number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return *at != from;
}

/* ---- values ------------------------------------------------------------------------------ */

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* The bits of the states that a word of `state` means; 0: none. */
static unsigned states_of(const char *text, size_t length)
{
	if (is_word(text, length, HALF_CLOSED_WORD))
		return 1U << STATE_HALF_CLOSED_CLIENT | 1U << STATE_HALF_CLOSED_SERVER;
	for (unsigned i = 0; i < STATES; i++)
		if (is_word(text, length, session_state_name((enum session_state)i)))
			return 1U << i;
	return 0;
}

static int refuse_state(const char *text, size_t length, char why[QUERY_WHY_MAX])
{
	if (is_word(text, length, ENDED_WORD))
		return refuse(why, "state: " ENDED_WORD " stands alone: those that have ended are "
				   "a list of their own");
	return refuse(why,
		      "state: \"%.*s\" is no state; right are connecting, open, half_closed, "
		      "half_closed_client, half_closed_server, closing, several by comma, or ended",
		      (int)(length < ECHO_MAX ? length : ECHO_MAX), text);
}

/* Words with commas between them. */
static int take_states(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	unsigned states = 0;

	for (const char *at = value;; at++) {
		size_t length = strcspn(at, ",");
		unsigned bits = states_of(at, length);

		if (bits == 0)
			return refuse_state(at, length, why);
		states |= bits;
		at += length;
		if (*at == '\0')
			break;
	}
	query->filter.states = states;
	return 0;
}

static int take_state(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	if (strcmp(value, ENDED_WORD) != 0)
		return take_states(query, value, why);
	query->is_ended = true;
	return 0;
}

static int take_name(struct query *query, enum query_name name, const char *value,
		     const char **ret_name, char why[QUERY_WHY_MAX])
{
	static const char *const words[] = {
		[QUERY_LISTENER] = "listener",
		[QUERY_POOL] = "pool",
		[QUERY_SERVER] = "server",
	};
	static_assert(sizeof words / sizeof *words == QUERY_NAMES, "a word for each");
	size_t length = strlen(value);

	if (length == 0)
		return refuse(why, "%s: is empty; right is the name of one", words[name]);
	if (length > QUERY_NAME_MAX)
		return refuse(why, "%s: is longer than any name", words[name]);
	memcpy(query->names[name], value, length + 1);
	*ret_name = query->names[name];
	return 0;
}

static int take_listener(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	return take_name(query, QUERY_LISTENER, value, &query->filter.listener, why);
}

static int take_pool(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	return take_name(query, QUERY_POOL, value, &query->filter.pool, why);
}

static int take_server(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	return take_name(query, QUERY_SERVER, value, &query->filter.server, why);
}

static int take_min_age(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	if (duration_parse(value, &query->filter.min_age_us) < 0)
		return refuse(why, "min_age: \"" ECHO "\" is no duration; right is " DURATION_HINT,
			      value);
	return 0;
}

static int take_ending_within(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	int64_t us;

	/* 0 would be no filter at all. */
	if (duration_parse(value, &us) < 0 || us == 0)
		return refuse(why,
			      "ending_within: \"" ECHO
			      "\" is no duration above 0; right is " DURATION_HINT,
			      value);
	query->filter.ending_within_us = us;
	return 0;
}

static int take_client(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	if (address_parse_network(value, &query->filter.client, &query->filter.client_prefix) < 0)
		return refuse(why,
			      "client: \"" ECHO "\" is no IP address and no network; right is "
			      "10.1.2.3, 10.0.0.0/8 or 2001:db8::/32",
			      value);
	return 0;
}

static int take_limit(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	const char *at = value;
	uint64_t limit;

	if (!read_number(&at, QUERY_LIMIT_MAX, &limit) || *at || limit == 0)
		return refuse(why, "limit: \"" ECHO "\" is not a number from 1 to %d", value,
			      QUERY_LIMIT_MAX);
	query->limit = (size_t)limit;
	return 0;
}

static int take_after(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	const char *at = value;
	uint64_t worker, id;

	if (!read_number(&at, SIZE_MAX, &worker) || *at++ != '-' ||
	    !read_number(&at, UINT64_MAX, &id) || *at)
		return refuse(why, "after: \"" ECHO "\" is no cursor; right is `next` of an answer",
			      value);
	query->worker = (size_t)worker;
	query->after = id;
	return 0;
}

static int take_brief(struct query *query, const char *value, char why[QUERY_WHY_MAX])
{
	if (strcmp(value, "1") != 0)
		return refuse(why, "brief: \"" ECHO "\" is wrong; right is 1, or no brief at all",
			      value);
	query->is_brief = true;
	return 0;
}

/* ---- parameters -------------------------------------------------------------------------- */

static const struct parameter {
	const char *name;
	int (*take)(struct query *query, const char *value, char why[QUERY_WHY_MAX]);
	bool is_for_ended; /* it goes with state=ended */
} parameters[] = {
	{ "state", take_state, true },      { "listener", take_listener, true },
	{ "pool", take_pool, true },        { "server", take_server, true },
	{ "min_age", take_min_age, false }, { "ending_within", take_ending_within, false },
	{ "client", take_client, false },   { "limit", take_limit, true },
	{ "after", take_after, false },     { "brief", take_brief, false },
};
#define PARAMETERS (sizeof parameters / sizeof *parameters)
#define PARAMETER_NAMES \
	"state, listener, pool, server, min_age, ending_within, client, limit, after and brief"

void query_init(struct query *query)
{
	*query = (struct query){ .limit = QUERY_LIMIT_DEFAULT };
}

int query_add(struct query *query, const char *name, const char *value, char why[QUERY_WHY_MAX])
{
	size_t i = 0;
	int error;

	while (i < PARAMETERS && strcmp(parameters[i].name, name) != 0)
		i++;
	if (i == PARAMETERS)
		return refuse(why, "unknown parameter \"" ECHO "\"; there are " PARAMETER_NAMES,
			      name);
	if (query->given & 1U << i)
		return refuse(why, "%s: is there twice; once is right", name);
	error = parameters[i].take(query, value ? value : "", why);
	if (error == 0)
		query->given |= 1U << i;
	return error;
}

int query_check(const struct query *query, size_t workers, char why[QUERY_WHY_MAX])
{
	for (size_t i = 0; i < PARAMETERS && query->is_ended; i++)
		if (query->given & 1U << i && !parameters[i].is_for_ended)
			return refuse(why,
				      "%s: does not go with state=ended, which takes limit, "
				      "listener, pool and server",
				      parameters[i].name);
	if (query->worker >= workers)
		return refuse(why,
			      "after: \"%zu-%" PRIu64 "\" is a cursor of another process, which "
			      "had more workers; begin without it",
			      query->worker, query->after);
	return 0;
}

static const char *name_in(const struct query *query, enum query_name name)
{
	return *query->names[name] ? query->names[name] : NULL;
}

void query_copy(struct query *ret, const struct query *from)
{
	*ret = *from;
	ret->filter.listener = name_in(ret, QUERY_LISTENER);
	ret->filter.pool = name_in(ret, QUERY_POOL);
	ret->filter.server = name_in(ret, QUERY_SERVER);
}

char *query_cursor(size_t worker, uint64_t id, char text[QUERY_CURSOR_MAX])
{
	(void)snprintf(text, QUERY_CURSOR_MAX, "%zu-%" PRIu64, worker, id);
	return text;
}
