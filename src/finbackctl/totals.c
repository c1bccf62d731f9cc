/*
 * Sums over listeners. Time is the daemon's own, so that a slow answer makes no wrong rate;
 * counters that went back are another process's.
 */
#include "totals.h"

#include <string.h>

#include "field.h"

enum session_state totals_state(const char *name)
{
	int state = 0;

	while (state < STATES && (!name || strcmp(name, session_state_name(state)) != 0))
		state++;
	return (enum session_state)state;
}

static uint64_t sum_of(json_t *counts)
{
	uint64_t sum = 0;
	const char *key;
	json_t *value;

	json_object_foreach(counts, key, value) if (json_integer_value(value) > 0) sum +=
		(uint64_t)json_integer_value(value);
	return sum;
}

void totals_add(struct totals *totals, const json_t *listener)
{
	const json_t *active = field_at(listener, "active");

	totals->accepted += field_count(listener, "accepted");
	totals->ended += sum_of(field_at(listener, "endings"));
	for (int state = 0; state < STATES; state++)
		totals->active[state] += field_count(active, session_state_name(state));
	totals->bytes[CLIENT] += field_count(listener, "bytes.from_client");
	totals->bytes[SERVER] += field_count(listener, "bytes.from_server");
}

struct totals totals_of(const json_t *status)
{
	struct totals totals = { .uptime_s = field_number(status, "uptime_s", 0) };
	const json_t *listeners = field_array(status, "listeners");

	for (size_t i = 0; i < json_array_size(listeners); i++)
		totals_add(&totals, json_array_get(listeners, i));
	return totals;
}

uint64_t totals_active(const struct totals *totals)
{
	uint64_t sum = 0;

	for (int state = 0; state < STATES; state++)
		sum += totals->active[state];
	return sum;
}

bool totals_rates(const struct totals *before, const struct totals *now, struct rates *ret)
{
	double elapsed = now->uptime_s - before->uptime_s;

	if (!(elapsed > 0) || now->accepted < before->accepted || now->ended < before->ended ||
	    now->bytes[CLIENT] < before->bytes[CLIENT] ||
	    now->bytes[SERVER] < before->bytes[SERVER])
		return false;
	ret->accepted = (double)(now->accepted - before->accepted) / elapsed;
	ret->ended = (double)(now->ended - before->ended) / elapsed;
	for (int side = 0; side < SIDES; side++)
		ret->bytes[side] = (double)(now->bytes[side] - before->bytes[side]) / elapsed;
	return true;
}
