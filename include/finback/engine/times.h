#ifndef FINBACK_ENGINE_TIMES_H
#define FINBACK_ENGINE_TIMES_H

#include <stdint.h>

/*
 * A point in time as records keep it: microseconds in 48 bits, 0 for never. They last for 8.9
 * years, and are counted from the start of the process (monotonic_us), not the machine's. In two
 * parts, as gcc moves a packed bit-field byte by byte.
 */
struct __attribute__((packed)) moment {
	uint32_t low;
	uint16_t high;
};

static inline struct moment moment_of(int64_t us)
{
	return (struct moment){ .low = (uint32_t)us, .high = (uint16_t)(us >> 32) };
}

static inline int64_t moment_us(struct moment moment)
{
	return (int64_t)moment.high << 32 | moment.low;
}

/* Of two times, or durations, in one unit: the later, the earlier; and one kept within bounds. */

static inline int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The earlier of two times, of which 0 is none. */
static inline int64_t sooner(int64_t a, int64_t b)
{
	return a == 0 || b == 0 ? a + b : earlier(a, b);
}

/* `least` is not above `most`. */
static inline int64_t bounded(int64_t value, int64_t least, int64_t most)
{
	return earlier(later(value, least), most);
}

#endif
