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
	return parsers[protocol]->is_configured || parsers[protocol]->answer.size > 0;
}

const char *probe_mode_name(enum probe_mode mode)
{
	static const char *const names[] = {
		[PROBE_WATCHING] = "watching",
		[PROBE_AWAITING] = "awaiting",
		[PROBE_OFF] = "off",
	};
	static_assert(sizeof names / sizeof *names == PROBE_MODES, "a name for each mode");

	return names[mode];
}

struct probe_bytes probe_message_of(const struct probe_settings *settings)
{
	const struct probe_parser *parser = parsers[settings->protocol];

	if (parser->is_configured)
		return (struct probe_bytes){ settings->send, settings->send_size };
	return parser->message;
}

struct probe_bytes probe_answer_of(const struct probe_settings *settings)
{
	const struct probe_parser *parser = parsers[settings->protocol];

	if (parser->is_configured)
		return (struct probe_bytes){ settings->expect, settings->expect_size };
	return parser->answer;
}

void probe_init(struct probe *probe, const struct probe_settings *settings, enum side target)
{
	const struct probe_parser *parser = parsers[settings->protocol];

	*probe = (struct probe){
		.protocol = (uint8_t)settings->protocol,
		.target = (uint8_t)target,
		.mode = PROBE_WATCHING,
	};
	if (parser->init)
		parser->init(probe->state, settings);
}

/* What is being passed on: bytes in one piece, which may grow at the front by what was held. */
struct passing {
	unsigned char *at;
	size_t size;
	size_t followed; /* of them */
	size_t swallowed;
};

/* Puts what is held before the bytes. */
static void release(struct probe *probe, struct passing *passing)
{
	passing->at -= probe->held_size;
	memcpy(passing->at, probe->held, probe->held_size);
	passing->size += probe->held_size;
	probe->held_size = 0;
}

/* Takes the next `size` bytes out. */
static void cut(struct passing *passing, size_t size)
{
	unsigned char *next = passing->at + passing->followed;

	passing->size -= size;
	memmove(next, next + size, passing->size - passing->followed);
}

/* No byte of the other side matters any more, nor is an answer awaited after this one. */
static void give_up(struct probe *probe, enum side from)
{
	if (probe->mode == PROBE_AWAITING && from != (enum side)probe->target)
		probe->is_last = true;
	else
		probe->mode = PROBE_OFF;
}

/* Whether the next byte stands in the answer's place. */
static bool is_at_answer(const struct probe *probe, enum side from, unsigned char byte)
{
	return probe->mode == PROBE_AWAITING && from == (enum side)probe->target &&
	       (probe->held_size > 0 || parser_of(probe)->is_answer(probe->state, byte));
}

/* There: compares, holds, swallows. Returns whether it is still what was expected. */
static bool match(struct probe *probe, const struct probe_settings *settings,
		  struct passing *passing)
{
	struct probe_bytes answer = probe_answer_of(settings);
	size_t left = answer.size - probe->held_size;
	size_t there = passing->size - passing->followed;
	size_t size = there < left ? there : left;
	const unsigned char *next = passing->at + passing->followed;

	assert(probe->held_size < answer.size);
	if (memcmp(next, (const unsigned char *)answer.at + probe->held_size, size) != 0)
		return false;
	memcpy(probe->held + probe->held_size, next, size);
	probe->held_size = (uint8_t)(probe->held_size + size);
	cut(passing, size);
	if (probe->held_size == answer.size) {
		passing->swallowed += answer.size;
		probe->held_size = 0;
		probe->mode = probe->is_last ? PROBE_OFF : PROBE_WATCHING;
	}
	return true;
}

/* Goes on by one byte at least, or takes an answer out, of which there is one. Returns whether it
 * fits. */
static bool follow(struct probe *probe, const struct probe_settings *settings, enum side from,
		   struct passing *passing)
{
	const unsigned char *next = passing->at + passing->followed;
	size_t size;

	if (is_at_answer(probe, from, *next))
		return match(probe, settings, passing);
	size = parser_of(probe)->follow(probe->state, from, next,
					passing->size - passing->followed);
	passing->followed += size;
	return size > 0;
}

static bool is_followed(const struct probe *probe, enum side from)
{
	return probe->mode != PROBE_OFF && !(probe->is_last && from != (enum side)probe->target);
}

size_t probe_take(struct probe *probe, const struct probe_settings *settings, enum side from,
		  unsigned char *bytes, size_t size, unsigned char **ret_at, size_t *ret_swallowed)
{
	struct passing passing = { .at = bytes, .size = size };

	while (passing.followed < passing.size && is_followed(probe, from))
		if (!follow(probe, settings, from, &passing))
			give_up(probe, from);
	/* What was held when it came is older than all that is here. */
	if (probe->mode == PROBE_OFF && probe->held_size > 0)
		release(probe, &passing);
	*ret_at = passing.at;
	*ret_swallowed = passing.swallowed;
	return passing.size;
}

bool probe_can_send(const struct probe *probe)
{
	return probe->mode == PROBE_WATCHING &&
	       parser_of(probe)->can_send(probe->state, (enum side)probe->target);
}

size_t probe_send(struct probe *probe, const struct probe_settings *settings,
		  unsigned char message[PROBE_MESSAGE_MAX])
{
	struct probe_bytes bytes = probe_message_of(settings);

	assert(probe_can_send(probe) && bytes.size <= PROBE_MESSAGE_MAX);
	memcpy(message, bytes.at, bytes.size);
	if (probe_answer_of(settings).size > 0)
		probe->mode = PROBE_AWAITING;
	return bytes.size;
}

void probe_cancel(struct probe *probe)
{
	assert(probe->mode != PROBE_OFF && probe->held_size == 0 && !probe->is_last);
	probe->mode = PROBE_WATCHING;
}

size_t probe_end(struct probe *probe, enum side from)
{
	size_t held = 0;

	give_up(probe, from);
	if (probe->mode == PROBE_OFF) {
		held = probe->held_size;
		probe->held_size = 0; /* and passed on once */
	}
	return held;
}
