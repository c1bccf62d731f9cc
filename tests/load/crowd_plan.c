/*
 * Plans: a shape from a table (who starts, who ends, and how), and random sizes and times. Every
 * shape ends by itself: two ends never wait for each other. What ends a session is certain from its
 * shape, whatever the timing: the other end of one that resets after its FIN holds its own back.
 */
#include "crowd_plan.h"

#include <stddef.h>

#include "pattern.h"

#define HUGE_BODY 2097152

const char *const start_names[] = {
	[START_AT_ONCE] = "at once",
	[START_AFTER_HEADER] = "after the first bytes",
	[START_AFTER_FIN] = "after the FIN",
};
_Static_assert(sizeof(start_names) / sizeof(start_names[0]) == STARTS, "each start has a name");

const char *const finish_names[] = {
	[FINISH_FIN] = "FIN",
	[FINISH_FIN_AFTER_PEER] = "FIN after the other's",
	[FINISH_ABORT] = "reset",
	[FINISH_CLOSE_UNREAD] = "close on unread bytes",
	[FINISH_FIN_THEN_ABORT] = "FIN, then reset",
	[FINISH_HOLD] = "hold",
};
_Static_assert(sizeof(finish_names) / sizeof(finish_names[0]) == FINISHES, "each finish a name");

struct shape {
	const char *name;
	unsigned weight;
	struct {
		enum start start;
		enum finish finish;
		uint64_t least; /* bytes to send */
	} ends[ROLES];
};

#define AT_ONCE      START_AT_ONCE
#define AFTER_HEADER START_AFTER_HEADER
#define AFTER_FIN    START_AFTER_FIN

/* The client first. Where it sends before the server does, it sends its header at least. */
static const struct shape whole_shapes[] = {
	{ "conversation", 25, { { AT_ONCE, FINISH_FIN, 8 }, { AT_ONCE, FINISH_FIN, 0 } } },
	{ "reply after half-close",
	  20,
	  { { AT_ONCE, FINISH_FIN, 8 }, { AFTER_FIN, FINISH_FIN, 0 } } },
	{ "client ends first",
	  10,
	  { { AT_ONCE, FINISH_FIN, 8 }, { AT_ONCE, FINISH_FIN_AFTER_PEER, 0 } } },
	{ "server ends first",
	  15,
	  { { AT_ONCE, FINISH_FIN_AFTER_PEER, 8 }, { AT_ONCE, FINISH_FIN, 0 } } },
	{ "server speaks first",
	  12,
	  { { AFTER_HEADER, FINISH_FIN, 0 }, { AT_ONCE, FINISH_FIN, 8 } } },
	{ "client waits for FIN",
	  8,
	  { { AFTER_FIN, FINISH_FIN_AFTER_PEER, 0 }, { AT_ONCE, FINISH_FIN, 8 } } },
	{ "FIN alone", 10, { { AT_ONCE, FINISH_FIN, 0 }, { AT_ONCE, FINISH_FIN, 0 } } },
};

static const struct shape cut_shapes[] = {
	{ "client resets", 3, { { AT_ONCE, FINISH_ABORT, 0 }, { AT_ONCE, FINISH_FIN, 0 } } },
	{ "client resets after the server's FIN",
	  2,
	  { { AFTER_FIN, FINISH_ABORT, 8 }, { AT_ONCE, FINISH_FIN, 8 } } },
	{ "client closes on unread bytes",
	  2,
	  { { AT_ONCE, FINISH_CLOSE_UNREAD, 0 }, { AT_ONCE, FINISH_FIN, 8 } } },
	{ "client resets after its FIN",
	  2,
	  { { AT_ONCE, FINISH_FIN_THEN_ABORT, 8 }, { AT_ONCE, FINISH_HOLD, 0 } } },
	{ "server resets", 3, { { AT_ONCE, FINISH_FIN, 8 }, { AT_ONCE, FINISH_ABORT, 0 } } },
	{ "server resets after the client's FIN",
	  2,
	  { { AT_ONCE, FINISH_FIN, 8 }, { AFTER_FIN, FINISH_ABORT, 0 } } },
	{ "server closes on unread bytes",
	  2,
	  { { AT_ONCE, FINISH_FIN, 4096 }, { AT_ONCE, FINISH_CLOSE_UNREAD, 0 } } },
	{ "server resets after its FIN",
	  2,
	  { { AT_ONCE, FINISH_HOLD, 8 }, { AT_ONCE, FINISH_FIN_THEN_ABORT, 8 } } },
};

