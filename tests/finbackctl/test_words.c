/*
 * finbackctl/words: values as people read them, and text that is safe and fits, in a UTF-8 locale
 * and in the C locale.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "finbackctl/words.h"

struct number_case {
	double value;
	const char *text;
};

static void durations_have_two_units_at_most(void **state)
{
	static const struct number_case cases[] = {
		{ 0, "0.0s" },       { 0.35, "0.3s" },       { 9.99, "9.9s" },
		{ 10, "10s" },       { 59.9, "59s" },        { 60, "1m0s" },
		{ 259, "4m19s" },    { 3599, "59m59s" },     { 3600, "1h0m" },
		{ 86399, "23h59m" }, { 86400, "1d0h" },      { 8639999, "99d23h" },
		{ 8640000, "100d" }, { 315360000, "3650d" }, { -1, "-" },
		{ INFINITY, "-" },   { NAN, "-" },           { 1e300, "-" },
	};
	char text[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_string_equal(words_duration(cases[i].value, text), cases[i].text);
		assert_true(strlen(text) <= 6);
	}
}

static void sizes_have_four_columns_at_most(void **state)
{
	static const struct number_case cases[] = {
		{ 0, "0" },       { 999, "999" },   { 1000, "1.0K" },    { 1024, "1.0K" },
		{ 1229, "1.2K" }, { 10189, "10K" }, { 1023000, "999K" }, { 1023999, "1.0M" },
		{ 1e9, "954M" },  { 1e18, "888P" }, { 1.8e19, "16E" },   { 0.7, "0" },
		{ -1, "-" },      { NAN, "-" },     { INFINITY, "-" },
	};
	char text[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(words_size(cases[i].value, text), cases[i].text);
	for (double bytes = 0; bytes < 1.8e19; bytes = bytes * 1.01 + 1)
		assert_true(strlen(words_size(bytes, text)) <= 4);
}

static void rates_are_exact_where_they_are_small(void **state)
{
	char text[WORDS_MAX];

	(void)state;
	assert_string_equal(words_rate(0, text), "0");
	assert_string_equal(words_rate(0.34, text), "0.3");
	assert_string_equal(words_rate(9.96, text), "10");
	assert_string_equal(words_rate(1234.5, text), "1234");
	assert_string_equal(words_rate(-1, text), "-");
}

static void times_lose_their_fraction(void **state)
{
	char text[WORDS_MAX];

	(void)state;
	assert_string_equal(words_time("2026-11-22T21:38:18.123Z", text),
			    "2026-11-22 21:38:18 UTC");
	assert_string_equal(words_time("2026-11-22T21:38:18Z", text), "2026-11-22 21:38:18 UTC");
	assert_string_equal(words_time("2026-11-22T21:38", text), "-");
	assert_string_equal(words_time("yesterday, at twenty to ten", text), "-");
	assert_string_equal(words_time("", text), "-");
	assert_string_equal(words_time(NULL, text), "-");
}

static void durations_are_read_as_the_configuration_has_them(void **state)
{
	static const struct {
		const char *text;
		int result;
		double seconds;
	} cases[] = {
		{ "0", 0, 0 },           { "50us", 0, 50 * 0.000001 },
		{ "500ms", 0, 0.5 },     { "30s", 0, 30 },
		{ "5m", 0, 300 },        { "1h", 0, 3600 },
		{ "1d", 0, 86400 },      { "3650d", 0, 3.1536e8 },
		{ "3651d", -ERANGE, 0 }, { "", -EINVAL, 0 },
		{ "30", -EINVAL, 0 },    { "s", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },  { "-1s", -EINVAL, 0 },
		{ "1 s", -EINVAL, 0 },   { "1h30m", -EINVAL, 0 },
	};
	char digits[1000];
	double seconds;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		seconds = -1;
		assert_int_equal(words_parse_duration(cases[i].text, &seconds), cases[i].result);
		assert_true(seconds == (cases[i].result ? -1 : cases[i].seconds));
	}
	memset(digits, '9', sizeof digits - 2);
	memcpy(digits + sizeof digits - 2, "s", 2);
	assert_int_equal(words_parse_duration(digits, &seconds), -ERANGE);
}

static void expect_clean(const char *text, const char *expected)
{
	char copy[256];

	(void)snprintf(copy, sizeof copy, "%s", text);
	assert_string_equal(words_clean(copy), expected);
}

static void nothing_but_what_prints_is_left(void **state)
{
	(void)state;
	expect_clean("", "");
	expect_clean("10.0.0.5:9000", "10.0.0.5:9000");
	expect_clean("\x1b[2J\x1b]0;title\a", "?[2J?]0;title?");
	expect_clean("a\tb\nc\rd\x7f", "a?b?c?d?");
	expect_clean("gr\xc3\xbc\xc3\x9f"
		     "e \xe6\xbc\xa2",
		     "gr\xc3\xbc\xc3\x9f"
		     "e \xe6\xbc\xa2");
	expect_clean("\xc2\x9b"
		     "31m",
		     "?31m"); /* CSI as one character */
	expect_clean("\xe2\x80\xae"
		     "evil",
		     "?evil"); /* right to left */
	expect_clean("\xff\xfe"
		     "a\xc3",
		     "??a?");            /* no UTF-8 at all, and cut off */
	expect_clean("e\xcc\x81", "e?"); /* a combining accent has no width */
}

