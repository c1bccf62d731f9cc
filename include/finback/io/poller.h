#ifndef FINBACK_IO_POLLER_H
#define FINBACK_IO_POLLER_H

#include <finback/engine/side.h>

/*
 * Readiness of session sockets: one edge-triggered epoll set (epoll(7)) whose own descriptor is
 * watched by the worker's loop. Each change is told once; who is told remembers it. A socket is
 * taken out by closing it.
 */

/* What is ready, as bits: those of epoll_ctl(2), by the names of what they mean here. */
enum ready {
	READY_READ = 0x1,   /* bytes, an end of file or an error can be read */
	READY_URGENT = 0x2, /* an urgent mark: reads stop short of it with more behind it */
	READY_WRITE = 0x4,  /* there is room again; also: our FIN was acknowledged */
	READY_ERROR = 0x8,  /* an error waits to be taken */
	READY_HUP = 0x10,   /* both directions are shut */
	READY_FIN = 0x2000  /* the peer's FIN has come, perhaps behind unread bytes */
};

struct poller {
	int fd;
};

struct poller_event {
	void *owner;
	enum side side;
	unsigned ready; /* bits of enum ready */
};

#define POLLER_BATCH 256

/* Returns 0 or -errno. */
int poller_init(struct poller *poller);
void poller_fini(struct poller *poller);

/* Watches a socket, connected or connecting (not before connect(2): a fresh socket reports a
 * hang-up). What is ready already is told as well. `owner` is aligned to at least 2 bytes, and
 * comes back with `side` in every event. Returns 0 or -errno. */
int poller_add(struct poller *poller, int fd, void *owner, enum side side);

/* What became ready since the last call, at most POLLER_BATCH, without waiting. Returns how many;
 * a full batch may have more behind it. */
int poller_take(struct poller *poller, struct poller_event ret_events[POLLER_BATCH]);

#endif
