/*
 * A session in one sentence: clauses joined by semicolons, the last of which is the next deadline.
 *
 * Invariant: nothing is claimed that the view does not show.
 *
 * Surprising: which deadline comes next may change without an event. What the kernel gets
 * acknowledged pushes it on, and finback finds that out when it looks.
 */
#include <finback/admin/explain.h>
#include <finback/io/address.h>

#include <netinet/tcp.h>
#include <string.h>

#include "explain_private.h"

/* ---- connecting ---------------------------------------------------------------------------------
 */

static void say_server(struct sentence *sentence, const struct session_view *view)
{
	struct endpoint peer = view->peers[SERVER];
	char address[ADDRESS_TEXT_MAX];

	if (!view->server_name) {
		SAY(sentence, "a server");
		return;
	}
	SAY(sentence, words_name(view->server_name).text);
	if (peer.family == ENDPOINT_NONE || peer.family == ENDPOINT_UNIX)
		return;
	peer.scope = 0; /* the name of a zone would take a system call */
	if (strcmp(endpoint_format(&peer, address, sizeof address), view->server_name) != 0)
		SAY(sentence, " (", address, ")");
}

static void say_attempt(struct sentence *sentence, const struct session_view *view)
{
	const struct session *session = &view->session;
	const struct tcp_facts *tcp = &view->tcp[SERVER];

	SAY(sentence, view->is_retrying ? "finback has been trying to connect to "
					: "finback has been connecting to ");
	say_server(sentence, view);
	SAY(sentence, " for ", since(view, moment_us(session->attempted_or_connected)).text);
	if (session->connects > 0)
		SAY(sentence, " (attempt ", words_number(session->connects).text, ")");
	if (view->is_retrying)
		SAY(sentence, " and will try again in a moment: ",
		    is_unix(view, SERVER) ? "the server's backlog is full, or " : "",
		    "finback has no descriptor or no memory left");
	else if (is_asked(view, SERVER) && tcp->state == TCP_SYN_SENT && tcp->retransmits > 0)
		SAY(sentence, ", ", words_unanswered(tcp->retransmits + 1U, "SYN").text);
}

/* Who was there and is not any more: it was cut off. */
static const char *loss_words(const struct session_view *view, enum side side)
{
	if (leg_of(view, side)->loss == LOSS_DEAD)
		return "was found dead";
	/* A UNIX socket has no reset. */
	return is_unix(view, side) ? "broke the connection off" : "reset the connection";
}

/* What the client does meanwhile. It is not read yet, so its bytes are still in the kernel. */
static void say_early_client(struct sentence *sentence, const struct session_view *view)
{
	uint64_t bytes = unread_from(view, CLIENT);
	bool is_lost = leg_of(view, CLIENT)->loss != LOSS_NONE;
	bool has_ended = is_asked(view, CLIENT) && view->tcp[CLIENT].state == TCP_CLOSE_WAIT;

	if (is_lost)
		SAY(sentence, "the client ", loss_words(view, CLIENT), " meanwhile");
	else if (has_ended)
		SAY(sentence, "the client has already finished sending");
	else if (bytes > 0)
		SAY(sentence, "the client has already sent ", words_size(bytes).text);
	else if (view->session.has_spoken)
		SAY(sentence, "the client has already sent something, or finished");
	else
		SAY(sentence, "the client has sent nothing yet");
	if (bytes > 0 && (is_lost || has_ended))
		SAY(sentence, ", and its ", words_size(bytes).text, " will still go to the server");
}

static void say_connecting(struct sentence *sentence, const struct session_view *view)
{
	say_attempt(sentence, view);
	SAY(sentence, "; ");
	say_early_client(sentence, view);
}

/* ---- both directions open -----------------------------------------------------------------------
 */

/* Whether bytes came from this side and moved just now. */
static bool is_moving(const struct session_view *view, enum side source)
{
	return flow_from(view, source)->bytes > 0 && !is_still(view, other(source));
}

