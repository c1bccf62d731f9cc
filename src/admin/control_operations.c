/*
 * The paths, and the answers that need no worker.
 */
#include <finback/admin/metrics.h>
#include <finback/admin/page.h>
#include <finback/admin/render.h>
#include <finback/host/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_private.h"

static void answer_value(struct request *request, unsigned status, json_t *value)
{
	struct text text = { 0 };

	render_value(&text, value);
	request_answer(request, status, CONTROL_JSON, &text);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static void handle_page(struct request *request)
{
	char policy[PAGE_POLICY_MAX];
	struct text text = { 0 };
	int error = page_render(&text.bytes, &text.length, policy);

	if (error < 0)
		request_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no page now: %s",
			       strerrordesc_np(-error));
	else
		request_answer(request, MHD_HTTP_OK, PAGE_TYPE, &text);
	if (error == 0)
		request_add_header(request, "Content-Security-Policy", policy);
}

static void handle_metrics(struct request *request)
{
	struct text text = { 0 };

	metrics_render(&text, request->door->control->supervisor);
	request_answer(request, MHD_HTTP_OK, METRICS_TYPE, &text);
}

static void handle_status(struct request *request)
{
	answer_value(request, MHD_HTTP_OK, render_status(request->door->control->supervisor));
}

static void handle_drain(struct request *request)
{
	struct supervisor_facts facts = control_facts(request);
	char who[REQUEST_CALLER_MAX];
	struct text text = { 0 };

	if (facts.is_draining) {
		request_refuse(request, MHD_HTTP_CONFLICT, "finback is draining already");
		return;
	}
	log_say(LOG_LEVEL_INFO, "control: %s asks for a drain", request_caller(request, who));
	TEXT_APPEND(&text, "{\"draining\":true,\"sessions\":");
	text_append_number(&text, crew_active(facts.crew));
	TEXT_APPEND(&text, ",\"drain_s\":");
	text_append_seconds(&text, facts.generation->config->drain_us);
	TEXT_APPEND(&text, "}");
	request_answer(request, MHD_HTTP_ACCEPTED, CONTROL_JSON, &text);
	(void)supervisor_drain(request->door->control->supervisor); /* it does not drain yet */
}

/* ---- servers ----------------------------------------------------------------------------------
 */

static const struct pool *find_pool(const struct generation *generation, const char *name)
{
	for (size_t i = 0; i < generation->config->pool_count; i++)
		if (strcmp(generation->pools[i].name, name) == 0)
			return &generation->pools[i];
	return NULL;
}

/* The server's index; negative: it has none of this name. */
static int find_server(const struct pool *pool, const char *name)
{
	for (unsigned i = 0; i < pool->config->balance.count; i++)
		if (strcmp(pool_server_name(pool, (int)i), name) == 0)
			return (int)i;
	return -1;
}

/* The pool that the path names; NULL: there is none, and the request has its answer. */
static const struct pool *requested_pool(struct request *request)
{
	const char *name = request->path.words[3];
	const struct pool *pool = find_pool(control_facts(request).generation, name);

	if (!pool)
		request_refuse(request, MHD_HTTP_NOT_FOUND, "no pool \"%.64s\"", name);
	return pool;
}

/* The same for the server, in the pool that the path names. */
static int requested_server(struct request *request, const struct pool *pool)
{
	const char *name = request->path.words[4];
	int server = find_server(pool, name);

	if (server < 0)
		request_refuse(request, MHD_HTTP_NOT_FOUND, "no server \"%.256s\" in pool \"%s\"",
			       name, pool->name);
	return server;
}

static void handle_servers(struct request *request)
{
	const struct generation *generation = control_facts(request).generation;

	answer_value(request, MHD_HTTP_OK,
		     render_servers(generation->pools, generation->config->pool_count));
}

static void handle_pool(struct request *request)
{
	const struct pool *pool = requested_pool(request);

	if (pool)
		answer_value(request, MHD_HTTP_OK, render_servers(pool, 1));
}

