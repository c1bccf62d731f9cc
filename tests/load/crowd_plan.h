#ifndef FINBACK_LOAD_CROWD_PLAN_H
#define FINBACK_LOAD_CROWD_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What each end of a session does: drawn from the run's seed and the session's number alone, so
 * that both ends know it and a run can be repeated. Never touches a socket.
 */

enum role {
	ROLE_CLIENT,
	ROLE_SERVER,
	ROLES
};

static inline enum role role_other(enum role role)
{
	return role == ROLE_CLIENT ? ROLE_SERVER : ROLE_CLIENT;
}

enum start {
	START_AT_ONCE,
	START_AFTER_HEADER, /* the other end speaks first */
	START_AFTER_FIN,    /* the other end has ended its flow first */
	STARTS
};

enum finish {
	FINISH_FIN,
	FINISH_FIN_AFTER_PEER, /* its own FIN follows the other end's */
	FINISH_ABORT,          /* a reset instead of a FIN */
	FINISH_CLOSE_UNREAD,   /* close() on bytes that it has not read, which is a reset too */
	FINISH_FIN_THEN_ABORT, /* a FIN, and then a reset */
	FINISH_HOLD,           /* nothing: waits for the other end's reset */
	FINISHES
};

struct script {
	enum start start;
	enum finish finish;
	uint64_t bytes;     /* to send; 0, or HEADER_SIZE and more */
	uint64_t send_most; /* at a time */
	uint64_t pause_at;  /* after so many bytes ... */
	int64_t pause_us;   /* ... it waits so long */
	int64_t finish_us;  /* between the last byte and what ends the flow; before an abort too */
	uint64_t read_most;
	unsigned slow_reads; /* so many reads at first ... */
	int64_t read_gap_us; /* ... each so long after the one before */
};

/* Each flow that is not empty begins with the number of the session (from the client) or of the
 * connection (from the server). */
#define HEADER_SIZE 8

struct plan {
	const char *shape;
	struct script ends[ROLES];
	int receive_buffer; /* the client's; 0: as the kernel likes */
};

struct plan_settings {
	uint64_t seed;
	uint64_t size;   /* of a body, at most */
	uint64_t resets; /* in thousand */
	uint64_t huge;   /* in ten thousand */
};

void plan_draw(struct plan *plan, const struct plan_settings *settings, uint64_t session);

/* Which end cuts this session off, or ROLES. */
enum role plan_aborter(const struct plan *plan);

/* Whether the client ends its flow without a byte, so that nothing tells the server its number. */
bool plan_is_nameless(const struct plan *plan);

extern const char *const start_names[];
extern const char *const finish_names[];

#endif
