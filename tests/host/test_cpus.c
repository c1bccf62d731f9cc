/*
 * host/cpus: the CPU quota from made-up /proc/self/cgroup and /sys/fs/cgroup trees: version 2,
 * version 1, both at once, inside containers, and files that are not what they should be.
 */
#include <finback/host/service.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/host/cpus.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

static char root[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/finback-cpus-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the made-up root, with the directories to it. */
static void put(const char *name, const char *text)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static void test_version_2(void **state)
{
	static const struct {
		const char *text;
		unsigned cpus;
	} quotas[] = {
		{ "max 100000\n", 0 },
		{ "200000 100000\n", 2 },
		{ "200001 100000\n", 3 },
		{ "199999 100000\n", 2 },
		{ "1000 100000\n", 1 },
		{ "100000 100000\n", 1 },
		{ "50000 10000\n", 5 },
		{ "150000\n", 2 },
		{ "", 0 },
		{ "\n", 0 },
		{ "0 100000\n", 0 },
		{ "-1 100000\n", 0 },
		{ "100000 0\n", 0 },
		{ "100000 -5\n", 0 },
		{ "nonsense\n", 0 },
		{ "99999999999999999999 100000\n", 0 },
		{ "9000000000000000000 1\n", 65536 },
	};

	(void)state;
	put("proc/self/cgroup", "0::/system.slice/finback.service\n");
	for (size_t i = 0; i < sizeof(quotas) / sizeof(*quotas); i++) {
		put("sys/fs/cgroup/system.slice/finback.service/cpu.max", quotas[i].text);
		if (cpus_quota(root) != quotas[i].cpus)
			fail_msg("\"%s\": %u", quotas[i].text, cpus_quota(root));
	}
}

static void test_version_2_counts_the_groups_above(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/a/b/c\n");
	put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
	assert_int_equal(cpus_quota(root), 2);
	put("sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(cpus_quota(root), 1);
	/* a neighbour's is none of ours */
	put("sys/fs/cgroup/a/b/d/cpu.max", "1 100000\n");
	put("sys/fs/cgroup/cpu.max", "max\n");
	assert_int_equal(cpus_quota(root), 2);
}

static void test_version_2_in_the_root_group(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/cpu.max", "700000 100000\n");
	assert_int_equal(cpus_quota(root), 7);
}

/* Only the mount's root is in reach of a container that sees the host's path, or one outside. */
static void test_a_path_that_is_not_there(void **state)
{
	(void)state;
	put("sys/fs/cgroup/cpu.max", "200000 100000\n");
	put("sys/fs/other/cpu.max", "100000 100000\n"); /* no control group */
	put("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
	assert_int_equal(cpus_quota(root), 2);
	put("proc/self/cgroup", "0::/../other\n");
	assert_int_equal(cpus_quota(root), 2);
	put("proc/self/cgroup", "0::/..\n");
	assert_int_equal(cpus_quota(root), 2);
}

static void test_version_1(void **state)
{
	(void)state;
	put("proc/self/cgroup", "3:cpuset:/x\n2:cpu,cpuacct:/a/b\n1:name=systemd:/a/b\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n");
	assert_int_equal(cpus_quota(root), 3); /* no period there */
	put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
	assert_int_equal(cpus_quota(root), 1);
	/* version 1 groups are no version 2 groups, and cpuset is not cpu */
	put("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
	put("sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
	put("sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us", "100000\n");
	put("sys/fs/cgroup/cpuset/x/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpus_quota(root), 3);
}

static void test_version_1_mounted_under_its_short_name(void **state)
{
	(void)state;
	put("proc/self/cgroup", "4:cpuacct,cpu:/docker/0123\n");
	put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
	put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpus_quota(root), 4);
}

static void test_both_versions_at_once(void **state)
{
	(void)state;
	put("proc/self/cgroup", "9:name=systemd:/\n2:cpuacct:/\n1:cpu:/a\n0::/b\n");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
	put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	put("sys/fs/cgroup/unified/b/cgroup.procs", "");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
	assert_int_equal(cpus_quota(root), 2);
}

static void test_files_that_are_not_what_they_should_be(void **state)
{
	static const char *const texts[] = {
		"",       "\n\n",  ":", "::", "0:", "0::", "0::relative\n", "no colons at all",
		":cpu:/", "0::/a", /* without a line's end */
	};
	char long_path[6000] = "0::";

	(void)state;
	assert_int_equal(cpus_quota(root), 0); /* no file at all */
	put("sys/fs/cgroup/b/cpu.max", "100000 100000\n");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put("proc/self/cgroup", texts[i]);
		assert_int_equal(cpus_quota(root), 0);
	}
	memset(long_path + 3, '/', sizeof(long_path) - 4);
	put("proc/self/cgroup", long_path);
	assert_int_equal(cpus_quota(root), 0);
	memset(long_path, 'x', sizeof(long_path) - 1);
	put("proc/self/cgroup", long_path);
	assert_int_equal(cpus_quota(root), 0);
	put("proc/self/cgroup", "0::/b");
	assert_int_equal(cpus_quota(root), 1);
}

/* The mask of a child, so that the test keeps its own. */
static void test_affinity(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		cpu_set_t all, one;
		int cpu = 0;

		CPU_ZERO(&one);
		if (sched_getaffinity(0, sizeof(all), &all) < 0 ||
		    cpus_affinity() != (unsigned)CPU_COUNT(&all))
			_exit(1);
		while (!CPU_ISSET(cpu, &all))
			cpu++;
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			_exit(2);
		_exit(cpus_affinity() == 1 && service_cpus() == 1 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_at_least_one_and_no_more_than_the_mask(void **state)
{
	(void)state;
	assert_in_range(service_cpus(), 1, cpus_affinity());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_version_2_counts_the_groups_above, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_version_2_in_the_root_group, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_path_that_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_version_1_mounted_under_its_short_name, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_both_versions_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files_that_are_not_what_they_should_be, set_up,
						tear_down),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_at_least_one_and_no_more_than_the_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
