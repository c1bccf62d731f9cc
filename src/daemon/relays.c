/*
 * All relays of one worker: readiness handed out, work left over, the dead reaped.
 *
 * Invariant: a relay is freed at the end of a turn of the loop only, and on no list any more.
 *
 * Surprising: an edge is told once, so a relay that stops for fairness's sake with work left over
 * is put on a list, and an idle watcher keeps the loop from sleeping over it.
 */
#include <finback/engine/counters.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "relay_private.h"

/* Batches of events taken from the poller in one callback. */
#define READINESS_BATCHES 4
#define CACHE_LINE        64

/* When monotonic_us() is 0, a second before main(): no time that is taken is "never". */
static int64_t clock_zero_us;

int64_t monotonic_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - clock_zero_us;
}

/* Before there are threads, which then just read it. */
static __attribute__((constructor)) void start_clock(void)
{
	clock_zero_us = monotonic_us() - 1000000;
}

/* Gives back what a session was counted with when it was accepted. */
static void release(struct relays *relays, const struct route *route)
{
	atomic_fetch_sub_explicit(&route->tally->active, 1, memory_order_relaxed);
	generation_unref(route->generation);
	atomic_fetch_sub_explicit(relays->active, 1, memory_order_release);
	if (relays->on_over)
		relays->on_over(relays->owner);
}

static void reap_one(struct relay *relay)
{
	struct relays *relays = relay->lane->relays;

	release(relays, relay->lane->route);
	relay_extra_fini(relay);
	slabs_give(&relays->slabs, relay);
}

static void reap(struct relays *relays)
{
	if (!relays->dead)
		return;
	while (relays->dead) {
		struct relay *relay = relays->dead;

		relays->dead = relay->next;
		reap_one(relay);
	}
	(void)agenda_reserve(&relays->agenda, relays->roster.live); /* gives back at the most */
}

/* The record of the event after this one: with a thousand sessions it is in no cache by itself. */
static void prefetch(const struct relay *relay)
{
	for (size_t at = 0; at < sizeof *relay; at += CACHE_LINE)
		__builtin_prefetch((const char *)relay + at, 1);
}

static void on_readiness(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct relays *relays = watcher->data;
	struct poller_event ready[POLLER_BATCH];

	(void)loop;
	(void)events;
	relays->now_us = monotonic_us();
	for (int batch = 0; batch < READINESS_BATCHES; batch++) {
		int count = poller_take(&relays->poller, ready);

		for (int i = 0; i < count; i++) {
			struct relay *relay = ready[i].owner;

			if (i + 1 < count)
				prefetch(ready[i + 1].owner);
			if (!relay->is_dead)
				relay_on_ready(relay, ready[i].side, ready[i].ready);
		}
		if (count < POLLER_BATCH)
			return;
	}
}

/* Takes the first of a list of pending ones from it. */
static struct relay *pull(struct relay **pending)
{
	struct relay *relay = *pending;

	*pending = relay->next;
	relay->is_pending = false;
	return relay;
}

/* Gives each relay that had work left over one more step. One that died meanwhile can be reaped
 * now. */
static void run_pending(struct relays *relays)
{
	struct relay *pending = relays->pending;

	relays->pending = NULL;
	if (pending)
		relays->now_us = monotonic_us();
	while (pending) {
		struct relay *relay = pull(&pending);

		if (relay->is_dead)
			relay_push(&relays->dead, relay);
		else
			relay_step(relay);
	}
	if (!relays->pending)
		ev_idle_stop(relays->loop, &relays->unfinished);
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct relays *relays = watcher->data;

	(void)loop;
	(void)events;
	run_pending(relays);
	if (relays->crowded)
		relay_limits_evict(relays);
	reap(relays);
}

static void on_unfinished(struct ev_loop *loop, ev_idle *watcher, int events)
{
	/* It is there to keep the loop from sleeping; the work is done in on_turn. */
	(void)loop;
	(void)watcher;
	(void)events;
}

