/*
 * A line protocol of the user's own: `send` at the end of a line, and `expect`, where it is set, as
 * the next line that comes back. Follows no document but the configuration: lines end with LF, and
 * each request is a line that is answered by at least one.
 *
 * Invariant: a probe goes out only after a whole line in its direction; one with an answer only
 * when the target has answered every line that it was sent and is at the end of one itself.
 *
 * Surprising: there is no telling what a line means, so that one which the target says of its own
 * accord while an answer is awaited is the end of probes: the answer then passes for data.
 */
#include <finback/engine/probe.h>

#include <assert.h>
#include <string.h>

#include "probe_parser.h"

/* The first two words of a client's line, as far as they are looked at. */
#define HEAD_SIZE 32

struct lines_flow {
	uint32_t unanswered; /* of its lines, by a line of the other side */
	uint8_t words;       /* of this line, that were begun */
	bool is_in_line;
	bool is_in_word;
	bool has_line; /* one was seen whole */
};

struct lines {
	struct lines_flow flows[SIDES];
	uint8_t head_size;
	bool has_expect;
	char head[HEAD_SIZE];
};
static_assert(sizeof(struct lines) <= PROBE_STATE_MAX, "lines fit");

/* After these, as one of the client's first two words, the rest may be no lines. */
static const char *const ending[] = { "STARTTLS", "STLS", "TLS", "SSL", "COMPRESS" };

static bool has_ending_word(const struct lines *lines)
{
	size_t begin = 0;

	for (size_t at = 0; at <= lines->head_size; at++) {
		if (at < lines->head_size && lines->head[at] != ' ')
			continue;
		for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
			if (strlen(ending[i]) == at - begin &&
			    memcmp(lines->head + begin, ending[i], at - begin) == 0)
				return true;
		begin = at + 1;
	}
	return false;
}

static void put_head(struct lines *lines, unsigned char byte)
{
	bool is_lower = byte >= 'a' && byte <= 'z';

	if (lines->head_size < HEAD_SIZE)
		lines->head[lines->head_size++] = (char)(is_lower ? byte - 'a' + 'A' : byte);
}

/* Of the client's lines: the first two words, with one space between them. */
static void note_head(struct lines *lines, unsigned char byte)
{
	struct lines_flow *flow = &lines->flows[CLIENT];
	bool is_space = byte == ' ' || byte == '\t' || byte == '\r';

	if (!is_space && !flow->is_in_word) {
		if (flow->words == 1)
			put_head(lines, ' ');
		if (flow->words <= 2)
			flow->words++;
	}
	flow->is_in_word = !is_space;
	if (!is_space && flow->words <= 2)
		put_head(lines, byte);
}

static enum probe_verdict end_line(struct lines *lines, enum side from)
{
	struct lines_flow *flow = &lines->flows[from];
	struct lines_flow *answered = &lines->flows[other(from)];
	bool is_over;

	flow->is_in_line = flow->is_in_word = false;
	flow->words = 0;
	flow->has_line = true;
	if (flow->unanswered < UINT32_MAX)
		flow->unanswered++;
	if (answered->unanswered > 0)
		answered->unanswered--;
	if (from != CLIENT)
		return PROBE_FITS;
	is_over = has_ending_word(lines);
	lines->head_size = 0;
	return is_over ? PROBE_MISFIT : PROBE_FITS;
}

/* NUL is in no line, and the byte that TLS begins with begins none. */
static enum probe_verdict on_byte(void *state, enum side from, unsigned char byte)
{
	struct lines *lines = state;
	struct lines_flow *flow = &lines->flows[from];

	if (byte == '\0' || (byte == 0x16 && !flow->is_in_line))
		return PROBE_MISFIT;
	if (byte == '\n')
		return end_line(lines, from);
	flow->is_in_line = true;
	if (from == CLIENT)
		note_head(lines, byte);
	return PROBE_FITS;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	return probe_follow_each(on_byte, state, from, bytes, size);
}

static void init(void *state, const struct probe_settings *settings)
{
	struct lines *lines = state;

	lines->has_expect = settings->expect_size > 0;
}

static bool can_send(const void *state, enum side target)
{
	const struct lines *lines = state;
	const struct lines_flow *there = &lines->flows[other(target)];
	const struct lines_flow *back = &lines->flows[target];

	if (!there->has_line || there->is_in_line)
		return false;
	return !lines->has_expect || (!back->is_in_line && there->unanswered == 0);
}

/* The target was between lines when the probe went out: what it says next is the answer. */
static bool is_answer(const void *state, unsigned char byte)
{
	(void)state;
	(void)byte;
	return true;
}

const struct probe_parser probe_lines = {
	.name = "lines",
	.targets = 1U << CLIENT | 1U << SERVER,
	.is_configured = true,
	.init = init,
	.follow = follow,
	.can_send = can_send,
	.is_answer = is_answer,
};
