/*
 * Connections: who is let in, for how long, and who has to go for others.
 *
 * Invariant: whoever wants in gets in. Where all places are taken, the caller that has been longest
 * without a whole request goes; so half a request, or a thousand of them, holds nobody up.
 *
 * Surprising: a caller is ended by shutting its socket down. The library owns the connection, finds
 * its end as it would find any other, and tells us then.
 */
#include <finback/daemon/relay.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_private.h"

#define ACCEPTS_A_TURN        16
#define PAUSE_SECONDS         0.1
#define WATCH_SECONDS         1.
#define FAREWELL_TURN_SECONDS 0.02
#define FAREWELL_RUNS         4

/* ---- callers ----------------------------------------------------------------------------------
 */

static bool is_waiting(const struct caller *caller)
{
	return caller->request && caller->request->is_suspended;
}

static void end_caller(struct caller *caller)
{
	caller->is_ended = true;
	(void)shutdown(caller->fd, SHUT_RDWR); /* it may be gone already */
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **ret_caller,
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

struct caller *door_caller(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

static size_t count_callers(const struct door *door)
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

/* Ends one of those who do not wait for a worker. There is one, as fewer may wait. */
static void make_room(struct door *door)
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

static void on_watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct door *door = watcher->data;
	int64_t now_us = monotonic_us();

	(void)events;
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++) {
		struct caller *caller = &door->callers[i];

		if (!caller->connection || caller->is_ended)
			continue;
		if (is_waiting(caller))
			look_after_waiting(caller);
		else
			look_after(caller, now_us);
	}
	if (count_callers(door) == 0)
		ev_timer_stop(loop, watcher);
}

void door_look_for_end(struct door *door, struct caller *caller)
{
	caller->has_said_all = events_of(caller, POLLRDHUP) & POLLRDHUP;
	door->has_leavers |= caller->has_said_all;
}

/* libmicrohttpd 0.9.75 overlooks an end of file that came right behind a request, and keeps the
 * connection until it has been idle for long enough. Only while it has nothing left to do: there
 * may be more requests before the end of file. */
static void end_leavers(struct door *door)
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

/* ---- the library in our loop ------------------------------------------------------------------
 */

static int epoll_of(const struct door *door)
{
	return MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

static void run(struct door *door)
{
	struct ev_loop *loop = door->control->loop;
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(door->daemon); /* it fails only for a daemon with threads */
	ev_timer_stop(loop, &door->due);
	if (MHD_get_timeout(door->daemon, &ms) != MHD_YES)
		return;
	if (ms > 0)
		end_leavers(door);
	ev_timer_set(&door->due, (double)ms / 1e3, 0.);
	ev_timer_start(loop, &door->due);
}

static void on_work(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	run(watcher->data);
}

static void on_due(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	run(watcher->data);
}

void door_wake(struct door *door)
{
	struct ev_loop *loop = door->control->loop;

	ev_timer_stop(loop, &door->due);
	ev_timer_set(&door->due, 0., 0.);
	ev_timer_start(loop, &door->due);
}

/* A request's path and query stay encoded: they are taken apart first. */
static size_t keep_encoded(void *owner, struct MHD_Connection *connection, char *text)
{
	(void)owner;
	(void)connection;
	return strlen(text);
}

/* Makes the daemon that an entrance of this door needs. */
static int start(struct door *door)
{
	struct ev_loop *loop = door->control->loop;

	if (door->daemon)
		return 0;
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		request_on_access, door,
		/* each with its arguments */
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONTROL_CALLERS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONTROL_IDLE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONTROL_CALLER_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, door, MHD_OPTION_NOTIFY_COMPLETED,
		request_on_completed, door, MHD_OPTION_URI_LOG_CALLBACK, request_on_uri, door,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL, MHD_OPTION_END);
	if (!door->daemon)
		return errno > 0 ? -errno : -ENOMEM;
	ev_io_init(&door->work, on_work, epoll_of(door), EV_READ);
	door->work.data = door;
	ev_io_start(loop, &door->work);
	return 0;
}

/* ---- letting in -------------------------------------------------------------------------------
 */

static void pause_accepting(struct door *door, int error)
{
	static struct log_limit rate;
	struct ev_loop *loop = door->control->loop;

	log_say_limited(&rate, monotonic_us(), LOG_LEVEL_ERROR, "control: cannot accept: %s",
			strerrordesc_np(-error));
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next)
		ev_io_stop(loop, &entrance->readable);
	ev_timer_stop(loop, &door->pause);
	ev_timer_set(&door->pause, PAUSE_SECONDS, 0.);
	ev_timer_start(loop, &door->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct door *door = watcher->data;

	(void)events;
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next)
		if (!entrance->is_new)
			ev_io_start(loop, &entrance->readable);
}

static void let_in(struct door *door, int fd, const struct address *peer)
{
	if (count_callers(door) == CONTROL_CALLERS_MAX) {
		make_room(door);
		run(door);
	}
	/* It closes the socket where it cannot have it. */
	(void)MHD_add_connection(door->daemon, fd, &peer->any, peer->length);
	if (!ev_is_active(&door->watch))
		ev_timer_again(door->control->loop, &door->watch);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct entrance *entrance = watcher->data;
	struct door *door = entrance->door;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct address peer;
		int fd = sock_accept(entrance->fd, &peer);

		if (fd == -EAGAIN)
			break;
		if (fd < 0) {
			pause_accepting(door, fd);
			break;
		}
		let_in(door, fd, &peer);
	}
	run(door);
}

