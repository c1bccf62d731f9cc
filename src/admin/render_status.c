/*
 * The daemon as a whole, as JSON.
 *
 * Invariant: what is told of a listener comes from one sum of its counters, so that accepted is
 * the sum of its active sessions and of its endings.
 */
#include <finback/admin/metrics.h>
#include <finback/admin/render.h>
#include <finback/daemon/supervisor.h>
#include <finback/engine/counters.h>
#include <finback/host/log.h>
#include <finback/host/process.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "render_private.h"

/* ---- listeners --------------------------------------------------------------------------- */

static json_t *render_active(const struct counters_sum *sum)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < STATES; i++)
		object = render_set(object, session_state_name((enum session_state)i),
				    render_count(sum->active[i]));
	return object;
}

static json_t *render_endings(const struct counters_sum *sum)
{
	json_t *object = json_object();

	for (unsigned i = ENDING_NONE + 1; i < ENDINGS; i++)
		object = render_set(object, ending_name((enum ending)i),
				    render_count(sum->values[COUNTER_ENDED + i]));
	return object;
}

/* A counter that there is one of for each flow; `counter` is the client's. */
static json_t *render_flows(const struct counters_sum *sum, unsigned counter)
{
	json_t *object = json_object();

	object = render_set(object, "from_client", render_count(sum->values[counter + CLIENT]));
	return render_set(object, "from_server", render_count(sum->values[counter + SERVER]));
}

static json_t *render_dead_side(const struct counters_sum *sum, enum side side)
{
	const uint64_t *values = &sum->values[COUNTER_DEAD + side * DETECTORS];
	json_t *object = json_object();

	for (unsigned i = 0; i < DETECTORS; i++)
		object = render_set(object, detector_name((enum detector)i),
				    render_count(values[i]));
	return object;
}

static json_t *render_dead_peers(const struct counters_sum *sum)
{
	json_t *object = json_object();

	object = render_set(object, side_name(CLIENT), render_dead_side(sum, CLIENT));
	return render_set(object, side_name(SERVER), render_dead_side(sum, SERVER));
}

/* The listener of this name in the configuration in force; NULL: it is an older one's. */
static const struct config_listener *find_listener(const struct supervisor_facts *facts,
						   const char *name)
{
	const struct config *config = facts->generation->config;

	for (size_t i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i].name, name) == 0)
			return &config->listeners[i];
	return NULL;
}

/* The addresses that it is bound to now. */
static json_t *render_binds(const struct supervisor_facts *facts,
			    const struct config_listener *listener)
{
	const struct sockets *sockets = facts->sockets;
	json_t *array = json_array();

	for (size_t i = 0; i < sockets->count && listener; i++) {
		const struct sockets_entry *entry = &sockets->entries[i];

		if (&facts->generation->config->listeners[entry->route] == listener)
			array = render_append(array, render_string(entry->listener->text));
	}
	return array;
}

static json_t *render_listener(const struct supervisor_facts *facts, const struct tally *tally,
			       const struct counters_sum *sum)
{
	const struct config_listener *listener = find_listener(facts, tally->name);
	json_t *object = json_object();

	object = render_set(object, "name", render_string(tally->name));
	object = render_set(object, "listen", render_binds(facts, listener));
	object = render_set(object, "pool", render_string(listener ? listener->pool->name : NULL));
	object = render_set(object, "accepted", render_count(sum->values[COUNTER_ACCEPTED]));
	object = render_set(object, "active", render_active(sum));
	object = render_set(object, "endings", render_endings(sum));
	object = render_set(object, "bytes", render_flows(sum, COUNTER_BYTES));
	object = render_set(object, "fins", render_flows(sum, COUNTER_FINS));
	object = render_set(object, "resets", render_flows(sum, COUNTER_RESETS));
	return render_set(object, "dead_peers", render_dead_peers(sum));
}

/* All that there ever were. Adds their live sessions up in *ret_active. */
static json_t *render_listeners(const struct supervisor_facts *facts, uint64_t *ret_active)
{
	const struct tally *tally = NULL;
	json_t *array = json_array();

	*ret_active = 0;
	while ((tally = registry_next(facts->registry, tally))) {
		struct counters_sum sum;

		tally_sum(tally, &sum);
		*ret_active += counters_active(&sum);
		array = render_append(array, render_listener(facts, tally, &sum));
	}
	return array;
}

