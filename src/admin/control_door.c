/*
 * Ways in: listening sockets, and the HTTP library in our loop.
 *
 * Invariant: whoever wants in gets in, though somebody else may have to go for it.
 *
 * Surprising: the library does not listen. We accept, and give it the connections: so who is let in
 * is ours to decide, and a listening socket can come and go while its last callers are answered.
 */
#include <finback/daemon/relay.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <errno.h>
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
		callers_end_leavers(door);
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
	errno = 0; /* the library need not set it */
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		request_on_access, door,
		/* each with its arguments */
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONTROL_CALLERS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONTROL_IDLE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONTROL_CALLER_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, caller_on_connection, door,
		MHD_OPTION_NOTIFY_COMPLETED, request_on_completed, door,
		MHD_OPTION_URI_LOG_CALLBACK, request_on_uri, door, MHD_OPTION_UNESCAPE_CALLBACK,
		keep_encoded, NULL, MHD_OPTION_END);
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
	if (callers_count(door) == CONTROL_CALLERS_MAX) {
		callers_make_room(door);
		run(door);
	}
	/* It closes the socket where it cannot have it. */
	(void)MHD_add_connection(door->daemon, fd, &peer->any, peer->length);
	if (!ev_is_active(&door->watch))
		ev_timer_again(door->control->loop, &door->watch);
}

/* Lets in up to `max` of those who wait. Returns 0, or -errno when there is nothing to do it with.
 */
static int let_some_in(struct entrance *entrance, int max)
{
	for (int i = 0; i < max; i++) {
		struct address peer;
		int fd = sock_accept(entrance->fd, &peer);

		if (fd == -EAGAIN)
			break;
		if (fd < 0)
			return fd;
		let_in(entrance->door, fd, &peer);
	}
	run(entrance->door);
	return 0;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct entrance *entrance = watcher->data;
	int error = let_some_in(entrance, ACCEPTS_A_TURN);

	(void)loop;
	(void)events;
	if (error < 0)
		pause_accepting(entrance->door, error);
}

/* ---- entrances --------------------------------------------------------------------------------
 */

static bool is_unix(const struct entrance *entrance)
{
	return entrance->address.any.sa_family == AF_UNIX;
}

/* Another process may have put its own in the place of a file that somebody removed. */
static bool has_file(const struct entrance *entrance)
{
	struct stat status;

	return is_unix(entrance) && lstat(entrance->text, &status) == 0 &&
	       status.st_dev == entrance->device && status.st_ino == entrance->inode;
}

struct entrance *door_entrance(struct door *door, const struct address *address)
{
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next)
		if (address_equals(&entrance->address, address) &&
		    (has_file(entrance) || !is_unix(entrance)))
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

static void close_entrance(struct entrance *entrance)
{
	ev_io_stop(entrance->door->control->loop, &entrance->readable);
	if (has_file(entrance))
		(void)unlink(entrance->text); /* nothing is lost where that fails: it is stale */
	if (!entrance->is_new)
		(void)let_some_in(entrance, CONTROL_BACKLOG); /* whom we cannot have is reset */
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

static void on_watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct door *door = watcher->data;

	(void)events;
	callers_look_after(door);
	if (callers_count(door) == 0)
		ev_timer_stop(loop, watcher);
}

void door_init(struct door *door, struct control *control, bool is_read_only)
{
	*door = (struct door){ .control = control, .is_read_only = is_read_only };
	ev_timer_init(&door->due, on_due, 0., 0.);
	ev_timer_init(&door->watch, on_watch, WATCH_SECONDS, WATCH_SECONDS);
	ev_timer_init(&door->pause, on_pause_over, 0., 0.);
	door->due.data = door->watch.data = door->pause.data = door;
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
	while (callers_have_requests(door) && monotonic_us() < end_us)
		(void)ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &turn);
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
	callers_send_away(door);
	for (int i = 0; i < FAREWELL_RUNS && callers_have_requests(door); i++)
		(void)MHD_run(door->daemon); /* as in run() */
	MHD_stop_daemon(door->daemon);
	door->daemon = NULL;
	ev_io_stop(loop, &door->work);
	ev_timer_stop(loop, &door->due);
	ev_timer_stop(loop, &door->watch);
	ev_timer_stop(loop, &door->pause);
}
