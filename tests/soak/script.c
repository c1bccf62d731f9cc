/*
 * Scripts: tables of kinds, and what is random about each session. Every kind ends by itself: one
 * where nobody vanishes with both ends of file, another one with a reset at the end that is left.
 *
 * Of each block of `one_in` sessions, one vanishes, at a random place in it. States and sides are
 * dealt like cards, each as often as any other, in a random order.
 */
#include "script.h"

#include <string.h>

#include "../load/pattern.h"

#define WORDS_MOST 4096
#define BIG_BYTES  (UINT64_C(512) << 10)
#define FLOOD_MOST (UINT64_C(8) << 20)
#define MOMENT_US  20000

const char *const role_names[] = {
	[ROLE_CLIENT] = "client",
	[ROLE_SERVER] = "server",
};
_Static_assert(sizeof(role_names) / sizeof(role_names[0]) == ROLES, "each role has a name");

#define SAY      STEP_SAY
#define SAY_BIG  STEP_SAY_BIG
#define FLOOD    STEP_FLOOD
#define HEAR     STEP_HEAR
#define FIN      STEP_FIN
#define END      STEP_EOF
#define PAUSE    STEP_PAUSE
#define REST     STEP_REST
#define FLOODED  STEP_FLOODED
#define VANISH   STEP_VANISH
#define BEREFT   STEP_BEREFT
#define OUTLIVED STEP_OUTLIVED
#define CUT      STEP_CUT

struct kind {
	const char *name;
	unsigned weight;
	bool is_quiet;
	uint8_t steps[ROLES][SCRIPT_STEPS];
};

/* The client first. */
static const struct kind lively[] = {
	{ "answer after half-close", 24, false, { { SAY, FIN, END }, { HEAR, END, SAY, FIN } } },
	{ "request and answer", 22, false, { { SAY, HEAR, FIN, END }, { HEAR, SAY, END, FIN } } },
	{ "server ends first", 16, false, { { SAY, HEAR, END, FIN }, { HEAR, SAY, FIN, END } } },
	{ "dialogue",
	  12,
	  false,
	  { { SAY, HEAR, SAY, HEAR, FIN, END }, { HEAR, SAY, HEAR, SAY, END, FIN } } },
	{ "both end at once", 8, false, { { SAY, FIN, END }, { HEAR, SAY, FIN, END } } },
	{ "client goes on alone",
	  6,
	  false,
	  { { SAY, END, SAY, FIN }, { HEAR, SAY, FIN, HEAR, END } } },
	{ "dialogue with a pause",
	  6,
	  false,
	  { { SAY, HEAR, PAUSE, SAY, FIN, END }, { HEAR, SAY, HEAR, PAUSE, SAY, END, FIN } } },
	{ "server speaks first", 4, true, { { HEAR, SAY, FIN, END }, { SAY, HEAR, END, FIN } } },
	{ "not a word", 2, true, { { PAUSE, FIN, END }, { END, PAUSE, FIN } } },
};

/* Silent for longer than dead_after, and alive: none of these may be taken for dead. */
static const struct kind resting[] = {
	{ "rests",
	  1,
	  false,
	  { { SAY, HEAR, REST, SAY, HEAR, FIN, END }, { HEAR, SAY, HEAR, SAY, END, FIN } } },
	{ "rests after the client's end",
	  1,
	  false,
	  { { SAY, FIN, END }, { HEAR, END, REST, SAY, FIN } } },
	{ "rests after the server's end",
	  1,
	  false,
	  { { SAY, END, REST, SAY, FIN }, { HEAR, SAY, FIN, END } } },
	{ "client reads late",
	  1,
	  false,
	  { { SAY, REST, HEAR, FIN, END }, { HEAR, SAY_BIG, END, FIN } } },
	{ "server reads late",
	  1,
	  false,
	  { { SAY, SAY_BIG, FIN, END }, { HEAR, REST, END, SAY, FIN } } },
	{ "reads late when all is sent",
	  1,
	  false,
	  { { SAY, FIN, REST, END }, { HEAR, END, SAY_BIG, FIN } } },
	{ "rests without a word", 1, true, { { REST, FIN, END }, { END, FIN } } },
};

/* The states to vanish in: what the one that goes does, and the one that stays. But for the quiet
 * one, both have spoken before. */
static const struct state {
	const char *name;
	bool is_quiet;
	uint8_t gone[SCRIPT_STEPS];
	uint8_t left[SCRIPT_STEPS];
} states[] = {
	{ "before_the_first_byte", true, { PAUSE, VANISH }, { CUT } },
	{ "idle", false, { PAUSE, VANISH }, { CUT } },
	{ "bytes_unacknowledged", false, { PAUSE, VANISH }, { BEREFT, SAY, CUT } },
	{ "fin_unacknowledged", false, { PAUSE, VANISH }, { BEREFT, FIN, CUT } },
	{ "after_its_fin", false, { FIN, PAUSE, VANISH }, { END, CUT } },
	{ "after_its_fin_spoken_to", false, { FIN, PAUSE, VANISH }, { END, BEREFT, SAY, CUT } },
	{ "after_the_others_fin", false, { END, PAUSE, VANISH }, { FIN, CUT } },
	{ "closing", false, { FIN, PAUSE, VANISH }, { END, BEREFT, SAY, FIN } },
	{ "window_shut", false, { FLOODED, VANISH }, { FLOOD, CUT } },
	{ "not_read_from", false, { FLOOD, VANISH }, { OUTLIVED, CUT } },
};