int relays_init(struct relays *relays, struct ev_loop *loop, size_t worker, size_t workers,
		unsigned pipes)
{
	int error;

	*relays = (struct relays){
		.loop = loop,
		.poller.fd = -1,
		.worker = worker,
		.next_id = worker + 1,
		.id_step = workers,
		.now_us = monotonic_us(),
	};
	error = pump_init(&relays->pump, pipes);
	if (error == 0)
		error = ended_init(&relays->ended);
	if (error == 0)
		error = poller_init(&relays->poller);
	if (error < 0) {
		ended_fini(&relays->ended);
		pump_fini(&relays->pump);
		return error;
	}
	slabs_init(&relays->slabs, sizeof(struct relay));
	agenda_init(&relays->agenda, loop, relay_on_timer);
	ev_io_init(&relays->readiness, on_readiness, relays->poller.fd, EV_READ);
	ev_prepare_init(&relays->turn, on_turn);
	ev_idle_init(&relays->unfinished, on_unfinished);
	relays->readiness.data = relays->turn.data = relays->unfinished.data = relays;
	ev_io_start(loop, &relays->readiness);
	ev_prepare_start(loop, &relays->turn);
	return 0;
}

void relays_fini(struct relays *relays)
{
	assert(relays->roster.live == 0);
	run_pending(relays); /* dead as they are */
	reap(relays);
	ev_io_stop(relays->loop, &relays->readiness);
	ev_prepare_stop(relays->loop, &relays->turn);
	ev_idle_stop(relays->loop, &relays->unfinished);
	poller_fini(&relays->poller);
	ended_fini(&relays->ended);
	agenda_fini(&relays->agenda);
	slabs_fini(&relays->slabs);
	roster_fini(&relays->roster);
	pump_fini(&relays->pump);
}

/* The worker's part of the route. It knows its worker by its first session. */
static struct lane *lane_of(struct relays *relays, const struct route *route)
{
	struct lane *lane = &route->lanes[relays->worker];

	if (lane->relays != relays) /* once: the lanes of others lie beside it */
		lane->relays = relays;
	return lane;
}

/* A relay without sockets in the poller and without a server. NULL: no memory. */
static struct relay *create(struct relays *relays, const struct route *route, int fd,
			    const struct address *peer)
{
	struct relay *relay = slabs_take(&relays->slabs);

	if (!relay || roster_reserve(&relays->roster) < 0 ||
	    agenda_reserve(&relays->agenda, relays->roster.live + 1) < 0) {
		slabs_give(&relays->slabs, relay);
		return NULL;
	}
	relays->now_us = monotonic_us();
	session_init(&relay->session, relays->next_id, relays->now_us);
	relays->next_id += relays->id_step;
	relay->session.legs[CLIENT].fd = fd;
	relay->session.client = endpoint_of(peer);
	relay->session.legs[CLIENT].is_unix = relay->session.client.family == ENDPOINT_UNIX;
	relay->sides[CLIENT].is_writable = true;
	relay->lane = lane_of(relays, route);
	relay->server = BALANCE_NONE;
	relay->counted = session_state(&relay->session) & 7;
	roster_add(&relays->roster, relay);
	counters_accept(counters_of(relay), (enum session_state)relay->counted);
	count_descriptors(relays, 1);
	return relay;
}

/* Not even a record: the connection is reset and counts as limited. */
static void refuse_unrecorded(struct relays *relays, const struct route *route, int fd)
{
	static struct log_limit limit;
	struct counters *counters = route->lanes[relays->worker].counters;

	sock_close(fd);
	counters_accept(counters, STATE_CONNECTING);
	counters_end(counters, STATE_CONNECTING, ENDING_LIMITED);
	log_say_limited(&limit, monotonic_us(), LOG_LEVEL_ERROR,
			"listener %s: no memory for a session", route->listener->name);
	release(relays, route);
}

void relay_adopt(struct relays *relays, const struct route *route, int fd,
		 const struct address *peer)
{
	struct relay *relay = create(relays, route, fd, peer);

	if (!relay) {
		relay_limits_drop(route);
		refuse_unrecorded(relays, route, fd);
		return;
	}
	relay_limits_adopt(relay);
	relays->count++;
	if (relay_probe_init(relay) < 0 || poller_add(&relays->poller, fd, relay, CLIENT) < 0 ||
	    relay_begin_attempts(relay) < 0)
		relay_cut(relay, ENDING_LIMITED);
	else
		relay_start_attempt(relay);
	relay_step(relay);
}

void relay_refuse(struct relays *relays, const struct route *route, int fd,
		  const struct address *peer, enum ending ending)
{
	struct relay *relay = create(relays, route, fd, peer);

	if (!relay) {
		refuse_unrecorded(relays, route, fd);
		return;
	}
	relay_cut(relay, ending);
	relay_step(relay);
}

void relays_cut(struct relays *relays, enum ending ending)
{
	struct relay *relay;
	uint64_t id = 0;

	relays->now_us = monotonic_us();
	while ((relay = roster_next(&relays->roster, id, &id))) {
		relay_cut(relay, ending);
		relay_step(relay);
	}
}
