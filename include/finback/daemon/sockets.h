#ifndef FINBACK_DAEMON_SOCKETS_H
#define FINBACK_DAEMON_SOCKETS_H

#include <finback/daemon/listener.h>
#include <finback/host/config.h>

#include <stdbool.h>
#include <stddef.h>

/*
 * The listening sockets that a configuration asks for: which of the open ones are kept, which are
 * opened. Known by the address they are bound to, so that a reload keeps a socket, and what waits
 * on it, whatever else changed.
 */

struct sockets_entry {
	struct listener *listener;
	size_t route; /* index of the listener in the configuration */
	bool is_new;  /* opened now; not kept */
};

struct sockets {
	struct sockets_entry *entries;
	size_t count;
};

/* What went wrong, for the log: names listener and address. */
#define SOCKETS_WHY_MAX 512

/* Finds or opens all sockets of `config`. Those of `open` that are not asked for any more are left
 * alone. Returns 0; or -errno with nothing opened and `why` filled in. */
int sockets_open(struct sockets *ret, const struct config *config, const struct sockets *open,
		 char why[SOCKETS_WHY_MAX]);

/* Whether the set holds this listener. */
bool sockets_has(const struct sockets *sockets, const struct listener *listener);

/* Closes the sockets that sockets_open opened. */
void sockets_close_new(struct sockets *sockets);

/* Releases the list, not the listeners. */
void sockets_fini(struct sockets *sockets);

#endif
