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

/* Fewer are no proof: they may be lost. */
#define VIGIL_UNANSWERED 3

/* The distance between looks is a number of this part of `dead_after`. */
#define VIGIL_PARTS   64
#define VIGIL_QUARTER (VIGIL_PARTS / 4)

bool vigil_is_dead(const struct vitals *vitals, int64_t dead_after_us);

/* After a look that found it not dead: how long until the next, 1 to VIGIL_QUARTER parts. */
uint8_t vigil_distance(const struct vitals *vitals, int64_t dead_after_us);

/* When `side`, to which something is outstanding, is to be judged next. Nothing before a quarter of
 * `dead_after_us` has passed since something was unacknowledged, unless the session was quiet
 * before: then the peer may have been gone for long. */
int64_t vigil_due_us(const struct session *session, enum side side, int64_t dead_after_us);

/* The parts that are left until then, rounded down; for a look that comes before it is due. */
uint8_t vigil_left(int64_t due_us, int64_t now_us, int64_t dead_after_us);

#endif
