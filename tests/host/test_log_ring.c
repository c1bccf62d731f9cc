/*
 * host/log_ring against a plain list: whatever is appended comes out again in one piece and in
 * order, room is refused only where there is none, and no byte outside is touched.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/log_ring.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define RING_BYTES  128
#define ENTRY_BYTES 48 /* of the longest */
#define ROUNDS      200000
#define GUARD       0x5a

struct fixture {
	char bytes[RING_BYTES + 16]; /* with a guard of 8 bytes on both sides */
	struct log_ring ring;
	uint32_t sizes[RING_BYTES]; /* of the entries that are in, oldest first */
	unsigned count;
	unsigned oldest; /* the number of the oldest entry: it is in each of its bytes */
};

static void set_up(struct fixture *fixture)
{
	*fixture = (struct fixture){ .count = 0 };
	memset(fixture->bytes, GUARD, sizeof(fixture->bytes));
	fixture->ring = (struct log_ring){ .bytes = fixture->bytes + 8, .size = RING_BYTES };
}

static void fill(char *entry, uint32_t size, unsigned number)
{
	memset(entry, (int)(number & 0xff), size);
	memcpy(entry, &size, sizeof(size));
}

static bool append(struct fixture *fixture, uint32_t size)
{
	char entry[RING_BYTES + LOG_RING_UNIT];

	fill(entry, size, fixture->oldest + fixture->count);
	if (!log_ring_append(&fixture->ring, entry, size))
		return false;
	fixture->sizes[fixture->count++] = size;
	return true;
}

/* Takes the oldest `count` entries at once. */
static void take(struct fixture *fixture, unsigned count)
{
	struct log_cursor cursor = { .at = fixture->ring.tail };
	char expected[RING_BYTES];

	for (unsigned i = 0; i < count; i++) {
		assert_true(cursor.bytes < fixture->ring.used);
		fill(expected, fixture->sizes[i], fixture->oldest + i);
		assert_memory_equal(log_ring_next(&fixture->ring, &cursor), expected,
				    fixture->sizes[i]);
	}
	assert_int_equal(cursor.entries, count);
	log_ring_release(&fixture->ring, &cursor);
	fixture->oldest += count;
	fixture->count -= count;
	memmove(fixture->sizes, fixture->sizes + count, fixture->count * sizeof(*fixture->sizes));
}

static size_t sum(const struct fixture *fixture)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < fixture->count; i++)
		bytes += fixture->sizes[i];
	return bytes;
}

static void check(const struct fixture *fixture)
{
	static const char guard[] = { GUARD, GUARD, GUARD, GUARD, GUARD, GUARD, GUARD, GUARD };

	assert_memory_equal(fixture->bytes, guard, sizeof(guard));
	assert_memory_equal(fixture->bytes + 8 + RING_BYTES, guard, sizeof(guard));
	assert_in_range(fixture->ring.used, sum(fixture), RING_BYTES);
	if (fixture->count == 0)
		assert_int_equal(fixture->ring.used + fixture->ring.head + fixture->ring.tail, 0);
}

static void test_any_order_of_appending_and_taking(void **state)
{
	struct fixture fixture;
	unsigned seed = 1;
	unsigned refused = 0;

	(void)state;
	set_up(&fixture);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t size = LOG_RING_UNIT *
				(1 + (uint32_t)rand_r(&seed) % (ENTRY_BYTES / LOG_RING_UNIT));

		if (rand_r(&seed) % 3 > 0) {
			bool is_in = append(&fixture, size);

			/* At worst the rest before the end, less than an entry, is lost too. */
			if (!is_in)
				assert_true(sum(&fixture) + 3 * ENTRY_BYTES > RING_BYTES);
			refused += !is_in;
		} else if (fixture.count > 0) {
			take(&fixture, 1 + (unsigned)rand_r(&seed) % fixture.count);
		}
		check(&fixture);
	}
	assert_in_range(refused, ROUNDS / 20, ROUNDS);
}

static void test_all_of_it_can_be_used(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_false(append(&fixture, RING_BYTES + LOG_RING_UNIT));
	assert_true(append(&fixture, RING_BYTES));
	assert_false(append(&fixture, LOG_RING_UNIT));
	take(&fixture, 1);
	check(&fixture);
	for (int i = 0; i < RING_BYTES / LOG_RING_UNIT; i++)
		assert_true(append(&fixture, LOG_RING_UNIT));
	assert_false(append(&fixture, LOG_RING_UNIT));
	/* and over its end, where an entry ends just there */
	take(&fixture, 2);
	assert_false(append(&fixture, 3 * LOG_RING_UNIT));
	assert_true(append(&fixture, 2 * LOG_RING_UNIT));
	take(&fixture, fixture.count);
	check(&fixture);
}

/* The oldest is not written over where what is skipped and the entry together do not fit. */
static void test_what_is_skipped_counts(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_true(append(&fixture, 24));
	assert_true(append(&fixture, 88)); /* 16 are left before the end */
	take(&fixture, 1);
	assert_false(append(&fixture, 32));
	assert_true(append(&fixture, 24)); /* at the start */
	assert_false(append(&fixture, 8));
	take(&fixture, 2);
	check(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order_of_appending_and_taking),
		cmocka_unit_test(test_all_of_it_can_be_used),
		cmocka_unit_test(test_what_is_skipped_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
