/*
 * A configuration made live.
 *
 * Invariant: a name (of a listener, of a pool, of a pool's server) always finds the same block in
 * the registry, so a reload neither resets a counter nor forgets a live session of a server.
 */
#include <finback/daemon/generation.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* What is remembered of a pool by its name. */
struct pool_memory {
	char *name;
	_Atomic uint64_t turn;
	struct load_memory *loads;
	struct pool_memory *next;
};

struct load_memory {
	char *name; /* load.name, to be freed */
	struct pool_load load;
	struct load_memory *next;
};

void registry_init(struct registry *registry, size_t workers)
{
	*registry = (struct registry){ .workers = workers };
}

static void pool_memory_destroy(struct pool_memory *pool)
{
	while (pool->loads) {
		struct load_memory *load = pool->loads;

		pool->loads = load->next;
		free(load->name);
		free(load);
	}
	free(pool->name);
	free(pool);
}

static void tally_destroy(struct tally *tally)
{
	for (size_t i = 0; tally->workers_half_closed && i < tally->workers; i++)
		silence_fini(&tally->workers_half_closed[i].silence);
	free(tally->workers_half_closed);
	free(tally->workers_counters);
	free(tally->name);
	free(tally);
}

void registry_fini(struct registry *registry)
{
	while (registry->tallies) {
		struct tally *tally = registry->tallies;

		registry->tallies = tally->next;
		tally_destroy(tally);
	}
	while (registry->pools) {
		struct pool_memory *pool = registry->pools;

		registry->pools = pool->next;
		pool_memory_destroy(pool);
	}
}

/* NULL: no memory. */
static struct tally *tally_create(const char *name, size_t workers)
{
	struct tally *tally = calloc(1, sizeof *tally);

	if (!tally)
		return NULL;
	tally->workers = workers;
	tally->workers_counters = calloc(workers, sizeof *tally->workers_counters);
	tally->workers_half_closed = calloc(workers, sizeof *tally->workers_half_closed);
	tally->name = strdup(name);
	if (!tally->workers_counters || !tally->workers_half_closed || !tally->name) {
		tally_destroy(tally);
		return NULL;
	}
	for (size_t i = 0; i < workers; i++) {
		tally->workers_half_closed[i].tally = tally;
		silence_init(&tally->workers_half_closed[i].silence);
	}
	return tally;
}

/* The tally of this name, made where there is none. NULL: no memory. */
static struct tally *remember_tally(struct registry *registry, const char *name)
{
	struct tally **place = &registry->tallies;

	for (; *place; place = &(*place)->next)
		if (strcmp((*place)->name, name) == 0)
			return *place;
	*place = tally_create(name, registry->workers);
	return *place;
}

static struct pool_memory *remember_pool(struct registry *registry, const char *name)
{
	struct pool_memory *pool = registry->pools;

	while (pool && strcmp(pool->name, name) != 0)
		pool = pool->next;
	if (pool)
		return pool;
	pool = calloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->name = strdup(name);
	if (!pool->name) {
		free(pool);
		return NULL;
	}
	pool->next = registry->pools;
	registry->pools = pool;
	return pool;
}

static struct pool_load *remember_load(struct pool_memory *pool, const char *name)
{
	struct load_memory *load = pool->loads;

	while (load && strcmp(load->name, name) != 0)
		load = load->next;
	if (load)
		return &load->load;
	load = calloc(1, sizeof *load);
	if (!load)
		return NULL;
	load->name = strdup(name);
	if (!load->name) {
		free(load);
		return NULL;
	}
	load->load.name = load->name;
	load->next = pool->loads;
	pool->loads = load;
	return &load->load;
}

static bool fill_pool(struct pool *pool, const struct config_pool *config,
		      struct registry *registry)
{
	struct pool_memory *memory = remember_pool(registry, config->name);

	if (!memory)
		return false;
	pool->config = config;
	pool->name = memory->name;
	pool->turn = &memory->turn;
	for (size_t i = 0; i < config->balance.count; i++) {
		pool->loads[i] = remember_load(memory, config->servers[i].name);
		if (!pool->loads[i])
			return false;
	}
	return true;
}