/* ---- entrances --------------------------------------------------------------------------------
 */

static bool is_unix(const struct entrance *entrance)
{
	return entrance->address.any.sa_family == AF_UNIX;
}

struct entrance *door_entrance(struct door *door, const struct address *address)
{
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next)
		if (address_equals(&entrance->address, address))
			return entrance;
	return NULL;
}

static void name(struct entrance *entrance)
{
	struct address bound = sock_local(entrance->fd);
	struct stat status;

	if (!is_unix(entrance)) {
		(void)address_format(&bound, entrance->text, sizeof entrance->text);
		return;
	}
	(void)snprintf(entrance->text, sizeof entrance->text, "%s", entrance->address.un.sun_path);
	if (lstat(entrance->text, &status) < 0)
		return; /* somebody was quick to remove it: then it is not ours to */
	entrance->device = status.st_dev;
	entrance->inode = status.st_ino;
}

int door_open(struct door *door, const struct address *address, const struct sock_listen *options)
{
	struct entrance *entrance = calloc(1, sizeof *entrance);
	int error = entrance ? start(door) : -ENOMEM;

	if (error == 0)
		error = sock_listen(address, options);
	if (error < 0) {
		free(entrance);
		return error;
	}
	entrance->fd = error;
	entrance->door = door;
	entrance->address = *address;
	entrance->is_wanted = entrance->is_new = true;
	name(entrance);
	ev_io_init(&entrance->readable, on_readable, entrance->fd, EV_READ);
	entrance->readable.data = entrance;
	entrance->next = door->entrances;
	door->entrances = entrance;
	return 0;
}

void door_admit(struct entrance *entrance)
{
	entrance->is_new = false;
	ev_io_start(entrance->door->control->loop, &entrance->readable);
}

/* Another process may have put its own in the place of a file that somebody removed. */
static void remove_file(const struct entrance *entrance)
{
	struct stat status;

	if (is_unix(entrance) && lstat(entrance->text, &status) == 0 &&
	    status.st_dev == entrance->device && status.st_ino == entrance->inode)
		(void)unlink(entrance->text); /* nothing is lost where that fails: it is stale */
}

static void close_entrance(struct entrance *entrance)
{
	ev_io_stop(entrance->door->control->loop, &entrance->readable);
	remove_file(entrance);
	sock_close(entrance->fd);
	free(entrance);
}

void door_close(struct door *door, bool is_new)
{
	struct entrance **place = &door->entrances;

	while (*place) {
		struct entrance *entrance = *place;

		if (is_new ? !entrance->is_new : entrance->is_wanted) {
			place = &entrance->next;
			continue;
		}
		*place = entrance->next;
		close_entrance(entrance);
	}
}

/* ---- the whole --------------------------------------------------------------------------------
 */

void door_init(struct door *door, struct control *control, bool is_read_only)
{
	*door = (struct door){ .control = control, .is_read_only = is_read_only };
	ev_timer_init(&door->due, on_due, 0., 0.);
	ev_timer_init(&door->watch, on_watch, WATCH_SECONDS, WATCH_SECONDS);
	ev_timer_init(&door->pause, on_pause_over, 0., 0.);
	door->due.data = door->watch.data = door->pause.data = door;
}

static bool has_request(const struct door *door)
{
	for (size_t i = 0; i < CONTROL_CALLERS_MAX; i++)
		if (door->callers[i].request)
			return true;
	return false;
}

static void on_farewell_turn(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events; /* the loop has woken up: that is all */
}

/* The supervisor's loop has ended, and the workers still answer: it goes on for a moment, so that
 * the requests under way end well. */
static void wait_for_answers(struct door *door)
{
	int64_t end_us = monotonic_us() + (int64_t)(CONTROL_FAREWELL_SECONDS * 1e6);
	struct ev_loop *loop = door->control->loop;
	ev_timer turn;

	ev_timer_init(&turn, on_farewell_turn, FAREWELL_TURN_SECONDS, FAREWELL_TURN_SECONDS);
	ev_timer_start(loop, &turn);
	while (has_request(door) && monotonic_us() < end_us)
		(void)ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &turn);
}

/* Whoever is left now is told so, as far as that goes without waiting. */
static void send_away(struct door *door)
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
	for (int i = 0; i < FAREWELL_RUNS && has_request(door); i++)
		(void)MHD_run(door->daemon); /* as in run() */
}

void door_fini(struct door *door)
{
	struct ev_loop *loop = door->control->loop;

	if (!door->daemon)
		return;
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next)
		entrance->is_wanted = false;
	door_close(door, false);
	wait_for_answers(door);
	send_away(door);
	MHD_stop_daemon(door->daemon);
	door->daemon = NULL;
	ev_io_stop(loop, &door->work);
	ev_timer_stop(loop, &door->due);
	ev_timer_stop(loop, &door->watch);
	ev_timer_stop(loop, &door->pause);
}
