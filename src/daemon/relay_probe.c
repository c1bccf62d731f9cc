/*
 * Application probes: when one goes out, and what came back.
 *
 * Invariant: a probe goes out only where nothing at all is on its way: no byte held, unread or
 * unacknowledged, no end of file seen; and each is written whole.
 *
 * Surprising: a probe must not keep the session of a dead peer alive at the other one, so it goes
 * out only while the other side is known to be alive.
 */
#include <finback/engine/counters.h>
#include <finback/engine/times.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <assert.h>
#include <errno.h>

#include "relay_private.h"

static_assert(PROBE_HELD_MAX <= PUMP_FILTER_ROOM, "what is held fits before the bytes");

/* A probe comes up to this part of `interval` early, so that those of many sessions do not come at
 * once. */
#define JITTER 8

static const struct probe_settings *settings_of(const struct relay *relay, enum side target)
{
	return &relay->lane->route->listener->sides[target].probe;
}

int relay_probe_init(struct relay *relay)
{
	const struct config_side *sides = relay->lane->route->listener->sides;
	struct relay_probes *probes;

	if (!sides[CLIENT].has_probe && !sides[SERVER].has_probe)
		return 0;
	probes = relay_make_probes(relay);
	if (!probes)
		return -ENOMEM;
	for (int side = CLIENT; side < SIDES; side++) {
		probes->sides[side].is_on = sides[side].has_probe;
		if (sides[side].has_probe)
			probe_init(&probes->sides[side].probe, &sides[side].probe, (enum side)side);
	}
	return 0;
}

/* The probe towards `target` that still follows the session; NULL: there is none. */
static struct relay_probe *find(const struct relay *relay, enum side target)
{
	struct relay_probe *found = &probes_of(relay)->sides[target];

	return found->is_on && !probe_is_done(&found->probe) ? found : NULL;
}

/* ---- what is read -------------------------------------------------------------------------- */

static void note_answer(struct relay *relay, enum side target, struct relay_probe *answered,
			size_t swallowed)
{
	answered->replies++;
	answered->answered_us = relay->lane->relays->now_us;
	answered->is_overdue = false;
	relay->session.wishes |= WISH_REARM; /* the next one may be due before the answer was */
	counters_add(counters_of(relay), COUNTER_PROBE_REPLIES + target, 1);
	counters_add(counters_of(relay), COUNTER_PROBE_BYTES_SWALLOWED + target, swallowed);
}

/* Not an error of anybody's: a protocol may turn to what cannot be followed. */
static void note_off(const struct relay *relay, enum side target)
{
	static struct log_limit limit;

	log_say_limited(
		&limit, relay->lane->relays->now_us, LOG_LEVEL_DEBUG,
		"listener %s: session %llu: the bytes are not understood as %s any more; no "
		"probe goes to the %s from now on",
		relay->lane->route->listener->name, (unsigned long long)relay->session.id,
		probe_protocol_name(settings_of(relay, target)->protocol), side_name(target));
}

/* Bytes from `from` pass one probe. */
static size_t pass_one(struct relay *relay, enum side target, enum side from, unsigned char *bytes,
		       size_t size, unsigned char **ret_at)
{
	struct relay_probe *passed = find(relay, target);
	size_t swallowed = 0;

	*ret_at = bytes;
	if (!passed || size == 0)
		return size;
	size = probe_take(&passed->probe, settings_of(relay, target), from, bytes, size, ret_at,
			  &swallowed);
	if (swallowed > 0)
		note_answer(relay, target, passed, swallowed);
	if (passed->probe.mode == PROBE_OFF)
		note_off(relay, target);
	return size;
}

size_t relay_probe_pass(void *owner, unsigned char *bytes, size_t size, unsigned char **ret_at)
{
	const struct relay_reading *reading = owner;
	enum side from = reading->side;

	/* The answers first: what is left is what the other side gets, and its probe follows. */
	size = pass_one(reading->relay, from, from, bytes, size, &bytes);
	return pass_one(reading->relay, other(from), from, bytes, size, ret_at);
}

void relay_probe_end(struct relay *relay, enum side side)
{
	if (!probes_of(relay))
		return;
	for (int target = CLIENT; target < SIDES; target++) {
		struct relay_probe *ended = &probes_of(relay)->sides[target];
		size_t held = ended->is_on ? probe_end(&ended->probe, side) : 0;

		if (held > 0 && !flow_has_ended(&relay->session.flows[side]))
			relay_pass(relay, side, ended->probe.held, held);
	}
}

/* ---- what is due ---------------------------------------------------------------------------- */

