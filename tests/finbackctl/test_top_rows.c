/*
 * finbackctl/top_rows: rates between two answers, every order, and answers that are not as they
 * should be.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "finbackctl/top_rows.h"

static json_t *session(int id, double age_s, int client_bytes, int server_bytes)
{
	json_t *object = json_pack("{s:i, s:s, s:f, s:f, s:n, s:{s:s, s:i}, s:{s:n, s:i}}", "id",
				   id, "state", "open", "age_s", age_s, "idle_s", (double)(id % 7),
				   "ending_in", "client", "address", "10.0.0.1:5000", "bytes",
				   client_bytes, "server", "address", "bytes", server_bytes);

	assert_non_null(object);
	return object;
}

static void add(struct top_rows *rows, json_t *object)
{
	json_t *array = json_pack("[o]", object);

	assert_non_null(array);
	top_rows_add(rows, array);
	json_decref(array);
}

static const struct top_row *row_of(const struct top_rows *rows, uint64_t id)
{
	size_t found = top_rows_find(rows, id);

	assert_true(found < rows->count);
	return &rows->rows[found];
}

static void rates_are_bytes_over_the_sessions_own_time(void **state)
{
	struct top_rows before = { 0 }, now = { 0 };

	(void)state;
	add(&before, session(3, 10.0, 100, 200));
	add(&before, session(1, 5.0, 0, 0));
	add(&now, session(1, 5.5, 1000, 0));
	add(&now, session(2, 0.1, 7, 7));
	add(&now, session(3, 12.0, 100, 1200));
	top_rows_rate(&now, &before);
	assert_true(fabs(row_of(&now, 1)->rates[CLIENT] - 2000) < 1e-6);
	assert_true(row_of(&now, 1)->rates[SERVER] == 0);
	assert_true(row_of(&now, 2)->rates[CLIENT] == TOP_RATE_NONE);
	assert_true(fabs(row_of(&now, 3)->rates[SERVER] - 500) < 1e-6);
	top_rows_fini(&before);
	top_rows_fini(&now);
}

static void another_process_has_the_same_ids(void **state)
{
	struct top_rows before = { 0 }, now = { 0 };

	(void)state;
	add(&before, session(1, 100.0, 50, 50));
	add(&before, session(2, 1.0, 50, 50));
	add(&before, session(3, 1.0, 50, 50));
	add(&now, session(1, 2.0, 90, 90)); /* younger */
	add(&now, session(2, 2.0, 10, 90)); /* fewer bytes */
	add(&now, session(3, 1.0, 90, 90)); /* no time has passed */
	top_rows_rate(&now, &before);
	for (uint64_t id = 1; id <= 3; id++)
		assert_true(row_of(&now, id)->rates[CLIENT] == TOP_RATE_NONE);
	top_rows_fini(&before);
	top_rows_fini(&now);
}

/* The ids in the order that the rows have. */
static void expect_order(struct top_rows *rows, enum top_order order, const char *expected)
{
	char ids[128] = "";

	top_rows_sort(rows, order);
	for (size_t i = 0; i < rows->count; i++)
		(void)snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%d ",
			       (int)rows->rows[i].id);
	assert_string_equal(ids, expected);
}

static void every_order_puts_most_first(void **state)
{
	struct top_rows rows = { 0 };

	(void)state;
	for (int id = 1; id <= 4; id++)
		add(&rows, session(id, 1, 0, 0));
	rows.rows[0] = (struct top_row){ .id = 1,
					 .age_s = 9,
					 .idle_s = 1,
					 .ends_in_s = INFINITY,
					 .bytes = { 5, 5 },
					 .rates = { -1, -1 } };
	rows.rows[1] = (struct top_row){ .id = 2,
					 .age_s = 3,
					 .idle_s = 8,
					 .ends_in_s = 4,
					 .bytes = { 100, 0 },
					 .rates = { 0, 9 } };
	rows.rows[2] = (struct top_row){ .id = 3,
					 .age_s = 5,
					 .idle_s = 1,
					 .ends_in_s = 0.5,
					 .bytes = { 0, 5 },
					 .rates = { 7, 7 } };
	rows.rows[3] = (struct top_row){ .id = 4,
					 .age_s = 5,
					 .idle_s = -1,
					 .ends_in_s = INFINITY,
					 .bytes = { 5, 0 },
					 .rates = { 0, 0 } };
	expect_order(&rows, TOP_BY_RATE, "3 2 4 1 ");
	expect_order(&rows, TOP_BY_BYTES, "2 1 3 4 ");
	expect_order(&rows, TOP_BY_AGE, "1 3 4 2 ");
	expect_order(&rows, TOP_BY_IDLE, "2 1 3 4 ");
	expect_order(&rows, TOP_BY_DEADLINE, "3 2 1 4 ");
	top_rows_fini(&rows);
	for (int order = 0; order < TOP_ORDERS; order++)
		top_rows_sort(&rows, (enum top_order)order); /* nothing to sort */
}

static void no_more_than_the_most_get_in(void **state)
{
	json_t *array = json_array();
	struct top_rows rows = { 0 };

	(void)state;
	for (unsigned i = 0; i < TOP_ROWS_MAX + 5; i++)
		assert_int_equal(json_array_append_new(array, session((int)i + 1, 1, 0, 0)), 0);
	top_rows_add(&rows, array);
	top_rows_add(&rows, array);
	assert_int_equal(rows.count, TOP_ROWS_MAX);
	assert_int_equal(top_rows_find(&rows, TOP_ROWS_MAX + 1), rows.count);
	top_rows_fini(&rows);
	json_decref(array);
}

static void what_is_not_told_is_not_there(void **state)
{
	static const char *const odd[] = {
		"{}",
		"7",
		"null",
		"{\"id\":\"one\",\"state\":5,\"age_s\":\"old\",\"client\":[],\"ending_in\":{}}",
		"{\"id\":-4,\"client\":{\"address\":\"\\u001b[2J\",\"bytes\":-5}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		json_t *object = json_loads(odd[i], JSON_DECODE_ANY, NULL);
		struct top_rows rows = { 0 };

		assert_non_null(object);
		add(&rows, object);
		assert_int_equal(rows.count, 1);
		assert_int_equal(rows.rows[0].id, 0);
		assert_int_equal(rows.rows[0].state, STATES);
		assert_int_equal(rows.rows[0].bytes[CLIENT], 0);
		assert_true(isinf(rows.rows[0].ends_in_s));
		assert_null(strchr(rows.rows[0].client, '\x1b'));
		top_rows_fini(&rows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_bytes_over_the_sessions_own_time),
		cmocka_unit_test(another_process_has_the_same_ids),
		cmocka_unit_test(every_order_puts_most_first),
		cmocka_unit_test(no_more_than_the_most_get_in),
		cmocka_unit_test(what_is_not_told_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
