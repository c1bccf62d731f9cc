/*
 * The kernel's own ways to find a peer that vanished.
 *
 * Surprising: with TCP_USER_TIMEOUT set, the kernel ignores TCP_KEEPCNT and ends an idle connection
 * by the user timeout instead, so the two are set as they are asked for and not mixed here.
 */
#include <finback/engine/times.h>
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

struct option {
	int level;
	int name;
	int value;
};

static int set_all(int fd, const struct option *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof options[i].value) < 0)
			return -errno;
	return 0;
}

/* The kernel's timers are late by an eighth at most, and on average by half of that
 * (kernel/time/timer.c: each level of its wheel is eight times as coarse as the one before). */
#define LATENESS 16
/* Of the time that is left for probes, and the share of it that is silence before the first. */
#define PROBES     40
#define IDLE_SHARE 3

/* When the kernel gives up by itself what is not acknowledged (tcp(7), tcp_retries2): the distance
 * of the first two tries, and how many there are, by its own reckoning. */
#define RTO_MIN_MS   200
#define RETRIES      15
#define RTO_LEAST_MS 1000
#define RTO_MOST_MS  120000 /* the kernel's own */

/* Of kernels from 6.15 on; <netinet/tcp.h> does not know it yet. */
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

/* How long the kernel tries where the distance between two tries doubles up to `rto_max_ms`. */
static int64_t gives_up_ms(int64_t rto_max_ms)
{
	int64_t distance_ms = RTO_MIN_MS;
	int64_t sum_ms = 0;

	for (int i = 0; i <= RETRIES; i++) {
		sum_ms += distance_ms;
		if (distance_ms < rto_max_ms)
			distance_ms = bounded(distance_ms * 2, 0, rto_max_ms);
	}
	return sum_ms;
}

/* As many tries within dead_after as the kernel makes at all: with fewer, losses are taken for a
 * death sooner, and with a smaller bound the kernel has given up before. */
static int64_t rto_max_ms(int64_t dead_after_ms)
{
	for (int64_t parts = RETRIES; parts > 1; parts--) {
		int64_t bound_ms = bounded(dead_after_ms / parts, RTO_LEAST_MS, RTO_MOST_MS);

		if (gives_up_ms(bound_ms) >= dead_after_ms)
			return bound_ms;
	}
	return RTO_MOST_MS;
}

struct keepalive liveness_within(int64_t dead_after_us)
{
	int64_t whole_s = dead_after_us / 1000000;
	int64_t within_s = whole_s - whole_s / LATENESS;
	int64_t interval_s = bounded(within_s / (PROBES * IDLE_SHARE / (IDLE_SHARE - 1)), 1,
				     LIVENESS_SECONDS_MAX);
	int64_t count = (within_s - within_s / IDLE_SHARE) / interval_s;

	return (struct keepalive){
		.is_set = true,
		.idle_s = (int)(within_s - count * interval_s),
		.interval_s = (int)interval_s,
		.count = (int)count,
		.rto_max_ms = (int)rto_max_ms(dead_after_us / 1000),
	};
}

/* An older kernel backs off as far as it always did. */
static void set_rto_max(int fd, int ms)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &ms, sizeof ms);
}

int liveness_apply(int fd, const struct keepalive *keepalive)
{
	const struct option options[] = {
		{ IPPROTO_TCP, TCP_KEEPIDLE, keepalive->idle_s },
		{ IPPROTO_TCP, TCP_KEEPINTVL, keepalive->interval_s },
		{ IPPROTO_TCP, TCP_KEEPCNT, keepalive->count },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, keepalive->user_timeout_ms },
		/* Last: on a socket that has been idle the kernel counts from this call. */
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	};

	if (!keepalive->is_set)
		return 0;
	if (keepalive->rto_max_ms > 0)
		set_rto_max(fd, keepalive->rto_max_ms);
	return set_all(fd, options, sizeof options / sizeof *options);
}

