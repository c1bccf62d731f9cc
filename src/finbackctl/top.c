/*
 * finbackctl top: the loop. It waits for three things at once, an answer, a key and the time of the
 * next round, so that the keyboard works however slow the daemon is.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "field.h"
#include "words.h"

#define INTERVAL_S       1.0
#define INTERVAL_LEAST_S 0.1
#define INTERVAL_MOST_S  3600.0

static const char usage[] =
	"usage: finbackctl top [--interval DURATION]\n"
	"\n"
	"Shows sessions live, with rates, until q is pressed.\n"
	"\n"
	"      --interval DURATION   how often to look, 100ms to 1h; default 1s\n"
	"\n"
	"  r b a i d       sort by rate, bytes, age, time idle, time to the deadline\n"
	"  1 2 3 4 5       list all, connecting, open, half-closed, closing\n"
	"  Up Down PgUp PgDn Home End   select a session\n"
	"  Enter           explain it; again: back to the list\n"
	"  k               end it, after a question\n"
	"  q               quit\n"
	"\n"
	"RATE is bytes a second, both ways together; wide windows show them apart. Of\n"
	"more than 10000 sessions the first are shown. NO_COLOR is honoured.\n";

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock is always there */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* When the rounds are. One that takes long is followed by a pause in which the daemon is left
 * alone.
 */
struct pace {
	double interval_s, begun_s, next_s;
};

static void pace_begin(struct pace *pace)
{
	pace->begun_s = now_s();
	pace->next_s = pace->begun_s + pace->interval_s;
}

static void pace_end(struct pace *pace)
{
	double now = now_s();
	double least = now + (now - pace->begun_s) / 4;

	if (pace->next_s < least)
		pace->next_s = least;
}

static int milliseconds_until(double when_s)
{
	double left = when_s - now_s();

	return left <= 0 ? 0 : (int)(left * 1000) + 1;
}

/* Waits for a key, and notices a terminal that has gone. */
static void rest(struct top *top, int timeout_ms)
{
	struct pollfd keyboard = { .fd = STDIN_FILENO, .events = POLLIN };

	/* A signal that interrupts is that of a new window size, which comes as a key. */
	if (poll(&keyboard, 1, timeout_ms) > 0 &&
	    (keyboard.revents & (POLLHUP | POLLERR | POLLNVAL)))
		top->is_over = true;
}

/* Waits until something happens. Returns whether the screen may have to be drawn anew. */
static bool turn(struct top *top, struct pace *pace)
{
	if (top->stage == TOP_AT_REST) {
		if (top->is_hurried || milliseconds_until(pace->next_s) == 0) {
			pace_begin(pace);
			top_round_begin(top);
			return false;
		}
		rest(top, milliseconds_until(pace->next_s));
		return false;
	}
	if (!client_wait(top->client, STDIN_FILENO, 1000))
		return false;
	top_round_go_on(top);
	if (top->stage == TOP_AT_REST)
		pace_end(pace);
	return top->stage == TOP_AT_REST;
}

static void loop(struct top *top, double interval_s)
{
	struct pace pace = { .interval_s = interval_s };

	pace_begin(&pace);
	top_round_begin(top);
	while (!top->is_over) {
		bool has_news = turn(top, &pace);

		if (top_keys_read(top) || has_news)
			top_screen_draw(top);
	}
}

/* The first status is asked for before the window opens, so that one who is not reached reads why
 * where it stays. */
static int look_first(struct ctl *ctl)
{
	json_t *answer;
	int status = ctl_get(ctl, "/api/v1/status", &answer);

	if (status != CTL_OK)
		return status;
	if (!field_array(answer, "listeners")) {
		ctl_say("the answer at %s is not finback's: it has no listeners", ctl->socket);
		status = EX_PROTOCOL;
	}
	json_decref(answer);
	return status;
}

static int show(struct ctl *ctl, double interval_s)
{
	struct top top = { .order = TOP_BY_RATE };
	int status = look_first(ctl);

	if (status != CTL_OK)
		return status;
	if (top_screen_open() < 0) {
		const char *terminal = getenv("TERM");

		ctl_say("top: cannot use this terminal: TERM is '%s'; right is what the terminal "
			"is, e.g. xterm",
			terminal ? terminal : "");
		return EX_USAGE;
	}
	top.client = ctl->client;
	loop(&top, interval_s);
	top_screen_close();
	top_rows_fini(&top.rows);
	top_rows_fini(&top.growing);
	json_decref(top.session);
	free(top.cursor);
	return CTL_OK;
}

static int run(struct ctl *ctl, int count, char **values)
{
	const char *interval = NULL;
	const struct choice choices[] = { { .name = "interval", .ret_value = &interval } };
	double interval_s = INTERVAL_S;
	int first;
	int status = ctl_options(ctl, &command_top, choices, 1, count, values, &first);

	if (status >= 0)
		return status;
	if (first < count)
		return ctl_say_usage(&command_top, "top: unexpected argument '%s'", values[first]);
	if (interval && (words_parse_duration(interval, &interval_s) < 0 ||
			 interval_s < INTERVAL_LEAST_S || interval_s > INTERVAL_MOST_S))
		return ctl_say_usage(&command_top,
				     "top: --interval %s: right is " WORDS_DURATION_HINT
				     ", from 100ms to 1h",
				     interval);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		ctl_say("top: standard input and output are no terminal; right is "
			"'finbackctl sessions'");
		return EX_USAGE;
	}
	return show(ctl, interval_s);
}

const struct command command_top = { "top", usage, false, run };
