/*
 * admin/text: what is appended is there, byte for byte, and JSON strings read back as what they
 * were; numbers at their edges; and a text that is full says so and stays as it was.
 */
#include <finback/admin/text.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void begins_empty(void **state)
{
	struct text text = { 0 };
	size_t length = 7;

	(void)state;
	assert_null(text_take(&text, &length));
	assert_int_equal(length, 0);
	text_truncate(&text, 0);
	text_fini(&text);
	text_append(&text, "", 0);
	assert_string_equal(text.bytes, "");
	text_fini(&text);
}

/* Lengths around each doubling, and a pattern that a wrong copy would break. */
static void grows_and_keeps_every_byte(void **state)
{
	struct text text = { 0 };
	char piece[97];
	size_t length = 0;

	(void)state;
	for (size_t i = 0; i < 4000; i++) {
		memset(piece, (int)('a' + i % 26), sizeof(piece));
		text_append(&text, piece, i % sizeof(piece));
		length += i % sizeof(piece);
		assert_int_equal(text.length, length);
		assert_true(text.capacity > text.length);
		assert_int_equal(text.bytes[text.length], '\0');
	}
	assert_false(text.is_short);
	for (size_t i = 0, at = 0; i < 4000; at += i % sizeof(piece), i++)
		for (size_t k = 0; k < i % sizeof(piece); k++)
			assert_int_equal(text.bytes[at + k], 'a' + i % 26);
	text_fini(&text);
	assert_int_equal(text.length, 0);
	assert_null(text.bytes);
}

static void is_taken_and_is_empty_then(void **state)
{
	struct text text = { 0 };
	size_t length;
	char *bytes;

	(void)state;
	TEXT_APPEND(&text, "one\0two");
	bytes = text_take(&text, &length);
	assert_int_equal(length, 7);
	assert_memory_equal(bytes, "one\0two", 8);
	assert_null(text.bytes);
	free(bytes);
	TEXT_APPEND(&text, "again");
	assert_string_equal(text.bytes, "again");
	text_truncate(&text, 9);
	assert_string_equal(text.bytes, "again");
	text_truncate(&text, 2);
	assert_string_equal(text.bytes, "ag");
	TEXT_APPEND(&text, "o");
	assert_string_equal(text.bytes, "ago");
	text_fini(&text);
}

static void formats(void **state)
{
	struct text text = { 0 };
	char long_one[10000];

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	text_appendf(&text, "%s%d", "", 1);
	text_appendf(&text, "%s", "");
	text_appendf(&text, "[%.*s]", (int)sizeof(long_one), long_one);
	assert_int_equal(text.length, 1 + 2 + sizeof(long_one));
	assert_memory_equal(text.bytes, "1[xxx", 5);
	assert_string_equal(text.bytes + text.length - 3, "xx]");
	text_fini(&text);
}

static void writes_numbers(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 9, 10, 99, 100, 4294967296, UINT64_MAX };
	char expected[32];

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct text text = { 0 };

		text_append_number(&text, numbers[i]);
		(void)snprintf(expected, sizeof(expected), "%ju", (uintmax_t)numbers[i]);
		assert_string_equal(text.bytes, expected);
		text_fini(&text);
	}
}

static void writes_seconds_without_trailing_zeros(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
		{ 0, "0.0" },
		{ 1, "0.000001" },
		{ 10, "0.00001" },
		{ 100000, "0.1" },
		{ 999999, "0.999999" },
		{ 1000000, "1.0" },
		{ 12345678, "12.345678" },
		{ 41000000, "41.0" },
		{ 301500000, "301.5" },
		{ 1000010, "1.00001" },
		{ -1, "0.0" },
		{ INT64_MIN, "0.0" },
		{ INT64_MAX, "9223372036854.775807" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct text text = { 0 };

		text_append_seconds(&text, cases[i].us);
		assert_string_equal(text.bytes, cases[i].text);
		text_fini(&text);
	}
}

#define BAD "\xef\xbf\xbd"

