/*
 * engine/acks: what counts as progress, and what of the unacknowledged is whose.
 */
#include <finback/engine/session.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#define SECOND_US INT64_C(1000000)
#define START_US  (100 * SECOND_US)

static unsigned give(struct session *session, enum session_event event, enum side side,
		     uint32_t count, int64_t now_us)
{
	const struct fact fact = { .event = event, .side = side, .count = count };

	(void)session_step(session, &fact, now_us);
	return session_take_wishes(session);
}

/* Connected. */
static void start(struct session *session)
{
	session_init(session, 7, START_US);
	session_attempt(session, 1, START_US);
	(void)give(session, SESSION_CONNECTED, SERVER, 0, START_US);
}

/* More bytes acknowledged than at the last look is progress, whatever was written meanwhile; what
 * the first look finds is not known to be. */
static void acknowledgements_are_progress(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, SESSION_READ, CLIENT, 9, START_US);
	give(&session, SESSION_WROTE, CLIENT, 9, START_US);
	assert_true(session_is_outstanding(&session, SERVER));
	assert_false(session_is_outstanding(&session, CLIENT));
	give(&session, SESSION_ACKED, SERVER, 9, START_US + 10);
	assert_int_equal(session_progress_us(&session), START_US);
	give(&session, SESSION_ACKED, SERVER, 9, START_US + 20);
	assert_int_equal(session_progress_us(&session), START_US);
	give(&session, SESSION_ACKED, SERVER, 8, START_US + 30);
	assert_int_equal(session_progress_us(&session), START_US + 30);
	assert_true(session_is_outstanding(&session, SERVER));
	give(&session, SESSION_READ, CLIENT, 1, START_US + 40);
	give(&session, SESSION_WROTE, CLIENT, 1, START_US + 40);
	give(&session, SESSION_ACKED, SERVER, 9, START_US + 45);
	assert_int_equal(session_progress_us(&session), START_US + 40);
	give(&session, SESSION_ACKED, SERVER, 5, START_US + 50);
	assert_int_equal(session_progress_us(&session), START_US + 50);
	give(&session, SESSION_ACKED, SERVER, 0, START_US + 60);
	assert_int_equal(session_progress_us(&session), START_US + 60);
	assert_false(session_is_outstanding(&session, SERVER));
}

/* When what it finds was acknowledged, nobody knows. */
static void a_first_look_is_no_progress(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, SESSION_READ, CLIENT, 9, START_US);
	give(&session, SESSION_WROTE, CLIENT, 9, START_US);
	give(&session, SESSION_ACKED, SERVER, 5, START_US + 10);
	assert_int_equal(session_progress_us(&session), START_US);
	give(&session, SESSION_ACKED, SERVER, 4, START_US + 20);
	assert_int_equal(session_progress_us(&session), START_US + 20);
}

/* The probe is not acknowledged at first, then bytes follow it, then all is: of that only the bytes
 * are progress. */
static void a_probe_is_no_progress(void **state)
{
	struct session session;
	int64_t progress_us;

	(void)state;
	start(&session);
	progress_us = session_progress_us(&session);
	give(&session, SESSION_INJECTED, SERVER, 0, START_US + 10);
	assert_true(session_is_outstanding(&session, SERVER));
	assert_false(session_is_awaited(&session, SERVER));
	assert_int_equal(moment_us(session.legs[SERVER].waiting), START_US + 10);
	give(&session, SESSION_ACKED, SERVER, 2, START_US + 11);
	give(&session, SESSION_ACKED, SERVER, 1, START_US + 12);
	assert_int_equal(session_progress_us(&session), progress_us);
	give(&session, SESSION_READ, CLIENT, 3, START_US + 13);
	give(&session, SESSION_WROTE, CLIENT, 3, START_US + 13);
	assert_true(session_is_awaited(&session, SERVER));
	give(&session, SESSION_ACKED, SERVER, 5, START_US + 14);
	give(&session, SESSION_ACKED, SERVER, 3, START_US + 15);
	assert_int_equal(session_progress_us(&session), START_US + 13);
	give(&session, SESSION_ACKED, SERVER, 1, START_US + 16);
	assert_int_equal(session_progress_us(&session), START_US + 16);
	give(&session, SESSION_ACKED, SERVER, 0, START_US + 17);
	assert_int_equal(session_progress_us(&session), START_US + 17);
	assert_false(session_is_outstanding(&session, SERVER));
	give(&session, SESSION_INJECTED, SERVER, 0, START_US + 20);
	give(&session, SESSION_ACKED, SERVER, 2, START_US + 21);
	give(&session, SESSION_ACKED, SERVER, 0, START_US + 22);
	assert_int_equal(session_progress_us(&session), START_US + 17);
}

/* The first that goes out after all was acknowledged may be looked at sooner than what is armed. */
static void only_the_first_rearms(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	give(&session, SESSION_READ, CLIENT, 2, START_US);
	assert_int_equal(give(&session, SESSION_WROTE, CLIENT, 1, START_US + 1), WISH_REARM);
	assert_int_equal(give(&session, SESSION_WROTE, CLIENT, 1, START_US + 2), 0);
	assert_int_equal(moment_us(session.legs[SERVER].waiting), START_US + 1);
	give(&session, SESSION_ACKED, SERVER, 0, START_US + 3);
	give(&session, SESSION_READ, CLIENT, 1, START_US + 4);
	assert_int_equal(give(&session, SESSION_WROTE, CLIENT, 1, START_US + 4), WISH_REARM);
	assert_int_equal(moment_us(session.legs[SERVER].waiting), START_US + 4);
}

/* Counts are modulo 2^32: more than that may have gone through. */
static void counts_may_wrap(void **state)
{
	struct session session;

	(void)state;
	start(&session);
	session.flows[CLIENT].bytes = UINT32_MAX - 3;
	give(&session, SESSION_READ, CLIENT, 9, START_US);
	give(&session, SESSION_WROTE, CLIENT, 9, START_US);
	assert_true(session_is_awaited(&session, SERVER));
	assert_int_equal(session_sent_of(&session, SERVER, 20), 9);
	assert_int_equal(session_sent_of(&session, SERVER, 4), 4);
	give(&session, SESSION_ACKED, SERVER, 9, START_US + 1);
	give(&session, SESSION_ACKED, SERVER, 8, START_US + 2);
	assert_int_equal(session_progress_us(&session), START_US + 2);
	give(&session, SESSION_ACKED, SERVER, 8, START_US + 3);
	assert_int_equal(session_progress_us(&session), START_US + 2);
	give(&session, SESSION_ACKED, SERVER, 2, START_US + 4);
	assert_int_equal(session_progress_us(&session), START_US + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledgements_are_progress),
		cmocka_unit_test(a_first_look_is_no_progress),
		cmocka_unit_test(a_probe_is_no_progress),
		cmocka_unit_test(only_the_first_rearms),
		cmocka_unit_test(counts_may_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
