/*
 * engine/deadline: what each deadline counts from, what pushes it on and what does not; when looks
 * are due; and, with a simulated kernel that acknowledges bytes at given times, how exactly a relay
 * keeps the deadlines that wakes when it is told to, and never else.
 */
#include <finback/engine/deadline.h>
#include <finback/engine/session.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define MS_US      INT64_C(1000)
#define SECOND_US  INT64_C(1000000)
#define MINUTE_US  (60 * SECOND_US)
#define HOUR_US    (60 * MINUTE_US)
#define DAY_US     (24 * HOUR_US)
#define START_US   (1000 * SECOND_US)
#define ALARMS_MAX 100000

static struct policy only(enum deadline deadline, int64_t timeout_us)
{
	struct policy policy = { .buffer_bytes = 4096 };

	policy.timeouts_us[deadline] = timeout_us;
	return policy;
}

static void start(struct session *session)
{
	session_init(session, 1, START_US);
	session_attempt(session, 1, START_US);
}

static void give(struct session *session, struct fact fact, int64_t now_us)
{
	(void)session_step(session, &fact, now_us);
	(void)session_take_wishes(session);
}

static void tell(struct session *session, enum session_event event, enum side side, int64_t now_us)
{
	give(session, (struct fact){ .event = event, .side = side }, now_us);
}

static void move(struct session *session, enum session_event event, enum side side, uint32_t count,
		 int64_t now_us)
{
	give(session, (struct fact){ .event = event, .side = side, .count = count }, now_us);
}

static void relay(struct session *session, enum side from, uint32_t count, int64_t now_us)
{
	move(session, SESSION_READ, from, count, now_us);
	move(session, SESSION_WROTE, from, count, now_us);
}

static void lose(struct session *session, enum side side, int64_t now_us)
{
	give(session, (struct fact){ .event = SESSION_LOST, .side = side, .loss = LOSS_RESET },
	     now_us);
}

static void connect_at(struct session *session, int64_t now_us)
{
	start(session);
	tell(session, SESSION_CONNECTED, SERVER, now_us);
}

static void acknowledge_all(struct session *session, int64_t now_us)
{
	for (enum side side = CLIENT; side < SIDES; side++)
		if (session_is_outstanding(session, side))
			move(session, SESSION_ACKED, side, 0, now_us);
}

/* What users are told is the deadline that a relay wakes for, or, behind a look, the one that it
 * would wake for next. Returns what a relay wakes for. */
static struct deadline_at next_of(const struct session *session, const struct policy *policy)
{
	struct deadline_at next = deadline_next(session, policy);
	struct deadline_at ending = deadline_ending_next(session, policy);

	assert_int_not_equal(ending.deadline, DEADLINE_LOOK);
	if (next.deadline != DEADLINE_LOOK) {
		assert_int_equal(ending.deadline, next.deadline);
		assert_int_equal(ending.at_us, next.at_us);
	} else if (ending.deadline != DEADLINE_NONE) {
		assert_true(ending.at_us >= next.at_us);
	}
	return next;
}

static void expect_at(const struct session *session, const struct policy *policy,
		      enum deadline deadline, int64_t at_us)
{
	struct deadline_at next = next_of(session, policy);

	if (next.deadline != deadline || next.at_us != at_us)
		fail_msg("%s at %lld us, and not %s at %lld us", deadline_name(next.deadline),
			 (long long)(next.at_us - START_US), deadline_name(deadline),
			 (long long)(at_us - START_US));
}

static void expect_none(const struct session *session, const struct policy *policy)
{
	struct deadline_at next = next_of(session, policy);

	if (next.deadline != DEADLINE_NONE)
		fail_msg("%s, and not none", deadline_name(next.deadline));
}

