#ifndef FINBACK_DAEMON_SUPERVISOR_PRIVATE_H
#define FINBACK_DAEMON_SUPERVISOR_PRIVATE_H

#include <finback/daemon/generation.h>
#include <finback/daemon/mailbox.h>
#include <finback/daemon/sockets.h>
#include <finback/daemon/supervisor.h>
#include <finback/daemon/worker.h>

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * What the files of the supervisor share: supervisor.c starts, drains and stops, reload.c takes a
 * new configuration, pulse.c speaks to the service manager.
 */

enum supervisor_state {
	SUPERVISOR_RUNNING,
	SUPERVISOR_DRAINING, /* no connection is accepted, sessions may finish */
	SUPERVISOR_ENDING    /* the sessions that were left have been cut */
};

struct supervisor {
	struct ev_loop *loop;
	struct mailbox mailbox;
	struct registry registry;
	struct crew crew;
	struct generation *generation;
	struct sockets sockets;
	enum supervisor_state state;
	size_t awaited; /* replies of workers on their way */
	ev_signal terminate;
	ev_signal interrupt;
	ev_signal hang_up;
	ev_timer drain;
	ev_timer pulse;
	bool can_reload;
	bool is_reloading;   /* a thread reads the file, or the workers take it */
	bool is_loaded;      /* it was read, and taken */
	bool is_asked_again; /* for a reload, meanwhile */
	bool is_last_reload_ok;
	pthread_t loader;
	struct config_problems problems;  /* of the file that is being taken */
	char why[SUPERVISOR_WHY_MAX];     /* why it could not be taken */
	struct reload_wait *waiting;      /* for the reload under way */
	struct reload_wait *waiting_next; /* for the one after it */
	uint64_t reloads;
	uint64_t failed_reloads;
	int64_t started_us;
	struct timespec started;
	struct timespec loaded;
	uint64_t max_files;
	struct supervisor_guest guest; /* of functions that do nothing where there is none */
};

/* supervisor.c: stops the loop once nothing is left to do. */
void supervisor_finish_if_over(struct supervisor *supervisor);

/* reload.c: makes `config` the one that new sessions get. Takes the reference over. Returns 0, or
 * -errno with the old one still in force and the reason in the log and in `why`. */
int supervisor_apply(struct supervisor *supervisor, struct config *config);

/* reload.c: reads the file again, in a thread, as looking names up may take its time. Returns 0;
 * -EBUSY while draining, -EOPNOTSUPP without a file. */
int supervisor_reload(struct supervisor *supervisor);

/* reload.c: the workers have taken what was loaded: says so. */
void supervisor_finish_reload(struct supervisor *supervisor);

/* pulse.c: watchdog and status text, for the service manager. */
void supervisor_start_pulse(struct supervisor *supervisor);
void supervisor_stop_pulse(struct supervisor *supervisor);

/* pulse.c: "serving: 2 listeners, 4 workers, 17 sessions". Static. */
const char *supervisor_status(const struct supervisor *supervisor);

#endif
