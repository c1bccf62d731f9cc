/*
 * Values as text: numbers, pairs and JSON strings.
 *
 * Each way copies runs of plain bytes and looks closer only at the others, which are rare.
 *
 * The surprising thing: U+0080 to U+009F are valid in JSON as they are, and escaped all the same.
 * To some terminals they are commands, as ESC [ is.
 */
#include "log_words.h"

#include <finback/host/utf8.h>

#include <string.h>

#define DIGITS_MAX 20 /* of 2^64 - 1 */

void words_add(struct words *words, const char *bytes, size_t length)
{
	size_t room = words->size - words->used;

	if (length > room) {
		length = room;
		words->is_cut = true;
	}
	memcpy(words->text + words->used, bytes, length);
	words->used += length;
}

void words_add_number(struct words *words, uint64_t number)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	words_add(words, digits + at, sizeof(digits) - at);
}

void words_add_digits(struct words *words, uint64_t number, unsigned digits)
{
	char text[DIGITS_MAX];

	for (unsigned i = digits; i-- > 0; number /= 10)
		text[i] = (char)('0' + number % 10);
	words_add(words, text, digits);
}

static bool is_control(unsigned char byte)
{
	return byte < ' ' || byte == 0x7f;
}

void words_add_clean(struct words *words, const char *text, size_t length)
{
	size_t from = 0;

	for (size_t i = 0; i < length; i++) {
		if (!is_control((unsigned char)text[i]))
			continue;
		words_add(words, text + from, i - from);
		WORDS_ADD(words, "?");
		from = i + 1;
	}
	words_add(words, text + from, length - from);
}

static bool needs_quotes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte <= ' ' || byte == '"' || byte == '\\' || byte == '=' || byte == 0x7f)
			return true;
	}
	return length == 0;
}

void words_add_value(struct words *words, const char *text, size_t length)
{
	if (needs_quotes(text, length))
		words_add_quoted(words, text, length);
	else
		words_add(words, text, length);
}

void words_add_quoted(struct words *words, const char *text, size_t length)
{
	size_t from = 0;

	WORDS_ADD(words, "\"");
	for (size_t i = 0; i < length; i++) {
		if (text[i] != '"' && text[i] != '\\')
			continue;
		words_add_clean(words, text + from, i - from);
		WORDS_ADD(words, "\\");
		from = i;
	}
	words_add_clean(words, text + from, length - from);
	WORDS_ADD(words, "\"");
}

/* U+0000 to U+00FF as \u00XX. */
static void add_escape(struct words *words, unsigned code)
{
	static const char hex[] = "0123456789abcdef";
	const char text[] = { '\\', 'u', '0', '0', hex[code >> 4], hex[code & 15] };

	words_add(words, text, sizeof(text));
}

/* Adds one character that is not plain. Returns how many bytes it was. */
static size_t add_odd(struct words *words, const char *at, size_t left)
{
	size_t length = utf8_length(at, left);

	if (length == 0) {
		WORDS_ADD(words, "\xef\xbf\xbd");
		return 1;
	}
	if (*at == '"' || *at == '\\') {
		WORDS_ADD(words, "\\");
		words_add(words, at, 1);
	} else if (length == 1 || (at[0] == '\xc2' && (unsigned char)at[1] < 0xa0)) {
		add_escape(words, (unsigned char)at[length - 1]);
	} else {
		words_add(words, at, length);
	}
	return length;
}

static bool is_plain(unsigned char byte)
{
	return !is_control(byte) && byte < 0x80 && byte != '"' && byte != '\\';
}

void words_add_json(struct words *words, const char *text, size_t length)
{
	size_t from = 0;

	WORDS_ADD(words, "\"");
	for (size_t i = 0; i < length;) {
		if (is_plain((unsigned char)text[i])) {
			i++;
			continue;
		}
		words_add(words, text + from, i - from);
		i += add_odd(words, text + i, length - i);
		from = i;
	}
	words_add(words, text + from, length - from);
	WORDS_ADD(words, "\"");
}
