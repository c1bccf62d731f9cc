/*
 * What is unacknowledged, since when, and whose it is.
 *
 * Invariant: an acknowledgement is progress only where a look before saw less of it, and what was
 * acknowledged is the other side's: a probe of finback's own is none.
 *
 * Surprising: nothing is kept for each byte. Counts are modulo 2^32, as no kernel holds that much;
 * `before`, which is kept with `waiting`, tells a probe, which is not counted, from what is.
 */
#include "acks.h"

bool acks_look(struct session *session, const struct fact *fact, int64_t now_us)
{
	struct leg *leg = &session->legs[fact->side];
	/* A probe's acknowledgement is no progress of the session's. */
	uint32_t acked = acks_written_to(session, fact->side) -
			 session_sent_of(session, fact->side, fact->count);

	/* Only against an earlier look can progress be told: a first one finds what it finds. */
	if (leg->is_looked && acked != leg->acked)
		leg->gained = moment_of(now_us);
	leg->acked = acked;
	leg->looked = moment_of(now_us);
	if (fact->is_judged)
		leg->vigil = fact->vigil;
	leg->is_judged |= fact->is_judged;
	leg->is_acked = fact->count == 0;
	leg->is_looked = !leg->is_acked;
	return leg->is_acked;
}

bool session_is_outstanding(const struct session *session, enum side side)
{
	const struct leg *leg = &session->legs[side];

	return !leg->is_acked && leg->loss == LOSS_NONE;
}

bool session_is_awaited(const struct session *session, enum side side)
{
	return session_is_outstanding(session, side) &&
	       acks_written_to(session, side) != session->legs[side].before;
}

uint32_t session_sent_of(const struct session *session, enum side side, uint32_t count)
{
	uint32_t since = acks_written_to(session, side) - session->legs[side].before;

	return count < since ? count : since;
}