/* At least one flow moves. */
static void say_moving(struct sentence *sentence, const struct session_view *view)
{
	enum side source = is_moving(view, CLIENT) ? CLIENT : SERVER;
	struct words client = since(view, moment_us(flow_from(view, CLIENT)->progressed));
	struct words server = since(view, moment_us(flow_from(view, SERVER)->progressed));

	if (is_moving(view, CLIENT) && is_moving(view, SERVER)) {
		SAY(sentence, "bytes move in both directions, the last one from the client ",
		    client.text, " ago and from the server ", server.text, " ago");
		return;
	}
	SAY(sentence, "bytes move from the ", side_name(source), " to the ",
	    side_name(other(source)), ", the last one ",
	    source == CLIENT ? client.text : server.text, " ago; the ", side_name(other(source)),
	    " ");
	say_sending(sentence, view, other(source));
}

/* ", the last byte from the client", where that can be told. */
static void say_last_byte(struct sentence *sentence, const struct session_view *view)
{
	const struct flow *client = flow_from(view, CLIENT);
	const struct flow *server = flow_from(view, SERVER);

	if (server->bytes == 0 ||
	    (client->bytes > 0 && moment_us(client->progressed) > moment_us(server->progressed)))
		SAY(sentence, ", the last byte from the client");
	else if (client->bytes == 0 ||
		 moment_us(client->progressed) < moment_us(server->progressed))
		SAY(sentence, ", the last byte from the server");
}

static void say_signs_of_life(struct sentence *sentence, const struct session_view *view)
{
	bool is_any = false;

	for (enum side side = CLIENT; side < SIDES; side++) {
		unsigned probes = vain_probes(view, side);

		if (probes == 0 && !is_heard_since(view, side))
			continue;
		SAY(sentence, is_any ? ", the " : "; the ", side_name(side),
		    is_any ? " " : " was heard ", since_heard(view, side).text, " ago");
		if (probes > 0) {
			SAY(sentence, " (", words_unanswered(probes, "keepalive probe").text);
			say_verdict(sentence, view, side);
			SAY(sentence, ")");
		}
		is_any = true;
	}
}

/* Nothing moves in either direction, and nothing waits. */
static void say_idle(struct sentence *sentence, const struct session_view *view)
{
	const struct flow *client = flow_from(view, CLIENT);
	const struct flow *server = flow_from(view, SERVER);
	int64_t last_us = later(moment_us(client->progressed), moment_us(server->progressed));

	if (client->bytes == 0 && server->bytes == 0) {
		SAY(sentence, "the server was connected ", since(view, last_us).text,
		    " ago and neither side has sent anything yet");
	} else {
		SAY(sentence, "both directions are open and nothing has moved for ",
		    since(view, last_us).text);
		say_last_byte(sentence, view);
	}
	say_signs_of_life(sentence, view);
}

static void say_open(struct sentence *sentence, const struct session_view *view)
{
	bool is_any_stuck = false;

	for (int sink = SERVER; sink >= CLIENT; sink--) {
		if (!is_stuck(view, (enum side)sink))
			continue;
		SAY(sentence, is_any_stuck ? "; " : "both directions are open; ");
		say_waiting(sentence, view, (enum side)sink);
		is_any_stuck = true;
	}
	if (is_any_stuck)
		return;
	if (is_moving(view, CLIENT) || is_moving(view, SERVER))
		say_moving(sentence, view);
	else
		say_idle(sentence, view);
}

/* ---- one direction open -------------------------------------------------------------------------
 */

/* What `side` did with all that went towards it, where that is known. */
static const char *reception(const struct session_view *view, enum side side)
{
	if (is_unix(view, side))
		return "was handed everything and ";
	if (is_asked(view, side) ? in_kernel(view, side) == 0 : leg_of(view, side)->is_acked)
		return "acknowledged everything and ";
	return "";
}

static void say_half_closed(struct sentence *sentence, const struct session_view *view,
			    enum side ended)
{
	enum side running = other(ended);
	bool is_end_waiting = flow_from(view, ended)->held > 0 || is_stuck(view, running);

