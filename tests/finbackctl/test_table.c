/*
 * finbackctl/table: in full where nothing says how wide, and made to fit where a terminal does.
 */
#include <locale.h>
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

#include "finbackctl/table.h"

static const struct column columns[] = {
	{ "ID", COLUMN_RIGHT },
	{ "CLIENT", COLUMN_CUT },
	{ "STATE", 0 },
	{ "MORE", COLUMN_OPTIONAL },
};

static const char *const rows[][4] = {
	{ "1", "10.0.0.1:5000", "open", "x" },
	{ "12345", "[2001:db8::1]:5000", "closing", NULL },
};

static void expect_printed(int width, const char *expected)
{
	struct table *table = table_create(columns, 4);
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		table_add(table, rows[i]);
	table_print(table, file, width);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(text, expected);
	free(text);
	table_destroy(table);
}

static void without_a_width_nothing_is_cut(void **state)
{
	(void)state;
	expect_printed(0, "   ID  CLIENT              STATE    MORE\n"
			  "    1  10.0.0.1:5000       open     x\n"
			  "12345  [2001:db8::1]:5000  closing  -\n");
}

static void what_fits_is_left_alone(void **state)
{
	(void)state;
	expect_printed(40, "   ID  CLIENT              STATE    MORE\n"
			   "    1  10.0.0.1:5000       open     x\n"
			   "12345  [2001:db8::1]:5000  closing  -\n");
}

static void optional_columns_go_first(void **state)
{
	(void)state;
	expect_printed(39, "   ID  CLIENT              STATE\n"
			   "    1  10.0.0.1:5000       open\n"
			   "12345  [2001:db8::1]:5000  closing\n");
}

static void then_the_middle_of_values(void **state)
{
	(void)state;
	expect_printed(28, "   ID CLIENT         STATE\n"
			   "    1 10.0.0.1:5000  open\n"
			   "12345 [2001:\xe2\x80\xa6"
			   "1]:5000 closing\n");
	expect_printed(5, "   ID CLIENT  STATE\n"
			  "    1 10.\xe2\x80\xa6"
			  "000 open\n"
			  "12345 [20\xe2\x80\xa6"
			  "000 closing\n");
}

static void cells_are_made_fit_to_print(void **state)
{
	static const struct column one[] = { { "A", 0 } };
	const char *const value[] = { "a\x1b[2J\nb" };
	struct table *table = table_create(one, 1);
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 5000; i++)
		table_add(table, value);
	table_print(table, file, 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(strncmp(text, "A\na?[2J b\na?[2J b\n", 18), 0);
	assert_int_equal(size, 2 + 5000 * strlen("a?[2J b\n"));
	free(text);
	table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_width_nothing_is_cut),
		cmocka_unit_test(what_fits_is_left_alone),
		cmocka_unit_test(optional_columns_go_first),
		cmocka_unit_test(then_the_middle_of_values),
		cmocka_unit_test(cells_are_made_fit_to_print),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		(void)fputs("there is no locale C.UTF-8\n", stderr);
		return EXIT_FAILURE;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
