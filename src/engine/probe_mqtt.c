/*
 * Probes in MQTT 3.1.1 and 5.0: PINGREQ towards the server, answered by PINGRESP. Follows
 * MQTT 3.1.1 and 5.0 sections 2.1 (fixed header), 3.1, 3.2, 3.12 to 3.15.
 *
 * Invariant: every PINGRESP belongs to the oldest PINGREQ without one. Ours goes out while the
 * client has none out, so the next PINGRESP is ours, and those of the client's later ones follow.
 *
 * Surprising: a PINGRESP is told from one in a payload by its place alone; what the client says
 * meanwhile moves it nowhere, as it is answered after ours.
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"

enum type {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	PINGREQ,
	PINGRESP,
	DISCONNECT,
	AUTH,
	TYPES
};

/* Who may send a type. */
enum {
	BY_CLIENT = 1 << CLIENT,
	BY_SERVER = 1 << SERVER,
	BY_BOTH = BY_CLIENT | BY_SERVER
};

/* What a packet type looks like, once connected. */
struct form {
	uint8_t by;    /* 3.1.1 */
	uint8_t by_v5; /* 5.0 */
	uint8_t flags; /* the low half of the first byte, but of PUBLISH */
	uint8_t least; /* bytes that follow the fixed header, at least */
};

static const struct form forms[] = {
	[PUBLISH] = { BY_BOTH, BY_BOTH, 0, 2 },
	[PUBACK] = { BY_BOTH, BY_BOTH, 0, 2 },
	[PUBREC] = { BY_BOTH, BY_BOTH, 0, 2 },
	[PUBREL] = { BY_BOTH, BY_BOTH, 2, 2 },
	[PUBCOMP] = { BY_BOTH, BY_BOTH, 0, 2 },
	[SUBSCRIBE] = { BY_CLIENT, BY_CLIENT, 2, 5 },
	[SUBACK] = { BY_SERVER, BY_SERVER, 0, 3 },
	[UNSUBSCRIBE] = { BY_CLIENT, BY_CLIENT, 2, 4 },
	[UNSUBACK] = { BY_SERVER, BY_SERVER, 0, 2 },
	[PINGREQ] = { BY_CLIENT, BY_CLIENT, 0, 0 },
	[PINGRESP] = { BY_SERVER, BY_SERVER, 0, 0 },
	[DISCONNECT] = { BY_CLIENT, BY_BOTH, 0, 0 },
	[AUTH] = { 0, BY_BOTH, 0, 0 },
};
static_assert(sizeof forms / sizeof *forms == TYPES, "a form for each packet type");

/* What begins a CONNECT after its fixed header; the level, 4 or 5, comes next. */
static const unsigned char protocol_name[] = { 0, 4, 'M', 'Q', 'T', 'T' };
#define LEVEL_AT      (sizeof protocol_name)
#define FLAGS_AT      (LEVEL_AT + 1)
#define CONNECT_LEAST 12 /* to the end of an empty client identifier */

static const unsigned char pingreq[] = { 0xc0, 0 };
static const unsigned char pingresp[] = { 0xd0, 0 };

enum place {
	AT_TYPE, /* between packets */
	AT_LENGTH,
	AT_BODY
};

struct packets {
	uint8_t place; /* enum place */
	uint8_t type;  /* enum type */
	uint8_t shift; /* of the next length byte */
	bool is_begun; /* CONNECT or CONNACK has come whole */
	bool is_over;  /* DISCONNECT has */
	uint32_t size; /* of the body */
	uint32_t at;   /* how much of it has come */
};

struct mqtt {
	struct packets from[SIDES];
	uint32_t owed; /* PINGREQs of the client that have no PINGRESP */
	uint8_t level; /* 4 or 5 */
};
static_assert(sizeof(struct mqtt) <= PROBE_STATE_MAX, "fits");

static bool is_type_right(const struct mqtt *mqtt, enum side from, unsigned char byte)
{
	enum type type = byte >> 4;
	unsigned by = mqtt->level == 5 ? forms[type].by_v5 : forms[type].by;

	if (!mqtt->from[from].is_begun) {
		if (byte == CONNECT << 4)
			return from == CLIENT;
		/* Only a CONNACK answers a CONNECT; AUTH may come between in 5.0. */
		if (byte == CONNACK << 4)
			return from == SERVER && mqtt->from[CLIENT].is_begun;
		if (byte != AUTH << 4 || from != SERVER || !mqtt->from[CLIENT].is_begun)
			return false;
	}
	if (mqtt->from[from].is_over || !(by >> from & 1))
		return false;
	if (type == PUBLISH)
		return (byte >> 1 & 3) != 3; /* no such quality of service */
	return (byte & 0xf) == forms[type].flags;
}

