/*
 * What `top` asks the daemon, one request after the other: status and all pages of sessions, or the
 * one session that is explained. A session to be ended comes first.
 *
 * A round that fails leaves on the screen what the last one found, with the reason under it.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "field.h"
#include "rows.h"
#include "top.h"
#include "words.h"

#define PAGE           2000u
#define PAGES_MAX      1000u /* of a round */
#define RATE_LEAST_S   0.25
#define MESSAGE_ROUNDS 5

static const struct {
	const char *name, *state;
} filters[] = {
	[TOP_ALL] = { "all", NULL },
	[TOP_CONNECTING] = { "connecting", "connecting" },
	[TOP_OPEN] = { "open", "open" },
	[TOP_HALF_CLOSED] = { "half-closed", "half_closed" },
	[TOP_CLOSING] = { "closing", "closing" },
};
static_assert(sizeof filters / sizeof *filters == TOP_FILTERS, "a name for each filter");

const char *top_filter_name(enum top_filter filter)
{
	return filters[filter].name;
}

const char *top_filter_state(enum top_filter filter)
{
	return filters[filter].state;
}

static void ask(struct top *top, enum top_stage stage, const char *method, const char *path)
{
	client_begin(top->client, &(struct request){ .method = method, .path = path });
	top->stage = stage;
}

static void ask_page(struct top *top)
{
	const char *state = filters[top->filter].state;
	char *cursor = top->cursor ? ctl_need(client_encode(top->cursor)) : NULL;
	char *path;

	if (asprintf(&path, "/api/v1/sessions?brief=1&limit=%u%s%s%s%s", PAGE,
		     state ? "&state=" : "", state ? state : "", cursor ? "&after=" : "",
		     cursor ? cursor : "") < 0)
		path = ctl_need(NULL);
	ask(top, TOP_ASKS_SESSIONS, "GET", path);
	free(path);
	free(cursor);
}

static void ask_one(struct top *top, enum top_stage stage, const char *method, uint64_t id)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/api/v1/sessions/%" PRIu64, id);
	ask(top, stage, method, path);
}

void top_round_begin(struct top *top)
{
	top->is_hurried = false;
	top->growing.count = 0;
	top->growing.left_out = 0;
	top->pages = 0;
	free(top->cursor);
	top->cursor = NULL;
	if (top->kill_id)
		ask_one(top, TOP_ASKS_KILL, "DELETE", top->kill_id);
	else if (top->explained_id)
		ask_one(top, TOP_ASKS_SESSION, "GET", top->explained_id);
	else
		ask(top, TOP_ASKS_STATUS, "GET", "/api/v1/status");
}

static void copy_text(char to[TOP_TEXT_MAX], const char *text)
{
	(void)snprintf(to, TOP_TEXT_MAX, "%s", text);
	words_one_line(to);
}

/* Rates of a moment are noise: rounds that come quickly one after the other share one. */
static void take_totals(struct top_daemon *daemon, const json_t *status)
{
	struct totals *now = &daemon->totals;
	double elapsed;

	*now = totals_of(status);
	elapsed = now->uptime_s - daemon->base.uptime_s;
	if (elapsed >= 0 && elapsed < RATE_LEAST_S)
		return;
	daemon->has_rates =
		daemon->base.uptime_s > 0 && totals_rates(&daemon->base, now, &daemon->rates);
	daemon->base = *now;
}

static void take_status(struct top *top, const json_t *status)
{
	struct top_daemon *daemon = &top->daemon;

	take_totals(daemon, status);
	copy_text(daemon->version, row_text(status, "version"));
	copy_text(daemon->state, row_text(status, "state"));
	daemon->max_sessions = field_count(status, "limits.max_sessions");
	daemon->open_fds = field_count(status, "process.open_fds");
	daemon->open_files = field_count(status, "limits.open_files");
}

/* How many there are in the states that are listed. */
static uint64_t fitting(const struct top *top)
{
	const uint64_t *active = top->daemon.totals.active;

	switch (top->filter) {
	case TOP_CONNECTING:
		return active[STATE_CONNECTING];
	case TOP_OPEN:
		return active[STATE_OPEN];
	case TOP_HALF_CLOSED:
		return active[STATE_HALF_CLOSED_CLIENT] + active[STATE_HALF_CLOSED_SERVER];
	case TOP_CLOSING:
		return active[STATE_CLOSING];
	default:
		return totals_active(&top->daemon.totals);
	}
}

