/*
 * The demo backend: reads to the end of file, answers with the lines sorted.
 *
 * Invariant: a connection is READING, WRITING or CLOSING, in this order, and its one watcher waits
 * for just what the state needs: input, output, nothing. Only the demo's own thread touches a
 * connection while it runs.
 *
 * The surprise: CLOSING lasts until the kernel says that the client has acknowledged everything.
 * A descriptor closed before that leaves the tail to an orphan that the kernel gives up after some
 * minutes, and no event tells when it is done: the timer asks, less and less often.
 */
#include <finback/daemon/demo.h>

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "demo_lines.h"

#define MIB ((size_t)1024 * 1024)

const struct demo_limits demo_limits = {
	.connections = 64,
	.input_bytes = 64 * MIB,
	.total_bytes = 256 * MIB,
	.idle_us = INT64_C(300) * 1000 * 1000,
};

/* How much one connection may move, and how many are accepted, before others have their turn. */
#define TURN_BYTES   (256 * (size_t)1024)
#define TURN_ACCEPTS 16

#define FIRST_CAPACITY    (16 * (size_t)1024)
#define ACCEPT_PAUSE_S    0.2
#define CLOSE_LOOK_MIN_US INT64_C(10000)
#define CLOSE_LOOK_MAX_US INT64_C(500000)

enum conn_state {
	CONN_READING, /* until the client's end of file */
	CONN_WRITING, /* until the answer and the FIN are the kernel's */
	CONN_CLOSING, /* until the client has acknowledged them */
	CONN_STATES
};

struct conn {
	struct demo *demo;
	int fd; /* -1: this place is free */
	enum conn_state state;
	ev_io io;
	ev_timer timer;
	int64_t moved_at_us;  /* the last progress */
	int64_t look_us;      /* CLOSING: the wait before the next look */
	int unacked;          /* output that the kernel holds, when last asked */
	unsigned char *bytes; /* the input; from WRITING on, the answer */
	size_t capacity;
	size_t length;
	size_t sent;
	size_t counted; /* our part of demo->total */
};

struct demo {
	struct demo_limits limits;
	pthread_t thread;
	struct ev_loop *loop;
	ev_io stop;
	ev_io listener;
	ev_timer accept_pause;
	int stop_fd; /* an eventfd; libev's own wake-up ends the process when it gets no descriptor
		      */
	int listen_fd;
	size_t total; /* input bytes that all connections hold */
	size_t active;
	struct conn *conns; /* limits.connections of them */
};

