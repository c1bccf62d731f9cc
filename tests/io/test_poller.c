/*
 * io/poller over every state that a session's socket can be in: each change is told once, by name,
 * and then there is silence, because nobody ever has to ask twice and nobody spins.
 */
#include <finback/io/poller.h>

#include <sys/resource.h>

#include "peers.h"

#define R READY_READ
#define W READY_WRITE
#define F READY_FIN
#define U READY_URGENT
#define H READY_HUP
#define E READY_ERROR

static struct poller poller;
static struct poller_event events[POLLER_BATCH];

/* What events name: aligned, as the contract asks for. */
static long owners[2];

static int open_poller(void **state)
{
	(void)state;
	return poller_init(&poller);
}

static int close_poller(void **state)
{
	(void)state;
	poller_fini(&poller);
	return poller.fd == -1 ? 0 : -1;
}

/* What has come by the time that all is quiet, in one event of the one socket; 0: nothing. */
static unsigned taken(void)
{
	int count;

	sleep_ms(SETTLE_MS);
	count = poller_take(&poller, events);
	assert_in_range(count, 0, 1);
	if (count == 0)
		return 0;
	assert_ptr_equal(events[0].owner, &owners[0]);
	assert_int_equal(events[0].side, SERVER);
	return events[0].ready;
}

/* The descriptor that the loop watches says the same as poller_take. */
static void expect_silence(void)
{
	assert_int_equal(wait_for(poller.fd, POLLIN, SETTLE_MS), 0);
	assert_int_equal(poller_take(&poller, events), 0);
}

static void watch(int fd)
{
	assert_int_equal(poller_add(&poller, fd, &owners[0], SERVER), 0);
}

/* ---- each state -------------------------------------------------------------------------------
 */

static void nothing_happens(struct pair *pair)
{
	(void)pair;
}

static void bytes_come(struct pair *pair)
{
	put(pair->peer, "abc");
}

static void urgent_comes(struct pair *pair)
{
	put(pair->peer, "ab");
	put_urgent(pair->peer, "c");
	put(pair->peer, "de");
}

static void fin_comes(struct pair *pair)
{
	send_fin(pair->peer);
}

static void bytes_and_fin_come(struct pair *pair)
{
	put(pair->peer, "abc");
	send_fin(pair->peer);
}

static void we_finish(struct pair *pair)
{
	assert_int_equal(sock_finish(pair->ours), 0);
	wait_until_acked(pair->ours);
}

static void we_stop_reading(struct pair *pair)
{
	assert_int_equal(shutdown(pair->ours, SHUT_RD), 0);
}

static void we_finish_and_fin_comes(struct pair *pair)
{
	we_finish(pair);
	send_fin(pair->peer);
}

static void fin_comes_and_we_finish(struct pair *pair)
{
	send_fin(pair->peer);
	we_finish(pair);
}

static void both_end_with_bytes_unread(struct pair *pair)
{
	put(pair->peer, "abc");
	we_finish_and_fin_comes(pair);
}

/* Nothing says that our last bytes have not arrived. */
static void both_end_with_bytes_unacknowledged(struct pair *pair)
{
	(void)fill(pair->ours);
	assert_int_equal(sock_finish(pair->ours), 0);
	send_fin(pair->peer);
}

static void reset_comes(struct pair *pair)
{
	send_reset(&pair->peer);
}

static void bytes_and_reset_come(struct pair *pair)
{
	put(pair->peer, "abc");
	send_reset(&pair->peer);
}

static void reset_comes_and_is_taken(struct pair *pair)
{
	send_reset(&pair->peer);
	assert_true(wait_for(pair->ours, 0, PATIENCE_MS) & POLLERR);
	assert_int_equal(sock_take_error(pair->ours), -ECONNRESET);
}

static void fin_and_reset_come(struct pair *pair)
{
	send_fin(pair->peer);
	send_reset(&pair->peer);
}

static void we_finish_and_reset_comes(struct pair *pair)
{
	we_finish(pair);
	send_reset(&pair->peer);
}

static void peer_closes(struct pair *pair)
{
	assert_int_equal(close(pair->peer), 0);
	pair->peer = -1;
}

static void peer_closes_on_unread_bytes(struct pair *pair)
{
	put(pair->ours, "abc");
	wait_for(pair->peer, POLLIN, PATIENCE_MS);
	peer_closes(pair);
}

struct row {
	const char *name;
	struct pair (*make)(void);
	void (*act)(struct pair *pair);
	unsigned ready;
};

