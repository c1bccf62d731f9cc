#ifndef FINBACK_IO_LIVENESS_H
#define FINBACK_IO_LIVENESS_H

#include <stdbool.h>

/*
 * How the kernel is asked to find a peer that vanished: tcp(7) SO_KEEPALIVE, TCP_KEEPIDLE,
 * TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT. Keepalive runs while nothing is unacknowledged,
 * the user timeout while something is.
 */

struct keepalive {
	bool is_set;         /* false: the socket is left as the system has it */
	int idle_s;          /* 1 to LIVENESS_SECONDS_MAX */
	int interval_s;      /* 1 to LIVENESS_SECONDS_MAX */
	int count;           /* 1 to LIVENESS_COUNT_MAX */
	int user_timeout_ms; /* 0: none */
};

#define LIVENESS_SECONDS_MAX 32767
#define LIVENESS_COUNT_MAX   127

/* Sets exactly these options on a TCP socket, SO_KEEPALIVE last, as the kernel then counts from
 * now. Sockets accepted from a listener inherit them. Nothing where `is_set` is false. Returns 0 or
 * -errno. */
int liveness_apply(int fd, const struct keepalive *keepalive);

/* Switches keepalive and the user timeout off. Returns 0 or -errno. */
int liveness_clear(int fd);

#endif