/* ---- workers and pools ------------------------------------------------------------------- */

static json_t *render_worker(const struct worker *worker)
{
	const struct relays *relays = &worker->relays;
	json_t *object = json_object();

	object = render_set(object, "index", render_count(worker->index));
	object = render_set(
		object, "sessions",
		render_count(atomic_load_explicit(&worker->active, memory_order_relaxed)));
	object = render_set(
		object, "buffer_bytes",
		render_count(atomic_load_explicit(&relays->buffer_bytes, memory_order_relaxed)));
	object = render_set(
		object, "pipes",
		render_count(atomic_load_explicit(&relays->pipes, memory_order_relaxed)));
	object = render_set(object, "open_fds", render_count(metrics_worker_fds(worker)));
	return render_set(
		object, "accept_pauses",
		render_count(atomic_load_explicit(&worker->pauses, memory_order_relaxed)));
}

static json_t *render_workers(const struct crew *crew)
{
	json_t *array = json_array();

	for (size_t i = 0; i < crew->count; i++)
		array = render_append(array, render_worker(&crew->workers[i]));
	return array;
}

static json_t *render_pool(const struct pool *pool)
{
	json_t *object = json_object();

	object = render_set(object, "name", render_string(pool->name));
	object = render_set(object, "balance",
			    render_string(balance_kind_name(pool->config->balance.kind)));
	return render_set(object, "servers", render_pool_servers(pool, 1));
}

static json_t *render_pools(const struct generation *generation)
{
	json_t *array = json_array();

	for (size_t i = 0; i < generation->config->pool_count; i++)
		array = render_append(array, render_pool(&generation->pools[i]));
	return array;
}

/* ---- the process ------------------------------------------------------------------------- */

static json_t *render_config(const struct supervisor_facts *facts)
{
	json_t *object = json_object();

	object = render_set(object, "path", render_string(facts->generation->config->path));
	object = render_set(object, "loaded", render_moment(facts->loaded));
	object = render_set(object, "reloads", render_count(facts->reloads));
	object = render_set(object, "failed_reloads", render_count(facts->failed_reloads));
	object = render_set(object, "last_reload_ok", json_boolean(facts->is_last_reload_ok));
	return render_set(object, "can_reload", json_boolean(facts->can_reload));
}

static json_t *render_limits(const struct supervisor_facts *facts)
{
	unsigned sessions = atomic_load_explicit(&facts->crew->max_sessions, memory_order_relaxed);
	json_t *object = json_object();

	object = render_set(object, "max_sessions", render_count(sessions));
	return render_set(object, "open_files", render_count(facts->max_files));
}

static json_t *render_process(const struct supervisor_facts *facts)
{
	struct process_facts process;
	json_t *object = json_object();

	metrics_read_process(facts->crew, &process);
	object = render_set(object, "open_fds", render_count(process.open_fds));
	object = render_set(object, "rss_bytes", render_count(process.rss_bytes));
	return render_set(object, "cpu_s", render_seconds((int64_t)process.cpu_us));
}

json_t *render_status(const struct supervisor *supervisor)
{
	const struct supervisor_facts facts = supervisor_facts(supervisor);
	json_t *object = json_object();
	uint64_t active;
	json_t *listeners = render_listeners(&facts, &active);

	object = render_set(object, "version", render_string(FINBACK_VERSION));
	object = render_set(object, "pid", render_count((uint64_t)getpid()));
	object = render_set(object, "state",
			    render_string(facts.is_draining ? "draining" : "running"));
	object = render_set(object, "started", render_moment(facts.started));
	object = render_set(object, "uptime_s", render_seconds(monotonic_us() - facts.started_us));
	object = render_set(object, "config", render_config(&facts));
	object = render_set(object, "limits", render_limits(&facts));
	object = render_set(object, "process", render_process(&facts));
	object = render_set(object, "log",
			    render_set(json_object(), "dropped", render_count(log_dropped())));
	object = render_set(object, "sessions", render_count(active));
	object = render_set(object, "workers", render_workers(facts.crew));
	object = render_set(object, "listeners", listeners);
	return render_set(object, "pools", render_pools(facts.generation));
}
