/*
 * Streams as windows into one table. The table's first PATTERN_VIEW bytes are repeated behind its
 * end, so that a view never wraps; its length is a prime, so that no shift by a buffer's or a
 * page's size goes unnoticed.
 */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

static uint8_t *table;
static size_t table_period;

uint64_t pattern_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t value = *state;

	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

uint64_t pattern_below(uint64_t *state, uint64_t limit)
{
	return limit == 0 ? 0 : pattern_random(state) % limit;
}

uint64_t pattern_mix(uint64_t a, uint64_t b)
{
	uint64_t state = a;
	uint64_t mixed = pattern_random(&state) ^ b;

	return pattern_random(&mixed);
}

void pattern_init(size_t period)
{
	uint64_t state = 1;

	free(table);
	table_period = period;
	table = malloc(period + PATTERN_VIEW);
	if (table == NULL)
		report_die(EXIT_FAILURE, "no memory for the table of bytes");
	for (size_t i = 0; i < period; i += sizeof(uint64_t)) {
		uint64_t value = pattern_random(&state);
		size_t left = period - i;

		memcpy(table + i, &value, left < sizeof(value) ? left : sizeof(value));
	}
	for (size_t done = 0; done < PATTERN_VIEW;) {
		size_t left = PATTERN_VIEW - done;
		size_t part = left < period ? left : period;

		memcpy(table + period + done, table, part);
		done += part;
	}
}

const uint8_t *pattern_view(uint64_t stream, uint64_t position)
{
	uint64_t start = pattern_mix(stream, 0) % table_period;

	return table + (start + position % table_period) % table_period;
}

bool pattern_matches(uint64_t stream, uint64_t position, const void *bytes, size_t size)
{
	return memcmp(pattern_view(stream, position), bytes, size) == 0;
}
