/*
 * Accept, admission and placing.
 *
 * One worker owns a listening socket, accepts from it, and places each connection on the worker
 * with the fewest sessions. The other ways do not spread connections that live for days. Measured,
 * 100 connections over 4 threads: with SO_REUSEPORT each got 20 to 32, as the kernel deals by a
 * hash of addresses and never corrects itself; with one socket in every epoll set (EPOLLEXCLUSIVE)
 * one thread got 90 to 100, as who wakes first takes all; this way each gets 25. It also serves
 * UNIX and passed sockets, and a reload keeps the queue. The price: a session that is handed over
 * costs about a fifth more CPU than one that stays (99 us with two workers, 82 us with one).
 *
 * Invariant: every connection accepted here becomes a session, or ends as `limited`.
 *
 * Surprising: a listener without descriptors to accept with stays readable for ever. It is paused,
 * and tried again when a session ends or a moment later.
 */
#include <finback/daemon/listener.h>
#include <finback/daemon/worker.h>
#include <finback/host/log.h>
#include <finback/io/buffers.h>
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64
#define PAUSE_SECONDS  0.1
/* A bound on what waits in an accept queue: listen(2) backlogs are at most this long. */
#define QUEUE_MAX 65536

static int create(struct listener **ret, const char *key, int fd)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (!listener)
		return -ENOMEM;
	listener->fd = fd;
	listener->key = strdup(key);
	if (!listener->key) {
		free(listener);
		return -ENOMEM;
	}
	listener->address = sock_local(fd);
	(void)address_format(&listener->address, listener->text, sizeof listener->text);
	*ret = listener;
	return 0;
}

static bool is_unix(const struct listener *listener)
{
	return listener->address.any.sa_family == AF_UNIX;
}

/* What accepted sockets are to inherit. dead_after is for each session by itself, once it has
 * lasted for some time. */
static struct keepalive inherited_of(const struct config_listener *settings)
{
	if (settings->policy.dead_after_us[CLIENT] > 0)
		return (struct keepalive){ .is_set = false };
	return settings->sides[CLIENT].keepalive;
}

int listener_open(struct listener **ret, const char *key, const struct address *address,
		  const struct config_listener *settings)
{
	const struct sock_listen options = {
		.backlog = settings->backlog,
		.has_mode = settings->has_mode,
		.mode = settings->mode,
		.owner = settings->owner,
		.group = settings->group,
		.buffer_cap = settings->buffer_cap,
	};
	const struct keepalive keepalive = inherited_of(settings);
	int fd = sock_listen(address, &options);
	int error = fd;

	if (fd < 0)
		return fd;
	if (address->any.sa_family != AF_UNIX)
		error = liveness_apply(fd, &keepalive);
	if (error >= 0)
		error = create(ret, key, fd);
	if (error < 0)
		close(fd);
	else if (!is_unix(*ret))
		(*ret)->buffer_cap = settings->buffer_cap;
	return error;
}

int listener_take(struct listener **ret, const char *key, int fd,
		  const struct config_listener *settings)
{
	int error = sock_prepare(fd);

	if (error == 0)
		error = create(ret, key, fd);
	if (error < 0)
		return error;
	(*ret)->is_passed = true;
	listener_adjust(*ret, settings);
	return 0;
}

/* A kept socket forgets what the settings before asked for. A passed one keeps what its .socket
 * unit set, as long as nobody has asked for anything. */
static int adjust_keepalive(struct listener *listener, const struct keepalive *keepalive)
{
	if (!keepalive->is_set && listener->is_passed && !listener->has_keepalive)
		return 0;
	listener->has_keepalive = keepalive->is_set;
	if (!keepalive->is_set)
		return liveness_clear(listener->fd);
	return liveness_apply(listener->fd, keepalive);
}

/* The same, for the kernel's buffers. */
static int adjust_cap(struct listener *listener, const struct config_listener *settings)
{
	uint32_t cap = settings->buffer_cap;
	int error;

	if (cap == listener->buffer_cap)
		return 0;
	error = cap > 0 ? buffers_cap(listener->fd, cap) : buffers_uncap(listener->fd);
	if (error == -ENOPROTOOPT) {
		log_say(LOG_LEVEL_WARNING,
			"listener %s: %s: the buffer_cap that it had stays, until the socket is "
			"opened anew: this kernel cannot take it back (SO_BUF_LOCK, Linux 5.14)",
			settings->name, listener->text);
		return 0;
	}
	if (error == 0)
		listener->buffer_cap = cap;
	return error;
}

void listener_adjust(struct listener *listener, const struct config_listener *settings)
{
	struct keepalive keepalive = inherited_of(settings);
	int error = 0;

	/* A second listen(2) changes the backlog and leaves what waits alone. */
	if (!listener->is_passed)
		error = sock_relisten(listener->fd, settings->backlog);
	if (error == 0 && !is_unix(listener))
		error = adjust_keepalive(listener, &keepalive);
	if (error == 0 && !is_unix(listener))
		error = adjust_cap(listener, settings);
	if (error < 0)
		log_say(LOG_LEVEL_WARNING, "listener %s: %s: cannot change its settings: %s",
			settings->name, listener->text, strerrordesc_np(-error));
}

/* Over a limit, whose: the process's or the listener's. NULL: within both. */
static const char *limit_of(const struct listener *listener)
{
	const struct route *route = listener->route;
	const struct crew *crew = listener->worker->crew;
	unsigned max_sessions = route->listener->max_sessions;

	if (crew_active(crew) >= atomic_load_explicit(&crew->max_sessions, memory_order_relaxed))
		return "max_sessions";
	if (max_sessions > 0 &&
	    atomic_load_explicit(&route->tally->active, memory_order_relaxed) >= max_sessions)
		return "max_sessions of the listener";
	return NULL;
}

