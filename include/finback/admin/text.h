#ifndef FINBACK_ADMIN_TEXT_H
#define FINBACK_ADMIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text that grows in memory, for answers that may become large: bounded, and quick to append to.
 * What fails shows once, at the end: where there is no more memory, or no more room, is_short is
 * set, stays set, and all that is appended afterwards is left out.
 */

struct text {
	char *bytes;   /* with a NUL behind them; NULL until something was appended */
	size_t length; /* without the NUL */
	size_t capacity;
	bool is_short; /* something is missing: do not send this */
};

#define TEXT_MAX ((size_t)64 * 1024 * 1024)

/* Zeroed storage is an empty text. Releases what it holds and empties it. */
void text_fini(struct text *text);

/* Hands the bytes over, which the caller frees, and empties the text; is_short goes, too. Returns
 * NULL with *ret_length 0 where it is short or nothing was appended. */
char *text_take(struct text *text, size_t *ret_length);

/* Keeps the first `length` bytes, at most those that there are. */
void text_truncate(struct text *text, size_t length);

void text_append(struct text *text, const char *bytes, size_t length);

/* For a string literal, whose length is known. */
#define TEXT_APPEND(text, literal) text_append((text), "" literal, sizeof(literal) - 1)

/* printf(3); the slow way. */
void text_appendf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In decimal. */
void text_append_number(struct text *text, uint64_t number);

/* Microseconds as seconds with one to six decimals: "12.345678", "41.0". Below 0 it is "0.0". */
void text_append_seconds(struct text *text, int64_t us);

/* The string as it is, but for bytes that are no UTF-8 (RFC 3629): each is U+FFFD. */
void text_append_utf8(struct text *text, const char *string);

/* The string as JSON (RFC 8259), in quotes: control characters, those of Unicode too (U+0080 to
 * U+009F are commands to some terminals), are escaped, and what is no UTF-8 is U+FFFD. NULL is
 * null. */
void text_append_json(struct text *text, const char *string);

#endif
