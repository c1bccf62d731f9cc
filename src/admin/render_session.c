/*
 * Sessions as JSON, written at once: there may be ten thousand in one answer.
 *
 * Every string goes through text_append_json, but for words of our own, which are plain.
 */
#include <finback/admin/explain.h>
#include <finback/admin/render.h>

#include <string.h>

#include "render_private.h"

#define SECOND_US INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)
#define NS_PER_US 1000

/* A word of our own, which needs no escape. */
static void append_word(struct text *text, const char *word)
{
	TEXT_APPEND(text, "\"");
	text_append(text, word, strlen(word));
	TEXT_APPEND(text, "\"");
}

/* Seconds, or null for what has not been: `is_known` is false. */
static void append_span(struct text *text, bool is_known, int64_t us)
{
	if (is_known)
		text_append_seconds(text, us);
	else
		TEXT_APPEND(text, "null");
}

static void append_closer(struct text *text, enum closer closer)
{
	if (closer == CLOSER_NONE)
		TEXT_APPEND(text, "null");
	else
		append_word(text, closer_name(closer));
}

/* ---- live -------------------------------------------------------------------------------- */

static void append_tcp(struct text *text, const struct tcp_facts *tcp)
{
	if (tcp->state == 0) {
		TEXT_APPEND(text, "null");
		return;
	}
	TEXT_APPEND(text, "{\"state\":");
	append_word(text, tcp_state_name(tcp->state));
	TEXT_APPEND(text, ",\"rtt_us\":");
	text_append_number(text, tcp->rtt_us);
	TEXT_APPEND(text, ",\"unacked_bytes\":");
	text_append_number(text, tcp->unacked_bytes);
	TEXT_APPEND(text, ",\"unsent_bytes\":");
	text_append_number(text, tcp->unsent_bytes);
	TEXT_APPEND(text, ",\"unread_bytes\":");
	text_append_number(text, tcp->unread_bytes);
	TEXT_APPEND(text, ",\"retransmits\":");
	text_append_number(text, tcp->retransmits);
	TEXT_APPEND(text, ",\"total_retransmits\":");
	text_append_number(text, tcp->total_retransmits);
	TEXT_APPEND(text, ",\"probes\":");
	text_append_number(text, tcp->probes);
	TEXT_APPEND(text, ",\"last_heard_ms\":");
	text_append_number(text, tcp->last_heard_ms);
	TEXT_APPEND(text, "}");
}

static void append_probe(struct text *text, const struct session_view *view, enum side side)
{
	const struct probe_view *probe = &view->probes[side];
	bool is_awaiting = probe->mode == PROBE_AWAITING;

	if (!probe->is_on) {
		TEXT_APPEND(text, "null");
		return;
	}
	TEXT_APPEND(text, "{\"protocol\":");
	append_word(text, probe_protocol_name((enum probe_protocol)probe->protocol));
	TEXT_APPEND(text, ",\"mode\":");
	append_word(text, probe_mode_name((enum probe_mode)probe->mode));
	TEXT_APPEND(text, ",\"sent\":");
	text_append_number(text, probe->sent);
	TEXT_APPEND(text, ",\"replies\":");
	text_append_number(text, probe->replies);
	TEXT_APPEND(text, ",\"last_reply_s\":");
	append_span(text, probe->answered_us != 0, view->now_us - probe->answered_us);
	TEXT_APPEND(text, ",\"awaiting_s\":");
	append_span(text, is_awaiting, view->now_us - probe->sent_us);
	TEXT_APPEND(text, ",\"next_in_s\":");
	append_span(text, !is_awaiting && probe->due_us != 0, probe->due_us - view->now_us);
	TEXT_APPEND(text, "}");
}

/* One side, with the flow that comes from it. */
static void append_side(struct text *text, const struct session_view *view, enum side side)
{
	const struct flow *flow = &view->session.flows[side];

	TEXT_APPEND(text, "{\"address\":");
	render_endpoint(text, &view->peers[side]);
	if (!view->is_brief) {
		TEXT_APPEND(text, ",\"local_address\":");
		render_endpoint(text, &view->locals[side]);
	}
	TEXT_APPEND(text, ",\"flow\":");
	append_word(text, flow_state_name((enum flow_state)flow->state));
	TEXT_APPEND(text, ",\"bytes\":");
	text_append_number(text, flow->bytes);
	TEXT_APPEND(text, ",\"idle_s\":");
	append_span(text, flow->bytes > 0, view->now_us - moment_us(flow->progressed));
	TEXT_APPEND(text, ",\"ended_s\":");
	append_span(text, moment_us(flow->ended) != 0, view->now_us - moment_us(flow->ended));
	TEXT_APPEND(text, ",\"held_bytes\":");
	text_append_number(text, flow->held);
	if (!view->is_brief) {
		TEXT_APPEND(text, ",\"tcp\":");
		append_tcp(text, &view->tcp[side]);
		TEXT_APPEND(text, ",\"dead_after_s\":");
		append_span(text, view->dead_after_us[side] > 0, view->dead_after_us[side]);
		TEXT_APPEND(text, ",\"probe\":");
		append_probe(text, view, side);
	}
	TEXT_APPEND(text, "}");
}

/* Since a byte moved or was acknowledged; where none ever was, since the start. */
static int64_t idle_us(const struct session_view *view)
{
	int64_t since_us = session_progress_us(&view->session);

	if (since_us < moment_us(view->session.accepted))
		since_us = moment_us(view->session.accepted);
	return view->now_us - since_us;
}

