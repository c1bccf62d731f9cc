/*
 * memcached, its text protocol: a quiet meta get of a key that nobody stores, to which a server
 * that knows meta commands (1.6) says nothing. Follows doc/protocol.txt of memcached 1.6
 * ("Commands", "Storage commands", "Meta commands"). The binary protocol turns it off.
 *
 * Invariant: a probe goes out only between two requests, the last of which was seen whole, and
 * after an answer that was no error (a server that wants a login answers everything with one).
 *
 * Surprising: whether a data block follows a line depends on whether the server takes the line. So
 * each word of a line before a data block is looked at as the server looks at it.
 */
#include <finback/engine/probe.h>

#include <assert.h>
#include <string.h>

#include "probe_parser.h"

static const char probe_message[] = "mg finback:probe q\r\n";

#define KEY_MAX_SIZE 250
/* But for lists of keys, which may be of any length. */
#define LINE_MAX_SIZE 2048
/* The server has room for 20 flags of a meta command; past it it reads the block as requests. */
#define META_WORDS_MAX 16
#define WORD_MAX_SIZE  21

enum memcached_step {
	MEMCACHED_START, /* between requests */
	MEMCACHED_LINE,
	MEMCACHED_LINE_LF,
	MEMCACHED_DATA,
	MEMCACHED_DATA_CR,
	MEMCACHED_DATA_LF
};

/* The first line of the server's first answer. */
enum memcached_greeting {
	MEMCACHED_UNHEARD,
	MEMCACHED_HEARING,
	MEMCACHED_HEARD
};

/* Each command that a line may begin with; all others are not understood. */
struct command {
	const char *name;
	/* What its words must be where data follows: k a key, u a number of 32 bits, i one with a
	 * sign, n the length of the data, c a number of 64 bits, and then `noreply` or, after *,
	 * flags. NULL: no data follows. */
	const char *words;
	bool is_long; /* may be longer than other lines */
};

static const struct command commands[] = {
	{ "get", NULL, true },        { "gets", NULL, true },       { "gat", NULL, false },
	{ "gats", NULL, false },      { "set", "kuin", false },     { "add", "kuin", false },
	{ "replace", "kuin", false }, { "append", "kuin", false },  { "prepend", "kuin", false },
	{ "cas", "kuinc", false },    { "delete", NULL, false },    { "incr", NULL, false },
	{ "decr", NULL, false },      { "touch", NULL, false },     { "mg", NULL, false },
	{ "md", NULL, false },        { "ma", NULL, false },        { "me", NULL, false },
	{ "mn", NULL, false },        { "ms", "kn*", false },       { "stats", NULL, false },
	{ "version", NULL, false },   { "verbosity", NULL, false }, { "flush_all", NULL, false },
};
#define COMMANDS (sizeof commands / sizeof *commands)

struct memcached {
	uint32_t left;    /* bytes of the data */
	uint16_t line;    /* bytes of the line */
	uint16_t word;    /* bytes of the word */
	uint8_t step;     /* enum memcached_step */
	uint8_t words;    /* of this line, that are whole */
	uint8_t command;  /* of them the first */
	uint8_t greeting; /* enum memcached_greeting */
	uint8_t head_size;
	bool has_length; /* data follows the line */
	bool is_last;    /* no word may follow */
	bool has_request;
	char bytes[WORD_MAX_SIZE];        /* the word's */
	char head[sizeof "CLIENT_ERROR"]; /* of the first answer */
};
static_assert(sizeof(struct memcached) <= PROBE_STATE_MAX, "memcached fits");

static bool is_word(const struct memcached *memcached, const char *word)
{
	return memcached->word == strlen(word) &&
	       memcmp(memcached->bytes, word, memcached->word) == 0;
}

