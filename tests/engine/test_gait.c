/*
 * engine/gait: two reads in a row that ask for the other way change a flow's gait; one does not,
 * and what lies between the bounds never does.
 */
#include <finback/engine/gait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct gait after(const uint32_t *reads, size_t count)
{
	struct gait gait = { 0 };

	for (size_t i = 0; i < count; i++)
		gait_note(&gait, reads[i]);
	return gait;
}

#define AFTER(...)                               \
	after((const uint32_t[]){ __VA_ARGS__ }, \
	      sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

enum {
	BULK = GAIT_BULK_BYTES,
	SHORT_OF_BULK = GAIT_BULK_BYTES - 1,
	BETWEEN = GAIT_MESSAGE_BYTES,
	MESSAGE = GAIT_MESSAGE_BYTES - 1
};

static void it_starts_with_messages(void **state)
{
	(void)state;
	assert_false(((struct gait){ 0 }).is_bulk);
	assert_false(AFTER(BULK).is_bulk);
	assert_false(AFTER(MESSAGE, SHORT_OF_BULK, 1, SHORT_OF_BULK, SHORT_OF_BULK).is_bulk);
}

static void two_large_reads_in_a_row_are_bulk(void **state)
{
	(void)state;
	assert_true(AFTER(BULK, BULK).is_bulk);
	assert_true(AFTER(1, UINT32_MAX, BULK).is_bulk);
	assert_false(AFTER(BULK, SHORT_OF_BULK, BULK).is_bulk);
	assert_true(AFTER(BULK, 1, BULK, BULK).is_bulk);
}

static void two_small_reads_in_a_row_are_messages_again(void **state)
{
	(void)state;
	assert_true(AFTER(BULK, BULK, MESSAGE).is_bulk);
	assert_false(AFTER(BULK, BULK, MESSAGE, MESSAGE).is_bulk);
	assert_true(AFTER(BULK, BULK, MESSAGE, BETWEEN, MESSAGE).is_bulk);
	assert_true(AFTER(BULK, BULK, BETWEEN, BETWEEN, BETWEEN).is_bulk);
}

static void it_changes_as_often_as_the_flow_does(void **state)
{
	(void)state;
	assert_true(AFTER(BULK, BULK, 1, 1, BULK, BULK).is_bulk);
	assert_false(AFTER(BULK, BULK, 1, 1, BULK).is_bulk);
	assert_false(AFTER(BULK, BULK, 1, 1, BULK, BULK, 1, 1).is_bulk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts_with_messages),
		cmocka_unit_test(two_large_reads_in_a_row_are_bulk),
		cmocka_unit_test(two_small_reads_in_a_row_are_messages_again),
		cmocka_unit_test(it_changes_as_often_as_the_flow_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
