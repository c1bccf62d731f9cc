/*
 * daemon/agenda: against a plain table, over many thousands of changes; that relays fire in order,
 * not too early, not too many in a turn; and that the loop wakes up no more often than it has to.
 */
#include <finback/daemon/agenda.h>

#include <daemon/relay_private.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define RELAYS    3000
#define MINUTE_US INT64_C(60000000)
#define MS        INT64_C(1000)

/* The agenda looks at nothing of a relay but its place. */
static struct relay relays[RELAYS];
static struct agenda agenda;
static struct ev_loop *loop;

static struct {
	size_t count;
	struct relay *relays[RELAYS];
	int64_t dues_us[RELAYS]; /* what they were set for */
	int64_t again_us;        /* > 0: it is set again, for so much later; */
	struct relay *victim;    /* this one is dropped by it */
} fired;

static void on_due(struct relay *relay, int64_t due_us)
{
	assert_true(monotonic_us() >= due_us);
	assert_true(agenda_due_us(&agenda, relay) == 0);
	fired.relays[fired.count] = relay;
	fired.dues_us[fired.count++] = due_us;
	if (fired.victim)
		agenda_drop(&agenda, fired.victim);
	if (fired.again_us > 0)
		agenda_set(&agenda, relay, due_us + fired.again_us, monotonic_us());
}

static int open_agenda(void **state)
{
	(void)state;
	for (size_t i = 0; i < RELAYS; i++)
		relays[i].agenda_place = 0;
	fired.count = 0;
	fired.again_us = 0;
	fired.victim = NULL;
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	agenda_init(&agenda, loop, on_due);
	return loop ? 0 : -1;
}

static int close_agenda(void **state)
{
	(void)state;
	agenda_fini(&agenda);
	ev_loop_destroy(loop);
	return 0;
}

static void set(size_t relay, int64_t due_us)
{
	assert_int_equal(agenda_reserve(&agenda, agenda.used + 1), 0);
	agenda_set(&agenda, &relays[relay], due_us, monotonic_us());
}

/* One turn of the loop, which sleeps for a timer where one runs. Returns how many fired. */
static size_t turn(void)
{
	size_t before = fired.count;

	(void)ev_run(loop, EVRUN_ONCE);
	return fired.count - before;
}

/* ---- the heap --------------------------------------------------------------------------------
 */

static uint64_t seed = 5;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int64_t due_us_of[RELAYS]; /* 0: not in */

static void expect_like_table(void)
{
	int64_t earliest_us = INT64_MAX;
	size_t in = 0;

	for (size_t i = 0; i < RELAYS; i++) {
		assert_true(agenda_due_us(&agenda, &relays[i]) == due_us_of[i]);
		if (due_us_of[i] == 0)
			continue;
		in++;
		if (due_us_of[i] < earliest_us)
			earliest_us = due_us_of[i];
	}
	assert_int_equal(agenda.used, in);
	assert_true(in == 0 || agenda.entries[0].due_us == earliest_us);
	assert_true(in == 0 || (agenda.timer_us != 0 && agenda.timer_us <= earliest_us));
	assert_true((ev_is_active(&agenda.timer) != 0) == (in > 0));
}

static void change(size_t relay, unsigned percent_in)
{
	if (any() % 100 < percent_in) {
		/* Few times, so that many are the same. */
		due_us_of[relay] = monotonic_us() + MINUTE_US + (int64_t)(any() % 500) * MS;
		set(relay, due_us_of[relay]);
	} else {
		due_us_of[relay] = 0;
		agenda_drop(&agenda, &relays[relay]);
	}
}

static void times_come_move_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 60000; i++) {
		change(any() % RELAYS, i / 10000 % 2 == 0 ? 75 : 20);
		if (i % 499 == 0)
			expect_like_table();
	}
	for (size_t i = 0; i < RELAYS; i++)
		change(i, 0);
	expect_like_table();
}

static void room_is_made_and_given_back(void **state)
{
	size_t most;

	(void)state;
	assert_int_equal(agenda_reserve(&agenda, RELAYS), 0);
	most = agenda.capacity;
	assert_true(most >= RELAYS && most <= 2 * RELAYS);
	for (size_t i = 0; i < RELAYS; i++) /* without a reserve before each */
		agenda_set(&agenda, &relays[i], MINUTE_US + (int64_t)any() % 1000, 1);
	assert_true(agenda.capacity == most);
	assert_int_equal(agenda_reserve(&agenda, AGENDA_MAX + 1), -ENOMEM);
	for (size_t i = RELAYS; i-- > 10;) {
		agenda_drop(&agenda, &relays[i]);
		assert_int_equal(agenda_reserve(&agenda, i), 0);
		assert_true(agenda.capacity <= 64 || agenda.capacity <= 4 * i + 4);
	}
	assert_int_equal(agenda.used, 10);
	assert_true(agenda.capacity <= 64);
}

/* ---- the loop --------------------------------------------------------------------------------
 */

