/*
 * host/config_value: durations, sizes, modes and names at the edges of what they take, and how near
 * two words are.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "host/config_value.h"

struct number_case {
	const char *text;
	int result;
	int64_t value;
};

static const struct number_case durations[] = {
	{ "0", 0, 0 },
	{ "0s", 0, 0 },
	{ "1us", 0, 1 },
	{ "50us", 0, 50 },
	{ "0us", 0, 0 },
	{ "1ms", 0, 1000 },
	{ "500ms", 0, 500000 },
	{ "30s", 0, 30000000 },
	{ "007s", 0, 7000000 },
	{ "5m", 0, INT64_C(300000000) },
	{ "1h", 0, INT64_C(3600000000) },
	{ "1d", 0, INT64_C(86400000000) },
	{ "3650d", 0, CONFIG_DURATION_MAX_US },
	{ "3651d", -ERANGE, 0 },
	{ "315360000s", 0, CONFIG_DURATION_MAX_US },
	{ "315360001s", -ERANGE, 0 },
	{ "99999999999999999999999999999999999999d", -ERANGE, 0 },
	{ "9223372036854775807ms", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "00", -EINVAL, 0 },
	{ "30", -EINVAL, 0 },
	{ "s", -EINVAL, 0 },
	{ "5 min", -EINVAL, 0 },
	{ "5min", -EINVAL, 0 },
	{ "5 m", -EINVAL, 0 },
	{ " 5m", -EINVAL, 0 },
	{ "5m ", -EINVAL, 0 },
	{ "1h30m", -EINVAL, 0 },
	{ "-1s", -EINVAL, 0 },
	{ "+1s", -EINVAL, 0 },
	{ "1.5s", -EINVAL, 0 },
	{ "5M", -EINVAL, 0 },
	{ "5ns", -EINVAL, 0 },
	{ "5u", -EINVAL, 0 },
	{ "5uS", -EINVAL, 0 },
	{ "315360000000000us", 0, CONFIG_DURATION_MAX_US },
	{ "315360000000001us", -ERANGE, 0 },
};

static const struct number_case sizes[] = {
	{ "1KiB", 0, 1024 },
	{ "64KiB", 0, 65536 },
	{ "1MiB", 0, 1048576 },
	{ "2GiB", 0, INT64_C(2147483648) },
	{ "1048576GiB", 0, CONFIG_SIZE_MAX },
	{ "1048577GiB", -ERANGE, 0 },
	{ "99999999999999999999999KiB", -ERANGE, 0 },
	{ "64", -EINVAL, 0 },
	{ "64B", -EINVAL, 0 },
	{ "64KB", -EINVAL, 0 },
	{ "64k", -EINVAL, 0 },
	{ "64 KiB", -EINVAL, 0 },
	{ "-1KiB", -EINVAL, 0 },
	{ "KiB", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
};

static void check_numbers(const struct number_case *cases, size_t count,
			  int (*parse)(const char *, int64_t *))
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = -7;

		print_message("%s\n", cases[i].text);
		assert_int_equal(parse(cases[i].text, &value), cases[i].result);
		assert_int_equal(value, cases[i].result == 0 ? cases[i].value : -7);
	}
}

static void durations_are_digits_and_a_unit(void **state)
{
	(void)state;
	check_numbers(durations, sizeof(durations) / sizeof(durations[0]), config_parse_duration);
}

static void sizes_are_digits_and_a_unit(void **state)
{
	(void)state;
	check_numbers(sizes, sizeof(sizes) / sizeof(sizes[0]), config_parse_size);
}

static void values_print_in_their_largest_unit(void **state)
{
	char text[CONFIG_VALUE_TEXT_MAX];

	(void)state;
	assert_string_equal(config_format_duration(0, text, sizeof(text)), "0");
	assert_string_equal(config_format_duration(50, text, sizeof(text)), "50us");
	assert_string_equal(config_format_duration(1500, text, sizeof(text)), "1500us");
	assert_string_equal(config_format_duration(1000, text, sizeof(text)), "1ms");
	assert_string_equal(config_format_duration(90000000, text, sizeof(text)), "90s");
	assert_string_equal(config_format_duration(CONFIG_DURATION_MAX_US, text, sizeof(text)),
			    "3650d");
	assert_string_equal(config_format_size(1000, text, sizeof(text)), "1000B");
	assert_string_equal(config_format_size(1024, text, sizeof(text)), "1KiB");
	assert_string_equal(config_format_size(64 << 20, text, sizeof(text)), "64MiB");
}

static void modes_are_octal(void **state)
{
	static const char *const bad[] = {
		"", "8", "0o660", "1000", "00001000", "-1", "66 ", "77777777777777777777777777"
	};
	unsigned mode = 1;

	(void)state;
	assert_int_equal(config_parse_mode("0", &mode), 0);
	assert_int_equal(mode, 0);
	assert_int_equal(config_parse_mode("0660", &mode), 0);
	assert_int_equal(mode, 0660);
	assert_int_equal(config_parse_mode("777", &mode), 0);
	assert_int_equal(mode, 0777);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(config_parse_mode(bad[i], &mode), -EINVAL);
	assert_int_equal(mode, 0777);
}

static void names_are_short_and_plain(void **state)
{
	char name[CONFIG_NAME_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[CONFIG_NAME_MAX + 1] = '\0';
	assert_false(config_is_name(name));
	name[CONFIG_NAME_MAX] = '\0';
	assert_true(config_is_name(name));
	assert_true(config_is_name("Web_1.example-2"));
	assert_false(config_is_name(""));
	assert_false(config_is_name("a b"));
	assert_false(config_is_name("a/b"));
	assert_false(config_is_name("caf\303\251"));
}

static void distance_counts_slips(void **state)
{
	char far[CONFIG_NAME_MAX + 2];

	(void)state;
	assert_int_equal(config_distance("idle", "idle"), 0);
	assert_int_equal(config_distance("", ""), 0);
	assert_int_equal(config_distance("", "abc"), 3);
	assert_int_equal(config_distance("abc", ""), 3);
	assert_int_equal(config_distance("timouts", "timeouts"), 1);
	assert_int_equal(config_distance("timeoutss", "timeouts"), 1);
	assert_int_equal(config_distance("timeuots", "timeouts"), 1);
	assert_int_equal(config_distance("tineouts", "timeouts"), 1);
	assert_int_equal(config_distance("kitten", "sitting"), 3);
	assert_int_equal(config_distance("ca", "abc"), 3);
	memset(far, 'x', sizeof(far));
	far[CONFIG_NAME_MAX + 1] = '\0';
	assert_int_equal(config_distance(far, "x"), CONFIG_DISTANCE_FAR);
	assert_int_equal(config_distance("x", far), CONFIG_DISTANCE_FAR);
	far[CONFIG_NAME_MAX] = '\0';
	assert_int_equal(config_distance(far, far), 0);
	assert_true(config_is_near("timouts", 1));
	assert_false(config_is_near("abc", 2));
	assert_false(config_is_near("listeners", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_digits_and_a_unit),
		cmocka_unit_test(sizes_are_digits_and_a_unit),
		cmocka_unit_test(values_print_in_their_largest_unit),
		cmocka_unit_test(modes_are_octal),
		cmocka_unit_test(names_are_short_and_plain),
		cmocka_unit_test(distance_counts_slips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
