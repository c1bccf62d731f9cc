/*
 * io/liveness: exactly the options asked for, at the edges of what the kernel takes; and what the
 * kernel tells of connections in many states, of which this must stay true for operators to trust.
 */
#include <finback/io/liveness.h>

#include <linux/filter.h>

#include "peers.h"

#define RTO_MAX_MS 44 /* TCP_RTO_MAX_MS, newer than the C library's headers */

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

/* What dead_after comes to: it fits, with as many probes as make sense, and the kernel takes it. */
static void dead_after_as_options(void **state)
{
	int fd = tcp_socket();

	(void)state;
	for (int64_t second = 3; second <= 86400; second += 1 + second / 50) {
		struct keepalive options = liveness_within(second * 1000000 + 999999);
		int64_t sum = options.idle_s + (int64_t)options.interval_s * options.count;

		assert_true(sum <= second);
		assert_true(sum >= second - second / 16);
		assert_true(options.count >= (second < 60 ? second / 2 : 38));
		assert_true(options.idle_s <= second / 2);
		assert_int_equal(options.user_timeout_ms, 0);
		assert_in_range(options.rto_max_ms, 1000, 120000);
		assert_int_equal(liveness_apply(fd, &options), 0);
		expect_options(fd, &options);
	}
	(void)close(fd);
}

/* Where the kernel has the option, it is set; where not, all else is. */
static void retransmissions_do_not_back_off_without_bound(void **state)
{
	const struct keepalive minute = liveness_within(60 * INT64_C(1000000));
	int fd = tcp_socket();
	int value = 0;
	socklen_t length = sizeof value;

	(void)state;
	assert_int_equal(liveness_apply(fd, &minute), 0);
	if (getsockopt(fd, IPPROTO_TCP, RTO_MAX_MS, &value, &length) == 0)
		assert_int_equal(value, 5000);
	(void)close(fd);
}

static void exactly_these_options_are_set(void **state)
{
	static const struct keepalive cases[] = {
		{ true, 20, 10, 3, 45000, 0 },
		{ true, 1, 1, 1, 0, 0 },
		{ true, LIVENESS_SECONDS_MAX, LIVENESS_SECONDS_MAX, LIVENESS_COUNT_MAX, INT32_MAX,
		  0 },
		{ true, 3, 2, 1, 1,
		  0 }, /* a user timeout shorter than the first probe is no error */
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
		{ true, 0, 10, 3, 0, 0 },   { true, LIVENESS_SECONDS_MAX + 1, 10, 3, 0, 0 },
		{ true, 20, 0, 3, 0, 0 },   { true, 20, LIVENESS_SECONDS_MAX + 1, 3, 0, 0 },
		{ true, 20, 10, 0, 0, 0 },  { true, 20, 10, LIVENESS_COUNT_MAX + 1, 0, 0 },
		{ true, 20, 10, 3, -1, 0 }, { true, -1, -1, -1, -1, 0 },
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

/* ---- what the kernel knows ---------------------------------------------------------------------
 */

/* A connection whose peer's kernel hears nothing any more: it drops all that arrives. */
static void deafen(int peer)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { .len = 1, .filter = &nothing };

	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
			 0);
}

static struct vitals vitals_of(int fd)
{
	struct vitals vitals;

	assert_int_equal(liveness_vitals(fd, &vitals), 0);
	return vitals;
}

static struct tcp_facts facts_of(int fd)
{
	struct tcp_facts facts;

	assert_int_equal(liveness_read(fd, &facts), 0);
	return facts;
}

static void expect_facts(int fd, const char *state, uint32_t outstanding, uint32_t unread)
{
	struct tcp_facts facts = facts_of(fd);

	assert_string_equal(tcp_state_name(facts.state), state);
	assert_int_equal(facts.unacked_bytes + facts.unsent_bytes, outstanding);
	assert_int_equal(facts.unread_bytes, unread);
}

