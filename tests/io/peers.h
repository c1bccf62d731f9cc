#ifndef FINBACK_TESTS_IO_PEERS_H
#define FINBACK_TESTS_IO_PEERS_H

#include <finback/io/address.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/*
 * The far ends of the sockets under test: plain sockets, made without finback's own code, and the
 * things that peers do. All on loopback or in a folder of the test's own.
 */

/* Far beyond what anything here takes: only a hang reaches it. */
#define PATIENCE_MS 20000

/* Long enough for the kernel to do what it does by itself on loopback. */
#define SETTLE_MS 60

/* In a child of the test's, where an assertion would go on with the parent's tests. */
#define CHILD_CHECK(condition)                                                               \
	do {                                                                                 \
		if (!(condition)) {                                                          \
			(void)fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, \
				      #condition, strerror(errno));                          \
			_exit(1);                                                            \
		}                                                                            \
	} while (0)

static inline void sleep_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&time, NULL);
}

/* Waits for any of `events`. Returns those that came; 0 after `ms`. */
static inline short wait_for(int fd, short events, int ms)
{
	struct pollfd watched = { .fd = fd, .events = events };

	return poll(&watched, 1, ms) > 0 ? watched.revents : 0;
}

static inline void join_child(pid_t child)
{
	int status = -1;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Runs `body` in a child and wants it to come back. */
static inline void run_in_child(void (*body)(void))
{
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(0);
	}
	join_child(child);
}

static inline size_t count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* ---- addresses --------------------------------------------------------------------------------
 */

static inline struct address loopback(void)
{
	struct address address = { .length = sizeof address.v4 };

	address.v4.sin_family = AF_INET;
	address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static inline struct address unix_path(const char *folder, const char *name)
{
	struct address address = { .length = sizeof address.un };
	int length;

	address.un.sun_family = AF_UNIX;
	length = snprintf(address.un.sun_path, sizeof address.un.sun_path, "%s/%s", folder, name);
	assert_in_range(length, 1, (int)sizeof address.un.sun_path - 1);
	return address;
}

static inline struct address address_of(int fd)
{
	struct address address = { .length = sizeof address.un };

	assert_int_equal(getsockname(fd, &address.any, &address.length), 0);
	return address;
}

/* Of sock_connect: no source, no cap. */
static const struct sock_connect as_it_is __attribute__((unused));

/* ---- sockets ----------------------------------------------------------------------------------
 */

/* Bound to a port of the kernel's choice, or to a path; nobody listens. */
static inline int peer_bound(const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &address->any, address->length), 0);
	return fd;
}

static inline int peer_listening(const struct address *address, int backlog)
{
	int fd = peer_bound(address);

	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline int peer_connected(const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address->any, address->length), 0);
	return fd;
}

/* A connection: our end as finback makes it, and a plain peer. */
struct pair {
	int ours;
	int peer;
};

/* `buffer_bytes` bounds what the peer takes in and what our end keeps for it; 0: as it is. */
static inline struct pair pair_over(const struct address *address, int buffer_bytes)
{
	struct pair pair = { -1, -1 };
	int listener = peer_bound(address);
	struct address bound = address_of(listener);

	if (buffer_bytes > 0)
		assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer_bytes,
					    sizeof buffer_bytes),
				 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_in_range(sock_connect(&bound, &as_it_is, &pair.ours) + EINPROGRESS, 0, EINPROGRESS);
	pair.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.peer >= 0);
	assert_true(wait_for(pair.ours, POLLOUT, PATIENCE_MS) & POLLOUT);
	assert_int_equal(sock_take_error(pair.ours), 0);
	if (buffer_bytes > 0)
		assert_int_equal(setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &buffer_bytes,
					    sizeof buffer_bytes),
				 0);
	(void)close(listener);
	if (address->any.sa_family == AF_UNIX)
		(void)unlink(address->un.sun_path);
	return pair;
}

static inline struct pair tcp_pair(void)
{
	struct address address = loopback();

	return pair_over(&address, 0);
}

static inline struct pair small_tcp_pair(void)
{
	struct address address = loopback();

	return pair_over(&address, 4096);
}

static inline struct pair unix_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	return (struct pair){ fds[0], fds[1] };
}

static inline void close_pair(struct pair *pair)
{
	if (pair->ours >= 0)
		(void)close(pair->ours);
	if (pair->peer >= 0)
		(void)close(pair->peer);
	*pair = (struct pair){ -1, -1 };
}

/* ---- what peers do ------------------------------------------------------------------------------
 */

static inline void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Until so many bytes wait in our end's socket. */
static inline void wait_unread(int fd, uint32_t count)
{
	for (int waited_ms = 0; sock_unread(fd) < count; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
}

/* The peer's text has reached our end's socket. */
static inline void put_through(const struct pair *pair, const char *text)
{
	uint32_t before = sock_unread(pair->ours);

	put(pair->peer, text);
	wait_unread(pair->ours, before + (uint32_t)strlen(text));
}

static inline void put_urgent(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_OOB), strlen(text));
}

static inline void send_fin(int fd)
{
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

/* Closes with a reset. */
static inline void send_reset(int *fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	assert_int_equal(close(*fd), 0);
	*fd = -1;
}

/* One read, once there is something to be read: the length or -errno. */
static inline ssize_t get(int fd, void *bytes, size_t size)
{
	ssize_t length;

	assert_true(wait_for(fd, POLLIN, PATIENCE_MS) != 0);
	length = recv(fd, bytes, size, MSG_DONTWAIT);
	return length < 0 ? -errno : length;
}

/* One read must bring exactly this. */
static inline void expect_text(int fd, const char *text)
{
	char bytes[64];
	ssize_t length = get(fd, bytes, sizeof bytes);

	assert_int_equal(length, strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

/* One read must bring this: 0 or -errno. */
static inline void expect_result(int fd, int result)
{
	char byte;

	assert_int_equal(get(fd, &byte, 1), result);
}

/* Reads and forgets everything. Returns the last result: 0 or -errno. */
static inline int drain(int fd, size_t *ret_bytes)
{
	static char bytes[65536];
	ssize_t length;

	*ret_bytes = 0;
	while ((length = get(fd, bytes, sizeof bytes)) > 0)
		*ret_bytes += (size_t)length;
	return (int)length;
}

/* Writes as much as it takes. */
static inline size_t write_some(int fd)
{
	static const char bytes[65536];
	size_t total = 0;
	ssize_t length;

	while ((length = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		total += (size_t)length;
	assert_int_equal(errno, EAGAIN);
	return total;
}

/* Writes until it takes nothing, not even after a while: what the peer's kernel takes in makes room
 * of which no event tells, as it is too little. Returns how much was written. */
static inline size_t fill(int fd)
{
	size_t total = 0;
	size_t more;

	do {
		more = write_some(fd);
		total += more;
		sleep_ms(SETTLE_MS);
	} while (more > 0);
	return total;
}

/* The state in the kernel's words, TCP_ESTABLISHED and so on. */
static inline int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_state;
}

static inline int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

/* Waits until the peer's kernel has acknowledged all that was written. */
static inline void wait_until_acked(int fd)
{
	for (int waited_ms = 0; sock_unacked(fd) > 0; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
}

#endif
