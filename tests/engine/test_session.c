/*
 * engine/session: scenarios, told as tables. A line is a fact, and after it the phase, the ending,
 * and the wishes that the relay is to carry out. What no table shows well stands below them: times,
 * interests, and the two wishes that are about timing.
 */
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

/* A line leaves out the ending and the wishes where there are none. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define SECOND_US INT64_C(1000000)
#define START_US  (100 * SECOND_US)

/* Facts, as short as a table needs them. */
#define CONNECTED                          \
	{                                  \
		.event = SESSION_CONNECTED \
	}
#define SPOKE                          \
	{                              \
		.event = SESSION_SPOKE \
	}
#define READ(from, n)                                               \
	{                                                           \
		.event = SESSION_READ, .side = (from), .count = (n) \
	}
#define WROTE(from, n)                                               \
	{                                                            \
		.event = SESSION_WROTE, .side = (from), .count = (n) \
	}
#define ENDED(from)                                    \
	{                                              \
		.event = SESSION_ENDED, .side = (from) \
	}
#define EXHAUSTED(from)                                    \
	{                                                  \
		.event = SESSION_EXHAUSTED, .side = (from) \
	}
#define ACKED(by, n)                                               \
	{                                                          \
		.event = SESSION_ACKED, .side = (by), .count = (n) \
	}
#define NEXT                          \
	{                             \
		.event = SESSION_NEXT \
	}
#define RESET(from)                                                       \
	{                                                                 \
		.event = SESSION_LOST, .side = (from), .loss = LOSS_RESET \
	}
#define RESET_UNREAD(n)                                                 \
	{                                                               \
		.event = SESSION_LOST, .count = (n), .loss = LOSS_RESET \
	}
#define DEAD(from)                                                       \
	{                                                                \
		.event = SESSION_LOST, .side = (from), .loss = LOSS_DEAD \
	}
#define EXPIRED(why)                                             \
	{                                                        \
		.event = SESSION_EXPIRED, .ending = ENDING_##why \
	}
#define EXPIRED_MILD(why)                                                           \
	{                                                                           \
		.event = SESSION_EXPIRED, .ending = ENDING_##why, .is_gentle = true \
	}
#define CUT(why)                                             \
	{                                                    \
		.event = SESSION_CUT, .ending = ENDING_##why \
	}
#define RESET_AFTER_FIN(from)                                                                   \
	{                                                                                       \
		.event = SESSION_LOST, .side = (from), .loss = LOSS_RESET, .is_after_fin = true \
	}
#define RESET_UNREAD_AFTER_FIN(n)                                                             \
	{                                                                                     \
		.event = SESSION_LOST, .count = (n), .loss = LOSS_RESET, .is_after_fin = true \
	}

#define CONNECTING SESSION_CONNECTING
#define RELAYING   SESSION_RELAYING
#define CLOSING    SESSION_CLOSING
#define CUTTING    SESSION_CUTTING
#define OVER       SESSION_OVER

#define FIN_CLIENT     WISH_FIN_CLIENT
#define FIN_SERVER     WISH_FIN_SERVER
#define DISCARD_CLIENT WISH_DISCARD_CLIENT
#define DISCARD_SERVER WISH_DISCARD_SERVER
#define DEEDS          (~(unsigned)(WISH_LOOK | WISH_REARM))

struct line {
	struct fact fact;
	enum session_phase phase;
	enum ending ending;
	unsigned wishes;
};

#define LINES_MAX 14

struct scenario {
	const char *name;
	enum closer closer;
	struct line lines[LINES_MAX]; /* up to the first empty one */
};

static void start(struct session *session)
{
	session_init(session, 7, START_US);
	session_attempt(session, 1, START_US);
	(void)session_take_wishes(session);
}

/* Gives one fact, and returns the wishes it raised. */
static unsigned give(struct session *session, struct fact fact, int64_t now_us)
{
	unsigned open = session_step(session, &fact, now_us);
	unsigned taken = session_take_wishes(session);

	assert_int_equal(open, taken);
	assert_int_equal(session_take_wishes(session), 0);
	return taken;
}

static bool is_end(const struct line *line)
{
	static const struct line none;

	return memcmp(line, &none, sizeof(none)) == 0;
}

static void play_line(const struct scenario *scenario, struct session *session, int number)
{
	const struct line *line = &scenario->lines[number];
	unsigned wishes = give(session, line->fact, START_US + (number + 1) * SECOND_US) & DEEDS;

	if (session->phase != line->phase || session->ending != line->ending ||
	    wishes != line->wishes)
		fail_msg("%s, line %d (%s): %s, %s, wishes %#x", scenario->name, number + 1,
			 session_event_name(line->fact.event),
			 session_phase_name((enum session_phase)session->phase),
			 ending_name((enum ending)session->ending), wishes);
}

