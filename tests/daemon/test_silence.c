/*
 * daemon/silence: against a plain list, over sessions that come, move, go and are evicted; that
 * progress which nobody told of counts all the same; and that neither the memory nor the work
 * grows without end.
 */
#include <finback/daemon/silence.h>

#include <stdbool.h>
#include <stdlib.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define SESSIONS 4000
#define LIVES    20000 /* ids are not used again */

/* Sessions by their ids from 1: when each last made progress; SILENCE_NOBODY: it is gone. */
static int64_t progress_us[LIVES + 1];
static uint64_t last_id;
static size_t asked;

static int64_t ask(void *context, uint64_t id)
{
	(void)context;
	assert_in_range(id, 1, LIVES);
	asked++;
	return progress_us[id];
}

static int begin(void **state)
{
	(void)state;
	for (size_t i = 0; i <= LIVES; i++)
		progress_us[i] = SILENCE_NOBODY;
	asked = last_id = 0;
	return 0;
}

static void come(struct silence *silence, uint64_t id, int64_t now_us)
{
	assert_in_range(id, last_id + 1, LIVES);
	last_id = id;
	progress_us[id] = now_us;
	assert_int_equal(silence_add(silence, id, now_us), 0);
}

static void go(struct silence *silence, uint64_t id)
{
	progress_us[id] = SILENCE_NOBODY;
	silence_forget(silence, ask, NULL);
}

/* The least time of the plain list. */
static int64_t longest_us(void)
{
	int64_t least_us = SILENCE_NOBODY;

	for (size_t i = 1; i <= last_id; i++)
		if (progress_us[i] < least_us)
			least_us = progress_us[i];
	return least_us;
}

/* It finds the right one, or one that has been silent for just as long. Returns its id. */
static uint64_t expect_longest(struct silence *silence)
{
	int64_t since_us = 0;
	uint64_t id = silence_longest(silence, ask, NULL, &since_us);

	assert_int_equal(since_us, longest_us());
	assert_int_equal(silence_since_us(silence), since_us);
	if (id == 0)
		assert_int_equal(since_us, SILENCE_NOBODY);
	else
		assert_int_equal(progress_us[id], since_us);
	return id;
}

static void an_empty_one_has_nobody(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	assert_int_equal(silence_since_us(&silence), SILENCE_NOBODY);
	assert_int_equal(expect_longest(&silence), 0);
	assert_null(silence.entries);
	silence_fini(&silence);
	silence_fini(&silence);
}

static void the_longest_silent_is_found_whatever_the_order(void **state)
{
	static const int64_t times_us[] = { 50, 20, 90, 10, 70, 30 };
	struct silence silence;

	(void)state;
	silence_init(&silence);
	for (uint64_t i = 0; i < 6; i++)
		come(&silence, i + 1, times_us[i]);
	assert_int_equal(silence_since_us(&silence), 10);
	assert_int_equal(expect_longest(&silence), 4);
	assert_int_equal(expect_longest(&silence), 4); /* it stays */
	go(&silence, 4);
	assert_int_equal(expect_longest(&silence), 2);
	go(&silence, 2);
	assert_int_equal(expect_longest(&silence), 6);
	silence_fini(&silence);
}

static void progress_that_nobody_told_of_counts(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	come(&silence, 1, 100);
	come(&silence, 2, 200);
	come(&silence, 3, 300);
	progress_us[1] = 250;
	assert_int_equal(silence_since_us(&silence), 100); /* not after the real one */
	assert_int_equal(expect_longest(&silence), 2);
	progress_us[2] = 400;
	assert_int_equal(expect_longest(&silence), 1);
	progress_us[1] = progress_us[2] = progress_us[3] = 500;
	(void)expect_longest(&silence);
	silence_fini(&silence);
}

static void all_that_are_gone_leave_nothing(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	for (uint64_t id = 1; id <= SESSIONS; id++)
		come(&silence, id, (int64_t)id);
	for (uint64_t id = 1; id <= SESSIONS; id++)
		go(&silence, id);
	assert_int_equal(expect_longest(&silence), 0);
	assert_int_equal(silence.used, 0);
	assert_in_range(silence.capacity, 0, SESSIONS / 4);
	come(&silence, SESSIONS + 1, 7);
	assert_int_equal(expect_longest(&silence), SESSIONS + 1);
	silence_fini(&silence);
}

/* As on a busy listener that never reaches its limit: nobody asks for the longest-silent one. */
static void those_that_come_and_go_take_no_room_for_ever(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	for (uint64_t id = 1; id <= LIVES; id++) {
		if (id > 100)
			go(&silence, id - 100);
		come(&silence, id, (int64_t)id);
	}
	assert_in_range(silence.used, 100, 250);
	assert_in_range(silence.capacity, 100, 512);
	assert_in_range(asked, 0, LIVES * 4);
	silence_fini(&silence);
}

static unsigned drawn(unsigned limit)
{
	static uint64_t seed = 42;

	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % limit;
}

/* Without the plain list: it has been compared often enough. */
static uint64_t next_longest(struct silence *silence)
{
	int64_t since_us;

	return silence_longest(silence, ask, NULL, &since_us);
}

static void a_long_random_life_agrees_with_a_plain_list(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	for (int64_t now_us = 1; last_id < LIVES; now_us++) {
		uint64_t id = last_id - drawn(500);

		if (last_id < 500 || drawn(2) == 0)
			come(&silence, last_id + 1, now_us - drawn(3));
		else if (progress_us[id] == SILENCE_NOBODY)
			continue;
		else if (drawn(2) == 0)
			go(&silence, id);
		else
			progress_us[id] = now_us;
		if (drawn(20) == 0) {
			id = expect_longest(&silence);
			if (id != 0 && drawn(4) == 0)
				go(&silence, id);
		}
	}
	for (uint64_t id = expect_longest(&silence); id != 0; id = next_longest(&silence))
		go(&silence, id);
	assert_int_equal(longest_us(), SILENCE_NOBODY);
	silence_fini(&silence);
}

/* Each correction stands for progress there was: with one session that moves between two
 * questions, a question is cheap however many there are. */
static void a_question_costs_what_has_moved(void **state)
{
	struct silence silence;

	(void)state;
	silence_init(&silence);
	for (uint64_t id = 1; id <= SESSIONS; id++)
		come(&silence, id, (int64_t)id);
	asked = 0;
	for (int64_t now_us = SESSIONS + 1; now_us <= SESSIONS * 2; now_us++) {
		progress_us[next_longest(&silence)] = now_us;
	}
	assert_in_range(asked, SESSIONS, SESSIONS * 2);
	silence_fini(&silence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_one_has_nobody, begin),
		cmocka_unit_test_setup(the_longest_silent_is_found_whatever_the_order, begin),
		cmocka_unit_test_setup(progress_that_nobody_told_of_counts, begin),
		cmocka_unit_test_setup(all_that_are_gone_leave_nothing, begin),
		cmocka_unit_test_setup(those_that_come_and_go_take_no_room_for_ever, begin),
		cmocka_unit_test_setup(a_long_random_life_agrees_with_a_plain_list, begin),
		cmocka_unit_test_setup(a_question_costs_what_has_moved, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
