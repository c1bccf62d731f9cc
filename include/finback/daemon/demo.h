#ifndef FINBACK_DAEMON_DEMO_H
#define FINBACK_DAEMON_DEMO_H

#include <finback/io/address.h>

#include <stddef.h>
#include <stdint.h>

/*
 * The demo backend: a small server inside the process, for a first try without any other. It reads
 * a connection to its end of file and only then answers: with the lines sorted as sort(1) does in
 * the C locale. That works through a relay only if the relay keeps half-close. Not for real use: it
 * listens on the loopback address alone, and while it sorts one input the others wait.
 */

struct demo;

/* Beyond `input_bytes` or `total_bytes`, and after `idle_us` in which no byte moved, a connection
 * is reset. Beyond `connections`, clients wait to be accepted. */
struct demo_limits {
	size_t connections; /* at a time; at least 1 */
	size_t input_bytes; /* of one connection; under 4 GiB */
	size_t total_bytes; /* input of all connections that are there */
	int64_t idle_us;
};

/* 64 connections, 64 MiB each, 256 MiB in all, 5 minutes. */
extern const struct demo_limits demo_limits;

/* Starts the demo backend in a thread of its own, with all signals blocked in it. Returns 0, with
 * the address it listens on (127.0.0.1 and a port of the kernel's choice) in *ret_address, or
 * -errno, with *ret_why a static sentence part that says what could not be done. */
int demo_start(struct demo **ret, struct address *ret_address, const char **ret_why);

/* The same with limits other than demo_limits. */
int demo_start_limited(const struct demo_limits *limits, struct demo **ret,
		       struct address *ret_address, const char **ret_why);

/* Stops the thread and frees everything. Connections that have no whole answer yet are reset. NULL
 * is fine. */
void demo_stop(struct demo *demo);

#endif