static const struct row rows[] = {
	{ "idle", tcp_pair, nothing_happens, W },
	{ "bytes", tcp_pair, bytes_come, R | W },
	{ "an urgent mark", tcp_pair, urgent_comes, R | W | U },
	{ "the peer's FIN", tcp_pair, fin_comes, R | W | F },
	{ "bytes and FIN", tcp_pair, bytes_and_fin_come, R | W | F },
	{ "our FIN", tcp_pair, we_finish, W },
	{ "we stopped reading", tcp_pair, we_stop_reading, R | W | F },
	{ "both FIN, ours first", tcp_pair, we_finish_and_fin_comes, R | W | F | H },
	{ "both FIN, the peer's first", tcp_pair, fin_comes_and_we_finish, R | W | F | H },
	{ "both FIN, unread", tcp_pair, both_end_with_bytes_unread, R | W | F | H },
	{ "both FIN, unacknowledged", small_tcp_pair, both_end_with_bytes_unacknowledged,
	  R | W | F | H },
	{ "reset", tcp_pair, reset_comes, R | W | F | H | E },
	{ "bytes and reset", tcp_pair, bytes_and_reset_come, R | W | F | H | E },
	{ "reset, error taken", tcp_pair, reset_comes_and_is_taken, R | W | F | H },
	{ "FIN and reset", tcp_pair, fin_and_reset_come, R | W | F | H | E },
	{ "our FIN, reset", tcp_pair, we_finish_and_reset_comes, R | W | F | H | E },
	{ "UNIX: idle", unix_pair, nothing_happens, W },
	{ "UNIX: bytes", unix_pair, bytes_come, R | W },
	{ "UNIX: the peer's end of file", unix_pair, fin_comes, R | W | F },
	{ "UNIX: the peer closed", unix_pair, peer_closes, R | W | F | H },
	{ "UNIX: the peer closed on unread bytes", unix_pair, peer_closes_on_unread_bytes,
	  R | W | F | H | E },
};

static void check_row(const struct row *row, bool is_watched_before)
{
	struct pair pair = row->make();
	unsigned ready;

	if (is_watched_before) {
		watch(pair.ours);
		assert_int_equal(taken(), W);
		expect_silence();
	}
	row->act(&pair);
	if (!is_watched_before)
		watch(pair.ours);
	ready = taken();
	/* Where nothing happens, nothing is told. */
	if (ready != (is_watched_before && row->act == nothing_happens ? 0 : row->ready))
		fail_msg("%s, watched %s it came: ready is %#x", row->name,
			 is_watched_before ? "before" : "after", ready);
	expect_silence();
	close_pair(&pair);
	assert_int_equal(poller_take(&poller, events), 0);
}

static void each_state_is_told_once_as_it_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i], true);
}

static void each_state_is_told_once_to_who_comes_later(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i], false);
}

/* ---- one after the other ------------------------------------------------------------------------
 */

/* Also while what came before was not read: nobody reads under back-pressure. */
static void each_change_is_told_by_itself(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	watch(pair.ours);
	assert_int_equal(taken(), W);
	put(pair.peer, "abc");
	assert_int_equal(taken(), R | W);
	put(pair.peer, "def");
	assert_int_equal(taken(), R | W);
	send_fin(pair.peer);
	assert_int_equal(taken(), R | W | F);
	send_reset(&pair.peer);
	assert_int_equal(taken(), R | W | F | H | E);
	expect_silence();
	close_pair(&pair);
}

static void room_is_told_again(void **state)
{
	struct pair pair = small_tcp_pair();
	char bytes[16384];

	(void)state;
	watch(pair.ours);
	assert_int_equal(taken(), W);
	(void)fill(pair.ours);
	(void)taken();
	expect_silence();
	while (wait_for(pair.peer, POLLIN, SETTLE_MS) != 0)
		assert_true(get(pair.peer, bytes, sizeof bytes) > 0);
	assert_int_equal(taken(), W);
	close_pair(&pair);
}

/* No other event tells it, so it must not be missed: what is unacknowledged is only looked at when
 * an event has come. */
static void acknowledgement_of_our_fin_is_told(void **state)
{
	struct pair pair = small_tcp_pair();
	size_t arrived;

	(void)state;
	watch(pair.ours);
	(void)fill(pair.ours);
	assert_int_equal(sock_finish(pair.ours), 0);
	(void)taken();
	expect_silence();
	assert_true(sock_unacked(pair.ours) > 0);
	assert_int_equal(drain(pair.peer, &arrived), 0);
	do {
		assert_true(wait_for(poller.fd, POLLIN, PATIENCE_MS) & POLLIN);
		assert_int_equal(poller_take(&poller, events), 1);
		assert_int_equal(events[0].ready, W);
	} while (sock_unacked(pair.ours) > 0);
	expect_silence();
	close_pair(&pair);
}

/* ---- connecting -------------------------------------------------------------------------------
 */

static void a_connection_is_told(void **state)
{
	struct address address = loopback();
	int listener = peer_listening(&address, 4);
	struct address bound = address_of(listener);
	int fd = -1;

	(void)state;
	assert_in_range(sock_connect(&bound, &as_it_is, &fd) + EINPROGRESS, 0, EINPROGRESS);
	watch(fd);
	assert_int_equal(taken(), W);
	expect_silence();
	sock_close(fd);
	(void)close(listener);
}

static void a_refused_connection_is_told(void **state)
{
	struct address address = loopback();
	int nobody = peer_bound(&address);
	struct address bound = address_of(nobody);
	int fd = -1;

	(void)state;
	if (sock_connect(&bound, &as_it_is, &fd) != -EINPROGRESS)
		skip();
	watch(fd);
	assert_int_equal(taken(), R | W | F | H | E);
	expect_silence();
	sock_close(fd);
	(void)close(nobody);
}

