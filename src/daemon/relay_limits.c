/*
 * Limits on sessions by what they do: embryonic ones are refused beyond max_embryonic, and beyond
 * max_half_closed the half-closed one that has been silent for longest is evicted.
 *
 * Invariant: the tally's counts are exact, over all workers and over reloads: a session counts from
 * its flag's being set until it is cleared, and an eviction takes its one off with a comparison
 * with the limit, so that workers which see the same surplus do not evict twice for it.
 *
 * Surprising: no session is cut inside another's step. It is noted that there may be one too many,
 * and the end of the turn finds out. Who is to go may be another worker's; then that one is asked,
 * by letter, and has the same look: it may know of a third.
 */
#include <finback/daemon/worker.h>
#include <finback/engine/times.h>
#include <finback/host/log.h>

#include "relay_private.h"

/* More, as after a reload with a lower limit, wait for the next turn. */
#define EVICTIONS_A_TURN 64
/* The question who is to go is passed on so often; then whoever has it lets its own go. */
#define HOPS_MAX 16

/* ---- embryonic ------------------------------------------------------------------------------ */

bool relay_admit(const struct route *route)
{
	unsigned max = route->listener->max_embryonic;

	if (max == 0)
		return true;
	if (atomic_fetch_add_explicit(&route->tally->embryonic, 1, memory_order_relaxed) < max)
		return true;
	relay_limits_drop(route);
	return false;
}

void relay_limits_drop(const struct route *route)
{
	if (route->listener->max_embryonic > 0)
		atomic_fetch_sub_explicit(&route->tally->embryonic, 1, memory_order_relaxed);
}

void relay_limits_adopt(struct relay *relay)
{
	relay->is_embryonic = relay->lane->route->listener->max_embryonic > 0;
}

static void leave_embryonic(struct relay *relay)
{
	relay->is_embryonic = false;
	relay_limits_drop(relay->lane->route);
}

/* ---- half-closed ---------------------------------------------------------------------------- */

static struct half_closed *half_closed_of(const struct relay *relay)
{
	return relay->lane->half_closed;
}

/* Since when nothing has come of it: as the deadline half_closed counts. */
static int64_t silent_since_us(const struct session *session)
{
	return later(session_progress_us(session), session_half_closed_us(session));
}

static int64_t ask(void *context, uint64_t id)
{
	const struct relays *relays = context;
	const struct relay *relay = roster_find(&relays->roster, id);

	if (!relay || !relay->is_half_closed)
		return SILENCE_NOBODY;
	return silent_since_us(&relay->session);
}

static bool is_over(unsigned count, const struct tally *tally)
{
	unsigned max = atomic_load_explicit(&tally->max_half_closed, memory_order_relaxed);

	return max > 0 && count > max;
}

/* To be looked at when the turn ends. */
static void note_crowded(struct relays *relays, struct half_closed *half_closed, unsigned hops)
{
	if (half_closed->hops < hops)
		half_closed->hops = hops;
	if (half_closed->is_crowded)
		return;
	half_closed->is_crowded = true;
	half_closed->next_crowded = relays->crowded;
	relays->crowded = half_closed;
}

/* Without memory for it, it does not count; the next step tries again. */
static void enter_half_closed(struct relay *relay)
{
	struct half_closed *half_closed = half_closed_of(relay);
	struct tally *tally = half_closed->tally;
	unsigned before;

	if (silence_add(&half_closed->silence, relay->session.id,
			silent_since_us(&relay->session)) < 0)
		return;
	relay->is_half_closed = true;
	/* Who reads the count finds the silence that it was counted with. */
	before = atomic_fetch_add_explicit(&tally->half_closed, 1, memory_order_acq_rel);
	if (is_over(before + 1, tally))
		note_crowded(relay->lane->relays, half_closed, 0);
}

/* Its place in the count is given back, or was taken by claim(). */
static void forget(struct relay *relay)
{
	relay->is_half_closed = false;
	silence_forget(&half_closed_of(relay)->silence, ask, relay->lane->relays);
}

static void leave_half_closed(struct relay *relay)
{
	atomic_fetch_sub_explicit(&relay->lane->route->tally->half_closed, 1, memory_order_relaxed);
	forget(relay);
}

/* ---- eviction ------------------------------------------------------------------------------- */

/* Takes one off the count, where it is over the limit. The caller then ends one. */
static bool claim(struct tally *tally)
{
	unsigned count = atomic_load_explicit(&tally->half_closed, memory_order_acquire);

	while (is_over(count, tally))
		if (atomic_compare_exchange_weak_explicit(&tally->half_closed, &count, count - 1,
							  memory_order_acq_rel,
							  memory_order_acquire))
			return true;
	return false;
}

