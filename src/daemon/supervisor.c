/*
 * Start, drain and stop.
 *
 * Invariant: the process ends only when every session has ended and was counted.
 *
 * Surprising: whether all is over is asked each time a worker says that it is empty, as a session
 * may be on its way from one worker to another at that moment.
 */
#include <finback/engine/counters.h>
#include <finback/host/log.h>
#include <finback/host/process.h>
#include <finback/host/service.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "supervisor_private.h"

/* Descriptors kept free for what is not a session: logs, reloads, libraries; loops and mailboxes.
 */
#define SPARE_DESCRIPTORS  12
#define WORKER_DESCRIPTORS 4
/* Of all descriptors, this part is the guest's at most. */
#define GUEST_SHARE 16
/* And this part is that of the pipes; flows that get none copy. */
#define PIPE_SHARE       32
#define WORKER_PIPES_MAX 1024
#define SUMMARY_MAX      1536

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

/* ---- the end ------------------------------------------------------------------------------------
 */

void supervisor_finish_if_over(struct supervisor *supervisor)
{
	if (supervisor->state != SUPERVISOR_RUNNING && supervisor->awaited == 0 &&
	    !supervisor->is_reloading && crew_active(&supervisor->crew) == 0)
		ev_break(supervisor->loop, EVBREAK_ALL);
}

static void on_reply(void *recipient, struct letter *letter)
{
	struct supervisor *supervisor = recipient;

	(void)letter;
	supervisor->awaited--;
	if (supervisor->awaited == 0 && supervisor->is_loaded)
		supervisor_finish_reload(supervisor);
	supervisor_finish_if_over(supervisor);
}

static void on_empty(void *recipient, struct letter *letter)
{
	(void)letter;
	supervisor_finish_if_over(recipient);
}

static void end_now(struct supervisor *supervisor)
{
	supervisor->state = SUPERVISOR_ENDING;
	log_say(LOG_LEVEL_INFO, "ending %u sessions", crew_active(&supervisor->crew));
	ev_timer_stop(supervisor->loop, &supervisor->drain);
	crew_cut(&supervisor->crew, ENDING_DRAINED);
	supervisor_finish_if_over(supervisor);
}

static void on_drain_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	end_now(watcher->data);
}

static void drain(struct supervisor *supervisor)
{
	int64_t drain_us = supervisor->generation->config->drain_us;

	supervisor->state = SUPERVISOR_DRAINING;
	log_say(LOG_LEVEL_INFO, "draining: %u sessions may finish within %.6g s",
		crew_active(&supervisor->crew), seconds(drain_us));
	service_stopping("draining");
	for (size_t i = 0; i < supervisor->sockets.count; i++)
		crew_unlisten(supervisor->sockets.entries[i].listener);
	supervisor->awaited += supervisor->sockets.count;
	sockets_fini(&supervisor->sockets);
	crew_drain(&supervisor->crew);
	ev_timer_set(&supervisor->drain, seconds(drain_us), 0.);
	ev_timer_start(supervisor->loop, &supervisor->drain);
	supervisor_finish_if_over(supervisor);
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct supervisor *supervisor = watcher->data;

	(void)loop;
	(void)events;
	if (supervisor->state == SUPERVISOR_RUNNING)
		drain(supervisor);
	else
		end_now(supervisor);
}

static void on_hang_up(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)events;
	(void)supervisor_reload(watcher->data); /* it has said why not */
}

int supervisor_drain(struct supervisor *supervisor)
{
	if (supervisor->state != SUPERVISOR_RUNNING)
		return -EALREADY;
	drain(supervisor);
	return 0;
}

/* ---- the summary
 * ---------------------------------------------------------------------------------- */

/* " complete=9 client_reset=1": the endings that there were. */
static void describe_endings(char *text, size_t size, const struct counters_sum *sum)
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = ENDING_NONE + 1; i < ENDINGS && length < size; i++)
		if (sum->values[COUNTER_ENDED + i] > 0)
			length += (size_t)snprintf(text + length, size - length, " %s=%" PRIu64,
						   ending_name((enum ending)i),
						   sum->values[COUNTER_ENDED + i]);
}

/* " bytes_from_client=9 bytes_from_server=1 fins_from_client=1 ...". */
static void describe_traffic(char *text, size_t size, const struct counters_sum *sum)
{
	static const char *const words[] = { "bytes", "fins", "resets" };
	size_t length = 0;

	for (unsigned i = 0; i < 3 * SIDES && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, " %s_from_%s=%" PRIu64,
					   words[i / SIDES], side_name((enum side)(i % SIDES)),
					   sum->values[COUNTER_BYTES + i]);
}

