/*
 * Probes in the protocol of MySQL and MariaDB: COM_STMT_CLOSE of statement 0 towards the server,
 * which has no answer. Follows "Client/Server Protocol" in MySQL's source documentation (packets,
 * connection phase, commands), and what MariaDB adds to it.
 *
 * Invariant: a probe goes out only while no command waits for its answer. Sooner it could become
 * content of a LOCAL INFILE, or part of a login. Commands that lead elsewhere (replication, a
 * change of user) are not followed.
 *
 * Surprising: which form answers have is agreed on at login, and a login in the clear is the only
 * one that can be followed: a client that asks for TLS or compression is let go of there.
 */
#include <assert.h>
#include <string.h>

#include "probe_mysql_answer.h"
#include "probe_parser.h"

#define HEAD 4 /* size and sequence number */

#define GREETING_VERSION 10U
#define AUTH_OK          0x00U
#define AUTH_ERROR       0xffU

/* Capabilities: MySQL's, and MariaDB's further ones, which take the place of the first. */
#define CLIENT_MYSQL             (1U << 0)
#define CLIENT_COMPRESS          (1U << 5)
#define CLIENT_PROTOCOL_41       (1U << 9)
#define CLIENT_SSL               (1U << 11)
#define CLIENT_DEPRECATE_EOF     (1U << 24)
#define CLIENT_OPTIONAL_METADATA (1U << 25)
#define CLIENT_ZSTD              (1U << 26)
#define MARIADB_PROGRESS         (1U << 0)
#define MARIADB_CACHE_METADATA   (1U << 4)
#define MARIADB_KNOWN            0x3fU

/* What is kept of the greeting, from its capabilities on, which come at this offset after the end
 * of the version; and where in it they are. */
#define GREETING_SKIPPED 13
#define GREETING_LOWER   0
#define GREETING_UPPER   5
#define GREETING_FURTHER 14
#define GREETING_LEAST   7
#define GREETING_WHOLE   18

/* Of the client's response: capabilities at the beginning and, of MariaDB, here. */
#define RESPONSE_FURTHER 28
#define RESPONSE_LEAST   32
#define CLIENT_KEPT      8

/* The command's first byte, and how it is answered. Those left out are not followed. */
static const uint8_t kinds[UINT8_MAX + 1] = {
	[0x02] = MYSQL_DONE,       /* init db */
	[0x03] = MYSQL_QUERY,      /* query */
	[0x04] = MYSQL_FIELDS,     /* field list */
	[0x05] = MYSQL_DONE,       /* create db */
	[0x06] = MYSQL_DONE,       /* drop db */
	[0x07] = MYSQL_DONE,       /* refresh */
	[0x09] = MYSQL_WORDS,      /* statistics */
	[0x0a] = MYSQL_QUERY,      /* process info */
	[0x0c] = MYSQL_DONE,       /* process kill */
	[0x0d] = MYSQL_DONE,       /* debug */
	[0x0e] = MYSQL_DONE,       /* ping */
	[0x16] = MYSQL_PREPARE,    /* stmt prepare */
	[0x17] = MYSQL_EXECUTE,    /* stmt execute */
	[0x18] = MYSQL_UNANSWERED, /* stmt send long data */
	[0x19] = MYSQL_UNANSWERED, /* stmt close */
	[0x1a] = MYSQL_DONE,       /* stmt reset */
	[0x1b] = MYSQL_DONE,       /* set option */
	[0x1c] = MYSQL_FETCH,      /* stmt fetch */
	[0x1f] = MYSQL_DONE,       /* reset connection */
	[0xfa] = MYSQL_EXECUTE,    /* MariaDB's stmt bulk execute */
};

static const unsigned char stmt_close[] = { 5, 0, 0, 0, 0x19, 0, 0, 0, 0 };

enum phase {
	GREETING,
	RESPONSE,
	LOGIN,
	COMMANDS
};

struct packets {
	uint32_t left;     /* of this part */
	uint8_t head;      /* bytes of the part's head that have come; 0: between parts */
	uint8_t sequence;  /* expected next */
	uint8_t kept_size; /* of the packet's beginning */
	bool is_continued; /* the packet's last part was of the largest size: another comes */
};

