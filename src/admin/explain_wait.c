/*
 * What waits in a session, for whom, and what the kernel knows of it.
 *
 * Invariant: bytes have waited at least since the last one of their flow moved, so that is the time
 * given; and what the kernel holds is said of its own facts alone.
 *
 * An application probe is no byte of any flow, so what the kernel holds may be more than what a
 * side sent.
 *
 * Surprising: finback looks only now and then at what is acknowledged, so what a session's record
 * says of that may be old. Only that nothing is unacknowledged stays true until more is written.
 */
#include <finback/engine/vigil.h>

#include "explain_private.h"

#define MS_US INT64_C(1000)
/* One retransmission, or one probe, is nothing yet. */
#define TROUBLE 2

/* ---- what the view shows ------------------------------------------------------------------------
 */

bool is_asked(const struct session_view *view, enum side side)
{
	return !view->is_brief && view->tcp[side].state != 0;
}

uint64_t in_kernel(const struct session_view *view, enum side side)
{
	const struct tcp_facts *tcp = &view->tcp[side];

	return is_asked(view, side) ? (uint64_t)tcp->unacked_bytes + tcp->unsent_bytes : 0;
}

uint64_t unread_from(const struct session_view *view, enum side side)
{
	return is_asked(view, side) ? view->tcp[side].unread_bytes : 0;
}

/* When the last byte towards `sink`, or the FIN behind it, moved. */
static int64_t moved_us(const struct session_view *view, enum side sink)
{
	const struct flow *flow = flow_to(view, sink);

	if (leg_of(view, sink)->has_fin_sent &&
	    moment_us(flow->ended) > moment_us(flow->progressed))
		return moment_us(flow->ended);
	return moment_us(flow->progressed);
}

bool is_still(const struct session_view *view, enum side sink)
{
	return view->now_us - moved_us(view, sink) >= EXPLAIN_STILL_US;
}

/* What of that which the kernel holds the other side sent, its FIN included. */
static uint64_t sent_in_kernel(const struct session_view *view, enum side sink)
{
	return session_sent_of(&view->session, sink, (uint32_t)in_kernel(view, sink));
}

/* Since when all that is on its way to `sink` has waited. */
static int64_t waiting_us(const struct session_view *view, enum side sink)
{
	if (in_kernel(view, sink) > 0 && sent_in_kernel(view, sink) == 0)
		return moment_us(leg_of(view, sink)->waiting); /* a probe */
	return moved_us(view, sink);
}

static bool has_waited(const struct session_view *view, enum side sink)
{
	return view->now_us - waiting_us(view, sink) >= EXPLAIN_STILL_US;
}

bool is_stuck(const struct session_view *view, enum side sink)
{
	const struct tcp_facts *tcp = &view->tcp[sink];

	if (in_kernel(view, sink) > 0 && (tcp->retransmits >= TROUBLE || tcp->probes >= TROUBLE))
		return true;
	return has_waited(view, sink) &&
	       (flow_to(view, sink)->held > 0 || in_kernel(view, sink) > 0);
}

/* The kernel has had bytes for a while that it may not send, and none are on their way. */
static bool is_shut(const struct session_view *view, enum side sink)
{
	return is_asked(view, sink) && has_waited(view, sink) &&
	       view->tcp[sink].unacked_bytes == 0 && view->tcp[sink].unsent_bytes > 0;
}

/* While something is unacknowledged, the kernel sends no keepalive probes. */
unsigned vain_probes(const struct session_view *view, enum side side)
{
	return is_asked(view, side) && in_kernel(view, side) == 0 ? view->tcp[side].probes : 0;
}

bool is_heard_since(const struct session_view *view, enum side side)
{
	int64_t heard_us = view->now_us - view->tcp[side].last_heard_ms * MS_US;

	return is_asked(view, side) && heard_us > moved_us(view, side) + EXPLAIN_STILL_US &&
	       heard_us > moment_us(flow_from(view, side)->progressed) + EXPLAIN_STILL_US;
}

struct words since_heard(const struct session_view *view, enum side side)
{
	return words_duration(view->tcp[side].last_heard_ms * MS_US);
}

static unsigned unanswered(const struct session_view *view, enum side side)
{
	return vigil_unanswered(view->tcp[side].retransmits, view->tcp[side].probes);
}

void say_verdict(struct sentence *sentence, const struct session_view *view, enum side side)
{
	int64_t dead_after_us = view->dead_after_us[side];

	if (dead_after_us == 0 || unanswered(view, side) == 0)
		return;
	if (view->tcp[side].last_heard_ms * MS_US < dead_after_us)
		SAY(sentence, ", taken for dead after ", words_duration(dead_after_us).text,
		    " of silence");
	else if (unanswered(view, side) < VIGIL_UNANSWERED && in_kernel(view, side) > 0)
		SAY(sentence, ", taken for dead once ", words_number(VIGIL_UNANSWERED).text,
		    " in a row are unanswered");
	else
		SAY(sentence, ", about to be taken for dead");
}

/* ---- a flow that waits --------------------------------------------------------------------------
 */

/* " (no room in its receive window, 3 probes unanswered, last heard 14 s ago)": why the kernel
 * still has what it holds for this side, where its facts tell. */