static bool is_size_right(const struct mqtt *mqtt, const struct packets *packets)
{
	switch (packets->type) {
	case CONNECT:
		return packets->size >= CONNECT_LEAST;
	case CONNACK:
		return mqtt->level == 5 ? packets->size >= 3 : packets->size == 2;
	case PINGREQ:
	case PINGRESP:
		return packets->size == 0;
	case DISCONNECT:
		return mqtt->level == 5 || packets->size == 0;
	default:
		return packets->size >= forms[packets->type].least;
	}
}

/* Of a CONNECT the protocol and its level, of a CONNACK whether it accepts: the others' bodies are
 * not looked at. */
static bool is_body_right(struct mqtt *mqtt, const struct packets *packets, unsigned char byte)
{
	if (packets->type == CONNECT && packets->at < LEVEL_AT)
		return byte == protocol_name[packets->at];
	if (packets->type == CONNECT && packets->at == LEVEL_AT) {
		mqtt->level = byte;
		return byte == 4 || byte == 5;
	}
	if (packets->type == CONNECT && packets->at == FLAGS_AT)
		return (byte & 1) == 0; /* reserved */
	if (packets->type == CONNACK)
		return packets->at == 0 ? byte <= 1 : packets->at > 1 || byte == 0;
	return true;
}

static bool end_packet(struct mqtt *mqtt, struct packets *packets)
{
	packets->place = AT_TYPE;
	switch (packets->type) {
	case CONNECT:
	case CONNACK:
		packets->is_begun = true;
		return true;
	case PINGREQ:
		return ++mqtt->owed != 0;
	case PINGRESP:
		return mqtt->owed-- != 0; /* else nobody asked */
	case DISCONNECT:
		packets->is_over = true;
		return true;
	default:
		return true;
	}
}

static bool take_length(struct mqtt *mqtt, struct packets *packets, unsigned char byte)
{
	packets->size |= (uint32_t)(byte & 0x7f) << packets->shift;
	packets->shift = (uint8_t)(packets->shift + 7);
	if (byte & 0x80)
		return packets->shift < 28; /* four bytes at most */
	if ((byte == 0 && packets->shift > 7) || !is_size_right(mqtt, packets))
		return false;
	packets->place = AT_BODY;
	return packets->size > 0 || end_packet(mqtt, packets);
}

/* Takes up to `size` bytes of the body, one by one only where they are looked at. Returns how many;
 * 0: they do not fit. */
static size_t take_body(struct mqtt *mqtt, struct packets *packets, const unsigned char *bytes,
			size_t size)
{
	size_t left = packets->size - packets->at;
	size_t taken = size < left ? size : left;

	if (packets->at <= FLAGS_AT) {
		taken = 1;
		if (!is_body_right(mqtt, packets, *bytes))
			return 0;
	}
	packets->at += (uint32_t)taken;
	if (packets->at == packets->size && !end_packet(mqtt, packets))
		return 0;
	return taken;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct mqtt *mqtt = state;
	struct packets *packets = &mqtt->from[from];

	switch (packets->place) {
	case AT_TYPE:
		if (!is_type_right(mqtt, from, *bytes))
			return 0;
		*packets = (struct packets){
			.place = AT_LENGTH,
			.type = *bytes >> 4,
			.is_begun = packets->is_begun,
		};
		return 1;
	case AT_LENGTH:
		return take_length(mqtt, packets, *bytes) ? 1 : 0;
	default:
		return take_body(mqtt, packets, bytes, size);
	}
}

static bool is_between(const struct packets *packets)
{
	return packets->is_begun && !packets->is_over && packets->place == AT_TYPE;
}

static bool can_send(const void *state, enum side target)
{
	const struct mqtt *mqtt = state;

	return target == SERVER && mqtt->owed == 0 && is_between(&mqtt->from[CLIENT]) &&
	       is_between(&mqtt->from[SERVER]);
}

static bool is_answer(const void *state, unsigned char byte)
{
	const struct mqtt *mqtt = state;

	return mqtt->from[SERVER].place == AT_TYPE && byte == pingresp[0];
}

const struct probe_parser probe_mqtt = {
	.name = "mqtt",
	.targets = 1 << SERVER,
	.message = { pingreq, sizeof pingreq },
	.answer = { pingresp, sizeof pingresp },
	.follow = follow,
	.can_send = can_send,
	.is_answer = is_answer,
};
