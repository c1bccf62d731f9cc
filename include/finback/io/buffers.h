#ifndef FINBACK_IO_BUFFERS_H
#define FINBACK_IO_BUFFERS_H

#include <stdint.h>

/*
 * The kernel's two buffers of a socket: capped (socket(7) SO_SNDBUF and SO_RCVBUF), or left to the
 * kernel's own tuning, which knows the path and no bound but the machine's. As with these options,
 * the kernel reserves twice the bytes that are named here, for its own use.
 */

#define BUFFERS_LEAST 4096U /* below, the kernel has a least size of its own */
#define BUFFERS_MOST  (1024U * 1024 * 1024)

/* Caps both at `bytes` (BUFFERS_LEAST to BUFFERS_MOST). On TCP before listen(2) or connect(2), as
 * the window that the peer is offered follows from it (tcp(7)); what is accepted from a listening
 * socket inherits the cap, but not on UNIX sockets, where only the buffer to send has a meaning
 * (unix(7)). Without CAP_NET_ADMIN net.core.wmem_max and rmem_max bound it, which is no error.
 * Returns 0 or -errno. */
int buffers_cap(int fd, uint32_t bytes);

/* Takes the cap from a listening TCP socket, so that the kernel tunes the buffers of what is
 * accepted next. Returns 0; -ENOPROTOOPT, with the cap still there, where the kernel has no
 * SO_BUF_LOCK, which came with Linux 5.14; or -errno. */
int buffers_uncap(int fd);

struct buffers {
	uint32_t send_bytes;
	uint32_t receive_bytes;
};

/* What a cap of `bytes` comes to in this process: less, where a sysctl bounds it. Returns 0 or
 * -errno. */
int buffers_try(uint32_t bytes, struct buffers *ret_buffers);

#endif
