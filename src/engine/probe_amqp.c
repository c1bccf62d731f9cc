/*
 * Probes in AMQP 0-9-1: a heartbeat frame towards either side. Follows AMQP 0-9-1 sections 2.2.4
 * (opening), 2.3.5 and 4.2.3 (frames), 4.2.7 (heartbeats: who has no use for one discards it), and
 * the reference of class connection.
 *
 * Invariant: a frame is over where its size says so and the end octet stands; the connection is
 * open between Open-Ok and the first Close.
 *
 * Surprising: heartbeats may stand between the frames of one content, as channel 0 has its own
 * order, so the frames of other channels are measured and not looked at.
 */
#include <assert.h>
#include <string.h>

#include "probe_parser.h"

enum type {
	METHOD = 1,
	HEADER = 2,
	BODY = 3,
	HEARTBEAT = 8
};

#define FRAME_HEAD      7 /* type, channel, size */
#define FRAME_EXTRA     8 /* and the end octet */
#define FRAME_END       0xceU
#define FRAME_MAX_LEAST 4096U
/* Before Tune-Ok. The specification promises no more than FRAME_MAX_LEAST, but tokens that serve as
 * passwords are larger. */
#define FRAME_MAX_LOGIN 131072U
/* Of a frame: its head, class, method, and of Tune-Ok channel-max and frame-max. */
#define KEPT (FRAME_HEAD + 10)

static const unsigned char preface[] = { 'A', 'M', 'Q', 'P', 0, 0, 9, 1 };
static const unsigned char heartbeat[] = { HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END };

#define CLASS_CONNECTION 10U

enum method {
	START = 10,
	START_OK = 11,
	SECURE = 20,
	SECURE_OK = 21,
	TUNE = 30,
	TUNE_OK = 31,
	OPEN = 40,
	OPEN_OK = 41,
	BLOCKED = 60, /* this one and the following: RabbitMQ's extensions */
	UNBLOCKED = 61,
	UPDATE_SECRET = 70,
	UPDATE_SECRET_OK = 71
};

enum phase {
	AWAITS_PREFACE,
	AWAITS_START,
	AWAITS_START_OK,
	AWAITS_TUNE, /* or a challenge */
	AWAITS_SECURE_OK,
	AWAITS_TUNE_OK,
	AWAITS_OPEN,
	AWAITS_OPEN_OK,
	OPENED
};

/* What channel 0 may carry, and what it leads to. Close is not among it: then it is over. */
static const struct step {
	enum phase phase;
	enum side from;
	enum method method;
	enum phase next;
} steps[] = {
	{ AWAITS_START, SERVER, START, AWAITS_START_OK },
	{ AWAITS_START_OK, CLIENT, START_OK, AWAITS_TUNE },
	{ AWAITS_TUNE, SERVER, SECURE, AWAITS_SECURE_OK },
	{ AWAITS_SECURE_OK, CLIENT, SECURE_OK, AWAITS_TUNE },
	{ AWAITS_TUNE, SERVER, TUNE, AWAITS_TUNE_OK },
	{ AWAITS_TUNE_OK, CLIENT, TUNE_OK, AWAITS_OPEN },
	{ AWAITS_OPEN, CLIENT, OPEN, AWAITS_OPEN_OK },
	{ AWAITS_OPEN_OK, SERVER, OPEN_OK, OPENED },
	{ OPENED, SERVER, BLOCKED, OPENED },
	{ OPENED, SERVER, UNBLOCKED, OPENED },
	{ OPENED, CLIENT, UPDATE_SECRET, OPENED },
	{ OPENED, SERVER, UPDATE_SECRET_OK, OPENED },
};

struct frames {
	uint32_t left; /* of the payload */
	uint8_t taken; /* of the bytes kept; 0: between frames */
	unsigned char kept[KEPT];
};