static void play(const struct scenario *scenarios, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct scenario *scenario = &scenarios[i];
		struct session session;

		start(&session);
		for (int n = 0; n < LINES_MAX && !is_end(&scenario->lines[n]); n++)
			play_line(scenario, &session, n);
		if (session.closer != scenario->closer)
			fail_msg("%s: ended first by %s", scenario->name,
				 closer_name(session.closer));
	}
}

#define PLAY(scenarios) play(scenarios, sizeof(scenarios) / sizeof((scenarios)[0]))

static const struct scenario complete[] = {
	{ "the client ends first",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 3), RELAYING },
	    { WROTE(CLIENT, 3), RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 0), RELAYING },
	    { READ(SERVER, 5), RELAYING },
	    { WROTE(SERVER, 5), RELAYING },
	    { ENDED(SERVER), CLOSING, .wishes = FIN_CLIENT },
	    { ACKED(CLIENT, 6), CLOSING },
	    { ACKED(CLIENT, 1), CLOSING },
	    { ACKED(CLIENT, 0), OVER, ENDING_COMPLETE } } },
	{ "the server ends first",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 3), RELAYING },
	    { WROTE(SERVER, 3), RELAYING },
	    { ENDED(SERVER), RELAYING, .wishes = FIN_CLIENT },
	    { READ(CLIENT, 5), RELAYING },
	    { WROTE(CLIENT, 5), RELAYING },
	    { ENDED(CLIENT), CLOSING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 0), CLOSING },
	    { ACKED(CLIENT, 0), OVER, ENDING_COMPLETE } } },
	{ "both at once, with bytes held both ways",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 3), RELAYING },
	    { READ(SERVER, 2), RELAYING },
	    { ENDED(CLIENT), RELAYING },
	    { ENDED(SERVER), CLOSING },
	    { WROTE(SERVER, 2), CLOSING, .wishes = FIN_CLIENT },
	    { ACKED(CLIENT, 0), CLOSING },
	    { WROTE(CLIENT, 1), CLOSING },
	    { WROTE(CLIENT, 2), CLOSING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 1), CLOSING },
	    { ACKED(SERVER, 0), OVER, ENDING_COMPLETE } } },
	{ "a FIN behind bytes held, byte by byte",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 3), RELAYING },
	    { ENDED(CLIENT), RELAYING },
	    { WROTE(CLIENT, 1), RELAYING },
	    { WROTE(CLIENT, 1), RELAYING },
	    { WROTE(CLIENT, 1), RELAYING, .wishes = FIN_SERVER } } },
	{ "a connection that is FIN and nothing else",
	  CLOSER_CLIENT,
	  { { SPOKE, CONNECTING },
	    { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ENDED(SERVER), CLOSING, .wishes = FIN_CLIENT },
	    { ACKED(SERVER, 0), CLOSING },
	    { ACKED(CLIENT, 0), OVER, ENDING_COMPLETE } } },
	{ "acknowledged early does not count once a FIN went after it",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 1), RELAYING },
	    { WROTE(SERVER, 1), RELAYING },
	    { ACKED(CLIENT, 0), RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 0), RELAYING },
	    { ENDED(SERVER), CLOSING, .wishes = FIN_CLIENT },
	    { ACKED(CLIENT, 0), OVER, ENDING_COMPLETE } } },
	{ "the third server answers",
	  CLOSER_NONE,
	  { { NEXT, CONNECTING, .wishes = WISH_NEXT_SERVER },
	    { NEXT, CONNECTING, .wishes = WISH_NEXT_SERVER },
	    { CONNECTED, RELAYING } } },
};