static void test_names_endings_and_defaults(void **state)
{
	static const struct {
		enum deadline deadline;
		const char *name;
		enum ending ending;
		int64_t default_us;
	} rows[] = {
		{ DEADLINE_CONNECT, "connect", ENDING_CONNECT_TIMEOUT, 5 * SECOND_US },
		{ DEADLINE_FIRST_BYTE, "first_byte", ENDING_FIRST_BYTE_TIMEOUT, 0 },
		{ DEADLINE_IDLE, "idle", ENDING_IDLE_TIMEOUT, HOUR_US },
		{ DEADLINE_HALF_CLOSED, "half_closed", ENDING_HALF_CLOSED_TIMEOUT, 5 * MINUTE_US },
		{ DEADLINE_HALF_CLOSED_MAX, "half_closed_max", ENDING_HALF_CLOSED_TIMEOUT, 0 },
		{ DEADLINE_STALL, "stall", ENDING_STALL_TIMEOUT, 0 },
		{ DEADLINE_SESSION, "session", ENDING_SESSION_TIMEOUT, 0 },
		{ DEADLINE_LINGER, "linger", ENDING_UNDELIVERED, MINUTE_US },
	};

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), DEADLINES);
	for (size_t i = 0; i < DEADLINES; i++) {
		assert_string_equal(deadline_name(rows[i].deadline), rows[i].name);
		assert_int_equal(deadline_ending(rows[i].deadline), rows[i].ending);
		assert_int_equal(deadline_defaults_us[rows[i].deadline], rows[i].default_us);
	}
	assert_string_equal(deadline_name(DEADLINE_LOOK), "look");
	assert_string_equal(deadline_name(DEADLINE_NONE), "none");
}

/* With every deadline off nothing runs, in any phase. */
static void test_all_off(void **state)
{
	struct policy off = { .buffer_bytes = 4096 };
	struct session session;

	(void)state;
	start(&session);
	expect_none(&session, &off);
	tell(&session, SESSION_CONNECTED, SERVER, START_US);
	expect_none(&session, &off);
	relay(&session, CLIENT, 9, START_US);
	expect_none(&session, &off);
	move(&session, SESSION_READ, CLIENT, 9, START_US);
	expect_none(&session, &off);
	move(&session, SESSION_WROTE, CLIENT, 9, START_US);
	tell(&session, SESSION_ENDED, CLIENT, START_US);
	expect_none(&session, &off);
	acknowledge_all(&session, START_US);
	tell(&session, SESSION_ENDED, SERVER, START_US);
	assert_int_equal(session.phase, SESSION_CLOSING);
	assert_int_equal(deadline_next(&session, &off).deadline, DEADLINE_LOOK);
	acknowledge_all(&session, START_US);
	assert_int_equal(session.phase, SESSION_OVER);
	expect_none(&session, &off);
}

static void test_over_has_no_deadline(void **state)
{
	struct policy policy = { .buffer_bytes = 4096 };
	struct session session;

	(void)state;
	for (enum deadline deadline = 0; deadline < DEADLINES; deadline++)
		policy.timeouts_us[deadline] = SECOND_US;
	start(&session);
	give(&session, (struct fact){ .event = SESSION_CUT, .ending = ENDING_KILLED }, START_US);
	expect_none(&session, &policy);
}

static void test_connect_runs_per_attempt(void **state)
{
	struct policy policy = only(DEADLINE_CONNECT, 5 * SECOND_US);
	struct session session;

	(void)state;
	start(&session);
	expect_at(&session, &policy, DEADLINE_CONNECT, START_US + 5 * SECOND_US);
	tell(&session, SESSION_SPOKE, CLIENT, START_US + SECOND_US);
	expect_at(&session, &policy, DEADLINE_CONNECT, START_US + 5 * SECOND_US);
	tell(&session, SESSION_NEXT, SERVER, START_US + 2 * SECOND_US);
	session_attempt(&session, 2, START_US + 2 * SECOND_US);
	expect_at(&session, &policy, DEADLINE_CONNECT, START_US + 7 * SECOND_US);
	tell(&session, SESSION_CONNECTED, SERVER, START_US + 3 * SECOND_US);
	expect_none(&session, &policy);
}

static void test_first_byte_runs_from_accept(void **state)
{
	static const enum session_event speaking[] = { SESSION_READ, SESSION_ENDED };
	struct policy policy = only(DEADLINE_FIRST_BYTE, 5 * SECOND_US);
	struct session session;

	(void)state;
	start(&session);
	session_attempt(&session, 2, START_US + SECOND_US);
	expect_at(&session, &policy, DEADLINE_FIRST_BYTE, START_US + 5 * SECOND_US);
	tell(&session, SESSION_SPOKE, CLIENT, START_US + SECOND_US);
	expect_none(&session, &policy);
	for (size_t i = 0; i < 2; i++) {
		connect_at(&session, START_US + SECOND_US);
		expect_at(&session, &policy, DEADLINE_FIRST_BYTE, START_US + 5 * SECOND_US);
		relay(&session, SERVER, 1, START_US + 2 * SECOND_US);
		tell(&session, SESSION_ENDED, SERVER, START_US + 2 * SECOND_US);
		expect_at(&session, &policy, DEADLINE_FIRST_BYTE, START_US + 5 * SECOND_US);
		move(&session, speaking[i], CLIENT, 1, START_US + 3 * SECOND_US);
		assert_int_not_equal(deadline_next(&session, &policy).deadline,
				     DEADLINE_FIRST_BYTE);
	}
}