static void one_line_has_blanks_for_its_ends(void **state)
{
	char text[] = "a\nb\tc\r\x1b";

	(void)state;
	assert_string_equal(words_one_line(text), "a b c ?");
}

static void expect_cut(const char *text, int width, const char *expected)
{
	char copy[256];

	(void)snprintf(copy, sizeof copy, "%s", text);
	assert_string_equal(words_cut_middle(copy, width), expected);
	assert_true(words_width(copy) <= width);
}

static void the_middle_goes_first(void **state)
{
	(void)state;
	expect_cut("10.0.0.5:9000", 13, "10.0.0.5:9000");
	expect_cut("10.0.0.5:9000", 12, "10.0.\xe2\x80\xa6:9000"); /* 3 bytes in place of 3 */
	expect_cut("10.0.0.5:9000", 11, "10.0.\xe2\x80\xa6:9000");
	expect_cut("10.0.0.5:9000", 7,
		   "10.\xe2\x80\xa6"
		   "000");
	expect_cut("10.0.0.5:9000", 1, "\xe2\x80\xa6");
	expect_cut("10.0.0.5:9000", 0, "");
	expect_cut("ab", 1, "~"); /* no room for three bytes in place of two */
	expect_cut("abc", 2, "\xe2\x80\xa6");
	expect_cut("", 0, "");
	expect_cut("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 5,
		   "\xe6\xbc\xa2\xe2\x80\xa6\xe6\xbc\xa2");
}

/* Whatever the text and the width: it fits, and only bytes of the text and an ellipsis are left. */
static void every_cut_fits(void **state)
{
	static const char text[] = "a\xe6\xbc\xa2"
				   "bc\xc3\xbc"
				   "d\xe6\xbc\xa2\xe6\xbc\xa2"
				   "ef";

	(void)state;
	for (int width = 0; width < 16; width++) {
		char copy[sizeof text];

		memcpy(copy, text, sizeof text);
		assert_true(words_width(words_cut_middle(copy, width)) <= width);
		assert_null(strchr(words_clean(copy), '?'));
	}
}

static void expect_lines(const char *text, int width, const char *expected)
{
	char lines[512] = "";

	while (*text != '\0') {
		size_t next;
		size_t length = words_line(text, width, &next);

		assert_true(next > 0);
		(void)snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%.*s|",
			       (int)length, text);
		text += next;
	}
	assert_string_equal(lines, expected);
}

static void lines_break_between_words(void **state)
{
	(void)state;
	expect_lines("one two three", 20, "one two three|");
	expect_lines("one two three", 7, "one two|three|");
	expect_lines("one two three", 8, "one two|three|");
	expect_lines("one two three", 6, "one|two|three|");
	expect_lines("incomprehensible word", 6, "incomp|rehens|ible|word|");
	expect_lines("gr\xc3\xbc\xc3\x9f"
		     "e dich",
		     5,
		     "gr\xc3\xbc\xc3\x9f"
		     "e|dich|");
	expect_lines("a", 0, "a|");
	expect_lines("\xe6\xbc\xa2\xe6\xbc\xa2", 1, "\xe6\xbc\xa2|\xe6\xbc\xa2|");
}

static void the_c_locale_has_ascii_alone(void **state)
{
	char text[] = "gr\xc3\xbc"
		      "n";
	char longer[] = "10.0.0.5:9000";

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C"));
	assert_string_equal(words_clean(text), "gr??n");
	assert_string_equal(words_cut_middle(longer, 7), "10.~000");
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_two_units_at_most),
		cmocka_unit_test(sizes_have_four_columns_at_most),
		cmocka_unit_test(rates_are_exact_where_they_are_small),
		cmocka_unit_test(times_lose_their_fraction),
		cmocka_unit_test(durations_are_read_as_the_configuration_has_them),
		cmocka_unit_test(nothing_but_what_prints_is_left),
		cmocka_unit_test(one_line_has_blanks_for_its_ends),
		cmocka_unit_test(the_middle_goes_first),
		cmocka_unit_test(every_cut_fits),
		cmocka_unit_test(lines_break_between_words),
		cmocka_unit_test(the_c_locale_has_ascii_alone),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		(void)fputs("there is no locale C.UTF-8\n", stderr);
		return EXIT_FAILURE;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