static const struct scenario resets[] = {
	{ "the client, with both flows open and nothing under way",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { EXHAUSTED(CLIENT), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, with bytes unread and held: they go first, and no FIN",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 2), RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { WROTE(CLIENT, 2), CUTTING, ENDING_CLIENT_RESET },
	    { READ(CLIENT, 3), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 3), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 2), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, and all was acknowledged before its end was found",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 2), RELAYING },
	    { WROTE(CLIENT, 2), RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { ACKED(SERVER, 0), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, which had ended: what it had to say is complete",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 2), RELAYING },
	    { ENDED(CLIENT), RELAYING },
	    { RESET_AFTER_FIN(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { WROTE(CLIENT, 2), CUTTING, ENDING_CLIENT_RESET, FIN_SERVER },
	    { ACKED(SERVER, 1), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, which had ended, and the server knows it all: at once",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 0), RELAYING },
	    { RESET_AFTER_FIN(CLIENT), OVER, ENDING_CLIENT_RESET, DISCARD_SERVER } } },
	{ "the client, and a FIN of its own is still unread: it is genuine",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { RESET_AFTER_FIN(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { READ(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET, FIN_SERVER },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, after the server ended: what is held for it is lost",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 9), RELAYING },
	    { ENDED(SERVER), RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { READ(CLIENT, 1), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 1), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, which got the server's FIN and goes on sending",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { ENDED(SERVER), RELAYING, .wishes = FIN_CLIENT },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), OVER, ENDING_CLIENT_RESET } } },
	{ "the client, while the last bytes are under way",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { READ(SERVER, 1), RELAYING },
	    { ENDED(CLIENT), RELAYING },
	    { ENDED(SERVER), CLOSING },
	    { RESET_AFTER_FIN(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { WROTE(CLIENT, 1), CUTTING, ENDING_CLIENT_RESET, FIN_SERVER },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the server, with bytes unread",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 8), RELAYING },
	    { RESET(SERVER), CUTTING, ENDING_SERVER_RESET, DISCARD_CLIENT },
	    { READ(SERVER, 3), CUTTING, ENDING_SERVER_RESET },
	    { WROTE(SERVER, 3), CUTTING, ENDING_SERVER_RESET },
	    { EXHAUSTED(SERVER), CUTTING, ENDING_SERVER_RESET },
	    { ACKED(CLIENT, 0), OVER, ENDING_SERVER_RESET } } },
	{ "the server, after the client's FIN was passed on",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { RESET(SERVER), CUTTING, ENDING_SERVER_RESET },
	    { EXHAUSTED(SERVER), OVER, ENDING_SERVER_RESET } } },
	{ "the server, which had ended with bytes still held",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 2), RELAYING },
	    { ENDED(SERVER), RELAYING },
	    { RESET_AFTER_FIN(SERVER), CUTTING, ENDING_SERVER_RESET, DISCARD_CLIENT },
	    { WROTE(SERVER, 2), CUTTING, ENDING_SERVER_RESET, FIN_CLIENT },
	    { ACKED(CLIENT, 0), OVER, ENDING_SERVER_RESET } } },
	{ "a dead client counts as one that reset",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { DEAD(CLIENT), CUTTING, ENDING_CLIENT_DEAD, DISCARD_SERVER },
	    { EXHAUSTED(CLIENT), OVER, ENDING_CLIENT_DEAD } } },
	{ "a dead server counts as one that reset",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { DEAD(SERVER), CUTTING, ENDING_SERVER_DEAD, DISCARD_CLIENT },
	    { EXHAUSTED(SERVER), OVER, ENDING_SERVER_DEAD } } },
	{ "the same loss said twice",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { DEAD(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 1), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "the other side is lost too: nobody is left to wait for",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { RESET(CLIENT), CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { DEAD(SERVER), OVER, ENDING_CLIENT_RESET, DISCARD_CLIENT } } },
	{ "the other side is lost too, the server first",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 1), RELAYING },
	    { DEAD(SERVER), CUTTING, ENDING_SERVER_DEAD, DISCARD_CLIENT },
	    { EXHAUSTED(SERVER), CUTTING, ENDING_SERVER_DEAD },
	    { RESET(CLIENT), OVER, ENDING_SERVER_DEAD, DISCARD_SERVER } } },
};

static const struct scenario early_resets[] = {
	{ "nothing unread: the server need not know",
	  CLOSER_CLIENT,
	  { { RESET_UNREAD(0), OVER, ENDING_CLIENT_RESET } } },
	{ "bytes unread: they are delivered once there is a server",
	  CLOSER_CLIENT,
	  { { SPOKE, CONNECTING },
	    { RESET_UNREAD(4), CONNECTING, ENDING_CLIENT_RESET },
	    { RESET_UNREAD(4), CONNECTING, ENDING_CLIENT_RESET },
	    { NEXT, CONNECTING, ENDING_CLIENT_RESET, WISH_NEXT_SERVER },
	    { CONNECTED, CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { READ(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "bytes and a FIN unread: both are delivered",
	  CLOSER_CLIENT,
	  { { RESET_UNREAD_AFTER_FIN(4), CONNECTING, ENDING_CLIENT_RESET },
	    { CONNECTED, CUTTING, ENDING_CLIENT_RESET, DISCARD_SERVER },
	    { READ(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET },
	    { EXHAUSTED(CLIENT), CUTTING, ENDING_CLIENT_RESET },
	    { WROTE(CLIENT, 4), CUTTING, ENDING_CLIENT_RESET, FIN_SERVER },
	    { ACKED(SERVER, 0), OVER, ENDING_CLIENT_RESET } } },
	{ "bytes unread, and no server answers: the client came first",
	  CLOSER_CLIENT,
	  { { RESET_UNREAD(4), CONNECTING, ENDING_CLIENT_RESET },
	    { CUT(CONNECT_REFUSED), OVER, ENDING_CLIENT_RESET } } },
	{ "bytes unread, and connecting takes too long, gently or not",
	  CLOSER_CLIENT,
	  { { RESET_UNREAD(4), CONNECTING, ENDING_CLIENT_RESET },
	    { EXPIRED_MILD(CONNECT_TIMEOUT), OVER, ENDING_CLIENT_RESET } } },
};

static const struct scenario expiries[] = {
	{ "connecting",
	  CLOSER_FINBACK,
	  { { EXPIRED(CONNECT_TIMEOUT), OVER, ENDING_CONNECT_TIMEOUT } } },
	{ "connecting, waiting for the first byte",
	  CLOSER_FINBACK,
	  { { EXPIRED(FIRST_BYTE_TIMEOUT), OVER, ENDING_FIRST_BYTE_TIMEOUT } } },
	{ "idle, with bytes held",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { EXPIRED(IDLE_TIMEOUT), OVER, ENDING_IDLE_TIMEOUT } } },
	{ "half-closed",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { ENDED(SERVER), RELAYING, .wishes = FIN_CLIENT },
	    { EXPIRED(HALF_CLOSED_TIMEOUT), OVER, ENDING_HALF_CLOSED_TIMEOUT } } },
	{ "closing",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ENDED(SERVER), CLOSING, .wishes = FIN_CLIENT },
	    { ACKED(CLIENT, 0), CLOSING },
	    { EXPIRED(UNDELIVERED), OVER, ENDING_UNDELIVERED } } },
	{ "cutting: as caused",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { RESET(SERVER), CUTTING, ENDING_SERVER_RESET, DISCARD_CLIENT },
	    { EXPIRED(UNDELIVERED), OVER, ENDING_SERVER_RESET } } },
	{ "cutting, gently asked: as caused",
	  CLOSER_SERVER,
	  { { CONNECTED, RELAYING },
	    { RESET(SERVER), CUTTING, ENDING_SERVER_RESET, DISCARD_CLIENT },
	    { EXPIRED_MILD(UNDELIVERED), OVER, ENDING_SERVER_RESET } } },
};

static const struct scenario gentle_expiries[] = {
	{ "connecting: the client gets a FIN, and is read to its own",
	  CLOSER_FINBACK,
	  { { EXPIRED_MILD(CONNECT_TIMEOUT), CLOSING, ENDING_CONNECT_TIMEOUT,
	      FIN_CLIENT | DISCARD_CLIENT | WISH_ABANDON_SERVER },
	    { ACKED(CLIENT, 0), CLOSING, ENDING_CONNECT_TIMEOUT },
	    { ENDED(CLIENT), OVER, ENDING_CONNECT_TIMEOUT } } },
	{ "connecting, and the client resets",
	  CLOSER_FINBACK,
	  { { EXPIRED_MILD(CONNECT_TIMEOUT), CLOSING, ENDING_CONNECT_TIMEOUT,
	      FIN_CLIENT | DISCARD_CLIENT | WISH_ABANDON_SERVER },
	    { RESET(CLIENT), OVER, ENDING_CONNECT_TIMEOUT } } },
	{ "idle: FIN both ways",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { EXPIRED_MILD(IDLE_TIMEOUT), CLOSING, ENDING_IDLE_TIMEOUT, FIN_CLIENT | FIN_SERVER },
	    { ENDED(CLIENT), CLOSING, ENDING_IDLE_TIMEOUT },
	    { ACKED(CLIENT, 0), CLOSING, ENDING_IDLE_TIMEOUT },
	    { ENDED(SERVER), CLOSING, ENDING_IDLE_TIMEOUT },
	    { ACKED(SERVER, 0), OVER, ENDING_IDLE_TIMEOUT } } },
	{ "stalled: what is held goes before the FIN",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { READ(SERVER, 2), RELAYING },
	    { EXPIRED_MILD(STALL_TIMEOUT), CLOSING, ENDING_STALL_TIMEOUT, FIN_SERVER },
	    { WROTE(SERVER, 2), CLOSING, ENDING_STALL_TIMEOUT, FIN_CLIENT } } },
	{ "half-closed: only the FIN that is missing",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ACKED(SERVER, 0), RELAYING },
	    { EXPIRED_MILD(HALF_CLOSED_TIMEOUT), CLOSING, ENDING_HALF_CLOSED_TIMEOUT, FIN_CLIENT },
	    { ACKED(CLIENT, 0), CLOSING, ENDING_HALF_CLOSED_TIMEOUT },
	    { ENDED(SERVER), OVER, ENDING_HALF_CLOSED_TIMEOUT } } },
	{ "then a reset: it hurries the end, and does not change it",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { EXPIRED_MILD(IDLE_TIMEOUT), CLOSING, ENDING_IDLE_TIMEOUT, FIN_CLIENT },
	    { RESET(CLIENT), CUTTING, ENDING_IDLE_TIMEOUT },
	    { WROTE(CLIENT, 1), CUTTING, ENDING_IDLE_TIMEOUT, FIN_SERVER },
	    { ACKED(SERVER, 0), OVER, ENDING_IDLE_TIMEOUT } } },
	{ "then linger: the first cause stays",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { EXPIRED_MILD(IDLE_TIMEOUT), CLOSING, ENDING_IDLE_TIMEOUT, FIN_CLIENT | FIN_SERVER },
	    { EXPIRED_MILD(UNDELIVERED), OVER, ENDING_IDLE_TIMEOUT } } },
};

