/*
 * engine/times: a moment keeps all that 48 bits can tell; the later and the earlier of two.
 */
#include <finback/engine/times.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static void a_moment_holds_eight_years(void **state)
{
	static const int64_t times_us[] = {
		0,
		1,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		INT64_C(0x100000000),
		INT64_C(8) * 366 * 86400 * 1000000,
		(INT64_C(1) << 48) - 1,
	};

	(void)state;
	assert_int_equal(sizeof(struct moment), 6);
	for (size_t i = 0; i < sizeof(times_us) / sizeof(times_us[0]); i++)
		assert_int_equal(moment_us(moment_of(times_us[i])), times_us[i]);
}

static void of_two_times(void **state)
{
	(void)state;
	assert_int_equal(later(-1, 2), 2);
	assert_int_equal(later(INT64_C(1) << 40, 2), INT64_C(1) << 40);
	assert_int_equal(earlier(-1, 2), -1);
	assert_int_equal(bounded(5, 1, 4), 4);
	assert_int_equal(bounded(0, 1, 4), 1);
	assert_int_equal(bounded(3, 1, 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moment_holds_eight_years),
		cmocka_unit_test(of_two_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
