/*
 * Which deadline of a session comes next.
 *
 * Invariant: a deadline on progress never passes while the kernel still gets bytes acknowledged:
 * where something is outstanding, a look comes often enough (1/64 of the deadline) that what it
 * finds can push the deadline on, and costs next to nothing on a session that is quiet.
 *
 * To tell a dead peer from a slow one other looks are needed, which engine/vigil plans; they come
 * on top of these.
 *
 * Surprising: no event of the kernel's tells when data without a FIN is acknowledged, so a session
 * that is to be reset after its last bytes looks at once, then at growing distances.
 */
#include <finback/engine/deadline.h>
#include <finback/engine/session.h>
#include <finback/engine/times.h>
#include <finback/engine/vigil.h>

#include <assert.h>
#include <stddef.h>

#define SECOND_US       INT64_C(1000000)
#define LOOKS           64 /* a deadline: at most 1.6 % late */
#define LOOK_MIN_US     (25 * 1000)
#define LOOK_MAX_US     (60 * SECOND_US)
#define LOOK_AT_ONCE_US 1000
#define LOOK_UNBOUND_US SECOND_US /* between looks where no deadline runs */

const int64_t deadline_defaults_us[DEADLINES] = {
	[DEADLINE_CONNECT] = 5 * SECOND_US,
	[DEADLINE_FIRST_BYTE] = 0,
	[DEADLINE_IDLE] = 3600 * SECOND_US,
	[DEADLINE_HALF_CLOSED] = 300 * SECOND_US,
	[DEADLINE_HALF_CLOSED_MAX] = 0,
	[DEADLINE_STALL] = 0,
	[DEADLINE_SESSION] = 0,
	[DEADLINE_LINGER] = 60 * SECOND_US,
};

static const char *const names[] = {
	[DEADLINE_CONNECT] = "connect",
	[DEADLINE_FIRST_BYTE] = "first_byte",
	[DEADLINE_IDLE] = "idle",
	[DEADLINE_HALF_CLOSED] = "half_closed",
	[DEADLINE_HALF_CLOSED_MAX] = "half_closed_max",
	[DEADLINE_STALL] = "stall",
	[DEADLINE_SESSION] = "session",
	[DEADLINE_LINGER] = "linger",
	[DEADLINE_LOOK] = "look",
	[DEADLINE_NONE] = "none",
};
static_assert(sizeof names / sizeof *names == DEADLINE_NONE + 1, "a name for each deadline");

static const enum ending endings[] = {
	[DEADLINE_CONNECT] = ENDING_CONNECT_TIMEOUT,
	[DEADLINE_FIRST_BYTE] = ENDING_FIRST_BYTE_TIMEOUT,
	[DEADLINE_IDLE] = ENDING_IDLE_TIMEOUT,
	[DEADLINE_HALF_CLOSED] = ENDING_HALF_CLOSED_TIMEOUT,
	[DEADLINE_HALF_CLOSED_MAX] = ENDING_HALF_CLOSED_TIMEOUT,
	[DEADLINE_STALL] = ENDING_STALL_TIMEOUT,
	[DEADLINE_SESSION] = ENDING_SESSION_TIMEOUT,
	[DEADLINE_LINGER] = ENDING_UNDELIVERED,
};
static_assert(sizeof endings / sizeof *endings == DEADLINES, "an ending for each deadline");

const char *deadline_name(enum deadline deadline)
{
	return names[deadline];
}

enum ending deadline_ending(enum deadline deadline)
{
	assert(deadline < DEADLINES);
	return endings[deadline];
}

/* The search for the earliest; `shortest_us` is the shortest deadline on progress seen so far. */
struct search {
	const struct session *session;
	const struct policy *policy;
	struct deadline_at next;
	int64_t shortest_us;
	bool has_looks;
};

static void take_if_earlier(struct search *search, enum deadline deadline, int64_t at_us)
{
	if (search->next.deadline == DEADLINE_NONE || at_us < search->next.at_us)
		search->next = (struct deadline_at){ deadline, at_us };
}

/* A deadline counted from one moment. */
static void consider(struct search *search, enum deadline deadline, int64_t since_us)
{
	int64_t timeout_us = search->policy->timeouts_us[deadline];

	if (timeout_us > 0)
		take_if_earlier(search, deadline, since_us + timeout_us);
}

/* A deadline counted from the last progress, which a look may find to be later than known. */
static void consider_progress(struct search *search, enum deadline deadline, int64_t since_us)
{
	int64_t timeout_us = search->policy->timeouts_us[deadline];

	consider(search, deadline, since_us);
	if (timeout_us > 0 && (search->shortest_us == 0 || timeout_us < search->shortest_us))
		search->shortest_us = timeout_us;
}

/* How long after the last look, or write, the next look is due. */
static int64_t look_distance_us(const struct search *search, int64_t last_us)
{
	const struct session *session = search->session;
	int64_t longest_us = LOOK_UNBOUND_US;
	int64_t moved_us;
	int64_t quiet_us;

	if (search->shortest_us > 0)
		longest_us = bounded(search->shortest_us / LOOKS,
				     earlier(LOOK_MIN_US, search->shortest_us / 4), LOOK_MAX_US);
	if (session->phase != SESSION_CUTTING)
		return longest_us;
	moved_us = later(moment_us(session->flows[CLIENT].progressed),
			 moment_us(session->flows[SERVER].progressed));
	quiet_us = last_us - later(moved_us, session_closing_us(session));
	if (quiet_us / 2 < longest_us)
		return later(quiet_us / 2, LOOK_AT_ONCE_US);
	return longest_us;
}