static void handle_server(struct request *request)
{
	const struct pool *pool = requested_pool(request);
	int server = pool ? requested_server(request, pool) : -1;

	if (server >= 0)
		answer_value(request, MHD_HTTP_OK, render_server(pool, (size_t)server));
}

/* ---- the state of a server --------------------------------------------------------------------
 */

#define STATE_HINT "right is {\"state\": \"ready\"}, or \"drain\", or \"maint\""

/* The state that an object asks for; POOL_STATES: none, and `ret_why` says it. */
static enum pool_state wanted_state(json_t *object, const char **ret_why)
{
	const char *name = json_string_value(json_object_get(object, "state"));

	if (!json_is_object(object))
		*ret_why = "the body is no object; " STATE_HINT;
	else if (json_object_size(object) != 1 || !json_object_get(object, "state"))
		*ret_why = "the body has one member, state; " STATE_HINT;
	else if (!name)
		*ret_why = "state is no string; " STATE_HINT;
	for (unsigned i = 0; name && !*ret_why && i < POOL_STATES; i++)
		if (strcmp(name, pool_state_name((enum pool_state)i)) == 0)
			return (enum pool_state)i;
	if (!*ret_why)
		*ret_why = "no such state; " STATE_HINT;
	return POOL_STATES;
}

static enum pool_state read_state(struct request *request)
{
	json_error_t error;
	json_t *object =
		json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &error);
	const char *why = NULL;
	enum pool_state state;

	if (!object) {
		request_refuse(request, MHD_HTTP_BAD_REQUEST,
			       "the body is no JSON: %s; " STATE_HINT, error.text);
		return POOL_STATES;
	}
	state = wanted_state(object, &why);
	json_decref(object);
	if (state == POOL_STATES)
		request_refuse(request, MHD_HTTP_BAD_REQUEST, "%s", why);
	return state;
}

static void set_state(struct request *request, const struct pool *pool, int server,
		      enum pool_state state)
{
	char who[REQUEST_CALLER_MAX];
	uint32_t before = atomic_exchange_explicit(&pool->loads[server]->state, (uint32_t)state,
						   memory_order_relaxed);

	if (before != (uint32_t)state)
		log_say(LOG_LEVEL_INFO, "control: server %s of pool %s is set from %s to %s (%s)",
			pool_server_name(pool, server), pool->name,
			pool_state_name((enum pool_state)before), pool_state_name(state),
			request_caller(request, who));
}

static void handle_change(struct request *request)
{
	const struct pool *pool = requested_pool(request);
	int server = pool ? requested_server(request, pool) : -1;
	enum pool_state state = server >= 0 ? read_state(request) : POOL_STATES;

	if (state == POOL_STATES)
		return;
	set_state(request, pool, server, state);
	answer_value(request, MHD_HTTP_OK, render_server(pool, (size_t)server));
}

/* ---- the table --------------------------------------------------------------------------------
 */

const struct operation control_operations[] = {
	{ "/", "GET", handle_page, INPUT_NONE },
	{ "/metrics", "GET", handle_metrics, INPUT_NONE },
	{ "/api/v1/status", "GET", handle_status, INPUT_NONE },
	{ "/api/v1/servers", "GET", handle_servers, INPUT_NONE },
	{ "/api/v1/servers/*", "GET", handle_pool, INPUT_NONE },
	{ "/api/v1/servers/*/*", "GET", handle_server, INPUT_NONE },
	{ "/api/v1/servers/*/*", "PATCH", handle_change, INPUT_BODY },
	{ "/api/v1/sessions", "GET", sessions_handle_list, INPUT_QUERY },
	{ "/api/v1/sessions/*", "GET", sessions_handle_one, INPUT_NONE },
	{ "/api/v1/sessions/*", "DELETE", sessions_handle_kill, INPUT_NONE },
	{ "/api/v1/reload", "POST", reload_handle, INPUT_NONE },
	{ "/api/v1/drain", "POST", handle_drain, INPUT_NONE },
	{ 0 },
};