static void test_idle_is_pushed_on_by_progress_both_ways(void **state)
{
	struct policy policy = only(DEADLINE_IDLE, HOUR_US);
	struct session session;

	(void)state;
	start(&session);
	expect_none(&session, &policy);
	tell(&session, SESSION_CONNECTED, SERVER, START_US + 1);
	expect_at(&session, &policy, DEADLINE_IDLE, START_US + 1 + HOUR_US);
	move(&session, SESSION_READ, CLIENT, 2, START_US + 2);
	expect_at(&session, &policy, DEADLINE_IDLE, START_US + 2 + HOUR_US);
	move(&session, SESSION_WROTE, CLIENT, 2, START_US + 3);
	move(&session, SESSION_ACKED, SERVER, 1, START_US + 4);
	move(&session, SESSION_ACKED, SERVER, 0, START_US + 5);
	expect_at(&session, &policy, DEADLINE_IDLE, START_US + 5 + HOUR_US);
	relay(&session, SERVER, 1, START_US + 6);
	acknowledge_all(&session, START_US + 7);
	/* A first look after a write finds what it finds. */
	expect_at(&session, &policy, DEADLINE_IDLE, START_US + 6 + HOUR_US);
	tell(&session, SESSION_ENDED, SERVER, START_US + 8);
	acknowledge_all(&session, START_US + 8);
	expect_none(&session, &policy);
}

