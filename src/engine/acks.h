#ifndef FINBACK_SRC_ENGINE_ACKS_H
#define FINBACK_SRC_ENGINE_ACKS_H

#include <finback/engine/session.h>

/*
 * What the peers' kernels have acknowledged, as far as looks can tell: the part of a session's step
 * that keeps `waiting_us` and what is beside it in a leg. What readers ask of it is in session.h.
 */

/* Something goes towards `side`, all of which was acknowledged; `count` bytes of it are counted as
 * written already. */
void acks_start(struct session *session, enum side side, uint32_t count, int64_t now_us);

/* Something more goes towards `side`. Most of it follows what is still unacknowledged, and then
 * there is nothing to note. */
static inline void acks_await(struct session *session, enum side side, uint32_t count,
			      int64_t now_us)
{
	if (session->legs[side].is_acked)
		acks_start(session, side, count, now_us);
}

/* A look: the fact is a SESSION_ACKED. Returns whether all is acknowledged now. */
bool acks_look(struct session *session, const struct fact *fact, int64_t now_us);

#endif
