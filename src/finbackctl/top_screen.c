/*
 * What `top` shows but for the list: the window, the totals above it, one session explained, the
 * lines below. Everything is drawn anew each time; ncurses sends only what changed.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>

#include "facts.h"
#include "lines.h"
#include "top.h"
#include "top_pen.h"
#include "words.h"

#define HEAD_LINES   4 /* two of totals, the states, the titles */
#define FOOT_LINES   2 /* a message, the keys */
#define WIDTH_LEAST  40
#define HEIGHT_LEAST 8

static SCREEN *screen;

int top_screen_open(void)
{
	if (top_terminal_is_known())
		screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	(void)atexit(top_screen_close); /* wherever the program ends, the terminal is as before */
	pen_set_up_colors();
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)curs_set(0);
	(void)keypad(stdscr, TRUE);
	(void)nodelay(stdscr, TRUE);
	(void)set_escdelay(50);
	return 0;
}

void top_screen_close(void)
{
	if (!screen)
		return;
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

int top_screen_room(const struct top *top)
{
	int room = LINES - FOOT_LINES - (top->explained_id ? 0 : HEAD_LINES);

	return room > 1 ? room : 1;
}

static void draw_totals(const struct top *top)
{
	const struct top_daemon *daemon = &top->daemon;
	char uptime[WORDS_MAX], accepted[WORDS_MAX], ended[WORDS_MAX], up[WORDS_MAX],
		down[WORDS_MAX];

	pen_put_line(0, A_BOLD,
		     "finback %s %s for %s   sessions %" PRIu64 " of %" PRIu64
		     "   descriptors %" PRIu64 " of %" PRIu64,
		     daemon->version, daemon->state,
		     words_duration(daemon->totals.uptime_s, uptime),
		     totals_active(&daemon->totals), daemon->max_sessions, daemon->open_fds,
		     daemon->open_files);
	if (!daemon->has_rates)
		pen_put_line(1, A_NORMAL, "a second: ...");
	else
		pen_put_line(
			1, A_NORMAL,
			"a second: new %s   ended %s   bytes from clients %s   from servers %s",
			words_rate(daemon->rates.accepted, accepted),
			words_rate(daemon->rates.ended, ended),
			words_size(daemon->rates.bytes[CLIENT], up),
			words_size(daemon->rates.bytes[SERVER], down));
}

static void draw_states(const struct top *top)
{
	const uint64_t *active = top->daemon.totals.active;
	const uint64_t counts[] = {
		[TOP_ALL] = totals_active(&top->daemon.totals),
		[TOP_CONNECTING] = active[STATE_CONNECTING],
		[TOP_OPEN] = active[STATE_OPEN],
		[TOP_HALF_CLOSED] =
			active[STATE_HALF_CLOSED_CLIENT] + active[STATE_HALF_CLOSED_SERVER],
		[TOP_CLOSING] = active[STATE_CLOSING],
	};
	struct pen pen = { 2, 0 };

	static_assert(sizeof counts / sizeof *counts == TOP_FILTERS, "a count for each filter");
	for (int filter = 0; filter < TOP_FILTERS; filter++) {
		pen_put(&pen, filter == (int)top->filter ? A_REVERSE : A_NORMAL, "%d %s %" PRIu64,
			filter + 1, top_filter_name((enum top_filter)filter), counts[filter]);
		pen_put(&pen, A_NORMAL, "  ");
	}
}

static void draw_explanation(struct top *top)
{
	struct lines lines = { 0 };
	size_t room = (size_t)top_screen_room(top);

	if (!top->session) {
		pen_put_line(0, A_NORMAL, "session %" PRIu64, top->explained_id);
		return;
	}
	facts_lay_out(top->session, COLS, &lines);
	if (top->first_line + room > lines.count)
		top->first_line = lines.count > room ? lines.count - room : 0;
	for (size_t i = 0; i < room && top->first_line + i < lines.count; i++)
		pen_put_line((int)i, A_NORMAL, "%s", lines.texts[top->first_line + i]);
	lines_fini(&lines);
}

/* The question names both peers: the list may have moved since the key was pressed. */
static void draw_question(const struct top *top)
{
	size_t found = top_rows_find(&top->rows, top->question_id);
	const struct top_row *row = &top->rows.rows[found];

	if (found == top->rows.count)
		pen_put_line(LINES - 2, A_BOLD, "end session %" PRIu64 "? [y/N]", top->question_id);
	else
		pen_put_line(LINES - 2, A_BOLD, "end session %" PRIu64 "? [y/N]  (%s to %s)",
			     top->question_id, row->client, row->server);
}

static void draw_message(const struct top *top)
{
	if (top->question_id)
		draw_question(top);
	else if (top->message[0])
		pen_put_line(LINES - 2, top->is_trouble ? A_BOLD | pen_color(PEN_TROUBLE) : A_BOLD,
			     "%s", top->message);
	else if (!top->explained_id && top->rows.left_out > 0)
		pen_put_line(LINES - 2, A_BOLD, "only the first %u are shown, %" PRIu64 " are not",
			     TOP_ROWS_MAX, top->rows.left_out);
}

/* Fits into 80 columns; in fewer, what stands last goes first. */
static void draw_keys(const struct top *top)
{
	static const char *const orders[] = {
		[TOP_BY_RATE] = "r rate", [TOP_BY_BYTES] = "b bytes",       [TOP_BY_AGE] = "a age",
		[TOP_BY_IDLE] = "i idle", [TOP_BY_DEADLINE] = "d deadline",
	};
	static const char *const others[] = { "1-5 state", "Enter explain", "k kill", "q quit" };
	struct pen pen = { LINES - 1, 0 };

	static_assert(sizeof orders / sizeof *orders == TOP_ORDERS, "a key for each order");
	if (top->explained_id) {
		pen_put(&pen, A_NORMAL, "q back  k kill  Up Down scroll");
		return;
	}
	for (int order = 0; order < TOP_ORDERS; order++) {
		pen_put(&pen, order == (int)top->order ? A_REVERSE : A_NORMAL, "%s", orders[order]);
		pen_put(&pen, A_NORMAL, " ");
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		pen_put(&pen, A_NORMAL, "%s%s", i ? "  " : " ", others[i]);
}

void top_screen_draw(struct top *top)
{
	(void)erase();
	if (COLS < WIDTH_LEAST || LINES < HEIGHT_LEAST) {
		pen_put_line(0, A_NORMAL, "too small");
	} else if (top->explained_id) {
		draw_explanation(top);
		draw_message(top);
		draw_keys(top);
	} else {
		draw_totals(top);
		draw_states(top);
		top_list_draw(top, HEAD_LINES - 1);
		draw_message(top);
		draw_keys(top);
	}
	(void)refresh(); /* a terminal that has gone shows on the keyboard's side */
}