static void test_half_closed_is_pushed_on_by_progress(void **state)
{
	struct policy policy = only(DEADLINE_HALF_CLOSED, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	expect_none(&session, &policy);
	tell(&session, SESSION_ENDED, CLIENT, START_US + 1);
	acknowledge_all(&session, START_US + 1);
	expect_at(&session, &policy, DEADLINE_HALF_CLOSED, START_US + 1 + MINUTE_US);
	relay(&session, SERVER, 5, START_US + 9);
	acknowledge_all(&session, START_US + 9);
	expect_at(&session, &policy, DEADLINE_HALF_CLOSED, START_US + 9 + MINUTE_US);
	tell(&session, SESSION_ENDED, SERVER, START_US + 10);
	assert_int_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	acknowledge_all(&session, START_US + 10);
	expect_none(&session, &policy);
}

static void test_half_closed_max_is_not_pushed_on(void **state)
{
	struct policy policy = only(DEADLINE_HALF_CLOSED_MAX, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	expect_none(&session, &policy);
	tell(&session, SESSION_ENDED, SERVER, START_US + 1);
	expect_at(&session, &policy, DEADLINE_HALF_CLOSED_MAX, START_US + 1 + MINUTE_US);
	relay(&session, CLIENT, 5, START_US + 9);
	expect_at(&session, &policy, DEADLINE_HALF_CLOSED_MAX, START_US + 1 + MINUTE_US);
}

static void test_stall_runs_while_bytes_wait(void **state)
{
	struct policy policy = only(DEADLINE_STALL, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	expect_none(&session, &policy);
	/* Held here, for a server whose kernel has taken everything so far. */
	move(&session, SESSION_READ, CLIENT, 4, START_US + 1);
	expect_at(&session, &policy, DEADLINE_STALL, START_US + 1 + MINUTE_US);
	/* The other flow's progress is none of this one's. */
	relay(&session, SERVER, 1, START_US + 2);
	acknowledge_all(&session, START_US + 2);
	expect_at(&session, &policy, DEADLINE_STALL, START_US + 1 + MINUTE_US);
	move(&session, SESSION_WROTE, CLIENT, 4, START_US + 3);
	move(&session, SESSION_ACKED, SERVER, 4, START_US + 3 + MINUTE_US - 1);
	/* In the server's kernel, and unread there. */
	expect_at(&session, &policy, DEADLINE_STALL, START_US + 3 + MINUTE_US);
	move(&session, SESSION_ACKED, SERVER, 3, START_US + 3 + MINUTE_US);
	move(&session, SESSION_ACKED, SERVER, 3, START_US + 3 + 2 * MINUTE_US - 1);
	expect_at(&session, &policy, DEADLINE_STALL, START_US + 3 + 2 * MINUTE_US);
	move(&session, SESSION_ACKED, SERVER, 0, START_US + 3 + 2 * MINUTE_US);
	expect_none(&session, &policy);
}

/* A FIN after a long silence begins to wait when it is sent, not when the last byte was. */
static void test_stall_of_a_fin_counts_from_the_fin(void **state)
{
	struct policy policy = only(DEADLINE_STALL, MINUTE_US);
	struct session session;
	int64_t ended_us = START_US + HOUR_US;
	struct deadline_at next;

	(void)state;
	connect_at(&session, START_US);
	relay(&session, CLIENT, 4, START_US);
	acknowledge_all(&session, START_US);
	tell(&session, SESSION_ENDED, CLIENT, ended_us);
	move(&session, SESSION_ACKED, SERVER, 1, ended_us);
	next = deadline_next(&session, &policy);
	if (next.deadline != DEADLINE_NONE)
		assert_true(next.at_us > ended_us);
	if (next.deadline == DEADLINE_STALL)
		assert_int_equal(next.at_us, ended_us + MINUTE_US);
}

static void test_linger_runs_while_closing(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	relay(&session, SERVER, 9, START_US);
	tell(&session, SESSION_ENDED, CLIENT, START_US + 1);
	expect_none(&session, &policy);
	move(&session, SESSION_ACKED, SERVER, 0, START_US + 1);
	tell(&session, SESSION_ENDED, SERVER, START_US + HOUR_US);
	move(&session, SESSION_ACKED, CLIENT, 10, START_US + HOUR_US + MINUTE_US - 1);
	expect_at(&session, &policy, DEADLINE_LINGER, START_US + HOUR_US + MINUTE_US);
	move(&session, SESSION_ACKED, CLIENT, 1, START_US + HOUR_US + MINUTE_US);
	move(&session, SESSION_ACKED, CLIENT, 1, START_US + HOUR_US + 2 * MINUTE_US - 1);
	expect_at(&session, &policy, DEADLINE_LINGER, START_US + HOUR_US + 2 * MINUTE_US);
}

static void test_linger_runs_while_cutting(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	move(&session, SESSION_READ, CLIENT, 2, START_US);
	lose(&session, CLIENT, START_US + HOUR_US);
	expect_at(&session, &policy, DEADLINE_LINGER, START_US + HOUR_US + MINUTE_US);
	move(&session, SESSION_WROTE, CLIENT, 1, START_US + HOUR_US + 5);
	move(&session, SESSION_ACKED, SERVER, 0, START_US + HOUR_US + 6);
	expect_at(&session, &policy, DEADLINE_LINGER, START_US + HOUR_US + 5 + MINUTE_US);
}

/* The loss is noticed before the end of file that came ahead of it: the FIN that goes on then has
 * all of its time. */
static void test_linger_runs_anew_for_a_fin_found_after_the_loss(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	(void)session_step(&session,
			   &(struct fact){ .event = SESSION_LOST,
					   .side = CLIENT,
					   .loss = LOSS_RESET,
					   .is_after_fin = true },
			   START_US);
	tell(&session, SESSION_EXHAUSTED, CLIENT, START_US + 250);
	move(&session, SESSION_ACKED, SERVER, 1, START_US + MINUTE_US);
	expect_at(&session, &policy, DEADLINE_LINGER, START_US + 250 + MINUTE_US);
}

static void test_session_runs_whatever_happens(void **state)
{
	struct policy policy = only(DEADLINE_SESSION, DAY_US);
	struct session session;

	(void)state;
	start(&session);
	expect_at(&session, &policy, DEADLINE_SESSION, START_US + DAY_US);
	tell(&session, SESSION_CONNECTED, SERVER, START_US + 1);
	expect_at(&session, &policy, DEADLINE_SESSION, START_US + DAY_US);
	relay(&session, CLIENT, 1, START_US + 2);
	tell(&session, SESSION_ENDED, CLIENT, START_US + 3);
	expect_at(&session, &policy, DEADLINE_SESSION, START_US + DAY_US);
	acknowledge_all(&session, START_US + 4);
	relay(&session, SERVER, 1, START_US + DAY_US - 1);
	lose(&session, SERVER, START_US + DAY_US - 1);
	move(&session, SESSION_ACKED, CLIENT, 1, START_US + DAY_US - 1);
	expect_at(&session, &policy, DEADLINE_SESSION, START_US + DAY_US);
}

/* on_timeout = "close": the session deadline asks for FIN, and must not come back with a reset. */
static void test_a_gentle_end_is_followed_by_linger_alone(void **state)
{
	static const enum deadline deadlines[] = { DEADLINE_SESSION, DEADLINE_IDLE };
	struct session session;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct policy policy = only(DEADLINE_LINGER, MINUTE_US);

		policy.timeouts_us[deadlines[i]] = HOUR_US;
		connect_at(&session, START_US);
		expect_at(&session, &policy, deadlines[i], START_US + HOUR_US);
		give(&session,
		     (struct fact){ .event = SESSION_EXPIRED,
				    .ending = deadline_ending(deadlines[i]),
				    .is_gentle = true },
		     START_US + HOUR_US);
		acknowledge_all(&session, START_US + HOUR_US);
		assert_int_equal(session.phase, SESSION_CLOSING);
		expect_at(&session, &policy, DEADLINE_LINGER, START_US + HOUR_US + MINUTE_US);
	}
}

static void test_the_earliest_wins(void **state)
{
	struct policy policy = only(DEADLINE_CONNECT, 3 * SECOND_US);
	struct session session;

	(void)state;
	policy.timeouts_us[DEADLINE_FIRST_BYTE] = 2 * SECOND_US;
	policy.timeouts_us[DEADLINE_SESSION] = 4 * SECOND_US;
	start(&session);
	expect_at(&session, &policy, DEADLINE_FIRST_BYTE, START_US + 2 * SECOND_US);
	tell(&session, SESSION_SPOKE, CLIENT, START_US);
	expect_at(&session, &policy, DEADLINE_CONNECT, START_US + 3 * SECOND_US);
	session_attempt(&session, 2, START_US + 2 * SECOND_US);
	expect_at(&session, &policy, DEADLINE_SESSION, START_US + 4 * SECOND_US);
}

/* Looks are due where something is outstanding and a deadline on progress runs, and nowhere else.
 */
static void test_looks_only_where_they_tell_something(void **state)
{
	static const enum deadline on_progress[] = { DEADLINE_IDLE, DEADLINE_STALL };
	static const enum deadline others[] = { DEADLINE_SESSION, DEADLINE_FIRST_BYTE,
						DEADLINE_HALF_CLOSED, DEADLINE_LINGER,
						DEADLINE_CONNECT };
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	relay(&session, SERVER, 1, START_US);
	for (size_t i = 0; i < sizeof(on_progress) / sizeof(on_progress[0]); i++) {
		struct policy policy = only(on_progress[i], HOUR_US);

		assert_int_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct policy policy = only(others[i], HOUR_US);

		assert_int_not_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	}
	acknowledge_all(&session, START_US);
	for (size_t i = 0; i < sizeof(on_progress) / sizeof(on_progress[0]); i++) {
		struct policy policy = only(on_progress[i], HOUR_US);

		assert_int_not_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	}
}

static void expect_ending(const struct session *session, const struct policy *policy,
			  enum deadline deadline, int64_t at_us)
{
	struct deadline_at ending = deadline_ending_next(session, policy);

	if (ending.deadline != deadline || (deadline != DEADLINE_NONE && ending.at_us != at_us))
		fail_msg("users are told %s at %lld us, and not %s at %lld us",
			 deadline_name(ending.deadline), (long long)(ending.at_us - START_US),
			 deadline_name(deadline), (long long)(at_us - START_US));
}

/* While bytes are unacknowledged a relay wakes for looks, of which users are told nothing. */
static void test_users_are_told_what_ends_it(void **state)
{
	struct policy policy = { .buffer_bytes = 4096 };
	struct session session;

	(void)state;
	for (enum deadline i = 0; i < DEADLINES; i++)
		policy.timeouts_us[i] = deadline_defaults_us[i];
	start(&session);
	expect_ending(&session, &policy, DEADLINE_CONNECT, START_US + 5 * SECOND_US);
	tell(&session, SESSION_CONNECTED, SERVER, START_US + SECOND_US);
	expect_ending(&session, &policy, DEADLINE_IDLE, START_US + SECOND_US + HOUR_US);
	relay(&session, CLIENT, 9, START_US + 2 * SECOND_US);
	assert_int_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	expect_ending(&session, &policy, DEADLINE_IDLE, START_US + 2 * SECOND_US + HOUR_US);
	policy.timeouts_us[DEADLINE_STALL] = MINUTE_US;
	expect_ending(&session, &policy, DEADLINE_STALL, START_US + 2 * SECOND_US + MINUTE_US);
	tell(&session, SESSION_ENDED, CLIENT, START_US + 3 * SECOND_US);
	expect_ending(&session, &policy, DEADLINE_STALL, START_US + 2 * SECOND_US + MINUTE_US);
	policy.timeouts_us[DEADLINE_STALL] = 0;
	expect_ending(&session, &policy, DEADLINE_HALF_CLOSED,
		      START_US + 3 * SECOND_US + 5 * MINUTE_US);
	tell(&session, SESSION_ENDED, SERVER, START_US + 4 * SECOND_US);
	assert_int_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	expect_ending(&session, &policy, DEADLINE_LINGER, START_US + 4 * SECOND_US + MINUTE_US);
	policy.timeouts_us[DEADLINE_LINGER] = 0;
	assert_int_equal(deadline_next(&session, &policy).deadline, DEADLINE_LOOK);
	expect_ending(&session, &policy, DEADLINE_NONE, 0);
	acknowledge_all(&session, START_US + 5 * SECOND_US);
	assert_int_equal(session.phase, SESSION_OVER);
	expect_ending(&session, &policy, DEADLINE_NONE, 0);
}

/* A kernel that gets bytes acknowledged: `count` of them each `gap_us`, `times` times. */
struct kernel {
	int64_t begin_us;
	int64_t gap_us;
	int64_t times;
	uint32_t count;
	uint32_t total;
};

static uint32_t unacked_at(const struct kernel *kernel, int64_t now_us)
{
	int64_t done = kernel->gap_us > 0 ? (now_us - kernel->begin_us) / kernel->gap_us : 0;

	done = done < kernel->times ? done : kernel->times;
	return kernel->total - (uint32_t)done * kernel->count;
}

struct outcome {
	struct deadline_at last; /* DEADLINE_NONE: the session got to its end, at at_us */
	int looks;
	int64_t shortest_us, longest_us; /* between two looks */
};

static void note_look(struct outcome *outcome, int64_t distance_us)
{
	outcome->looks++;
	if (outcome->looks == 1 || distance_us < outcome->shortest_us)
		outcome->shortest_us = distance_us;
	if (distance_us > outcome->longest_us)
		outcome->longest_us = distance_us;
}

/* A relay that wakes when deadline_next() says, and at no other time. */
static struct outcome run(struct session *session, const struct policy *policy, enum side sink,
			  const struct kernel *kernel)
{
	struct outcome outcome = { .last = { DEADLINE_NONE, kernel->begin_us } };

	for (int i = 0; i < ALARMS_MAX && session->phase != SESSION_OVER; i++) {
		struct deadline_at next = next_of(session, policy);
		int64_t now_us = outcome.last.at_us;

		if (next.deadline == DEADLINE_NONE)
			fail_msg("nothing is due, and it is not over");
		if (next.at_us > now_us)
			now_us = next.at_us;
		if (next.deadline != DEADLINE_LOOK) {
			outcome.last = (struct deadline_at){ next.deadline, now_us };
			return outcome;
		}
		note_look(&outcome, now_us - outcome.last.at_us);
		outcome.last.at_us = now_us;
		move(session, SESSION_ACKED, sink, unacked_at(kernel, now_us), now_us);
	}
	return outcome;
}

/* Sessions in which only the acknowledgements of `total` bytes by the server are to come. */
static void make_open(struct session *session, uint32_t total)
{
	connect_at(session, START_US);
	relay(session, CLIENT, total, START_US);
}

static void make_half_closed(struct session *session, uint32_t total)
{
	connect_at(session, START_US);
	tell(session, SESSION_ENDED, SERVER, START_US);
	acknowledge_all(session, START_US);
	relay(session, CLIENT, total, START_US);
}

static void make_closing(struct session *session, uint32_t total)
{
	make_half_closed(session, total - 1);
	tell(session, SESSION_ENDED, CLIENT, START_US);
}

static void make_cutting(struct session *session, uint32_t total)
{
	make_open(session, total);
	lose(session, CLIENT, START_US);
	tell(session, SESSION_EXHAUSTED, CLIENT, START_US);
}

static const struct {
	enum deadline deadline;
	void (*make)(struct session *session, uint32_t total);
} situations[] = {
	{ DEADLINE_IDLE, make_open },      { DEADLINE_HALF_CLOSED, make_half_closed },
	{ DEADLINE_STALL, make_open },     { DEADLINE_STALL, make_half_closed },
	{ DEADLINE_LINGER, make_closing }, { DEADLINE_LINGER, make_cutting },
};
#define SITUATIONS (sizeof(situations) / sizeof(situations[0]))

static const int64_t timeouts_us[] = { 50 * MS_US,    100 * MS_US, SECOND_US, 7 * SECOND_US,
				       5 * MINUTE_US, HOUR_US,     DAY_US };
#define TIMEOUTS (sizeof(timeouts_us) / sizeof(timeouts_us[0]))

static int64_t tolerance_us(int64_t timeout_us)
{
	return timeout_us / 50 > 100 * MS_US ? timeout_us / 50 : 100 * MS_US;
}

/* Progress every `gap_us` until some bytes are left, then none: the deadline passes where it ought
 * to, and not a moment before the progress has stopped. */
static void check_accuracy(size_t situation, int64_t timeout_us, int64_t gap_us, int64_t times)
{
	struct policy policy = only(situations[situation].deadline, timeout_us);
	struct kernel kernel = { START_US, gap_us, times, 3, (uint32_t)times * 3 + 5 };
	int64_t due_us = START_US + gap_us * times + timeout_us;
	struct session session;
	struct outcome outcome;

	situations[situation].make(&session, kernel.total);
	outcome = run(&session, &policy, SERVER, &kernel);
	if (outcome.last.deadline != situations[situation].deadline ||
	    outcome.last.at_us > due_us + tolerance_us(timeout_us) ||
	    outcome.last.at_us < due_us - tolerance_us(timeout_us))
		fail_msg("situation %zu, %lld us, progress every %lld us: %s %lld us late",
			 situation, (long long)timeout_us, (long long)gap_us,
			 deadline_name(outcome.last.deadline),
			 (long long)(outcome.last.at_us - due_us));
}

static void test_deadlines_are_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < SITUATIONS; i++)
		for (size_t t = 0; t < TIMEOUTS; t++) {
			check_accuracy(i, timeouts_us[t], 0, 0);
			check_accuracy(i, timeouts_us[t], timeouts_us[t] / 3, 1);
			check_accuracy(i, timeouts_us[t], timeouts_us[t] / 7, 40);
			check_accuracy(i, timeouts_us[t], timeouts_us[t] / 100, 1000);
			if (timeouts_us[t] >= 2 * SECOND_US)
				check_accuracy(i, timeouts_us[t], timeouts_us[t] * 19 / 20, 5);
		}
}

