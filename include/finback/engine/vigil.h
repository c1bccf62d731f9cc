#ifndef FINBACK_ENGINE_VIGIL_H
#define FINBACK_ENGINE_VIGIL_H

#include <finback/engine/side.h>

#include <stdbool.h>
#include <stdint.h>

struct session;

/*
 * Dead or only slow: finback's own judgement of a peer that leaves something unacknowledged. The
 * kernel's keepalive sleeps meanwhile, and its user timeout ends readers that are alive. So the
 * session is looked at now and then, and dead is who has said no word for `dead_after`, nor
 * answered what was sent again, or asked, several times. Pure: times come in, in microseconds.
 */

/* What the kernel knows of a connection. */
struct vitals {
	int64_t silent_us;   /* since its last segment with data or an acknowledgement */
	unsigned unanswered; /* retransmissions or window probes in a row without an answer */
};

/* What is unanswered: the kernel counts retransmissions and probes apart, and makes either. */
static inline unsigned vigil_unanswered(unsigned retransmits, unsigned probes)
{
	return retransmits > probes ? retransmits : probes;
}

/* Fewer are no proof: they may be lost. */
#define VIGIL_UNANSWERED 3

/* Times are kept as a number of such parts of `dead_after`, modulo 256. */
#define VIGIL_PARTS 64

bool vigil_is_dead(const struct vitals *vitals, int64_t dead_after_us);

/* After a judgement that found it not dead: when the next is due, in parts, modulo 256. That is a
 * quarter of `dead_after_us` later, or as soon as the silence could be long enough. */
uint8_t vigil_next(const struct vitals *vitals, int64_t dead_after_us, int64_t now_us);

/* When `side`, to which something is outstanding, is to be judged next. The first time is a quarter
 * of `dead_after_us` after something was unacknowledged, or sooner where the session had been quiet
 * before: then the peer may have been gone for long. */
int64_t vigil_due_us(const struct session *session, enum side side, int64_t dead_after_us);

#endif
