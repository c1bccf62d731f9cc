#ifndef FINBACK_HOST_PROCESS_H
#define FINBACK_HOST_PROCESS_H

#include <stdint.h>

/*
 * What this process takes of the machine. Main thread only. It never fails: what cannot be read,
 * as no descriptor is left to read it with, stays what it was the last time, 0 at first.
 */

struct process_facts {
	uint64_t open_fds;  /* descriptors open now, in libraries too */
	uint64_t max_fds;   /* that it may have: the soft RLIMIT_NOFILE */
	uint64_t rss_bytes; /* memory that is resident */
	uint64_t cpu_us;    /* user and system time of all threads since the start */
};

/* Reads them, in microseconds. `known_fds` is how many descriptors the caller knows to be open at
 * this moment, such as sessions' sockets. Where the kernel has the number of all descriptors
 * (since 6.2) it is exact, whatever is known. Before that there is only a list, which takes
 * milliseconds when it is long: it is read for at most a thousandth of the time, and between two
 * readings open_fds follows `known_fds`. */
void process_read(uint64_t known_fds, struct process_facts *ret_facts);

/* Descriptors open now, counted one by one where need be; 0: it cannot be told. */
uint64_t process_count_fds(void);

#endif