static void summarise_listener(const struct tally *tally)
{
	char text[SUMMARY_MAX];
	struct counters_sum sum;

	tally_sum(tally, &sum);
	describe_endings(text, sizeof text, &sum);
	log_say(LOG_LEVEL_INFO, "listener %s: accepted=%" PRIu64 " active=%u%s", tally->name,
		sum.values[COUNTER_ACCEPTED], (unsigned)counters_active(&sum), text);
	describe_traffic(text, sizeof text, &sum);
	log_say(LOG_LEVEL_INFO, "traffic of listener %s:%s", tally->name, text);
}

static void summarise(const struct supervisor *supervisor)
{
	const struct tally *tally = NULL;

	while ((tally = registry_next(&supervisor->registry, tally)))
		summarise_listener(tally);
	for (size_t i = 0; i < supervisor->crew.count; i++) {
		const struct worker *worker = &supervisor->crew.workers[i];

		/* Its thread has ended: what was its own can be read. */
		log_say(LOG_LEVEL_INFO, "worker %zu: sessions=%" PRIu64 " accept_pauses=%" PRIu64,
			i, worker->relays.count, atomic_load(&worker->pauses));
	}
	if (log_dropped() > 0)
		log_say(LOG_LEVEL_WARNING, "%" PRIu64 " lines of the log were lost", log_dropped());
}

/* ---- the start
 * ------------------------------------------------------------------------------------ */

/* As many descriptors as the system lets us have: a session takes two. */
static rlim_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SPARE_DESCRIPTORS * 4;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return soft;
	}
	return limit.rlim_cur;
}

/* Under a low limit sessions come first. */
static rlim_t guest_descriptors(const struct supervisor *supervisor, rlim_t limit)
{
	return supervisor->guest.descriptors < limit / GUEST_SHARE ? supervisor->guest.descriptors
								   : limit / GUEST_SHARE;
}

static unsigned pipes_of_a_worker(rlim_t limit, size_t workers)
{
	rlim_t pipes = limit / PIPE_SHARE / 2 / workers;

	return pipes < WORKER_PIPES_MAX ? (unsigned)pipes : WORKER_PIPES_MAX;
}

/* What the pipes may have of them, and how many sessions the rest is enough for. */
static void share_descriptors(struct supervisor *supervisor, const struct config *config,
			      size_t workers)
{
	rlim_t limit = raise_descriptor_limit();
	rlim_t open = process_count_fds();
	rlim_t used = (open > 0 ? open : SPARE_DESCRIPTORS) + SPARE_DESCRIPTORS +
		      workers * WORKER_DESCRIPTORS + guest_descriptors(supervisor, limit);
	rlim_t sessions;

	supervisor->max_files = limit;
	supervisor->crew.pipes = pipes_of_a_worker(limit, workers);
	used += 2 * supervisor->crew.pipes * workers;
	for (size_t i = 0; i < config->listener_count; i++)
		used += config->listeners[i].bind_count;
	sessions = limit > used + 2 ? (limit - used) / 2 : 1;
	supervisor->crew.descriptor_sessions =
		sessions < UINT32_MAX ? (unsigned)sessions : UINT32_MAX;
}

static void start_signal(struct supervisor *supervisor, ev_signal *watcher, int number,
			 void (*handle)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, handle, number);
	watcher->data = supervisor;
	ev_signal_start(supervisor->loop, watcher);
}

static void start_watchers(struct supervisor *supervisor)
{
	start_signal(supervisor, &supervisor->terminate, SIGTERM, on_terminate);
	start_signal(supervisor, &supervisor->interrupt, SIGINT, on_terminate);
	start_signal(supervisor, &supervisor->hang_up, SIGHUP, on_hang_up);
	ev_timer_init(&supervisor->drain, on_drain_over, 0., 0.);
	supervisor->drain.data = supervisor;
	supervisor_start_pulse(supervisor);
}

/* ---- the guest
 * ------------------------------------------------------------------------------------ */

static int no_start(void *guest, struct supervisor *supervisor)
{
	(void)guest;
	(void)supervisor;
	return 0;
}

static int no_prepare(void *guest, const struct config *config, char why[SUPERVISOR_WHY_MAX])
{
	(void)guest;
	(void)config;
	(void)why;
	return 0;
}

static void nothing(void *guest)
{
	(void)guest;
}

static const struct supervisor_guest no_guest = {
	.start = no_start,
	.prepare = no_prepare,
	.take = nothing,
	.stop = nothing,
	.fini = nothing,
};

