#ifndef FINBACK_SRC_HOST_LOG_WORDS_H
#define FINBACK_SRC_HOST_LOG_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text that grows in a buffer of fixed size, and the ways in which the log writes a value. What
 * does not fit is left out, and is_cut says so. There is no NUL at the end.
 */

struct words {
	char *text;
	size_t size;
	size_t used;
	bool is_cut;
};

void words_add(struct words *words, const char *bytes, size_t length);

/* For a string literal, whose length is known. */
#define WORDS_ADD(words, literal) words_add((words), "" literal, sizeof(literal) - 1)

/* In decimal. */
void words_add_number(struct words *words, uint64_t number);
/* The same in exactly `digits` digits, the lowest of it. */
void words_add_digits(struct words *words, uint64_t number, unsigned digits);

/* Control characters as '?', so that a line stays one. */
void words_add_clean(struct words *words, const char *text, size_t length);

/* The value of a pair: clean, and in quotes where it would not read back as one value. */
void words_add_value(struct words *words, const char *text, size_t length);
void words_add_quoted(struct words *words, const char *text, size_t length);

/* A JSON string with its quotes, RFC 8259: control characters, those of Unicode too, are escaped,
 * and each byte that is no UTF-8 is U+FFFD. A byte becomes at most WORDS_JSON_GROWTH. */
void words_add_json(struct words *words, const char *text, size_t length);
#define WORDS_JSON_GROWTH 6

#endif
