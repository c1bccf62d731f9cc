/*
 * How many CPUs this process may use: cgroups(7), sched_setaffinity(2), and the kernel's
 * cgroup-v2 "cpu.max" and sched-bwc "cpu.cfs_quota_us".
 *
 * Nothing here can fail: what cannot be read is no limit.
 *
 * The surprising thing: inside a container without a cgroup namespace, /proc/self/cgroup names a
 * path of the host's, while /sys/fs/cgroup begins at the container's own group. So a path that is
 * not there is no error: every group from it up to the mount's root is looked at, and those that
 * are there count.
 */
#include "cpus.h"

#include <finback/host/service.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPUS_MAX          65536
#define CGROUP_FILE_MAX   (16 * 1024) /* of /proc/self/cgroup; the rest is not looked at */
#define DEFAULT_PERIOD_US 100000

unsigned cpus_affinity(void)
{
	unsigned count = 0;

	/* The kernel says EINVAL while the mask is smaller than its own. */
	for (size_t cpus = 1024; cpus <= CPUS_MAX && count == 0; cpus *= 2) {
		size_t size = CPU_ALLOC_SIZE(cpus);
		cpu_set_t *set = CPU_ALLOC(cpus);

		if (!set)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			count = (unsigned)CPU_COUNT_S(size, set);
		CPU_FREE(set);
	}
	return count > 0 ? count : 1;
}

/* Reads a file, as much of it as fits, and ends it with NUL. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t length = 0;

	if (fd < 0)
		return false;
	do {
		length = read(fd, text + used, size - 1 - used);
		if (length > 0)
			used += (size_t)length;
	} while ((length > 0 && used < size - 1) || (length < 0 && errno == EINTR));
	(void)close(fd); /* it was only read */
	text[used] = '\0';
	return length >= 0;
}

static bool read_group_file(const char *group, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%s", group, file);

	return length > 0 && (size_t)length < sizeof(path) && read_text(path, text, size);
}

/* Rounded up; 0: no limit. */
static unsigned quota_cpus(long long quota_us, long long period_us)
{
	long long cpus;

	if (quota_us <= 0 || period_us <= 0)
		return 0;
	cpus = (quota_us - 1) / period_us + 1;
	return cpus < CPUS_MAX ? (unsigned)cpus : CPUS_MAX;
}

/* "max 100000" or "150000 100000". */
static unsigned group_quota_v2(const char *group)
{
	char text[64];
	long long quota_us, period_us = DEFAULT_PERIOD_US;
	char *end;

	if (!read_group_file(group, "cpu.max", text, sizeof(text)))
		return 0;
	errno = 0;
	quota_us = strtoll(text, &end, 10);
	if (end == text || errno != 0)
		return 0;
	if (*end == ' ')
		period_us = strtoll(end, NULL, 10);
	return quota_cpus(quota_us, period_us);
}

/* A quota of -1 is none. */
static unsigned group_quota_v1(const char *group)
{
	char quota[32], period[32];

	if (!read_group_file(group, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_group_file(group, "cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	return quota_cpus(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static unsigned least(unsigned a, unsigned b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* The least quota of the group PATH below the mount point ROOT/sys/fs/cgroup/MOUNT and of every
 * group above it. */
static unsigned walk_up(const char *root, const char *mount, const char *path,
			unsigned (*group_quota)(const char *group))
{
	char group[PATH_MAX];
	int base = snprintf(group, sizeof(group), "%s/sys/fs/cgroup%s%s", root, *mount ? "/" : "",
			    mount);
	unsigned quota = 0;
	size_t length = strlen(path);

	/* A group outside of our cgroup namespace is "/../..": only the mount's root is in reach.
	 */
	if (strncmp(path, "/..", 3) == 0)
		length = 0;
	if (base < 0 || (size_t)base + length >= sizeof(group))
		return 0;
	memcpy(group + base, path, length);
	group[(size_t)base + length] = '\0';
	for (;;) {
		quota = least(quota, group_quota(group));
		if (strlen(group) <= (size_t)base)
			return quota;
		*strrchr(group, '/') = '\0';
	}
}

static bool has_cpu_controller(const char *controllers)
{
	for (const char *at = controllers; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == '\0'))
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup: "HIERARCHY:CONTROLLERS:PATH", "0::PATH" for version 2. */
static unsigned line_quota(const char *root, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path || path[1] != '/')
		return 0;
	*controllers++ = '\0';
	*path++ = '\0';
	if (!*controllers)
		return least(walk_up(root, "", path, group_quota_v2),
			     walk_up(root, "unified", path, group_quota_v2));
	if (!has_cpu_controller(controllers))
		return 0;
	return least(walk_up(root, controllers, path, group_quota_v1),
		     walk_up(root, "cpu", path, group_quota_v1));
}

unsigned cpus_quota(const char *root)
{
	char path[PATH_MAX], text[CGROUP_FILE_MAX];
	int length = snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	char *rest = text;
	unsigned quota = 0;
	char *line;

	if (length < 0 || (size_t)length >= sizeof(path) || !read_text(path, text, sizeof(text)))
		return 0;
	while ((line = strsep(&rest, "\n")))
		quota = least(quota, line_quota(root, line));
	return quota;
}

unsigned service_cpus(void)
{
	return least(cpus_affinity(), cpus_quota(""));
}
