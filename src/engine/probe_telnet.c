/*
 * Telnet: IAC NOP, towards either side.
 *
 * RFC 854 (commands, the network virtual terminal), RFC 855 (subnegotiation), RFC 856 (binary),
 * RFC 885 (end of record), RFC 2355 (TN3270E), RFC 2946 (encryption), and the COMPRESS options of
 * MUD servers, which compress all that follows.
 *
 * Invariant: a NOP stands where a command may stand: not in a command, not in a subnegotiation, not
 * between CR and what belongs to it, and not in a record where there are records.
 *
 * Surprising: nothing goes to a peer that has never sent a command. It may be one that takes all
 * bytes for data.
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"

enum {
	BINARY = 0,
	END_OF_RECORD = 25,
	ENCRYPT = 38,
	TN3270E = 40,
	START_TLS = 46,
	COMPRESS = 85,
	COMPRESS2 = 86,
	COMPRESS3 = 87,
};

enum {
	EOR = 239,
	SE = 240,
	NOP = 241,
	SB = 250,
	WILL = 251,
	WONT = 252,
	DO = 253,
	DONT = 254,
	IAC = 255,
	/* Of ENCRYPT: what comes before all that begins an encryption. */
	SUPPORT = 1,
	/* The least that is a command: end of file, RFC 1184. */
	FIRST_COMMAND = 236,
};

static const unsigned char nop[] = { IAC, NOP };

/* The options that matter here; each has the bit of its place. */
static const struct telnet_option {
	uint8_t number;
	bool is_opaque; /* once agreed upon, the bytes are no telnet any more */
} options[] = {
	{ BINARY, false },  { END_OF_RECORD, false }, { TN3270E, false },  { START_TLS, true },
	{ COMPRESS, true }, { COMPRESS2, true },      { COMPRESS3, true },
};
static_assert(sizeof options / sizeof *options <= 8, "a bit for each option");

enum telnet_at {
	AT_START,         /* nothing came yet */
	AT_RECORD_LAYER,  /* 16: is it the beginning of TLS? */
	AT_DATA,          /* between commands */
	AT_CR,            /* and after a CR, whose LF or NUL is to come */
	AT_COMMAND,       /* after IAC */
	AT_OPTION,        /* after WILL, WONT, DO or DONT */
	AT_SUBOPTION,     /* after SB */
	AT_ENCRYPT,       /* after SB ENCRYPT */
	AT_PARAMETER,     /* in a subnegotiation */
	AT_PARAMETER_IAC, /* after IAC in a subnegotiation */
};

struct telnet_flow {
	uint8_t at;   /* enum telnet_at */
	uint8_t verb; /* AT_OPTION: WILL, WONT, DO or DONT */
	uint8_t will; /* options, by bit: what this side said it would do */
	uint8_t does; /* and what it said that the other should do */
	bool has_spoken;
	bool is_in_record; /* there was data since the last end of record */
};

struct telnet {
	struct telnet_flow flows[SIDES];
};
static_assert(sizeof(struct telnet) <= PROBE_STATE_MAX, "fits into a probe");

/* The option's bit, or 0. */
static uint8_t bit_of(unsigned char number)
{
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].number == number)
			return (uint8_t)(1u << i);
	return 0;
}

static bool is_opaque(unsigned char number)
{
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].number == number)
			return options[i].is_opaque;
	return false;
}

/* Whether `side` does what the option says: it said WILL, and the other said DO. */
static bool is_agreed(const struct telnet *telnet, enum side side, unsigned char number)
{
	return telnet->flows[side].will & telnet->flows[other(side)].does & bit_of(number);
}

static void note(struct telnet_flow *flow, unsigned char number)
{
	uint8_t bit = bit_of(number);

	switch (flow->verb) {
	case WILL:
		flow->will |= bit;
		break;
	case WONT:
		flow->will &= (uint8_t)~bit;
		break;
	case DO:
		flow->does |= bit;
		break;
	default:
		flow->does &= (uint8_t)~bit;
		break;
	}
}

static enum probe_verdict on_option(struct telnet *telnet, struct telnet_flow *flow,
				    unsigned char number)
{
	note(flow, number);
	flow->at = AT_DATA;
	if (is_opaque(number) &&
	    (is_agreed(telnet, CLIENT, number) || is_agreed(telnet, SERVER, number)))
		return PROBE_MISFIT;
	return PROBE_FITS;
}

