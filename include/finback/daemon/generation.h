#ifndef FINBACK_DAEMON_GENERATION_H
#define FINBACK_DAEMON_GENERATION_H

#include <finback/daemon/pool.h>
#include <finback/daemon/silence.h>
#include <finback/engine/counters.h>
#include <finback/host/config.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * One configuration made live: its pools and its listeners' routes, immutable and shared by all
 * workers. A reload makes the next generation; the old one lives until its last session has ended.
 * What must outlive it (counters, turns, loads) is kept in the registry, by name.
 */

/* One worker's half-closed sessions of a listener that limits them. The worker's alone, but for
 * silence_since_us(). */
struct half_closed {
	struct tally *tally;
	struct silence silence;
	struct half_closed *next_crowded;
	bool is_crowded; /* on the worker's list of those that may hold one too many */
	unsigned hops;   /* how often the question who is to go has been passed on */
};

/* What is counted for one listener's name, over all generations. */
struct tally {
	char *name;
	bool has_served;    /* was in force once; see generation_serve() */
	atomic_uint active; /* sessions now, all workers */
	/* Of these, where they are limited, those that are: */
	atomic_uint embryonic;
	atomic_uint half_closed;
	atomic_uint max_half_closed; /* of the configuration in force; 0: none */
	size_t workers;
	struct counters *workers_counters;       /* one block a worker */
	struct half_closed *workers_half_closed; /* likewise */
	struct tally *next;
};

/* What outlives generations. The supervisor's; it grows only, by the names ever configured. */
struct registry {
	size_t workers;
	struct tally *tallies;
	struct pool_memory *pools;
};

/* From an accepted connection to its server: all that a session needs of its listener. */
struct route {
	struct generation *generation;
	const struct config_listener *listener;
	struct pool *pool;
	struct pool_origin origin; /* of its connections to servers */
	struct tally *tally;
	struct lane *lanes; /* one for each worker */
};

struct relays;

/* A route as one worker goes it: what its sessions share, one step from each of them. */
struct lane {
	const struct route *route;
	const struct policy *policy;
	struct counters *counters;
	struct half_closed *half_closed;
	int64_t log_every_us;  /* how often a session that still runs gets a line; 0: never */
	struct relays *relays; /* the worker's; the worker sets it */
};

struct generation {
	atomic_uint references;
	struct config *config;
	struct pool *pools;   /* one for each of config->pools */
	struct route *routes; /* one for each of config->listeners */
	struct lane *lanes;   /* of all routes, in their order */
};

void registry_init(struct registry *registry, size_t workers);
/* When no generation is left. */
void registry_fini(struct registry *registry);

/* Makes a generation with one reference, the caller's. It takes the caller's reference to `config`
 * over, also where it fails. Returns NULL when there is no memory. */
struct generation *generation_create(struct config *config, struct registry *registry);

/* One more reference, and one less. Any thread. The last one releases it. */
struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation);

/* It is in force now: from here on its listeners are shown, and its limits on what all sessions of
 * a listener may come to hold for those of earlier generations, too. In the supervisor's thread. */
void generation_serve(const struct generation *generation);

/* The tallies of all listeners that were ever in force, one after the other: the first for NULL,
 * NULL after the last. In the supervisor's thread. */
const struct tally *registry_next(const struct registry *registry, const struct tally *tally);

/* Sums a tally's blocks. Any thread. */
void tally_sum(const struct tally *tally, struct counters_sum *ret_sum);

#endif
