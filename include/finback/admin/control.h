#ifndef FINBACK_ADMIN_CONTROL_H
#define FINBACK_ADMIN_CONTROL_H

#include <finback/daemon/supervisor.h>
#include <finback/host/config.h>

/*
 * The control interface: HTTP with JSON on a UNIX socket, and its reads alone on TCP. It runs in
 * the supervisor's loop as its guest, without a thread of its own, and relays nothing. Whatever its
 * callers do costs a bounded amount of memory, of descriptors and of time, and holds no worker up;
 * callers of one of the two cannot keep out those of the other.
 */

struct control;

/* Returns 0 or -ENOMEM. */
int control_create(struct control **ret);

/* After supervisor_run. NULL is fine. */
void control_destroy(struct control *control);

/* The guest for supervisor_run, which `control` has to outlive. Its share of the descriptors is
 * what `config`, the first configuration, asks for. */
struct supervisor_guest control_guest(struct control *control, const struct config *config);

#endif