static const struct scenario cuts[] = {
	{ "connecting", CLOSER_FINBACK, { { CUT(NO_SERVER), OVER, ENDING_NO_SERVER } } },
	{ "relaying, with bytes held",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { READ(CLIENT, 1), RELAYING },
	    { CUT(KILLED), OVER, ENDING_KILLED },
	    { WROTE(CLIENT, 1), OVER, ENDING_KILLED },
	    { RESET(SERVER), OVER, ENDING_KILLED },
	    { CUT(DRAINED), OVER, ENDING_KILLED } } },
	{ "half-closed",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { CUT(EVICTED), OVER, ENDING_EVICTED } } },
	{ "closing",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { ENDED(CLIENT), RELAYING, .wishes = FIN_SERVER },
	    { ENDED(SERVER), CLOSING, .wishes = FIN_CLIENT },
	    { CUT(DRAINED), OVER, ENDING_DRAINED } } },
	{ "cutting: as caused",
	  CLOSER_CLIENT,
	  { { CONNECTED, RELAYING },
	    { DEAD(CLIENT), CUTTING, ENDING_CLIENT_DEAD, DISCARD_SERVER },
	    { CUT(DRAINED), OVER, ENDING_CLIENT_DEAD } } },
	{ "ended gently already: as caused",
	  CLOSER_FINBACK,
	  { { CONNECTED, RELAYING },
	    { EXPIRED_MILD(IDLE_TIMEOUT), CLOSING, ENDING_IDLE_TIMEOUT, FIN_CLIENT | FIN_SERVER },
	    { CUT(KILLED), OVER, ENDING_IDLE_TIMEOUT } } },
};

