/*
 * daemon/relays: the clock that all times of sessions are taken from.
 */
#include <finback/daemon/relay.h>

#include <time.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define SECOND_US INT64_C(1000000)

static int64_t machine_us(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

/* However long the machine has run. */
static void the_clock_begins_with_the_process(void **state)
{
	(void)state;
	assert_in_range(monotonic_us(), SECOND_US, 60 * SECOND_US);
}

static void it_goes_with_the_machine_s(void **state)
{
	const struct timespec nap = { .tv_nsec = 30 * 1000 * 1000 };
	int64_t before_us = machine_us();
	int64_t first_us = monotonic_us();
	int64_t between_us = machine_us();
	int64_t second_us;

	(void)state;
	assert_int_equal(nanosleep(&nap, NULL), 0);
	second_us = monotonic_us();
	assert_true(second_us - first_us <= machine_us() - before_us);
	assert_true(second_us - first_us >= nap.tv_nsec / 1000 - (between_us - before_us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_begins_with_the_process),
		cmocka_unit_test(it_goes_with_the_machine_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
