#ifndef FINBACK_ADMIN_SENTENCE_H
#define FINBACK_ADMIN_SENTENCE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A sentence put together from pieces in storage of the caller's, and the words for numbers in it.
 * What does not fit is cut off. No memory from the heap, and no printf(3): ten thousand of them may
 * be wanted at once.
 */

struct sentence {
	char *text; /* `size` bytes with the NUL, which is always there once something was said */
	size_t size;
	size_t used;
};

/* Appends pieces up to a NULL. */
void sentence_say(struct sentence *sentence, const char *const *pieces);

#define SAY(sentence, ...) sentence_say((sentence), (const char *const[]){ __VA_ARGS__, NULL })

/* A piece by value, so that it can be made among the arguments of SAY(). */
struct words {
	char text[72];
};

struct words words_number(uint64_t value);

/* Rounded down: "under 0.1 s", "0.4 s", "42 s", "4 min 19 s", "3 h 12 min", "2 d 4 h". */
struct words words_duration(int64_t us);

/* Rounded down: "17 bytes", "64 KiB", "1.2 MiB". */
struct words words_size(uint64_t bytes);

/* "1 probe unanswered", "3 probes unanswered". */
struct words words_unanswered(unsigned count, const char *thing);

/* A name, cut between two characters (UTF-8) where it has more than WORDS_NAME_MAX bytes. */
#define WORDS_NAME_MAX 64
struct words words_name(const char *name);

#endif