	SAY(sentence, "the ", side_name(ended), " finished sending ",
	    since(view, moment_us(flow_from(view, ended)->ended)).text, " ago; ");
	if (is_end_waiting) {
		say_waiting(sentence, view, running);
		SAY(sentence, "; ");
	}
	if (is_stuck(view, ended)) {
		say_waiting(sentence, view, ended);
		return;
	}
	if (is_end_waiting) {
		SAY(sentence, "the ", side_name(running), " ");
		say_sending(sentence, view, running);
		return;
	}
	SAY(sentence, "finback waits for the ", side_name(running), ", which ",
	    reception(view, running));
	say_sending(sentence, view, running);
	say_whether_alive(sentence, view, running);
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static void say_closing(struct sentence *sentence, const struct session_view *view)
{
	bool is_any = false;

	SAY(sentence, "both sides finished sending, the client ",
	    since(view, moment_us(flow_from(view, CLIENT)->ended)).text, " ago and the server ",
	    since(view, moment_us(flow_from(view, SERVER)->ended)).text, " ago");
	for (int side = SERVER; side >= CLIENT; side--)
		is_any |= say_last_of(sentence, view, (enum side)side);
	if (!is_any)
		SAY(sentence, "; everything is acknowledged, and it is about to end");
}

/* Its FIN is still to come. */
static bool is_awaited(const struct session_view *view, enum side side)
{
	return (side == CLIENT || view->session.is_connected) && !leg_of(view, side)->has_fin_read;
}

/* A deadline has ended it with FIN. */
static void say_gentle_end(struct sentence *sentence, const struct session_view *view)
{
	bool is_client = is_awaited(view, CLIENT);
	bool is_server = is_awaited(view, SERVER);
	int waits = 0;

	SAY(sentence, "finback ended it ", since(view, session_closing_us(&view->session)).text,
	    " ago (", ending_name((enum ending)view->session.ending), "), with FIN and no reset");
	waits += say_last_of(sentence, view, SERVER);
	waits += say_last_of(sentence, view, CLIENT);
	if (waits == SIDES)
		return; /* first things first */
	if (is_client && is_server)
		SAY(sentence, "; finback waits for both sides to finish and drops what they send");
	else if (is_client || is_server)
		SAY(sentence, "; finback waits for the ", is_client ? "client" : "server",
		    " to finish and drops what it sends");
}

static void say_loss(struct sentence *sentence, const struct session_view *view, enum side lost)
{
	const struct session *session = &view->session;
	const struct leg *leg = leg_of(view, lost);

	SAY(sentence, "the ", side_name(lost),
	    leg->is_after_fin ? ", which had finished sending, " : " ", loss_words(view, lost));
	if (session_closing_us(session) == session_connected_us(session))
		SAY(sentence, " before the server was connected");
	else
		SAY(sentence, " ", since(view, session_closing_us(session)).text, " ago");
	if (leg->loss == LOSS_DEAD && leg->detector < DETECTORS)
		SAY(sentence, " (", detector_name(leg->detector), ")");
}

/* What came from the lost side and is still on its way. Returns whether there is anything. */
static bool say_rest(struct sentence *sentence, const struct session_view *view, enum side lost)
{
	const struct flow *flow = flow_from(view, lost);
	uint64_t rest = unread_from(view, lost);

	if (flow->held > 0 || is_stuck(view, other(lost)) || flow_has_ended(flow))
		return say_last_of(sentence, view, other(lost));
	if (rest > 1)
		SAY(sentence, "; its last ", words_size(rest).text, " still go to the ");
	else
		SAY(sentence, "; ", rest == 1 ? "its last byte" : "what it sent before",
		    " still goes to the ");
	SAY(sentence, side_name(other(lost)));
	return true;
}

/* A side is lost, and the other one still gets what came before. */
static void say_cutting(struct sentence *sentence, const struct session_view *view)
{
	enum side lost = leg_of(view, CLIENT)->loss != LOSS_NONE ? CLIENT : SERVER;
	const struct leg *survivor = leg_of(view, other(lost));

	say_loss(sentence, view, lost);
	if (say_rest(sentence, view, lost))
		SAY(sentence, "; then it ends as ");
	else
		SAY(sentence, "; it is about to end as ");
	SAY(sentence, ending_name((enum ending)view->session.ending));
	if (survivor->has_fin_read && survivor->has_fin_sent)
		return; /* there is nothing left to reset */
	SAY(sentence, " and the ", side_name(other(lost)),
	    is_unix(view, other(lost)) ? " is closed" : " is reset");
}

/* ---- application probes -------------------------------------------------------------------------
 */

static void say_probe(struct sentence *sentence, const struct session_view *view, enum side side)
{
	const struct probe_view *probe = &view->probes[side];
	int64_t left_us = probe->due_us - view->now_us;

	if (view->is_brief || !probe->is_on || probe->mode != PROBE_AWAITING)
		return;
	SAY(sentence, "; a probe was sent to the ", side_name(side), " ",
	    since(view, probe->sent_us).text, " ago and has no answer yet");
	if (probe->is_fatal && left_us > 0)
		SAY(sentence, ", without which the ", side_name(side), " is dead in ",
		    words_duration(left_us).text);
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

/* Where `idle` does not end a session whose peers are alive. */
static void say_sparing_idle(struct sentence *sentence, const struct session_view *view,
			     int64_t left_us)
{
	int64_t spared_us = session_spared_us(&view->session);
	bool is_spared = spared_us != 0 && spared_us >= session_progress_us(&view->session);

	if (is_spared)
		SAY(sentence, "; spared by idle_spares_alive ", since(view, spared_us).text,
		    " ago, as both peers were known to be alive; idle is due again in ",
		    words_duration(left_us).text);
	else
		SAY(sentence, "; idle is due in ", words_duration(left_us).text,
		    ", and is put off while both peers are known to be alive");
}

static void say_deadline(struct sentence *sentence, const struct session_view *view)
{
	enum deadline deadline = view->ending.deadline;
	int64_t left_us = view->ending.at_us - view->now_us;

	if (deadline >= DEADLINES)
		SAY(sentence, "; no deadline ends it");
	else if (left_us <= 0)
		SAY(sentence, "; ", deadline_name(deadline), " is due now");
	else if (deadline == DEADLINE_IDLE && view->is_sparing_alive)
		say_sparing_idle(sentence, view, left_us);
	else
		SAY(sentence, "; ", deadline_name(deadline),
		    deadline == DEADLINE_CONNECT ? " ends this attempt in " : " ends it in ",
		    words_duration(left_us).text);
}

static void say_relaying(struct sentence *sentence, const struct session_view *view)
{
	if (flow_has_ended(flow_from(view, CLIENT)))
		say_half_closed(sentence, view, CLIENT);
	else if (flow_has_ended(flow_from(view, SERVER)))
		say_half_closed(sentence, view, SERVER);
	else
		say_open(sentence, view);
	say_probe(sentence, view, SERVER);
	say_probe(sentence, view, CLIENT);
}

void explain_session(const struct session_view *view, char text[EXPLANATION_MAX])
{
	struct sentence sentence = { .text = text, .size = EXPLANATION_MAX };

	switch ((enum session_phase)view->session.phase) {
	case SESSION_CONNECTING:
		say_connecting(&sentence, view);
		break;
	case SESSION_RELAYING:
		say_relaying(&sentence, view);
		break;
	case SESSION_CLOSING:
		if (view->session.is_discarding)
			say_gentle_end(&sentence, view);
		else
			say_closing(&sentence, view);
		break;
	case SESSION_CUTTING:
		say_cutting(&sentence, view);
		break;
	case SESSION_OVER:
	case SESSION_PHASES:
		SAY(&sentence, "it is over (", ending_name((enum ending)view->session.ending), ")");
		return;
	}
	say_deadline(&sentence, view);
}