static void append_half_closed(struct text *text, const struct session_view *view)
{
	const struct session *session = &view->session;
	int64_t half_closed_us = session_half_closed_us(session);
	int64_t closing_us = session_closing_us(session);
	int64_t until_us = closing_us != 0 ? closing_us : view->now_us;

	TEXT_APPEND(text, ",\"half_closed_s\":");
	append_span(text, half_closed_us != 0, until_us - half_closed_us);
}

static void append_ending_in(struct text *text, const struct session_view *view)
{
	TEXT_APPEND(text, ",\"ending_in\":");
	if (view->ending.deadline == DEADLINE_NONE) {
		TEXT_APPEND(text, "null");
		return;
	}
	TEXT_APPEND(text, "{\"deadline\":");
	append_word(text, deadline_name(view->ending.deadline));
	TEXT_APPEND(text, ",\"in_s\":");
	text_append_seconds(text, view->ending.at_us - view->now_us);
	TEXT_APPEND(text, "}");
}

static void append_explanation(struct text *text, const struct session_view *view)
{
	char explanation[EXPLANATION_MAX];

	explain_session(view, explanation);
	TEXT_APPEND(text, ",\"explanation\":");
	text_append_json(text, explanation);
}

/* What live sessions and those that have ended begin with. */
static void append_names(struct text *text, uint64_t id, const char *listener, const char *pool,
			 const char *server_name)
{
	TEXT_APPEND(text, "{\"id\":");
	text_append_number(text, id);
	TEXT_APPEND(text, ",\"listener\":");
	text_append_json(text, listener);
	TEXT_APPEND(text, ",\"pool\":");
	text_append_json(text, pool);
	TEXT_APPEND(text, ",\"server_name\":");
	text_append_json(text, server_name);
}

void render_session(struct text *text, const struct session_view *view)
{
	const struct session *session = &view->session;

	append_names(text, session->id, view->listener, view->pool, view->server_name);
	TEXT_APPEND(text, ",\"state\":");
	append_word(text, session_state_name(session_state(session)));
	TEXT_APPEND(text, ",\"worker\":");
	text_append_number(text, view->worker);
	TEXT_APPEND(text, ",\"age_s\":");
	text_append_seconds(text, view->now_us - moment_us(session->accepted));
	TEXT_APPEND(text, ",\"idle_s\":");
	text_append_seconds(text, idle_us(view));
	append_half_closed(text, view);
	TEXT_APPEND(text, ",\"connects\":");
	text_append_number(text, session->connects);
	TEXT_APPEND(text, ",\"first_closer\":");
	append_closer(text, session->closer);
	append_ending_in(text, view);
	if (!view->is_brief)
		append_explanation(text, view);
	TEXT_APPEND(text, ",\"client\":");
	append_side(text, view, CLIENT);
	TEXT_APPEND(text, ",\"server\":");
	append_side(text, view, SERVER);
	TEXT_APPEND(text, "}");
}

/* ---- ended ------------------------------------------------------------------------------- */

static struct timespec earlier_by(struct timespec time, int64_t us)
{
	time.tv_sec -= us / SECOND_US;
	time.tv_nsec -= us % SECOND_US * NS_PER_US;
	if (time.tv_nsec < 0) {
		time.tv_sec--;
		time.tv_nsec += SECOND_NS;
	}
	return time;
}

/* What it ended of. */
static void append_cause(struct text *text, const struct ended_view *view)
{
	TEXT_APPEND(text, ",\"state\":\"ended\",\"ending\":");
	append_word(text, ending_name((enum ending)view->ending));
	TEXT_APPEND(text, ",\"first_closer\":");
	append_closer(text, (enum closer)view->closer);
	TEXT_APPEND(text, ",\"detail\":");
	text_append_json(text, view->error != 0 ? strerrordesc_np(-view->error) : NULL);
	TEXT_APPEND(text, ",\"detector\":");
	if (view->detector < DETECTORS)
		append_word(text, detector_name((enum detector)view->detector));
	else
		TEXT_APPEND(text, "null");
}

static void append_ended_side(struct text *text, const struct ended_view *view, enum side side)
{
	TEXT_APPEND(text, "{\"address\":");
	render_endpoint(text, &view->peers[side]);
	TEXT_APPEND(text, ",\"bytes\":");
	text_append_number(text, view->bytes[side]);
	TEXT_APPEND(text, "}");
}

void render_ended(struct text *text, const struct ended_view *view, int64_t now_us,
		  struct timespec now)
{
	int64_t ago_us = now_us > view->ended_us ? now_us - view->ended_us : 0;
	char ended[RENDER_TIME_MAX];

	append_names(text, view->id, view->listener, view->pool, view->server_name);
	append_cause(text, view);
	TEXT_APPEND(text, ",\"ended\":");
	append_word(text, render_time(earlier_by(now, ago_us), ended));
	TEXT_APPEND(text, ",\"ago_s\":");
	text_append_seconds(text, ago_us);
	TEXT_APPEND(text, ",\"age_s\":");
	text_append_seconds(text, view->lived_us);
	TEXT_APPEND(text, ",\"half_closed_s\":");
	append_span(text, view->half_closed_us >= 0, view->half_closed_us);
	TEXT_APPEND(text, ",\"connect_s\":");
	append_span(text, view->connect_us >= 0, view->connect_us);
	TEXT_APPEND(text, ",\"connects\":");
	text_append_number(text, view->connects);
	TEXT_APPEND(text, ",\"client\":");
	append_ended_side(text, view, CLIENT);
	TEXT_APPEND(text, ",\"server\":");
	append_ended_side(text, view, SERVER);
	TEXT_APPEND(text, "}");
}
