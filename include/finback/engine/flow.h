#ifndef FINBACK_ENGINE_FLOW_H
#define FINBACK_ENGINE_FLOW_H

#include <finback/engine/times.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * One direction of a session: bytes go from a source to a sink. Events change its state and may
 * raise one wish; carrying out a wish never changes state. The table below is printed from the
 * code by tests/engine/test_flow --print, which also fails when this copy has gone stale.
 *
 *              SOURCE_ENDED        SOURCE_CUT     SINK_LOST          EMPTIED
 *   open       draining            breaking       broken, DISCARD    -
 *   draining   -                   -              broken, DISCARD    finished, SEND_FIN
 *   finished   -                   -              finished           -
 *   breaking   -                   -              broken, DISCARD    broken
 *   broken     -                   -              broken             -
 */

enum flow_state {
	FLOW_OPEN,     /* the source may send more */
	FLOW_DRAINING, /* its end of file was read; bytes held go first, then the FIN */
	FLOW_FINISHED, /* the FIN was passed on, after the last byte */
	FLOW_BREAKING, /* the source was cut off; bytes held go first, then a reset */
	FLOW_BROKEN,   /* cut off: nothing more goes on, and never a FIN */
	FLOW_STATES
};

enum flow_event {
	FLOW_SOURCE_ENDED, /* the source's FIN was read, and is proven */
	FLOW_SOURCE_CUT,   /* the source was reset or died, and its last byte was read */
	FLOW_SINK_LOST,    /* the sink takes nothing any more */
	FLOW_EMPTIED,      /* nothing is held, and the sink is connected */
	FLOW_EVENTS
};

enum flow_wish {
	FLOW_NO_WISH,
	FLOW_SEND_FIN, /* shutdown(SHUT_WR) on the sink */
	FLOW_DISCARD,  /* throw away what is held */
	FLOW_WISHES
};

struct __attribute__((packed)) flow {
	uint64_t bytes;           /* that came from the source */
	uint32_t held;            /* of these, waiting in finback for the sink */
	struct moment progressed; /* when a byte last moved, in or out */
	struct moment ended;      /* when the source ended or was cut off; 0: it has not */
	uint8_t state;            /* enum flow_state */
};

/* Whether the event can happen in this state at all. */
bool flow_can(enum flow_state state, enum flow_event event);

/* The state that follows. The event must be possible. */
enum flow_state flow_next(enum flow_state state, enum flow_event event);

/* Takes one event, which must be possible, and returns the wish it raises. */
enum flow_wish flow_step(struct flow *flow, enum flow_event event);

/* Whether the source has ended or was cut off: nothing more is read for this flow. */
static inline bool flow_has_ended(const struct flow *flow)
{
	return flow->state != FLOW_OPEN;
}

/* Whether it is over: all that will ever go to the sink has gone. */
static inline bool flow_is_over(const struct flow *flow)
{
	return flow->state == FLOW_FINISHED || flow->state == FLOW_BROKEN;
}

/* The state in the words that users see: open, draining, finished, broken. A flow that is breaking
 * is draining to them: bytes still go on. */
const char *flow_state_name(enum flow_state state);

/* "source_ended" ... and "send_fin" ..., for tests and debug lines. */
const char *flow_event_name(enum flow_event event);
const char *flow_wish_name(enum flow_wish wish);

#endif
