/*
 * Sockets, readiness and time. Loopback only: an address is numbers, and a source is one of
 * 127.0.0.0/8, all of which are this machine; each source has its own 28,000 ports.
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define BACKLOG         4096
#define EVENTS_PER_TURN 256

static int epoll_fd = -1;

int net_parse(const char *text, struct net_address *ret_address)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t length = colon == NULL ? 0 : (size_t)(colon - text);
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length == 0 || length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -EINVAL;
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
	ret_address->length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

void net_print(const struct net_address *address, char text[NET_TEXT_MAX])
{
	char host[48] = "?";
	char port[8] = "?";

	(void)getnameinfo((const struct sockaddr *)&address->storage, address->length, host,
			  sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(text, NET_TEXT_MAX,
		       address->storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void send_at_once(int fd)
{
	int on = 1;

	/* On a failure messages would only be slower. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int make_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	send_at_once(fd);
	return fd;
}

int net_listen(struct net_address *address)
{
	int on = 1;
	int fd = make_socket(address->storage.ss_family);

	if (fd < 0)
		return fd;
	address->length = address->storage.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								 : sizeof(struct sockaddr_in);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address->storage, address->length) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address->storage, &address->length) < 0) {
		int error = errno;

		(void)close(fd);
		return -error;
	}
	return fd;
}

int net_accept(int listener)
{
	/* TCP_NODELAY is inherited from the listener. */
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
}

static int bind_source(int fd, unsigned source)
{
	int on = 1;
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + source) };

	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		return -errno;
	return 0;
}

int net_connect(const struct net_address *to, unsigned source, int receive_buffer)
{
	int result = 0;
	int fd = make_socket(to->storage.ss_family);

	if (fd < 0)
		return fd;
	if (source > 0 && to->storage.ss_family == AF_INET)
		result = bind_source(fd, source);
	if (result == 0 && receive_buffer > 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer)) < 0)
		result = -errno;
	if (result == 0 && connect(fd, (const struct sockaddr *)&to->storage, to->length) < 0 &&
	    errno != EINPROGRESS)
		result = -errno;
	if (result < 0) {
		(void)close(fd);
		return result;
	}
	return fd;
}

ssize_t net_send(int fd, const void *bytes, size_t size)
{
	ssize_t count;

	do
		count = send(fd, bytes, size, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

ssize_t net_recv(int fd, void *bytes, size_t size)
{
	ssize_t count;

	do
		count = recv(fd, bytes, size, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

int net_take_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	return error;
}

bool net_has_unread(int fd)
{
	int count = 0;

	return ioctl(fd, FIONREAD, &count) == 0 && count > 0;
}

void net_abort(int fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0)
		report_error("SO_LINGER: %s", strerror(errno));
	(void)close(fd);
}

int64_t net_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void set_interest(struct watch *watch, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(epoll_fd, operation, watch->fd, &event) < 0)
		report_die(EXIT_FAILURE, "epoll_ctl: %s", strerror(errno));
	watch->events = events;
}

void watch_start(struct watch *watch, uint32_t events)
{
	if (epoll_fd < 0)
		epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		report_die(EXIT_FAILURE, "epoll_create1: %s", strerror(errno));
	set_interest(watch, EPOLL_CTL_ADD, events);
}

void watch_change(struct watch *watch, uint32_t events)
{
	if (watch->events != events)
		set_interest(watch, EPOLL_CTL_MOD, events);
}

void watch_turn(int64_t timeout_us)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int timeout_ms = timeout_us <= 0 ? 0 : (int)((timeout_us + 999) / 1000);
	int count = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, timeout_ms);

	if (count < 0 && errno != EINTR)
		report_die(EXIT_FAILURE, "epoll_wait: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;

		if (watch->fd >= 0)
			watch->on_ready(watch, events[i].events);
	}
}

void watch_close(struct watch *watch)
{
	if (watch->fd >= 0)
		(void)close(watch->fd);
	watch->fd = -1;
}

bool net_read_line(char *line, size_t size, int64_t timeout_us)
{
	int64_t until_us = net_now_us() + timeout_us;

	/* One byte at a time, so that the next line is left for whoever asks for it. */
	for (size_t length = 0; length < size; length++) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		int64_t left_us = until_us - net_now_us();

		if (left_us <= 0 || poll(&input, 1, (int)(left_us / 1000) + 1) <= 0 ||
		    read(STDIN_FILENO, line + length, 1) != 1)
			return false;
		if (line[length] == '\n') {
			line[length] = '\0';
			return true;
		}
	}
	return false;
}