static bool read_number(const struct memcached *memcached, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (memcached->word > WORD_MAX_SIZE - 1) /* 20 digits: no more than 64 bits */
		return false;
	for (size_t i = 0; i < memcached->word; i++) {
		unsigned digit = (unsigned)(unsigned char)memcached->bytes[i] - '0';

		if (digit > 9 || number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return true;
}

static bool read_signed(struct memcached *memcached)
{
	uint64_t number;

	if (memcached->bytes[0] == '-' && memcached->word > 1) {
		memmove(memcached->bytes, memcached->bytes + 1, WORD_MAX_SIZE - 1);
		memcached->word--;
	}
	return read_number(memcached, INT32_MAX, &number);
}

static bool read_length(struct memcached *memcached)
{
	uint64_t number;

	if (!read_number(memcached, INT32_MAX - 2, &number))
		return false;
	memcached->left = (uint32_t)number;
	memcached->has_length = true;
	return true;
}

/* A word of a line before data, after the command. */
static bool check_word(struct memcached *memcached)
{
	const char *shape = commands[memcached->command].words;
	size_t place = (size_t)memcached->words - 1;
	size_t size = strcspn(shape, "*");
	uint64_t number;

	if (place >= size && shape[size] == '*')
		return memcached->words < META_WORDS_MAX;
	if (place >= size) {
		bool is_noreply = !memcached->is_last && is_word(memcached, "noreply");

		memcached->is_last = true;
		return is_noreply;
	}
	switch (shape[place]) {
	case 'k':
		return memcached->word <= KEY_MAX_SIZE;
	case 'u':
		return read_number(memcached, UINT32_MAX, &number);
	case 'i':
		return read_signed(memcached);
	case 'n':
		return read_length(memcached);
	default:
		return read_number(memcached, UINT64_MAX, &number);
	}
}

static bool find_command(struct memcached *memcached)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (is_word(memcached, commands[i].name)) {
			memcached->command = (uint8_t)i;
			return true;
		}
	return false;
}

static bool end_word(struct memcached *memcached)
{
	bool fits = true;

	if (memcached->word == 0)
		return memcached->words > 0; /* two spaces are one, but not before the command */
	if (memcached->words == 0)
		fits = find_command(memcached);
	else if (commands[memcached->command].words)
		fits = check_word(memcached);
	if (memcached->words < UINT8_MAX)
		memcached->words++;
	memcached->word = 0;
	return fits;
}

/* The LF. Where data should follow, the line must have had all its words. */
static bool end_line(struct memcached *memcached)
{
	const char *shape;

	if (!end_word(memcached))
		return false;
	shape = commands[memcached->command].words;
	memcached->step = MEMCACHED_START;
	memcached->has_request = true;
	if (!shape)
		return true;
	memcached->step = memcached->left > 0 ? MEMCACHED_DATA : MEMCACHED_DATA_CR;
	return memcached->has_length && (size_t)memcached->words > strcspn(shape, "*");
}

static bool on_line(struct memcached *memcached, unsigned char byte)
{
	memcached->step = MEMCACHED_LINE;
	if (memcached->line < UINT16_MAX)
		memcached->line++;
	if (memcached->line > LINE_MAX_SIZE &&
	    (memcached->words == 0 || !commands[memcached->command].is_long))
		return false;
	if (byte == '\n')
		return end_line(memcached);
	if (byte == ' ')
		return end_word(memcached);
	if (byte == '\r')
		memcached->step = MEMCACHED_LINE_LF;
	else if (memcached->word < WORD_MAX_SIZE)
		memcached->bytes[memcached->word] = (char)byte;
	if (byte != '\r' && memcached->word < UINT16_MAX)
		memcached->word++;
	return byte == '\r' || (byte > ' ' && byte != 0x7f);
}

/* 0x80 here is the binary protocol's, 0x16 that of TLS. */
static bool on_start(struct memcached *memcached, unsigned char byte)
{
	memcached->line = memcached->word = 0;
	memcached->words = 0;
	memcached->left = 0;
	memcached->has_length = memcached->is_last = false;
	return byte >= 'a' && byte <= 'z' && on_line(memcached, byte);
}

static bool on_byte(struct memcached *memcached, unsigned char byte)
{
	switch ((enum memcached_step)memcached->step) {
	case MEMCACHED_START:
		return on_start(memcached, byte);
	case MEMCACHED_LINE:
		return on_line(memcached, byte);
	case MEMCACHED_LINE_LF:
		return byte == '\n' && end_line(memcached);
	case MEMCACHED_DATA_CR:
		memcached->step = MEMCACHED_DATA_LF;
		return byte == '\r';
	case MEMCACHED_DATA_LF:
		memcached->step = MEMCACHED_START;
		return byte == '\n';
	case MEMCACHED_DATA:
		break;
	}
	return false;
}

/* Passes over as many of the bytes as there are of the data. */
static size_t skip_data(struct memcached *memcached, size_t size)
{
	size_t skipped = memcached->left < size ? memcached->left : size;

	memcached->left -= (uint32_t)skipped;
	if (memcached->left == 0)
		memcached->step = MEMCACHED_DATA_CR;
	return skipped;
}

static size_t follow_requests(struct memcached *memcached, const unsigned char *bytes, size_t size)
{
	size_t at = 0;

	while (at < size) {
		if (memcached->step == MEMCACHED_DATA)
			at += skip_data(memcached, size - at);
		else if (!on_byte(memcached, bytes[at++]))
			return 0;
	}
	return size;
}

static bool is_error(const struct memcached *memcached)
{
	static const char *const errors[] = { "ERROR", "CLIENT_ERROR", "SERVER_ERROR" };

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		size_t size = strlen(errors[i]);

		if (memcached->head_size >= size && memcmp(memcached->head, errors[i], size) == 0)
			return true;
	}
	return false;
}

/* Of the answers only the first line is followed. */
static bool on_greeting(struct memcached *memcached, unsigned char byte)
{
	memcached->greeting = byte == '\n' ? MEMCACHED_HEARD : MEMCACHED_HEARING;
	if (byte == '\n')
		return memcached->has_request && !is_error(memcached);
	if (memcached->head_size < sizeof memcached->head)
		memcached->head[memcached->head_size++] = (char)byte;
	return byte == '\r' || (byte >= ' ' && byte < 0x7f);
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct memcached *memcached = state;

	if (from == CLIENT)
		return follow_requests(memcached, bytes, size);
	if (memcached->greeting == MEMCACHED_HEARD)
		return size;
	return on_greeting(memcached, *bytes) ? 1 : 0;
}

static bool can_send(const void *state, enum side target)
{
	const struct memcached *memcached = state;

	return target == SERVER && memcached->step == MEMCACHED_START && memcached->has_request &&
	       memcached->greeting == MEMCACHED_HEARD;
}

const struct probe_parser probe_memcached = {
	.name = "memcached",
	.targets = 1U << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { probe_message, sizeof probe_message - 1 },
};
