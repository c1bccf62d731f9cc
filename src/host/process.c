/*
 * This process, as /proc and the kernel's clocks tell it: proc(5), clock_gettime(2), getrlimit(2).
 *
 * Nothing here can fail: what cannot be read stays what it was.
 *
 * Surprising: since Linux 6.2 the size of /proc/self/fd is the number of descriptors, and before
 * it is 0. To list them instead takes the better part of a microsecond each.
 */
#include <finback/host/process.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process_private.h"

#define FD_DIRECTORY    "/proc/self/fd"
#define COUNTING_SHARE  1000 /* of the time may go into counting: one part in so many */
#define NOT_DESCRIPTORS 3    /* in the list: ".", "..", and what it is read with */

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* 0: the kernel does not say. */
static uint64_t size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_size > 0 ? (uint64_t)status.st_size : 0;
}

/* 0: it could not be read. */
static uint64_t list(const char *path)
{
	DIR *directory = opendir(path);
	uint64_t entries = 0;

	if (!directory)
		return 0;
	/* No other thread reads this stream. */
	/* cppcheck-suppress readdirCalled */
	while (readdir(directory))
		entries++;
	(void)closedir(directory); /* it was only read */
	return entries > NOT_DESCRIPTORS ? entries - NOT_DESCRIPTORS : 0;
}

static void list_again(struct fd_count *count, int64_t now_us, uint64_t known)
{
	int64_t start_us = clock_us(CLOCK_MONOTONIC);
	uint64_t all = list(count->path);
	int64_t took_us = clock_us(CLOCK_MONOTONIC) - start_us;

	count->next_us = now_us + took_us * COUNTING_SHARE;
	/* A session may come or go between the caller's look and this one. */
	if (all > 0)
		count->others = all > known ? all - known : 0;
}

uint64_t fd_count_now(struct fd_count *count, int64_t now_us, uint64_t known)
{
	uint64_t size = size_of(count->path);

	if (size > 0)
		return size;
	if (now_us >= count->next_us)
		list_again(count, now_us, known);
	return count->others + known;
}

uint64_t process_count_fds(void)
{
	uint64_t size = size_of(FD_DIRECTORY);

	return size > 0 ? size : list(FD_DIRECTORY);
}

static uint64_t max_fds(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

/* The second number of /proc/self/statm, in pages. */
static uint64_t rss_bytes(uint64_t before)
{
	char text[128];
	ssize_t length;
	const char *second;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return before;
	do
		length = read(fd, text, sizeof text - 1);
	while (length < 0 && errno == EINTR);
	(void)close(fd); /* it was only read */
	if (length <= 0)
		return before;
	text[length] = '\0';
	second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : before;
}

void process_read(uint64_t known_fds, struct process_facts *ret_facts)
{
	static struct fd_count fds = { .path = FD_DIRECTORY };
	static uint64_t rss;

	rss = rss_bytes(rss);
	*ret_facts = (struct process_facts){
		.open_fds = fd_count_now(&fds, clock_us(CLOCK_MONOTONIC), known_fds),
		.max_fds = max_fds(),
		.rss_bytes = rss,
		.cpu_us = (uint64_t)clock_us(CLOCK_PROCESS_CPUTIME_ID),
	};
}
