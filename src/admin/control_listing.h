#ifndef FINBACK_SRC_ADMIN_CONTROL_LISTING_H
#define FINBACK_SRC_ADMIN_CONTROL_LISTING_H

#include <finback/admin/query.h>
#include <finback/admin/text.h>

#include <stdbool.h>
#include <stddef.h>

#include "control_private.h"

/*
 * A list of sessions as an answer that streams: one slice of it is in memory, and the next is asked
 * for when that has been sent.
 */

struct listing {
	struct wait wait;
	struct query query;
	/* Gets the next slice: appends to `text`, or asks a worker. */
	void (*more)(struct listing *listing);
	struct text text; /* a slice */
	size_t sent;      /* of it */
	size_t shown;     /* sessions so far */
	bool is_through;  /* the last slice is in `text` */
};

/* Reads a request's query parameters. Returns whether they are right; else the request has its
 * answer. */
bool listing_read_query(struct request *request, struct query *ret);

/* The beginning of the answer, then its members one by one, then its end with the cursor of what
 * follows; NULL: nothing does. */
void listing_open(struct listing *listing);
void listing_separate(struct listing *listing);
void listing_close(struct listing *listing, const char *cursor);

/* There is something in `text`: it goes out. For on_answer. */
void listing_deliver(struct listing *listing);

/* For wait_kind.fini. */
void listing_fini(struct wait *wait);

#endif
