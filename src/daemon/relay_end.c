/*
 * The end of a session: what was counted, the line in the log, and the sockets.
 *
 * Invariant: it runs once for each session, and every accepted connection comes here.
 *
 * Surprising: closing is all there is to a reset. SO_LINGER {1, 0} makes close(2) send one wherever
 * not both FINs were acknowledged.
 */
#include <finback/engine/counters.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <string.h>

#include "relay_private.h"

static uint64_t ms_between(int64_t from_us, int64_t to_us)
{
	return from_us != 0 && to_us > from_us ? (uint64_t)(to_us - from_us) / 1000 : 0;
}

static struct endpoint local_of(const struct leg *leg)
{
	struct address local = { .length = 0 };

	if (leg->fd >= 0)
		local = sock_local(leg->fd);
	return local.length > 0 ? endpoint_of(&local) : (struct endpoint){ 0 };
}

static int64_t or_else(int64_t value, int64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

enum detector relay_detector(const struct session *session)
{
	if (session->ending == ENDING_CLIENT_DEAD)
		return session->legs[CLIENT].detector;
	if (session->ending == ENDING_SERVER_DEAD)
		return session->legs[SERVER].detector;
	return DETECTORS;
}

/* What the log says of it; asks the sockets for their addresses. */
static struct log_session describe(const struct relay *relay)
{
	const struct session *session = &relay->session;
	enum detector detector = relay_detector(session);
	int64_t now_us = relay->lane->relays->now_us;
	int64_t accepted_us = moment_us(session->accepted);
	int64_t connected_us = session_connected_us(session);
	struct log_session line = {
		.id = session->id,
		.listener = relay->lane->route->listener->name,
		.pool = relay->lane->route->pool->config->name,
		.server_name = pool_server_name(relay->lane->route->pool, relay->server),
		.ending = (enum ending)session->ending,
		.first_closer =
			session->closer == CLOSER_NONE ? NULL : closer_name(session->closer),
		.detector = detector < DETECTORS ? detector_name(detector) : NULL,
		.detail = relay->error == 0 ? NULL : strerrordesc_np(-relay->error),
		.half_closed_ms = ms_between(session_half_closed_us(session),
					     or_else(session_closing_us(session), now_us)),
		.connect_ms = ms_between(accepted_us, or_else(connected_us, now_us)),
		.total_ms = ms_between(accepted_us, now_us),
		.connects = session->connects,
	};

	for (int side = CLIENT; side < SIDES; side++) {
		const struct flow *flow = &session->flows[side];

		line.peers[side] = relay_peer(relay, (enum side)side);
		line.locals[side] = local_of(&session->legs[side]);
		line.bytes[side] = flow->bytes;
		line.flow_ms[side] =
			ms_between(connected_us, or_else(moment_us(flow->ended), now_us));
	}
	return line;
}

static void count_end(const struct relay *relay)
{
	const struct session *session = &relay->session;
	struct counters *counters = counters_of(relay);
	int64_t now_us = relay->lane->relays->now_us;
	int64_t half_closed_us = session_half_closed_us(session);

	counters_end(counters, (enum session_state)relay->counted, (enum ending)session->ending);
	for (int side = CLIENT; side < SIDES; side++)
		if (session->legs[side].loss == LOSS_DEAD)
			counters_add(counters,
				     COUNTER_DEAD + (unsigned)side * DETECTORS +
					     session->legs[side].detector,
				     1);
	if (session->is_connected && session->legs[CLIENT].loss == LOSS_RESET)
		counters_add(counters, COUNTER_RESETS + CLIENT, 1);
	if (session->legs[SERVER].loss == LOSS_RESET)
		counters_add(counters, COUNTER_RESETS + SERVER, 1);
	counters_observe(counters, HISTOGRAM_SESSION, now_us - moment_us(session->accepted));
	if (half_closed_us != 0)
		counters_observe(counters, HISTOGRAM_HALF_CLOSED,
				 or_else(session_closing_us(session), now_us) - half_closed_us);
}

/* Before anything is told: who reads of the end in the log finds the sockets closed. */
static void close_sockets(struct relay *relay)
{
	for (int side = CLIENT; side < SIDES; side++) {
		relay_drop_rest(relay, (enum side)side);
		if (relay->session.legs[side].fd < 0)
			continue;
		sock_close(relay->session.legs[side].fd);
		count_descriptors(relay->lane->relays, -1);
	}
}

void relay_end(struct relay *relay)
{
	struct relays *relays = relay->lane->relays;
	bool is_logged = log_wants_session((enum ending)relay->session.ending);
	struct log_session line;

	if (is_logged)
		line = describe(relay);
	close_sockets(relay);
	count_end(relay);
	relay_limits_end(relay);
	relay_note_end(relay, ended_next(&relays->ended));
	if (is_logged)
		log_session(&line);
	agenda_drop(&relays->agenda, relay);
	pool_release(relay->lane->route->pool, relay->server);
	roster_remove(&relays->roster, relay);
	relay->is_dead = true;
	if (!relay->is_pending)
		relay_push(&relays->dead, relay);
}

void relay_log_running(const struct relay *relay)
{
	struct log_session line;

	if (!log_wants_session(ENDING_NONE))
		return;
	line = describe(relay);
	line.state = session_state_name(session_state(&relay->session));
	log_session_running(&line);
}