static void evict(struct relay *relay)
{
	static struct log_limit rate;

	log_say_limited(&rate, relay->lane->relays->now_us, LOG_LEVEL_WARNING,
			"listener %s: half-closed session evicted: max_half_closed reached",
			relay->lane->route->listener->name);
	forget(relay);
	relay_cut(relay, ENDING_EVICTED);
	relay_step(relay);
}

/* Another worker's, that may have a session which has been silent since before `since_us`. NULL:
 * none has. */
static struct half_closed *more_silent(const struct tally *tally, int64_t since_us)
{
	struct half_closed *found = NULL;

	for (size_t i = 0; i < tally->workers; i++) {
		struct half_closed *other = &tally->workers_half_closed[i];
		int64_t other_us = silence_since_us(&other->silence);

		if (other_us < since_us) {
			since_us = other_us;
			found = other;
		}
	}
	return found;
}

static void on_crowded(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	note_crowded(&worker->relays, letter->subject, (unsigned)letter->fd);
}

/* Asks another worker to end one of its own. Returns whether it will know. */
static bool pass_on(const struct relays *relays, struct half_closed *to, unsigned hops)
{
	const struct worker *own = relays->owner;
	size_t index = (size_t)(to - to->tally->workers_half_closed);
	const struct letter letter = {
		.handle = on_crowded,
		.subject = to,
		.fd = (int)hops,
	};

	return mailbox_post(&own->crew->workers[index].mailbox, &letter) == 0;
}

/* A reader may have taken what the kernel held for it, and nobody has looked since. */
static bool is_silent_still(struct relay *relay, int64_t since_us)
{
	relay_look_both(relay);
	relay_step(relay);
	return relay->is_half_closed && silent_since_us(&relay->session) == since_us;
}

/* Ends one session, or sees to it that another worker does. Returns whether there may be more to
 * end here. */
static bool relieve(struct relays *relays, struct half_closed *half_closed, unsigned hops)
{
	struct tally *tally = half_closed->tally;
	struct half_closed *other;
	struct relay *relay;
	int64_t since_us;
	uint64_t id;

	if (!is_over(atomic_load_explicit(&tally->half_closed, memory_order_acquire), tally))
		return false;
	id = silence_longest(&half_closed->silence, ask, relays, &since_us);
	other = more_silent(tally, since_us);
	if (other && hops < HOPS_MAX && pass_on(relays, other, hops + 1))
		return false;
	if (id == 0)
		return false;
	relay = roster_find(&relays->roster, id);
	if (!is_silent_still(relay, since_us))
		return true;
	if (!claim(tally))
		return false;
	evict(relay);
	return true;
}

static void relieve_for_a_turn(struct relays *relays, struct half_closed *half_closed)
{
	unsigned hops = half_closed->hops;

	half_closed->is_crowded = false;
	half_closed->hops = 0;
	for (int i = 0; i < EVICTIONS_A_TURN; i++) {
		if (!relieve(relays, half_closed, hops))
			return;
		hops = 0;
	}
	note_crowded(relays, half_closed, 0);
	ev_idle_start(relays->loop, &relays->unfinished);
}

void relay_limits_evict(struct relays *relays)
{
	struct half_closed *crowded = relays->crowded;

	relays->crowded = NULL;
	relays->now_us = monotonic_us();
	while (crowded) {
		struct half_closed *half_closed = crowded;

		crowded = half_closed->next_crowded;
		relieve_for_a_turn(relays, half_closed);
	}
}

/* ---- a session's way ------------------------------------------------------------------------ */

void relay_limits_step(struct relay *relay)
{
	const struct session *session = &relay->session;
	bool is_half_closed;

	if (relay->is_embryonic && session->is_connected && session->has_spoken)
		leave_embryonic(relay);
	if (relay->lane->route->listener->max_half_closed == 0)
		return;
	is_half_closed = relay->counted == STATE_HALF_CLOSED_CLIENT ||
			 relay->counted == STATE_HALF_CLOSED_SERVER;
	if (is_half_closed && !relay->is_half_closed)
		enter_half_closed(relay);
	else if (!is_half_closed && relay->is_half_closed)
		leave_half_closed(relay);
}

void relay_limits_end(struct relay *relay)
{
	if (relay->is_embryonic)
		leave_embryonic(relay);
	if (relay->is_half_closed)
		leave_half_closed(relay);
}
