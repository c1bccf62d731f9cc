/*
 * The command line as a table of names. Addresses are numbers: the driver knows them all.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../load/report.h"

#define ADDRESS_SIZE 80

struct option_row {
	const char *name;
	bool (*take)(struct options *options, const char *text);
};

static bool read_count(const char *text, uint64_t *ret_count)
{
	char *end = NULL;

	errno = 0;
	*ret_count = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool take_sessions(struct options *options, const char *text)
{
	return read_count(text, &options->sessions);
}

static bool take_one_in(struct options *options, const char *text)
{
	return read_count(text, &options->script.one_in);
}

static bool take_rest_in(struct options *options, const char *text)
{
	return read_count(text, &options->script.rest_in);
}

static bool take_seed(struct options *options, const char *text)
{
	return read_count(text, &options->script.seed);
}

static bool take_at_a_time(struct options *options, const char *text)
{
	return read_count(text, &options->at_a_time) && options->at_a_time > 0 &&
	       options->at_a_time <= 4000;
}

static bool take_milliseconds(const char *text, int64_t *ret_us)
{
	uint64_t count;

	if (!read_count(text, &count) || count == 0 || count > 86400000)
		return false;
	*ret_us = (int64_t)count * 1000;
	return true;
}

static bool take_dead_after(struct options *options, const char *text)
{
	return take_milliseconds(text, &options->script.dead_after_us);
}

static bool take_patience(struct options *options, const char *text)
{
	return take_milliseconds(text, &options->patience_us);
}

static bool read_descriptor(const char *text, struct watch *ret_watch)
{
	uint64_t count;

	if (!read_count(text, &count) || count > 65535)
		return false;
	ret_watch->fd = (int)count;
	return true;
}

static bool take_listener(struct options *options, const char *text)
{
	return options->listener_count < ROUTES_MOST &&
	       read_descriptor(text, &options->listeners[options->listener_count++]);
}

/* "FROM,TO" */
static bool read_route(const char *text, struct route *ret_route)
{
	char from[ADDRESS_SIZE];
	const char *comma = strchr(text, ',');
	size_t length = comma == NULL ? 0 : (size_t)(comma - text);

	if (length == 0 || length >= sizeof(from))
		return false;
	memcpy(from, text, length);
	from[length] = '\0';
	return net_parse(from, &ret_route->from) == 0 && net_parse(comma + 1, &ret_route->to) == 0;
}

static bool take_route(struct options *options, const char *text)
{
	return options->route_count < ROUTES_MOST &&
	       read_route(text, &options->routes[options->route_count++]);
}

/* "DESCRIPTOR,FROM,TO" */
static bool take_lane(struct options *options, const char *text)
{
	const char *comma = strchr(text, ',');
	char number[8];
	size_t length = comma == NULL ? 0 : (size_t)(comma - text);

	if (length == 0 || length >= sizeof(number) || options->lane_count == LANES_MOST)
		return false;
	memcpy(number, text, length);
	number[length] = '\0';

	struct lane *lane = &options->lanes[options->lane_count++];

	return read_descriptor(number, &lane->listener) && read_route(comma + 1, &lane->route);
}

static const struct option_row rows[] = {
	{ "--sessions", take_sessions }, /* in all */
	{ "--at-a-time", take_at_a_time },
	{ "--one-in", take_one_in },   /* so many vanishes one */
	{ "--rest-in", take_rest_in }, /* so many rests one */
	{ "--dead-after-ms", take_dead_after },
	{ "--patience-ms", take_patience }, /* with a session, from its begin */
	{ "--seed", take_seed },
	{ "--listener", take_listener }, /* DESCRIPTOR */
	{ "--route", take_route },       /* FROM,TO */
	{ "--lane", take_lane },         /* DESCRIPTOR,FROM,TO */
};

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	report_die(EXIT_USAGE, "no option %s", name);
}

void options_parse(struct options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const struct option_row *row = find_row(argv[i]);

		if (i + 1 == argc || !row->take(options, argv[i + 1]))
			report_die(EXIT_USAGE, "%s: not with %s", row->name,
				   i + 1 == argc ? "nothing" : argv[i + 1]);
	}
	if (options->listener_count == 0 || options->route_count == 0 || options->lane_count == 0)
		report_die(EXIT_USAGE, "a listener, a route and a lane are needed");
}
