#ifndef FINBACK_ENGINE_TIMES_H
#define FINBACK_ENGINE_TIMES_H

#include <stdint.h>

/* Of two times, or durations, in one unit: the later, the earlier; and one kept within bounds. */

static inline int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* `least` is not above `most`. */
static inline int64_t bounded(int64_t value, int64_t least, int64_t most)
{
	return earlier(later(value, least), most);
}

#endif