/* The byte after IAC. */
static enum probe_verdict on_command(struct telnet_flow *flow, unsigned char byte)
{
	if (byte < FIRST_COMMAND || byte == SE)
		return PROBE_MISFIT;
	flow->at = AT_DATA;
	if (byte == IAC) {
		flow->is_in_record = true;
		return PROBE_FITS;
	}
	flow->has_spoken = true;
	if (byte == EOR) {
		flow->is_in_record = false;
	} else if (byte == SB) {
		flow->at = AT_SUBOPTION;
	} else if (byte >= WILL) {
		flow->verb = byte;
		flow->at = AT_OPTION;
	}
	return PROBE_FITS;
}

static void on_data(struct telnet_flow *flow, unsigned char byte)
{
	if (byte == IAC) {
		flow->at = AT_COMMAND;
		return;
	}
	flow->at = byte == '\r' ? AT_CR : AT_DATA;
	flow->is_in_record = true;
}

/* ENCRYPT is often agreed upon and then, for want of a key, not used: telnet of Debian does so. */
static enum probe_verdict on_suboption(struct telnet_flow *flow, unsigned char number)
{
	flow->at = number == ENCRYPT ? AT_ENCRYPT : AT_PARAMETER;
	return is_opaque(number) || number == IAC ? PROBE_MISFIT : PROBE_FITS;
}

/* An IAC in a subnegotiation is doubled, or its end. */
static enum probe_verdict on_parameter_iac(struct telnet_flow *flow, unsigned char byte)
{
	flow->at = byte == SE ? AT_DATA : AT_PARAMETER;
	return byte == SE || byte == IAC ? PROBE_FITS : PROBE_MISFIT;
}

static enum probe_verdict on_byte(void *state, enum side from, unsigned char byte)
{
	struct telnet *telnet = state;
	struct telnet_flow *flow = &telnet->flows[from];

	switch ((enum telnet_at)flow->at) {
	case AT_START:
		on_data(flow, byte);
		if (byte == 0x16)
			flow->at = AT_RECORD_LAYER;
		return PROBE_FITS;
	case AT_RECORD_LAYER:
		on_data(flow, byte);
		return byte == 0x03 ? PROBE_MISFIT : PROBE_FITS;
	case AT_DATA:
	case AT_CR:
		on_data(flow, byte);
		return PROBE_FITS;
	case AT_COMMAND:
		return on_command(flow, byte);
	case AT_OPTION:
		return on_option(telnet, flow, byte);
	case AT_SUBOPTION:
		return on_suboption(flow, byte);
	case AT_ENCRYPT:
		flow->at = AT_PARAMETER;
		return byte == SUPPORT ? PROBE_FITS : PROBE_MISFIT;
	case AT_PARAMETER:
		if (byte == IAC)
			flow->at = AT_PARAMETER_IAC;
		return PROBE_FITS;
	case AT_PARAMETER_IAC:
		return on_parameter_iac(flow, byte);
	}
	return PROBE_MISFIT;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	return probe_follow_each(on_byte, state, from, bytes, size);
}

/* TN3270E has records both ways, whoever began it. */
static bool has_records(const struct telnet *telnet, enum side from)
{
	return is_agreed(telnet, from, END_OF_RECORD) || is_agreed(telnet, from, TN3270E) ||
	       is_agreed(telnet, other(from), TN3270E);
}

static bool can_send(const void *state, enum side target)
{
	const struct telnet *telnet = state;
	enum side from = other(target);
	const struct telnet_flow *flow = &telnet->flows[from];

	if (!telnet->flows[target].has_spoken)
		return false;
	if (has_records(telnet, from) && flow->is_in_record)
		return false;
	/* In binary, a CR is a byte like any other. */
	return flow->at == AT_START || flow->at == AT_DATA ||
	       (flow->at == AT_CR && is_agreed(telnet, from, BINARY));
}

const struct probe_parser probe_telnet = {
	.name = "telnet",
	.targets = 1u << CLIENT | 1u << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { nop, sizeof nop },
};
