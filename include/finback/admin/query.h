#ifndef FINBACK_ADMIN_QUERY_H
#define FINBACK_ADMIN_QUERY_H

#include <finback/daemon/survey.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The parameters of a list of sessions: read one by one, each checked, then all of them together.
 * Pure: no memory from the heap, no system call.
 */

#define QUERY_WHY_MAX       256
#define QUERY_LIMIT_DEFAULT 100
#define QUERY_LIMIT_MAX     10000
#define QUERY_NAME_MAX      300 /* bytes: no name is longer, a host with its port neither */

enum query_name {
	QUERY_LISTENER,
	QUERY_POOL,
	QUERY_SERVER,
	QUERY_NAMES
};

/* Copied by query_copy() alone: the filter points into it, and so does a survey with this filter.
 */
struct query {
	struct survey_filter filter;
	size_t limit;   /* 1 to QUERY_LIMIT_MAX */
	size_t worker;  /* where the list goes on: with this worker, ... */
	uint64_t after; /* ... above this id; 0: from its first one on */
	bool is_brief;
	bool is_ended;  /* those that have ended: `worker` and `after` are 0, is_brief is false */
	unsigned given; /* private: which parameters came, as bits */
	char names[QUERY_NAMES][QUERY_NAME_MAX + 1];
};

/* As without any parameter. */
void query_init(struct query *query);

/* Takes one parameter, decoded (no %20); a NULL value is one without "=". Returns 0; or -EINVAL
 * with a sentence in `why` for one that is not known, was there before, or has a bad value. */
int query_add(struct query *query, const char *name, const char *value, char why[QUERY_WHY_MAX]);

/* After the last one: whether they go together, and with this many workers. Returns 0; or -EINVAL
 * with a sentence in `why`. */
int query_check(const struct query *query, size_t workers, char why[QUERY_WHY_MAX]);

/* Makes `ret` the same. */
void query_copy(struct query *ret, const struct query *from);

/* The text of `after` for a list that goes on with this worker, above this id; 0: from its first
 * one on. Returns `text`. */
#define QUERY_CURSOR_MAX 48
char *query_cursor(size_t worker, uint64_t id, char text[QUERY_CURSOR_MAX]);

#endif
