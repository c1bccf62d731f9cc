/*
 * daemon/pages: what is mapped is zeroed, and what grows or shrinks keeps what is in it.
 */
#include <finback/daemon/pages.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGE ((size_t)4096)

static void what_is_mapped_is_zeroed(void **state)
{
	const unsigned char *at = pages_map(3 * PAGE);

	(void)state;
	assert_non_null(at);
	assert_int_equal((uintptr_t)at % PAGE, 0);
	for (size_t i = 0; i < 3 * PAGE; i++)
		assert_int_equal(at[i], 0);
	pages_unmap((void *)(uintptr_t)at, 3 * PAGE);
	pages_unmap(NULL, 0);
}

static void expect(const unsigned char *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(at[i], (unsigned char)(i * 7 / 3));
}

static void what_grows_and_shrinks_keeps_what_is_in_it(void **state)
{
	static const size_t sizes[] = { 100, PAGE, 5 * PAGE, 1000 * PAGE, 3 * PAGE + 1, 200 };
	unsigned char *at = NULL;
	size_t from = 0;

	(void)state;
	for (size_t step = 0; step < sizeof sizes / sizeof *sizes; step++) {
		size_t to = sizes[step];

		at = pages_resize(at, from, to);
		assert_non_null(at);
		expect(at, from < to ? from : to);
		for (size_t i = 0; i < to; i++)
			at[i] = (unsigned char)(i * 7 / 3);
		from = to;
	}
	pages_unmap(at, from);
}

static void without_memory_nothing_changes(void **state)
{
	unsigned char *at = pages_map(PAGE);

	(void)state;
	assert_non_null(at);
	memset(at, 5, PAGE);
	assert_null(pages_resize(at, PAGE, SIZE_MAX / 2));
	assert_int_equal(at[PAGE - 1], 5);
	assert_null(pages_map(SIZE_MAX / 2));
	pages_unmap(at, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mapped_is_zeroed),
		cmocka_unit_test(what_grows_and_shrinks_keeps_what_is_in_it),
		cmocka_unit_test(without_memory_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