/* Up to an eighth of the interval, another for each session and each probe of it. */
static int64_t jitter_us(const struct relay *relay, const struct relay_probe *next,
			 int64_t interval_us)
{
	uint64_t mixed = (relay->session.id + next->sent) * UINT64_C(0x9e3779b97f4a7c15);

	return (int64_t)((uint64_t)(interval_us / JITTER) * (mixed >> 56) >> 8);
}

static int64_t send_due_us(const struct relay *relay, enum side target)
{
	const struct session *session = &relay->session;
	const struct relay_probe *next = &probes_of(relay)->sides[target];
	int64_t interval_us = settings_of(relay, target)->interval_us;
	int64_t moved_us = later(moment_us(session->flows[CLIENT].progressed),
				 moment_us(session->flows[SERVER].progressed));

	return later(later(moved_us, next->answered_us), next->tried_us) + interval_us -
	       jitter_us(relay, next, interval_us);
}

static bool is_answer_awaited(const struct relay *relay, const struct relay_probe *sent,
			      enum side target)
{
	return sent->probe.mode == PROBE_AWAITING && !sent->is_overdue &&
	       settings_of(relay, target)->answer_us > 0;
}

int64_t relay_probe_due_us(const struct relay *relay, enum side target)
{
	const struct relay_probe *next = find(relay, target);

	if (!next)
		return 0;
	if (is_answer_awaited(relay, next, target))
		return next->tried_us + settings_of(relay, target)->answer_us;
	if (next->probe.mode == PROBE_WATCHING && session_state(&relay->session) == STATE_OPEN)
		return send_due_us(relay, target);
	return 0;
}

int64_t relay_probe_next_us(const struct relay *relay)
{
	if (!probes_of(relay))
		return 0;
	return sooner(relay_probe_due_us(relay, CLIENT), relay_probe_due_us(relay, SERVER));
}

/* Nothing of this side's is on its way to finback, as far as can be known. */
static bool is_quiet(const struct relay *relay, enum side side)
{
	const struct relay_side *here = &relay->sides[side];

	return !rest_of(relay, side) && !here->is_faulty && !here->is_ended &&
	       sock_unread(relay->session.legs[side].fd) == 0;
}

static bool may_send(struct relay *relay, enum side target)
{
	return probe_can_send(&probes_of(relay)->sides[target].probe) && is_quiet(relay, CLIENT) &&
	       is_quiet(relay, SERVER) && relay->sides[target].is_writable &&
	       !session_is_outstanding(&relay->session, target) &&
	       relay_is_alive(relay, other(target));
}

static void send_probe(struct relay *relay, enum side target)
{
	struct relay_probe *next = &probes_of(relay)->sides[target];
	unsigned char message[PROBE_MESSAGE_MAX];
	size_t size = probe_send(&next->probe, settings_of(relay, target), message);
	int sent = sock_send(relay->session.legs[target].fd, message, size);

	if (sent == 0) {
		probe_cancel(&next->probe);
	} else if (sent < 0) {
		relay_lose(relay, target, sent);
	} else if ((size_t)sent < size) {
		/* No memory in the middle of it: what would come next is inside of it. */
		relay_cut(relay, ENDING_LIMITED);
	} else {
		next->sent++;
		counters_add(counters_of(relay), COUNTER_PROBES + target, 1);
		counters_add(counters_of(relay), COUNTER_PROBE_BYTES_SENT + target, size);
		relay_tell_event(relay, SESSION_INJECTED, target, 0);
	}
}

/* No answer in time. It may still come, and would be taken out. */
static void note_silence(struct relay *relay, enum side target)
{
	probes_of(relay)->sides[target].is_overdue = true;
	if (settings_of(relay, target)->ends_session)
		relay_lose_dead(relay, target, DETECTOR_PROBE);
}

static void do_due(struct relay *relay, enum side target)
{
	struct relay_probe *next = &probes_of(relay)->sides[target];
	int64_t at_us = relay_probe_due_us(relay, target);

	if (at_us == 0 || at_us > relay->lane->relays->now_us)
		return;
	if (is_answer_awaited(relay, next, target)) {
		note_silence(relay, target);
		return;
	}
	next->tried_us = relay->lane->relays->now_us;
	relay_look(relay, target);
	if (session_state(&relay->session) == STATE_OPEN && may_send(relay, target))
		send_probe(relay, target);
}

void relay_probe_on_timer(struct relay *relay)
{
	if (!probes_of(relay))
		return;
	for (int target = CLIENT; target < SIDES; target++)
		if (relay->session.phase != SESSION_OVER)
			do_due(relay, (enum side)target);
}
