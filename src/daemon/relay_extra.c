/*
 * What few sessions have, and most of these for a moment: attempts to connect, probes, bytes that
 * wait for a slow reader.
 *
 * Invariant: a session that has none of it has no memory for it either, so a message that goes on
 * at once allocates nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "relay_private.h"

/* NULL: no memory. */
static struct relay_extra *obtain(struct relay *relay)
{
	if (!relay->extra)
		relay->extra = calloc(1, sizeof *relay->extra);
	return relay->extra;
}

static void release_unused(struct relay *relay)
{
	const struct relay_extra *extra = relay->extra;

	if (!extra || extra->attempt || extra->probes || extra->rests[CLIENT] ||
	    extra->rests[SERVER])
		return;
	free(relay->extra);
	relay->extra = NULL;
}

int relay_begin_attempts(struct relay *relay)
{
	struct relay_extra *extra = obtain(relay);

	if (!extra)
		return -ENOMEM;
	extra->attempt = malloc(sizeof *extra->attempt);
	if (!extra->attempt)
		return -ENOMEM;
	extra->attempt->retry_us = 0;
	pool_attempt_init(&extra->attempt->pool, relay->lane->route->pool,
			  &relay->lane->route->origin);
	return 0;
}

void relay_end_attempts(struct relay *relay)
{
	free(relay->extra->attempt);
	relay->extra->attempt = NULL;
	release_unused(relay);
}

struct relay_probes *relay_make_probes(struct relay *relay)
{
	struct relay_extra *extra = obtain(relay);

	if (extra)
		extra->probes = calloc(1, sizeof *extra->probes);
	return extra ? extra->probes : NULL;
}

int relay_hold(struct relay *relay, enum side side, struct rest *rest)
{
	if (!rest && !relay->extra)
		return 0;
	if (!obtain(relay)) {
		pump_drop(&relay->lane->relays->pump, rest);
		return -ENOMEM;
	}
	relay->extra->rests[side] = rest;
	release_unused(relay);
	return 0;
}

void relay_drop_rest(struct relay *relay, enum side side)
{
	pump_drop(&relay->lane->relays->pump, rest_of(relay, side));
	(void)relay_hold(relay, side, NULL); /* to hold nothing needs no memory */
}

void relay_extra_fini(struct relay *relay)
{
	if (!relay->extra)
		return;
	free(relay->extra->attempt);
	free(relay->extra->probes);
	free(relay->extra);
	relay->extra = NULL;
}