static void consider_looks(struct search *search, bool is_needed)
{
	const struct session *session = search->session;

	for (int side = CLIENT; side < SIDES && is_needed && search->has_looks; side++) {
		const struct flow *towards = &session->flows[other((enum side)side)];
		int64_t last_us = later(moment_us(session->legs[side].looked),
					moment_us(towards->progressed));

		if (session_is_outstanding(session, (enum side)side))
			take_if_earlier(search, DEADLINE_LOOK,
					last_us + look_distance_us(search, last_us));
	}
}

/* Finback's own part in finding dead peers, while keepalive sleeps. */
static void consider_vigil(struct search *search)
{
	const struct session *session = search->session;

	for (int side = CLIENT; side < SIDES && search->has_looks; side++) {
		int64_t dead_after_us = search->policy->dead_after_us[side];

		if (dead_after_us > 0 && !session->legs[side].is_unix &&
		    session_is_outstanding(session, (enum side)side))
			take_if_earlier(search, DEADLINE_LOOK,
					vigil_due_us(session, (enum side)side, dead_after_us));
	}
}

static void search_connecting(struct search *search)
{
	consider(search, DEADLINE_CONNECT, moment_us(search->session->attempted_or_connected));
	if (!search->session->has_spoken)
		consider(search, DEADLINE_FIRST_BYTE, moment_us(search->session->accepted));
}

/* Since when a sink has taken nothing. What the kernel holds for it tells, where something is
 * unacknowledged; a UNIX sink is known by its writes alone. */
static int64_t stalled_since(const struct session *session, enum side sink)
{
	const struct leg *leg = &session->legs[sink];
	int64_t since_us = later(moment_us(leg->waiting), moment_us(leg->gained));

	if (session_is_outstanding(session, sink))
		return since_us;
	return later(since_us, moment_us(session->flows[other(sink)].progressed));
}

/* Bytes wait for a reader, in finback or in the kernel. */
static void search_stall(struct search *search)
{
	const struct session *session = search->session;

	for (int side = CLIENT; side < SIDES; side++) {
		enum side sink = other((enum side)side);
		const struct flow *flow = &session->flows[side];

		if (flow->held > 0 || session_is_awaited(session, sink))
			consider_progress(search, DEADLINE_STALL, stalled_since(session, sink));
	}
}

static void search_relaying(struct search *search)
{
	const struct session *session = search->session;
	int64_t progress_us = session_progress_us(session);

	if (!session->has_spoken)
		consider(search, DEADLINE_FIRST_BYTE, moment_us(session->accepted));
	search_stall(search);
	if (!session->has_half_closed) {
		consider_progress(search, DEADLINE_IDLE,
				  later(progress_us, session_spared_us(session)));
	} else {
		int64_t half_closed_us = session_half_closed_us(session);

		consider(search, DEADLINE_HALF_CLOSED_MAX, half_closed_us);
		consider_progress(search, DEADLINE_HALF_CLOSED, later(progress_us, half_closed_us));
	}
	consider_looks(search, search->shortest_us > 0);
	consider_vigil(search);
}

/* A side that was lost behind its FIN may be found to have ended only when it has been read to the
 * end: that FIN goes on then, and lingers from then on. */
static int64_t lingering_since(const struct session *session)
{
	int64_t ended_us = later(moment_us(session->flows[CLIENT].ended),
				 moment_us(session->flows[SERVER].ended));

	return later(later(session_progress_us(session), session_closing_us(session)), ended_us);
}

static void search_closing(struct search *search)
{
	consider_progress(search, DEADLINE_LINGER, lingering_since(search->session));
	consider_looks(search, true);
	consider_vigil(search);
}

static struct deadline_at run(struct search *search)
{
	const struct session *session = search->session;

	switch ((enum session_phase)session->phase) {
	case SESSION_CONNECTING:
		search_connecting(search);
		break;
	case SESSION_RELAYING:
		search_relaying(search);
		break;
	case SESSION_CLOSING:
	case SESSION_CUTTING:
		search_closing(search);
		break;
	case SESSION_OVER:
	case SESSION_PHASES:
		return search->next;
	}
	if (!session->is_discarding) /* it may be what ended the session */
		consider(search, DEADLINE_SESSION, moment_us(session->accepted));
	return search->next;
}

struct deadline_at deadline_next(const struct session *session, const struct policy *policy)
{
	return run(&(struct search){
		.session = session,
		.policy = policy,
		.next = { .deadline = DEADLINE_NONE },
		.has_looks = true,
	});
}

struct deadline_at deadline_ending_next(const struct session *session, const struct policy *policy)
{
	return run(&(struct search){
		.session = session,
		.policy = policy,
		.next = { .deadline = DEADLINE_NONE },
	});
}
