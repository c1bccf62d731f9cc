#ifndef FINBACK_IO_LIVENESS_H
#define FINBACK_IO_LIVENESS_H

#include <finback/engine/ending.h>
#include <finback/engine/vigil.h>

#include <stdbool.h>
#include <stdint.h>

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
	int rto_max_ms;      /* TCP_RTO_MAX_MS, where the kernel has it; 0: left alone */
};

#define LIVENESS_SECONDS_MAX 32767
#define LIVENESS_COUNT_MAX   127

/* Of dead_after. */
#define LIVENESS_LEAST_US (INT64_C(3) * 1000000)
#define LIVENESS_MOST_US  (INT64_C(86400) * 1000000)

/* What keepalive is to be so that a peer that vanished is found within `dead_after_us`
 * (LIVENESS_LEAST_US to LIVENESS_MOST_US) while nothing is unacknowledged, with as many probes as
 * make sense, so that losses on the way are not taken for a death. The user timeout stays off, as
 * it kills readers that are slow; what is unacknowledged is for engine/vigil to judge. */
struct keepalive liveness_within(int64_t dead_after_us);

/* Sets exactly these options on a TCP socket, SO_KEEPALIVE last, as the kernel then counts from
 * now. Sockets accepted from a listener inherit them. Nothing where `is_set` is false. Returns 0 or
 * -errno. */
int liveness_apply(int fd, const struct keepalive *keepalive);

/* The same for a connection that has been there for some time: the kernel counts from when it last
 * heard the peer. */
int liveness_keep(int fd, const struct keepalive *keepalive);

/* What the kernel knows of a connection (tcp(7) TCP_INFO, SIOCOUTQ, SIOCINQ). */
struct tcp_facts {
	uint8_t state;              /* TCP_ESTABLISHED ... of <netinet/tcp.h>; 0: no TCP socket */
	uint8_t retransmits;        /* of the oldest segment, in a row, without an answer */
	uint8_t probes;             /* window or keepalive probes without an answer */
	uint32_t rtt_us;            /* smoothed */
	uint32_t unacked_bytes;     /* sent and not acknowledged; a FIN counts as one */
	uint32_t unsent_bytes;      /* written and not sent yet; a FIN counts as one */
	uint32_t unread_bytes;      /* received and not read by us */
	uint32_t total_retransmits; /* segments sent again, since the start */
	uint32_t last_heard_ms;     /* since the last segment with data or an acknowledgement; 0 in
				     * SYN_SENT, where there was none */
};

/* Reads them. Returns 0 or -errno; -EOPNOTSUPP for what is no TCP socket. */
int liveness_read(int fd, struct tcp_facts *ret_facts);

/* The part of them that tells whether the peer is alive, in one call. Returns 0 or -errno;
 * -EOPNOTSUPP for what is no TCP socket. */
int liveness_vitals(int fd, struct vitals *ret_vitals);

/* The kernel's word for a state: "ESTABLISHED", "FIN_WAIT2" ...; "-" for none. */
const char *tcp_state_name(unsigned state);

/* What found that the peer of this socket has vanished, after the kernel has said so by an error:
 * while something was unacknowledged the user timeout, else keepalive. */
enum detector liveness_detector(int fd);

/* Switches keepalive and the user timeout off. Returns 0
 * or -errno. */
int liveness_clear(int fd);

#endif
