/*
 * Signs of life for the service manager.
 *
 * Invariant: the watchdog hears from us only while every worker's loop has answered lately: one
 * that hangs takes the whole service down, as its sessions hang with it.
 */
#include <finback/host/log.h>
#include <finback/host/service.h>

#include <stdio.h>
#include <stdlib.h>

#include "supervisor_private.h"

#define STATUS_SECONDS 5.
#define STATUS_MAX     160
/* Beats of the workers' loops in one watchdog period. */
#define BEATS 4

const char *supervisor_status(const struct supervisor *supervisor)
{
	static char text[STATUS_MAX];

	(void)snprintf(text, sizeof text, "serving: %zu listeners, %zu workers, %u sessions",
		       supervisor->generation->config->listener_count, supervisor->crew.count,
		       crew_active(&supervisor->crew));
	return text;
}

static void keep_watchdog(struct supervisor *supervisor, uint64_t watchdog_us)
{
	int64_t silence_us = monotonic_us() - crew_oldest_beat_us(&supervisor->crew);

	crew_beat(&supervisor->crew);
	if (silence_us < (int64_t)watchdog_us)
		service_watchdog();
	else
		log_say(LOG_LEVEL_ERROR, "a worker has not answered for %.1f s",
			(double)silence_us / 1e6);
}

static void on_pulse(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct supervisor *supervisor = watcher->data;
	uint64_t watchdog_us = service_watchdog_us();

	(void)loop;
	(void)events;
	if (watchdog_us > 0)
		keep_watchdog(supervisor, watchdog_us);
	if (supervisor->state == SUPERVISOR_RUNNING)
		service_status(supervisor_status(supervisor));
}

void supervisor_start_pulse(struct supervisor *supervisor)
{
	uint64_t watchdog_us = service_watchdog_us();
	double period = STATUS_SECONDS;

	if (watchdog_us > 0 && (double)watchdog_us / 1e6 / BEATS < period)
		period = (double)watchdog_us / 1e6 / BEATS;
	ev_timer_init(&supervisor->pulse, on_pulse, period, period);
	supervisor->pulse.data = supervisor;
	if (watchdog_us > 0 || getenv("NOTIFY_SOCKET"))
		ev_timer_start(supervisor->loop, &supervisor->pulse);
}

void supervisor_stop_pulse(struct supervisor *supervisor)
{
	ev_timer_stop(supervisor->loop, &supervisor->pulse);
}