static void test_complete(void **state)
{
	(void)state;
	PLAY(complete);
}

static void test_resets(void **state)
{
	(void)state;
	PLAY(resets);
}

static void test_resets_while_connecting(void **state)
{
	(void)state;
	PLAY(early_resets);
}

static void test_deadlines_that_reset(void **state)
{
	(void)state;
	PLAY(expiries);
}

static void test_deadlines_that_close(void **state)
{
	(void)state;
	PLAY(gentle_expiries);
}

static void test_cuts(void **state)
{
	(void)state;
	PLAY(cuts);
}

static void test_a_new_session(void **state)
{
	struct session session;

	(void)state;
	memset(&session, 0xff, sizeof(session));
	session_init(&session, 7, START_US);
	assert_int_equal(session.id, 7);
	assert_int_equal(moment_us(session.accepted), START_US);
	assert_int_equal(session.phase, CONNECTING);
	assert_int_equal(session.ending, ENDING_NONE);
	assert_int_equal(session.legs[CLIENT].fd, -1);
	assert_int_equal(session.legs[SERVER].fd, -1);
	assert_true(session_take_wishes(&session) & WISH_REARM);
	assert_int_equal(session.connects, 0);
	session_attempt(&session, 1, START_US + 1);
	session_attempt(&session, 2, START_US + 2);
	assert_int_equal(session.connects, 2);
	assert_int_equal(moment_us(session.attempted_or_connected), START_US + 2);
	assert_true(session_take_wishes(&session) & WISH_REARM);
}

static void test_wishes_stay_until_taken(void **state)
{
	struct session session;
	struct fact ended = ENDED(CLIENT), spoke = READ(SERVER, 1);

	(void)state;
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	assert_true(session_step(&session, &ended, START_US) & WISH_FIN_SERVER);
	assert_true(session_step(&session, &spoke, START_US) & WISH_FIN_SERVER);
	assert_true(session_take_wishes(&session) & WISH_FIN_SERVER);
	assert_int_equal(session_take_wishes(&session), 0);
}

static void test_times(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	assert_int_equal(session_connected_us(&session), 0);
	give(&session, (struct fact)CONNECTED, START_US + 1);
	assert_int_equal(session_connected_us(&session), START_US + 1);
	assert_int_equal(session_progress_us(&session), START_US + 1);
	give(&session, (struct fact)READ(CLIENT, 2), START_US + 2);
	assert_int_equal(moment_us(session.flows[CLIENT].progressed), START_US + 2);
	assert_int_equal(moment_us(session.flows[SERVER].progressed), START_US + 1);
	give(&session, (struct fact)WROTE(CLIENT, 2), START_US + 3);
	assert_int_equal(session_progress_us(&session), START_US + 3);
	assert_int_equal(session_half_closed_us(&session), 0);
	give(&session, (struct fact)ENDED(SERVER), START_US + 4);
	assert_int_equal(session_half_closed_us(&session), START_US + 4);
	assert_int_equal(moment_us(session.flows[SERVER].ended), START_US + 4);
	assert_int_equal(moment_us(session.flows[CLIENT].ended), 0);
	assert_int_equal(session_closing_us(&session), 0);
	give(&session, (struct fact)ENDED(CLIENT), START_US + 5);
	assert_int_equal(session_half_closed_us(&session), START_US + 4);
	assert_int_equal(moment_us(session.flows[CLIENT].ended), START_US + 5);
	assert_int_equal(session_closing_us(&session), START_US + 5);
}

