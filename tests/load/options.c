/*
 * The command line as a table, and the meeting with a relay: the program listens, says where, and
 * is told where the relay listens. That order needs no port to be guessed.
 */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define MEET_US   (INT64_C(120) * 1000000)
#define HOLD_US   (INT64_C(86400) * 1000000)
#define LINE_SIZE 128

enum kind {
	KIND_COUNT,
	KIND_SECONDS,
	KIND_ADDRESS,
	KIND_DIRECTION,
	KIND_FLAG
};

struct option_row {
	const char *name;
	enum kind kind;
	size_t at; /* in struct options */
	uint64_t most;
	const char *help;
};

static const struct option_row rows[] = {
	{ "--listen", KIND_ADDRESS, offsetof(struct options, listen), 0,
	  "where the servers listen (127.0.0.1:0)" },
	{ "--via", KIND_ADDRESS, offsetof(struct options, via), 0,
	  "where the clients connect to; without it, a line on stdin says so" },
	{ "--direct", KIND_FLAG, offsetof(struct options, direct), 0,
	  "the clients connect to the servers, without a relay" },
	{ "--wait", KIND_FLAG, offsetof(struct options, wait), 0,
	  "after \"ready=\" a line on stdin starts, after the report one ends" },
	{ "--direction", KIND_DIRECTION, offsetof(struct options, direction), 0,
	  "up, down or both (bulk)" },
	{ "--seed", KIND_COUNT, offsetof(struct options, seed), UINT64_MAX,
	  "repeats the plans of a crowd" },
	{ "--sessions", KIND_COUNT, offsetof(struct options, sessions), 200000,
	  "how many in all (crowd, idle, stall, flood)" },
	{ "--connections", KIND_COUNT, offsetof(struct options, connections), 20000,
	  "how many at a time" },
	{ "--idle", KIND_COUNT, offsetof(struct options, idle), 20000,
	  "connections beside these that say one message and are then silent (ping)" },
	{ "--size", KIND_COUNT, offsetof(struct options, size), 262144,
	  "of a message (ping), of a burst each way (idle), the most of a body (crowd)" },
	{ "--bytes", KIND_COUNT, offsetof(struct options, bytes), UINT64_MAX,
	  "for each stream and direction, instead of --seconds (bulk); the most that may be taken "
	  "for "
	  "a reader that does not read (stall)" },
	{ "--resets", KIND_COUNT, offsetof(struct options, resets), 1000,
	  "of a thousand sessions, how many are cut off by a reset (crowd)" },
	{ "--huge", KIND_COUNT, offsetof(struct options, huge), 10000,
	  "of ten thousand bodies, how many have 2 MiB (crowd)" },
	{ "--sources", KIND_COUNT, offsetof(struct options, sources), 250,
	  "client addresses, 127.0.0.1 and up, each with ports of its own" },
	{ "--rate", KIND_COUNT, offsetof(struct options, rate), 1000000,
	  "new connections a second, at most (flood)" },
	{ "--seconds", KIND_SECONDS, offsetof(struct options, duration_us), 3600,
	  "of the measured part; of a crowd or a flood, the most that it may take; how long "
	  "nothing "
	  "has to move (stall)" },
	{ "--patience", KIND_SECONDS, offsetof(struct options, patience_us), 3600,
	  "seconds without progress that are an error" },
};

static const char *const direction_names[] = {
	[DIRECTION_UP] = "up",
	[DIRECTION_DOWN] = "down",
	[DIRECTION_BOTH] = "both",
};
_Static_assert(sizeof(direction_names) / sizeof(direction_names[0]) == DIRECTIONS,
	       "each direction has a name");

void options_help(void)
{
	puts("usage: finback-load crowd|bulk|ping|churn|idle|stall|flood [OPTION VALUE]...");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("  %-14s %s\n", rows[i].name, rows[i].help);
}

static bool set_count(uint64_t *count, const char *text, uint64_t most)
{
	char *end = NULL;

	errno = 0;
	*count = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *count <= most && text[0] != '-';
}

static bool set_seconds(int64_t *time_us, const char *text, uint64_t most)
{
	char *end = NULL;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds > 0) || seconds > (double)most)
		return false;
	*time_us = (int64_t)(seconds * 1e6);
	return true;
}

static bool set_direction(enum direction *direction, const char *text)
{
	for (int i = 0; i < DIRECTIONS; i++) {
		if (strcmp(direction_names[i], text) == 0) {
			*direction = (enum direction)i;
			return true;
		}
	}
	return false;
}

static bool set_option(struct options *options, const struct option_row *row, const char *text)
{
	void *at = (char *)options + row->at;

	switch (row->kind) {
	case KIND_COUNT:
		return set_count(at, text, row->most);
	case KIND_SECONDS:
		return set_seconds(at, text, row->most);
	case KIND_DIRECTION:
		return set_direction(at, text);
	case KIND_ADDRESS:
		if (at == &options->via)
			options->has_via = true;
		return net_parse(text, at) == 0;
	case KIND_FLAG:
		break;
	}
	return false;
}

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	report_die(EXIT_USAGE, "no option %s; finback-load --help lists them", name);
}

void options_parse(struct options *options, int argc, char **argv)
{
	(void)net_parse("127.0.0.1:0", &options->listen);
	for (int i = 2; i < argc; i++) {
		const struct option_row *row = find_row(argv[i]);

		if (row->kind == KIND_FLAG) {
			*(bool *)((char *)options + row->at) = true;
			continue;
		}
		if (i + 1 == argc || !set_option(options, row, argv[i + 1]))
			report_die(EXIT_USAGE, "%s: %s", row->name, row->help);
		i++;
	}
}

int options_meet(struct options *options)
{
	char text[LINE_SIZE];
	int listener = net_listen(&options->listen);

	if (listener < 0)
		report_die(EXIT_FAILURE, "cannot listen: %s", strerror(-listener));
	net_print(&options->listen, text);
	report_text("listening", text);
	if (options->direct)
		options->via = options->listen;
	else if (!options->has_via && (!net_read_line(text, sizeof(text), MEET_US) ||
				       net_parse(text, &options->via) < 0))
		report_die(EXIT_USAGE, "no address of a relay on stdin");
	return listener;
}

void options_ready(const struct options *options, uint64_t count)
{
	char line[LINE_SIZE];

	report_count("ready", count);
	if (options->wait && !net_read_line(line, sizeof(line), MEET_US))
		report_die(EXIT_USAGE, "no line on stdin to start at");
}

void options_hold(const struct options *options)
{
	char line[LINE_SIZE];

	if (options->wait)
		(void)net_read_line(line, sizeof(line), HOLD_US);
}

unsigned options_source(const struct options *options, uint64_t n)
{
	return options->sources == 0 ? 0 : (unsigned)(n % options->sources);
}
