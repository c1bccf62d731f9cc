/*
 * A new configuration for new sessions.
 *
 * Invariant: it takes effect whole or not at all. Sockets are opened before anything is changed;
 * after that nothing can fail.
 *
 * Surprising: the file is read in a thread of its own. A name server that does not answer must not
 * keep the watchdog waiting.
 */
#include <finback/host/log.h>
#include <finback/host/service.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor_private.h"

/* What the loading thread was asked, and what it found. */
struct loading {
	struct mailbox *mailbox;
	char *path;
	struct config *config;
	struct config_problems problems;
	int result;
};

static const struct route *route_of(const struct generation *generation, size_t index)
{
	(void)generation_ref(generation->routes[index].generation);
	return &generation->routes[index];
}

/* Tells the workers which sockets to start, to change and to stop. */
static void publish(struct supervisor *supervisor, struct generation *generation,
		    struct sockets *sockets)
{
	generation_serve(generation);
	for (size_t i = 0; i < sockets->count; i++) {
		struct sockets_entry *entry = &sockets->entries[i];
		const struct route *route = route_of(generation, entry->route);

		if (entry->is_new) {
			log_say(LOG_LEVEL_INFO, "listener %s: listening on %s",
				route->listener->name, entry->listener->text);
			crew_listen(&supervisor->crew, entry->listener, route);
		} else {
			listener_adjust(entry->listener, route->listener);
			crew_reroute(entry->listener, route);
		}
	}
	for (size_t i = 0; i < supervisor->sockets.count; i++) {
		struct listener *listener = supervisor->sockets.entries[i].listener;

		if (sockets_has(sockets, listener))
			continue;
		log_say(LOG_LEVEL_INFO, "no longer listening on %s", listener->text);
		crew_unlisten(listener);
		supervisor->awaited++;
	}
	crew_sync(&supervisor->crew);
	supervisor->awaited += supervisor->crew.count;
}

static void set_limits(struct supervisor *supervisor, const struct config *config)
{
	unsigned max_sessions = supervisor->crew.descriptor_sessions;

	if (config->max_sessions > 0)
		max_sessions = config->max_sessions;
	atomic_store_explicit(&supervisor->crew.max_sessions, max_sessions, memory_order_relaxed);
	if (config->workers > 0 && config->workers != supervisor->crew.count)
		log_say(LOG_LEVEL_WARNING,
			"workers: %u takes effect at the next start; now there are %zu",
			config->workers, supervisor->crew.count);
	if (config->max_sessions > supervisor->crew.descriptor_sessions)
		log_say(LOG_LEVEL_WARNING,
			"max_sessions: %u is more than the descriptor limit allows, about %u",
			config->max_sessions, supervisor->crew.descriptor_sessions);
}

static void open_log(const struct config *config)
{
	int error = log_open(&config->log);

	if (error < 0)
		log_say(LOG_LEVEL_ERROR,
			"log.target: cannot open %s: %s; the log stays where it was",
			config->log.target, strerrordesc_np(-error));
}

/* Opens all that `config` asks for. Returns 0, or -errno with nothing changed and supervisor->why
 * filled in. */
static int prepare(struct supervisor *supervisor, const struct config *config,
		   struct sockets *ret_sockets)
{
	int error = sockets_open(ret_sockets, config, &supervisor->sockets, supervisor->why);

	if (error < 0 && !*supervisor->why)
		(void)snprintf(supervisor->why, sizeof supervisor->why,
			       "no memory for the listeners");
	if (error < 0)
		return error;
	error = supervisor->guest.prepare(supervisor->guest.guest, config, supervisor->why);
	if (error < 0) {
		sockets_close_new(ret_sockets);
		sockets_fini(ret_sockets);
	}
	return error;
}

int supervisor_apply(struct supervisor *supervisor, struct config *config)
{
	struct generation *generation = generation_create(config, &supervisor->registry);
	struct sockets sockets;
	int error = -ENOMEM;

	*supervisor->why = '\0';
	if (!generation)
		(void)snprintf(supervisor->why, sizeof supervisor->why,
			       "no memory for the configuration");
	else
		error = prepare(supervisor, config, &sockets);
	if (error < 0) {
		log_say(LOG_LEVEL_ERROR, "%s", supervisor->why);
		generation_unref(generation);
		return error;
	}
	open_log(config);
	set_limits(supervisor, config);
	crew_spin(&supervisor->crew, config->spin_us);
	publish(supervisor, generation, &sockets);
	supervisor->guest.take(supervisor->guest.guest);
	sockets_fini(&supervisor->sockets);
	supervisor->sockets = sockets;
	generation_unref(supervisor->generation);
	supervisor->generation = generation;
	(void)clock_gettime(CLOCK_REALTIME, &supervisor->loaded); /* cannot fail for this clock */
	return 0;
}

static void log_problems(const struct config_problems *problems)
{
	for (size_t i = 0; i < problems->error_count; i++)
		log_say(LOG_LEVEL_ERROR, "reload: %s", problems->errors[i]);
	for (size_t i = 0; i < problems->warning_count; i++)
		log_say(LOG_LEVEL_WARNING, "reload: %s", problems->warnings[i]);
}

static void loading_destroy(struct loading *loading)
{
	config_problems_fini(&loading->problems);
	free(loading->path);
	free(loading);
}

static void say_stopping(struct supervisor *supervisor)
{
	(void)snprintf(supervisor->why, sizeof supervisor->why,
		       "finback is stopping; the file was not taken");
}

