#ifndef FINBACK_HOST_JSON_H
#define FINBACK_HOST_JSON_H

#include <stddef.h>

/*
 * What stands between the quotes of a JSON string (RFC 8259, 7), piece by piece, for texts that are
 * written too often to build a tree for.
 */

#define JSON_PIECE_MAX 8

/* A piece of the string, and how many bytes of the text it stands for. */
struct json_piece {
	const char *at; /* in the text, in the buffer, or static */
	size_t length;
	size_t taken;
};

/* The first piece for `left` bytes of text, at least 1: a run of plain ones as they are, or one
 * character escaped. Control characters, of which terminals know some above U+007F too, become
 * \u00XX; what is no UTF-8 becomes U+FFFD. */
struct json_piece json_piece(const char *text, size_t left, char buffer[JSON_PIECE_MAX]);

#endif
