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

int supervisor_apply(struct supervisor *supervisor, struct config *config)
{
	struct generation *generation = generation_create(config, &supervisor->registry);
	struct sockets sockets;
	char why[SOCKETS_WHY_MAX] = "";
	int error;

	if (!generation) {
		log_say(LOG_LEVEL_ERROR, "no memory for the configuration");
		return -ENOMEM;
	}
	error = sockets_open(&sockets, config, &supervisor->sockets, why);
	if (error < 0) {
		log_say(LOG_LEVEL_ERROR, "%s", *why ? why : "no memory for the listeners");
		generation_unref(generation);
		return error;
	}
	open_log(config);
	set_limits(supervisor, config);
	publish(supervisor, generation, &sockets);
	sockets_fini(&supervisor->sockets);
	supervisor->sockets = sockets;
	generation_unref(supervisor->generation);
	supervisor->generation = generation;
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

/* It is over, taken or not: the service manager may go on, and so may the next one. */
static void end_reload(struct supervisor *supervisor)
{
	bool is_asked_again = supervisor->is_asked_again;

	supervisor->is_reloading = supervisor->is_loaded = supervisor->is_asked_again = false;
	if (supervisor->state != SUPERVISOR_RUNNING)
		return;
	service_ready(supervisor_status(supervisor));
	if (is_asked_again)
		supervisor_reload(supervisor);
}

void supervisor_finish_reload(struct supervisor *supervisor)
{
	log_say(LOG_LEVEL_INFO, "reloaded: %s", supervisor_status(supervisor));
	end_reload(supervisor);
}

/* Returns whether it is taken, and the workers' replies are on their way. */
static bool take_loaded(struct supervisor *supervisor, struct loading *loading)
{
	log_problems(&loading->problems);
	if (loading->result == 0 && supervisor->state == SUPERVISOR_RUNNING &&
	    supervisor_apply(supervisor, loading->config) == 0)
		return true;
	if (loading->result == 0 && supervisor->state != SUPERVISOR_RUNNING)
		config_unref(loading->config);
	else
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
		end_reload(supervisor);
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

void supervisor_reload(struct supervisor *supervisor)
{
	int error;

	if (supervisor->state != SUPERVISOR_RUNNING)
		return;
	if (!supervisor->can_reload) {
		log_say(LOG_LEVEL_WARNING, "reload: there is no configuration file to read");
		return;
	}
	if (supervisor->is_reloading) {
		supervisor->is_asked_again = true;
		return;
	}
	service_reloading();
	error = start_loading(supervisor);
	if (error < 0) {
		log_say(LOG_LEVEL_ERROR, "reload: cannot start: %s", strerrordesc_np(-error));
		end_reload(supervisor);
	}
}