struct amqp {
	struct frames from[SIDES];
	uint32_t frame_max;
	uint8_t phase; /* enum phase */
	uint8_t preface_at;
};
static_assert(sizeof(struct amqp) <= PROBE_STATE_MAX, "fits");

static uint32_t big_endian(const unsigned char *bytes, size_t size)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool take_preface(struct amqp *amqp, enum side from, unsigned char byte)
{
	if (from != CLIENT || byte != preface[amqp->preface_at])
		return false;
	if (++amqp->preface_at == sizeof preface) {
		amqp->phase = AWAITS_START;
		amqp->frame_max = FRAME_MAX_LOGIN;
	}
	return true;
}

/* The head is complete: is it one that may come now? */
static bool begin_frame(struct amqp *amqp, struct frames *frames)
{
	unsigned channel = big_endian(frames->kept + 1, 2);

	frames->left = big_endian(frames->kept + 3, 4);
	if (frames->left > amqp->frame_max - FRAME_EXTRA)
		return false;
	switch (frames->kept[0]) {
	case METHOD:
		return frames->left >= 4 && (channel == 0 || amqp->phase == OPENED);
	case HEADER:
	case BODY:
		return channel != 0 && amqp->phase == OPENED;
	case HEARTBEAT:
		return channel == 0 && frames->left == 0 && amqp->phase >= AWAITS_TUNE_OK;
	default:
		return false;
	}
}

static bool tune(struct amqp *amqp, const struct frames *frames)
{
	uint32_t frame_max = big_endian(frames->kept + FRAME_HEAD + 6, 4);

	if (frames->taken < KEPT || (frame_max != 0 && frame_max < FRAME_MAX_LEAST))
		return false;
	amqp->frame_max = frame_max == 0 ? UINT32_MAX : frame_max;
	return true;
}

/* A frame is complete: channel 0 is followed. */
static bool end_frame(struct amqp *amqp, enum side from, const struct frames *frames)
{
	const unsigned char *kept = frames->kept;
	unsigned method = big_endian(kept + FRAME_HEAD + 2, 2);

	if (kept[0] != METHOD || big_endian(kept + 1, 2) != 0)
		return true;
	if (big_endian(kept + FRAME_HEAD, 2) != CLASS_CONNECTION)
		return false;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		const struct step *step = &steps[i];

		if (step->phase != amqp->phase || step->from != from || step->method != method)
			continue;
		amqp->phase = (uint8_t)step->next;
		return method != TUNE_OK || tune(amqp, frames);
	}
	return false;
}

/* Takes up to `size` bytes of a frame. Returns how many; 0: they do not fit. */
static size_t take_frame(struct amqp *amqp, enum side from, const unsigned char *bytes, size_t size)
{
	struct frames *frames = &amqp->from[from];
	bool is_in_head = frames->taken < FRAME_HEAD;
	size_t taken = 1;

	if (!is_in_head && frames->left == 0) {
		if (*bytes != FRAME_END || !end_frame(amqp, from, frames))
			return 0;
		frames->taken = 0;
		return 1;
	}
	if (frames->taken < KEPT)
		frames->kept[frames->taken++] = *bytes;
	else
		taken = size < frames->left ? size : frames->left;
	if (!is_in_head)
		frames->left -= (uint32_t)taken;
	else if (frames->taken == FRAME_HEAD && !begin_frame(amqp, frames))
		return 0;
	return taken;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct amqp *amqp = state;

	if (amqp->phase == AWAITS_PREFACE)
		return take_preface(amqp, from, *bytes) ? 1 : 0;
	return take_frame(amqp, from, bytes, size);
}

static bool can_send(const void *state, enum side target)
{
	const struct amqp *amqp = state;

	return amqp->phase == OPENED && amqp->from[other(target)].taken == 0;
}

const struct probe_parser probe_amqp = {
	.name = "amqp",
	.targets = 1 << CLIENT | 1 << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { heartbeat, sizeof heartbeat },
};
