/*
 * Values as text: numbers, pairs and JSON strings.
 *
 * Each way copies runs of plain bytes and looks closer only at the others, which are rare.
 *
 * The surprising thing: U+0080 to U+009F are valid in JSON as they are, and escaped all the same.
 * To some terminals they are commands, as ESC [ is.
 */
#include "log_words.h"

#include <finback/host/json.h>

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

void words_add_json(struct words *words, const char *text, size_t length)
{
	char buffer[JSON_PIECE_MAX];

	WORDS_ADD(words, "\"");
	while (length > 0) {
		struct json_piece piece = json_piece(text, length, buffer);

		words_add(words, piece.at, piece.length);
		text += piece.taken;
		length -= piece.taken;
	}
	WORDS_ADD(words, "\"");
}