int liveness_keep(int fd, const struct keepalive *keepalive)
{
	int error = liveness_apply(fd, keepalive);
	/* Last, and again: only this, with keepalive on already, makes the kernel reckon with the
	 * silence so far. */
	const struct option idle = { IPPROTO_TCP, TCP_KEEPIDLE, keepalive->idle_s };

	return error < 0 || !keepalive->is_set ? error : set_all(fd, &idle, 1);
}

int liveness_clear(int fd)
{
	const struct option options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 0 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 0 },
	};

	return set_all(fd, options, sizeof options / sizeof *options);
}

static const char *const state_names[] = {
	[0] = "-",
	[TCP_ESTABLISHED] = "ESTABLISHED",
	[TCP_SYN_SENT] = "SYN_SENT",
	[TCP_SYN_RECV] = "SYN_RECV",
	[TCP_FIN_WAIT1] = "FIN_WAIT1",
	[TCP_FIN_WAIT2] = "FIN_WAIT2",
	[TCP_TIME_WAIT] = "TIME_WAIT",
	[TCP_CLOSE] = "CLOSE",
	[TCP_CLOSE_WAIT] = "CLOSE_WAIT",
	[TCP_LAST_ACK] = "LAST_ACK",
	[TCP_LISTEN] = "LISTEN",
	[TCP_CLOSING] = "CLOSING",
};
#define STATE_NAMES (sizeof state_names / sizeof *state_names)
static_assert(STATE_NAMES == TCP_CLOSING + 1, "a name for each state");

const char *tcp_state_name(unsigned state)
{
	return state < STATE_NAMES ? state_names[state] : "-";
}

/* <netinet/tcp.h> knows the structure only as it was long ago; the kernel fills in as much as there
 * is room for, and says how much that was. */
struct long_info {
	struct tcp_info info;
	uint64_t pacing_rate;
	uint64_t max_pacing_rate;
	uint64_t bytes_acked;
	uint64_t bytes_received;
	uint32_t segs_out;
	uint32_t segs_in;
	uint32_t notsent_bytes;
};

static_assert(offsetof(struct long_info, pacing_rate) == 104, "it goes on where the kernel does");

/* Before the first answer the kernel counts from its own start. */
static uint32_t last_heard_ms(const struct tcp_info *info)
{
	if (info->tcpi_state == TCP_SYN_SENT)
		return 0;
	return info->tcpi_last_ack_recv < info->tcpi_last_data_recv ? info->tcpi_last_ack_recv
								    : info->tcpi_last_data_recv;
}

int liveness_vitals(int fd, struct vitals *ret_vitals)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t length = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return -errno;
	*ret_vitals = (struct vitals){
		.silent_us = (int64_t)last_heard_ms(&info) * 1000,
		.unanswered = vigil_unanswered(info.tcpi_retransmits, info.tcpi_probes),
	};
	return 0;
}

int liveness_read(int fd, struct tcp_facts *ret_facts)
{
	struct long_info now = { .info = { .tcpi_state = 0 } };
	const struct tcp_info *info = &now.info;
	socklen_t length = sizeof now;
	uint32_t outstanding;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &now, &length) < 0)
		return -errno;
	outstanding = sock_unacked(fd);
	*ret_facts = (struct tcp_facts){
		.state = info->tcpi_state,
		.retransmits = info->tcpi_retransmits,
		.probes = info->tcpi_probes,
		.rtt_us = info->tcpi_rtt,
		/* They were read one after the other: an acknowledgement may lie between. */
		.unacked_bytes =
			outstanding > now.notsent_bytes ? outstanding - now.notsent_bytes : 0,
		.unsent_bytes = outstanding < now.notsent_bytes ? outstanding : now.notsent_bytes,
		.unread_bytes = sock_unread(fd),
		.total_retransmits = info->tcpi_total_retrans,
		.last_heard_ms = last_heard_ms(info),
	};
	return 0;
}

enum detector liveness_detector(int fd)
{
	return sock_unacked(fd) > 0 ? DETECTOR_USER_TIMEOUT : DETECTOR_KEEPALIVE;
}
