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

/* What the log says of it; asks the sockets for their addresses. */
static struct log_session describe(const struct relay *relay)
{
	const struct session *session = &relay->session;
	int64_t now_us = relay->relays->now_us;
	struct log_session line = {
		.id = session->id,
		.listener = relay->route->listener->name,
		.pool = relay->route->pool->config->name,
		.server_name = pool_server_name(relay->route->pool, relay->server),
		.ending = (enum ending)session->ending,
		.first_closer = closer_name((enum closer)session->closer),
		.detail = relay->error == 0 ? NULL : strerrordesc_np(-relay->error),
		.half_closed_ms =
			ms_between(session->half_closed_us, or_else(session->closing_us, now_us)),
		.connect_ms =
			ms_between(session->accepted_us, or_else(session->connected_us, now_us)),
		.total_ms = ms_between(session->accepted_us, now_us),
		.connects = session->connects,
	};

	for (int side = CLIENT; side < SIDES; side++) {
		const struct flow *flow = &session->flows[side];

		line.peers[side] = session->peers[side];
		line.locals[side] = local_of(&session->legs[side]);
		line.bytes[side] = flow->bytes;
		line.flow_ms[side] =
			ms_between(session->connected_us, or_else(flow->ended_us, now_us));
	}
	return line;
}

static void count_end(const struct relay *relay)
{
	const struct session *session = &relay->session;
	struct counters *counters = counters_of(relay);
	int64_t now_us = relay->relays->now_us;

	counters_add(counters, COUNTER_ENDED + session->ending, 1);
	if (session->connected_us != 0 && session->legs[CLIENT].loss == LOSS_RESET)
		counters_add(counters, COUNTER_RESETS + CLIENT, 1);
	if (session->legs[SERVER].loss == LOSS_RESET)
		counters_add(counters, COUNTER_RESETS + SERVER, 1);
	counters_observe(counters, HISTOGRAM_SESSION, now_us - session->accepted_us);
	if (session->half_closed_us != 0)
		counters_observe(counters, HISTOGRAM_HALF_CLOSED,
				 or_else(session->closing_us, now_us) - session->half_closed_us);
}

static void unlink_relay(struct relay *relay)
{
	if (relay->next)
		relay->next->previous = relay->previous;
	if (relay->previous)
		relay->previous->next = relay->next;
	else
		relay->relays->first = relay->next;
}

/* Before anything is told: who reads of the end in the log finds the sockets closed. */
static void close_sockets(struct relay *relay)
{
	for (int side = CLIENT; side < SIDES; side++) {
		pump_drop(&relay->relays->pump, &relay->sides[side].rest);
		sock_close(relay->session.legs[side].fd);
	}
}

void relay_end(struct relay *relay)
{
	struct relays *relays = relay->relays;
	bool is_logged = log_wants_session((enum ending)relay->session.ending);
	struct log_session line;

	if (is_logged)
		line = describe(relay);
	close_sockets(relay);
	count_end(relay);
	if (is_logged)
		log_session(&line);
	ev_timer_stop(relays->loop, &relay->timer);
	pool_release(relay->route->pool, relay->server);
	unlink_relay(relay);
	relay->is_dead = true;
	relay->next_dead = relays->dead;
	relays->dead = relay;
}
