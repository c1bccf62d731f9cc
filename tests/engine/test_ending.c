/* The names of endings: all there, each once, fit for a metric's label. */
#include <finback/engine/ending.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

static void every_ending_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < ENDINGS; a++) {
		const char *name = ending_name((enum ending)a);
		assert_non_null(name);
		assert_true(strlen(name) > 0);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(name, ending_name((enum ending)b));
	}
}

/* The list of the contract, in its order, and nothing beside it. */
static void names_are_the_words_of_the_contract(void **state)
{
	static const char *const words[] = {
		"none",
		"complete",
		"client_reset",
		"server_reset",
		"client_dead",
		"server_dead",
		"idle_timeout",
		"half_closed_timeout",
		"first_byte_timeout",
		"stall_timeout",
		"session_timeout",
		"connect_timeout",
		"connect_refused",
		"connect_failed",
		"no_server",
		"undelivered",
		"denied",
		"limited",
		"bad_proxy_header",
		"evicted",
		"killed",
		"drained",
		"fault",
	};
	(void)state;
	assert_int_equal(sizeof(words) / sizeof(words[0]), ENDINGS);
	for (int i = 0; i < ENDINGS; i++)
		assert_string_equal(ending_name((enum ending)i), words[i]);
}

/* A record that was zeroed is a session that still runs. */
static void none_is_zero(void **state)
{
	(void)state;
	assert_int_equal(ENDING_NONE, 0);
	assert_string_equal(ending_name(ENDING_NONE), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ending_has_a_name_of_its_own),
		cmocka_unit_test(names_are_the_words_of_the_contract),
		cmocka_unit_test(none_is_zero),
	};
	return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
