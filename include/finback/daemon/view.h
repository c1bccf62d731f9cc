#ifndef FINBACK_DAEMON_VIEW_H
#define FINBACK_DAEMON_VIEW_H

#include <finback/engine/deadline.h>
#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/engine/probe.h>
#include <finback/engine/session.h>
#include <finback/engine/side.h>
#include <finback/io/liveness.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Sessions as copies, for who shows them: live ones as they were at one moment, and the last that
 * ended. A copy refers to nothing that ends with the session or its configuration: the names live
 * as long as the process relays.
 */

/* The application probe towards one side, as it stands. */
struct probe_view {
	int64_t due_us;      /* watching: the next one; awaiting: the answer; 0: nothing is due */
	int64_t sent_us;     /* awaiting: when it was sent */
	int64_t answered_us; /* the last answer; 0: none came */
	uint32_t sent;
	uint32_t replies;
	uint8_t protocol; /* enum probe_protocol */
	uint8_t mode;     /* enum probe_mode */
	bool is_on;       /* false: this side has none, and all else is 0 */
	bool is_fatal;    /* on_silence = "end": without an answer in time the side is dead */
};

struct session_view {
	struct session session;
	struct endpoint peers[SIDES];
	int64_t now_us; /* monotonic_us(), when it was copied */
	const char *listener;
	const char *pool;
	const char *server_name;   /* NULL: none was chosen */
	size_t worker;             /* its index */
	struct deadline_at ending; /* the next deadline that would end it, or its connect attempt */
	bool is_retrying;          /* waits before it tries the same server again */
	int64_t dead_after_us[SIDES];    /* 0: off, no TCP, or keepalive has its own */
	bool is_sparing_alive;           /* timeouts.idle_spares_alive */
	bool is_brief;                   /* without the following: */
	struct probe_view probes[SIDES]; /* by the side they go to */
	struct endpoint locals[SIDES];
	struct tcp_facts tcp[SIDES]; /* state 0: not a TCP socket, or there is none */
};

/* One that ended. */
struct ended_view {
	uint64_t id;
	int64_t ended_us; /* monotonic_us() */
	int64_t lived_us;
	int64_t half_closed_us; /* for how long; -1: it never was */
	int64_t connect_us;     /* -1: no server was connected */
	const char *listener;
	const char *pool;
	const char *server_name; /* NULL: none was chosen */
	uint64_t bytes[SIDES];   /* that came from that side */
	struct endpoint peers[SIDES];
	int error; /* -errno behind the ending; 0: none known */
	uint16_t connects;
	uint8_t ending;   /* enum ending */
	uint8_t closer;   /* enum closer */
	uint8_t detector; /* enum detector; DETECTORS: none */
};

/* The last sessions of one worker that ended; a ring. */
#define ENDED_MAX 1024

struct ended {
	struct ended_view *views; /* ENDED_MAX of them */
	uint64_t count;           /* ever written */
};

/* Returns 0 or -ENOMEM. */
int ended_init(struct ended *ended);
void ended_fini(struct ended *ended);

/* The place of the next one, which overwrites the oldest. */
struct ended_view *ended_next(struct ended *ended);

/* Copies the newest `max` of those that `wants` (with `owner`) takes, newest first. Returns how
 * many. */
size_t ended_copy(const struct ended *ended, struct ended_view *ret_views, size_t max,
		  bool (*wants)(const struct ended_view *view, const void *owner),
		  const void *owner);

#endif
