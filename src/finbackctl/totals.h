#ifndef FINBACK_SRC_FINBACKCTL_TOTALS_H
#define FINBACK_SRC_FINBACKCTL_TOTALS_H

#include <finback/engine/session.h>
#include <finback/engine/side.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The daemon's status summed over its listeners, and what happened between two of them.
 */

struct totals {
	double uptime_s;
	uint64_t accepted, ended;
	uint64_t active[STATES];
	uint64_t bytes[SIDES];
};

/* What happened a second. */
struct rates {
	double accepted, ended;
	double bytes[SIDES];
};

struct totals totals_of(const json_t *status);

/* Adds one listener of a status to sums. */
void totals_add(struct totals *totals, const json_t *listener);

/* All sessions that are there. */
uint64_t totals_active(const struct totals *totals);

/* Rates from one status to a later one of the same process. Returns false, with `ret` untouched,
 * when no time has passed or they are not of the same process. */
bool totals_rates(const struct totals *before, const struct totals *now, struct rates *ret);

/* The state of that name in the daemon's words; STATES when it is none. */
enum session_state totals_state(const char *name);

#endif
