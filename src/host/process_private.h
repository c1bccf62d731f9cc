#ifndef FINBACK_SRC_HOST_PROCESS_PRIVATE_H
#define FINBACK_SRC_HOST_PROCESS_PRIVATE_H

#include <stdint.h>

/*
 * What process_read() is made of, so that tests can stand in for an older kernel: one of its
 * /proc/self/fd has no size, as /proc/self/fdinfo has none in any.
 */

struct fd_count {
	const char *path; /* a directory with an entry for each descriptor */
	uint64_t others;  /* descriptors that the caller did not know of, when they were counted */
	int64_t next_us;  /* not to be counted again before */
};

/* All descriptors now, `known` of which the caller knows. `now_us` is CLOCK_MONOTONIC. */
uint64_t fd_count_now(struct fd_count *count, int64_t now_us, uint64_t known);

#endif
