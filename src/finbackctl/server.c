/*
 * finbackctl server: the servers of the pools, one of them, and whether it gets new sessions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "field.h"
#include "lines.h"
#include "output.h"
#include "rows.h"
#include "servers.h"

static const char usage[] =
	"usage: finbackctl server [POOL] [--json]\n"
	"       finbackctl server POOL/SERVER [ready|drain|maint] [--json]\n"
	"\n"
	"Lists the servers of all pools or of one, shows one server, or changes its\n"
	"state:\n"
	"\n"
	"  ready   gets new sessions\n"
	"  drain   gets none; those it has go on\n"
	"  maint   as drain, and counts as down\n"
	"\n"
	"A state lasts until finback starts anew, over reloads too. SERVER is its name,\n"
	"else its address as configured: web/10.0.0.5:9000, web/unix:/run/app.sock.\n"
	"\n"
	"      --json   print what finback answered\n";

static const char *const states[] = { "ready", "drain", "maint" };

static bool is_state(const char *text)
{
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(text, states[i]) == 0)
			return true;
	return false;
}

/* The path of POOL or POOL/SERVER, for the caller to free; NULL when it is neither. A pool's name
 * has no slash, a server's may. */
static char *path_of(const char *target)
{
	const char *slash = strchr(target, '/');
	size_t length = slash ? (size_t)(slash - target) : strlen(target);
	char *name, *pool, *server, *path;

	if (length == 0 || (slash && slash[1] == '\0'))
		return NULL;
	name = ctl_need(strndup(target, length));
	pool = ctl_need(client_encode(name));
	server = ctl_need(client_encode(slash ? slash + 1 : ""));
	if (asprintf(&path, "/api/v1/servers/%s%s%s", pool, slash ? "/" : "", server) < 0)
		path = ctl_need(NULL);
	free(name);
	free(pool);
	free(server);
	return path;
}

static int print_list(struct ctl *ctl, const char *path)
{
	json_t *answer;
	const json_t *servers;
	int status = ctl_get(ctl, path, &answer);

	if (status != CTL_OK)
		return status;
	servers = field_array(answer, "servers");
	if (!servers) {
		ctl_say("the answer at %s is not finback's: it has no list of servers",
			ctl->socket);
		status = EX_PROTOCOL;
	} else if (ctl->is_json) {
		output_json(answer);
	} else {
		struct table *table = servers_table();

		servers_add(table, servers);
		table_print(table, stdout, output_width());
		table_destroy(table);
	}
	json_decref(answer);
	return status;
}

static void print_server(const json_t *server)
{
	static const char *const results[] = { "ok", "refused", "timeout", "unreachable",
					       "failed" };
	char text[WORDS_MAX];
	struct lines lines = { 0 };

	lines_add(&lines, "server    %s/%s", row_text(server, "pool"), row_text(server, "name"));
	lines_add(&lines, "address   %s", row_text(server, "address"));
	lines_add(&lines, "state     %s, %s%s", row_text(server, "state"),
		  field_is_true(server, "up") ? "up" : "down",
		  field_is_true(server, "backup") ? ", a backup" : "");
	lines_add(&lines, "weight    %s", row_count(server, "weight", text));
	lines_add(&lines, "sessions  %s", row_count(server, "sessions", text));
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		char path[64];

		(void)snprintf(path, sizeof path, "connects.%s", results[i]);
		lines_add(&lines, "%-9s %s %s", i ? "" : "connects", row_count(server, path, text),
			  results[i]);
	}
	lines_print(&lines);
	lines_fini(&lines);
}

/* Shows a server, after changing its state where one is given. */
static int show(struct ctl *ctl, const char *path, const char *state)
{
	char body[64];
	struct request request = { .method = state ? "PATCH" : "GET", .path = path };
	json_t *server;
	int status;

	if (state) {
		(void)snprintf(body, sizeof body, "{\"state\":\"%s\"}", state);
		request.body = body;
	}
	status = ctl_ask(ctl, &request, &server);
	if (status != CTL_OK)
		return status;
	if (ctl->is_json)
		output_json(server);
	else
		print_server(server);
	json_decref(server);
	return CTL_OK;
}

static int run_target(struct ctl *ctl, const char *target, const char *state)
{
	char *path = path_of(target);
	int status;

	if (!path)
		return ctl_say_usage(&command_server,
				     "server: '%s' is no server; right is POOL/SERVER", target);
	if (strchr(target, '/'))
		status = show(ctl, path, state);
	else if (state)
		status = ctl_say_usage(&command_server,
				       "server: '%s' is a pool; right is POOL/SERVER", target);
	else
		status = print_list(ctl, path);
	free(path);
	return status;
}

static int run(struct ctl *ctl, int count, char **values)
{
	int first;
	int status = ctl_options(ctl, &command_server, NULL, 0, count, values, &first);
	int given = count - first;

	if (status >= 0)
		return status;
	if (given > 2)
		return ctl_say_usage(&command_server, "server: unexpected argument '%s'",
				     values[first + 2]);
	if (given == 2 && !is_state(values[first + 1]))
		return ctl_say_usage(&command_server,
				     "server: '%s' is no state; right is ready, drain or maint",
				     values[first + 1]);
	if (given == 0)
		return print_list(ctl, "/api/v1/servers");
	return run_target(ctl, values[first], given == 2 ? values[first + 1] : NULL);
}

const struct command command_server = { "server", usage, true, run };
