#ifndef FINBACK_DAEMON_POOL_H
#define FINBACK_DAEMON_POOL_H

#include <finback/engine/balance.h>
#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/host/config.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A pool's life while the daemon runs: whose turn it is, how many sessions each server has, and one
 * session's attempts to connect. All workers share a pool; what changes in it is atomic. Never
 * waits and never logs.
 */

/* How an attempt to connect to a server ended, as it is counted. */
enum pool_result {
	POOL_RESULT_OK,
	POOL_RESULT_REFUSED,
	POOL_RESULT_TIMEOUT,
	POOL_RESULT_UNREACHABLE,
	POOL_RESULT_FAILED,
	POOL_RESULTS
};

/* What the operator wants of a server. */
enum pool_state {
	POOL_READY, /* it gets sessions */
	POOL_DRAIN, /* it gets no new ones; live ones go on */
	POOL_MAINT, /* as drain, and it counts as down */
	POOL_STATES
};

/* What outlives a reload: one server, known by the pool's and its own name. */
struct pool_load {
	_Atomic uint32_t sessions;
	_Atomic uint32_t state; /* enum pool_state */
	_Atomic uint64_t connects[POOL_RESULTS];
	const char *name; /* lives as long as this */
};

struct pool {
	const struct config_pool *config; /* of the generation the pool belongs to */
	const char *name;                 /* outlives the generation */
	_Atomic uint64_t *turn;           /* kept over reloads */
	struct pool_load *loads[BALANCE_SERVERS_MAX];
};

/* How a connect attempt failed. */
enum pool_failure {
	POOL_FAILURE_NONE,
	POOL_FAILURE_REFUSED,
	POOL_FAILURE_TIMEOUT,
	POOL_FAILURE_UNREACHABLE,
	POOL_FAILURE_EXHAUSTED, /* no descriptor, port or memory of our own left */
	POOL_FAILURE_OTHER,
	POOL_FAILURES
};

/* How a listener connects to the servers of its pool. */
struct pool_origin {
	const struct address *sources; /* in turn, those of a server's family; ports are 0 */
	size_t source_count;           /* 0: the kernel chooses; CONFIG_SOURCES_MAX at most */
	/* Whose turn it is, for each server: the ports of a source are counted for each by itself.
	 * NULL without sources. */
	_Atomic uint64_t *turns;
	uint32_t buffer_cap; /* of the kernel's buffers of a socket; 0: its own tuning */
};

/* One session's way through the servers. */
struct pool_attempt {
	struct pool *pool;
	const struct pool_origin *origin;
	bool has_bytes; /* the client's first bytes wait for the server: the caller's to set */
	struct balance_tried tried;
	uint64_t turn;          /* of this session in the pool, the same for all its tries */
	int server;             /* the current one, or the last; BALANCE_NONE: none yet */
	size_t address;         /* the current one of its addresses */
	uint16_t tries;         /* addresses tried */
	unsigned busy_ms;       /* nothing to connect with, now: try again after this; 0: no */
	int busy_error;         /* why, as -errno */
	enum pool_failure last; /* of the last attempt that failed */
	int last_error;         /* its -errno; 0: it took too long */
};

/* Takes the pool's next turn; connects nothing yet. `origin` outlives the attempt. */
void pool_attempt_init(struct pool_attempt *attempt, struct pool *pool,
		       const struct pool_origin *origin);

/* Starts to connect to the next address of the current server, or of the next server. Returns 0
 * when connected at once or -EINPROGRESS, with *ret_fd set; -EAGAIN when the same address should be
 * tried again after busy_ms, as its backlog is full (UNIX) or no descriptor or memory is left;
 * -ENOENT when there is no server left to try. Each server and each of its addresses is tried once
 * at the most; an address from each source, as long as the source has no port left. *ret_address is
 * the last of the server's addresses that was tried now, for pool_server_endpoint(); where none
 * was, it is untouched. */
int pool_attempt_next(struct pool_attempt *attempt, int *ret_fd, uint8_t *ret_address);

/* The attempt under way has succeeded: counts it. */
void pool_attempt_connected(const struct pool_attempt *attempt);

/* The attempt under way failed with `error` (-errno), or took too long (0). */
void pool_attempt_failed(struct pool_attempt *attempt, int error);

/* Releases the current server's load, when the session is over or the attempt is given up. */
void pool_release(struct pool *pool, int server);

/* The ending of a session for which nothing is left to try. */
enum ending pool_attempt_ending(const struct pool_attempt *attempt);

/* The server's name, which outlives the generation; NULL for BALANCE_NONE. */
const char *pool_server_name(const struct pool *pool, int server);

/* One of the server's addresses; ENDPOINT_NONE for BALANCE_NONE. */
struct endpoint pool_server_endpoint(const struct pool *pool, int server, uint8_t address);

/* "ok", "refused", "timeout", "unreachable", "failed". */
const char *pool_result_name(enum pool_result result);

/* "ready", "drain", "maint". */
const char *pool_state_name(enum pool_state state);

#endif