/* The tail of a transfer reaches a reader that takes ten minutes. */
static void test_a_slow_reader_is_waited_for(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct kernel kernel = { START_US, 6 * SECOND_US, 100, 1, 100 };
	struct session session;
	struct outcome outcome;

	(void)state;
	for (size_t i = 4; i < SITUATIONS; i++) {
		situations[i].make(&session, kernel.total);
		outcome = run(&session, &policy, SERVER, &kernel);
		assert_int_equal(session.phase, SESSION_OVER);
		assert_int_equal(session.ending, i == 4 ? ENDING_COMPLETE : ENDING_CLIENT_RESET);
		assert_true(outcome.last.at_us >= START_US + 10 * MINUTE_US);
		assert_true(outcome.last.at_us <= START_US + 10 * MINUTE_US + 2 * SECOND_US);
	}
}

static void test_looks_keep_their_distance(void **state)
{
	struct kernel kernel = { .begin_us = START_US, .total = 9 };
	struct session session;

	(void)state;
	for (size_t i = 0; i < SITUATIONS - 1; i++)
		for (size_t t = 0; t < TIMEOUTS; t++) {
			struct policy policy = only(situations[i].deadline, timeouts_us[t]);
			struct outcome outcome;

			situations[i].make(&session, kernel.total);
			outcome = run(&session, &policy, SERVER, &kernel);
			assert_true(outcome.shortest_us >= (t == 0 ? 12 : 25) * MS_US);
			assert_true(outcome.longest_us <= MINUTE_US);
			assert_true(outcome.looks <= 64 || outcome.longest_us == MINUTE_US);
		}
}

