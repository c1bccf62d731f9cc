/*
 * Redis: an empty line towards the server, which it reads and says nothing to. Follows the Redis
 * serialization protocol specification (RESP2 and RESP3: "Sending commands to a Redis server",
 * "Inline commands"); answers are not followed, since there is none to find.
 *
 * Invariant: a probe goes out only between two requests, the last of which was seen whole.
 *
 * Surprising: an empty line is not quite nothing. The server forgets with it what ASKING, CLIENT
 * CACHING and CLIENT REPLY SKIP promised to the next command, and takes it from a replica for a
 * sign of life of its replication.
 */
#include <finback/engine/probe.h>

#include <assert.h>
#include <string.h>

#include "probe_parser.h"

/* What the server takes at most; past it it answers with an error and closes. */
#define INLINE_MAX 65536
#define ARGS_MAX   INT32_MAX
#define BULK_MAX   UINT32_MAX
/* The first two words of a request, as far as they are looked at. */
#define NAME_MAX_SIZE 16

enum redis_step {
	REDIS_START, /* between requests */
	REDIS_INLINE,
	REDIS_INLINE_LF,
	REDIS_COUNT,
	REDIS_COUNT_LF,
	REDIS_DOLLAR,
	REDIS_LENGTH,
	REDIS_LENGTH_LF,
	REDIS_DATA,
	REDIS_DATA_CR,
	REDIS_DATA_LF,
	REDIS_STEPS
};

struct redis {
	uint64_t number; /* that is being read, or how much of the data is left */
	uint32_t args;   /* that are left of this request */
	uint32_t line;   /* bytes of an inline request */
	uint8_t step;    /* enum redis_step */
	uint8_t digits;
	uint8_t words; /* that were begun */
	uint8_t name_size;
	bool is_in_word;
	bool has_request;         /* one was seen whole */
	bool is_for_next;         /* and it is about the one to come */
	bool has_answer;          /* the server has spoken */
	char name[NAME_MAX_SIZE]; /* the first two words, in upper case */
};
static_assert(sizeof(struct redis) <= PROBE_STATE_MAX, "redis fits");

/* After these the client's bytes are no requests, or an empty line is not nothing. */
static const char *const ending[] = { "SYNC", "PSYNC", "REPLCONF", "SCRIPT DEBUG", "QUIT" };
/* These are about the next request, and an empty line would be that. */
static const char *const for_next[] = { "ASKING", "CLIENT CACHING", "CLIENT REPLY" };

static bool is_one_of(const struct redis *redis, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(names[i]);

		if (redis->name_size >= size && memcmp(redis->name, names[i], size) == 0 &&
		    (redis->name_size == size || redis->name[size] == ' '))
			return true;
	}
	return false;
}

static void put_name(struct redis *redis, char byte)
{
	if (redis->name_size < NAME_MAX_SIZE)
		redis->name[redis->name_size++] = byte;
}

static void begin_word(struct redis *redis)
{
	if (redis->words == 1)
		put_name(redis, ' ');
	if (redis->words <= 2)
		redis->words++;
}

static void note_word(struct redis *redis, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size && redis->words <= 2 && redis->name_size < NAME_MAX_SIZE; i++) {
		bool is_lower = bytes[i] >= 'a' && bytes[i] <= 'z';

		put_name(redis, (char)(is_lower ? bytes[i] - 'a' + 'A' : bytes[i]));
	}
}

/* A request is whole. Returns whether requests go on after it. */
static bool end_request(struct redis *redis)
{
	redis->step = REDIS_START;
	if (redis->words == 0)
		return true; /* as empty as the probe */
	redis->has_request = true;
	redis->is_for_next = is_one_of(redis, for_next, sizeof for_next / sizeof *for_next);
	return !is_one_of(redis, ending, sizeof ending / sizeof *ending);
}

static void begin_number(struct redis *redis, enum redis_step step)
{
	redis->step = (uint8_t)step;
	redis->number = 0;
	redis->digits = 0;
}

/* A digit of a number without sign or leading zero, or the CR after it. */
static bool on_number(struct redis *redis, unsigned char byte, uint64_t max)
{
	if (byte == '\r' && redis->digits > 0) {
		redis->step++;
		return true;
	}
	if (byte < '0' || byte > '9' || (redis->digits > 0 && redis->number == 0))
		return false;
	redis->number = redis->number * 10 + (uint64_t)(byte - '0');
	redis->digits = 1;
	return redis->number <= max;
}

/* Control characters are in no inline request, and the server reads none past a NUL. Quotes are
 * left out of a name; an escape in one could stand for anything. */
