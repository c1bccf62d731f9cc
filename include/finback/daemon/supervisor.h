#ifndef FINBACK_DAEMON_SUPERVISOR_H
#define FINBACK_DAEMON_SUPERVISOR_H

#include <finback/host/config.h>

/*
 * The main thread: owns the workers, the listening sockets and the configuration's generations;
 * starts, reloads, drains and stops. It relays nothing.
 */

/* Runs the daemon until a signal ends it: SIGTERM and SIGINT drain, a second one ends at once;
 * SIGHUP reloads the file at config->path. Takes over the caller's reference to `config`;
 * `can_reload` is false for a configuration that came from no file. Returns the exit status, as in
 * sysexits.h: 0 after a drain, 71 (EX_OSERR) when the start failed, which the log explains. */
int supervisor_run(struct config *config, bool can_reload);

#endif