/* While cutting, the first look is due at once, each later one further away, up to the bound. */
static void test_looks_grow_apart_while_cutting(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct session session;
	int64_t now_us = START_US, distance_us = 0;

	(void)state;
	make_cutting(&session, 9);
	for (int looks = 0; looks < 200; looks++) {
		struct deadline_at next = deadline_next(&session, &policy);

		if (next.deadline == DEADLINE_LINGER) {
			assert_true(looks <= 64 + 32);
			return;
		}
		assert_int_equal(next.deadline, DEADLINE_LOOK);
		if (looks == 0)
			assert_true(next.at_us - now_us <= MS_US);
		assert_true(next.at_us - now_us >= distance_us);
		assert_true(next.at_us - now_us <= MINUTE_US / 64);
		distance_us = next.at_us - now_us;
		now_us = next.at_us;
		move(&session, SESSION_ACKED, SERVER, 9, now_us);
	}
	fail_msg("no end");
}

/* A reader that takes a little all the time is not looked at all the time. */
static void test_looks_at_a_steady_reader_are_few(void **state)
{
	struct policy policy = only(DEADLINE_LINGER, MINUTE_US);
	struct kernel kernel = { START_US, 10 * MS_US, 30000, 1, 30000 };
	struct session session;
	struct outcome outcome;

	(void)state;
	make_cutting(&session, kernel.total);
	outcome = run(&session, &policy, SERVER, &kernel);
	if (session.phase != SESSION_OVER || outcome.looks > 2000)
		fail_msg("%d looks in 5 minutes", outcome.looks);
}

