/*
 * Whether a peer lives: what the kernel knows, and when it is asked.
 *
 * Invariant: nothing is asked of the kernel before engine/vigil says that it is time, and nothing
 * is asked of a session that is over soon.
 */
#include <finback/engine/vigil.h>
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include "relay_private.h"

/* Where it is time, whether the side is dead, and if not, when to ask again. */
static bool judge(const struct relay *relay, enum side side, int64_t dead_after_us,
		  struct fact *fact)
{
	int64_t now_us = relay->lane->relays->now_us;
	struct vitals vitals = { 0 };

	if (now_us < vigil_due_us(&relay->session, side, dead_after_us))
		return false;
	/* It cannot fail for a TCP socket; if it did, nothing would be known. */
	(void)liveness_vitals(relay->session.legs[side].fd, &vitals);
	fact->is_judged = true;
	fact->vigil = vigil_next(&vitals, dead_after_us, now_us);
	return vigil_is_dead(&vitals, dead_after_us);
}

void relay_look(struct relay *relay, enum side side)
{
	const struct session *session = &relay->session;
	int64_t dead_after_us = policy_of(relay)->dead_after_us[side];
	struct fact fact = { .event = SESSION_ACKED, .side = side };
	bool is_dead = false;

	if (!session_is_outstanding(session, side) || session->phase == SESSION_CONNECTING ||
	    session->phase == SESSION_OVER)
		return;
	if (!is_unix(relay, side)) {
		fact.count = sock_unacked(session->legs[side].fd);
		if (fact.count > 0 && dead_after_us > 0)
			is_dead = judge(relay, side, dead_after_us, &fact);
	}
	relay_tell(relay, &fact);
	if (is_dead)
		relay_lose_dead(relay, side, DETECTOR_USER_TIMEOUT);
}

void relay_look_both(struct relay *relay)
{
	relay_look(relay, CLIENT);
	relay_look(relay, SERVER);
}

bool relay_is_alive(const struct relay *relay, enum side side)
{
	int64_t alive_us = policy_of(relay)->alive_us[side];
	struct vitals vitals;

	if (is_unix(relay, side))
		return true;
	return alive_us > 0 && liveness_vitals(relay->session.legs[side].fd, &vitals) == 0 &&
	       vitals.silent_us <= alive_us;
}

/* ---- what the kernel does ------------------------------------------------------------------- */

/* A session that is over within this part of dead_after needs no keepalive, and most are. */
#define UNWATCHED 8

static int64_t keep_due_us(const struct relay *relay, enum side side)
{
	const struct session *session = &relay->session;
	int64_t since_us =
		side == CLIENT ? moment_us(session->accepted) : session_connected_us(session);
	int64_t dead_after_us = policy_of(relay)->dead_after_us[side];

	if (dead_after_us == 0 || relay->sides[side].is_kept || since_us == 0 ||
	    is_unix(relay, side))
		return 0;
	return since_us + dead_after_us / UNWATCHED;
}

int64_t relay_vigil_next_us(const struct relay *relay)
{
	return sooner(keep_due_us(relay, CLIENT), keep_due_us(relay, SERVER));
}

void relay_vigil_on_timer(struct relay *relay)
{
	const struct config_side *sides = relay->lane->route->listener->sides;

	for (int side = CLIENT; side < SIDES; side++) {
		int64_t due_us = keep_due_us(relay, (enum side)side);

		if (due_us == 0 || due_us > relay->lane->relays->now_us)
			continue;
		/* A kernel that refuses an option still relays: the configuration's check knows
		 * the limits. */
		(void)liveness_keep(relay->session.legs[side].fd, &sides[side].keepalive);
		relay->sides[side].is_kept = true;
	}
}
