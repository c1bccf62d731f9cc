/*
 * Stream sockets, one thin wrapper for each thing the kernel does with them.
 *
 * Invariant: a socket that leaves this file is non-blocking, close-on-exec and resets its peer when
 * it is closed too early.
 *
 * Surprising: SO_LINGER {1, 0} is set from the start, not when a reset is wanted. It changes
 * nothing on a connection whose both FINs were acknowledged, and it makes the kernel send the reset
 * even when the process is killed.
 */
#include <finback/io/buffers.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int family_of(int fd)
{
	int family = AF_UNSPEC;
	socklen_t length = sizeof family;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length); /* it fails on no socket */
	return family;
}

static int set_linger(int fd, bool is_on)
{
	const struct linger reset = { .l_onoff = is_on, .l_linger = 0 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0 ? -errno : 0;
}

/* What every socket of a session has. */
static int prepare(int fd, int family)
{
	int error = set_linger(fd, true);

	if (error == 0)
		error = set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (error == 0 && family != AF_UNIX)
		error = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return error;
}

int sock_prepare(int fd)
{
	return prepare(fd, family_of(fd));
}

int sock_relisten(int fd, int backlog)
{
	return listen(fd, backlog) < 0 ? -errno : 0;
}

/* A socket file that nobody listens on any more is in the way of bind(2). */
static bool is_stale(const struct address *address)
{
	struct stat status;
	bool stale;
	int fd;

	if (lstat(address->un.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, &address->any, address->length) < 0 && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int bind_path(int fd, const struct address *address)
{
	int error = bind(fd, &address->any, address->length) < 0 ? -errno : 0;

	if (error != -EADDRINUSE || !is_stale(address))
		return error;
	if (unlink(address->un.sun_path) < 0 || bind(fd, &address->any, address->length) < 0)
		return -errno;
	return 0;
}

int sock_set_owner(const char *path, const struct sock_listen *options)
{
	if (options->has_mode && chmod(path, options->mode) < 0)
		return -errno;
	if ((options->owner != (uid_t)-1 || options->group != (gid_t)-1) &&
	    chown(path, options->owner, options->group) < 0)
		return -errno;
	return 0;
}

static int listen_unix(int fd, const struct address *address, const struct sock_listen *options)
{
	int error = bind_path(fd, address);

	if (error < 0)
		return error;
	/* Nobody can connect before listen(2), so there is no moment with the wrong mode. */
	error = sock_set_owner(address->un.sun_path, options);
	if (error == 0)
		error = sock_relisten(fd, options->backlog);
	if (error < 0)
		(void)unlink(address->un.sun_path); /* the file is ours by now */
	return error;
}

static int listen_internet(int fd, const struct address *address, const struct sock_listen *options)
{
	int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	/* "[::]:80" is IPv6 alone, so that "0.0.0.0:80" can stand beside it. */
	if (error == 0 && address->any.sa_family == AF_INET6)
		error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (error == 0 && bind(fd, &address->any, address->length) < 0)
		error = -errno;
	return error == 0 ? sock_relisten(fd, options->backlog) : error;
}

int sock_listen(const struct address *address, const struct sock_listen *options)
{
	int family = address->any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = prepare(fd, family);
	if (error == 0 && options->has_soft_close)
		error = set_linger(fd, false); /* which accepted sockets inherit */
	if (error == 0 && options->buffer_cap > 0 && family != AF_UNIX)
		error = buffers_cap(fd, options->buffer_cap);
	if (error == 0)
		error = family == AF_UNIX ? listen_unix(fd, address, options)
					  : listen_internet(fd, address, options);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* accept(2): errors of the network that belong to a connection not accepted yet. */
static bool is_lost_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM: /* a firewall rule */
		return true;
	default:
		return false;
	}
}

int sock_accept(int listener, struct address *ret_peer)
{
	for (int skips = 0; skips < SOCK_ACCEPT_SKIPS; skips++) {
		struct address peer = { .length = sizeof peer.un };
		int fd = accept4(listener, &peer.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			/* A UNIX socket inherits nothing; it has urgent data too. */
			if (peer.any.sa_family == AF_UNIX)
				(void)prepare(fd, AF_UNIX); /* these cannot fail on it */
			*ret_peer = peer;
			return fd;
		}
		if (!is_lost_connection(errno))
			return -errno;
	}
	return -EAGAIN;
}

static bool is_in_syn_sent(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof info;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	       info.tcpi_state == TCP_SYN_SENT;
}

/* An ICMP answer that came while connect(2) held the socket is a soft error: no event tells of it
 * over IPv6, and the attempt would wait for its second SYN. Asked in SYN_SENT alone, as in any
 * other state the error belongs to who reads. */
static int take_early_answer(int fd, int family)
{
	int error = 0;

	if (family == AF_INET6 && is_in_syn_sent(fd))
		error = sock_take_error(fd);
	return error < 0 ? error : -EINPROGRESS;
}

/* The port is left to connect(2), which knows both ends: else one port would serve one connection,
 * whatever the server. */
static int bind_source(int fd, const struct address *source)
{
	int error = set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);

	if (error == 0 && bind(fd, &source->any, source->length) < 0)
		error = -errno;
	return error;
}

int sock_try_source(const struct address *source)
{
	int fd = socket(source->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = bind_source(fd, source);
	close(fd);
	return error;
}

static int prepare_connect(int fd, int family, const struct sock_connect *options)
{
	int error = prepare(fd, family);

	if (error == 0 && options->buffer_cap > 0)
		error = buffers_cap(fd, options->buffer_cap);
	if (error == 0 && options->source)
		error = bind_source(fd, options->source);
	/* TCP_QUICKACK off (tcp(7)) is advice: without it the handshake has one segment more. */
	if (error == 0 && options->has_bytes && family != AF_UNIX)
		(void)set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	return error;
}

int sock_connect(const struct address *address, const struct sock_connect *options, int *ret_fd)
{
	int family = address->any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = prepare_connect(fd, family, options);
	if (error == 0 && connect(fd, &address->any, address->length) < 0)
		error = errno == EINTR ? -EINPROGRESS : -errno;
	if (error == -EINPROGRESS)
		error = take_early_answer(fd, family);
	if (error < 0 && error != -EINPROGRESS) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return error;
}

int sock_take_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

int sock_send(int fd, const void *bytes, size_t size)
{
	ssize_t length;

	do
		length = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (length < 0 && errno == EINTR);
	if (length < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return 0;
	return length < 0 ? -errno : (int)length;
}

int sock_finish(int fd)
{
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

uint32_t sock_unacked(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCOUTQ, &bytes) < 0 || bytes < 0)
		return 0;
	return (uint32_t)bytes;
}

uint32_t sock_unread(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCINQ, &bytes) < 0 || bytes < 0)
		return 0;
	return (uint32_t)bytes;
}

void sock_close(int fd)
{
	/* Linux closes the descriptor whatever close(2) returns. */
	if (fd >= 0)
		(void)close(fd);
}

struct address sock_local(int fd)
{
	struct address local = { .length = sizeof local.un };

	if (getsockname(fd, &local.any, &local.length) < 0)
		local.length = 0;
	return local;
}