static bool on_inline(struct redis *redis, unsigned char byte)
{
	bool is_space = byte == ' ' || byte == '\t';

	if (++redis->line > INLINE_MAX)
		return false;
	if (byte == '\n')
		return end_request(redis);
	redis->step = byte == '\r' ? REDIS_INLINE_LF : REDIS_INLINE;
	if (byte == '\r')
		return true;
	if (!is_space && !redis->is_in_word)
		begin_word(redis);
	redis->is_in_word = !is_space;
	if (is_space)
		return true;
	if (byte != '"' && byte != '\'')
		note_word(redis, &byte, 1);
	return byte > ' ' && byte != 0x7f && (redis->words > 2 || byte != '\\');
}

static bool on_start(struct redis *redis, unsigned char byte)
{
	redis->words = redis->name_size = 0;
	redis->is_in_word = false;
	redis->line = 0;
	if (byte != '*')
		return on_inline(redis, byte);
	begin_number(redis, REDIS_COUNT);
	return true;
}

static bool on_count_lf(struct redis *redis, unsigned char byte)
{
	redis->args = (uint32_t)redis->number;
	redis->step = REDIS_DOLLAR;
	return byte == '\n' && (redis->args > 0 || end_request(redis));
}

static bool on_dollar(struct redis *redis, unsigned char byte)
{
	begin_number(redis, REDIS_LENGTH);
	return byte == '$';
}

static bool on_length_lf(struct redis *redis, unsigned char byte)
{
	redis->step = redis->number > 0 ? REDIS_DATA : REDIS_DATA_CR;
	begin_word(redis);
	return byte == '\n';
}

static bool on_data_cr(struct redis *redis, unsigned char byte)
{
	redis->step = REDIS_DATA_LF;
	return byte == '\r';
}

static bool on_data_lf(struct redis *redis, unsigned char byte)
{
	redis->step = REDIS_DOLLAR;
	return byte == '\n' && (--redis->args > 0 || end_request(redis));
}

static bool on_byte(struct redis *redis, unsigned char byte)
{
	switch ((enum redis_step)redis->step) {
	case REDIS_START:
		return on_start(redis, byte);
	case REDIS_INLINE:
		return on_inline(redis, byte);
	case REDIS_INLINE_LF:
		return byte == '\n' && end_request(redis);
	case REDIS_COUNT:
		return on_number(redis, byte, ARGS_MAX);
	case REDIS_COUNT_LF:
		return on_count_lf(redis, byte);
	case REDIS_DOLLAR:
		return on_dollar(redis, byte);
	case REDIS_LENGTH:
		return on_number(redis, byte, BULK_MAX);
	case REDIS_LENGTH_LF:
		return on_length_lf(redis, byte);
	case REDIS_DATA_CR:
		return on_data_cr(redis, byte);
	case REDIS_DATA_LF:
		return on_data_lf(redis, byte);
	case REDIS_DATA:
	case REDIS_STEPS:
		break;
	}
	return false;
}

/* Passes over the data of an argument: as many of the bytes as there are of it. */
static size_t skip_data(struct redis *redis, const unsigned char *bytes, size_t size)
{
	size_t skipped = redis->number < size ? (size_t)redis->number : size;

	note_word(redis, bytes, skipped);
	redis->number -= skipped;
	if (redis->number == 0)
		redis->step = REDIS_DATA_CR;
	return skipped;
}

static size_t follow_requests(struct redis *redis, const unsigned char *bytes, size_t size)
{
	size_t at = 0;

	while (at < size) {
		if (redis->step == REDIS_DATA)
			at += skip_data(redis, bytes + at, size - at);
		else if (!on_byte(redis, bytes[at++]))
			return 0;
	}
	return size;
}

/* The first byte of the first answer tells whether there is a Redis at all. */
static bool follow_answers(struct redis *redis, unsigned char first)
{
	if (!redis->has_answer && (first == '\0' || !strchr("+-:$*_#,(!=%~>|", first)))
		return false;
	redis->has_answer = true;
	return true;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	if (from == CLIENT)
		return follow_requests(state, bytes, size);
	return follow_answers(state, *bytes) ? size : 0;
}

static bool can_send(const void *state, enum side target)
{
	const struct redis *redis = state;

	return target == SERVER && redis->step == REDIS_START && redis->has_request &&
	       redis->has_answer && !redis->is_for_next;
}

const struct probe_parser probe_redis = {
	.name = "redis",
	.targets = 1U << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { "\r\n", 2 },
};
