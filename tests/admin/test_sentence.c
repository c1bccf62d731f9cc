/* admin/sentence: numbers in words, and that nothing is written behind the end. */
#include <stdint.h>
#include <string.h>

#include "admin/sentence.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define S INT64_C(1000000)

static void durations(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = {
		{ INT64_MIN, "under 0.1 s" },
		{ -1, "under 0.1 s" },
		{ 0, "under 0.1 s" },
		{ 99999, "under 0.1 s" },
		{ 100000, "0.1 s" },
		{ 499999, "0.4 s" },
		{ S, "1 s" },
		{ S + 99999, "1 s" },
		{ S + 100000, "1.1 s" },
		{ 10 * S - 1, "9.9 s" },
		{ 10 * S, "10 s" },
		{ 42 * S + 999999, "42 s" },
		{ 60 * S - 1, "59 s" },
		{ 60 * S, "1 min" },
		{ 259 * S, "4 min 19 s" },
		{ 3600 * S - 1, "59 min 59 s" },
		{ 3600 * S, "1 h" },
		{ 3659 * S, "1 h" },
		{ 11520 * S, "3 h 12 min" },
		{ 86400 * S - 1, "23 h 59 min" },
		{ 86400 * S, "1 d" },
		{ (2 * 86400 + 4 * 3600 + 3599) * S, "2 d 4 h" },
		{ 400 * 86400 * S, "400 d" },
		{ INT64_MAX, "106751991 d 4 h" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(words_duration(rows[i].us).text, rows[i].text);
}

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 bytes" },
		{ 1, "1 byte" },
		{ 17, "17 bytes" },
		{ 1023, "1023 bytes" },
		{ 1024, "1 KiB" },
		{ 1126, "1 KiB" },
		{ 1127, "1.1 KiB" },
		{ 10239, "9.9 KiB" },
		{ 10240, "10 KiB" },
		{ 65536, "64 KiB" },
		{ 1048575, "1023 KiB" },
		{ 1048576, "1 MiB" },
		{ 1258292, "1.2 MiB" },
		{ UINT64_C(1) << 30, "1 GiB" },
		{ UINT64_C(1500) << 30, "1.4 TiB" },
		{ UINT64_C(1) << 50, "1 PiB" },
		{ UINT64_C(1) << 60, "1 EiB" },
		{ UINT64_MAX, "15 EiB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(words_size(rows[i].bytes).text, rows[i].text);
}

static void numbers(void **state)
{
	(void)state;
	assert_string_equal(words_number(0).text, "0");
	assert_string_equal(words_number(1234567890).text, "1234567890");
	assert_string_equal(words_number(UINT64_MAX).text, "18446744073709551615");
	assert_string_equal(words_unanswered(1, "probe").text, "1 probe unanswered");
	assert_string_equal(words_unanswered(255, "retransmission").text,
			    "255 retransmissions unanswered");
}

static void what_does_not_fit_is_cut(void **state)
{
	(void)state;
	for (size_t size = 1; size < 20; size++) {
		char text[20];
		struct sentence sentence = { .text = text, .size = size };

		memset(text, 'X', sizeof text);
		SAY(&sentence, "one", " ", "two");
		SAY(&sentence, "", ", three");
		assert_int_equal(strlen(text), size - 1 < 14 ? size - 1 : 14);
		assert_int_equal(strncmp(text, "one two, three", size - 1), 0);
		assert_int_equal(text[size], 'X');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_does_not_fit_is_cut),
	};

	return cmocka_run_group_tests_name("admin/sentence", tests, NULL, NULL);
}