static void wait_for_state(int fd, int state)
{
	for (int waited_ms = 0; tcp_state(fd) != state; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
}

static void wait_for_unread(int fd, uint32_t bytes)
{
	for (int waited_ms = 0; sock_unread(fd) != bytes; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
}

static void an_open_connection(void **state)
{
	struct pair pair = tcp_pair();
	struct tcp_facts facts;

	(void)state;
	expect_facts(pair.ours, "ESTABLISHED", 0, 0);
	put(pair.ours, "ping");
	wait_until_acked(pair.ours);
	put(pair.peer, "hello");
	wait_for_unread(pair.ours, 5);
	expect_facts(pair.ours, "ESTABLISHED", 0, 5);
	facts = facts_of(pair.ours);
	assert_in_range(facts.rtt_us, 1, 1000000);
	assert_int_equal(facts.retransmits, 0);
	assert_int_equal(facts.total_retransmits, 0);
	assert_int_equal(facts.probes, 0);
	expect_text(pair.ours, "hello");
	expect_facts(pair.ours, "ESTABLISHED", 0, 0);
	close_pair(&pair);
}

static void half_closed_by_us(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	put(pair.ours, "bye");
	assert_int_equal(sock_finish(pair.ours), 0);
	wait_for_state(pair.ours, TCP_FIN_WAIT2);
	put(pair.peer, "answer");
	wait_for_unread(pair.ours, 6);
	expect_facts(pair.ours, "FIN_WAIT2", 0, 6);
	close_pair(&pair);
}

/* The peer's FIN is no byte to be read. */
static void half_closed_by_the_peer(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	put(pair.peer, "hello");
	send_fin(pair.peer);
	wait_for_state(pair.ours, TCP_CLOSE_WAIT);
	expect_facts(pair.ours, "CLOSE_WAIT", 0, 5);
	expect_text(pair.ours, "hello");
	expect_result(pair.ours, 0);
	expect_facts(pair.ours, "CLOSE_WAIT", 0, 0);
	close_pair(&pair);
}

static void closed_by_both(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	send_fin(pair.peer);
	expect_result(pair.ours, 0);
	assert_int_equal(sock_finish(pair.ours), 0);
	wait_for_state(pair.ours, TCP_CLOSE);
	expect_facts(pair.ours, "CLOSE", 0, 0);
	close_pair(&pair);
}

/* What came before the reset can still be read; to look takes no error away. */
static void after_a_reset(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	put(pair.peer, "last");
	wait_for_unread(pair.ours, 4);
	send_reset(&pair.peer);
	wait_for_state(pair.ours, TCP_CLOSE);
	expect_facts(pair.ours, "CLOSE", 0, 4);
	expect_text(pair.ours, "last");
	expect_result(pair.ours, -ECONNRESET);
	close_pair(&pair);
}

/* The peer reads nothing: its window shuts, and what is left may not even be sent. */
static void a_shut_window(void **state)
{
	struct pair pair = small_tcp_pair();
	struct tcp_facts facts;
	uint32_t left;

	(void)state;
	(void)fill(pair.ours);
	for (int waited_ms = 0; facts_of(pair.ours).unacked_bytes > 0; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
	left = sock_unacked(pair.ours);
	assert_true(left > 0);
	facts = facts_of(pair.ours);
	assert_int_equal(facts.unsent_bytes, left);
	assert_int_equal(facts.retransmits, 0);
	assert_int_equal(sock_finish(pair.ours), 0);
	facts = facts_of(pair.ours);
	assert_string_equal(tcp_state_name(facts.state), "FIN_WAIT1");
	assert_int_equal(facts.unacked_bytes + facts.unsent_bytes, left + 1); /* the FIN */
	close_pair(&pair);
}

/* A listener that accepts nobody: its kernel drops the SYN. Nothing was ever heard. */
static void before_the_first_answer(void **state)
{
	struct address address = loopback();
	int listener = peer_listening(&address, 0);
	struct address bound = address_of(listener);
	int first = peer_connected(&bound);
	struct tcp_facts facts;
	int fd = -1;

	(void)state;
	assert_int_equal(sock_connect(&bound, &as_it_is, &fd), -EINPROGRESS);
	facts = facts_of(fd);
	assert_string_equal(tcp_state_name(facts.state), "SYN_SENT");
	assert_int_equal(facts.unacked_bytes + facts.unsent_bytes + facts.unread_bytes, 0);
	assert_int_equal(facts.last_heard_ms, 0);
	sock_close(fd);
	(void)close(first);
	(void)close(listener);
}

#define NAP_MS 400

static void how_long_ago_it_was_heard(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	assert_true(facts_of(pair.ours).last_heard_ms < NAP_MS / 2);
	sleep_ms(NAP_MS);
	assert_in_range(facts_of(pair.ours).last_heard_ms, NAP_MS - 20, PATIENCE_MS);
	put(pair.peer, "x"); /* a byte is a word */
	wait_for_unread(pair.ours, 1);
	assert_true(facts_of(pair.ours).last_heard_ms < NAP_MS / 2);
	sleep_ms(NAP_MS);
	put(pair.ours, "x"); /* so is an acknowledgement */
	wait_until_acked(pair.ours);
	assert_true(facts_of(pair.ours).last_heard_ms < NAP_MS / 2);
	close_pair(&pair);
}

static const struct keepalive impatient = {
	.is_set = true, .idle_s = 1, .interval_s = 1, .count = 2, .user_timeout_ms = 0
};

/* An idle peer that is there answers the kernel's probes. */
static void an_answer_to_keepalive_is_heard(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	assert_int_equal(liveness_apply(pair.ours, &impatient), 0);
	sleep_ms(1700);
	assert_true(facts_of(pair.ours).last_heard_ms < 1200);
	assert_int_equal(facts_of(pair.ours).probes, 0);
	close_pair(&pair);
}

/* ---- a peer that has vanished ------------------------------------------------------------------
 */

/* A deaf peer, and what finds that out. */
struct vanished {
	struct pair pair;
	enum detector detector;
	uint32_t outstanding;
};

static void vanish(struct vanished *one, const char *unacked, bool has_fin)
{
	const struct keepalive keepalive = {
		.is_set = true, .idle_s = 1, .interval_s = 1, .count = 1, .user_timeout_ms = 1500
	};

	one->pair = tcp_pair();
	one->outstanding = (uint32_t)strlen(unacked) + has_fin;
	one->detector = one->outstanding > 0 ? DETECTOR_USER_TIMEOUT : DETECTOR_KEEPALIVE;
	assert_int_equal(liveness_apply(one->pair.ours, &keepalive), 0);
	deafen(one->pair.peer);
	if (*unacked)
		put(one->pair.ours, unacked);
	if (has_fin)
		assert_int_equal(sock_finish(one->pair.ours), 0);
}

static void expect_found(struct vanished *one)
{
	assert_true(wait_for(one->pair.ours, POLLERR, PATIENCE_MS) & POLLERR);
	assert_int_equal(liveness_detector(one->pair.ours), one->detector);
	expect_facts(one->pair.ours, "CLOSE", one->outstanding, 0);
	assert_int_equal(sock_take_error(one->pair.ours), -ETIMEDOUT);
	/* It can be asked for after the error, too. */
	assert_int_equal(liveness_detector(one->pair.ours), one->detector);
	close_pair(&one->pair);
}

/* Two peers that vanished; the one whose silence before is reckoned with is found sooner. */
static void silence_before_counts(void **state)
{
	struct pair kept = tcp_pair();
	struct pair applied = tcp_pair();

	(void)state;
	deafen(kept.peer);
	deafen(applied.peer);
	sleep_ms(1500);
	assert_int_equal(liveness_keep(kept.ours, &impatient), 0);
	assert_int_equal(liveness_apply(applied.ours, &impatient), 0);
	assert_true(wait_for(kept.ours, POLLERR, PATIENCE_MS) & POLLERR);
	assert_int_equal(wait_for(applied.ours, POLLERR, 0) & POLLERR, 0);
	assert_true(wait_for(applied.ours, POLLERR, PATIENCE_MS) & POLLERR);
	close_pair(&kept);
	close_pair(&applied);
}

static void what_finds_it(void **state)
{
	struct vanished all[4];

	(void)state;
	vanish(&all[0], "", false);
	vanish(&all[1], "unheard", false);
	vanish(&all[2], "", true);
	vanish(&all[3], "unheard", true);
	for (size_t i = 0; i < 4; i++)
		expect_found(&all[i]);
}

static void signs_that_it_may_have_vanished(void **state)
{
	struct pair busy = tcp_pair();
	struct pair idle = tcp_pair();
	struct pair shut = small_tcp_pair();
	struct tcp_facts facts;

	(void)state;
	assert_int_equal(liveness_apply(idle.ours, &impatient), 0);
	(void)fill(shut.ours);
	deafen(busy.peer);
	deafen(idle.peer);
	deafen(shut.peer);
	put(busy.ours, "unheard");
	sleep_ms(1500);
	facts = facts_of(busy.ours);
	assert_int_equal(facts.unacked_bytes, 7);
	assert_int_equal(facts.unsent_bytes, 0);
	assert_in_range(facts.retransmits, 1, 8);
	assert_in_range(facts.total_retransmits, facts.retransmits, 8);
	assert_in_range(facts.last_heard_ms, 1400, PATIENCE_MS);
	assert_in_range(vitals_of(busy.ours).unanswered, facts.retransmits, 8);
	assert_true(vitals_of(busy.ours).silent_us >= (int64_t)facts.last_heard_ms * 1000);
	facts = facts_of(idle.ours);
	assert_int_equal(facts.probes, 1);
	assert_int_equal(facts.retransmits, 0);
	facts = facts_of(shut.ours);
	assert_in_range(facts.probes, 1, 8);
	assert_true(facts.unsent_bytes > 0);
	assert_in_range(vitals_of(shut.ours).unanswered, facts.probes, 8);
	close_pair(&busy);
	close_pair(&idle);
	close_pair(&shut);
}

static void what_has_no_facts(void **state)
{
	struct pair pair = unix_pair();
	struct tcp_facts facts = { .state = 99 };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(liveness_read(pair.ours, &facts), -EOPNOTSUPP);
	assert_int_equal(liveness_read(fds[0], &facts), -ENOTSOCK);
	assert_int_equal(liveness_read(-1, &facts), -EBADF);
	assert_int_equal(facts.state, 99); /* left alone */
	(void)close(fds[0]);
	(void)close(fds[1]);
	close_pair(&pair);
}

static void words_for_states(void **state)
{
	static const char *const names[] = { "-",          "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
					     "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
					     "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING" };

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		assert_string_equal(tcp_state_name(i), names[i]);
	assert_string_equal(tcp_state_name(12), "-"); /* a kernel's word of tomorrow */
	assert_string_equal(tcp_state_name(UINT32_MAX), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_these_options_are_set),
		cmocka_unit_test(dead_after_as_options),
		cmocka_unit_test(retransmissions_do_not_back_off_without_bound),
		cmocka_unit_test(what_is_not_set_is_left_alone),
		cmocka_unit_test(what_the_kernel_does_not_take),
		cmocka_unit_test(clearing_switches_off),
		cmocka_unit_test(a_live_connection_takes_them_too),
		cmocka_unit_test(what_is_no_tcp_socket),
		cmocka_unit_test(an_open_connection),
		cmocka_unit_test(half_closed_by_us),
		cmocka_unit_test(half_closed_by_the_peer),
		cmocka_unit_test(closed_by_both),
		cmocka_unit_test(after_a_reset),
		cmocka_unit_test(a_shut_window),
		cmocka_unit_test(before_the_first_answer),
		cmocka_unit_test(how_long_ago_it_was_heard),
		cmocka_unit_test(an_answer_to_keepalive_is_heard),
		cmocka_unit_test(silence_before_counts),
		cmocka_unit_test(what_finds_it),
		cmocka_unit_test(signs_that_it_may_have_vanished),
		cmocka_unit_test(what_has_no_facts),
		cmocka_unit_test(words_for_states),
	};

	return cmocka_run_group_tests_name("io/liveness", tests, NULL, NULL);
}
