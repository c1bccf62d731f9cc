/*
 * Two flows, the connect phase and the end, as a table of phase and event.
 *
 * Invariant: the ending is set once, by the first cause, and a session in SESSION_OVER has one.
 * What a lost side had sent still goes on, so its flow stays open until SESSION_EXHAUSTED says that
 * the kernel has no more of it.
 *
 * Surprising: a session is complete only when both kernels acknowledged both FINs. Until then it
 * keeps its sockets, as close() would hand the tail to an orphan that may be killed (tcp(7),
 * tcp_orphan_retries).
 */
#include <finback/engine/session.h>
#include <finback/engine/times.h>

#include <assert.h>
#include <stddef.h>

#include "acks.h"

typedef void handler(struct session *session, const struct fact *fact, int64_t now_us);

static void finish(struct session *session, enum ending ending)
{
	if (session->ending == ENDING_NONE)
		session->ending = (uint8_t)ending;
	session->phase = SESSION_OVER;
}

static void note_closer(struct session *session, enum closer closer)
{
	if (session->closer == CLOSER_NONE)
		session->closer = closer;
}

static enum closer closer_of(enum side side)
{
	return side == CLIENT ? CLOSER_CLIENT : CLOSER_SERVER;
}

static void wish(struct session *session, unsigned wishes)
{
	session->wishes = (uint8_t)(session->wishes | wishes);
}

static bool are_both_open(const struct session *session)
{
	return session->flows[CLIENT].state == FLOW_OPEN &&
	       session->flows[SERVER].state == FLOW_OPEN;
}

/* Gives one event to the flow from `side` and keeps the wish it raises. */
static void step_flow(struct session *session, enum side side, enum flow_event event,
		      int64_t now_us)
{
	struct flow *flow = &session->flows[side];

	switch (flow_step(flow, event)) {
	case FLOW_SEND_FIN:
		session->legs[other(side)].has_fin_sent = true;
		acks_await(session, other(side), 1, now_us);
		wish(session, WISH_FIN(other(side)));
		break;
	case FLOW_DISCARD:
		flow->held = 0;
		wish(session, WISH_DISCARD(side));
		break;
	case FLOW_NO_WISH:
	case FLOW_WISHES:
		break;
	}
}

/* A flow that holds nothing gets on: to its FIN, or to its break. */
static void settle(struct session *session, enum side side, int64_t now_us)
{
	struct flow *flow = &session->flows[side];

	if (flow->held == 0 && flow_has_ended(flow) && !flow_is_over(flow))
		step_flow(session, side, FLOW_EMPTIED, now_us);
}

/* The source of a flow ended or was cut off. */
static void end_flow(struct session *session, enum side side, enum flow_event event, int64_t now_us)
{
	session->flows[side].ended = moment_of(now_us);
	step_flow(session, side, event, now_us);
	settle(session, side, now_us);
	wish(session, WISH_REARM);
}

/* A side takes nothing any more: what goes towards it ends here. */
static void lose_sink(struct session *session, enum side sink, int64_t now_us)
{
	struct flow *towards = &session->flows[other(sink)];

	if (!flow_has_ended(towards))
		towards->ended = moment_of(now_us);
	step_flow(session, other(sink), FLOW_SINK_LOST, now_us);
}

static void enter_last_phase(struct session *session, enum session_phase phase, int64_t now_us)
{
	session->phase = (uint8_t)phase;
	session->spared_or_closing = moment_of(now_us);
	wish(session, WISH_REARM | WISH_LOOK);
}

/* In CLOSING: nothing more is to come from this side, or to be acknowledged by it. */
static bool leg_is_done(const struct session *session, enum side side)
{
	const struct leg *leg = &session->legs[side];

	if (side == SERVER && !session->is_connected)
		return true;
	return leg->has_fin_read && leg->has_fin_sent && leg->is_acked;
}

static void advance_closing(struct session *session)
{
	if (leg_is_done(session, CLIENT) && leg_is_done(session, SERVER))
		finish(session, ENDING_COMPLETE);
}

/* In CUTTING: over once all that the lost side sent has been acknowledged by the survivor. */
static void advance_cutting(struct session *session)
{
	enum side lost = session->legs[CLIENT].loss != LOSS_NONE ? CLIENT : SERVER;
	const struct leg *survivor = &session->legs[other(lost)];

	if (survivor->loss != LOSS_NONE)
		finish(session, ENDING_NONE);
	else if (flow_is_over(&session->flows[lost]) && survivor->is_acked)
		finish(session, ENDING_NONE);
}

static void advance(struct session *session)
{
	if (session->phase == SESSION_CLOSING)
		advance_closing(session);
	else if (session->phase == SESSION_CUTTING)
		advance_cutting(session);
}