/* Tells all who wait for the reload that is over. */
static void tell_waiting(struct supervisor *supervisor, bool is_taken)
{
	const struct reload_outcome outcome = {
		.is_taken = is_taken,
		.problems = &supervisor->problems,
		.why = supervisor->why,
	};

	while (supervisor->waiting) {
		struct reload_wait *wait = supervisor->waiting;

		supervisor->waiting = wait->next;
		wait->is_waiting = false;
		wait->on_done(wait, &outcome);
	}
	supervisor->waiting = supervisor->waiting_next;
	supervisor->waiting_next = NULL;
}

/* It is over, taken or not: the service manager may go on, and so may the next one. */
static void end_reload(struct supervisor *supervisor, bool is_taken)
{
	bool is_asked_again = supervisor->is_asked_again;

	supervisor->is_reloading = supervisor->is_loaded = supervisor->is_asked_again = false;
	supervisor->is_last_reload_ok = is_taken;
	if (is_taken)
		supervisor->reloads++;
	else
		supervisor->failed_reloads++;
	tell_waiting(supervisor, is_taken);
	config_problems_fini(&supervisor->problems);
	if (supervisor->state != SUPERVISOR_RUNNING) {
		say_stopping(supervisor);
		tell_waiting(supervisor, false);
		return;
	}
	service_ready(supervisor_status(supervisor));
	if (is_asked_again)
		(void)supervisor_reload(supervisor); /* it runs, and there is a file */
}

void supervisor_finish_reload(struct supervisor *supervisor)
{
	log_say(LOG_LEVEL_INFO, "reloaded: %s", supervisor_status(supervisor));
	end_reload(supervisor, true);
}

/* Returns whether it is taken, and the workers' replies are on their way. */
static bool take_loaded(struct supervisor *supervisor, struct loading *loading)
{
	supervisor->problems = loading->problems;
	loading->problems = (struct config_problems){ 0 };
	*supervisor->why = '\0';
	log_problems(&supervisor->problems);
	if (loading->result == 0 && supervisor->state == SUPERVISOR_RUNNING &&
	    supervisor_apply(supervisor, loading->config) == 0)
		return true;
	if (loading->result == 0 && supervisor->state != SUPERVISOR_RUNNING) {
		config_unref(loading->config);
		say_stopping(supervisor);
		return false;
	}
	log_say(LOG_LEVEL_ERROR, "reload: failed; the old configuration stays in force");
	return false;
}

static void on_loaded(void *recipient, struct letter *letter)
{
	struct supervisor *supervisor = recipient;
	struct loading *loading = letter->subject;

	(void)pthread_join(supervisor->loader, NULL);
	supervisor->is_loaded = take_loaded(supervisor, loading);
	loading_destroy(loading);
	if (!supervisor->is_loaded)
		end_reload(supervisor, false);
	supervisor_finish_if_over(supervisor);
}

static void *load(void *argument)
{
	struct loading *loading = argument;
	const struct letter letter = { .handle = on_loaded, .subject = loading };

	loading->result = config_load(loading->path, &loading->config, &loading->problems);
	while (mailbox_post(loading->mailbox, &letter) < 0)
		continue; /* it waits for this letter */
	return NULL;
}

static int start_loading(struct supervisor *supervisor)
{
	struct loading *loading = calloc(1, sizeof *loading);
	int error;

	if (!loading)
		return -ENOMEM;
	loading->mailbox = &supervisor->mailbox;
	loading->path = strdup(supervisor->generation->config->path);
	if (!loading->path) {
		free(loading);
		return -ENOMEM;
	}
	error = pthread_create(&supervisor->loader, NULL, load, loading);
	if (error != 0)
		loading_destroy(loading);
	supervisor->is_reloading = error == 0;
	return -error;
}

int supervisor_reload(struct supervisor *supervisor)
{
	int error;

	if (supervisor->state != SUPERVISOR_RUNNING)
		return -EBUSY;
	if (!supervisor->can_reload) {
		log_say(LOG_LEVEL_WARNING, "reload: there is no configuration file to read");
		return -EOPNOTSUPP;
	}
	if (supervisor->is_reloading) {
		supervisor->is_asked_again = true;
		return 0;
	}
	service_reloading();
	error = start_loading(supervisor);
	if (error < 0) {
		(void)snprintf(supervisor->why, sizeof supervisor->why, "cannot start: %s",
			       strerrordesc_np(-error));
		log_say(LOG_LEVEL_ERROR, "reload: %s", supervisor->why);
		end_reload(supervisor, false);
	}
	return 0;
}

int supervisor_ask_reload(struct supervisor *supervisor, struct reload_wait *wait)
{
	/* What is under way may have read the file before it was changed. */
	struct reload_wait **list =
		supervisor->is_reloading ? &supervisor->waiting_next : &supervisor->waiting;

	if (supervisor->state != SUPERVISOR_RUNNING)
		return -EBUSY;
	if (!supervisor->can_reload)
		return -EOPNOTSUPP;
	wait->next = *list;
	wait->is_waiting = true;
	*list = wait;
	return supervisor_reload(supervisor);
}

static void forget(struct reload_wait **list, const struct reload_wait *wait)
{
	while (*list && *list != wait)
		list = &(*list)->next;
	if (*list)
		*list = wait->next;
}

void supervisor_forget_reload(struct supervisor *supervisor, struct reload_wait *wait)
{
	if (!wait->is_waiting)
		return;
	wait->is_waiting = false;
	forget(&supervisor->waiting, wait);
	forget(&supervisor->waiting_next, wait);
}
