/*
 * A session joined to two sockets: readiness becomes facts, the session answers with wishes, and
 * relay_step() carries them out.
 *
 * Invariant: relay_step() is the only place that moves bytes, carries out wishes and arms the
 * timer, and nothing is freed before the end of the loop's turn, so a late event finds its relay.
 *
 * Surprising: readiness is edge-triggered, so it is remembered here until a call says "no more".
 * The kernel tells an error once, to whoever asks first; whoever that is reports it as a loss, and
 * a read of 0 after it is no end of file.
 */
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include <errno.h>

#include "relay_private.h"

/* Work of one step: reads of one flow, of up to PUMP_BUFFER_BYTES each. More waits for its turn. */
#define STEP_READS 4

void relay_tell(struct relay *relay, const struct fact *fact)
{
	(void)session_step(&relay->session, fact, relay->lane->relays->now_us);
}

void relay_tell_event(struct relay *relay, enum session_event event, enum side side, uint32_t count)
{
	relay_tell(relay, &(struct fact){ .event = event, .side = side, .count = count });
}

void relay_cut(struct relay *relay, enum ending ending)
{
	relay_tell(relay, &(struct fact){ .event = SESSION_CUT, .ending = ending });
}

/* ---- what the sockets say ---------------------------------------------------------------- */

static enum loss loss_of(int error)
{
	switch (-error) {
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENONET:
		return LOSS_DEAD;
	default:
		return LOSS_RESET;
	}
}

/* A side is lost. EPIPE says that its FIN came before the reset; for other errors the poller may
 * have told so. What it sent before is still readable, so it is read to the end. */
static void lose(struct relay *relay, enum side side, int error, enum detector detector)
{
	struct relay_side *lost = &relay->sides[side];
	uint32_t unread = 0;

	if (relay->session.phase == SESSION_CONNECTING)
		unread = sock_unread(relay->session.legs[side].fd);
	if (relay->error == 0)
		relay->error = (int16_t)error;
	lost->is_faulty = false;
	lost->is_readable = lost->is_thorough = true;
	relay_tell(relay, &(struct fact){
				  .event = SESSION_LOST,
				  .side = side,
				  .count = unread,
				  .loss = loss_of(error),
				  .detector = detector,
				  .is_after_fin = error == -EPIPE || lost->is_ended,
			  });
}

void relay_lose(struct relay *relay, enum side side, int error)
{
	enum detector detector = DETECTORS;

	if (loss_of(error) == LOSS_DEAD)
		detector = liveness_detector(relay->session.legs[side].fd);
	lose(relay, side, error, detector);
}

void relay_lose_dead(struct relay *relay, enum side side, enum detector detector)
{
	lose(relay, side, -ETIMEDOUT, detector);
}

void relay_take_fault(struct relay *relay, enum side side)
{
	int error = sock_take_error(relay->session.legs[side].fd);

	relay->sides[side].is_faulty = false;
	if (error < 0)
		relay_lose(relay, side, error);
}

/* The last of a side that is lost has been read. */
static void exhaust(struct relay *relay, enum side side)
{
	if (relay->session.phase != SESSION_CUTTING)
		return;
	relay_probe_end(relay, side);
	relay_tell_event(relay, SESSION_EXHAUSTED, side, 0);
}

/* The loss of a side has it read to its end, a read of 0, as there may be bytes before the error.
 */
static void on_read_error(struct relay *relay, enum side side, int error)
{
	if (relay->session.legs[side].loss == LOSS_NONE) {
		relay_lose(relay, side, error);
		return;
	}
	relay->sides[side].is_readable = false;
	exhaust(relay, side);
}

/* A proven end of file. What a probe held of the flow goes first, and may find the other side lost;
 * then there is nobody to be told of the end. */
static void end(struct relay *relay, enum side side)
{
	relay_probe_end(relay, side);
	if (relay->session.phase != SESSION_CUTTING)
		relay_tell_event(relay, SESSION_ENDED, side, 0);
}

/* A read of 0: an end of file only where no error was consumed before it. */
static void on_read_zero(struct relay *relay, enum side side)
{
	struct relay_side *source = &relay->sides[side];
	int error = 0;

	source->is_readable = false;
	if (relay->session.legs[side].loss != LOSS_NONE) {
		exhaust(relay, side);
		return;
	}
	if (source->is_faulty)
		error = sock_take_error(relay->session.legs[side].fd);
	source->is_faulty = false;
	if (error == 0 || error == -EPIPE || source->is_ended)
		end(relay, side);
	if (error < 0)
		on_read_error(relay, side, error);
}

/* What the pump found at the source of the flow from `side`. */
static void note_source(struct relay *relay, enum side side, const struct pump_report *report)
{
	switch (report->source) {
	case PUMP_SOURCE_MORE:
		break;
	case PUMP_SOURCE_EMPTY:
		relay->sides[side].is_readable = relay->sides[side].is_thorough = false;
		relay->sides[side].is_urgent = false;
		/* Found dead by finback: its socket has no error, and just nothing more to read. */
		if (relay->session.legs[side].loss != LOSS_NONE)
			exhaust(relay, side);
		break;
	case PUMP_SOURCE_END:
		on_read_zero(relay, side);
		break;
	case PUMP_SOURCE_ERROR:
		on_read_error(relay, side, report->source_error);
		break;
	}
}

