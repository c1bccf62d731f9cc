#ifndef FINBACK_LOAD_NET_H
#define FINBACK_LOAD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * Sockets, readiness and time for both ends of the load. All sockets are non-blocking, with
 * TCP_NODELAY. Functions return -errno; 0 bytes from net_recv is an end of file.
 */

struct net_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* "127.0.0.1:80" or "[::1]:80": numbers only. */
int net_parse(const char *text, struct net_address *ret_address);
#define NET_TEXT_MAX 80
void net_print(const struct net_address *address, char text[NET_TEXT_MAX]);

/* Listens; port 0 is the kernel's choice, and *address then has it. Returns the descriptor. */
int net_listen(struct net_address *address);

/* A connection waiting to be accepted, or -EAGAIN. */
int net_accept(int listener);

/* Begins to connect. `source` n > 0: from 127.0.0.(1 + n) (IPv4 only), each with ports of its own.
 * `receive_buffer` > 0: SO_RCVBUF. */
int net_connect(const struct net_address *to, unsigned source, int receive_buffer);

ssize_t net_send(int fd, const void *bytes, size_t size);
ssize_t net_recv(int fd, void *bytes, size_t size);

/* The pending error as a positive errno, taken; 0 where there is none. */
int net_take_error(int fd);
bool net_has_unread(int fd);

/* Closes with a reset (SO_LINGER 1, 0). */
void net_abort(int fd);

int64_t net_now_us(void);

/* One epoll set for the whole program. An event is only a hint: the handler tries, and the socket
 * says what happened. */
struct watch {
	void (*on_ready)(struct watch *watch, uint32_t events);
	int fd;
	uint32_t events;
};

void watch_start(struct watch *watch, uint32_t events);
void watch_change(struct watch *watch, uint32_t events);

/* Waits until something is ready, at most this long, and calls the handlers. A watch that is
 * closed in a handler must stay readable memory until the turn is over, with fd -1. */
void watch_turn(int64_t timeout_us);

/* Forgets and closes; fd becomes -1. */
void watch_close(struct watch *watch);

/* One line from stdin without its newline, within a time. False at its end or when time is up. */
bool net_read_line(char *line, size_t size, int64_t timeout_us);

#endif
