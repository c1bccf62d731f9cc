#ifndef FINBACK_SRC_FINBACKCTL_TOP_ROWS_H
#define FINBACK_SRC_FINBACKCTL_TOP_ROWS_H

#include <finback/engine/session.h>
#include <finback/engine/side.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The sessions that `top` shows: taken from the daemon's answers, with rates since the answers
 * before, in the order asked for. Pure.
 */

#define TOP_ROWS_MAX  10000u
#define TOP_TEXT_MAX  64
#define TOP_RATE_NONE (-1.0) /* seen for the first time */

struct top_row {
	uint64_t id;
	enum session_state state; /* STATES: one that is not known here */
	char client[TOP_TEXT_MAX], server[TOP_TEXT_MAX], deadline[TOP_TEXT_MAX];
	double age_s, idle_s; /* negative: not told */
	double ends_in_s;     /* INFINITY: no deadline */
	uint64_t bytes[SIDES];
	double rates[SIDES]; /* bytes a second */
};

struct top_rows {
	struct top_row *rows;
	size_t count, room;
	uint64_t left_out; /* of all that fit, as many did not get in */
};

enum top_order {
	TOP_BY_RATE,
	TOP_BY_BYTES,
	TOP_BY_AGE,
	TOP_BY_IDLE,
	TOP_BY_DEADLINE,
	TOP_ORDERS
};

/* Adds a page's array of sessions, up to TOP_ROWS_MAX rows in all. */
void top_rows_add(struct top_rows *rows, const json_t *sessions);

/* Fills in rates since `before`, by the daemon's own time. */
void top_rows_rate(struct top_rows *rows, const struct top_rows *before);

/* Most first; by deadline, what ends soonest first. */
void top_rows_sort(struct top_rows *rows, enum top_order order);

/* Where a session stands; rows->count when it is not there. */
size_t top_rows_find(const struct top_rows *rows, uint64_t id);

void top_rows_fini(struct top_rows *rows);

#endif
