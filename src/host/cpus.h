#ifndef FINBACK_SRC_HOST_CPUS_H
#define FINBACK_SRC_HOST_CPUS_H

/*
 * What service_cpus() is made of, with the root directory as an argument, so that tests can make up
 * their own /proc and /sys.
 */

/* CPUs in the affinity mask of this process; at least 1. */
unsigned cpus_affinity(void);

/* The least CPU quota of this process's control group and of those above it, in CPUs and rounded
 * up, from ROOT/proc/self/cgroup and ROOT/sys/fs/cgroup; 0: there is none. ROOT is "" for the real
 * one. */
unsigned cpus_quota(const char *root);

#endif
