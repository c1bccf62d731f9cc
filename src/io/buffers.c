/*
 * The kernel's buffers of one socket.
 *
 * Surprising: to name a size takes the socket out of the kernel's tuning for good, whatever the
 * size is; only SO_BUF_LOCK lets it back in.
 */
#include <finback/io/buffers.h>

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of kernels from 5.14 on; the C library may not know it. */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

/* The kernel doubles what it is given, and keeps the result in an int. */
#define OPTION_MOST (INT_MAX / 2)

static int set(int fd, int name, int value)
{
	return setsockopt(fd, SOL_SOCKET, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int get(int fd, int name, int *ret_value)
{
	socklen_t length = sizeof *ret_value;

	return getsockopt(fd, SOL_SOCKET, name, ret_value, &length) < 0 ? -errno : 0;
}

/* As much as this process may ask for. */
static int set_buffer(int fd, int forced, int bounded, int bytes)
{
	int error = set(fd, forced, bytes);

	return error == -EPERM ? set(fd, bounded, bytes) : error;
}

static int set_both(int fd, int send_bytes, int receive_bytes)
{
	int error = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_bytes);

	if (error == 0)
		error = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
	return error;
}

static int option_of(uint32_t bytes)
{
	return bytes < OPTION_MOST ? (int)bytes : OPTION_MOST;
}

int buffers_cap(int fd, uint32_t bytes)
{
	return set_both(fd, option_of(bytes), option_of(bytes));
}

/* Both sizes of a socket, doubled by the kernel. */
static int get_both(int fd, int *ret_send, int *ret_receive)
{
	int error = get(fd, SO_SNDBUF, ret_send);

	return error == 0 ? get(fd, SO_RCVBUF, ret_receive) : error;
}

/* What a new socket of the same family has: for TCP the middle of net.ipv4.tcp_wmem and tcp_rmem,
 * which a confined process cannot read. */
static int get_first(int fd, int *ret_send, int *ret_receive)
{
	int family = AF_UNSPEC;
	int error = get(fd, SO_DOMAIN, &family);
	int fresh;

	if (error < 0)
		return error;
	fresh = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fresh < 0)
		return -errno;
	error = get_both(fresh, ret_send, ret_receive);
	(void)close(fresh); /* nothing was written to it */
	return error;
}

int buffers_uncap(int fd)
{
	int send_bytes = 0;
	int receive_bytes = 0;
	int lock = 0;
	int error = get(fd, SO_BUF_LOCK, &lock);

	if (error == 0)
		error = get_first(fd, &send_bytes, &receive_bytes);
	if (error == 0)
		error = set_both(fd, send_bytes / 2, receive_bytes / 2);
	return error == 0 ? set(fd, SO_BUF_LOCK, 0) : error;
}

/* What was given of what was asked for. */
static uint32_t given(uint32_t asked, int doubled)
{
	return doubled / 2 < option_of(asked) ? (uint32_t)doubled / 2 : asked;
}

int buffers_try(uint32_t bytes, struct buffers *ret_buffers)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int send_bytes = 0;
	int receive_bytes = 0;
	int error;

	if (fd < 0)
		return -errno;
	error = buffers_cap(fd, bytes);
	if (error == 0)
		error = get_both(fd, &send_bytes, &receive_bytes);
	if (error == 0)
		*ret_buffers = (struct buffers){ .send_bytes = given(bytes, send_bytes),
						 .receive_bytes = given(bytes, receive_bytes) };
	(void)close(fd); /* nothing was written to it */
	return error;
}