static void say_cause(struct sentence *sentence, const struct session_view *view, enum side side)
{
	const struct tcp_facts *tcp = &view->tcp[side];
	bool is_without_room = is_shut(view, side);

	if (in_kernel(view, side) == 0 ||
	    (!is_without_room && tcp->retransmits == 0 && tcp->probes == 0))
		return;
	SAY(sentence, " (", is_without_room ? "no room in its receive window, " : "");
	if (tcp->retransmits > 0)
		SAY(sentence, words_unanswered(tcp->retransmits, "retransmission").text, ", ");
	else if (tcp->probes > 0)
		SAY(sentence, words_unanswered(tcp->probes, "probe").text, ", ");
	SAY(sentence, "last heard ", since_heard(view, side).text, " ago");
	say_verdict(sentence, view, side);
	SAY(sentence, ")");
}

/* What the kernel holds for `sink`, which is not nothing. */
static void say_content(struct sentence *sentence, const struct session_view *view, enum side sink)
{
	uint64_t sent = sent_in_kernel(view, sink);
	bool has_fin = sent > 0 && leg_of(view, sink)->has_fin_sent;
	bool is_last = has_fin || view->session.phase == SESSION_CUTTING;
	uint64_t bytes = sent - has_fin;
	const char *source = side_name(other(sink));

	if (sent == 0)
		SAY(sentence, "a probe");
	else if (bytes == 0)
		SAY(sentence, "the FIN");
	else if (!is_last)
		SAY(sentence, words_size(bytes).text, " from the ", source);
	else
		SAY(sentence, "the ", source, "'s last ", words_size(bytes).text,
		    has_fin ? " and the FIN" : "");
}

/* Where the held bytes stand: what of the flow is before them, and what behind. */
static void say_place(struct sentence *sentence, const struct session_view *view, enum side sink)
{
	uint64_t ahead = in_kernel(view, sink);
	uint64_t behind = unread_from(view, other(sink));

	if (ahead > 0)
		SAY(sentence, ", with ", words_size(ahead).text, " ahead");
	if (behind > 0)
		SAY(sentence, ahead > 0 ? " and " : ", with ", words_size(behind).text,
		    " unread behind");
	if (ahead > 0 || behind > 0)
		SAY(sentence, " in the kernel");
}

static void say_held(struct sentence *sentence, const struct session_view *view, enum side sink)
{
	const struct flow *flow = flow_to(view, sink);

	SAY(sentence, "finback waits for the ", side_name(sink), " to take ",
	    flow_has_ended(flow) ? "the last " : "", words_size(flow->held).text, " from the ",
	    side_name(other(sink)));
	if (is_still(view, sink))
		SAY(sentence, ", held for ", since(view, moved_us(view, sink)).text);
	if (!is_stuck(view, other(sink))) /* else there is enough to say */
		say_place(sentence, view, sink);
	say_cause(sentence, view, sink);
}

/* Nothing is held: all that was read is in the kernel. */
static void say_unacked(struct sentence *sentence, const struct session_view *view, enum side sink)
{
	SAY(sentence, "the ", side_name(sink), " has not acknowledged ");
	say_content(sentence, view, sink);
	if (has_waited(view, sink))
		SAY(sentence, " for ", since(view, waiting_us(view, sink)).text);
	say_cause(sentence, view, sink);
}

void say_waiting(struct sentence *sentence, const struct session_view *view, enum side sink)
{
	if (flow_to(view, sink)->held > 0)
		say_held(sentence, view, sink);
	else
		say_unacked(sentence, view, sink);
}

bool say_last_of(struct sentence *sentence, const struct session_view *view, enum side side)
{
	if (is_stuck(view, side) || flow_to(view, side)->held > 0) {
		SAY(sentence, "; ");
		say_waiting(sentence, view, side);
	} else if (in_kernel(view, side) > 0) {
		SAY(sentence, "; finback waits for the ", side_name(side), " to acknowledge ");
		say_content(sentence, view, side);
	} else if (!is_asked(view, side) && !leg_of(view, side)->is_acked) {
		SAY(sentence, "; finback waits for the ", side_name(side),
		    " to acknowledge the last of what went to it");
	} else {
		return false;
	}
	return true;
}

/* ---- a side that may still send -----------------------------------------------------------------
 */

static bool is_sending(const struct session_view *view, enum side side)
{
	const struct flow *flow = flow_from(view, side);

	return flow->bytes > 0 && view->now_us - moment_us(flow->progressed) < EXPLAIN_STILL_US;
}

void say_sending(struct sentence *sentence, const struct session_view *view, enum side side)
{
	const struct flow *flow = flow_from(view, side);

	if (flow->bytes == 0)
		SAY(sentence, "has sent nothing yet");
	else if (is_sending(view, side))
		SAY(sentence, "is still sending: ", words_size(flow->bytes).text,
		    " so far, the last of it ", since(view, moment_us(flow->progressed)).text,
		    " ago");
	else
		SAY(sentence, "has sent nothing for ",
		    since(view, moment_us(flow->progressed)).text);
}

void say_whether_alive(struct sentence *sentence, const struct session_view *view, enum side side)
{
	unsigned probes = vain_probes(view, side);

	if (is_sending(view, side))
		return;
	if (probes > 0) {
		SAY(sentence, " (", words_unanswered(probes, "keepalive probe").text,
		    ", last heard ", since_heard(view, side).text, " ago");
		say_verdict(sentence, view, side);
		SAY(sentence, ")");
	} else if (is_heard_since(view, side)) {
		SAY(sentence, ", though it was heard ", since_heard(view, side).text, " ago");
	}
}