/* A year without a word: one wake-up a deadline, and a look now and then while something is out. */
static void test_a_year_of_idling(void **state)
{
	struct policy policy = only(DEADLINE_IDLE, 365 * DAY_US);
	struct kernel kernel = { .begin_us = START_US, .total = 1 };
	struct session session;
	struct outcome outcome;

	(void)state;
	connect_at(&session, START_US);
	outcome = run(&session, &policy, SERVER, &kernel);
	assert_int_equal(outcome.looks, 0);
	assert_int_equal(outcome.last.deadline, DEADLINE_IDLE);
	assert_int_equal(outcome.last.at_us, START_US + 365 * DAY_US);
}

/* Whoever is known to be alive gets the time again. */
static void idle_counts_from_when_it_was_spared(void **state)
{
	struct policy policy = only(DEADLINE_IDLE, HOUR_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	tell(&session, SESSION_SPARED, CLIENT, START_US + HOUR_US);
	expect_at(&session, &policy, DEADLINE_IDLE, START_US + 2 * HOUR_US);
	move(&session, SESSION_READ, CLIENT, 1, START_US + HOUR_US + MINUTE_US);
	assert_int_equal(deadline_ending_next(&session, &policy).at_us,
			 START_US + 2 * HOUR_US + MINUTE_US);
}

/* A probe that nobody acknowledges is nobody's bytes. */
static void a_probe_does_not_stall(void **state)
{
	struct policy policy = only(DEADLINE_STALL, MINUTE_US);
	struct session session;

	(void)state;
	connect_at(&session, START_US);
	tell(&session, SESSION_INJECTED, SERVER, START_US + 1);
	assert_int_equal(next_of(&session, &policy).deadline, DEADLINE_NONE);
	relay(&session, CLIENT, 5, START_US + 2);
	assert_int_equal(deadline_ending_next(&session, &policy).deadline, DEADLINE_STALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_endings_and_defaults),
		cmocka_unit_test(test_all_off),
		cmocka_unit_test(test_over_has_no_deadline),
		cmocka_unit_test(test_connect_runs_per_attempt),
		cmocka_unit_test(test_first_byte_runs_from_accept),
		cmocka_unit_test(test_idle_is_pushed_on_by_progress_both_ways),
		cmocka_unit_test(test_half_closed_is_pushed_on_by_progress),
		cmocka_unit_test(test_half_closed_max_is_not_pushed_on),
		cmocka_unit_test(test_stall_runs_while_bytes_wait),
		cmocka_unit_test(test_stall_of_a_fin_counts_from_the_fin),
		cmocka_unit_test(test_linger_runs_while_closing),
		cmocka_unit_test(test_linger_runs_while_cutting),
		cmocka_unit_test(test_linger_runs_anew_for_a_fin_found_after_the_loss),
		cmocka_unit_test(test_session_runs_whatever_happens),
		cmocka_unit_test(test_a_gentle_end_is_followed_by_linger_alone),
		cmocka_unit_test(test_the_earliest_wins),
		cmocka_unit_test(test_looks_only_where_they_tell_something),
		cmocka_unit_test(test_users_are_told_what_ends_it),
		cmocka_unit_test(test_deadlines_are_kept),
		cmocka_unit_test(test_a_slow_reader_is_waited_for),
		cmocka_unit_test(test_looks_keep_their_distance),
		cmocka_unit_test(test_looks_grow_apart_while_cutting),
		cmocka_unit_test(test_looks_at_a_steady_reader_are_few),
		cmocka_unit_test(test_a_year_of_idling),
		cmocka_unit_test(idle_counts_from_when_it_was_spared),
		cmocka_unit_test(a_probe_does_not_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
