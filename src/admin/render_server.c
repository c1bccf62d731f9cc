/*
 * Servers as JSON: what the configuration says of one, what the operator wants of it, and what came
 * of connecting to it.
 */
#include <finback/admin/render.h>

#include <stdatomic.h>

#include "render_private.h"

static json_t *render_connects(const struct pool_load *load)
{
	json_t *connects = json_object();

	for (unsigned i = 0; i < POOL_RESULTS; i++) {
		uint64_t count = atomic_load_explicit(&load->connects[i], memory_order_relaxed);

		connects = render_set(connects, pool_result_name((enum pool_result)i),
				      render_count(count));
	}
	return connects;
}

json_t *render_server(const struct pool *pool, size_t server)
{
	const struct config_server *config = &pool->config->servers[server];
	const struct balance_server *balance = &pool->config->balance.servers[server];
	const struct pool_load *load = pool->loads[server];
	uint32_t state = atomic_load_explicit(&load->state, memory_order_relaxed);
	uint32_t sessions = atomic_load_explicit(&load->sessions, memory_order_relaxed);
	json_t *object = json_object();

	object = render_set(object, "pool", render_string(pool->name));
	object = render_set(object, "name", render_string(load->name));
	object = render_set(object, "address", render_string(config->text));
	object = render_set(object, "weight", render_count(balance->weight));
	object = render_set(object, "backup", json_boolean(balance->is_backup));
	object =
		render_set(object, "state", render_string(pool_state_name((enum pool_state)state)));
	object = render_set(object, "up", json_boolean(state != POOL_MAINT));
	object = render_set(object, "sessions", render_count(sessions));
	return render_set(object, "connects", render_connects(load));
}

json_t *render_pool_servers(const struct pool *pools, size_t count)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < pools[i].config->balance.count; k++)
			servers = render_append(servers, render_server(&pools[i], k));
	return servers;
}

json_t *render_servers(const struct pool *pools, size_t count)
{
	return render_set(json_object(), "servers", render_pool_servers(pools, count));
}