/* What each side is wanted for: r, w and d for read, write and discard. */
static void assert_wants(const struct session *session, const char *client, const char *server)
{
	const char *const wanted[SIDES] = { client, server };

	for (enum side side = CLIENT; side < SIDES; side++) {
		assert_int_equal(session_wants_read(session, side), !!strchr(wanted[side], 'r'));
		assert_int_equal(session_wants_write(session, side), !!strchr(wanted[side], 'w'));
		assert_int_equal(session_wants_discard(session, side), !!strchr(wanted[side], 'd'));
	}
}

static void test_who_is_spared_has_a_time(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	assert_true(give(&session, (struct fact){ .event = SESSION_SPARED }, START_US + 5) &
		    WISH_REARM);
	assert_int_equal(session_spared_us(&session), START_US + 5);
	assert_int_equal(session.ending, ENDING_NONE);
}

/* Times that share a field are not taken for each other. */
static void test_who_was_spared_is_not_closing(void **state)
{
	struct session session, cut;
	const struct fact spared = { .event = SESSION_SPARED };

	(void)state;
	start(&session);
	assert_int_equal(session_connected_us(&session), 0);
	give(&session, (struct fact)CONNECTED, START_US);
	give(&session, spared, START_US + 5);
	cut = session;
	give(&cut, (struct fact)CUT(KILLED), START_US + 6);
	assert_int_equal(session_closing_us(&session), 0);
	assert_int_equal(session_closing_us(&cut), 0);
	cut = session;
	give(&cut, (struct fact)RESET(CLIENT), START_US + 6);
	assert_int_equal(session_spared_us(&cut), 0);
	assert_int_equal(session_closing_us(&cut), START_US + 6);
	give(&session, (struct fact)ENDED(SERVER), START_US + 7);
	assert_int_equal(session_spared_us(&session), 0);
	assert_int_equal(session_closing_us(&session), 0);
	give(&session, (struct fact)CUT(KILLED), START_US + 8);
	assert_int_equal(session_closing_us(&session), 0);
	assert_int_equal(session_half_closed_us(&session), START_US + 7);
}

/* Only a FIN that came while the other flow ran made it half-closed, whoever is lost after it. */
static void test_since_when_it_is_half_closed(void **state)
{
	struct session open, session;

	(void)state;
	start(&open);
	give(&open, (struct fact)CONNECTED, START_US);
	session = open;
	give(&session, (struct fact)RESET_AFTER_FIN(CLIENT), START_US + 1);
	give(&session, (struct fact)EXHAUSTED(CLIENT), START_US + 1);
	assert_true(session.legs[CLIENT].has_fin_read);
	assert_int_equal(session_half_closed_us(&session), 0);
	for (enum side lost = CLIENT; lost < SIDES; lost++) {
		session = open;
		give(&session, (struct fact)ENDED(CLIENT), START_US + 1);
		give(&session, (struct fact)RESET_AFTER_FIN(lost), START_US + 2);
		assert_int_equal(session_half_closed_us(&session), START_US + 1);
		give(&session, (struct fact)EXHAUSTED(lost), START_US + 3);
		assert_int_equal(session_half_closed_us(&session), START_US + 1);
	}
}

static void test_interests(void **state)
{
	static const struct {
		struct fact fact;
		const char *client, *server;
	} lines[] = {
		{ SPOKE, "", "" },
		{ CONNECTED, "r", "r" },
		{ READ(CLIENT, 2), "", "rw" }, /* held: the client has to wait */
		{ WROTE(CLIENT, 1), "", "rw" },
		{ WROTE(CLIENT, 1), "r", "r" },
		{ READ(SERVER, 1), "rw", "" },
		{ ENDED(SERVER), "rw", "" },
		{ WROTE(SERVER, 1), "r", "" },
		{ RESET(CLIENT), "r", "" }, /* what is left of it is still read */
		{ READ(CLIENT, 1), "", "w" },
		{ EXHAUSTED(CLIENT), "", "w" },
		{ WROTE(CLIENT, 1), "", "" },
		{ ACKED(SERVER, 0), "", "" },
	};
	struct session session;

	(void)state;
	start(&session);
	assert_wants(&session, "", "");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		give(&session, lines[i].fact, START_US);
		assert_wants(&session, lines[i].client, lines[i].server);
	}
	assert_int_equal(session.phase, OVER);
}

