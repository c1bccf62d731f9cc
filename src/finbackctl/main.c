/*
 * finbackctl, the operator's command: which one is asked for, where the daemon is, exit status.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "output.h"

static const char usage[] =
	"usage: finbackctl [--socket PATH] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"Shows and controls a running finback.\n"
	"\n"
	"  status                     the whole on one screen\n"
	"  sessions [FILTER...]       live sessions, or with --ended the last that ended\n"
	"  session ID                 one session, explained\n"
	"  kill ID... | FILTER...     end sessions\n"
	"  server [POOL/SERVER]       servers; POOL/SERVER ready|drain|maint changes one\n"
	"  reload                     read the configuration again\n"
	"  drain [--wait]             stop accepting, let sessions finish, end\n"
	"  top                        sessions live, with rates\n"
	"\n"
	"      --socket PATH   where finback listens; default $FINBACK_SOCKET, else\n"
	"                      " DEFAULT_SOCKET "\n"
	"      --json          print what finback answered\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this help; after a command, that command's\n"
	"\n"
	"The exit status is 0 when all went well, 1 when finback refused, 64 for wrong\n"
	"usage, 69 when finback is not reached. See finbackctl(8) for all of them.\n";

static const struct command *const commands[] = {
	&command_status, &command_sessions, &command_session, &command_kill, &command_server,
	&command_reload, &command_drain,    &command_top,     NULL,
};

/* What stands before the command. Returns -1 to go on, else the exit status. */
static int parse_global(struct ctl *ctl, int count, char **values)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(count, values, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			ctl->socket = optarg;
			break;
		case 'j':
			ctl->is_json = true;
			break;
		case 'V':
			(void)puts("finbackctl " FINBACK_VERSION);
			return CTL_OK;
		case 'h':
			(void)fputs(usage, stdout);
			return CTL_OK;
		default: /* getopt_long has said what is wrong */
			(void)fputs("Try 'finbackctl --help'.\n", stderr);
			return EX_USAGE;
		}
	}
	return -1;
}

static const struct command *find_command(const char *name)
{
	const struct command *const *command = commands;

	while (*command && strcmp((*command)->name, name) != 0)
		command++;
	return *command;
}

static int run(struct ctl *ctl, int count, char **values)
{
	int status = parse_global(ctl, count, values);
	const struct command *command;

	if (status >= 0)
		return status;
	if (optind >= count) {
		(void)fputs(usage, stderr);
		return EX_USAGE;
	}
	command = find_command(values[optind]);
	if (!command) {
		ctl_say("there is no command '%s'; right is one of status, sessions, session, "
			"kill, server, reload, drain and top",
			values[optind]);
		return EX_USAGE;
	}
	return command->run(ctl, count - optind, values + optind);
}

int main(int count, char **values)
{
	const char *socket = getenv("FINBACK_SOCKET");
	struct ctl ctl = { .socket = socket && *socket ? socket : DEFAULT_SOCKET };
	int status;

	(void)setlocale(LC_CTYPE, ""); /* without it non-ASCII becomes '?', no more */
	status = run(&ctl, count, values);
	client_destroy(ctl.client);
	return output_end(status);
}
