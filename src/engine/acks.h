#ifndef FINBACK_SRC_ENGINE_ACKS_H
#define FINBACK_SRC_ENGINE_ACKS_H

#include <finback/engine/session.h>

/*
 * What the peers' kernels have acknowledged, as far as looks can tell: the part of a session's step
 * that keeps `waiting` and what is beside it in a leg. What readers ask of it is in session.h.
 */

/* How much of what the other side sent, its FIN included, went to `side`, modulo 2^32. */
static inline uint32_t acks_written_to(const struct session *session, enum side side)
{
	const struct flow *towards = &session->flows[other(side)];

	return (uint32_t)(towards->bytes - towards->held) + session->legs[side].has_fin_sent;
}

/* Something more goes towards `side`, of which `count` bytes are counted as written already. Here,
 * as each message comes by, and most of them follow what is still unacknowledged. */
static inline void acks_await(struct session *session, enum side side, uint32_t count,
			      int64_t now_us)
{
	struct leg *leg = &session->legs[side];

	if (!leg->is_acked)
		return;
	leg->is_acked = leg->is_looked = leg->is_judged = false;
	leg->waiting = moment_of(now_us);
	leg->before = acks_written_to(session, side) - count;
	/* The looks that follow may be due before what is armed. */
	session->wishes |= WISH_REARM;
}

/* A look: the fact is a SESSION_ACKED. Returns whether all is acknowledged now. */
bool acks_look(struct session *session, const struct fact *fact, int64_t now_us);

#endif