static void those_due_fire_in_order_and_some_in_a_turn(void **state)
{
	int64_t now_us = monotonic_us();

	(void)state;
	for (size_t i = 0; i < RELAYS; i++)
		set(i, now_us - (int64_t)(any() % 100000));
	for (size_t left = RELAYS; left > 0;) {
		size_t count = turn();

		assert_true(count <= AGENDA_TURN);
		assert_true(count == AGENDA_TURN || count == left);
		left -= count;
	}
	for (size_t i = 1; i < RELAYS; i++)
		assert_true(fired.dues_us[i - 1] <= fired.dues_us[i]);
	assert_false(ev_is_active(&agenda.timer));
}

static void each_fires_at_its_own_time(void **state)
{
	int64_t now_us = monotonic_us();

	(void)state;
	for (int i = 0; i < 3; i++)
		set((size_t)i, now_us + (3 - i) * 20 * MS);
	while (fired.count < 3)
		(void)turn();
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(fired.relays[i], &relays[2 - i]);
		assert_true(fired.dues_us[i] == now_us + (i + 1) * 20 * MS);
	}
}

static void what_fires_may_set_itself_again(void **state)
{
	int64_t due_us = monotonic_us() - MS;

	(void)state;
	fired.again_us = 10 * MS;
	set(7, due_us);
	while (fired.count < 4)
		(void)turn();
	for (int i = 0; i < 4; i++)
		assert_true(fired.dues_us[i] == due_us + i * 10 * MS);
	assert_true(agenda_due_us(&agenda, &relays[7]) > due_us + 30 * MS);
}

static void one_that_goes_in_anothers_turn_does_not_fire(void **state)
{
	int64_t now_us = monotonic_us();

	(void)state;
	set(0, now_us - 2);
	set(1, now_us - 1);
	set(2, now_us);
	fired.victim = &relays[1];
	assert_int_equal(turn(), 2);
	assert_ptr_equal(fired.relays[1], &relays[2]);
	assert_false(ev_is_active(&agenda.timer));
}

/* One that fires and the only other one with it: nothing is left to wake up for. */
static void the_last_may_go_in_anothers_turn(void **state)
{
	(void)state;
	set(0, monotonic_us());
	set(1, monotonic_us() + MINUTE_US);
	fired.victim = &relays[1];
	assert_int_equal(turn(), 1);
	assert_int_equal(agenda.used, 0);
	assert_false(ev_is_active(&agenda.timer));
}

static void a_later_time_leaves_the_loop_alone(void **state)
{
	int64_t first_us = monotonic_us() + MINUTE_US;
	ev_tstamp remaining;

	(void)state;
	set(0, first_us);
	remaining = ev_timer_remaining(loop, &agenda.timer);
	for (int i = 1; i < 100; i++)
		set((size_t)i, first_us + i);
	set(0, first_us + MINUTE_US); /* the earliest itself moves on */
	assert_true(agenda.timer_us == first_us);
	assert_true(ev_timer_remaining(loop, &agenda.timer) == remaining);
	set(100, first_us - MINUTE_US / 2);
	assert_true(agenda.timer_us == first_us - MINUTE_US / 2);
	assert_true(ev_timer_remaining(loop, &agenda.timer) < remaining - 20);
}

/* The one that the loop is to wake up for has gone: it does, once, and then for the next. */
static void a_time_that_is_gone_wakes_nobody(void **state)
{
	int64_t now_us = monotonic_us();
	int64_t next_us = now_us + 150 * MS;
	unsigned before;

	(void)state;
	set(0, now_us + 20 * MS);
	set(1, next_us);
	agenda_drop(&agenda, &relays[0]);
	before = ev_iteration(loop);
	while (fired.count == 0)
		(void)turn();
	assert_ptr_equal(fired.relays[0], &relays[1]);
	/* Twice, and some for a timer that the kernel's clock finds a moment early. */
	assert_true(ev_iteration(loop) - before <= 6);
}

static void without_times_the_loop_sleeps(void **state)
{
	(void)state;
	set(0, monotonic_us() + MINUTE_US);
	assert_true(ev_is_active(&agenda.timer));
	agenda_drop(&agenda, &relays[0]);
	agenda_drop(&agenda, &relays[0]);
	assert_false(ev_is_active(&agenda.timer));
	assert_true(agenda_due_us(&agenda, &relays[0]) == 0);
	/* And is woken again. */
	set(0, monotonic_us() + 5 * MS);
	while (turn() == 0)
		continue;
	assert_int_equal(fired.count, 1);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_agenda, close_agenda)
	const struct CMUnitTest tests[] = {
		CASE(times_come_move_and_go),
		CASE(room_is_made_and_given_back),
		CASE(those_due_fire_in_order_and_some_in_a_turn),
		CASE(each_fires_at_its_own_time),
		CASE(what_fires_may_set_itself_again),
		CASE(one_that_goes_in_anothers_turn_does_not_fire),
		CASE(the_last_may_go_in_anothers_turn),
		CASE(a_later_time_leaves_the_loop_alone),
		CASE(a_time_that_is_gone_wakes_nobody),
		CASE(without_times_the_loop_sleeps),
	};

	return cmocka_run_group_tests_name("daemon/agenda", tests, NULL, NULL);
}
