/*
 * finbackctl status: the whole daemon on one screen of 80 columns.
 *
 * What is as it should be is said in few words; what is not is called a problem, and stands first.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "field.h"
#include "lines.h"
#include "output.h"
#include "rows.h"
#include "servers.h"
#include "totals.h"
#include "words.h"

#define LABEL    15
#define TEXT_MAX 1024

static const char usage[] =
	"usage: finbackctl status [--json]\n"
	"\n"
	"Shows how finback is doing: sessions by state, how those before ended,\n"
	"listeners, servers, and what it uses of the machine.\n"
	"\n"
	"      --json   print the status as finback describes it\n";

/* Text that grows and is cut off at its end. */
struct text {
	char bytes[TEXT_MAX];
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...)
{
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format,
			   values);
	va_end(values);
	if (length > 0)
		text->length += (size_t)length;
	if (text->length >= sizeof text->bytes)
		text->length = sizeof text->bytes - 1;
}

static void add(struct lines *lines, const char *label, const char *value)
{
	lines_label(lines, output_wrap_width(), LABEL, label, value);
}

static void add_process(const json_t *status, struct lines *lines)
{
	char uptime[WORDS_MAX], started[WORDS_MAX], pid[WORDS_MAX];
	struct text text = { 0 };

	append(&text, "%s, %s for %s since %s, pid %s", row_text(status, "version"),
	       row_text(status, "state"), row_duration(status, "uptime_s", uptime),
	       words_time(field_text(status, "started"), started), row_count(status, "pid", pid));
	add(lines, "finback", text.bytes);
}

static void add_config(const json_t *status, struct lines *lines)
{
	char loaded[WORDS_MAX], reloads[WORDS_MAX], failed[WORDS_MAX];
	struct text text = { 0 };

	append(&text, "%s, of %s; reloads: %s, failed: %s", row_text(status, "config.path"),
	       words_time(field_text(status, "config.loaded"), loaded),
	       row_count(status, "config.reloads", reloads),
	       row_count(status, "config.failed_reloads", failed));
	add(lines, "configuration", text.bytes);
}

static uint64_t sum_over(const json_t *objects, const char *path)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(objects); i++)
		sum += field_count(json_array_get(objects, i), path);
	return sum;
}

static void add_machine(const json_t *status, struct lines *lines)
{
	char fds[WORDS_MAX], most_fds[WORDS_MAX], memory[WORDS_MAX], cpu[WORDS_MAX],
		buffers[WORDS_MAX];
	const json_t *workers = field_array(status, "workers");
	struct text text = { 0 };

	append(&text, "descriptors %s of %s, memory %s, CPU %s",
	       row_count(status, "process.open_fds", fds),
	       row_count(status, "limits.open_files", most_fds),
	       row_size(status, "process.rss_bytes", memory),
	       row_duration(status, "process.cpu_s", cpu));
	append(&text, ", workers %zu, buffers %s, pipes %" PRIu64, json_array_size(workers),
	       words_size((double)sum_over(workers, "buffer_bytes"), buffers),
	       sum_over(workers, "pipes"));
	add(lines, "uses", text.bytes);
}

static void add_sessions(const json_t *status, struct lines *lines)
{
	struct totals totals = totals_of(status);
	char most[WORDS_MAX];
	struct text text = { 0 };

	append(&text, "%" PRIu64 " of at most %s", field_count(status, "sessions"),
	       row_count(status, "limits.max_sessions", most));
	for (int state = 0; state < STATES; state++)
		append(&text, "%s %s %" PRIu64, state ? "," : ":", session_state_name(state),
		       totals.active[state]);
	add(lines, "sessions", text.bytes);
}

/* Sums one group of counts over all listeners and appends those that are not 0. The first listener
 * tells which there are. */
static void append_sums(struct text *text, const json_t *listeners, const char *group,
			const char *prefix)
{
	const char *name;
	json_t *value;

	json_object_foreach(field_at(json_array_get(listeners, 0), group), name, value)
	{
		char path[64];
		uint64_t sum;

		(void)snprintf(path, sizeof path, "%s.%.40s", group, name);
		sum = sum_over(listeners, path);
		if (sum > 0)
			append(text, "%s%s%s %" PRIu64, text->length ? ", " : "", prefix, name,
			       sum);
	}
}

static void add_endings(const json_t *status, struct lines *lines)
{
	const json_t *listeners = field_array(status, "listeners");
	struct totals totals = totals_of(status);
	struct text endings = { 0 }, dead = { 0 };

	append_sums(&endings, listeners, "endings", "");
	if (endings.length > 0)
		append(&endings, "; %" PRIu64 " of %" PRIu64 " accepted", totals.ended,
		       totals.accepted);
	add(lines, "ended", endings.length ? endings.bytes : "none so far");
	append_sums(&dead, listeners, "dead_peers.client", "client by ");
	append_sums(&dead, listeners, "dead_peers.server", "server by ");
	if (dead.length > 0)
		add(lines, "dead peers", dead.bytes);
}