struct mysql {
	struct packets from[SIDES];
	uint32_t size[SIDES];     /* of each packet's first part */
	uint32_t capabilities[2]; /* the server's, then those of both */
	struct mysql_answer answer;
	uint8_t phase;       /* enum phase */
	uint8_t greeting_at; /* 0: its first byte; 1: the version; then how far behind it */
	unsigned char client_kept[CLIENT_KEPT];
	unsigned char server_kept[MYSQL_KEPT];
};
static_assert(sizeof(struct mysql) <= PROBE_STATE_MAX, "fits");

static bool may_speak(const struct mysql *mysql, enum side from)
{
	switch ((enum phase)mysql->phase) {
	case GREETING:
		return from == SERVER;
	case RESPONSE:
		return from == CLIENT;
	case LOGIN:
		return true;
	default:
		return from == CLIENT || mysql->answer.waiting > 0;
	}
}

/* Both sides count on together in the login; after it, each command begins anew at 0, and its
 * answer goes on from there. */
static bool is_sequence_right(struct mysql *mysql, enum side from, uint8_t sequence)
{
	struct packets *packets = &mysql->from[from];
	bool is_begun = packets->is_continued || (from == SERVER && mysql->answer.is_begun);
	bool is_right = sequence == packets->sequence;

	if (mysql->phase == COMMANDS && !is_begun)
		is_right = (sequence == 0) == (from == CLIENT);
	packets->sequence = (uint8_t)(sequence + 1);
	if (mysql->phase != COMMANDS)
		mysql->from[other(from)].sequence = packets->sequence;
	return is_right;
}

static uint32_t little_endian(const unsigned char *bytes, size_t size)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint32_t)bytes[i] << 8 * i;
	return value;
}

static bool end_greeting(struct mysql *mysql)
{
	const unsigned char *kept = mysql->server_kept;
	uint8_t kept_size = mysql->from[SERVER].kept_size;

	if (kept_size < GREETING_LEAST)
		return false;
	mysql->capabilities[0] = little_endian(kept + GREETING_LOWER, 2) |
				 little_endian(kept + GREETING_UPPER, 2) << 16;
	if (!(mysql->capabilities[0] & CLIENT_MYSQL) && kept_size >= GREETING_WHOLE)
		mysql->capabilities[1] = little_endian(kept + GREETING_FURTHER, 4);
	mysql->phase = RESPONSE;
	return true;
}

static bool end_response(struct mysql *mysql)
{
	uint32_t client = little_endian(mysql->client_kept, 4);
	uint32_t both = client & mysql->capabilities[0];
	uint32_t further = client & CLIENT_MYSQL ? 0 : little_endian(mysql->client_kept + 4, 4);

	if (mysql->size[CLIENT] < RESPONSE_LEAST || !(both & CLIENT_PROTOCOL_41) ||
	    (client & (CLIENT_SSL | CLIENT_COMPRESS | CLIENT_ZSTD)) ||
	    (both & CLIENT_OPTIONAL_METADATA))
		return false;
	further &= mysql->capabilities[1];
	if (further & ~MARIADB_KNOWN)
		return false;
	mysql->answer.without_eof = both & CLIENT_DEPRECATE_EOF;
	mysql->answer.tells_cached = further & MARIADB_CACHE_METADATA;
	mysql->answer.has_progress = further & MARIADB_PROGRESS;
	mysql->phase = LOGIN;
	return true;
}

/* Only an OK ends the login well. Nothing was affected or inserted by it. */
static bool end_login(struct mysql *mysql, const struct mysql_packet *packet)
{
	unsigned status;

	if (packet->size == 0 || packet->kept[0] == AUTH_ERROR)
		return false;
	if (packet->kept[0] != AUTH_OK)
		return true; /* it goes on: another method, another step of it */
	mysql->phase = COMMANDS;
	return mysql_packet_is_ok(packet, &status) && packet->kept[1] == 0 && packet->kept[2] == 0;
}

