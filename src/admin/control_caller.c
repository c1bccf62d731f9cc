/*
 * Those who are connected: who may stay, and who has to go for others.
 *
 * Invariant: where all places are taken, the caller that has been longest without a whole request
 * goes; so half a request, or a thousand of them, holds nobody up.
 *
 * Surprising: a caller is ended by shutting its socket down. The library owns the connection, finds
 * its end as it would find any other, and tells us then.
 */
#include <finback/daemon/relay.h>

#include <assert.h>
#include <poll.h>
#include <sys/socket.h>

#include "control_private.h"

static bool is_waiting(const struct caller *caller)
{
	return caller->request && caller->request->is_suspended;
}

static void end_caller(struct caller *caller)
{
	caller->is_ended = true;
	(void)shutdown(caller->fd, SHUT_RDWR); /* it may be gone already */
}

void caller_on_connection(void *owner, struct MHD_Connection *connection, void **ret_caller,
			  enum MHD_ConnectionNotificationCode code)
{
	struct door *door = owner;
	struct caller *caller = *ret_caller;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (caller)
			*caller = (struct caller){ .fd = -1 };
		return;
	}
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		caller = &door->callers[i];
		if (caller->connection)
			continue;
		*caller = (struct caller){
			.connection = connection,
			.fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				      ->connect_fd,
			.since_us = monotonic_us(),
		};
		*ret_caller = caller;
		return;
	}
}

struct caller *caller_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

size_t callers_count(const struct door *door)
{
	size_t count = 0;

	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++)
		count += door->callers[i].connection != NULL;
	return count;
}

/* Whether `a` rather than `b` has to go: who has no whole request before who has one, and then who
 * has been longest without a new one. */
static bool is_before(const struct caller *a, const struct caller *b)
{
	if (!a->request != !b->request)
		return !a->request;
	return a->since_us < b->since_us;
}

void callers_make_room(struct door *door)
{
	struct caller *last = NULL;

	static_assert(CONTROL_WAITING_MAX < CONTROL_CALLERS_MAX, "somebody can always go");
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		struct caller *caller = &door->callers[i];

		if (caller->connection && !is_waiting(caller) && (!last || is_before(caller, last)))
			last = caller;
	}
	if (last)
		end_caller(last);
}

/* Which of `events` a socket has; POLLHUP and POLLERR are always looked for. */
static short events_of(const struct caller *caller, short events)
{
	struct pollfd watched = { .fd = caller->fd, .events = events };

	return poll(&watched, 1, 0) > 0 ? watched.revents : 0;
}

/* While a caller waits for a worker the library does not look after it. A FIN alone is no sign: one
 * who has said all may still want its answer. */
static void look_after_waiting(struct caller *caller)
{
	if (!(events_of(caller, 0) & (POLLHUP | POLLERR)))
		return;
	wait_leave(caller->request->wait);
	request_resume(caller->request);
}

/* One whose end of file is there for a whole turn, without a request before it, will never have
 * one. */
static void look_after(struct caller *caller, int64_t now_us)
{
	bool has_said_all = !caller->request && events_of(caller, POLLRDHUP) & POLLRDHUP;

	if (now_us - caller->since_us > CONTROL_REQUEST_SECONDS * INT64_C(1000000) ||
	    (has_said_all && caller->has_said_all))
		end_caller(caller);
	caller->has_said_all = has_said_all;
}

void callers_look_after(struct door *door)
{
	int64_t now_us = monotonic_us();

	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		struct caller *caller = &door->callers[i];

		if (!caller->connection || caller->is_ended)
			continue;
		if (is_waiting(caller))
			look_after_waiting(caller);
		else
			look_after(caller, now_us);
	}
}

void caller_look_for_end(struct door *door, struct caller *caller)
{
	caller->has_said_all = events_of(caller, POLLRDHUP) & POLLRDHUP;
	door->has_leavers |= caller->has_said_all;
}

/* libmicrohttpd 0.9.75 overlooks an end of file that came right behind a request, and keeps the
 * connection until it has been idle for long enough. Only while it has nothing left to do: there
 * may be more requests before the end of file. */
void callers_end_leavers(struct door *door)
{
	if (!door->has_leavers)
		return;
	door->has_leavers = false;
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		struct caller *caller = &door->callers[i];

		if (caller->connection && caller->has_said_all && !caller->request)
			end_caller(caller);
	}
}

bool callers_have_requests(const struct door *door)
{
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++)
		if (door->callers[i].request)
			return true;
	return false;
}

void callers_send_away(struct door *door)
{
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		struct request *request = door->callers[i].request;

		if (!request)
			continue;
		wait_leave(request->wait);
		if (!request->is_answered && !request->response)
			request_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
				       "finback is stopping");
		request_resume(request);
	}
}