static void test_interests_after_a_gentle_end(void **state)
{
	static const struct {
		struct fact fact;
		const char *client, *server;
	} lines[] = {
		{ CONNECTED, "r", "r" },
		{ READ(CLIENT, 2), "", "rw" },
		{ EXPIRED_MILD(SESSION_TIMEOUT), "d", "wd" },
		{ WROTE(CLIENT, 2), "d", "d" },
		{ ENDED(CLIENT), "", "d" },
		{ ACKED(CLIENT, 0), "", "d" },
		{ RESET(SERVER), "", "" },
	};
	struct session session;

	(void)state;
	start(&session);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		give(&session, lines[i].fact, START_US);
		assert_wants(&session, lines[i].client, lines[i].server);
	}
	assert_int_equal(session.phase, OVER);
	assert_int_equal(session.ending, ENDING_SESSION_TIMEOUT);
}

static void test_has_spoken(void **state)
{
	static const struct fact speaking[] = { SPOKE, READ(CLIENT, 1), ENDED(CLIENT) };
	static const struct fact silent[] = { READ(SERVER, 1), ENDED(SERVER), WROTE(SERVER, 0) };
	struct session session;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		start(&session);
		assert_false(session.has_spoken);
		if (speaking[i].event != SESSION_SPOKE)
			give(&session, (struct fact)CONNECTED, START_US);
		assert_false(session.has_spoken);
		give(&session, speaking[i], START_US);
		assert_true(session.has_spoken);
	}
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	for (size_t i = 0; i < 3; i++)
		give(&session, silent[i], START_US);
	assert_false(session.has_spoken);
}

/* Whoever waits for an acknowledgement alone is told to look, since the kernel tells nothing. */
static void test_looks_are_asked_for(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	assert_false(give(&session, (struct fact)READ(CLIENT, 2), START_US) & WISH_LOOK);
	assert_false(give(&session, (struct fact)WROTE(CLIENT, 1), START_US) & WISH_LOOK);
	assert_false(give(&session, (struct fact)ENDED(CLIENT), START_US) & WISH_LOOK);
	assert_true(give(&session, (struct fact)RESET_AFTER_FIN(CLIENT), START_US) & WISH_LOOK);
	assert_true(give(&session, (struct fact)WROTE(CLIENT, 1), START_US) & WISH_LOOK);

	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	give(&session, (struct fact)ENDED(CLIENT), START_US);
	assert_true(give(&session, (struct fact)ENDED(SERVER), START_US) & WISH_LOOK);
}

static void test_the_timer_is_asked_for(void **state)
{
	static const struct fact lines[] = { CONNECTED, READ(CLIENT, 1), WROTE(CLIENT, 1),
					     ENDED(CLIENT), ENDED(SERVER) };
	struct session session;

	(void)state;
	start(&session);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		unsigned wishes = give(&session, lines[i], START_US);

		if (lines[i].event != SESSION_READ)
			assert_true(wishes & WISH_REARM);
	}
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	assert_true(give(&session, (struct fact)DEAD(SERVER), START_US) & WISH_REARM);
}

/* A session in full flow asks for no timer and no look: neither costs anything a byte. */
static void test_bytes_alone_wish_nothing(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, (struct fact)CONNECTED, START_US);
	give(&session, (struct fact)READ(CLIENT, 5), START_US);
	give(&session, (struct fact)WROTE(CLIENT, 5), START_US);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(give(&session, (struct fact)READ(CLIENT, 5), START_US + i), 0);
		assert_int_equal(give(&session, (struct fact)WROTE(CLIENT, 5), START_US + i), 0);
	}
	assert_int_equal(session.flows[CLIENT].bytes, 505);
}

static void test_a_fact_after_the_end_changes_nothing(void **state)
{
	struct session session, before;

	(void)state;
	start(&session);
	give(&session, (struct fact)CUT(KILLED), START_US);
	memcpy(&before, &session, sizeof(session));
	for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
		give(&session,
		     (struct fact){ event, SERVER, 1, ENDING_DRAINED, LOSS_RESET, DETECTORS, 0, 0 },
		     START_US + 1);
		assert_memory_equal(&session, &before, sizeof(session));
	}
}

static void test_state_names(void **state)
{
	static const char *const names[] = { "connecting", "open", "half_closed_client",
					     "half_closed_server", "closing" };

	(void)state;
	assert_int_equal(sizeof(names) / sizeof(names[0]), STATES);
	for (enum session_state i = 0; i < STATES; i++)
		assert_string_equal(session_state_name(i), names[i]);
}

/* Where a session is after each fact, up to the first empty line, which cannot be: who is connected
 * is not connecting. */
