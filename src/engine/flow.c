/*
 * One direction of a session, as a table of state and event.
 *
 * Invariant: FLOW_SEND_FIN is raised once at the most, and only where nothing is held, so a FIN
 * never overtakes a byte. A flow that was cut off never gets to FINISHED, so its sink never reads a
 * clean end of file.
 *
 * Surprising: a reset that comes after a genuine FIN is no event here. It takes nothing back from
 * this direction, and kills the other one.
 */
#include <finback/engine/flow.h>

#include <assert.h>
#include <stddef.h>

struct flow_cell {
	bool is_possible;
	uint8_t next; /* enum flow_state */
	uint8_t wish; /* enum flow_wish */
};

/* One row a state, one column an event. A cell left empty cannot happen; walk_session proves it. */
static const struct flow_cell cells[FLOW_STATES][FLOW_EVENTS] = {
	[FLOW_OPEN][FLOW_SOURCE_ENDED] = { true, FLOW_DRAINING, FLOW_NO_WISH },
	[FLOW_OPEN][FLOW_SOURCE_CUT] = { true, FLOW_BREAKING, FLOW_NO_WISH },
	[FLOW_OPEN][FLOW_SINK_LOST] = { true, FLOW_BROKEN, FLOW_DISCARD },

	[FLOW_DRAINING][FLOW_SINK_LOST] = { true, FLOW_BROKEN, FLOW_DISCARD },
	[FLOW_DRAINING][FLOW_EMPTIED] = { true, FLOW_FINISHED, FLOW_SEND_FIN },

	[FLOW_FINISHED][FLOW_SINK_LOST] = { true, FLOW_FINISHED, FLOW_NO_WISH },

	[FLOW_BREAKING][FLOW_SINK_LOST] = { true, FLOW_BROKEN, FLOW_DISCARD },
	[FLOW_BREAKING][FLOW_EMPTIED] = { true, FLOW_BROKEN, FLOW_NO_WISH },

	[FLOW_BROKEN][FLOW_SINK_LOST] = { true, FLOW_BROKEN, FLOW_NO_WISH },
};

static const char *const state_names[] = {
	[FLOW_OPEN] = "open",         [FLOW_DRAINING] = "draining", [FLOW_FINISHED] = "finished",
	[FLOW_BREAKING] = "draining", [FLOW_BROKEN] = "broken",
};
static_assert(sizeof state_names / sizeof *state_names == FLOW_STATES, "a name for each state");

static const char *const event_names[] = {
	[FLOW_SOURCE_ENDED] = "source_ended",
	[FLOW_SOURCE_CUT] = "source_cut",
	[FLOW_SINK_LOST] = "sink_lost",
	[FLOW_EMPTIED] = "emptied",
};
static_assert(sizeof event_names / sizeof *event_names == FLOW_EVENTS, "a name for each event");

static const char *const wish_names[] = {
	[FLOW_NO_WISH] = "",
	[FLOW_SEND_FIN] = "send_fin",
	[FLOW_DISCARD] = "discard",
};
static_assert(sizeof wish_names / sizeof *wish_names == FLOW_WISHES, "a name for each wish");

bool flow_can(enum flow_state state, enum flow_event event)
{
	return cells[state][event].is_possible;
}

enum flow_state flow_next(enum flow_state state, enum flow_event event)
{
	assert(flow_can(state, event));
	return cells[state][event].next;
}

enum flow_wish flow_step(struct flow *flow, enum flow_event event)
{
	const struct flow_cell *cell = &cells[flow->state][event];

	assert(cell->is_possible);
	flow->state = cell->next;
	return cell->wish;
}

const char *flow_state_name(enum flow_state state)
{
	return state_names[state];
}

const char *flow_event_name(enum flow_event event)
{
	return event_names[event];
}

const char *flow_wish_name(enum flow_wish wish)
{
	return wish_names[wish];
}
