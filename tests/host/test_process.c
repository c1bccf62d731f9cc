/*
 * host/process: the kernel's numbers beside what this program does itself. /proc/self/fdinfo stands
 * in for the /proc/self/fd of an older kernel: the same list, without a size.
 */
#include <finback/host/process.h>

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../src/host/process_private.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define MANY 300
#define HOUR (INT64_C(3600) * 1000 * 1000)

static int opened[MANY];

static void open_fds(int count)
{
	for (int i = 0; i < count; i++) {
		opened[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(opened[i] >= 0);
	}
}

static void close_fds(int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(close(opened[i]), 0);
}

/* By asking for each number. */
static uint64_t count_by_hand(void)
{
	uint64_t count = 0;

	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void every_descriptor_is_counted(void **state)
{
	uint64_t before = process_count_fds();

	(void)state;
	assert_int_equal(before, count_by_hand());
	open_fds(MANY);
	assert_int_equal(process_count_fds(), before + MANY);
	close_fds(MANY);
	assert_int_equal(process_count_fds(), before);
}

static void facts_know_every_descriptor(void **state)
{
	struct process_facts facts;
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	open_fds(7);
	process_read(7, &facts);
	assert_int_equal(facts.open_fds, count_by_hand());
	assert_int_equal(facts.max_fds, limit.rlim_cur);
	close_fds(7);
}

static void a_list_tells_as_much_as_a_size(void **state)
{
	struct fd_count list = { .path = "/proc/self/fdinfo" };

	(void)state;
	open_fds(MANY);
	assert_int_equal(fd_count_now(&list, 0, 0), count_by_hand());
	list.next_us = 0;
	assert_int_equal(fd_count_now(&list, 0, 100), count_by_hand());
	close_fds(MANY);
}

static void between_two_lists_only_the_known_ones_change(void **state)
{
	struct fd_count list = { .path = "/proc/self/fdinfo" };
	uint64_t before;

	(void)state;
	before = fd_count_now(&list, 1, 20);
	open_fds(9);
	assert_int_equal(fd_count_now(&list, 2, 20), before);
	assert_int_equal(fd_count_now(&list, 2, 25), before + 5);
	assert_int_equal(fd_count_now(&list, 2, 0), before - 20);
	assert_int_equal(fd_count_now(&list, HOUR, 29), before + 9);
	close_fds(9);
}

static void counting_takes_a_thousandth_of_the_time(void **state)
{
	struct fd_count list = { .path = "/proc/self/fdinfo" };

	(void)state;
	open_fds(MANY);
	(void)fd_count_now(&list, 5000, 0);
	assert_true(list.next_us > 5000);
	assert_int_equal(list.next_us % 1000, 0);
	assert_true(list.next_us < HOUR);
	close_fds(MANY);
}

static void more_known_than_open_is_no_negative_number(void **state)
{
	struct fd_count list = { .path = "/proc/self/fdinfo" };

	(void)state;
	assert_int_equal(fd_count_now(&list, 0, 100000), 100000);
}

static void what_cannot_be_read_stays(void **state)
{
	struct fd_count list = { .path = "/proc/self/fdinfo" };
	uint64_t before = fd_count_now(&list, 0, 0);

	(void)state;
	list.path = "/proc/self/there/is/none";
	assert_int_equal(fd_count_now(&list, HOUR, 2), before + 2);
}

static void spin(int64_t us)
{
	struct timespec now;
	int64_t end_us;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	end_us = now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 + us;
	do
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 < end_us);
}

static void work_takes_cpu_time_and_sleep_none(void **state)
{
	struct process_facts before;
	struct process_facts after;

	(void)state;
	process_read(0, &before);
	spin(30000);
	process_read(0, &after);
	assert_in_range(after.cpu_us - before.cpu_us, 30000, 200000);
	before = after;
	(void)usleep(50000);
	process_read(0, &after);
	assert_in_range(after.cpu_us - before.cpu_us, 0, 20000);
}

static void memory_in_use_is_resident(void **state)
{
	size_t size = 64 << 20;
	struct process_facts before;
	struct process_facts after;
	char *memory;

	(void)state;
	process_read(0, &before);
	assert_true(before.rss_bytes > 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, size);
	process_read(0, &after);
	/* A sanitizer's own memory, some times as much, is resident too. */
	assert_in_range(after.rss_bytes - before.rss_bytes, size * 9 / 10, size * 8);
	assert_int_equal(munmap(memory, size), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_descriptor_is_counted),
		cmocka_unit_test(facts_know_every_descriptor),
		cmocka_unit_test(a_list_tells_as_much_as_a_size),
		cmocka_unit_test(between_two_lists_only_the_known_ones_change),
		cmocka_unit_test(counting_takes_a_thousandth_of_the_time),
		cmocka_unit_test(more_known_than_open_is_no_negative_number),
		cmocka_unit_test(what_cannot_be_read_stays),
		cmocka_unit_test(work_takes_cpu_time_and_sleep_none),
		cmocka_unit_test(memory_in_use_is_resident),
	};

	return cmocka_run_group_tests_name("host/process", tests, NULL, NULL);
}
