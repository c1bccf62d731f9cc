#ifndef FINBACK_SRC_ENGINE_PROBE_MYSQL_ANSWER_H
#define FINBACK_SRC_ENGINE_PROBE_MYSQL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The commands of a MySQL session that wait for their answers, and how far the answer to the oldest
 * has come. Part of probe_mysql.c.
 */

/* What a command is answered with. */
enum mysql_kind {
	MYSQL_REFUSED,    /* not followed */
	MYSQL_UNANSWERED, /* nothing, ever */
	MYSQL_DONE,       /* OK, EOF or an error */
	MYSQL_WORDS,      /* one packet of text, or an error */
	MYSQL_FIELDS,     /* column definitions up to an EOF */
	MYSQL_FETCH,      /* rows up to an EOF */
	MYSQL_PREPARE,    /* a statement with definitions of its parameters and columns */
	MYSQL_QUERY,      /* OK, or result sets */
	MYSQL_EXECUTE     /* the same, or a cursor */
};

/* More commands in flight than these, and the session is not followed. */
#define MYSQL_WAITING_MAX 16
/* What is kept of a packet's beginning: an OK packet up to its status flags. */
#define MYSQL_KEPT 24

struct mysql_packet {
	const unsigned char *kept; /* MYSQL_KEPT bytes, of which `size` count */
	uint32_t size;             /* of its first part, where it has several */
};
/* A part of this size is followed by another. */
#define MYSQL_PART_MAX 0xffffffU

struct mysql_answer {
	uint8_t kinds[MYSQL_WAITING_MAX]; /* enum mysql_kind, the oldest first */
	uint8_t waiting;
	uint8_t step;    /* of the oldest's answer */
	bool is_begun;   /* a packet of it has come */
	uint16_t params; /* definitions that are to come */
	uint16_t columns;
	bool without_eof;  /* agreed on: CLIENT_DEPRECATE_EOF */
	bool tells_cached; /* agreed on: MARIADB_CLIENT_CACHE_METADATA */
	bool has_progress; /* agreed on: MARIADB_CLIENT_PROGRESS */
};

/* A command was sent. Returns whether it is followed. */
bool mysql_answer_expect(struct mysql_answer *answer, enum mysql_kind kind);

/* The server sent a packet. Returns whether it fits. */
bool mysql_answer_take(struct mysql_answer *answer, const struct mysql_packet *packet);

/* Whether the packet is an OK; *ret_status is its status flags. Its first byte is the caller's to
 * look at. */
bool mysql_packet_is_ok(const struct mysql_packet *packet, unsigned *ret_status);

#endif