static int64_t now_us(void)
{
	struct timespec now;
	/* Cannot fail: the clock exists and the pointer is good. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- one connection ------------------------------------------------------------------------ */

static void set_timer(struct conn *conn, int64_t after_us)
{
	struct ev_loop *loop = conn->demo->loop;
	ev_timer_stop(loop, &conn->timer);
	ev_timer_set(&conn->timer, (double)after_us / 1e6, 0.);
	ev_timer_start(loop, &conn->timer);
}

static void conn_watch(struct conn *conn, int events)
{
	struct ev_loop *loop = conn->demo->loop;
	ev_io_stop(loop, &conn->io);
	ev_io_set(&conn->io, conn->fd, events);
	if (events != 0)
		ev_io_start(loop, &conn->io);
}

/* Everything goes back, and who waits to be accepted has a place now. */
static void conn_close(struct conn *conn)
{
	struct demo *demo = conn->demo;
	ev_io_stop(demo->loop, &conn->io);
	ev_timer_stop(demo->loop, &conn->timer);
	(void)close(conn->fd); /* the descriptor is gone whatever close says */
	free(conn->bytes);
	demo->total -= conn->counted;
	demo->active--;
	memset(conn, 0, sizeof(*conn));
	conn->demo = demo;
	conn->fd = -1;
	ev_timer_stop(demo->loop, &demo->accept_pause);
	ev_io_start(demo->loop, &demo->listener);
}

/* Ends a connection so that the client reads a reset: no end of file for half an answer. */
static void conn_abort(struct conn *conn)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	/* Fails only on what is no socket; then there is nobody to tell. */
	(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_close(conn);
}

/* Room for at least one more byte. False: none to be had. */
static bool conn_grow(struct conn *conn)
{
	/* One byte over the limit shows that it was passed, or holds the newline that was missing.
	 */
	size_t most = conn->demo->limits.input_bytes + 1;
	size_t capacity = conn->capacity == 0 ? FIRST_CAPACITY : conn->capacity * 2;

	if (conn->length < conn->capacity)
		return true;
	if (capacity > most)
		capacity = most;
	if (capacity <= conn->length)
		return false;
	unsigned char *bytes = realloc(conn->bytes, capacity);
	if (bytes == NULL)
		return false;
	conn->bytes = bytes;
	conn->capacity = capacity;
	return true;
}

/* The input is whole: from here on `bytes` is the answer. */
static void conn_answer(struct conn *conn)
{
	if (conn->length > 0 && conn->bytes[conn->length - 1] != '\n') {
		if (!conn_grow(conn)) {
			conn_abort(conn);
			return;
		}
		conn->bytes[conn->length++] = '\n';
	}
	if (conn->length > 0) {
		unsigned char *sorted = demo_sort_lines(conn->bytes, conn->length);
		if (sorted == NULL) {
			conn_abort(conn);
			return;
		}
		free(conn->bytes);
		conn->bytes = sorted;
	}
	conn->state = CONN_WRITING;
	conn->moved_at_us = now_us();
	conn_watch(conn, EV_WRITE);
}

/* Takes `got` bytes of input in. False: that was too much. */
static bool conn_took(struct conn *conn, size_t got)
{
	struct demo *demo = conn->demo;
	conn->length += got;
	conn->counted += got;
	demo->total += got;
	conn->moved_at_us = now_us();
	return conn->length <= demo->limits.input_bytes && demo->total <= demo->limits.total_bytes;
}

static void conn_read(struct conn *conn)
{
	for (size_t moved = 0; moved < TURN_BYTES;) {
		if (!conn_grow(conn)) {
			conn_abort(conn);
			return;
		}
		size_t room = conn->capacity - conn->length;
		ssize_t got = recv(conn->fd, conn->bytes + conn->length,
				   room < TURN_BYTES ? room : TURN_BYTES, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		/* A 0 is a true end of file: nothing else on this socket takes an error before. */
		if (got == 0) {
			conn_answer(conn);
			return;
		}
		if (got < 0 || !conn_took(conn, (size_t)got)) {
			conn_abort(conn);
			return;
		}
		moved += (size_t)got;
	}
}

/* The answer is the kernel's. Writing stops before shutdown(): afterwards a socket counts as
 * writable for ever, and the loop would spin. */
static void conn_finish(struct conn *conn)
{
	conn_watch(conn, 0);
	if (shutdown(conn->fd, SHUT_WR) < 0) {
		conn_abort(conn);
		return;
	}
	conn->state = CONN_CLOSING;
	conn->look_us = CLOSE_LOOK_MIN_US;
	set_timer(conn, conn->look_us);
}

static void conn_write(struct conn *conn)
{
	for (size_t moved = 0; moved < TURN_BYTES && conn->sent < conn->length;) {
		size_t left = conn->length - conn->sent;
		ssize_t sent = send(conn->fd, conn->bytes + conn->sent,
				    left < TURN_BYTES ? left : TURN_BYTES, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			conn_abort(conn);
			return;
		}
		conn->sent += (size_t)sent;
		conn->moved_at_us = now_us();
		moved += (size_t)sent;
	}
	if (conn->sent == conn->length)
		conn_finish(conn);
}

/* CLOSING waits for no readiness: its watcher is never started. */
static void (*const on_ready[])(struct conn *conn) = {
	[CONN_READING] = conn_read,
	[CONN_WRITING] = conn_write,
	[CONN_CLOSING] = NULL,
};
static_assert(sizeof(on_ready) / sizeof(on_ready[0]) == CONN_STATES, "every state has a row");

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct conn *conn = io->data;
	(void)loop;
	(void)events;
	if (on_ready[conn->state] != NULL)
		on_ready[conn->state](conn);
}

/* Both ends of file have passed: the state is CLOSE once ours is acknowledged, and after a reset.
 * Either way there is nothing left to do. */
static bool is_over_in_kernel(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	memset(&info, 0, sizeof(info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	       info.tcpi_state == TCP_CLOSE;
}

/* A slow client makes progress that only the kernel sees. */
static void note_acknowledged(struct conn *conn, int64_t now)
{
	int unacked;
	if (ioctl(conn->fd, SIOCOUTQ, &unacked) < 0 || unacked == conn->unacked)
		return;
	conn->unacked = unacked;
	conn->moved_at_us = now;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct conn *conn = timer->data;
	int64_t now = now_us();
	(void)loop;
	(void)events;

	if (conn->state == CONN_CLOSING && is_over_in_kernel(conn->fd)) {
		conn_close(conn);
		return;
	}
	note_acknowledged(conn, now);
	int64_t left = conn->moved_at_us + conn->demo->limits.idle_us - now;
	if (left <= 0) {
		conn_abort(conn);
		return;
	}
	if (conn->state == CONN_CLOSING) {
		conn->look_us *= 2;
		if (conn->look_us > CLOSE_LOOK_MAX_US)
			conn->look_us = CLOSE_LOOK_MAX_US;
		if (left > conn->look_us)
			left = conn->look_us;
	}
	set_timer(conn, left);
}

/* --- accepting ----------------------------------------------------------------------------- */

static void conn_open(struct demo *demo, int fd)
{
	struct conn *conn = demo->conns;
	while (conn->fd != -1)
		conn++; /* there is a free one: the listener is asked only while there is */
	demo->active++;
	conn->fd = fd;
	conn->state = CONN_READING;
	conn->moved_at_us = now_us();
	ev_init(&conn->io, on_io);
	ev_init(&conn->timer, on_timer);
	conn->io.data = conn;
	conn->timer.data = conn;
	conn_watch(conn, EV_READ);
	set_timer(conn, demo->limits.idle_us);
}

/* Errors of the one connection that was to be accepted; the next may be better. */
static bool is_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
	       error == ENETDOWN || error == EHOSTUNREACH || error == ENETUNREACH;
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	struct demo *demo = io->data;
	(void)events;

	for (int i = 0; i < TURN_ACCEPTS && demo->active < demo->limits.connections; i++) {
		int fd = accept4(demo->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_open(demo, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (!is_passing(errno)) {
			/* No descriptor or no memory, and the listener stays readable: do not
			 * ask again at once. */
			ev_io_stop(loop, &demo->listener);
			ev_timer_stop(loop, &demo->accept_pause);
			ev_timer_set(&demo->accept_pause, ACCEPT_PAUSE_S, 0.);
			ev_timer_start(loop, &demo->accept_pause);
			return;
		}
	}
	if (demo->active == demo->limits.connections)
		ev_io_stop(loop, &demo->listener);
}

static void on_accept_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct demo *demo = timer->data;
	(void)events;
	ev_io_start(loop, &demo->listener);
}

/* --- the thread ---------------------------------------------------------------------------- */

static void on_stop(struct ev_loop *loop, ev_io *io, int events)
{
	(void)io;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void *run(void *argument)
{
	struct demo *demo = argument;
	ev_run(demo->loop, 0);
	return NULL;
}

/* Releases whatever exists; the thread is not running. */
static void demo_destroy(struct demo *demo)
{
	for (size_t i = 0; demo->conns != NULL && i < demo->limits.connections; i++) {
		struct conn *conn = &demo->conns[i];
		if (conn->fd == -1)
			continue;
		if (conn->state == CONN_CLOSING)
			conn_close(conn); /* both ends of file are on their way */
		else
			conn_abort(conn);
	}
	free(demo->conns);
	if (demo->loop != NULL) {
		ev_io_stop(demo->loop, &demo->listener);
		ev_timer_stop(demo->loop, &demo->accept_pause);
		ev_io_stop(demo->loop, &demo->stop);
		ev_loop_destroy(demo->loop);
	}
	if (demo->listen_fd >= 0)
		(void)close(demo->listen_fd); /* nothing of ours is in it */
	if (demo->stop_fd >= 0)
		(void)close(demo->stop_fd); /* nor here */
	free(demo);
}

static struct demo *demo_create(const struct demo_limits *limits)
{
	struct demo *demo = calloc(1, sizeof(*demo));
	if (demo == NULL)
		return NULL;
	demo->limits = *limits;
	demo->listen_fd = -1;
	demo->stop_fd = -1;
	demo->conns = calloc(limits->connections, sizeof(*demo->conns));
	if (demo->conns == NULL) {
		free(demo);
		return NULL;
	}
	for (size_t i = 0; i < limits->connections; i++) {
		demo->conns[i].demo = demo;
		demo->conns[i].fd = -1;
	}
	return demo;
}

static int open_listener(struct demo *demo, struct address *address, const char **ret_why)
{
	memset(address, 0, sizeof(*address));
	address->length = sizeof(address->v4);
	address->v4.sin_family = AF_INET;
	address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	*ret_why = "no socket for the demo backend";
	demo->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (demo->listen_fd < 0)
		return -errno;
	*ret_why = "the demo backend cannot listen on 127.0.0.1";
	if (bind(demo->listen_fd, &address->any, address->length) < 0 ||
	    listen(demo->listen_fd, SOMAXCONN) < 0 ||
	    getsockname(demo->listen_fd, &address->any, &address->length) < 0)
		return -errno;
	return 0;
}

static int make_loop(struct demo *demo, const char **ret_why)
{
	*ret_why = "no event loop for the demo backend";
	demo->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (demo->stop_fd < 0)
		return -errno;
	errno = ENOMEM; /* should libev not say */
	demo->loop = ev_loop_new(EVBACKEND_EPOLL);
	if (demo->loop == NULL)
		return -errno;
	ev_io_init(&demo->listener, on_accept, demo->listen_fd, EV_READ);
	ev_timer_init(&demo->accept_pause, on_accept_pause, 0., 0.);
	ev_io_init(&demo->stop, on_stop, demo->stop_fd, EV_READ);
	demo->listener.data = demo;
	demo->accept_pause.data = demo;
	ev_io_start(demo->loop, &demo->listener);
	ev_io_start(demo->loop, &demo->stop);
	return 0;
}

/* Signals are the main thread's: the new one inherits a mask in which all are blocked. */
static int start_thread(struct demo *demo, const char **ret_why)
{
	sigset_t all, before;
	*ret_why = "no thread for the demo backend";
	(void)sigfillset(&all); /* cannot fail, and pthread_sigmask neither with these arguments */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&demo->thread, NULL, run, demo);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		(void)pthread_setname_np(demo->thread, "demo"); /* a name is a nicety */
	return -error;
}

int demo_start_limited(const struct demo_limits *limits, struct demo **ret,
		       struct address *ret_address, const char **ret_why)
{
	assert(limits->connections >= 1 && limits->input_bytes < UINT32_MAX);
	const char *why = "no memory for the demo backend";
	struct address address;
	int result = -ENOMEM;

	struct demo *demo = demo_create(limits);
	if (demo == NULL)
		goto fail;
	result = open_listener(demo, &address, &why);
	if (result < 0)
		goto fail;
	result = make_loop(demo, &why);
	if (result < 0)
		goto fail;
	result = start_thread(demo, &why);
	if (result < 0)
		goto fail;
	*ret = demo;
	*ret_address = address;
	return 0;
fail:
	if (demo != NULL)
		demo_destroy(demo);
	*ret_why = why;
	return result;
}

int demo_start(struct demo **ret, struct address *ret_address, const char **ret_why)
{
	return demo_start_limited(&demo_limits, ret, ret_address, ret_why);
}

void demo_stop(struct demo *demo)
{
	if (demo == NULL)
		return;
	(void)eventfd_write(demo->stop_fd,
			    1); /* fails only at a count that one write cannot reach */
	(void)pthread_join(demo->thread, NULL); /* fails only for what is no thread of ours */
	demo_destroy(demo);
}
