/*
 * Probes: what is common to all protocols.
 *
 * Invariant: of what a peer sent, every byte is passed on, once and in order; what is taken out is
 * an answer to our own probe, at its place, byte for byte as expected.
 *
 * Surprising: an answer may come in pieces. Those are held until it is clear that they are one, and
 * are put before the next bytes where it turns out that they are not: hence the room before them.
 */
#include <finback/engine/probe.h>

#include <assert.h>
#include <string.h>

#include "probe_parser.h"

static const struct probe_parser *const parsers[] = {
	[PROBE_REDIS] = &probe_redis,
	[PROBE_MEMCACHED] = &probe_memcached,
	[PROBE_TELNET] = &probe_telnet,
	[PROBE_IRC] = &probe_irc,
	[PROBE_XMPP] = &probe_xmpp,
	[PROBE_STOMP] = &probe_stomp,
	[PROBE_AMQP] = &probe_amqp,
	[PROBE_MQTT] = &probe_mqtt,
	[PROBE_POSTGRESQL] = &probe_postgresql,
	[PROBE_MYSQL] = &probe_mysql,
	[PROBE_LINES] = &probe_lines,
};
static_assert(sizeof parsers == PROBE_PROTOCOLS * sizeof(void *), "a parser for each protocol");

static const struct probe_parser *parser_of(const struct probe *probe)
{
	return parsers[probe->protocol];
}

const char *probe_protocol_name(enum probe_protocol protocol)
{
	return parsers[protocol]->name;
}

bool probe_protocol_goes_to(enum probe_protocol protocol, enum side target)
{
	return parsers[protocol]->targets >> target & 1;
}

bool probe_protocol_answers(enum probe_protocol protocol)
{
	return parsers[protocol]->has_answer;
}

void probe_init(struct probe *probe, const struct probe_settings *settings, enum side target)
{
	*probe = (struct probe){
		.protocol = (uint8_t)settings->protocol,
		.target = (uint8_t)target,
		.mode = PROBE_WATCHING,
	};
}

/* What is being passed on: bytes in one piece, which may grow at the front by what was held. */
struct passing {
	unsigned char *at;
	size_t size;
};

/* Puts what is held before the bytes. */
static void release(struct probe *probe, struct passing *passing)
{
	passing->at -= probe->held_size;
	memcpy(passing->at, probe->held, probe->held_size);
	passing->size += probe->held_size;
	probe->held_size = 0;
}

/* Takes `size` bytes at `offset` out. */
static void cut(struct passing *passing, size_t offset, size_t size)
{
	memmove(passing->at + offset, passing->at + offset + size, passing->size - offset - size);
	passing->size -= size;
}

/* At the answer's place: compares, holds, swallows. Returns whether it is still what was expected;
 * *done is how much of `passing`, from `offset` on, it took out. */
static bool match(struct probe *probe, const struct probe_settings *settings,
		  struct passing *passing, size_t offset, size_t *ret_swallowed)
{
	unsigned char answer[PROBE_MESSAGE_MAX];
	size_t expected = parser_of(probe)->answer(probe->state, settings, answer);
	size_t left = expected - probe->held_size;
	size_t there = passing->size - offset;
	size_t size = there < left ? there : left;

	assert(probe->held_size < expected);
	if (memcmp(passing->at + offset, answer + probe->held_size, size) != 0)
		return false;
	memcpy(probe->held + probe->held_size, passing->at + offset, size);
	probe->held_size = (uint8_t)(probe->held_size + size);
	cut(passing, offset, size);
	if (probe->held_size == expected) {
		*ret_swallowed += expected;
		probe->held_size = 0;
		probe->mode = PROBE_WATCHING;
		parser_of(probe)->on_answered(probe->state);
	}
	return true;
}

static void follow(struct probe *probe, const struct probe_settings *settings, enum side from,
		   struct passing *passing, size_t *ret_swallowed)
{
	size_t offset = 0;

	/* Bounded: each turn follows a byte at least, or takes an answer out, of which there is
	 * one. */
	while (offset < passing->size && probe->mode != PROBE_OFF) {
		size_t size = passing->size - offset;
		bool is_awaiting = probe->mode == PROBE_AWAITING;
		enum probe_verdict verdict = PROBE_ANSWER;

		if (probe->held_size > 0 && from == (enum side)probe->target)
			size = 0; /* in the middle of the answer */
		else
			verdict =
				parser_of(probe)->follow(probe->state, settings, from,
							 passing->at + offset, &size, is_awaiting);
		offset += size;
		if (verdict == PROBE_ANSWER && offset < passing->size &&
		    !match(probe, settings, passing, offset, ret_swallowed))
			verdict = PROBE_MISFIT;
		if (verdict == PROBE_MISFIT)
			probe->mode = PROBE_OFF;
	}
}

size_t probe_take(struct probe *probe, const struct probe_settings *settings, enum side from,
		  unsigned char *bytes, size_t size, unsigned char **ret_at, size_t *ret_swallowed)
{
	struct passing passing = { bytes, size };

	*ret_swallowed = 0;
	if (probe->mode != PROBE_OFF)
		follow(probe, settings, from, &passing, ret_swallowed);
	/* What was held is older than all that came now: it is let go of only where nothing was
	 * passed on before it. */
	if (probe->mode == PROBE_OFF && probe->held_size > 0 && from == probe->target)
		release(probe, &passing);
	*ret_at = passing.at;
	return passing.size;
}

bool probe_can_send(const struct probe *probe, const struct probe_settings *settings)
{
	(void)settings;
	return probe->mode == PROBE_WATCHING && !probe->is_closed &&
	       parser_of(probe)->can_send(probe->state, (enum side)probe->target);
}

size_t probe_send(struct probe *probe, const struct probe_settings *settings,
		  unsigned char message[PROBE_MESSAGE_MAX])
{
	const struct probe_parser *parser = parser_of(probe);
	unsigned char answer[PROBE_MESSAGE_MAX];
	size_t size;

	assert(probe_can_send(probe, settings));
	size = parser->message(probe->state, settings, (enum side)probe->target, message);
	if (parser->has_answer && parser->answer(probe->state, settings, answer) > 0)
		probe->mode = PROBE_AWAITING;
	return size;
}

size_t probe_end(struct probe *probe, enum side from)
{
	size_t held = probe->held_size;

	probe->is_closed = true;
	/* The other way: an answer that is awaited is still ours to take out. */
	if (from != (enum side)probe->target)
		return 0;
	probe->mode = PROBE_OFF;
	probe->held_size = 0; /* and passed on once */
	return held;
}
