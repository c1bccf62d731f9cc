/*
 * IRC: an empty line, towards either side, once the client is registered.
 *
 * RFC 1459 section 2.3 (lines, and "empty messages are silently ignored"), RFC 2812 section 2.3.1
 * and 5.1 (grammar, replies), IRCv3 message tags and the tls extension (STARTTLS, 670).
 *
 * Invariant: it goes out between lines only; of a line, the command is known, nothing else matters.
 *
 * Surprising: a client that only asks for STARTTLS turns it off: what it sends after that is TLS if
 * the server agrees. And QUIT and ERROR are the end of probes: a line sent to a peer that is
 * closing would be answered with a reset, which can cost the other side the last words. (A
 * server may count empty lines in its flood control all the same: ngircd makes a client wait that
 * has sent a hundred in a few seconds.)
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"
#include "probe_word.h"

/* Server to client, tags and CR LF included: 8191 of tags, 512 of the rest. */
#define LINE_MAX_SIZE 8703

enum irc_at {
	AT_LINE_START,
	AT_TAGS,       /* @time=... */
	AT_AFTER_TAGS, /* spaces, before a prefix or the command */
	AT_PREFIX,     /* :irc.example.org */
	AT_AFTER_PREFIX,
	AT_COMMAND,
	AT_PARAMETERS,
	AT_CR, /* the LF is to come */
};

struct irc_flow {
	struct probe_word command;
	uint16_t line_size;
	uint8_t at; /* enum irc_at */
};

struct irc {
	struct irc_flow flows[SIDES];
	bool is_registered;
	bool is_over;
};
static_assert(sizeof(struct irc) <= PROBE_STATE_MAX, "fits into a probe");

/* Commands that are the end of probes. SERVER begins a link of servers, which may be compressed. */
static const struct irc_end {
	const char *command;
	enum side from;
	bool is_goodbye; /* the lines go on, to a near end */
} ends[] = {
	{ "STARTTLS", CLIENT, false }, { "SERVER", CLIENT, false }, { "670", SERVER, false },
	{ "QUIT", CLIENT, true },      { "ERROR", SERVER, true },
};

static bool is_letter(unsigned char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_command_byte(unsigned char byte)
{
	return is_letter(byte) || (byte >= '0' && byte <= '9');
}

/* Commands are the same in small letters. */
static enum probe_verdict on_command_byte(struct irc_flow *flow, unsigned char byte)
{
	if (!is_command_byte(byte))
		return PROBE_MISFIT;
	flow->at = AT_COMMAND;
	probe_word_add(&flow->command, is_letter(byte) ? byte & 0xdf : byte);
	return PROBE_FITS;
}

/* The command is whole. */
static enum probe_verdict on_command(struct irc *irc, enum side from)
{
	const struct probe_word *command = &irc->flows[from].command;

	for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
		if (ends[i].from != from || !probe_word_is(command, ends[i].command))
			continue;
		irc->is_over = true;
		return ends[i].is_goodbye ? PROBE_FITS : PROBE_MISFIT;
	}
	if (from == SERVER && probe_word_is(command, "001"))
		irc->is_registered = true;
	return PROBE_FITS;
}

/* A line may end after its command, or be empty; a prefix alone is none. */
static enum probe_verdict on_line_end(struct irc *irc, enum side from, unsigned char byte)
{
	struct irc_flow *flow = &irc->flows[from];
	enum probe_verdict verdict = PROBE_FITS;

	if (flow->at == AT_COMMAND)
		verdict = on_command(irc, from);
	else if (flow->at != AT_LINE_START && flow->at != AT_PARAMETERS && flow->at != AT_CR)
		verdict = PROBE_MISFIT;
	flow->at = byte == '\n' ? AT_LINE_START : AT_CR;
	return verdict;
}

static enum probe_verdict on_line_start(struct irc_flow *flow, unsigned char byte)
{
	flow->command = (struct probe_word){ 0 };
	flow->line_size = 1;
	if (byte == '@')
		flow->at = AT_TAGS;
	else if (byte == ':')
		flow->at = AT_PREFIX;
	else
		return on_command_byte(flow, byte);
	return PROBE_FITS;
}

static enum probe_verdict on_line_byte(struct irc *irc, enum side from, unsigned char byte)
{
	struct irc_flow *flow = &irc->flows[from];

	switch ((enum irc_at)flow->at) {
	case AT_LINE_START:
		return on_line_start(flow, byte);
	case AT_TAGS:
	case AT_PREFIX:
		if (byte == ' ')
			flow->at = flow->at == AT_TAGS ? AT_AFTER_TAGS : AT_AFTER_PREFIX;
		return PROBE_FITS;
	case AT_AFTER_TAGS:
		if (byte == ':') {
			flow->at = AT_PREFIX;
			return PROBE_FITS;
		}
		/* fallthrough */
	case AT_AFTER_PREFIX:
		return byte == ' ' ? PROBE_FITS : on_command_byte(flow, byte);
	case AT_COMMAND:
		if (byte != ' ')
			return on_command_byte(flow, byte);
		flow->at = AT_PARAMETERS;
		return on_command(irc, from);
	case AT_PARAMETERS:
		return PROBE_FITS;
	case AT_CR:
		return PROBE_MISFIT; /* some take a lone CR for the end of a line, some do not */
	}
	return PROBE_MISFIT;
}

static enum probe_verdict on_byte(void *state, enum side from, unsigned char byte)
{
	struct irc *irc = state;
	struct irc_flow *flow = &irc->flows[from];

	if (byte == '\0' || (byte == '\r' && flow->at == AT_CR))
		return PROBE_MISFIT;
	if (byte == '\r' || byte == '\n')
		return on_line_end(irc, from, byte);
	if (flow->line_size++ >= LINE_MAX_SIZE)
		return PROBE_MISFIT;
	return on_line_byte(irc, from, byte);
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	return probe_follow_each(on_byte, state, from, bytes, size);
}

static bool can_send(const void *state, enum side target)
{
	const struct irc *irc = state;

	return irc->is_registered && !irc->is_over && irc->flows[other(target)].at == AT_LINE_START;
}

const struct probe_parser probe_irc = {
	.name = "irc",
	.targets = 1u << CLIENT | 1u << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { "\r\n", 2 },
};
