/*
 * STOMP: a line feed between frames, towards either side, once the server said CONNECTED.
 *
 * STOMP 1.1 and 1.2: "STOMP Frames", "Body", "Heart-beating", "Augmented BNF". The grammar of 1.0
 * does not say that an end of line may stand between frames: it is not followed.
 *
 * Invariant: it goes out after a frame's NUL only, and whether a NUL is the frame's is known from
 * content-length, where there is one.
 *
 * Surprising: DISCONNECT and ERROR are the end of probes: what comes after them meets a closed
 * socket, and is answered with a reset, which can cost the other side the last frame.
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"
#include "probe_word.h"

#define NONE UINT64_MAX

enum stomp_at {
	AT_BETWEEN,    /* frames: ends of line, or the next command */
	AT_BETWEEN_CR, /* and a CR, whose LF is to come */
	AT_COMMAND,
	AT_COMMAND_CR,
	AT_HEADER_START,
	AT_HEADER_START_CR,
	AT_HEADER_NAME,
	AT_HEADER_VALUE,
	AT_HEADER_VALUE_CR,
	AT_BODY,
};

enum stomp_header {
	HEADER_OTHER,
	HEADER_LENGTH,
	HEADER_VERSION,
};

struct stomp_flow {
	uint64_t left;          /* of a body whose size was told; NONE: up to the NUL */
	struct probe_word word; /* command, header's name, header's value */
	uint8_t at;             /* enum stomp_at */
	uint8_t header;         /* enum stomp_header */
	bool has_begun;
	bool is_connected; /* the frame is CONNECTED */
	bool has_version;  /* and of a version whose grammar is known */
};

struct stomp {
	struct stomp_flow flows[SIDES];
	bool is_connected;
	bool is_over;
};
static_assert(sizeof(struct stomp) <= PROBE_STATE_MAX, "fits into a probe");

enum stomp_role {
	ROLE_OPENS, /* first of its flow, and never later */
	ROLE_GOES_ON,
	ROLE_ENDS, /* nothing but its answer comes after it */
	ROLE_REFUSES,
};

static const struct stomp_command {
	const char *name;
	enum side from;
	enum stomp_role role;
} commands[] = {
	{ "CONNECT", CLIENT, ROLE_OPENS },       { "STOMP", CLIENT, ROLE_OPENS },
	{ "SEND", CLIENT, ROLE_GOES_ON },        { "SUBSCRIBE", CLIENT, ROLE_GOES_ON },
	{ "UNSUBSCRIBE", CLIENT, ROLE_GOES_ON }, { "BEGIN", CLIENT, ROLE_GOES_ON },
	{ "COMMIT", CLIENT, ROLE_GOES_ON },      { "ABORT", CLIENT, ROLE_GOES_ON },
	{ "ACK", CLIENT, ROLE_GOES_ON },         { "NACK", CLIENT, ROLE_GOES_ON },
	{ "DISCONNECT", CLIENT, ROLE_ENDS },     { "CONNECTED", SERVER, ROLE_OPENS },
	{ "MESSAGE", SERVER, ROLE_GOES_ON },     { "RECEIPT", SERVER, ROLE_GOES_ON },
	{ "ERROR", SERVER, ROLE_REFUSES },
};

/* NULL where it is none of this side's. */
static const struct stomp_command *command_of(const struct probe_word *word, enum side from)
{
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
		if (commands[i].from == from && probe_word_is(word, commands[i].name))
			return &commands[i];
	return NULL;
}

static enum probe_verdict move(struct stomp_flow *flow, enum stomp_at at)
{
	flow->at = (uint8_t)at;
	return PROBE_FITS;
}

/* An end of line is LF or CR LF. A CR alone may be a part of a value in 1.1 and is none in 1.2. */
static enum probe_verdict on_cr(struct stomp_flow *flow, unsigned char byte, enum stomp_at next)
{
	flow->at = (uint8_t)next;
	return byte == '\n' ? PROBE_FITS : PROBE_MISFIT;
}

/* No command is too long for a word, or has other bytes: its end is not waited for. */
static enum probe_verdict on_command_byte(struct stomp_flow *flow, unsigned char byte)
{
	probe_word_add(&flow->word, byte);
	return byte >= 'A' && byte <= 'Z' && flow->word.size <= PROBE_WORD_MAX ? PROBE_FITS
									       : PROBE_MISFIT;
}

static enum probe_verdict on_between(struct stomp_flow *flow, unsigned char byte)
{
	if (byte == '\n')
		return PROBE_FITS;
	if (byte == '\r')
		return move(flow, AT_BETWEEN_CR);
	flow->word = (struct probe_word){ 0 };
	flow->left = NONE;
	flow->at = AT_COMMAND;
	return on_command_byte(flow, byte);
}

/* The command is whole. The first of a flow opens the session, or refuses to. */
static enum probe_verdict on_command_end(struct stomp *stomp, struct stomp_flow *flow,
					 enum side from)
{
	const struct stomp_command *command = command_of(&flow->word, from);

	if (!command ||
	    (command->role != ROLE_REFUSES && (command->role == ROLE_OPENS) == flow->has_begun))
		return PROBE_MISFIT;
	if (command->role == ROLE_ENDS || command->role == ROLE_REFUSES)
		stomp->is_over = true;
	flow->is_connected = command->role == ROLE_OPENS && from == SERVER;
	flow->has_begun = true;
	return PROBE_FITS;
}

static enum probe_verdict on_command(struct stomp *stomp, enum side from, unsigned char byte)
{
	struct stomp_flow *flow = &stomp->flows[from];