static const struct {
	struct fact fact;
	enum session_state state;
} journeys[][7] = {
	{ { SPOKE, STATE_CONNECTING },
	  { NEXT, STATE_CONNECTING },
	  { CONNECTED, STATE_OPEN },
	  { ENDED(SERVER), STATE_HALF_CLOSED_SERVER },
	  { ENDED(CLIENT), STATE_CLOSING },
	  { ACKED(CLIENT, 0), STATE_CLOSING } },
	{ { CONNECTED, STATE_OPEN },
	  { READ(CLIENT, 3), STATE_OPEN },
	  { ENDED(CLIENT), STATE_HALF_CLOSED_CLIENT },
	  { WROTE(CLIENT, 3), STATE_HALF_CLOSED_CLIENT },
	  { ENDED(SERVER), STATE_CLOSING } },
	/* A side that is lost is the beginning of the end, in whatever state. */
	{ { CONNECTED, STATE_OPEN },
	  { RESET(CLIENT), STATE_CLOSING },
	  { EXHAUSTED(CLIENT), STATE_CLOSING } },
	{ { CONNECTED, STATE_OPEN },
	  { ENDED(CLIENT), STATE_HALF_CLOSED_CLIENT },
	  { RESET(SERVER), STATE_CLOSING } },
	{ { RESET_UNREAD(5), STATE_CONNECTING }, { CONNECTED, STATE_CLOSING } },
	{ { RESET_UNREAD(0), STATE_CLOSING } },
	{ { CONNECTED, STATE_OPEN },
	  { EXPIRED_MILD(IDLE_TIMEOUT), STATE_CLOSING },
	  { ENDED(CLIENT), STATE_CLOSING },
	  { ENDED(SERVER), STATE_CLOSING } },
	{ { EXPIRED_MILD(CONNECT_TIMEOUT), STATE_CLOSING } },
	{ { CUT(KILLED), STATE_CLOSING } },
};

static void test_states(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(journeys) / sizeof(journeys[0]); i++) {
		struct session session;

		start(&session);
		assert_int_equal(session_state(&session), STATE_CONNECTING);
		for (size_t j = 0; journeys[i][j].fact.event != SESSION_CONNECTED ||
				   journeys[i][j].state != STATE_CONNECTING;
		     j++) {
			give(&session, journeys[i][j].fact, START_US);
			if (session_state(&session) != journeys[i][j].state)
				fail_msg("journey %zu, step %zu: %s", i, j,
					 session_state_name(session_state(&session)));
		}
	}
}

/* What found a peer dead is kept for each side; a reset has no detector. */
static void test_detectors(void **state)
{
	struct session session;

	(void)state;
	for (enum detector detector = 0; detector < DETECTORS; detector++)
		for (enum side side = CLIENT; side < SIDES; side++) {
			struct fact dead = DEAD(side);

			dead.detector = detector;
			start(&session);
			give(&session, (struct fact)CONNECTED, START_US);
			give(&session, (struct fact)READ(side, 1), START_US);
			give(&session, dead, START_US);
			assert_int_equal(session.legs[side].detector, detector);
			assert_int_equal(session.legs[side].loss, LOSS_DEAD);
			/* Whatever becomes of the other one. */
			dead.side = other(side);
			dead.detector = (detector + 1) % DETECTORS;
			give(&session, dead, START_US);
			assert_int_equal(session.legs[side].detector, detector);
			assert_int_equal(session.legs[other(side)].detector, dead.detector);
			assert_int_equal(session.ending,
					 side == CLIENT ? ENDING_CLIENT_DEAD : ENDING_SERVER_DEAD);
		}
}

static void test_names(void **state)
{
	static const char *const closers[CLOSERS] = { "-", "client", "server", "finback" };

	(void)state;
	for (enum closer closer = 0; closer < CLOSERS; closer++)
		assert_string_equal(closer_name(closer), closers[closer]);
	assert_string_equal(side_name(CLIENT), "client");
	assert_string_equal(side_name(SERVER), "server");
	assert_int_equal(other(CLIENT), SERVER);
	assert_int_equal(other(SERVER), CLIENT);
	for (enum session_phase phase = 0; phase < SESSION_PHASES; phase++)
		assert_non_null(session_phase_name(phase));
	for (enum session_event event = 0; event < SESSION_EVENTS; event++)
		assert_non_null(session_event_name(event));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_resets_while_connecting),
		cmocka_unit_test(test_deadlines_that_reset),
		cmocka_unit_test(test_deadlines_that_close),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_a_new_session),
		cmocka_unit_test(test_wishes_stay_until_taken),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_who_is_spared_has_a_time),
		cmocka_unit_test(test_who_was_spared_is_not_closing),
		cmocka_unit_test(test_since_when_it_is_half_closed),
		cmocka_unit_test(test_interests),
		cmocka_unit_test(test_interests_after_a_gentle_end),
		cmocka_unit_test(test_has_spoken),
		cmocka_unit_test(test_looks_are_asked_for),
		cmocka_unit_test(test_the_timer_is_asked_for),
		cmocka_unit_test(test_bytes_alone_wish_nothing),
		cmocka_unit_test(test_a_fact_after_the_end_changes_nothing),
		cmocka_unit_test(test_state_names),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_detectors),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