/* What the pump found at the sink of the flow from `side`. */
static void note_sink(struct relay *relay, enum side side, const struct pump_report *report)
{
	enum side sink = other(side);

	if (report->is_sink_full) {
		relay->sides[sink].is_writable = false;
		relay->session.wishes |= WISH_REARM; /* bytes wait from now on */
	}
	if (report->wrote > 0)
		relay_tell_event(relay, SESSION_WROTE, side, report->wrote);
	if (report->sink_error == -ENOMEM)
		relay_cut(relay, ENDING_LIMITED);
	else if (report->sink_error < 0)
		relay_lose(relay, sink, report->sink_error);
}

/* ---- moving bytes ------------------------------------------------------------------------- */

static unsigned hints_of(const struct relay *relay, enum side side)
{
	const struct relay_side *source = &relay->sides[side];
	unsigned hints = 0;

	/* A read of a UNIX socket stops short behind a descriptor that was passed along, too. */
	if (source->is_thorough || is_unix(relay, side))
		hints |= PUMP_THOROUGH;
	if (source->is_ended)
		hints |= PUMP_END_KNOWN;
	/* What a probe holds of the flow has to go on before its end is told. */
	if (source->is_ended && !source->is_urgent && !source->is_faulty && !probes_of(relay) &&
	    !is_unix(relay, side))
		hints |= PUMP_END_NEAR;
	if (source->is_urgent || relay->session.legs[side].loss != LOSS_NONE)
		hints |= PUMP_COPY;
	return hints;
}

/* The flow from `side`, for the pump. */
static struct pump_flow flow_of(struct relay *relay, enum side side)
{
	return (struct pump_flow){
		.source = relay->session.legs[side].fd,
		.sink = relay->session.legs[other(side)].fd,
		.limit = policy_of(relay)->buffer_bytes,
		.hints = hints_of(relay, side),
		.gait = &relay->sides[side].gait,
		.rest = rest_of(relay, side),
	};
}

/* What the pump has left of a flow. Without memory to know it by it is lost, as it is where the
 * pump has none. */
static void note_rest(struct relay *relay, enum side side, struct rest *rest,
		      struct pump_report *report)
{
	if (rest != rest_of(relay, side) && relay_hold(relay, side, rest) < 0)
		report->sink_error = -ENOMEM;
}

static void flush(struct relay *relay, enum side side)
{
	struct pump_flow flow = flow_of(relay, side);
	struct pump_report report;

	pump_flush(&relay->lane->relays->pump, &flow, &report);
	note_rest(relay, side, flow.rest, &report);
	note_sink(relay, side, &report);
}

void relay_pass(struct relay *relay, enum side side, const unsigned char *bytes, size_t size)
{
	struct pump_flow flow = flow_of(relay, side);
	struct pump_report report;

	pump_put(&relay->lane->relays->pump, &flow, bytes, size, &report);
	note_rest(relay, side, flow.rest, &report);
	relay_tell_event(relay, SESSION_READ, side, (uint32_t)size);
	counters_add(counters_of(relay), COUNTER_BYTES + side, size);
	note_sink(relay, side, &report);
}

static void carry(struct relay *relay, enum side side)
{
	struct relay_reading reading = { relay, side };
	const struct pump_filter filter = { relay_probe_pass, &reading };
	struct pump_flow flow = flow_of(relay, side);
	struct pump_report report;

	if (probes_of(relay)) { /* what a probe held comes on top */
		flow.limit -= PROBE_HELD_MAX;
		flow.filter = &filter;
	}
	pump_carry(&relay->lane->relays->pump, &flow, &report);
	note_rest(relay, side, flow.rest, &report);
	if (report.read > 0) {
		relay_tell_event(relay, SESSION_READ, side, report.read);
		counters_add(counters_of(relay), COUNTER_BYTES + side, report.read);
	}
	note_sink(relay, side, &report);
	note_source(relay, side, &report);
}

static void discard(struct relay *relay, enum side side)
{
	struct pump_report report;

	pump_discard(&relay->lane->relays->pump, relay->session.legs[side].fd, &report);
	note_source(relay, side, &report);
}

/* One turn of the flow from `side`. Returns whether anything was tried. */
static bool move_flow(struct relay *relay, enum side side)
{
	const struct session *session = &relay->session;

	if (session_wants_write(session, other(side))) {
		if (!relay->sides[other(side)].is_writable)
			return false;
		flush(relay, side);
		return true;
	}
	if (!relay->sides[side].is_readable)
		return false;
	if (session_wants_read(session, side)) {
		carry(relay, side);
		return true;
	}
	if (session_wants_discard(session, side)) {
		discard(relay, side);
		return true;
	}
	return false;
}

