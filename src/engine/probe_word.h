#ifndef FINBACK_SRC_ENGINE_PROBE_WORD_H
#define FINBACK_SRC_ENGINE_PROBE_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * A word that a parser collects byte by byte, to know it by its name once it is whole. One that is
 * longer than every name is remembered as too long, and is equal to none.
 */

#define PROBE_WORD_MAX 15

struct probe_word {
	uint8_t size; /* PROBE_WORD_MAX + 1: too long */
	char text[PROBE_WORD_MAX];
};

static inline void probe_word_add(struct probe_word *word, unsigned char byte)
{
	if (word->size < PROBE_WORD_MAX)
		word->text[word->size] = (char)byte;
	if (word->size <= PROBE_WORD_MAX)
		word->size++;
}

static inline bool probe_word_is(const struct probe_word *word, const char *name)
{
	return word->size <= PROBE_WORD_MAX && strlen(name) == word->size &&
	       memcmp(word->text, name, word->size) == 0;
}

#endif
