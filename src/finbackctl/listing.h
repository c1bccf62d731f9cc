#ifndef FINBACK_SRC_FINBACKCTL_LISTING_H
#define FINBACK_SRC_FINBACKCTL_LISTING_H

#include "ctl.h"

/*
 * Lists of sessions: which ones, as options say it for `sessions` and `kill` alike, and page by
 * page until the last. The daemon judges the values; what it takes is said there and nowhere else.
 */

enum filter {
	FILTER_STATE,
	FILTER_LISTENER,
	FILTER_POOL,
	FILTER_SERVER,
	FILTER_MIN_AGE,
	FILTER_ENDING_WITHIN,
	FILTER_CLIENT,
	FILTERS
};

#define LISTING_MAX 10000000u /* sessions, more than a daemon can have */

struct listing {
	const char *filters[FILTERS]; /* NULL: not given */
	const char *limit;            /* as given; NULL: all */
	bool is_ended;                /* those that ended, instead of the live ones */
	bool is_brief;                /* without what is costly to find out */
};

/* The options for the filters and the limit. Adds FILTERS + 1 to `choices`; returns how many. */
size_t listing_choices(struct listing *listing, struct choice *choices);

/* Help for them. */
#define LISTING_USAGE                                                                     \
	"      --state STATE[,...]  connecting, open, half_closed, half_closed_client,\n" \
	"                           half_closed_server, closing\n"                        \
	"      --listener NAME      of that listener\n"                                   \
	"      --pool NAME          of that pool\n"                                       \
	"      --server NAME        with that server\n"                                   \
	"      --min-age DURATION   at least so old: 30s, 5m, 1h, 1d\n"                   \
	"      --ending-within DURATION  a deadline ends it within so long\n"             \
	"      --client ADDRESS     from that IP address or network: 10.0.0.0/8\n"        \
	"      --limit N            at most so many\n"

/* Whether any filter is given; the limit is none. */
bool listing_has_filter(const struct listing *listing);

/* Whether the options go together, else the exit status after saying why: -1 to go on. */
int listing_check(const struct command *command, const struct listing *listing);

/* Calls `on_page` with each page's array of sessions, until all have been seen or it returns a
 * status that is not 0. Returns that, or 0, or the exit status after saying what went wrong. */
int listing_walk(struct ctl *ctl, const struct listing *listing,
		 int (*on_page)(void *user, const json_t *sessions), void *user);

#endif
