/*
 * Text that grows.
 *
 * Invariant: where there are bytes, a NUL follows them, and `capacity` has room for it.
 *
 * JSON strings are copied in runs of plain bytes; only the others, which are rare, are looked at
 * one by one.
 */
#include <finback/admin/text.h>
#include <finback/host/json.h>
#include <finback/host/utf8.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096
#define NUMBER_MAX   20 /* digits of 2^64 - 1 */
#define DECIMALS     6
#define SECOND_US    1000000

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void text_fini(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}

char *text_take(struct text *text, size_t *ret_length)
{
	char *bytes = text->bytes;

	if (text->is_short || !bytes) {
		text_fini(text);
		*ret_length = 0;
		return NULL;
	}
	*ret_length = text->length;
	*text = (struct text){ 0 };
	return bytes;
}

void text_truncate(struct text *text, size_t length)
{
	if (length >= text->length)
		return;
	text->length = length;
	text->bytes[length] = '\0';
}

/* The slow part of make_room: `needed` bytes in all, the NUL included. */
static bool grow(struct text *text, size_t needed)
{
	size_t capacity = text->capacity ? text->capacity : CAPACITY_MIN;
	char *bytes;

	while (capacity < needed)
		capacity *= 2;
	bytes = realloc(text->bytes, capacity);
	if (!bytes) {
		text->is_short = true;
		return false;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

/* Whether `length` more bytes fit, and a NUL. */
static bool make_room(struct text *text, size_t length)
{
	if (text->is_short)
		return false;
	if (length > TEXT_MAX - text->length) {
		text->is_short = true;
		return false;
	}
	return length < text->capacity - text->length || grow(text, text->length + length + 1);
}

void text_append(struct text *text, const char *bytes, size_t length)
{
	if (!make_room(text, length))
		return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

static void append_formatted(struct text *text, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void append_formatted(struct text *text, const char *format, va_list arguments)
{
	va_list again;
	int length;

	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		text->is_short = true;
	else if (make_room(text, (size_t)length))
		text->length += (size_t)vsnprintf(text->bytes + text->length, (size_t)length + 1,
						  format, again);
	va_end(again);
}

void text_appendf(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_formatted(text, format, arguments);
	va_end(arguments);
}

void text_append_number(struct text *text, uint64_t number)
{
	char digits[NUMBER_MAX];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text_append(text, digits + at, sizeof digits - at);
}

void text_append_seconds(struct text *text, int64_t us)
{
	uint64_t whole = us > 0 ? (uint64_t)us / SECOND_US : 0;
	unsigned rest = us > 0 ? (unsigned)(us % SECOND_US) : 0;
	char decimals[DECIMALS + 1] = ".";
	size_t length = DECIMALS + 1;

	for (size_t i = DECIMALS; i > 0; i--, rest /= 10)
		decimals[i] = (char)('0' + rest % 10);
	while (length > 2 && decimals[length - 1] == '0')
		length--;
	text_append_number(text, whole);
	text_append(text, decimals, length);
}

void text_append_utf8(struct text *text, const char *string)
{
	size_t left = strlen(string);
	size_t from = 0;
	size_t at = 0;

	while (at < left) {
		size_t length = utf8_length(string + at, left - at);

		if (length > 0) {
			at += length;
			continue;
		}
		text_append(text, string + from, at - from);
		TEXT_APPEND(text, REPLACEMENT);
		from = ++at;
	}
	text_append(text, string + from, at - from);
}

void text_append_json(struct text *text, const char *string)
{
	char buffer[JSON_PIECE_MAX];
	size_t left;

	if (!string) {
		TEXT_APPEND(text, "null");
		return;
	}
	TEXT_APPEND(text, "\"");
	for (left = strlen(string); left > 0;) {
		struct json_piece piece = json_piece(string, left, buffer);

		text_append(text, piece.at, piece.length);
		string += piece.taken;
		left -= piece.taken;
	}
	TEXT_APPEND(text, "\"");
}
