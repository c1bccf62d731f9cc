/* io/liveness: exactly the options asked for, at the edges of what the kernel takes. */
#include <finback/io/liveness.h>

#include "peers.h"

static const struct keepalive usual = {
	.is_set = true, .idle_s = 20, .interval_s = 10, .count = 3, .user_timeout_ms = 45000
};

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static struct keepalive options_of(int fd)
{
	return (struct keepalive){
		.is_set = option_of(fd, SOL_SOCKET, SO_KEEPALIVE) != 0,
		.idle_s = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE),
		.interval_s = option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL),
		.count = option_of(fd, IPPROTO_TCP, TCP_KEEPCNT),
		.user_timeout_ms = option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT),
	};
}

static void expect_options(int fd, const struct keepalive *expected)
{
	struct keepalive options = options_of(fd);

	assert_int_equal(options.is_set, expected->is_set);
	assert_int_equal(options.idle_s, expected->idle_s);
	assert_int_equal(options.interval_s, expected->interval_s);
	assert_int_equal(options.count, expected->count);
	assert_int_equal(options.user_timeout_ms, expected->user_timeout_ms);
}

static void exactly_these_options_are_set(void **state)
{
	static const struct keepalive cases[] = {
		{ true, 20, 10, 3, 45000 },
		{ true, 1, 1, 1, 0 },
		{ true, LIVENESS_SECONDS_MAX, LIVENESS_SECONDS_MAX, LIVENESS_COUNT_MAX, INT32_MAX },
		{ true, 3, 2, 1, 1 }, /* a user timeout shorter than the first probe is no error */
	};
	int fd = tcp_socket();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(liveness_apply(fd, &cases[i]), 0);
		expect_options(fd, &cases[i]);
	}
	(void)close(fd);
}

static void what_is_not_set_is_left_alone(void **state)
{
	static const struct keepalive unset = { .idle_s = 7, .interval_s = 7, .count = 7 };
	int fd = tcp_socket();
	struct keepalive before = options_of(fd);

	(void)state;
	assert_int_equal(liveness_apply(fd, &unset), 0);
	expect_options(fd, &before);
	assert_int_equal(liveness_apply(fd, &usual), 0);
	assert_int_equal(liveness_apply(fd, &unset), 0);
	expect_options(fd, &usual);
	assert_int_equal(liveness_apply(-1, &unset), 0);
	(void)close(fd);
}

static void what_the_kernel_does_not_take(void **state)
{
	static const struct keepalive cases[] = {
		{ true, 0, 10, 3, 0 },   { true, LIVENESS_SECONDS_MAX + 1, 10, 3, 0 },
		{ true, 20, 0, 3, 0 },   { true, 20, LIVENESS_SECONDS_MAX + 1, 3, 0 },
		{ true, 20, 10, 0, 0 },  { true, 20, 10, LIVENESS_COUNT_MAX + 1, 0 },
		{ true, 20, 10, 3, -1 }, { true, -1, -1, -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int fd = tcp_socket();

		assert_int_equal(liveness_apply(fd, &cases[i]), -EINVAL);
		/* It comes last, after every option that can fail. */
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
		(void)close(fd);
	}
}

static void clearing_switches_off(void **state)
{
	int fd = tcp_socket();

	(void)state;
	assert_int_equal(liveness_clear(fd), 0); /* what was never on */
	assert_int_equal(liveness_apply(fd, &usual), 0);
	assert_int_equal(liveness_clear(fd), 0);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	assert_int_equal(liveness_apply(fd, &usual), 0);
	expect_options(fd, &usual);
	(void)close(fd);
}

static void a_live_connection_takes_them_too(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	assert_int_equal(liveness_apply(pair.ours, &usual), 0);
	expect_options(pair.ours, &usual);
	assert_int_equal(option_of(pair.peer, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(liveness_clear(pair.ours), 0);
	assert_int_equal(option_of(pair.ours, SOL_SOCKET, SO_KEEPALIVE), 0);
	close_pair(&pair);
}

static void what_is_no_tcp_socket(void **state)
{
	struct pair pair = unix_pair();
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(liveness_apply(pair.ours, &usual), -EOPNOTSUPP);
	assert_int_equal(liveness_apply(fds[0], &usual), -ENOTSOCK);
	assert_int_equal(liveness_apply(-1, &usual), -EBADF);
	assert_int_equal(liveness_clear(-1), -EBADF);
	(void)close(fds[0]);
	(void)close(fds[1]);
	close_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_these_options_are_set),
		cmocka_unit_test(what_is_not_set_is_left_alone),
		cmocka_unit_test(what_the_kernel_does_not_take),
		cmocka_unit_test(clearing_switches_off),
		cmocka_unit_test(a_live_connection_takes_them_too),
		cmocka_unit_test(what_is_no_tcp_socket),
	};

	return cmocka_run_group_tests_name("io/liveness", tests, NULL, NULL);
}