void top_select_again(struct top *top)
{
	size_t found =
		top->selected_id ? top_rows_find(&top->rows, top->selected_id) : top->rows.count;

	if (found < top->rows.count)
		top->selected = found;
	else if (top->selected >= top->rows.count)
		top->selected = top->rows.count ? top->rows.count - 1 : 0;
	/* Until somebody moves, the selection stays at the top and not with a session. */
	if (top->selected_id && found == top->rows.count)
		top->selected_id = top->rows.count ? top->rows.rows[top->selected].id : 0;
}

static void show_rows(struct top *top)
{
	struct top_rows shown = top->rows;

	if (top->growing.count == TOP_ROWS_MAX && fitting(top) > TOP_ROWS_MAX)
		top->growing.left_out = fitting(top) - TOP_ROWS_MAX;
	top_rows_rate(&top->growing, &top->rows);
	top_rows_sort(&top->growing, top->order);
	top->rows = top->growing;
	top->growing = shown; /* its memory is for the next round */
	top_select_again(top);
}

/* Takes a page, and the cursor of the next one. A page may have no session and not be the last. */
static void take_page(struct top *top, const json_t *page)
{
	const char *next = field_text(page, "next");

	top_rows_add(&top->growing, field_array(page, "sessions"));
	free(top->cursor);
	top->cursor = NULL;
	if (next && ++top->pages < PAGES_MAX && top->growing.count < TOP_ROWS_MAX)
		top->cursor = ctl_need(strdup(next));
}

static void say_trouble(struct top *top, const char *why)
{
	(void)snprintf(top->message, sizeof top->message, "%s", why);
	words_one_line(top->message);
	top->is_trouble = true;
}

static void say_nothing(struct top *top)
{
	if (top->is_trouble || ++top->message_age > MESSAGE_ROUNDS)
		top->message[0] = '\0';
	top->is_trouble = false;
}

/* What became of an order stays for a few rounds, however well these go. */
static void keep_message(struct top *top)
{
	top->is_trouble = false;
	top->message_age = 0;
}

static void take_kill(struct top *top)
{
	(void)snprintf(top->message, sizeof top->message, "session %" PRIu64 " was ended",
		       top->kill_id);
	keep_message(top);
	top->kill_id = 0;
	top->is_hurried = true;
}

/* What the request was for decides what its answer is good for and what comes next; the round is
 * over unless something does. */
static void take_answer(struct top *top, enum top_stage stage, json_t *answer)
{
	if (stage == TOP_ASKS_STATUS && field_array(answer, "listeners")) {
		say_nothing(top);
		take_status(top, answer);
		ask_page(top);
	} else if (stage == TOP_ASKS_SESSIONS && field_array(answer, "sessions")) {
		take_page(top, answer);
		if (top->cursor)
			ask_page(top);
		else
			show_rows(top);
	} else if (stage == TOP_ASKS_SESSION) {
		say_nothing(top);
		json_decref(top->session);
		top->session = json_incref(answer);
	} else if (stage == TOP_ASKS_KILL) {
		take_kill(top);
	} else {
		say_trouble(top, "the answer is not finback's: it has no list");
	}
}

static void take_failure(struct top *top, enum top_stage stage)
{
	say_trouble(top, client_why(top->client));
	if (stage != TOP_ASKS_KILL)
		return;
	top->kill_id = 0; /* it is not tried again when nobody thinks of it any more */
	keep_message(top);
}

void top_round_go_on(struct top *top)
{
	enum top_stage stage = top->stage;
	json_t *answer = NULL;
	bool has_failed = client_finish(top->client, &answer) != 0;
	/* What was asked before somebody wanted to see something else is of no use any more. */
	bool is_stale = top->is_hurried && stage != TOP_ASKS_KILL;

	top->stage = TOP_AT_REST;
	if (has_failed && !is_stale)
		take_failure(top, stage);
	else if (!is_stale)
		take_answer(top, stage, answer);
	json_decref(answer);
}