static const struct {
	const char *string;
	const char *clean; /* NULL: as it was */
	const char *json;  /* NULL: as it was, in quotes */
} strings[] = {
	{ "", NULL, NULL },
	{ "plain text, 1/2", NULL, NULL },
	{ "a\"b", NULL, "\"a\\\"b\"" },
	{ "\\", NULL, "\"\\\\\"" },
	{ "\"\"", NULL, "\"\\\"\\\"\"" },
	{ "line\nfeed\ttab\r", NULL, "\"line\\u000afeed\\u0009tab\\u000d\"" },
	{ "\x01\x1f\x7f", NULL, "\"\\u0001\\u001f\\u007f\"" },
	{ "\x1b[2J", NULL, "\"\\u001b[2J\"" },
	{ "\xc2\x9b"
	  "2J\xc2\xa0",
	  NULL, "\"\\u009b2J\xc2\xa0\"" },
	{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8b", NULL, NULL },
	{ "\xf4\x8f\xbf\xbf", NULL, NULL },
	{ "\xef\xbf\xbf", NULL, NULL },
	{ "a\xff"
	  "b",
	  "a" BAD "b", "\"a" BAD "b\"" },
	{ "\x80", BAD, "\"" BAD "\"" },
	{ "\xc0\x80", BAD BAD, "\"" BAD BAD "\"" },             /* NUL, longer than need be */
	{ "\xe0\x9f\xbf", BAD BAD BAD, "\"" BAD BAD BAD "\"" }, /* the same */
	{ "\xf0\x8f\xbf\xbf", BAD BAD BAD BAD, "\"" BAD BAD BAD BAD "\"" },
	{ "\xed\xa0\x80", BAD BAD BAD, "\"" BAD BAD BAD "\"" }, /* half of a pair */
	{ "\xf4\x90\x80\x80", BAD BAD BAD BAD, "\"" BAD BAD BAD BAD "\"" },
	{ "\xf5\x80\x80\x80", BAD BAD BAD BAD, "\"" BAD BAD BAD BAD "\"" },
	{ "\xe2\x82", BAD BAD, "\"" BAD BAD "\"" }, /* cut off at the end */
	{ "\xc3", BAD, "\"" BAD "\"" },
	{ "\xc3\"", BAD "\"", "\"" BAD "\\\"\"" }, /* and before what ends a string */
	{ "\xe2\x82\"", BAD BAD "\"", "\"" BAD BAD "\\\"\"" },
};

static void strings_become_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(strings); i++) {
		struct text text = { 0 }, clean = { 0 };
		const char *string = strings[i].string;
		json_t *value;

		text_append_utf8(&clean, string);
		assert_string_equal(clean.bytes, strings[i].clean ? strings[i].clean : string);
		text_append_json(&text, string);
		if (strings[i].json)
			assert_string_equal(text.bytes, strings[i].json);
		else
			assert_memory_equal(text.bytes + 1, string, strlen(string));
		value = json_loads(text.bytes, JSON_DECODE_ANY, NULL);
		assert_string_equal(json_string_value(value), clean.bytes);
		json_decref(value);
		text_fini(&text);
		text_fini(&clean);
	}
}

static void every_byte_alone_becomes_json(void **state)
{
	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		const char string[] = { 'a', (char)byte, 'z', '\0' };
		struct text text = { 0 };
		json_t *value;

		text_append_json(&text, string);
		value = json_loads(text.bytes, JSON_DECODE_ANY, NULL);
		assert_string_equal(json_string_value(value), byte < 0x80 ? string : "a" BAD "z");
		json_decref(value);
		text_fini(&text);
	}
}

static void no_string_is_null(void **state)
{
	struct text text = { 0 };

	(void)state;
	text_append_json(&text, NULL);
	assert_string_equal(text.bytes, "null");
	text_fini(&text);
}

/* Up to the bound exactly, and not a byte further; what comes after is left out, small or not. */
static void a_full_text_is_short_and_stays_so(void **state)
{
	struct text text = { 0 };
	char *piece = malloc(TEXT_MAX / 4 + 1);
	size_t length;

	(void)state;
	assert_non_null(piece);
	memset(piece, 'x', TEXT_MAX / 4 + 1);
	for (size_t i = 0; i < 4; i++)
		text_append(&text, piece, TEXT_MAX / 4);
	assert_int_equal(text.length, TEXT_MAX);
	assert_false(text.is_short);
	text_append(&text, piece, 0);
	assert_false(text.is_short);
	TEXT_APPEND(&text, "y");
	assert_true(text.is_short);
	text_truncate(&text, 10);
	TEXT_APPEND(&text, "z");
	text_append_number(&text, 1);
	text_appendf(&text, "%d", 1);
	text_append_json(&text, "a");
	assert_string_equal(text.bytes, "xxxxxxxxxx");
	assert_null(text_take(&text, &length));
	assert_int_equal(length, 0);
	assert_false(text.is_short);
	text_append(&text, piece, SIZE_MAX);
	assert_true(text.is_short);
	text_fini(&text);
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_empty),
		cmocka_unit_test(grows_and_keeps_every_byte),
		cmocka_unit_test(is_taken_and_is_empty_then),
		cmocka_unit_test(formats),
		cmocka_unit_test(writes_numbers),
		cmocka_unit_test(writes_seconds_without_trailing_zeros),
		cmocka_unit_test(strings_become_json),
		cmocka_unit_test(every_byte_alone_becomes_json),
		cmocka_unit_test(no_string_is_null),
		cmocka_unit_test(a_full_text_is_short_and_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
