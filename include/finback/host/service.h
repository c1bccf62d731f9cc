#ifndef FINBACK_HOST_SERVICE_H
#define FINBACK_HOST_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The service manager, systemd: sockets it passed, readiness, status, reload and stop notices, the
 * watchdog (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)). Every function does nothing
 * and succeeds where there is no service manager. Main thread only.
 */

/* Takes the passed descriptors over: sets close-on-exec and non-blocking, unsets the environment
 * variables. Before threads start; again, it does nothing. Returns how many there are, or -errno.
 */
int service_take_sockets(void);

/* The passed listening sockets called `name` (FileDescriptorName=). Writes up to `max` descriptors,
 * which stay the service module's and open as long as the program runs. Returns how many there are,
 * which may be more than `max`: 0 when none has this name. A descriptor that is not a listening
 * stream socket is left out, with a warning in the log. */
int service_sockets(const char *name, int *ret_fds, size_t max);

/* All names of passed sockets, for an error message: "a, b"; "" for none. Static. */
const char *service_socket_names(void);

/* READY=1 with a status text (one line of at most 1000 bytes; NULL: none). After a reload too. */
void service_ready(const char *status);
/* RELOADING=1, and MONOTONIC_USEC= for newer systemd. */
void service_reloading(void);
/* STOPPING=1 with a status text. */
void service_stopping(const char *status);
/* STATUS= alone. */
void service_status(const char *status);

/* How often the watchdog should hear from us, in microseconds: half the time after which it takes
 * us for dead, as sd_watchdog_enabled(3) advises; 0: there is none. */
uint64_t service_watchdog_us(void);
/* WATCHDOG=1. */
void service_watchdog(void);

/* CPUs this process may use: the affinity mask, and the cgroup's CPU quota (v2 cpu.max of this
 * cgroup and those above it, v1 cpu.cfs_quota_us), rounded up. At least 1. */
unsigned service_cpus(void);

#endif
