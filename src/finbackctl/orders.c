/*
 * finbackctl reload and finbackctl drain: what the daemon as a whole is told to do.
 *
 * To wait for the end of a drain, the process at the other end of the socket is watched itself: its
 * socket may go away before it does, and another process may take its place.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "field.h"
#include "output.h"
#include "rows.h"

#define RELOAD_PATIENCE_S 600L /* names are looked up, and that may take its time */
#define AFTER_DRAIN_S     60   /* beyond the drain itself, unless --timeout says otherwise */
#define UNKNOWN_DRAIN_S   3600 /* where it was somebody else who asked for the drain */

static const char reload_usage[] =
	"usage: finbackctl reload [--json]\n"
	"\n"
	"Reads the configuration again. A good file is taken for new sessions; live ones\n"
	"keep the settings they began with. A bad one changes nothing; every error is\n"
	"printed.\n"
	"\n"
	"      --json   print what finback answered\n"
	"\n"
	"The exit status is 0 when the file was taken, 1 when it was not.\n";

static const char drain_usage[] =
	"usage: finbackctl drain [--wait] [--timeout DURATION] [--json]\n"
	"\n"
	"Makes finback stop accepting, let its sessions finish for as long as `drain` in\n"
	"its configuration says, and end.\n"
	"\n"
	"      --wait               wait until the process has gone\n"
	"      --timeout DURATION   how long to wait, e.g. 90s; default: a minute more\n"
	"                           than the drain takes. Beyond it, the status is 75\n"
	"      --json               print what finback answered\n";

/* One line for each of an array's texts. */
static void print_lines(const json_t *object, const char *path, const char *label)
{
	const json_t *lines = field_array(object, path);

	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *line = json_string_value(json_array_get(lines, i));

		if (line)
			ctl_say("%s: %s", label, line);
	}
}

static int run_reload(struct ctl *ctl, int count, char **values)
{
	struct request request = { "POST", "/api/v1/reload", NULL, RELOAD_PATIENCE_S };
	json_t *answer;
	int first;
	int status = ctl_options(ctl, &command_reload, NULL, 0, count, values, &first);

	if (status >= 0)
		return status;
	if (first < count)
		return ctl_say_usage(&command_reload, "reload: unexpected argument '%s'",
				     values[first]);
	status = ctl_ask(ctl, &request, &answer);
	if (status != CTL_OK) {
		const json_t *problem = client_problem(ctl->client);

		print_lines(problem, "errors", "error");
		print_lines(problem, "warnings", "warning");
		return status;
	}
	print_lines(answer, "warnings", "warning");
	if (ctl->is_json)
		output_json(answer);
	else
		(void)puts("reloaded");
	json_decref(answer);
	return CTL_OK;
}

const struct command command_reload = { "reload", reload_usage, true, run_reload };

struct waiting {
	bool is_wanted;
	double timeout_s; /* negative: as long as the drain and AFTER_DRAIN_S */
	int process;      /* a pidfd; -1: none */
};

/* Gets hold of the process that serves the socket. Asking for anything connects to it; what it
 * answers does not matter here. Returns the exit status. */
static int watch_process(struct ctl *ctl, int *ret_process)
{
	json_t *answer;
	pid_t pid;
	int fd, status = ctl_get(ctl, "/api/v1/status", &answer);

	if (status != CTL_OK)
		return status;
	json_decref(answer);
	pid = client_peer(ctl->client);
	if (pid <= 0) {
		ctl_say("drain: finback's process is not seen from here, in another PID namespace; "
			"right is drain without --wait");
		return EX_OSERR;
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		ctl_say("drain: cannot watch process %ld: %s", (long)pid, strerror(errno));
		return EX_OSERR;
	}
	*ret_process = fd;
	return CTL_OK;
}

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock is always there */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns the exit status. poll(2) counts in milliseconds, 24 days at most: it is asked again. */
static int wait_for_end(const struct waiting *waiting, double timeout_s)
{
	struct pollfd process = { .fd = waiting->process, .events = POLLIN };
	double end = now_s() + timeout_s;

	for (;;) {
		double left = end - now_s();
		int found = poll(&process, 1,
				 left <= 0     ? 0
				 : left > 3600 ? 3600000
					       : (int)(left * 1000) + 1);

		if (found > 0)
			return CTL_OK;
		if (found < 0 && errno != EINTR) {
			ctl_say("drain: cannot wait for finback's process: %s", strerror(errno));
			return EX_OSERR;
		}
		if (found == 0 && left <= 0) {
			ctl_say("drain: finback still runs; it goes on draining");
			return EX_TEMPFAIL;
		}
	}
}

static void print_drain(const json_t *answer)
{
	char sessions[WORDS_MAX], duration[WORDS_MAX];

	(void)printf("draining: sessions left %s, time to finish %s\n",
		     row_count(answer, "sessions", sessions),
		     row_duration(answer, "drain_s", duration));
	(void)fflush(stdout); /* whether it went out is asked at the end */
}

static int drain(struct ctl *ctl, const struct waiting *waiting)
{
	struct request request = { .method = "POST", .path = "/api/v1/drain" };
	double timeout_s = waiting->timeout_s;
	json_t *answer = NULL;
	int status = ctl_ask(ctl, &request, &answer);

	if (status == CTL_OK && ctl->is_json)
		output_json(answer);
	else if (status == CTL_OK)
		print_drain(answer);
	/* One that drains already is waited for as well. */
	if (waiting->is_wanted && (status == CTL_OK || client_http_status(ctl->client) == 409)) {
		if (timeout_s < 0)
			timeout_s =
				field_number(answer, "drain_s", UNKNOWN_DRAIN_S) + AFTER_DRAIN_S;
		status = wait_for_end(waiting, timeout_s);
	}
	json_decref(answer);
	return status;
}

static int run_drain(struct ctl *ctl, int count, char **values)
{
	struct waiting waiting = { .timeout_s = -1, .process = -1 };
	const char *timeout = NULL;
	const struct choice choices[] = {
		{ .name = "wait", .ret_is_set = &waiting.is_wanted },
		{ .name = "timeout", .ret_value = &timeout },
	};
	int first;
	int status = ctl_options(ctl, &command_drain, choices, 2, count, values, &first);

	if (status >= 0)
		return status;
	if (first < count)
		return ctl_say_usage(&command_drain, "drain: unexpected argument '%s'",
				     values[first]);
	if (timeout && !waiting.is_wanted)
		return ctl_say_usage(&command_drain, "drain: --timeout goes with --wait");
	if (timeout && words_parse_duration(timeout, &waiting.timeout_s) < 0)
		return ctl_say_usage(&command_drain, "drain: --timeout %s: right is %s", timeout,
				     WORDS_DURATION_HINT);
	status = waiting.is_wanted ? watch_process(ctl, &waiting.process) : CTL_OK;
	if (status == CTL_OK)
		status = drain(ctl, &waiting);
	if (waiting.process >= 0)
		(void)close(waiting.process); /* nothing was written to it */
	return status;
}

const struct command command_drain = { "drain", drain_usage, true, run_drain };
