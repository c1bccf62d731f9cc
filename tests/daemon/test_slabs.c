/*
 * daemon/slabs: records that come and go in any order keep their bytes to themselves, and the
 * memory of those that are gone is the kernel's again.
 */
#include <finback/daemon/slabs.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define RECORDS 9000
#define BYTES   212

static struct slabs slabs;
static unsigned char *records[RECORDS];

static int open_slabs(void **state)
{
	(void)state;
	slabs_init(&slabs, BYTES);
	memset(records, 0, sizeof records);
	return 0;
}

static int close_slabs(void **state)
{
	(void)state;
	slabs_fini(&slabs);
	return 0;
}

/* A record of its own has its number in every byte. */
static unsigned char mark_of(size_t i)
{
	return (unsigned char)(1 + i % 251);
}

static bool is_all(const unsigned char *record, unsigned char mark)
{
	for (size_t i = 0; i < BYTES; i++)
		if (record[i] != mark)
			return false;
	return true;
}

static void take(size_t i)
{
	records[i] = slabs_take(&slabs);
	assert_non_null(records[i]);
	assert_int_equal((uintptr_t)records[i] % sizeof(void *), 0);
	assert_true(is_all(records[i], 0));
	memset(records[i], mark_of(i), BYTES);
}

static void give(size_t i)
{
	assert_true(is_all(records[i], mark_of(i)));
	slabs_give(&slabs, records[i]);
	records[i] = NULL;
}

/* Slabs that so many need, where each is as full as it can be. */
static size_t fewest_for(size_t count)
{
	size_t each = (SLAB_BYTES - 64) / ((BYTES + 7) / 8 * 8);

	return (count + each - 1) / each;
}

static bool is_mapped(const void *at)
{
	uintptr_t page = (uintptr_t)at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	unsigned char is_there;

	return mincore((void *)page, 1, &is_there) == 0 || errno != ENOMEM;
}

static void nothing_is_taken_before_the_first(void **state)
{
	(void)state;
	assert_int_equal(slabs.count, 0);
	slabs_give(&slabs, NULL);
	take(0);
	assert_int_equal(slabs.count, 1);
	give(0);
}

static void a_crowd_comes_and_leaves(void **state)
{
	size_t mapped = 0;
	unsigned char *first;
	unsigned char *middle;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < RECORDS; i++)
			take(i);
		assert_true(slabs.count <= fewest_for(RECORDS));
		first = records[0];
		middle = records[RECORDS / 2];
		assert_true(is_mapped(first) && is_mapped(middle));
		for (size_t i = 0; i < RECORDS; i++)
			give(round < 2 ? i : RECORDS - 1 - i);
		assert_int_equal(slabs.count, 1);
		mapped = (size_t)is_mapped(first) + (size_t)is_mapped(middle);
		assert_true(mapped <= 1);
	}
}

/* Whose room is free is given to the next, not new room. */
static void room_is_taken_again(void **state)
{
	size_t count;

	(void)state;
	for (size_t i = 0; i < RECORDS; i++)
		take(i);
	count = slabs.count;
	for (size_t i = 0; i < RECORDS; i += 3)
		give(i);
	assert_int_equal(slabs.count, count);
	for (size_t i = 0; i < RECORDS; i += 3)
		take(i);
	assert_int_equal(slabs.count, count);
	for (size_t i = 0; i < RECORDS; i++)
		give(i);
}

/* At the edge of a slab, over and over: it is neither mapped nor unmapped each time. */
static void one_slab_is_kept(void **state)
{
	size_t i = 0;
	const unsigned char *last;

	(void)state;
	do
		take(i++);
	while (slabs.count < 3);
	last = records[i - 1];
	for (int round = 0; round < 100; round++) {
		give(i - 1);
		assert_true(is_mapped(last));
		assert_int_equal(slabs.count, 3);
		take(i - 1);
		assert_int_equal(slabs.count, 3);
	}
	while (i > 0)
		give(--i);
	assert_int_equal(slabs.count, 1);
}

static uint64_t seed = 3;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void records_come_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t chosen = any() % RECORDS;
		unsigned percent = i / 20000 % 2 == 0 ? 80 : 20;

		if (!records[chosen] && any() % 100 < percent)
			take(chosen);
		else if (records[chosen] && any() % 100 >= percent)
			give(chosen);
	}
	for (size_t i = 0; i < RECORDS; i++)
		if (records[i])
			give(i);
	assert_int_equal(slabs.count, 1);
}

/* A record of any size has its own bytes up to the last, in a full slab, too. */
static void records_of_any_size(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes <= SLAB_BYTES / 8; bytes += 1 + bytes / 3) {
		static unsigned char *held[SLAB_BYTES / 8];
		struct slabs sized;
		size_t count = 0;

		slabs_init(&sized, bytes);
		while (sized.count < 2) {
			held[count] = slabs_take(&sized);
			assert_true((uintptr_t)held[count] % SLAB_BYTES + bytes <= SLAB_BYTES);
			memset(held[count], (int)(count % 251), bytes);
			count++;
		}
		while (count-- > 0) {
			for (size_t at = 0; at < bytes; at++)
				assert_int_equal(held[count][at], count % 251);
			slabs_give(&sized, held[count]);
		}
		slabs_fini(&sized);
	}
}

/* What the process has mapped, in bytes. */
static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu", &pages), 1);
	(void)fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whatever else the process maps in between, and with nothing mapped beside them. */
static void the_kernel_may_put_them_anywhere(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *pages[20];
	size_t before = mapped_bytes();
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		pages[i] = mmap(NULL, page, i % 2 ? PROT_READ : PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(pages[i], MAP_FAILED);
		while (slabs.count <= i)
			take(count++);
	}
	assert_true(mapped_bytes() - before <= (20 + 2) * SLAB_BYTES);
	while (count > 0)
		give(--count);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(munmap(pages[i], page), 0);
	assert_int_equal(slabs.count, 1);
}

static void a_free_record_is_poisoned(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	take(0);
	take(1);
	for (size_t at = 0; at < BYTES; at++)
		assert_false(__asan_address_is_poisoned(records[1] + at));
	{
		unsigned char *gone = records[1];

		give(1);
		for (size_t at = 0; at < BYTES; at++)
			assert_true(__asan_address_is_poisoned(gone + at));
		assert_false(__asan_address_is_poisoned(records[0] + BYTES - 1));
	}
	give(0);
#else
	skip();
#endif
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_slabs, close_slabs)
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_taken_before_the_first),
		CASE(a_crowd_comes_and_leaves),
		CASE(room_is_taken_again),
		CASE(one_slab_is_kept),
		CASE(records_come_and_go),
		CASE(records_of_any_size),
		CASE(the_kernel_may_put_them_anywhere),
		CASE(a_free_record_is_poisoned),
	};

	return cmocka_run_group_tests_name("daemon/slabs", tests, NULL, NULL);
}
