/*
 * From an accepted client to a connected server.
 *
 * Invariant: at most one connect attempt is under way, and the client is not read before it
 * succeeds: what it sends, its FIN included, waits in its socket, bounded by the kernel.
 *
 * Surprising: shutdown(2) on a socket that is still connecting kills the attempt, so a client's
 * early FIN waits as well.
 */
#include <finback/engine/counters.h>
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <string.h>

/* Ports below are never the kernel's choice (ip(7), ip_local_port_range), so they need no look. */
#define FIRST_EPHEMERAL_PORT 1024

#include "relay_private.h"

struct endpoint relay_peer(const struct relay *relay, enum side side)
{
	if (side == CLIENT)
		return relay->session.client;
	return pool_server_endpoint(relay->lane->route->pool, relay->server, relay->address);
}

void relay_drop_server(struct relay *relay)
{
	if (relay->session.legs[SERVER].fd >= 0)
		count_descriptors(relay->lane->relays, -1);
	sock_close(relay->session.legs[SERVER].fd);
	relay->session.legs[SERVER].fd = -1;
	relay->sides[SERVER] = (struct relay_side){ 0 };
	if (attempt_of(relay))
		attempt_of(relay)->retry_us = 0;
}

static void on_connected(struct relay *relay)
{
	const struct keepalive *keepalive = &relay->lane->route->listener->sides[SERVER].keepalive;
	struct session *session = &relay->session;

	relay->sides[SERVER].is_writable = true;
	pool_attempt_connected(&attempt_of(relay)->pool);
	relay_end_attempts(relay);
	/* A kernel that refuses an option still relays: the configuration's check knows the limits.
	 */
	if (!is_unix(relay, SERVER) && policy_of(relay)->dead_after_us[SERVER] == 0)
		(void)liveness_apply(session->legs[SERVER].fd, keepalive);
	counters_observe(counters_of(relay), HISTOGRAM_CONNECT,
			 relay->lane->relays->now_us - moment_us(session->accepted));
	relay_tell_event(relay, SESSION_CONNECTED, SERVER, 0);
}

/* There is no server left to try. A deadline may end gently; everything else resets. */
static void give_up(struct relay *relay)
{
	const struct pool_attempt *attempt = &attempt_of(relay)->pool;
	enum ending ending = pool_attempt_ending(attempt);

	relay->error = (int16_t)attempt->last_error;
	relay_tell(relay, &(struct fact){
				  .event = ending == ENDING_CONNECT_TIMEOUT ? SESSION_EXPIRED
									    : SESSION_CUT,
				  .ending = ending,
				  .is_gentle = policy_of(relay)->is_closed_on_timeout,
			  });
}

void relay_start_attempt(struct relay *relay)
{
	struct session *session = &relay->session;
	struct relay_attempt *attempt = attempt_of(relay);
	uint16_t tries = attempt->pool.tries;
	int fd = -1;
	int result;

	attempt->pool.has_bytes = sock_unread(session->legs[CLIENT].fd) > 0;
	result = pool_attempt_next(&attempt->pool, &fd, &relay->address);
	relay->server = (int16_t)attempt->pool.server;
	session->legs[SERVER].is_unix = relay_peer(relay, SERVER).family == ENDPOINT_UNIX;
	attempt->retry_us = 0;
	/* To wait for room is not a new attempt: its deadline runs on. */
	if (attempt->pool.tries != tries)
		session_attempt(session, attempt->pool.tries, relay->lane->relays->now_us);
	if (result == -ENOENT) {
		give_up(relay);
		return;
	}
	if (result == -EAGAIN) {
		attempt->retry_us =
			relay->lane->relays->now_us + attempt->pool.busy_ms * INT64_C(1000);
		session->wishes |= WISH_REARM;
		return;
	}
	session->legs[SERVER].fd = fd;
	count_descriptors(relay->lane->relays, 1);
	if (poller_add(&relay->lane->relays->poller, fd, relay, SERVER) < 0)
		relay_cut(relay, ENDING_LIMITED);
	else if (result == 0)
		on_connected(relay);
}

void relay_fail_attempt(struct relay *relay, int error)
{
	pool_attempt_failed(&attempt_of(relay)->pool, error);
	relay_tell_event(relay, SESSION_NEXT, SERVER, 0);
}

/* While connecting the client is not read, but what it does is noticed. */
static void watch_client(struct relay *relay)
{
	if (relay->sides[CLIENT].is_readable && !relay->session.has_spoken)
		relay_tell_event(relay, SESSION_SPOKE, CLIENT, 0);
	if (relay->sides[CLIENT].is_faulty)
		relay_take_fault(relay, CLIENT);
}

/* The attempt has an answer, and it is an error. */
static void on_connect_error(struct relay *relay)
{
	int error = sock_take_error(relay->session.legs[SERVER].fd);

	if (error == -ECONNRESET || error == -EPIPE) {
		/* Refused is ECONNREFUSED: this one was connected, and reset since. */
		on_connected(relay);
		relay_lose(relay, SERVER, error);
	} else {
		/* 0: a soft error, told only by the event. */
		relay_fail_attempt(relay, error < 0 ? error : -ECONNREFUSED);
	}
}

/* A server on this machine that is down, with a port that the kernel also gives to us, can be
 * "reached" by a simultaneous open (RFC 9293, 3.5): the client would talk to its own echo. */
static bool is_echo(const struct relay *relay)
{
	struct endpoint peer = relay_peer(relay, SERVER);
	struct address local;
	struct endpoint own;

	if (is_unix(relay, SERVER) || peer.port < FIRST_EPHEMERAL_PORT)
		return false;
	local = sock_local(relay->session.legs[SERVER].fd);
	own = endpoint_of(&local);
	return own.port == peer.port && memcmp(own.ip, peer.ip, sizeof own.ip) == 0;
}

void relay_watch_connect(struct relay *relay)
{
	const struct relay_side *server = &relay->sides[SERVER];

	watch_client(relay);
	if (relay->session.phase != SESSION_CONNECTING || relay->session.legs[SERVER].fd < 0)
		return;
	if (server->is_faulty)
		on_connect_error(relay);
	else if (server->is_writable && is_echo(relay))
		relay_fail_attempt(relay, -ECONNREFUSED);
	else if (server->is_writable)
		on_connected(relay);
}