static enum ending ending_of_loss(enum side side, enum loss loss)
{
	static const enum ending endings[SIDES][2] = {
		[CLIENT] = { ENDING_CLIENT_RESET, ENDING_CLIENT_DEAD },
		[SERVER] = { ENDING_SERVER_RESET, ENDING_SERVER_DEAD },
	};

	return endings[side][loss == LOSS_DEAD];
}

static void note_loss(struct session *session, const struct fact *fact)
{
	struct leg *leg = &session->legs[fact->side];

	leg->loss = fact->loss;
	leg->detector = fact->detector;
	leg->is_after_fin = fact->is_after_fin;
	if (session->ending == ENDING_NONE)
		session->ending = (uint8_t)ending_of_loss(fact->side, fact->loss);
	note_closer(session, closer_of(fact->side));
}

/* A side is lost and the server is connected: what goes towards the lost side ends here. */
static void start_cutting(struct session *session, enum side lost, int64_t now_us)
{
	lose_sink(session, lost, now_us);
	enter_last_phase(session, SESSION_CUTTING, now_us);
	advance(session);
}

static void on_connected(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)fact;
	session->phase = SESSION_RELAYING;
	session->is_connected = true;
	session->attempted_or_connected = moment_of(now_us);
	session->flows[CLIENT].progressed = session->flows[SERVER].progressed =
		session->attempted_or_connected;
	wish(session, WISH_REARM);
	if (session->legs[CLIENT].loss != LOSS_NONE)
		start_cutting(session, CLIENT, now_us);
}

static void on_spoke(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)fact;
	(void)now_us;
	session->has_spoken = true;
}

static void on_next(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)fact;
	(void)now_us;
	wish(session, WISH_NEXT_SERVER);
}

static void on_read(struct session *session, const struct fact *fact, int64_t now_us)
{
	struct flow *flow = &session->flows[fact->side];

	assert(flow->state == FLOW_OPEN);
	flow->bytes += fact->count;
	flow->held += fact->count;
	flow->progressed = moment_of(now_us);
	if (fact->side == CLIENT)
		session->has_spoken = true;
}

static void on_wrote(struct session *session, const struct fact *fact, int64_t now_us)
{
	struct flow *flow = &session->flows[fact->side];

	assert(fact->count <= flow->held);
	flow->held -= fact->count;
	flow->progressed = moment_of(now_us);
	acks_await(session, other(fact->side), fact->count, now_us);
	if (flow->held == 0 && flow_has_ended(flow)) {
		settle(session, fact->side, now_us);
		wish(session, WISH_LOOK | WISH_REARM);
	}
}

/* The first flow is about to end: it was spared for the last time, and is not closing yet. */
static void half_close(struct session *session)
{
	session->has_half_closed = true;
	session->spared_or_closing = moment_of(0);
}

static void on_ended(struct session *session, const struct fact *fact, int64_t now_us)
{
	session->legs[fact->side].has_fin_read = true;
	if (fact->side == CLIENT)
		session->has_spoken = true;
	note_closer(session, closer_of(fact->side));
	if (!session->has_half_closed)
		half_close(session);
	end_flow(session, fact->side, FLOW_SOURCE_ENDED, now_us);
	if (flow_has_ended(&session->flows[other(fact->side)]))
		enter_last_phase(session, SESSION_CLOSING, now_us);
	advance(session);
}

/* Only after a gentle end is anything read in CLOSING. */
static void on_discarded_end(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)now_us;
	assert(session->is_discarding);
	session->legs[fact->side].has_fin_read = true;
	advance(session);
}

static void on_lost_connecting(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)now_us;
	assert(fact->side == CLIENT);
	if (session->legs[CLIENT].loss != LOSS_NONE)
		return;
	note_loss(session, fact);
	session->has_spoken = true;
	if (fact->count == 0) /* it sent nothing that the server could miss */
		finish(session, ENDING_NONE);
}

static void on_lost(struct session *session, const struct fact *fact, int64_t now_us)
{
	note_loss(session, fact);
	start_cutting(session, fact->side, now_us);
}

static void on_lost_cutting(struct session *session, const struct fact *fact, int64_t now_us)
{
	if (session->legs[fact->side].loss != LOSS_NONE)
		return;
	note_loss(session, fact);
	lose_sink(session, fact->side, now_us);
	advance(session);
}

static void on_exhausted(struct session *session, const struct fact *fact, int64_t now_us)
{
	struct leg *leg = &session->legs[fact->side];

	assert(leg->loss != LOSS_NONE);
	if (flow_has_ended(&session->flows[fact->side]))
		return;
	leg->has_fin_read = leg->is_after_fin;
	end_flow(session, fact->side, leg->is_after_fin ? FLOW_SOURCE_ENDED : FLOW_SOURCE_CUT,
		 now_us);
	wish(session, WISH_LOOK);
	advance(session);
}