/* An error that no read has met: its reader is stopped, by back-pressure or by a FIN before. */
static bool take_faults(struct relay *relay)
{
	bool is_lost = false;

	for (int side = CLIENT; side < SIDES; side++) {
		if (relay->sides[side].is_faulty && relay->session.phase != SESSION_OVER) {
			relay_take_fault(relay, (enum side)side);
			is_lost = true;
		}
	}
	return is_lost;
}

static void leave_for_later(struct relay *relay)
{
	struct relays *relays = relay->lane->relays;

	if (relay->is_pending)
		return;
	relay->is_pending = true;
	relay_push(&relays->pending, relay);
	ev_idle_start(relays->loop, &relays->unfinished);
}

static void move(struct relay *relay)
{
	for (int turn = 0; turn < STEP_READS; turn++) {
		bool is_client_moved = move_flow(relay, CLIENT);
		bool is_server_moved = move_flow(relay, SERVER);

		if (!is_client_moved && !is_server_moved && !take_faults(relay))
			return;
	}
	if (relay->session.phase != SESSION_OVER)
		leave_for_later(relay);
}

/* ---- the step -------------------------------------------------------------------------------- */

static void send_fin(struct relay *relay, enum side side)
{
	int error = sock_finish(relay->session.legs[side].fd);

	if (error == 0 && !relay->session.is_discarding)
		counters_add(counters_of(relay), COUNTER_FINS + other(side), 1);
	/* ENOTCONN: the peer reset the connection, and its error may have been taken already. */
	if (error < 0 && relay->session.legs[side].loss == LOSS_NONE)
		relay_lose(relay, side, error == -ENOTCONN ? -ECONNRESET : error);
}

static void carry_out(struct relay *relay, unsigned wishes)
{
	for (int side = CLIENT; side < SIDES; side++) {
		if (wishes & WISH_FIN(side))
			send_fin(relay, (enum side)side);
		if (wishes & WISH_DISCARD(side))
			relay_drop_rest(relay, (enum side)side);
	}
	if (wishes & (WISH_NEXT_SERVER | WISH_ABANDON_SERVER))
		relay_drop_server(relay);
	if (wishes & WISH_NEXT_SERVER)
		relay_start_attempt(relay);
	if (wishes & WISH_LOOK)
		relay_look_both(relay);
}

/* Where others count this session, now that the step is done. */
static void count_state(struct relay *relay)
{
	enum session_state state = session_state(&relay->session);

	if (state == relay->counted)
		return;
	counters_move(counters_of(relay), (enum session_state)relay->counted, state);
	relay->counted = state & 7;
}

/* What all sessions of the worker hold, for any thread to read. */
static void publish_held(struct relays *relays)
{
	const struct pump *pump = &relays->pump;

	atomic_store_explicit(&relays->buffer_bytes, pump->rest_bytes, memory_order_relaxed);
	atomic_store_explicit(&relays->pipes, pump->pipes.open - pump->pipes.idle_count,
			      memory_order_relaxed);
	atomic_store_explicit(&relays->open_pipes, pump->pipes.open, memory_order_relaxed);
}

/* Takes in what the sockets say and does what follows from it, until nothing more follows. */
void relay_step(struct relay *relay)
{
	bool is_rearmed = false;

	for (;;) {
		unsigned wishes;

		if (relay->session.phase == SESSION_CONNECTING)
			relay_watch_connect(relay);
		if (relay->session.phase != SESSION_CONNECTING)
			move(relay);
		wishes = session_take_wishes(&relay->session);
		is_rearmed |= (wishes & WISH_REARM) != 0;
		if (relay->session.phase == SESSION_OVER)
			break;
		if ((wishes & ~(unsigned)WISH_REARM) == 0)
			break;
		carry_out(relay, wishes);
	}
	if (relay->session.phase == SESSION_OVER) {
		relay_end(relay);
	} else {
		count_state(relay);
		relay_limits_step(relay);
	}
	publish_held(relay->lane->relays);
	if (relay->session.phase != SESSION_OVER && is_rearmed)
		relay_arm(relay);
}

void relay_on_ready(struct relay *relay, enum side side, unsigned ready)
{
	const unsigned news = READY_FIN | READY_HUP | READY_ERROR | READY_URGENT;
	struct relay_side *here = &relay->sides[side];

	here->is_readable |= (ready & (READY_READ | news)) != 0;
	here->is_thorough |= (ready & news) != 0;
	here->is_urgent |= (ready & READY_URGENT) != 0;
	here->is_writable |= (ready & READY_WRITE) != 0;
	here->is_faulty |= (ready & READY_ERROR) != 0;
	here->is_ended |= (ready & READY_FIN) != 0 && (ready & READY_ERROR) == 0 &&
			  relay->session.legs[side].loss == LOSS_NONE;
	/* The acknowledgement of our FIN comes as readiness of the socket it went to. Before the
	 * last phase nobody waits for it. */
	if (relay->session.legs[side].has_fin_sent && !here->is_faulty &&
	    relay->session.phase != SESSION_RELAYING)
		relay_look(relay, side);
	relay_step(relay);
}
