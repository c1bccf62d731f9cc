/*
 * JSON strings. Invariant: the pieces together are valid UTF-8 and valid JSON, whatever the text.
 */
#include <finback/host/json.h>
#include <finback/host/utf8.h>

#include <stdbool.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool is_plain(unsigned char byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
}

/* U+0000 to U+00FF as \u00XX. */
static size_t escape(unsigned char code, char buffer[JSON_PIECE_MAX])
{
	static const char hex[] = "0123456789abcdef";

	buffer[0] = '\\';
	buffer[1] = 'u';
	buffer[2] = buffer[3] = '0';
	buffer[4] = hex[code >> 4];
	buffer[5] = hex[code & 15];
	return 6;
}

/* One character that is not plain. */
static struct json_piece odd_piece(const char *text, size_t left, char buffer[JSON_PIECE_MAX])
{
	const unsigned char first = (unsigned char)text[0];
	size_t length = utf8_length(text, left);

	if (length == 0)
		return (struct json_piece){ REPLACEMENT, sizeof REPLACEMENT - 1, 1 };
	if (first == '"' || first == '\\') {
		buffer[0] = '\\';
		buffer[1] = text[0];
		return (struct json_piece){ buffer, 2, 1 };
	}
	if (length == 1)
		return (struct json_piece){ buffer, escape(first, buffer), 1 };
	if (first == 0xc2 && (unsigned char)text[1] < 0xa0)
		return (struct json_piece){ buffer, escape((unsigned char)text[1], buffer), 2 };
	return (struct json_piece){ text, length, length };
}

struct json_piece json_piece(const char *text, size_t left, char buffer[JSON_PIECE_MAX])
{
	size_t plain = 0;

	while (plain < left && is_plain((unsigned char)text[plain]))
		plain++;
	if (plain > 0)
		return (struct json_piece){ text, plain, plain };
	return odd_piece(text, left, buffer);
}