static void refuse(struct listener *listener, int fd, const struct address *peer, const char *limit)
{
	static struct log_limit rate;
	struct worker *worker = listener->worker;

	log_say_limited(&rate, monotonic_us(), LOG_LEVEL_WARNING,
			"listener %s: connection refused: %s reached",
			listener->route->listener->name, limit);
	atomic_fetch_add_explicit(&worker->active, 1, memory_order_relaxed);
	relay_refuse(&worker->relays, listener->route, fd, peer, ENDING_LIMITED);
}

static void admit(struct listener *listener, int fd, const struct address *peer)
{
	const struct route *route = listener->route;
	const char *limit = limit_of(listener);

	if (!limit && !relay_admit(route))
		limit = "max_embryonic";
	(void)generation_ref(route->generation);
	atomic_fetch_add_explicit(&route->tally->active, 1, memory_order_relaxed);
	if (limit) {
		refuse(listener, fd, peer, limit);
		return;
	}
	worker_adopt(crew_place(listener->worker->crew, listener->worker), listener->worker, route,
		     fd, peer);
}

/* Where max_sessions allows more than there are descriptors for, connections wait in the queue
 * rather than be accepted and find no descriptor for their server. */
static bool has_descriptors(const struct crew *crew)
{
	return crew_active(crew) < crew->descriptor_sessions ||
	       atomic_load_explicit(&crew->max_sessions, memory_order_relaxed) <=
		       crew->descriptor_sessions;
}

/* A UNIX socket inherits no cap. */
static int accept_one(struct listener *listener, struct address *ret_peer)
{
	uint32_t cap = listener->route->listener->buffer_cap;
	int fd = sock_accept(listener->fd, ret_peer);

	if (fd >= 0 && cap > 0 && is_unix(listener))
		(void)buffers_cap(fd, cap); /* it fails on no socket */
	return fd;
}

/* Accepts up to `limit` connections. Returns 0 when none is left, 1 when there may be more, or
 * -errno when there is nothing to accept with. */
static int accept_some(struct listener *listener, int limit)
{
	for (int i = 0; i < limit; i++) {
		struct address peer;
		int fd = has_descriptors(listener->worker->crew) ? accept_one(listener, &peer)
								 : -EMFILE;

		if (fd == -EAGAIN)
			return 0;
		if (fd < 0)
			return fd;
		admit(listener, fd, &peer);
	}
	return 1;
}

static void pause_accepting(struct listener *listener, int error)
{
	static struct log_limit rate;
	struct worker *worker = listener->worker;

	atomic_fetch_add_explicit(&worker->pauses, 1, memory_order_relaxed);
	log_say_limited(&rate, monotonic_us(), LOG_LEVEL_ERROR,
			"listener %s: %s: cannot accept: %s; connections wait until a session ends",
			listener->route->listener->name, listener->text, strerrordesc_np(-error));
	ev_io_stop(worker->loop, &listener->readable);
	ev_timer_stop(worker->loop, &listener->pause);
	ev_timer_set(&listener->pause, PAUSE_SECONDS, 0.);
	ev_timer_start(worker->loop, &listener->pause);
}

/* As many as come in a turn, by experience: to be told that none is left is a call for nothing.
 * What is left over has the loop come back in its next turn. */
static void adjust_batch(struct listener *listener, bool is_filled)
{
	unsigned turn = ev_iteration(listener->worker->loop);

	if (!is_filled && listener->batch > 1)
		listener->batch /= 2;
	if (is_filled && turn == listener->filled + 1 && listener->batch < ACCEPTS_A_TURN)
		listener->batch *= 2;
	if (is_filled)
		listener->filled = turn;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct listener *listener = watcher->data;
	int result = accept_some(listener, listener->batch);

	(void)loop;
	(void)events;
	adjust_batch(listener, result > 0);
	if (result < 0)
		pause_accepting(listener, result);
}

void listener_retry(struct listener *listener)
{
	if (!ev_is_active(&listener->pause))
		return;
	ev_timer_stop(listener->worker->loop, &listener->pause);
	ev_io_start(listener->worker->loop, &listener->readable);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct listener *listener = watcher->data;

	(void)events;
	ev_io_start(loop, &listener->readable);
}

void listener_start(struct listener *listener, const struct route *route)
{
	struct worker *worker = listener->worker;

	listener->route = route;
	listener->batch = 1;
	listener->next = worker->listeners;
	worker->listeners = listener;
	ev_io_init(&listener->readable, on_readable, listener->fd, EV_READ);
	ev_timer_init(&listener->pause, on_pause_over, PAUSE_SECONDS, 0.);
	listener->readable.data = listener->pause.data = listener;
	ev_io_start(worker->loop, &listener->readable);
}

void listener_reroute(struct listener *listener, const struct route *route)
{
	generation_unref(listener->route->generation);
	listener->route = route;
}

void listener_stop(struct listener *listener)
{
	struct listener **place = &listener->worker->listeners;

	while (*place != listener)
		place = &(*place)->next;
	*place = listener->next;
	if (!listener->is_passed)
		(void)accept_some(listener, QUEUE_MAX);
	ev_io_stop(listener->worker->loop, &listener->readable);
	ev_timer_stop(listener->worker->loop, &listener->pause);
	generation_unref(listener->route->generation);
	listener->route = NULL;
}

void listener_destroy(struct listener *listener)
{
	if (!listener)
		return;
	if (!listener->is_passed) {
		if (is_unix(listener) && listener->address.un.sun_path[0] != '\0')
			(void)unlink(listener->address.un.sun_path); /* it may be gone already */
		sock_close(listener->fd);
	}
	free(listener->key);
	free(listener);
}