static const struct shape *draw_shape(uint64_t *random, const struct shape *shapes, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += shapes[i].weight;

	uint64_t left = pattern_below(random, sum);

	for (size_t i = 0; i < count; i++) {
		if (left < shapes[i].weight)
			return &shapes[i];
		left -= shapes[i].weight;
	}
	return &shapes[0];
}

/* Each power of two is as likely as any other: most bodies are small, and all sizes occur. */
static uint64_t draw_bytes(uint64_t *random, const struct plan_settings *settings, uint64_t least)
{
	uint64_t most = HEADER_SIZE;

	if (least == 0 && pattern_below(random, 8) == 0)
		return 0;
	if (pattern_below(random, 10000) < settings->huge)
		return HUGE_BODY - pattern_below(random, 3);
	while (most < settings->size && pattern_below(random, 16) != 0)
		most *= 2;

	uint64_t bytes = HEADER_SIZE + pattern_below(random, most - HEADER_SIZE + 1);

	if (bytes > settings->size)
		bytes = settings->size;
	return bytes < least ? least : bytes;
}

static int64_t draw_time(uint64_t *random, unsigned chance, int64_t most_us)
{
	if (pattern_below(random, 100) >= chance)
		return 0;
	return (int64_t)pattern_below(random, (uint64_t)most_us);
}

static void draw_script(struct script *script, uint64_t *random)
{
	static const uint64_t sends[] = { 1460, 4096, 16384, 65536, 65536 };

	script->send_most = sends[pattern_below(random, sizeof(sends) / sizeof(sends[0]))];
	script->pause_at = pattern_below(random, script->bytes + 1);
	script->pause_us = draw_time(random, 25, 40000);
	script->finish_us = draw_time(random, 30, 20000);
	script->read_most = 65536;
	if (pattern_below(random, 100) < 15) {
		script->slow_reads = (unsigned)pattern_below(random, 12);
		script->read_gap_us = (int64_t)pattern_below(random, 10000);
		script->read_most = 1 + pattern_below(random, 32768);
	}
}

void plan_draw(struct plan *plan, const struct plan_settings *settings, uint64_t session)
{
	uint64_t random = pattern_mix(settings->seed, session);
	bool is_cut = pattern_below(&random, 1000) < settings->resets;
	const struct shape *shape =
		is_cut ? draw_shape(&random, cut_shapes, sizeof(cut_shapes) / sizeof(cut_shapes[0]))
		       : draw_shape(&random, whole_shapes,
				    sizeof(whole_shapes) / sizeof(whole_shapes[0]));

	*plan = (struct plan){ .shape = shape->name };
	for (int role = 0; role < ROLES; role++) {
		struct script *script = &plan->ends[role];

		script->start = shape->ends[role].start;
		script->finish = shape->ends[role].finish;
		script->bytes = draw_bytes(&random, settings, shape->ends[role].least);
		draw_script(script, &random);
	}
	if (shape == &whole_shapes[sizeof(whole_shapes) / sizeof(whole_shapes[0]) - 1])
		plan->ends[ROLE_CLIENT].bytes = 0;
	if (plan->ends[ROLE_CLIENT].slow_reads > 0 && pattern_below(&random, 2) == 0)
		plan->receive_buffer = 4096 << pattern_below(&random, 5);
}

enum role plan_aborter(const struct plan *plan)
{
	for (int role = 0; role < ROLES; role++) {
		enum finish finish = plan->ends[role].finish;

		if (finish == FINISH_ABORT || finish == FINISH_CLOSE_UNREAD ||
		    finish == FINISH_FIN_THEN_ABORT)
			return (enum role)role;
	}
	return ROLES;
}

bool plan_is_nameless(const struct plan *plan)
{
	return plan->ends[ROLE_CLIENT].bytes == 0 && plan->ends[ROLE_CLIENT].finish == FINISH_FIN &&
	       plan->ends[ROLE_CLIENT].start == START_AT_ONCE;
}