/* Returns whether there is memory. */
static bool fill_origin(struct pool_origin *origin, const struct config_listener *listener)
{
	const struct config_side *side = &listener->sides[SERVER];

	*origin = (struct pool_origin){
		.sources = side->sources,
		.source_count = side->source_count,
		.buffer_cap = listener->buffer_cap,
	};
	if (origin->source_count == 0)
		return true;
	origin->turns = calloc(listener->pool->balance.count, sizeof *origin->turns);
	return origin->turns != NULL;
}

static void fill_lanes(struct route *route)
{
	struct tally *tally = route->tally;

	for (size_t i = 0; i < tally->workers; i++)
		route->lanes[i] = (struct lane){
			.route = route,
			.policy = &route->listener->policy,
			.counters = &tally->workers_counters[i],
			.half_closed = &tally->workers_half_closed[i],
			.log_every_us = route->generation->config->log.every_us,
		};
}

static bool fill_route(struct generation *generation, size_t index, struct registry *registry)
{
	const struct config_listener *listener = &generation->config->listeners[index];
	struct route *route = &generation->routes[index];
	size_t pool = (size_t)(listener->pool - generation->config->pools);

	route->generation = generation;
	route->listener = listener;
	route->pool = &generation->pools[pool];
	route->tally = remember_tally(registry, listener->name);
	if (!route->tally)
		return false;
	route->lanes = &generation->lanes[index * registry->workers];
	fill_lanes(route);
	return fill_origin(&route->origin, listener);
}

static bool fill(struct generation *generation, struct registry *registry)
{
	const struct config *config = generation->config;

	generation->pools = calloc(config->pool_count, sizeof *generation->pools);
	generation->routes = calloc(config->listener_count, sizeof *generation->routes);
	generation->lanes =
		calloc(config->listener_count * registry->workers, sizeof *generation->lanes);
	if (!generation->pools || !generation->routes || !generation->lanes)
		return false;
	for (size_t i = 0; i < config->pool_count; i++)
		if (!fill_pool(&generation->pools[i], &config->pools[i], registry))
			return false;
	for (size_t i = 0; i < config->listener_count; i++)
		if (!fill_route(generation, i, registry))
			return false;
	return true;
}

struct generation *generation_create(struct config *config, struct registry *registry)
{
	struct generation *generation = calloc(1, sizeof *generation);

	if (!generation) {
		config_unref(config);
		return NULL;
	}
	atomic_init(&generation->references, 1);
	generation->config = config;
	if (!fill(generation, registry)) {
		generation_unref(generation);
		return NULL;
	}
	return generation;
}

struct generation *generation_ref(struct generation *generation)
{
	atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
	return generation;
}

void generation_unref(struct generation *generation)
{
	if (!generation ||
	    atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; generation->routes && i < generation->config->listener_count; i++)
		free(generation->routes[i].origin.turns);
	free(generation->lanes);
	free(generation->routes);
	free(generation->pools);
	config_unref(generation->config);
	free(generation);
}

/* A file that was good, and still could not be taken, has left its names in the registry. */
void generation_serve(const struct generation *generation)
{
	for (size_t i = 0; i < generation->config->listener_count; i++) {
		const struct route *route = &generation->routes[i];

		route->tally->has_served = true;
		atomic_store_explicit(&route->tally->max_half_closed,
				      route->listener->max_half_closed, memory_order_relaxed);
	}
}

const struct tally *registry_next(const struct registry *registry, const struct tally *tally)
{
	do
		tally = tally ? tally->next : registry->tallies;
	while (tally && !tally->has_served);
	return tally;
}

/* A worker moves a session in some nanoseconds, unless it is interrupted there: then it needs the
 * CPU that this thread gives up. */
static void sum_block(struct counters_sum *sum, const struct counters *counters)
{
	while (!counters_sum(sum, counters))
		(void)sched_yield(); /* it cannot fail on Linux */
}

void tally_sum(const struct tally *tally, struct counters_sum *ret_sum)
{
	*ret_sum = (struct counters_sum){ 0 };
	for (size_t i = 0; i < tally->workers; i++)
		sum_block(ret_sum, &tally->workers_counters[i]);
}
