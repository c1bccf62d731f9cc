/*
 * Whether a peer lives: what the kernel knows, and when it is asked.
 *
 * Invariant: nothing is asked while the session is younger, in what is unacknowledged, than
 * engine/vigil wants; so a session that moves costs nothing here.
 */
#include <finback/engine/vigil.h>
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include "relay_private.h"

/* Where it is time, whether the side is dead, and if not, when to ask again. */
static bool judge(const struct relay *relay, enum side side, int64_t dead_after_us,
		  struct fact *fact)
{
	int64_t now_us = relay->relays->now_us;
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

bool relay_is_alive(const struct relay *relay, enum side side)
{
	int64_t alive_us = policy_of(relay)->alive_us[side];
	struct vitals vitals;

	if (is_unix(relay, side))
		return true;
	return alive_us > 0 && liveness_vitals(relay->session.legs[side].fd, &vitals) == 0 &&
	       vitals.silent_us <= alive_us;
}