#define CELLS (sizeof(states) / sizeof(states[0]) * ROLES)

static const uint8_t preface[ROLES][SCRIPT_STEPS] = { { SAY, HEAR }, { HEAR, SAY } };

static void append(uint8_t to[SCRIPT_STEPS], const uint8_t more[SCRIPT_STEPS])
{
	size_t at = 0;

	while (to[at] != STEP_DONE)
		at++;
	for (size_t i = 0; at < SCRIPT_STEPS - 1 && more[i] != STEP_DONE; i++)
		to[at++] = more[i];
	to[at] = STEP_DONE;
}

/* The n-th card of the deck of cells, which is shuffled anew for each round. */
static unsigned deal(uint64_t seed, uint64_t n)
{
	unsigned deck[CELLS];
	uint64_t random = pattern_mix(seed, n / CELLS);

	for (unsigned i = 0; i < CELLS; i++)
		deck[i] = i;
	for (unsigned i = CELLS - 1; i > 0; i--) {
		unsigned other = (unsigned)pattern_below(&random, i + 1);
		unsigned kept = deck[i];

		deck[i] = deck[other];
		deck[other] = kept;
	}
	return deck[n % CELLS];
}

static void draw_vanishing(struct script *script, const struct script_settings *settings,
			   uint64_t which)
{
	unsigned cell = deal(settings->seed, which);
	const struct state *state = &states[cell / ROLES];

	script->gone = (enum role)(cell % ROLES);
	script->kind = state->name;
	script->is_quiet = state->is_quiet;
	script->is_lasting = true;
	if (!state->is_quiet)
		memcpy(script->steps, preface, sizeof(preface));
	append(script->steps[script->gone], state->gone);
	append(script->steps[role_other(script->gone)], state->left);
}

static void take_kind(struct script *script, const struct kind *kind)
{
	script->kind = kind->name;
	script->is_quiet = kind->is_quiet;
	memcpy(script->steps, kind->steps, sizeof(kind->steps));
}

static void draw_resting(struct script *script, uint64_t *random)
{
	take_kind(script, &resting[pattern_below(random, sizeof(resting) / sizeof(resting[0]))]);
	script->is_lasting = true;
}

static void draw_lively(struct script *script, uint64_t *random)
{
	uint64_t left = pattern_below(random, 100);
	const struct kind *kind = lively;

	while (left >= kind->weight) {
		left -= kind->weight;
		kind++;
	}
	take_kind(script, kind);
}

static bool is_vanishing(const struct script_settings *settings, uint64_t number)
{
	if (settings->one_in == 0)
		return false;

	uint64_t block = number / settings->one_in;

	return number % settings->one_in ==
	       pattern_mix(settings->seed ^ 1, block) % settings->one_in;
}

void script_draw(struct script *script, const struct script_settings *settings, uint64_t number)
{
	uint64_t random = pattern_mix(settings->seed, number);

	*script = (struct script){ .random = pattern_random(&random), .gone = ROLES };
	if (is_vanishing(settings, number))
		draw_vanishing(script, settings, number / settings->one_in);
	else if (settings->rest_in > 0 && pattern_below(&random, settings->rest_in) == 0)
		draw_resting(script, &random);
	else
		draw_lively(script, &random);
}

static uint64_t random_of(const struct script *script, enum role role, unsigned step)
{
	return pattern_mix(script->random, (uint64_t)step * ROLES + role);
}

/* Each power of two up to the most is as likely as any other. */
static uint64_t draw_words(uint64_t random)
{
	uint64_t most = UINT64_C(8) << pattern_below(&random, 10);

	return NAME_SIZE + pattern_below(&random, most < WORDS_MOST ? most : WORDS_MOST);
}

uint64_t script_message(const struct script *script, enum role role, unsigned step)
{
	switch ((enum step)script->steps[role][step]) {
	case STEP_SAY:
		return draw_words(random_of(script, role, step));
	case STEP_SAY_BIG:
		return BIG_BYTES;
	case STEP_FLOOD:
		return FLOOD_MOST;
	default:
		return 0;
	}
}

uint64_t script_sent_after(const struct script *script, enum role role, unsigned count)
{
	uint64_t sum = 0;

	for (unsigned step = 0; count > 0 && script->steps[role][step] != STEP_DONE; step++) {
		uint64_t size = script_message(script, role, step);

		sum += size;
		if (size > 0)
			count--;
	}
	return sum;
}

int64_t script_wait_us(const struct script *script, const struct script_settings *settings,
		       enum role role, unsigned step)
{
	uint64_t random = random_of(script, role, step);
	uint64_t most_us = MOMENT_US;

	switch ((enum step)script->steps[role][step]) {
	case STEP_PAUSE:
		/* One that vanishes has often been silent for long before. */
		if (script->gone == role && pattern_below(&random, 2) == 0)
			most_us = (uint64_t)settings->dead_after_us / 2;
		return (int64_t)pattern_below(&random, most_us);
	case STEP_BEREFT:
		return (int64_t)pattern_below(&random, (uint64_t)settings->dead_after_us / 2);
	case STEP_REST:
	case STEP_OUTLIVED:
		return settings->dead_after_us * 3 / 2;
	default:
		return 0;
	}
}
