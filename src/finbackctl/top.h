#ifndef FINBACK_SRC_FINBACKCTL_TOP_H
#define FINBACK_SRC_FINBACKCTL_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "top_rows.h"
#include "totals.h"

/*
 * finbackctl top, between its files: top.c is the loop, top_round.c asks the daemon, top_keys.c
 * reads the keyboard, top_screen.c and top_list.c draw with top_pen.c; top_rows.c is apart.
 */

/* Which states are listed, by the keys 1 to 5. */
enum top_filter {
	TOP_ALL,
	TOP_CONNECTING,
	TOP_OPEN,
	TOP_HALF_CLOSED,
	TOP_CLOSING,
	TOP_FILTERS
};

/* What the daemon is being asked. */
enum top_stage {
	TOP_AT_REST,
	TOP_ASKS_STATUS,
	TOP_ASKS_SESSIONS, /* one page after the other */
	TOP_ASKS_SESSION,  /* the one that is explained */
	TOP_ASKS_KILL
};

#define TOP_MESSAGE_MAX 512

/* What the daemon said of itself. */
struct top_daemon {
	char version[TOP_TEXT_MAX], state[TOP_TEXT_MAX];
	struct totals totals;
	struct totals base; /* what the rates count from; uptime 0: nothing yet */
	struct rates rates;
	bool has_rates;
	uint64_t max_sessions, open_fds, open_files;
};

struct top {
	struct client *client;
	enum top_stage stage;
	struct top_daemon daemon;
	struct top_rows rows;    /* as shown */
	struct top_rows growing; /* of the round that is under way */
	char *cursor;            /* of its next page; NULL: the first */
	unsigned pages;          /* that have come in this round */
	json_t *session;         /* the one that is explained; NULL: not known yet */
	char message[TOP_MESSAGE_MAX];
	bool is_trouble;      /* the message is of something that went wrong */
	unsigned message_age; /* rounds; good news goes away after a few */

	/* What the operator chose. */
	enum top_order order;
	enum top_filter filter;
	uint64_t selected_id;  /* 0: none */
	size_t selected;       /* its row, or where the next one is to be looked for */
	size_t first_row;      /* at the top of the list */
	size_t first_line;     /* at the top of the explanation */
	uint64_t explained_id; /* 0: the list is shown */
	uint64_t question_id;  /* whether to end it; 0: nothing is asked */
	uint64_t kill_id;      /* to be ended; 0: none */
	bool is_hurried;       /* the next round is to begin at once */
	bool is_over;
};

/* The name of a filter for people, and as the interface's `state`; NULL for all. */
const char *top_filter_name(enum top_filter filter);
const char *top_filter_state(enum top_filter filter);

/* Starts asking anew: for the whole, or for the one session that is explained. Whatever is under
 * way must have come to its end. */
void top_round_begin(struct top *top);

/* Takes an answer that has come, and asks on. The stage is TOP_AT_REST when the round is over. */
void top_round_go_on(struct top *top);

/* Keeps the selection on its session, or near where it was, after the rows have changed. */
void top_select_again(struct top *top);

/* Reads all keys that were pressed. Returns whether there was any. */
bool top_keys_read(struct top *top);

/* Rows and lines that the window has room for below the head, at least 1. */
int top_screen_room(const struct top *top);

/* Whether ncurses knows what TERM says. */
bool top_terminal_is_known(void);

/* Opens and closes the window. Returns 0, or -ENOTTY when this terminal cannot show one. */
int top_screen_open(void);
void top_screen_close(void);

void top_screen_draw(struct top *top);

/* Draws the titles of the list on this line of the window, and its rows below. */
void top_list_draw(struct top *top, int line);

#endif