/* Why a socket is not watched before connect(2). */
static void a_fresh_socket_is_hung_up(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	watch(fd);
	assert_int_equal(taken(), W | H);
	expect_silence();
	(void)close(fd);
}

/* ---- the set ----------------------------------------------------------------------------------
 */

static void owner_and_side_come_back(void **state)
{
	struct pair pairs[2][SIDES];
	unsigned seen[2][SIDES] = { { 0 } };

	(void)state;
	for (int owner = 0; owner < 2; owner++) {
		for (int side = CLIENT; side < SIDES; side++) {
			pairs[owner][side] = unix_pair();
			assert_int_equal(poller_add(&poller, pairs[owner][side].ours,
						    &owners[owner], (enum side)side),
					 0);
		}
	}
	put(pairs[1][CLIENT].peer, "x");
	send_fin(pairs[0][SERVER].peer);
	assert_int_equal(poller_take(&poller, events), 4);
	for (int i = 0; i < 4; i++) {
		ptrdiff_t owner = (long *)events[i].owner - owners;

		assert_in_range(owner, 0, 1);
		assert_in_range(events[i].side, CLIENT, SERVER);
		assert_int_equal(seen[owner][events[i].side], 0);
		seen[owner][events[i].side] = events[i].ready;
	}
	assert_int_equal(seen[0][CLIENT], W);
	assert_int_equal(seen[0][SERVER], R | W | F);
	assert_int_equal(seen[1][CLIENT], R | W);
	assert_int_equal(seen[1][SERVER], W);
	for (int owner = 0; owner < 2; owner++)
		for (int side = CLIENT; side < SIDES; side++)
			close_pair(&pairs[owner][side]);
}

/* Also one of which something was to be told. */
static void closing_takes_it_out(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	watch(pair.ours);
	put(pair.peer, "abc");
	sock_close(pair.ours);
	pair.ours = -1;
	expect_silence();
	close_pair(&pair);
}

#define CROWD (POLLER_BATCH + 44)

static void allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur >= count)
		return;
	if (limit.rlim_max < count)
		skip();
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_batch_is_bounded_and_starves_nobody(void **state)
{
	static long crowd[CROWD];
	static struct pair pairs[CROWD];

	(void)state;
	allow_descriptors(2 * CROWD + 64);
	for (int i = 0; i < CROWD; i++) {
		pairs[i] = unix_pair();
		assert_int_equal(poller_add(&poller, pairs[i].ours, &crowd[i], CLIENT), 0);
	}
	for (int left = CROWD; left > 0;) {
		int count = poller_take(&poller, events);

		assert_int_equal(count, left < POLLER_BATCH ? left : POLLER_BATCH);
		for (int i = 0; i < count; i++)
			++*(long *)events[i].owner;
		left -= count;
	}
	assert_int_equal(poller_take(&poller, events), 0);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(crowd[i], 1);
		close_pair(&pairs[i]);
	}
}

static void what_cannot_be_watched(void **state)
{
	struct pair pair = unix_pair();

	(void)state;
	assert_int_equal(poller_add(&poller, -1, &owners[0], CLIENT), -EBADF);
	assert_int_equal(poller_add(&poller, poller.fd, &owners[0], CLIENT), -EINVAL);
	watch(pair.ours);
	assert_int_equal(poller_add(&poller, pair.ours, &owners[0], CLIENT), -EEXIST);
	close_pair(&pair);
}

static void a_poller_is_private_to_the_program(void **state)
{
	(void)state;
	assert_true(fcntl(poller.fd, F_GETFD) & FD_CLOEXEC);
}

static void poller_without_descriptors(void)
{
	const struct rlimit none = { 0, 0 };
	struct poller other_poller;

	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHILD_CHECK(poller_init(&other_poller) == -EMFILE);
	poller_fini(&other_poller);
}

static void descriptors_run_out(void **state)
{
	(void)state;
	run_in_child(poller_without_descriptors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_state_is_told_once_as_it_comes, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(each_state_is_told_once_to_who_comes_later,
						open_poller, close_poller),
		cmocka_unit_test_setup_teardown(each_change_is_told_by_itself, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(room_is_told_again, open_poller, close_poller),
		cmocka_unit_test_setup_teardown(acknowledgement_of_our_fin_is_told, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(a_connection_is_told, open_poller, close_poller),
		cmocka_unit_test_setup_teardown(a_refused_connection_is_told, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(a_fresh_socket_is_hung_up, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(owner_and_side_come_back, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(closing_takes_it_out, open_poller, close_poller),
		cmocka_unit_test_setup_teardown(a_batch_is_bounded_and_starves_nobody, open_poller,
						close_poller),
		cmocka_unit_test_setup_teardown(what_cannot_be_watched, open_poller, close_poller),
		cmocka_unit_test_setup_teardown(a_poller_is_private_to_the_program, open_poller,
						close_poller),
		cmocka_unit_test(descriptors_run_out),
	};

	return cmocka_run_group_tests_name("io/poller", tests, NULL, NULL);
}
