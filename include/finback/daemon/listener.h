#ifndef FINBACK_DAEMON_LISTENER_H
#define FINBACK_DAEMON_LISTENER_H

#include <finback/daemon/generation.h>
#include <finback/daemon/relay.h>
#include <finback/io/address.h>

#include <ev.h>
#include <stdbool.h>

/*
 * One listening socket: accepts, admits or refuses, places each connection on a worker, and backs
 * off when descriptors run out. The supervisor opens it; then it belongs to one worker's thread.
 */

struct worker;

struct listener {
	int fd;
	bool is_passed;      /* by the service manager, whose it stays */
	bool has_keepalive;  /* it was passed without, or with its own, and finback set it */
	uint32_t buffer_cap; /* that finback set on it; 0: none */
	struct address address;
	char text[ADDRESS_TEXT_MAX]; /* the address it is bound to */
	char *key;                   /* what a reload knows it by */
	struct worker *worker;       /* set before it is started */
	/* From listener_start on the worker's alone: */
	const struct route *route; /* holds a reference to its generation */
	ev_io readable;
	ev_timer pause;        /* runs while there is nothing to accept with */
	int batch;             /* connections to accept in a turn, at most */
	unsigned filled;       /* the turn of the loop that last had so many */
	struct listener *next; /* of the same worker */
};

/* Opens a listening socket for `settings` and makes a listener of it. Returns 0 or -errno. */
int listener_open(struct listener **ret, const char *key, const struct address *address,
		  const struct config_listener *settings);

/* Makes a listener of a passed socket, which stays the service manager's. Returns 0 or -errno. */
int listener_take(struct listener **ret, const char *key, int fd,
		  const struct config_listener *settings);

/* Brings a socket that is kept over a reload in line with its new settings. Any thread. */
void listener_adjust(struct listener *listener, const struct config_listener *settings);

/* Starts to accept, in the thread of listener->worker. Takes over the caller's reference to the
 * route's generation. */
void listener_start(struct listener *listener, const struct route *route);

/* From now on connections take another route, with the caller's reference to its generation. */
void listener_reroute(struct listener *listener, const struct route *route);

/* Stops for good. What already waits on a socket of our own is accepted first, so that no client
 * that believes itself connected is reset; on a passed socket it waits for who comes next. */
void listener_stop(struct listener *listener);

/* Tries again, where accepting is paused: something was closed. */
void listener_retry(struct listener *listener);

/* Closes it and removes a UNIX socket's file. NULL is fine. Not while it is started. */
void listener_destroy(struct listener *listener);

#endif