struct supervisor_facts supervisor_facts(const struct supervisor *supervisor)
{
	return (struct supervisor_facts){
		.loop = supervisor->loop,
		.crew = (struct crew *)(uintptr_t)&supervisor->crew,
		.registry = &supervisor->registry,
		.generation = supervisor->generation,
		.sockets = &supervisor->sockets,
		.is_draining = supervisor->state != SUPERVISOR_RUNNING,
		.can_reload = supervisor->can_reload,
		.is_last_reload_ok = supervisor->is_last_reload_ok,
		.reloads = supervisor->reloads,
		.failed_reloads = supervisor->failed_reloads,
		.started_us = supervisor->started_us,
		.started = supervisor->started,
		.loaded = supervisor->loaded,
		.max_files = supervisor->max_files,
	};
}

/* ---- the whole
 * ------------------------------------------------------------------------------------ */

/* From here on no worker waits for the log. It ends with log_close(). */
static void start_log(void)
{
	int error = log_start();

	if (error < 0)
		log_say(LOG_LEVEL_WARNING, "the log has no thread of its own: %s",
			strerrordesc_np(-error));
}

/* How bytes go, by the environment: for tests, and where a kernel's splice(2) is in doubt. */
static int choose_way(struct crew *crew)
{
	const char *name = getenv("FINBACK_DATA_PATH");

	crew->way = PUMP_WAY_AUTO;
	if (!name || *name == '\0')
		return 0;
	while (crew->way < PUMP_WAYS && strcmp(name, pump_way_name(crew->way)) != 0)
		crew->way++;
	if (crew->way < PUMP_WAYS)
		return 0;
	log_say(LOG_LEVEL_ERROR,
		"FINBACK_DATA_PATH=%s: unknown; auto, copy, splice and random are known", name);
	return -EINVAL;
}

static int start(struct supervisor *supervisor, struct config *config)
{
	size_t workers = config->workers > 0 ? config->workers : service_cpus();
	int error;

	start_log();
	if (choose_way(&supervisor->crew) < 0) {
		config_unref(config);
		return -EINVAL;
	}
	share_descriptors(supervisor, config, workers);
	registry_init(&supervisor->registry, workers);
	error = mailbox_init(&supervisor->mailbox, supervisor->loop, supervisor);
	if (error < 0)
		goto fail;
	error = crew_start(&supervisor->crew, workers, &supervisor->mailbox, on_reply, on_empty);
	if (error < 0) {
		mailbox_fini(&supervisor->mailbox);
		goto fail;
	}
	error = supervisor->guest.start(supervisor->guest.guest, supervisor);
	if (error == 0)
		return supervisor_apply(supervisor, config);
	log_say(LOG_LEVEL_ERROR, "cannot start the control interface: %s", strerrordesc_np(-error));
	config_unref(config);
	return error;
fail:
	log_say(LOG_LEVEL_ERROR, "cannot start %zu workers: %s", workers, strerrordesc_np(-error));
	config_unref(config);
	return error;
}

static void stop(struct supervisor *supervisor)
{
	supervisor_stop_pulse(supervisor);
	supervisor->guest.stop(supervisor->guest.guest);
	if (supervisor->crew.count > 0) {
		crew_stop(&supervisor->crew);
		if (supervisor->generation) /* else it never served */
			summarise(supervisor);
		crew_fini(&supervisor->crew);
		mailbox_fini(&supervisor->mailbox);
	}
	supervisor->guest.fini(supervisor->guest.guest);
	generation_unref(supervisor->generation);
	registry_fini(&supervisor->registry);
}

int supervisor_run(struct config *config, bool can_reload, const struct supervisor_guest *guest)
{
	struct supervisor supervisor = {
		.can_reload = can_reload,
		.is_last_reload_ok = true,
		.started_us = monotonic_us(),
		.guest = guest ? *guest : no_guest,
	};

	(void)clock_gettime(CLOCK_REALTIME, &supervisor.started); /* cannot fail for this clock */
	/* splice(2) and a closed stderr know no other way to keep SIGPIPE away. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* Signals are read from a descriptor (signalfd(2)): no handler ever interrupts anything. */
	supervisor.loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_SIGNALFD);
	if (!supervisor.loop) {
		log_say(LOG_LEVEL_ERROR, "cannot start: epoll is not available");
		config_unref(config);
		return EX_OSERR;
	}
	if (start(&supervisor, config) < 0) {
		stop(&supervisor);
		return EX_OSERR;
	}
	start_watchers(&supervisor);
	log_say(LOG_LEVEL_INFO, "ready: %s", supervisor_status(&supervisor));
	service_ready(supervisor_status(&supervisor));
	(void)ev_run(supervisor.loop, 0);
	stop(&supervisor);
	ev_loop_destroy(supervisor.loop);
	return EX_OK;
}
