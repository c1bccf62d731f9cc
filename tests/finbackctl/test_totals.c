/*
 * finbackctl/totals: sums over listeners, and rates between two statuses.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "finbackctl/totals.h"

static const char two_listeners[] =
	"{\"uptime_s\":10.5,\"listeners\":["
	"{\"accepted\":10,\"active\":{\"connecting\":1,\"open\":2,\"half_closed_client\":3,"
	"\"half_closed_server\":0,\"closing\":1,\"surprise\":9},"
	"\"endings\":{\"complete\":2,\"killed\":1},"
	"\"bytes\":{\"from_client\":100,\"from_server\":200}},"
	"{\"accepted\":5,\"active\":{\"open\":1},\"endings\":{\"complete\":4,\"new.one\":0},"
	"\"bytes\":{\"from_client\":1}}]}";

static void listeners_add_up(void **state)
{
	json_t *status = json_loads(two_listeners, 0, NULL);
	struct totals totals;

	(void)state;
	assert_non_null(status);
	totals = totals_of(status);
	assert_int_equal(totals.accepted, 15);
	assert_int_equal(totals.ended, 7);
	assert_int_equal(totals.active[STATE_OPEN], 3);
	assert_int_equal(totals_active(&totals), 8);
	assert_int_equal(totals.accepted, totals.ended + totals_active(&totals));
	assert_int_equal(totals.bytes[CLIENT], 101);
	assert_int_equal(totals.bytes[SERVER], 200);
	assert_true(totals.uptime_s == 10.5);
	json_decref(status);
}

static void rates_are_differences_over_uptime(void **state)
{
	struct totals before = { .uptime_s = 10, .accepted = 100, .ended = 90, .bytes = { 0, 50 } };
	struct totals now = { .uptime_s = 12, .accepted = 104, .ended = 91, .bytes = { 8, 50 } };
	struct rates rates;

	(void)state;
	assert_true(totals_rates(&before, &now, &rates));
	assert_true(rates.accepted == 2 && rates.ended == 0.5);
	assert_true(rates.bytes[CLIENT] == 4 && rates.bytes[SERVER] == 0);
	assert_false(totals_rates(&now, &now, &rates));
	assert_false(totals_rates(&now, &before, &rates)); /* it was started anew */
	before.uptime_s = 0;
	before.accepted = 1000;
	assert_false(totals_rates(&before, &now, &rates));
}

static void states_have_names(void **state)
{
	(void)state;
	assert_int_equal(totals_state("half_closed_server"), STATE_HALF_CLOSED_SERVER);
	assert_int_equal(totals_state("connecting"), STATE_CONNECTING);
	assert_int_equal(totals_state("ended"), STATES);
	assert_int_equal(totals_state(NULL), STATES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners_add_up),
		cmocka_unit_test(rates_are_differences_over_uptime),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
