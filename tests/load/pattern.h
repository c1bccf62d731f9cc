#ifndef FINBACK_LOAD_PATTERN_H
#define FINBACK_LOAD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes that are sent, and the check of those that arrive. A stream is a window into one table
 * of pseudo-random bytes, at an offset that its number decides: byte n of stream s is known to both
 * ends without either remembering anything, and a byte too many, too few, doubled or from another
 * session shows as a difference.
 */

/* The next number of a generator (SplitMix64), and a number below `limit`. */
uint64_t pattern_random(uint64_t *state);
uint64_t pattern_below(uint64_t *state, uint64_t limit);

/* Two numbers made into one that depends on each bit of both. */
uint64_t pattern_mix(uint64_t a, uint64_t b);

/* Makes the table: its length is the period of every stream. A short one (PATTERN_SHORT) stays in
 * the cache, for measuring; a long one (PATTERN_LONG) never repeats within a session. */
#define PATTERN_SHORT 262139
#define PATTERN_LONG  4194301
void pattern_init(size_t period);

/* Bytes [position, position + size) of a stream; size at most PATTERN_VIEW. */
#define PATTERN_VIEW 262144
const uint8_t *pattern_view(uint64_t stream, uint64_t position);

/* Whether these are the bytes at this place of that stream; size as above. */
bool pattern_matches(uint64_t stream, uint64_t position, const void *bytes, size_t size);

#endif
