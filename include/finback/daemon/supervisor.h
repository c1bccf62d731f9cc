#ifndef FINBACK_DAEMON_SUPERVISOR_H
#define FINBACK_DAEMON_SUPERVISOR_H

#include <finback/daemon/generation.h>
#include <finback/daemon/sockets.h>
#include <finback/daemon/worker.h>
#include <finback/host/config.h>

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * The main thread: owns the workers, the listening sockets and the configuration's generations;
 * starts, reloads, drains and stops. It relays nothing. Its loop also runs a guest, the control
 * interface, which lives in a layer above and is known here by its functions alone.
 */

struct supervisor;

#define SUPERVISOR_WHY_MAX 512

/* Who else runs in the supervisor's loop. All of it is called in the supervisor's thread. */
struct supervisor_guest {
	/* Before the first configuration. Returns 0 or -errno. */
	int (*start)(void *guest, struct supervisor *supervisor);
	/* Opens what `config` asks for beside what is open; changes nothing yet. Returns 0, after
	 * which it is taken; or -errno with nothing left open and a sentence in `why`. */
	int (*prepare)(void *guest, const struct config *config, char why[SUPERVISOR_WHY_MAX]);
	void (*take)(void *guest);
	/* The end, also after a start that failed. Workers may still answer what it asked them. */
	void (*stop)(void *guest);
	/* After the workers have ended: nothing answers any more. */
	void (*fini)(void *guest);
	void *guest;
	unsigned descriptors; /* that it may have open, at most */
};

/* Runs the daemon until a signal ends it: SIGTERM and SIGINT drain, a second one ends at once;
 * SIGHUP reloads the file at config->path. Takes over the caller's reference to `config`;
 * `can_reload` is false for a configuration that came from no file. `guest` may be NULL. Returns
 * the exit status, as in sysexits.h: 0 after a drain, 71 (EX_OSERR) when the start failed, which
 * the log explains. */
int supervisor_run(struct config *config, bool can_reload, const struct supervisor_guest *guest);

/* ---- for the guest -----------------------------------------------------------------------------
 */

/* How a reload went. What it points to lives as long as the call. */
struct reload_outcome {
	bool is_taken;
	const struct config_problems *problems; /* of the file */
	const char *why;                        /* why a good file was not taken; "": none */
};

/* One who waits for it; the caller's storage until `on_done` was called or it was forgotten. */
struct reload_wait {
	void (*on_done)(struct reload_wait *wait, const struct reload_outcome *outcome);
	struct reload_wait *next;
	bool is_waiting;
};

/* Asks for a reload that begins now or, while one is under way, after it. Returns 0; -EBUSY while
 * draining, -EOPNOTSUPP without a file. on_done is called once, perhaps before this returns. */
int supervisor_ask_reload(struct supervisor *supervisor, struct reload_wait *wait);
void supervisor_forget_reload(struct supervisor *supervisor, struct reload_wait *wait);

/* Drains, as SIGTERM does. Returns 0, or -EALREADY. */
int supervisor_drain(struct supervisor *supervisor);

/* What there is, in the supervisor's thread. The configuration in force is generation->config. */
struct supervisor_facts {
	struct ev_loop *loop;
	struct crew *crew;
	const struct registry *registry;
	const struct generation *generation;
	const struct sockets *sockets;
	bool is_draining;
	bool can_reload;
	bool is_last_reload_ok; /* true before the first one */
	uint64_t reloads;       /* that were taken */
	uint64_t failed_reloads;
	int64_t started_us;      /* monotonic_us() */
	struct timespec started; /* CLOCK_REALTIME */
	struct timespec loaded;  /* the configuration in force */
	uint64_t max_files;      /* descriptors that this process may have */
};
struct supervisor_facts supervisor_facts(const struct supervisor *supervisor);

#endif
