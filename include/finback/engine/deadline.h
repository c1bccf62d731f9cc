#ifndef FINBACK_ENGINE_DEADLINE_H
#define FINBACK_ENGINE_DEADLINE_H

#include <finback/engine/ending.h>
#include <finback/engine/side.h>

#include <stdbool.h>
#include <stdint.h>

struct session;

/*
 * The deadlines of a session: from its state, its policy and the time, which one comes next and
 * which has passed. Pure: nothing is armed here, and nothing is kept beside the session's record.
 * All times and durations are microseconds; 0 as a duration means that the deadline is off.
 */

enum deadline {
	DEADLINE_CONNECT,
	DEADLINE_FIRST_BYTE,
	DEADLINE_IDLE,
	DEADLINE_HALF_CLOSED,
	DEADLINE_HALF_CLOSED_MAX,
	DEADLINE_STALL,
	DEADLINE_SESSION,
	DEADLINE_LINGER,
	DEADLINES,
	/* Not a deadline of the user's: the time to look how much the kernel still holds, because
	 * progress there pushes one of the above on. */
	DEADLINE_LOOK = DEADLINES,
	DEADLINE_NONE
};

/* What the configuration says about one listener's sessions. Immutable. */
struct policy {
	int64_t timeouts_us[DEADLINES];
	int64_t dead_after_us[SIDES]; /* looked for by finback too; 0: what the kernel does */
	int64_t alive_us[SIDES];   /* heard from within this: known to be alive; 0: never known */
	bool is_sparing_alive;     /* timeouts.idle_spares_alive */
	uint32_t buffer_bytes;     /* of finback's own memory a flow, at most */
	bool is_closed_on_timeout; /* on_timeout = "close": a deadline ends with FIN, not with RST
				    */
};

/* The name of the key in `timeouts`: "connect", "first_byte" ...; "look" for DEADLINE_LOOK. */
const char *deadline_name(enum deadline deadline);

/* The built-in default of each, in microseconds. */
extern const int64_t deadline_defaults_us[DEADLINES];

/* The ending of a session that `deadline` ends, where nothing else caused it before. */
enum ending deadline_ending(enum deadline deadline);

struct deadline_at {
	enum deadline deadline; /* DEADLINE_NONE: nothing is running */
	int64_t at_us;
};

/* The earliest deadline that would end the session, or its connect attempt: what
 * users are told. Looks are left out. */
struct deadline_at deadline_ending_next(const struct session *session, const struct policy *policy);

/* The earliest deadline of the session, which may lie in the past: then it has passed. */
struct deadline_at deadline_next(const struct session *session, const struct policy *policy);

#endif