static void on_acked(struct session *session, const struct fact *fact, int64_t now_us)
{
	if (acks_look(session, fact, now_us))
		advance(session);
}

static void on_injected(struct session *session, const struct fact *fact, int64_t now_us)
{
	assert(session->legs[fact->side].is_acked);
	acks_await(session, fact->side, 0, now_us);
}

static void on_spared(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)fact;
	assert(are_both_open(session));
	session->spared_or_closing = moment_of(now_us);
	wish(session, WISH_REARM);
}

/* A deadline that asks for FIN instead of a reset: both flows end as if their sources had, and what
 * still comes is thrown away. */
static void end_gently(struct session *session, int64_t now_us)
{
	session->is_discarding = true;
	if (!session->is_connected) {
		lose_sink(session, SERVER, now_us);
		session->wishes &= (uint8_t)~WISH_NEXT_SERVER;
		wish(session, WISH_ABANDON_SERVER);
	}
	for (int side = CLIENT; side < SIDES; side++)
		if (!flow_has_ended(&session->flows[side]))
			end_flow(session, (enum side)side, FLOW_SOURCE_ENDED, now_us);
	enter_last_phase(session, SESSION_CLOSING, now_us);
	advance(session);
}

static void on_expired(struct session *session, const struct fact *fact, int64_t now_us)
{
	assert(fact->ending != ENDING_NONE);
	note_closer(session, CLOSER_FINBACK);
	if (!fact->is_gentle || session->legs[CLIENT].loss != LOSS_NONE) {
		finish(session, fact->ending);
		return;
	}
	session->ending = (uint8_t)fact->ending;
	end_gently(session, now_us);
}

static void on_cut(struct session *session, const struct fact *fact, int64_t now_us)
{
	(void)now_us;
	assert(fact->ending != ENDING_NONE);
	note_closer(session, CLOSER_FINBACK);
	finish(session, fact->ending);
}

/* One row a phase, one column an event. An empty cell cannot happen; walk_session proves it. */
static handler *const handlers[SESSION_OVER][SESSION_EVENTS] = {
	[SESSION_CONNECTING][SESSION_CONNECTED] = on_connected,
	[SESSION_CONNECTING][SESSION_SPOKE] = on_spoke,
	[SESSION_CONNECTING][SESSION_LOST] = on_lost_connecting,
	[SESSION_CONNECTING][SESSION_EXPIRED] = on_expired,
	[SESSION_CONNECTING][SESSION_NEXT] = on_next,
	[SESSION_CONNECTING][SESSION_CUT] = on_cut,

	[SESSION_RELAYING][SESSION_READ] = on_read,
	[SESSION_RELAYING][SESSION_WROTE] = on_wrote,
	[SESSION_RELAYING][SESSION_ENDED] = on_ended,
	[SESSION_RELAYING][SESSION_LOST] = on_lost,
	[SESSION_RELAYING][SESSION_ACKED] = on_acked,
	[SESSION_RELAYING][SESSION_INJECTED] = on_injected,
	[SESSION_RELAYING][SESSION_SPARED] = on_spared,
	[SESSION_RELAYING][SESSION_EXPIRED] = on_expired,
	[SESSION_RELAYING][SESSION_CUT] = on_cut,

	[SESSION_CLOSING][SESSION_WROTE] = on_wrote,
	[SESSION_CLOSING][SESSION_ENDED] = on_discarded_end,
	[SESSION_CLOSING][SESSION_LOST] = on_lost,
	[SESSION_CLOSING][SESSION_ACKED] = on_acked,
	[SESSION_CLOSING][SESSION_EXPIRED] = on_cut,
	[SESSION_CLOSING][SESSION_CUT] = on_cut,

	[SESSION_CUTTING][SESSION_READ] = on_read,
	[SESSION_CUTTING][SESSION_WROTE] = on_wrote,
	[SESSION_CUTTING][SESSION_LOST] = on_lost_cutting,
	[SESSION_CUTTING][SESSION_EXHAUSTED] = on_exhausted,
	[SESSION_CUTTING][SESSION_ACKED] = on_acked,
	[SESSION_CUTTING][SESSION_EXPIRED] = on_cut,
	[SESSION_CUTTING][SESSION_CUT] = on_cut,
};

void session_init(struct session *session, uint64_t id, int64_t now_us)
{
	*session = (struct session){
		.id = id,
		.accepted = moment_of(now_us),
		.attempted_or_connected = moment_of(now_us),
		.legs = { [CLIENT] = { .fd = -1, .is_acked = true },
			  [SERVER] = { .fd = -1, .is_acked = true } },
		.wishes = WISH_REARM,
	};
}

void session_attempt(struct session *session, uint16_t connects, int64_t now_us)
{
	assert(session->phase == SESSION_CONNECTING);
	session->attempted_or_connected = moment_of(now_us);
	session->connects = connects;
	wish(session, WISH_REARM);
}

