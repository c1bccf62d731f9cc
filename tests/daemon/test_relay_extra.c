/*
 * daemon/relay_extra: what a session needs for a while is there for that while, and no memory is
 * left to it afterwards. AddressSanitizer watches what is released.
 */
#include <daemon/relay_private.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static _Atomic uint64_t turn;
static struct pool pool = { .turn = &turn };
static const struct route route = { .pool = &pool };
static struct relays relays;
static struct lane lane = { .route = &route, .relays = &relays };
static struct relay relay;

/* Nobody looks into what is held. */
static char places[2];
static struct rest *const first = (struct rest *)(void *)&places[0];
static struct rest *const second = (struct rest *)(void *)&places[1];

static int begin(void **state)
{
	(void)state;
	memset(&relay, 0, sizeof relay);
	relay.lane = &lane;
	return 0;
}

static void a_session_has_none_of_it(void **state)
{
	(void)state;
	assert_null(attempt_of(&relay));
	assert_null(probes_of(&relay));
	assert_null(rest_of(&relay, CLIENT));
	assert_null(rest_of(&relay, SERVER));
	assert_true(retry_us_of(&relay) == 0);
	/* A message that went on at once, and the end. */
	assert_int_equal(relay_hold(&relay, CLIENT, NULL), 0);
	relay_drop_rest(&relay, SERVER);
	assert_null(relay.extra);
	relay_extra_fini(&relay);
}

static void attempts_last_until_it_is_connected(void **state)
{
	uint64_t before = turn;

	(void)state;
	assert_int_equal(relay_begin_attempts(&relay), 0);
	assert_ptr_equal(attempt_of(&relay)->pool.pool, &pool);
	assert_int_equal(attempt_of(&relay)->pool.turn, before);
	assert_int_equal(turn, before + 1);
	assert_true(retry_us_of(&relay) == 0);
	attempt_of(&relay)->retry_us = 77;
	assert_true(retry_us_of(&relay) == 77);
	relay_drop_rest(&relay, CLIENT); /* it ends while it is connecting */
	assert_true(retry_us_of(&relay) == 77);
	relay_end_attempts(&relay);
	assert_null(relay.extra);
	assert_true(retry_us_of(&relay) == 0);
}

static void what_is_held_is_told_apart(void **state)
{
	(void)state;
	assert_int_equal(relay_hold(&relay, CLIENT, first), 0);
	assert_ptr_equal(rest_of(&relay, CLIENT), first);
	assert_null(rest_of(&relay, SERVER));
	assert_int_equal(relay_hold(&relay, SERVER, second), 0);
	assert_ptr_equal(rest_of(&relay, CLIENT), first);
	assert_ptr_equal(rest_of(&relay, SERVER), second);
	assert_int_equal(relay_hold(&relay, CLIENT, NULL), 0);
	assert_null(rest_of(&relay, CLIENT));
	assert_ptr_equal(rest_of(&relay, SERVER), second);
	assert_int_equal(relay_hold(&relay, SERVER, NULL), 0);
	assert_null(relay.extra);
}

static void probes_stay(void **state)
{
	const struct relay_probes *probes = relay_make_probes(&relay);

	(void)state;
	assert_non_null(probes);
	assert_false(probes->sides[CLIENT].is_on || probes->sides[SERVER].is_on);
	assert_int_equal(relay_begin_attempts(&relay), 0);
	assert_int_equal(relay_hold(&relay, SERVER, second), 0);
	relay_end_attempts(&relay);
	assert_int_equal(relay_hold(&relay, SERVER, NULL), 0);
	assert_ptr_equal(probes_of(&relay), probes);
	relay_extra_fini(&relay);
	assert_null(probes_of(&relay));
}

static void it_may_end_while_connecting(void **state)
{
	(void)state;
	assert_non_null(relay_make_probes(&relay));
	assert_int_equal(relay_begin_attempts(&relay), 0);
	relay_extra_fini(&relay);
	assert_null(relay.extra);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_session_has_none_of_it, begin),
		cmocka_unit_test_setup(attempts_last_until_it_is_connected, begin),
		cmocka_unit_test_setup(what_is_held_is_told_apart, begin),
		cmocka_unit_test_setup(probes_stay, begin),
		cmocka_unit_test_setup(it_may_end_while_connecting, begin),
	};

	return cmocka_run_group_tests_name("daemon/relay_extra", tests, NULL, NULL);
}