/* What an operator should not have to look for. */
static void add_problems(const json_t *status, struct lines *lines)
{
	const json_t *workers = field_array(status, "workers");
	uint64_t dropped = field_count(status, "log.dropped");
	uint64_t pauses = sum_over(workers, "accept_pauses");
	struct text text = { 0 };

	if (json_is_false(field_at(status, "config.last_reload_ok")))
		append(&text, "; the last reload failed, the configuration before it is in use");
	if (dropped > 0)
		append(&text, "; %" PRIu64 " lines of the log were dropped", dropped);
	if (pauses > 0)
		append(&text,
		       "; accepting had to pause %" PRIu64 " times, for want of descriptors "
		       "or memory",
		       pauses);
	if (text.length > 0)
		add(lines, "problems", text.bytes + 2);
}

/* "0.0.0.0:8080, [::]:8080", for the caller to free. */
static char *join(const json_t *texts)
{
	char *joined = NULL;
	size_t size;
	FILE *file = ctl_need(open_memstream(&joined, &size));

	for (size_t i = 0; i < json_array_size(texts); i++) {
		const char *text = json_string_value(json_array_get(texts, i));

		(void)fprintf(file, "%s%s", i ? ", " : "", text ? text : "-");
	}
	if (fclose(file) != 0)
		ctl_need(NULL);
	return joined;
}

static void add_listener(struct table *table, const json_t *listener)
{
	char active[WORDS_MAX], half_closed[WORDS_MAX], accepted[WORDS_MAX], up[WORDS_MAX],
		down[WORDS_MAX];
	char *listen = join(field_array(listener, "listen"));
	struct totals totals = { 0 };
	const char *pool = field_text(listener, "pool");
	const char *values[] = {
		field_text(listener, "name"),
		pool,
		active,
		half_closed,
		row_count(listener, "accepted", accepted),
		row_size(listener, "bytes.from_client", up),
		row_size(listener, "bytes.from_server", down),
		*listen ? listen
		: pool  ? "-"
			: "(of an older configuration)",
	};

	totals_add(&totals, listener);
	(void)snprintf(active, sizeof active, "%" PRIu64, totals_active(&totals));
	(void)snprintf(half_closed, sizeof half_closed, "%" PRIu64,
		       totals.active[STATE_HALF_CLOSED_CLIENT] +
			       totals.active[STATE_HALF_CLOSED_SERVER]);
	table_add(table, values);
	free(listen);
}

static void print_listeners(const json_t *status)
{
	static const struct column columns[] = {
		{ "LISTENER", COLUMN_CUT },   { "POOL", COLUMN_CUT },
		{ "ACTIVE", COLUMN_RIGHT },   { "HALF-CLOSED", COLUMN_RIGHT },
		{ "ACCEPTED", COLUMN_RIGHT }, { "UP", COLUMN_RIGHT },
		{ "DOWN", COLUMN_RIGHT },     { "LISTENS ON", COLUMN_CUT },
	};
	const json_t *listeners = field_array(status, "listeners");
	struct table *table = table_create(columns, sizeof columns / sizeof *columns);

	for (size_t i = 0; i < json_array_size(listeners); i++)
		add_listener(table, json_array_get(listeners, i));
	table_print(table, stdout, output_width());
	table_destroy(table);
}

static void print_servers(const json_t *status)
{
	const json_t *pools = field_array(status, "pools");
	struct table *table = servers_table();

	for (size_t i = 0; i < json_array_size(pools); i++)
		servers_add(table, field_array(json_array_get(pools, i), "servers"));
	table_print(table, stdout, output_width());
	table_destroy(table);
}

static void print_status(const json_t *status)
{
	struct lines lines = { 0 };

	add_process(status, &lines);
	add_problems(status, &lines);
	add_config(status, &lines);
	add_machine(status, &lines);
	add_sessions(status, &lines);
	add_endings(status, &lines);
	lines_print(&lines);
	lines_fini(&lines);
	(void)putchar('\n');
	print_listeners(status);
	(void)putchar('\n');
	print_servers(status);
}

static int run(struct ctl *ctl, int count, char **values)
{
	json_t *answer;
	int first;
	int status = ctl_options(ctl, &command_status, NULL, 0, count, values, &first);

	if (status >= 0)
		return status;
	if (first < count)
		return ctl_say_usage(&command_status, "status: unexpected argument '%s'",
				     values[first]);
	status = ctl_get(ctl, "/api/v1/status", &answer);
	if (status != CTL_OK)
		return status;
	if (!field_array(answer, "listeners")) {
		ctl_say("the answer at %s is not finback's: it has no listeners", ctl->socket);
		status = EX_PROTOCOL;
	} else if (ctl->is_json) {
		output_json(answer);
	} else {
		print_status(answer);
	}
	json_decref(answer);
	return status;
}

const struct command command_status = { "status", usage, true, run };
