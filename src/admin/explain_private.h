#ifndef FINBACK_ADMIN_EXPLAIN_PRIVATE_H
#define FINBACK_ADMIN_EXPLAIN_PRIVATE_H

#include <finback/daemon/view.h>

#include <stdbool.h>
#include <stdint.h>

#include "sentence.h"

/*
 * What the files of the explanation share: explain.c tells where a session is, explain_wait.c what
 * waits in it.
 */

/* What moved within this time is on the move; what did not has been waiting. */
#define EXPLAIN_STILL_US INT64_C(1000000)

static inline const struct flow *flow_from(const struct session_view *view, enum side side)
{
	return &view->session.flows[side];
}

static inline const struct flow *flow_to(const struct session_view *view, enum side side)
{
	return &view->session.flows[other(side)];
}

static inline const struct leg *leg_of(const struct session_view *view, enum side side)
{
	return &view->session.legs[side];
}

static inline bool is_unix(const struct session_view *view, enum side side)
{
	return view->session.legs[side].is_unix;
}

static inline struct words since(const struct session_view *view, int64_t us)
{
	return words_duration(view->now_us - us);
}

/* explain_wait.c */

/* Whether the kernel was asked about this side. */
bool is_asked(const struct session_view *view, enum side side);

/* What the kernel holds for this side, a FIN counted as one; 0 where it was not asked. */
uint64_t in_kernel(const struct session_view *view, enum side side);

/* What came from this side and waits in the kernel to be read; 0 where it was not asked. */
uint64_t unread_from(const struct session_view *view, enum side side);

/* Whether nothing has moved towards `sink` for a while. */
bool is_still(const struct session_view *view, enum side sink);

/* Whether something towards `sink` waits, and not just since now. */
bool is_stuck(const struct session_view *view, enum side sink);

/* Keepalive probes to this side without an answer. */
unsigned vain_probes(const struct session_view *view, enum side side);

/* Whether this side was heard long after the last byte moved from it or to it: then it answers
 * probes, as nothing else is left to be acknowledged. */
bool is_heard_since(const struct session_view *view, enum side side);

/* How long ago this side was last heard; only where the kernel was asked. */
struct words since_heard(const struct session_view *view, enum side side);

/* ", taken for dead after 2 min of silence": what comes of a side that leaves something unanswered;
 * nothing where dead_after is off. Only where the kernel was asked. */
void say_verdict(struct sentence *sentence, const struct session_view *view, enum side side);

/* Says what waits for `sink`, where it is stuck or finback holds something: "the server has not
 * acknowledged 17 bytes from the client for 12 s". */
void say_waiting(struct sentence *sentence, const struct session_view *view, enum side sink);

/* "; ", and what `side` is still to take or to acknowledge at the end. Returns whether there is
 * anything; nothing is said where there is not. */
bool say_last_of(struct sentence *sentence, const struct session_view *view, enum side side);

/* "has sent nothing for 41 s". */
void say_sending(struct sentence *sentence, const struct session_view *view, enum side side);

/* Of a side that sends nothing: ", though it was heard 3 s ago", or how many probes it left
 * unanswered. */
void say_whether_alive(struct sentence *sentence, const struct session_view *view, enum side side);

#endif
