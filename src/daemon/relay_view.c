/*
 * Copies of sessions, for who shows them.
 *
 * Invariant: a copy is made in the worker's thread, between two steps, and changes nothing.
 */
#include <finback/daemon/view.h>
#include <finback/io/sock.h>

#include <string.h>

#include "relay_private.h"

static void view_side(const struct relay *relay, enum side side, struct session_view *view)
{
	int fd = relay->session.legs[side].fd;
	struct address local;

	if (fd < 0)
		return;
	local = sock_local(fd);
	if (local.length > 0)
		view->locals[side] = endpoint_of(&local);
	/* What is no TCP socket keeps the state 0. */
	if (!is_unix(relay, side))
		(void)liveness_read(fd, &view->tcp[side]);
}

static void view_probe(const struct relay *relay, enum side side, struct probe_view *ret_view)
{
	const struct relay_probes *probes = probes_of(relay);
	const struct relay_probe *probe = probes ? &probes->sides[side] : NULL;

	if (!probe || !probe->is_on)
		return;
	*ret_view = (struct probe_view){
		.due_us = relay_probe_due_us(relay, side),
		.sent_us = probe->probe.mode == PROBE_AWAITING ? probe->tried_us : 0,
		.answered_us = probe->answered_us,
		.sent = probe->sent,
		.replies = probe->replies,
		.protocol = probe->probe.protocol,
		.mode = probe->probe.mode,
		.is_on = true,
		.is_fatal = relay->lane->route->listener->sides[side].probe.ends_session,
	};
}

void relay_view(const struct relay *relay, bool is_brief, struct session_view *ret_view)
{
	const struct route *route = relay->lane->route;

	memset(ret_view, 0, sizeof *ret_view);
	ret_view->session = relay->session;
	ret_view->now_us = relay->lane->relays->now_us;
	ret_view->listener = route->tally->name;
	ret_view->pool = route->pool->name;
	ret_view->server_name = pool_server_name(route->pool, relay->server);
	ret_view->worker = relay->lane->relays->worker;
	ret_view->ending = deadline_ending_next(&relay->session, policy_of(relay));
	ret_view->is_retrying = retry_us_of(relay) != 0;
	ret_view->is_sparing_alive = policy_of(relay)->is_sparing_alive;
	ret_view->is_brief = is_brief;
	for (enum side side = CLIENT; side < SIDES; side++) {
		ret_view->peers[side] = relay_peer(relay, side);
		if (!is_unix(relay, side))
			ret_view->dead_after_us[side] = policy_of(relay)->dead_after_us[side];
		if (is_brief)
			continue;
		view_side(relay, side, ret_view);
		view_probe(relay, side, &ret_view->probes[side]);
	}
}

static int64_t half_closed_for(const struct session *session, int64_t now_us)
{
	int64_t half_closed_us = session_half_closed_us(session);
	int64_t closing_us = session_closing_us(session);

	if (half_closed_us == 0)
		return -1;
	return (closing_us != 0 ? closing_us : now_us) - half_closed_us;
}

void relay_note_end(const struct relay *relay, struct ended_view *ret_view)
{
	const struct session *session = &relay->session;
	const struct route *route = relay->lane->route;
	int64_t now_us = relay->lane->relays->now_us;
	int64_t accepted_us = moment_us(session->accepted);

	*ret_view = (struct ended_view){
		.id = session->id,
		.ended_us = now_us,
		.lived_us = now_us - accepted_us,
		.half_closed_us = half_closed_for(session, now_us),
		.connect_us =
			session->is_connected ? session_connected_us(session) - accepted_us : -1,
		.listener = route->tally->name,
		.pool = route->pool->name,
		.server_name = pool_server_name(route->pool, relay->server),
		.bytes = { session->flows[CLIENT].bytes, session->flows[SERVER].bytes },
		.peers = { relay_peer(relay, CLIENT), relay_peer(relay, SERVER) },
		.error = relay->error,
		.connects = session->connects,
		.ending = session->ending,
		.closer = session->closer,
		.detector = (uint8_t)relay_detector(session),
	};
}
