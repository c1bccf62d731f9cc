/*
 * Probes in PostgreSQL: a Flush message towards the server. Follows the chapter "Frontend/Backend
 * Protocol", version 3.0 and 3.2, of PostgreSQL's documentation: message flow, message formats.
 *
 * Invariant: after the first ReadyForQuery, a Flush between two messages of the client changes
 * nothing, in a transaction, a failed one, a pipeline or COPY: at most, what the server holds
 * back comes a little sooner.
 *
 * Surprising: the first messages of a connection have no type, and the answer to a request for
 * encryption is one bare byte; whatever comes after a yes is not ours to read.
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"

#define REQUEST_SSL    80877103U
#define REQUEST_GSSENC 80877104U
#define PROTOCOL_3_0   0x30000U
#define PROTOCOL_3_2   0x30002U

#define STARTUP_HEAD 8U  /* its size and what it asks for */
#define READY        'Z' /* ReadyForQuery */

/* The server's own limits. */
#define STARTUP_MAX 10000U
#define MESSAGE_MAX 0x3fffffffU

/* A session that asks for it speaks another protocol after login. */
static const char replication[] = "replication";

static const unsigned char flush[] = { 'H', 0, 0, 0, 4 };

/* The types that each side may send, in the login and after it. */
static const char *const types[SIDES][2] = {
	[CLIENT] = { "p", "BCDEFHPQScdf" },
	[SERVER] = { "EKNRSZv", "123ACDEGHINSTVZcdnst" },
};
/* Those of them that have no body. */
static const char *const bare[SIDES] = {
	[CLIENT] = "HSc",
	[SERVER] = "123Incs",
};

enum place {
	AT_TYPE, /* between messages */
	AT_LENGTH,
	AT_BODY
};

/* How one byte of a startup packet's parameters is read: names and values by turns, each ended by
 * a zero byte, an empty name ends it all. */
struct parameters {
	uint8_t at; /* in the name, as long as it agrees with replication[] */
	bool is_value;
	bool differs;
	bool is_over;
};

struct messages {
	uint8_t place; /* enum place */
	uint8_t type;
	uint8_t taken;  /* of what has a fixed size: startup's head, length */
	uint32_t value; /* the number being read */
	uint32_t left;
};

struct postgresql {
	struct messages from[SIDES];
	struct parameters parameters;
	uint8_t asked; /* bits, 1: encryption by TLS, 2: by GSSAPI; each once */
	bool is_asking;
	bool is_started; /* the startup packet has come whole */
	bool is_ready;   /* ReadyForQuery came */
};
static_assert(sizeof(struct postgresql) <= PROBE_STATE_MAX, "fits");

/* Reads a number of four bytes. Returns whether it is complete. */
static bool take_number(struct messages *messages, unsigned char byte)
{
	messages->value = messages->value << 8 | byte;
	messages->taken++;
	return messages->taken % 4 == 0;
}

static bool ask(struct postgresql *pg, uint8_t which)
{
	struct messages *messages = &pg->from[CLIENT];

	if (messages->left != 0 || (pg->asked & which))
		return false;
	*messages = (struct messages){ 0 };
	pg->asked |= which;
	pg->is_asking = true;
	return true;
}

static bool take_startup(struct postgresql *pg, unsigned char byte)
{
	struct messages *messages = &pg->from[CLIENT];

	if (pg->is_asking)
		return false;
	if (!take_number(messages, byte))
		return true;
	if (messages->taken == 4) {
		if (messages->value < STARTUP_HEAD || messages->value > STARTUP_MAX)
			return false;
		messages->left = messages->value - STARTUP_HEAD;
		return true;
	}
	switch (messages->value) {
	case REQUEST_SSL:
		return ask(pg, 1);
	case REQUEST_GSSENC:
		return ask(pg, 2);
	case PROTOCOL_3_0:
	case PROTOCOL_3_2:
		return messages->left > 0;
	default: /* a CancelRequest, too: it begins no session */
		return false;
	}
}

static bool take_parameter(struct parameters *parameters, unsigned char byte)
{
	bool is_name = !parameters->is_value;

	if (byte != 0) {
		if (is_name && !parameters->differs && (char)byte == replication[parameters->at])
			parameters->at++;
		else
			parameters->differs = true;
		return true;
	}
	parameters->is_over = is_name && parameters->at == 0 && !parameters->differs;
	if (is_name && parameters->at == sizeof replication - 1 && !parameters->differs)
		return false;
	parameters->is_value = is_name;
	parameters->differs = false;
	parameters->at = 0;
	return true;
}

static bool take_parameters(struct postgresql *pg, unsigned char byte)
{
	struct messages *messages = &pg->from[CLIENT];

	if (pg->parameters.is_over || !take_parameter(&pg->parameters, byte))
		return false;
	if (--messages->left > 0)
		return true;
	*messages = (struct messages){ 0 };
	pg->is_started = true;
	return pg->parameters.is_over;
}

static bool take_type(struct postgresql *pg, enum side from, unsigned char byte)
{
	struct messages *messages = &pg->from[from];

	if (from == SERVER && pg->is_asking) {
		pg->is_asking = false;
		return byte == 'N';
	}
	if (!pg->is_started || byte == 0 || !strchr(types[from][pg->is_ready], byte))
		return false;
	*messages = (struct messages){ .place = AT_LENGTH, .type = byte };
	return true;
}

static void end_message(struct postgresql *pg, enum side from)
{
	struct messages *messages = &pg->from[from];

	messages->place = AT_TYPE;
	if (from == SERVER && messages->type == READY)
		pg->is_ready = true;
}

static bool take_length(struct postgresql *pg, enum side from, unsigned char byte)
{
	struct messages *messages = &pg->from[from];

	if (!take_number(messages, byte))
		return true;
	if (messages->value < 4 || messages->value > MESSAGE_MAX)
		return false;
	messages->left = messages->value - 4;
	if (messages->left > 0 && strchr(bare[from], messages->type))
		return false;
	if (messages->left != 1 && from == SERVER && messages->type == READY)
		return false;
	messages->place = AT_BODY;
	if (messages->left == 0)
		end_message(pg, from);
	return true;
}

static size_t take_body(struct postgresql *pg, enum side from, const unsigned char *bytes,
			size_t size)
{
	struct messages *messages = &pg->from[from];
	size_t taken = size < messages->left ? size : messages->left;

	if (from == SERVER && messages->type == READY && (*bytes == 0 || !strchr("ITE", *bytes)))
		return 0;
	messages->left -= (uint32_t)taken;
	if (messages->left == 0)
		end_message(pg, from);
	return taken;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct postgresql *pg = state;
	const struct messages *messages = &pg->from[from];

	if (from == CLIENT && !pg->is_started) {
		bool is_in_head = messages->taken < STARTUP_HEAD;
		return (is_in_head ? take_startup : take_parameters)(pg, *bytes) ? 1 : 0;
	}
	if (messages->place == AT_TYPE)
		return take_type(pg, from, *bytes) ? 1 : 0;
	if (messages->place == AT_LENGTH)
		return take_length(pg, from, *bytes) ? 1 : 0;
	return take_body(pg, from, bytes, size);
}

static bool can_send(const void *state, enum side target)
{
	const struct postgresql *pg = state;

	return target == SERVER && pg->is_ready && pg->from[CLIENT].place == AT_TYPE;
}

const struct probe_parser probe_postgresql = {
	.name = "postgresql",
	.targets = 1 << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { flush, sizeof flush },
};
