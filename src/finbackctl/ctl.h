#ifndef FINBACK_SRC_FINBACKCTL_CTL_H
#define FINBACK_SRC_FINBACKCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <sysexits.h>

#include "client.h"

/*
 * What all commands of finbackctl share: the daemon they talk to, and how a command is described.
 * Each returns the exit status of the whole program; what went wrong has been said by then.
 */

#define DEFAULT_SOCKET "/run/finback/control.sock"

/* Exit statuses beside those of sysexits.h. */
#define CTL_OK      0
#define CTL_REFUSED 1 /* the daemon said no */

/* What the command line says for every command, and the daemon it leads to. */
struct ctl {
	const char *socket;
	bool is_json;
	struct client *client;
};

struct command {
	const char *name;
	const char *usage; /* the whole help, with a line end */
	bool has_json;
	/* `values` are the command's own arguments, with its name first, as main() gets them. */
	int (*run)(struct ctl *ctl, int count, char **values);
};

extern const struct command command_status;
extern const struct command command_sessions;
extern const struct command command_session;
extern const struct command command_kill;
extern const struct command command_server;
extern const struct command command_reload;
extern const struct command command_drain;
extern const struct command command_top;

/* One option of a command. Exactly one of the two is set: where to note that it is there, or where
 * to put its value, which stays the command line's. */
struct choice {
	const char *name;
	char letter; /* of its short form; 0: none */
	bool *ret_is_set;
	const char **ret_value;
};

#define CHOICES_MAX 20

/* Reads a command's options: its own, --socket, --json and --help. Options and arguments may be
 * mixed. Returns -1 to go on, with `*ret_first` the index of the first argument that is no option;
 * else the exit status. */
int ctl_options(struct ctl *ctl, const struct command *command, const struct choice *choices,
		size_t choice_count, int count, char **values, int *ret_first);

/* Says on standard error what is wrong: "finbackctl: " and the text, control characters replaced.
 * Standard output is flushed first, so that both come in order. */
void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says what is wrong with the command line, and where there is help. Returns EX_USAGE. */
int ctl_say_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One request to its end. Returns 0 with the answer in `*ret`, which the caller gives back with
 * json_decref; else the exit status, after saying why. */
int ctl_get(struct ctl *ctl, const char *path, json_t **ret);
int ctl_ask(struct ctl *ctl, const struct request *request, json_t **ret);

/* The argument as a session's id: a decimal number from 1 on. */
bool ctl_is_id(const char *text);

/* Ends the program when memory ran out, else returns `pointer`. */
void *ctl_need(void *pointer);

#endif
