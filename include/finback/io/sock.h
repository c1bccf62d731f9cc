#ifndef FINBACK_IO_SOCK_H
#define FINBACK_IO_SOCK_H

#include <finback/io/address.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Stream sockets: listen, accept, connect, finish writing, errors and what is still unacknowledged.
 * Every socket made here is non-blocking and close-on-exec, and has SO_LINGER {1, 0}: to close it
 * before both FINs were acknowledged, or to die, resets the peer (tcp(7), socket(7)). Those of a
 * listening socket that was asked for with has_soft_close have not.
 */

struct sock_listen {
	int backlog;
	bool has_soft_close; /* without SO_LINGER: what was written before close(2) still goes */
	bool has_mode;       /* UNIX: */
	mode_t mode;
	uid_t owner; /* (uid_t)-1: unchanged */
	gid_t group; /* (gid_t)-1: unchanged */
	/* TCP: of each buffer of what is accepted (buffers_cap); 0: the kernel's own tuning. */
	uint32_t buffer_cap;
};

struct sock_connect {
	/* An address of this machine, of the server's family, with port 0; NULL: the kernel's
	 * choice. UNIX: NULL. */
	const struct address *source;
	uint32_t buffer_cap; /* of each of its buffers; 0: the kernel's own tuning */
	bool has_bytes; /* the first bytes are there and follow at once: they carry the handshake's
			 * last acknowledgement, which so needs no segment of its own */
};

/* Binds and listens. For a UNIX path a stale socket file is replaced, a live one is -EADDRINUSE.
 * Returns the descriptor or -errno. */
int sock_listen(const struct address *address, const struct sock_listen *options);

/* Gives a socket's file the mode and the owner of `options`. Returns 0 or -errno. */
int sock_set_owner(const char *path, const struct sock_listen *options);

/* Changes the backlog of a listening socket; what waits in it stays. Returns 0 or -errno. */
int sock_relisten(int fd, int backlog);

/* Sets on a listening socket what accepted ones inherit: SO_LINGER {1, 0}, SO_OOBINLINE and
 * TCP_NODELAY. sock_listen has done it; sockets passed by a service manager need it. 0 or -errno.
 */
int sock_prepare(int fd);

/* Accepts one connection. Returns its descriptor; -EAGAIN when none waits; -EMFILE, -ENFILE,
 * -ENOBUFS or -ENOMEM when there is nothing to hold it with. Errors of a connection that failed
 * before it was accepted are passed over (accept(2)), at most SOCK_ACCEPT_SKIPS of them. */
int sock_accept(int listener, struct address *ret_peer);
#define SOCK_ACCEPT_SKIPS 64

/* Makes a socket and starts to connect it. Returns 0 when connected at once, -EINPROGRESS when
 * writability will tell (sock_take_error then says how it went), both with *ret_fd set; else
 * -errno with nothing left open. -EAGAIN: a UNIX server's backlog is full, try again later.
 * -EADDRNOTAVAIL: no port is left from this source (or from any) to that server, or the source is
 * no address of this machine. */
int sock_connect(const struct address *address, const struct sock_connect *options, int *ret_fd);

/* Whether connections can come from this address: 0, or -errno as bind(2) says; -EADDRNOTAVAIL: it
 * is none of this machine's. */
int sock_try_source(const struct address *source);

/* The pending error, which is cleared: 0 or -errno. The kernel tells each error only once, to
 * whoever asks first. */
int sock_take_error(int fd);

/* Sends as many bytes as there is room for now. Returns how many, 0 where there is none; or
 * -errno. */
int sock_send(int fd, const void *bytes, size_t size);

/* Ends our direction: shutdown(SHUT_WR), a FIN behind all that was written. 0 or -errno;
 * -ENOTCONN when the peer has reset the connection meanwhile. */
int sock_finish(int fd);

/* TCP: bytes written that the peer's kernel has not acknowledged, an unacknowledged FIN counted as
 * one (tcp(7), SIOCOUTQ). Not for UNIX sockets, where it counts what the peer has not read. */
uint32_t sock_unacked(int fd);

/* Bytes that wait to be read. */
uint32_t sock_unread(int fd);

/* Closes the descriptor. Before both FINs were acknowledged that is a reset. -1 is fine. */
void sock_close(int fd);

/* This end's address; length 0 when the kernel does not know any more. */
struct address sock_local(int fd);

#endif
