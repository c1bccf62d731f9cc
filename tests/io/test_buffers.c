/*
 * io/buffers, and the facts of the kernel behind it: what is inherited, what takes a socket out of
 * the kernel's tuning and what puts it back, and what bounds a cap.
 */
#include <finback/io/buffers.h>
#include <finback/io/sock.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "peers.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

#define CAP    65536
#define NOBODY 65534
/* More than the kernel starts with, and than the cap; less than what it grows to. */
#define PLENTY (8 << 20)

static int sends(int fd)
{
	return option_of(fd, SOL_SOCKET, SO_SNDBUF);
}

static int receives(int fd)
{
	return option_of(fd, SOL_SOCKET, SO_RCVBUF);
}

static int listening(uint32_t cap)
{
	const struct sock_listen options = { .backlog = 4, .buffer_cap = cap };
	struct address address = loopback();
	int fd = sock_listen(&address, &options);

	assert_true(fd >= 0);
	return fd;
}

/* A connection to the socket, as accepted; our end is `ours`. */
static struct pair accepted_from(int listener)
{
	struct address address = address_of(listener);
	struct pair pair = { .peer = peer_connected(&address) };

	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	pair.ours = sock_accept(listener, &address);
	assert_true(pair.ours >= 0);
	return pair;
}

/* Lets much pass from one end to the other: the kernel's tuning follows. */
static void pass_much(int from, int to)
{
	static char bytes[65536];

	for (size_t sent = 0, read = 0; read < PLENTY;) {
		ssize_t length = sent < PLENTY ? send(from, bytes, sizeof bytes, MSG_DONTWAIT) : 0;

		sent += length > 0 ? (size_t)length : 0;
		while ((length = recv(to, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
			read += (size_t)length;
	}
}

static void expect_capped(int fd, int peer)
{
	assert_int_equal(sends(fd), 2 * CAP);
	assert_int_equal(receives(fd), 2 * CAP);
	pass_much(peer, fd);
	pass_much(fd, peer);
	assert_int_equal(sends(fd), 2 * CAP);
	assert_int_equal(receives(fd), 2 * CAP);
}

static void expect_tuned(int fd, int peer)
{
	int first = receives(fd);

	assert_int_equal(option_of(fd, SOL_SOCKET, SO_BUF_LOCK), 0);
	pass_much(peer, fd);
	pass_much(fd, peer);
	assert_true(receives(fd) > 2 * first);
	assert_true(sends(fd) > 4 * CAP);
}

static void accepted_sockets_inherit_the_cap(void **state)
{
	int listener = listening(CAP);
	struct pair pair = accepted_from(listener);

	(void)state;
	expect_capped(pair.ours, pair.peer);
	close_pair(&pair);
	sock_close(listener);
}

static void connected_sockets_have_the_cap(void **state)
{
	const struct sock_connect options = { .buffer_cap = CAP };
	struct address address = loopback();
	int listener = peer_listening(&address, 4);
	struct pair pair;

	(void)state;
	address = address_of(listener);
	assert_in_range(sock_connect(&address, &options, &pair.ours) + EINPROGRESS, 0, EINPROGRESS);
	pair.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(wait_for(pair.ours, POLLOUT, PATIENCE_MS) & POLLOUT);
	expect_capped(pair.ours, pair.peer);
	close_pair(&pair);
	(void)close(listener);
}

/* The window that the client is offered is what the cap is for. */
static void a_slow_reader_is_sent_no_more_than_the_cap(void **state)
{
	int listener = listening(CAP);
	struct pair pair = accepted_from(listener);
	int small = 4096;

	(void)state;
	assert_int_equal(setsockopt(pair.peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	assert_in_range(fill(pair.peer), CAP / 2, 4 * CAP);
	assert_in_range(sock_unread(pair.ours), CAP / 2, 2 * CAP);
	close_pair(&pair);
	sock_close(listener);
}

static void without_a_cap_the_kernel_tunes(void **state)
{
	int listener = listening(0);
	struct pair pair = accepted_from(listener);

	(void)state;
	expect_tuned(pair.ours, pair.peer);
	close_pair(&pair);
	sock_close(listener);
}

static void a_cap_can_be_set_changed_and_taken_back(void **state)
{
	int listener = listening(0);
	int send_bytes = sends(listener);
	int receive_bytes = receives(listener);
	struct pair pair;

	(void)state;
	assert_int_equal(buffers_cap(listener, CAP / 4), 0);
	assert_int_equal(buffers_cap(listener, CAP), 0);
	pair = accepted_from(listener);
	expect_capped(pair.ours, pair.peer);
	close_pair(&pair);
	assert_int_equal(buffers_uncap(listener), 0);
	assert_int_equal(sends(listener), send_bytes);
	assert_int_equal(receives(listener), receive_bytes);
	pair = accepted_from(listener);
	expect_tuned(pair.ours, pair.peer);
	close_pair(&pair);
	sock_close(listener);
}

/* Before Linux 5.14. */
static void have_no_lock(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_BUF_LOCK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof code / sizeof *code, code };

	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void uncap_without_a_lock(void)
{
	int listener = listening(CAP);

	have_no_lock();
	CHILD_CHECK(buffers_uncap(listener) == -ENOPROTOOPT);
	CHILD_CHECK(sends(listener) == 2 * CAP && receives(listener) == 2 * CAP);
}

static void a_kernel_without_the_lock_keeps_the_cap(void **state)
{
	(void)state;
	run_in_child(uncap_without_a_lock);
}

/* Of net.core. */
static uint32_t sysctl_of(const char *name)
{
	char path[64];
	unsigned value = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/sys/net/core/%s", name);
	file = fopen(path, "re");
	CHILD_CHECK(file && fscanf(file, "%u", &value) == 1);
	(void)fclose(file);
	return value;
}

static void ask_for_too_much(void)
{
	uint32_t send_bytes = sysctl_of("wmem_max");
	uint32_t receive_bytes = sysctl_of("rmem_max");
	struct buffers given = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHILD_CHECK(geteuid() != 0 || setuid(NOBODY) == 0);
	CHILD_CHECK(buffers_try(BUFFERS_MOST, &given) == 0);
	CHILD_CHECK(given.send_bytes == send_bytes && given.receive_bytes == receive_bytes);
	CHILD_CHECK(buffers_try(BUFFERS_LEAST, &given) == 0);
	CHILD_CHECK(given.send_bytes == BUFFERS_LEAST && given.receive_bytes == BUFFERS_LEAST);
	CHILD_CHECK(buffers_cap(fd, BUFFERS_MOST) == 0);
	CHILD_CHECK((uint32_t)sends(fd) == 2 * send_bytes);
	CHILD_CHECK((uint32_t)receives(fd) == 2 * receive_bytes);
}

static void the_machine_bounds_the_cap(void **state)
{
	(void)state;
	run_in_child(ask_for_too_much);
}

static void who_may_is_not_bounded(void **state)
{
	struct buffers given;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int most = INT32_MAX / 2;

	(void)state;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof most) < 0) {
		(void)close(fd);
		skip();
	}
	assert_int_equal(buffers_try(BUFFERS_MOST, &given), 0);
	assert_int_equal(given.send_bytes, BUFFERS_MOST);
	assert_int_equal(given.receive_bytes, BUFFERS_MOST);
	assert_int_equal(buffers_cap(fd, BUFFERS_MOST), 0);
	assert_int_equal(receives(fd), 2 * most);
	(void)close(fd);
}

static void what_is_no_socket_is_an_error(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(buffers_cap(fds[0], CAP), -ENOTSOCK);
	assert_int_equal(buffers_uncap(fds[0]), -ENOTSOCK);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* A writer is held up by its own buffer alone. */
static void a_unix_socket_holds_no_more_than_the_cap(void **state)
{
	struct pair free = unix_pair();
	struct pair capped = unix_pair();

	(void)state;
	assert_int_equal(buffers_cap(capped.ours, CAP / 4), 0);
	assert_in_range(fill(capped.ours), CAP / 16, CAP / 2);
	assert_true(fill(free.ours) > CAP / 2);
	close_pair(&free);
	close_pair(&capped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_sockets_inherit_the_cap),
		cmocka_unit_test(connected_sockets_have_the_cap),
		cmocka_unit_test(a_slow_reader_is_sent_no_more_than_the_cap),
		cmocka_unit_test(without_a_cap_the_kernel_tunes),
		cmocka_unit_test(a_cap_can_be_set_changed_and_taken_back),
		cmocka_unit_test(a_kernel_without_the_lock_keeps_the_cap),
		cmocka_unit_test(the_machine_bounds_the_cap),
		cmocka_unit_test(who_may_is_not_bounded),
		cmocka_unit_test(what_is_no_socket_is_an_error),
		cmocka_unit_test(a_unix_socket_holds_no_more_than_the_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