unsigned session_step(struct session *session, const struct fact *fact, int64_t now_us)
{
	if (session->phase != SESSION_OVER) {
		handler *handle = handlers[session->phase][fact->event];

		assert(handle);
		handle(session, fact, now_us);
	}
	return session->wishes;
}

unsigned session_take_wishes(struct session *session)
{
	unsigned wishes = session->wishes;

	session->wishes = 0;
	return wishes;
}

bool session_wants_read(const struct session *session, enum side side)
{
	return session->flows[side].state == FLOW_OPEN && session->flows[side].held == 0 &&
	       (session->phase == SESSION_RELAYING || session->phase == SESSION_CUTTING);
}

bool session_wants_discard(const struct session *session, enum side side)
{
	return session->is_discarding && session->phase == SESSION_CLOSING &&
	       !session->legs[side].has_fin_read && (side == CLIENT || session->is_connected);
}

bool session_wants_write(const struct session *session, enum side side)
{
	return session->flows[other(side)].held > 0 && session->phase != SESSION_OVER;
}

int64_t session_progress_us(const struct session *session)
{
	const struct flow *flows = session->flows;
	const struct leg *legs = session->legs;

	return later(
		later(moment_us(flows[CLIENT].progressed), moment_us(flows[SERVER].progressed)),
		later(moment_us(legs[CLIENT].gained), moment_us(legs[SERVER].gained)));
}

int64_t session_connected_us(const struct session *session)
{
	return session->is_connected ? moment_us(session->attempted_or_connected) : 0;
}

int64_t session_half_closed_us(const struct session *session)
{
	if (!session->has_half_closed)
		return 0;
	/* What ended or was cut after it was not before it. */
	return sooner(moment_us(session->flows[CLIENT].ended),
		      moment_us(session->flows[SERVER].ended));
}

int64_t session_closing_us(const struct session *session)
{
	return are_both_open(session) ? 0 : moment_us(session->spared_or_closing);
}

int64_t session_spared_us(const struct session *session)
{
	return are_both_open(session) ? moment_us(session->spared_or_closing) : 0;
}

enum session_state session_state(const struct session *session)
{
	if (session->phase == SESSION_CONNECTING)
		return STATE_CONNECTING;
	if (session->phase != SESSION_RELAYING)
		return STATE_CLOSING;
	if (flow_has_ended(&session->flows[CLIENT]))
		return STATE_HALF_CLOSED_CLIENT;
	if (flow_has_ended(&session->flows[SERVER]))
		return STATE_HALF_CLOSED_SERVER;
	return STATE_OPEN;
}

static const char *const state_names[] = {
	[STATE_CONNECTING] = "connecting",
	[STATE_OPEN] = "open",
	[STATE_HALF_CLOSED_CLIENT] = "half_closed_client",
	[STATE_HALF_CLOSED_SERVER] = "half_closed_server",
	[STATE_CLOSING] = "closing",
};
static_assert(sizeof state_names / sizeof *state_names == STATES, "a name for each state");

const char *session_state_name(enum session_state state)
{
	return state_names[state];
}

static const char *const closer_names[] = {
	[CLOSER_NONE] = "-",
	[CLOSER_CLIENT] = "client",
	[CLOSER_SERVER] = "server",
	[CLOSER_FINBACK] = "finback",
};
static_assert(sizeof closer_names / sizeof *closer_names == CLOSERS, "a name for each closer");

const char *closer_name(enum closer closer)
{
	return closer_names[closer];
}

static const char *const phase_names[] = {
	[SESSION_CONNECTING] = "connecting",
	[SESSION_RELAYING] = "relaying",
	[SESSION_CLOSING] = "closing",
	[SESSION_CUTTING] = "cutting",
	[SESSION_OVER] = "over",
};
static_assert(sizeof phase_names / sizeof *phase_names == SESSION_PHASES, "a name for each phase");

const char *session_phase_name(enum session_phase phase)
{
	return phase_names[phase];
}

static const char *const event_names[] = {
	[SESSION_CONNECTED] = "connected",
	[SESSION_SPOKE] = "spoke",
	[SESSION_READ] = "read",
	[SESSION_WROTE] = "wrote",
	[SESSION_ENDED] = "ended",
	[SESSION_LOST] = "lost",
	[SESSION_EXHAUSTED] = "exhausted",
	[SESSION_ACKED] = "acked",
	[SESSION_EXPIRED] = "expired",
	[SESSION_NEXT] = "next",
	[SESSION_CUT] = "cut",
	[SESSION_INJECTED] = "injected",
	[SESSION_SPARED] = "spared",
};
static_assert(sizeof event_names / sizeof *event_names == SESSION_EVENTS, "a name for each event");

const char *session_event_name(enum session_event event)
{
	return event_names[event];
}
