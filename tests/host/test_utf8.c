/*
 * host/utf8: every character of Unicode is one, in its shortest form and in no other, and nothing
 * else is.
 */
#include <finback/host/utf8.h>

#include <stdbool.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/* The character in `length` bytes, whether that is right or not. */
static void encode(uint32_t character, size_t length, char bytes[4])
{
	static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = length; i-- > 1; character >>= 6)
		bytes[i] = (char)(0x80 | (character & 0x3f));
	bytes[0] = (char)(marks[length] | character);
}

static size_t right_length(uint32_t character)
{
	if (character >= 0xd800 && character <= 0xdfff)
		return 0;
	return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}

static void every_character_has_one_form(void **state)
{
	(void)state;
	for (uint32_t character = 0; character <= 0x10ffff; character++) {
		size_t right = right_length(character);

		for (size_t length = 1; length <= 4; length++) {
			static const uint32_t ends[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
			char bytes[4];

			if (character >= ends[length])
				continue;
			encode(character, length, bytes);
			assert_int_equal(utf8_length(bytes, length), length == right ? right : 0);
		}
	}
}

static void what_is_cut_off_is_none(void **state)
{
	static const char *const whole[] = { "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x8b" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(whole[i]);

		assert_int_equal(utf8_length(whole[i], length), length);
		assert_int_equal(utf8_length(whole[i], length + 1), length);
		for (size_t left = 1; left < length; left++)
			assert_int_equal(utf8_length(whole[i], left), 0);
	}
}

/* All pairs of bytes, followed by two that continue anything. */
static void nothing_else_is_one(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			const char bytes[] = { (char)first, (char)second, '\x80', '\x80' };
			size_t length = utf8_length(bytes, sizeof(bytes));
			bool is_lead = first >= 0xc2 && first <= 0xf4;

			if (first < 0x80)
				assert_int_equal(length, 1);
			else if (!is_lead || (second & 0xc0) != 0x80)
				assert_int_equal(length, 0);
		}
	}
	assert_int_equal(utf8_length("\xe2\x82(", 3), 0);
	assert_int_equal(utf8_length("\xf0\x9f(\x8b", 4), 0);
	assert_int_equal(utf8_length("\xf0\x9f\x90(", 4), 0);
	assert_int_equal(utf8_length("\xf4\x90\x80\x80", 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_has_one_form),
		cmocka_unit_test(what_is_cut_off_is_none),
		cmocka_unit_test(nothing_else_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
