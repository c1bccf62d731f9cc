#ifndef FINBACK_DAEMON_RELAY_H
#define FINBACK_DAEMON_RELAY_H

#include <finback/daemon/agenda.h>
#include <finback/daemon/generation.h>
#include <finback/daemon/roster.h>
#include <finback/daemon/slabs.h>
#include <finback/daemon/view.h>
#include <finback/engine/ending.h>
#include <finback/io/address.h>
#include <finback/io/poller.h>
#include <finback/io/pump.h>

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A session joined to its two sockets, its one timer and what it holds. One function moves bytes,
 * carries out the session's wishes and arms the timer. Everything here runs in one worker's thread.
 */

struct relay;

/* What all relays of one worker share. */
struct relays {
	struct ev_loop *loop;
	struct poller poller;
	struct pump pump;
	ev_io readiness;    /* the poller's own descriptor */
	ev_prepare turn;    /* the end of a turn of the loop */
	ev_idle unfinished; /* on while a relay has work left over: the loop does not sleep */
	int64_t now_us;     /* monotonic_us(), as of the last callback */
	size_t worker;      /* its index in each tally */
	uint64_t next_id;
	uint64_t id_step;
	uint64_t count;       /* ever adopted */
	struct slabs slabs;   /* their records */
	struct roster roster; /* the live ones */
	struct agenda agenda; /* their timers */
	struct ended ended;   /* the last that are not */
	/* Any thread may read: */
	_Atomic uint64_t buffer_bytes; /* held in finback's own memory */
	_Atomic uint64_t pipes;        /* that hold bytes */
	_Atomic uint64_t open_pipes;   /* and those that are kept for the next flow */
	_Atomic uint64_t descriptors;  /* sockets of sessions */
	struct relay *pending;         /* have work left over */
	struct relay *dead;            /* to be reaped at the end of the turn */
	struct half_closed *crowded;   /* may hold a session too many; see relay_limits.c */
	atomic_uint *active; /* sessions of this worker, those handed over to it included */
	void (*on_over)(void *owner); /* after each session's end */
	void *owner;
};

/* Starts watching in `loop`. `worker` of `workers` gives the ids; it splices through `pipes` at
 * most. Returns 0 or -errno. */
int relays_init(struct relays *relays, struct ev_loop *loop, size_t worker, size_t workers,
		unsigned pipes);

/* When no relay is left. */
void relays_fini(struct relays *relays);

/* Whether one more connection is within `max_embryonic`: then it has a place, which relay_adopt()
 * needs. Any thread. */
bool relay_admit(const struct route *route);

/* Makes a session of an accepted connection, which it owns from now on, and starts to connect its
 * server. The caller has counted it in *relays->active and in the tally's `active`, and has taken a
 * reference to the route's generation for it; all three end with the session. relay_admit() let it
 * in. */
void relay_adopt(struct relays *relays, const struct route *route, int fd,
		 const struct address *peer);

/* The end of a connection that is refused: reset, counted and logged like a session that ended at
 * once. The caller has counted it and taken a reference as for relay_adopt. */
void relay_refuse(struct relays *relays, const struct route *route, int fd,
		  const struct address *peer, enum ending ending);

/* Ends all sessions of this worker. */
void relays_cut(struct relays *relays, enum ending ending);

/* Microseconds since the process began, and a second more, so that 0 stays "never": a small count,
 * which the 48 bits of a struct moment hold for years. CLOCK_MONOTONIC is behind it. */
int64_t monotonic_us(void);

#endif
