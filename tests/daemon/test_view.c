/* daemon/view: the last sessions that ended, newest first, as many as are kept. */
#include <finback/daemon/view.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

static struct ended ended;
static struct ended_view views[ENDED_MAX + 1];

static int open_ended(void **state)
{
	(void)state;
	return ended_init(&ended);
}

static int close_ended(void **state)
{
	(void)state;
	ended_fini(&ended);
	ended_fini(&ended); /* twice is fine */
	return 0;
}

static bool wants_all(const struct ended_view *view, const void *owner)
{
	(void)view;
	(void)owner;
	return true;
}

static bool wants_multiples(const struct ended_view *view, const void *owner)
{
	const uint64_t *of = owner;

	return view->id % *of == 0;
}

static void end_until(uint64_t last)
{
	for (uint64_t id = ended.count + 1; id <= last; id++)
		*ended_next(&ended) = (struct ended_view){ .id = id, .ending = ENDING_COMPLETE };
}

static size_t copy(size_t max)
{
	memset(views, 0xff, sizeof views);
	return ended_copy(&ended, views, max, wants_all, NULL);
}

static void nobody_has_ended(void **state)
{
	(void)state;
	assert_int_equal(copy(ENDED_MAX), 0);
}

static void the_newest_comes_first(void **state)
{
	(void)state;
	end_until(3);
	assert_int_equal(copy(ENDED_MAX), 3);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(views[i].id, 3 - i);
	assert_int_equal(copy(2), 2);
	assert_int_equal(views[0].id, 3);
	assert_int_equal(views[1].id, 2);
	assert_int_equal(views[2].id, UINT64_MAX); /* left alone */
	assert_int_equal(copy(0), 0);
}

static void the_oldest_are_forgotten(void **state)
{
	static const uint64_t counts[] = { ENDED_MAX - 1, ENDED_MAX, ENDED_MAX + 1,
					   3 * ENDED_MAX + 5 };

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		uint64_t there = counts[i] < ENDED_MAX ? counts[i] : ENDED_MAX;

		end_until(counts[i]);
		assert_int_equal(copy(ENDED_MAX), there);
		for (uint64_t j = 0; j < there; j++)
			assert_int_equal(views[j].id, counts[i] - j);
		assert_int_equal(views[there].id, UINT64_MAX);
	}
}

static void only_those_wanted(void **state)
{
	const uint64_t of = 100;

	(void)state;
	end_until(ENDED_MAX + 50);
	memset(views, 0xff, sizeof views);
	/* 1000, 900 ... 100: the older multiples are still there, below 51 none is. */
	assert_int_equal(ended_copy(&ended, views, ENDED_MAX, wants_multiples, &of), 10);
	assert_int_equal(views[0].id, 1000);
	assert_int_equal(views[9].id, 100);
	assert_int_equal(ended_copy(&ended, views, 3, wants_multiples, &of), 3);
	assert_int_equal(views[2].id, 800);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, open_ended, close_ended)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(nobody_has_ended),
		EACH(the_newest_comes_first),
		EACH(the_oldest_are_forgotten),
		EACH(only_those_wanted),
	};

	return cmocka_run_group_tests_name("daemon/view", tests, NULL, NULL);
}