static bool end_packet(struct mysql *mysql, enum side from)
{
	struct mysql_packet packet = { mysql->server_kept, mysql->size[SERVER] };

	switch ((enum phase)mysql->phase) {
	case GREETING:
		return end_greeting(mysql);
	case RESPONSE:
		return end_response(mysql);
	case LOGIN:
		return from == CLIENT || end_login(mysql, &packet);
	default:
		if (from == SERVER)
			return mysql_answer_take(&mysql->answer, &packet);
		return mysql->size[CLIENT] > 0 &&
		       mysql_answer_expect(&mysql->answer,
					   (enum mysql_kind)kinds[mysql->client_kept[0]]);
	}
}

static bool end_part(struct mysql *mysql, enum side from)
{
	mysql->from[from].head = 0;
	return mysql->from[from].is_continued || end_packet(mysql, from);
}

static bool take_head(struct mysql *mysql, enum side from, unsigned char byte)
{
	struct packets *packets = &mysql->from[from];

	if (packets->head == 0 && !may_speak(mysql, from))
		return false;
	if (++packets->head < HEAD) {
		packets->left |= (uint32_t)byte << 8 * (packets->head - 1);
		return true;
	}
	if (!is_sequence_right(mysql, from, byte))
		return false;
	if (!packets->is_continued) {
		mysql->size[from] = packets->left;
		packets->kept_size = 0;
	}
	packets->is_continued = packets->left == MYSQL_PART_MAX;
	if (packets->is_continued && mysql->phase != COMMANDS)
		return false;
	return packets->left > 0 || end_part(mysql, from);
}

/* Of a greeting, its capabilities. */
static bool keep_of_greeting(struct mysql *mysql, unsigned char byte)
{
	struct packets *packets = &mysql->from[SERVER];

	if (mysql->greeting_at == 0 && byte != GREETING_VERSION)
		return false;
	if (mysql->greeting_at >= GREETING_SKIPPED + 2 && packets->kept_size < MYSQL_KEPT)
		mysql->server_kept[packets->kept_size++] = byte;
	if ((mysql->greeting_at != 1 || byte == 0) && mysql->greeting_at < UINT8_MAX)
		mysql->greeting_at++;
	return true;
}

/* Of a client's response, its capabilities. */
static void keep_of_response(struct mysql *mysql, unsigned char byte)
{
	uint32_t at = mysql->size[CLIENT] - mysql->from[CLIENT].left;

	if (at < 4)
		mysql->client_kept[at] = byte;
	else if (at >= RESPONSE_FURTHER && at < RESPONSE_FURTHER + 4)
		mysql->client_kept[at - RESPONSE_FURTHER + 4] = byte;
}

/* Keeps the beginning of a packet. Returns how many of `size` bytes were taken; 0: they do not
 * fit. */
static size_t keep(struct mysql *mysql, enum side from, const unsigned char *bytes, size_t size)
{
	struct packets *packets = &mysql->from[from];
	unsigned char *kept = from == SERVER ? mysql->server_kept : mysql->client_kept;
	size_t wanted = from == SERVER ? MYSQL_KEPT : 1;

	if (mysql->phase == GREETING)
		return keep_of_greeting(mysql, *bytes) ? 1 : 0;
	if (mysql->phase == RESPONSE) {
		keep_of_response(mysql, *bytes);
		return 1;
	}
	if (packets->kept_size >= wanted)
		return size < packets->left ? size : packets->left;
	kept[packets->kept_size++] = *bytes;
	return 1;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	struct mysql *mysql = state;
	struct packets *packets = &mysql->from[from];
	size_t taken;

	if (packets->head < HEAD)
		return take_head(mysql, from, *bytes) ? 1 : 0;
	taken = keep(mysql, from, bytes, size);
	packets->left -= (uint32_t)taken;
	if (packets->left == 0 && !end_part(mysql, from))
		return 0;
	return taken;
}

static bool is_between(const struct packets *packets)
{
	return packets->head == 0 && !packets->is_continued;
}

static bool can_send(const void *state, enum side target)
{
	const struct mysql *mysql = state;

	return target == SERVER && mysql->phase == COMMANDS && mysql->answer.waiting == 0 &&
	       is_between(&mysql->from[CLIENT]) && is_between(&mysql->from[SERVER]);
}

const struct probe_parser probe_mysql = {
	.name = "mysql",
	.targets = 1 << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { stmt_close, sizeof stmt_close },
};
