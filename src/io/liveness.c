/*
 * The kernel's own ways to find a peer that vanished.
 *
 * Surprising: with TCP_USER_TIMEOUT set, the kernel ignores TCP_KEEPCNT and ends an idle connection
 * by the user timeout instead, so the two are set as they are asked for and not mixed here.
 */
#include <finback/io/liveness.h>

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

	return keepalive->is_set ? set_all(fd, options, sizeof options / sizeof *options) : 0;
}

int liveness_clear(int fd)
{
	const struct option options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 0 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 0 },
	};

	return set_all(fd, options, sizeof options / sizeof *options);
}