	if (byte == '\r' || byte == '\n') {
		flow->at = byte == '\r' ? AT_COMMAND_CR : AT_HEADER_START;
		return on_command_end(stomp, flow, from);
	}
	return on_command_byte(flow, byte);
}

static enum probe_verdict on_header_start(struct stomp_flow *flow, unsigned char byte)
{
	if (byte == '\r')
		return move(flow, AT_HEADER_START_CR);
	if (byte == '\n')
		return move(flow, AT_BODY);
	if (byte == ':' || byte == '\0')
		return PROBE_MISFIT;
	flow->word = (struct probe_word){ 0 };
	probe_word_add(&flow->word, byte);
	return move(flow, AT_HEADER_NAME);
}

static enum probe_verdict on_header_name(struct stomp_flow *flow, unsigned char byte)
{
	if (byte == '\r' || byte == '\n' || byte == '\0')
		return PROBE_MISFIT;
	if (byte != ':') {
		probe_word_add(&flow->word, byte);
		return PROBE_FITS;
	}
	flow->header = HEADER_OTHER;
	if (probe_word_is(&flow->word, "content-length"))
		flow->header = HEADER_LENGTH;
	else if (probe_word_is(&flow->word, "version"))
		flow->header = HEADER_VERSION;
	flow->word = (struct probe_word){ 0 };
	return move(flow, AT_HEADER_VALUE);
}

/* Which of two lengths counts is not the same everywhere, so there must be one. */
static enum probe_verdict on_length(struct stomp_flow *flow)
{
	uint64_t length = 0;

	if (flow->left != NONE || flow->word.size == 0 || flow->word.size > PROBE_WORD_MAX)
		return PROBE_MISFIT;
	for (unsigned i = 0; i < flow->word.size; i++) {
		if (flow->word.text[i] < '0' || flow->word.text[i] > '9')
			return PROBE_MISFIT;
		length = length * 10 + (unsigned char)(flow->word.text[i] - '0');
	}
	flow->left = length;
	return PROBE_FITS;
}

static enum probe_verdict on_header_value(struct stomp_flow *flow, unsigned char byte)
{
	if (byte == '\0')
		return PROBE_MISFIT;
	if (byte != '\r' && byte != '\n') {
		probe_word_add(&flow->word, byte);
		return PROBE_FITS;
	}
	flow->at = byte == '\r' ? AT_HEADER_VALUE_CR : AT_HEADER_START;
	if (flow->header == HEADER_LENGTH)
		return on_length(flow);
	if (flow->header == HEADER_VERSION &&
	    (probe_word_is(&flow->word, "1.1") || probe_word_is(&flow->word, "1.2")))
		flow->has_version = true;
	return PROBE_FITS;
}

/* The NUL that ends a frame. */
static enum probe_verdict on_frame_end(struct stomp *stomp, struct stomp_flow *flow)
{
	flow->at = AT_BETWEEN;
	if (!flow->is_connected)
		return PROBE_FITS;
	flow->is_connected = false;
	stomp->is_connected = true;
	return flow->has_version ? PROBE_FITS : PROBE_MISFIT;
}

/* Without a size, or after all of it. */
static enum probe_verdict on_body(struct stomp *stomp, struct stomp_flow *flow, unsigned char byte)
{
	if (byte == '\0')
		return on_frame_end(stomp, flow);
	return flow->left == NONE ? PROBE_FITS : PROBE_MISFIT;
}

static enum probe_verdict on_byte(struct stomp *stomp, enum side from, unsigned char byte)
{
	struct stomp_flow *flow = &stomp->flows[from];

	switch ((enum stomp_at)flow->at) {
	case AT_BETWEEN:
		return on_between(flow, byte);
	case AT_BETWEEN_CR:
		return on_cr(flow, byte, AT_BETWEEN);
	case AT_COMMAND:
		return on_command(stomp, from, byte);
	case AT_COMMAND_CR:
	case AT_HEADER_VALUE_CR:
		return on_cr(flow, byte, AT_HEADER_START);
	case AT_HEADER_START:
		return on_header_start(flow, byte);
	case AT_HEADER_START_CR:
		return on_cr(flow, byte, AT_BODY);
	case AT_HEADER_NAME:
		return on_header_name(flow, byte);
	case AT_HEADER_VALUE:
		return on_header_value(flow, byte);
	case AT_BODY:
		return on_body(stomp, flow, byte);
	}
	return PROBE_MISFIT;
}

static bool is_in_sized_body(const struct stomp_flow *flow)
{
	return flow->at == AT_BODY && flow->left != NONE && flow->left > 0;
}

/* Passes over as many of the bytes as there are of the body. */
static size_t skip_body(struct stomp_flow *flow, size_t size)
{
	size_t skipped = size < flow->left ? size : (size_t)flow->left;

	flow->left -= skipped;
	return skipped;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct stomp *stomp = state;
	struct stomp_flow *flow = &stomp->flows[from];
	size_t at = 0;

	while (at < size) {
		if (is_in_sized_body(flow))
			at += skip_body(flow, size - at);
		else if (on_byte(stomp, from, bytes[at++]) != PROBE_FITS)
			return 0;
	}
	return size;
}

static bool can_send(const void *state, enum side target)
{
	const struct stomp *stomp = state;

	return stomp->is_connected && !stomp->is_over &&
	       stomp->flows[other(target)].at == AT_BETWEEN;
}

const struct probe_parser probe_stomp = {
	.name = "stomp",
	.targets = 1u << CLIENT | 1u << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { "\n", 1 },
};
