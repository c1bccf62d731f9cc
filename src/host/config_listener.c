#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_reader.h"
#include "config_value.h"

/*
 * Listeners: each starts as a copy of what `defaults` made of the built-in values and reads its own
 * keys over it, so that every key inherits by itself, in groups too. Listener i is element i of
 * `listeners`.
 */

#define LISTEN_HINT                                                                     \
	"\"0.0.0.0:80\", \"[::]:80\", \"unix:/path\" or \"systemd:NAME\", or several: " \
	"[ \"0.0.0.0:80\", \"[::]:80\" ]"
#define SYSTEMD_NAME_MAX 255
#define DEAD_AFTER_US    (INT64_C(120) * 1000000)

static void built_in(struct config_listener *listener)
{
	for (size_t i = 0; i < DEADLINES; i++)
		listener->policy.timeouts_us[i] = deadline_defaults_us[i];
	listener->policy.buffer_bytes = 128 * 1024;
	for (size_t i = 0; i < SIDES; i++)
		listener->policy.dead_after_us[i] = DEAD_AFTER_US;
	listener->backlog = 4096;
	listener->owner = (uid_t)-1;
	listener->group = (gid_t)-1;
}

/* sd_listen_fds_with_names(3): printable ASCII without a colon. */
static bool is_systemd_name(const char *name)
{
	size_t length = strlen(name);

	for (const char *c = name; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == ':')
			return false;
	return length >= 1 && length <= SYSTEMD_NAME_MAX;
}

static void read_bind(struct config_reader *reader, const config_setting_t *setting,
		      struct config_bind *bind)
{
	const char *text = setting->value.sval;

	if (setting->type == CONFIG_TYPE_NONE || !config_is_string(reader, setting, LISTEN_HINT))
		return;
	bind->text = config_keep(reader, text);
	if (bind->text == NULL)
		return;
	if (strncmp(text, "systemd:", 8) != 0) {
		bind->address_count = config_read_address(reader, setting, text, &bind->addresses);
		return;
	}
	bind->systemd_name = bind->text + 8;
	if (!is_systemd_name(bind->systemd_name))
		config_error(
			reader, setting,
			"\"%.80s\": right is systemd: and the FileDescriptorName= of the socket",
			text);
}

static void read_listen(struct config_reader *reader, const config_setting_t *listen,
			struct config_listener *listener)
{
	bool is_single = listen->type != CONFIG_TYPE_LIST && listen->type != CONFIG_TYPE_ARRAY;
	int count = is_single ? 1 : config_setting_length(listen);

	if (count == 0 && !reader->is_partial)
		config_error(reader, listen, "is empty; right is %s", LISTEN_HINT);
	if (count > CONFIG_BINDS_MAX) {
		config_error(reader, listen, "%d addresses; right are at most %d", count,
			     CONFIG_BINDS_MAX);
		return;
	}
	listener->binds = config_alloc(reader, (size_t)count, sizeof(*listener->binds));
	if (listener->binds == NULL)
		return;
	listener->bind_count = (size_t)count;
	for (int i = 0; i < count; i++)
		read_bind(reader, is_single ? listen : config_setting_get_elem(listen, (unsigned)i),
			  &listener->binds[i]);
}

/* At port 0 the kernel gives each a port of its own. */
static bool is_same_bind(const struct config_bind *a, const struct config_bind *b)
{
	if (a->systemd_name != NULL && b->systemd_name != NULL)
		return strcmp(a->systemd_name, b->systemd_name) == 0;
	for (size_t i = 0; i < a->address_count; i++)
		for (size_t j = 0; j < b->address_count; j++)
			if (address_equals(&a->addresses[i], &b->addresses[j]) &&
			    !config_has_port_0(&a->addresses[i]))
				return true;
	return false;
}

/* The first listener up to `last` that has this address, of the last one only the binds before
 * `bind`. */
static const struct config_listener *holder_of(const struct config *config, size_t last,
					       const struct config_bind *bind)
{
	for (size_t i = 0; i <= last; i++) {
		const struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->bind_count && &listener->binds[j] != bind; j++)
			if (is_same_bind(&listener->binds[j], bind))
				return listener;
	}
	return NULL;
}

static void check_binds(struct config_reader *reader, const config_setting_t *listeners,
			const config_setting_t *listen, size_t index)
{
	const struct config *config = reader->config;
	const struct config_listener *listener = &config->listeners[index];
	char place[REPORT_PLACE_MAX];

	for (size_t i = 0; i < listener->bind_count; i++) {
		const config_setting_t *setting =
			config_setting_is_aggregate(listen)
				? config_setting_get_elem(listen, (unsigned)i)
				: listen;
		const struct config_listener *holder =
			holder_of(config, index, &listener->binds[i]);

		if (holder == NULL)
			continue;
		config_place(
			reader,
			config_setting_get_elem(listeners, (unsigned)(holder - config->listeners)),
			place);
		config_error(reader, setting,
			     "\"%.80s\" is listened on twice; first by the listener at %s",
			     listener->binds[i].text, place);
	}
}

static const struct config_pool *find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (config->pools[i].name != NULL && strcmp(config->pools[i].name, name) == 0)
			return &config->pools[i];
	return NULL;
}

static void read_pool_name(struct config_reader *reader, const config_setting_t *setting,
			   struct config_listener *listener)
{
	const char *nearest = NULL;
	unsigned least = CONFIG_DISTANCE_FAR;

	if (setting->type == CONFIG_TYPE_NONE ||
	    !config_is_string(reader, setting, "the name of a pool in quotes"))
		return;
	listener->pool = find_pool(reader->config, setting->value.sval);
	if (listener->pool != NULL || reader->is_partial)
		return;
	for (size_t i = 0; i < reader->config->pool_count; i++) {
		const char *name = reader->config->pools[i].name;
		unsigned distance =
			name == NULL ? least : config_distance(setting->value.sval, name);

		if (distance < least && config_is_near(setting->value.sval, distance)) {
			nearest = name;
			least = distance;
		}
	}
	if (nearest != NULL)
		config_error(reader, setting, "no pool is called \"%.80s\"; did you mean \"%s\"?",
			     setting->value.sval, nearest);
	else
		config_error(reader, setting,
			     "no pool is called \"%.80s\"; right is the name of one in pools",
			     setting->value.sval);
}

/* A listener's own servers become a pool with its name, which no other may have. */
static void read_own_servers(struct config_reader *reader, const config_setting_t *servers,
			     size_t named_pools, struct config_listener *listener)
{
	struct config *config = reader->config;
	struct config_pool *pool = &config->pools[config->pool_count];

	for (size_t i = 0; listener->name != NULL && i < named_pools; i++)
		if (config->pools[i].name != NULL &&
		    strcmp(config->pools[i].name, listener->name) == 0)
			config_error(
				reader, servers,
				"makes a pool called \"%s\", and there is one in pools; right is "
				"another name for one of them",
				listener->name);
	pool->name = listener->name;
	config->pool_count++;
	listener->pool = pool;
	config_read_servers(reader, servers, BALANCE_ROUND_ROBIN, pool);
}

static void read_target_of_listener(struct config_reader *reader, const config_setting_t *setting,
				    size_t named_pools, struct config_listener *listener)
{
	const config_setting_t *pool = config_setting_get_member(setting, "pool");
	const config_setting_t *servers = config_setting_get_member(setting, "servers");

	if (pool != NULL && servers != NULL)
		config_error(reader, servers,
			     "there is a pool too; right is either pool or servers");
	if (pool == NULL && servers == NULL)
		config_missing(reader, setting, "pool",
			       "right is pool = \"NAME\", or servers = \"10.0.0.5:80\"");
	if (servers != NULL)
		read_own_servers(reader, servers, named_pools, listener);
	else if (pool != NULL)
		read_pool_name(reader, pool, listener);
}

static bool is_on_unix(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->bind_count; i++)
		if (listener->binds[i].text != NULL &&
		    strncmp(listener->binds[i].text, "unix:", 5) == 0)
			return true;
	return false;
}

/* What is said in `defaults` is for those listeners that it fits. */
static void check_unix_keys(struct config_reader *reader, const config_setting_t *setting,
			    const struct config_listener *listener)
{
	static const char *const keys[] = { "mode", "owner" };

	if (listener->bind_count == 0 || is_on_unix(listener))
		return;
	for (size_t i = 0; i < 2; i++) {
		const config_setting_t *key = config_setting_get_member(setting, keys[i]);

		if (key != NULL)
			config_error(reader, key,
				     "is for UNIX sockets, and this listener has none; remove it");
	}
}

static void read_listener(struct config_reader *reader, const config_setting_t *listeners,
			  size_t index, size_t named_pools)
{
	const config_setting_t *setting = config_setting_get_elem(listeners, (unsigned)index);
	struct config_listener *listener = &reader->config->listeners[index];
	const config_setting_t *listen;

	if (setting->type == CONFIG_TYPE_NONE ||
	    !config_is_group(reader, setting, "a group { name = \"...\"; listen = ...; }"))
		return;
	config_read_group(reader, setting, &config_listener_group, listener);
	config_settle_liveness(reader, setting, listener);
	config_check_name(reader, listeners, index, "a listener has a name, for log and metrics");
	listen = config_setting_get_member(setting, "listen");
	if (listen == NULL) {
		config_missing(reader, setting, "listen", "right is " LISTEN_HINT);
	} else {
		read_listen(reader, listen, listener);
		check_binds(reader, listeners, listen, index);
	}
	check_unix_keys(reader, setting, listener);
	read_target_of_listener(reader, setting, named_pools, listener);
}

void config_read_listeners(struct config_reader *reader, const config_setting_t *defaults,
			   const config_setting_t *listeners, size_t count)
{
	struct config *config = reader->config;
	size_t named_pools = config->pool_count;
	struct config_listener base = { 0 };

	built_in(&base);
	if (defaults != NULL && defaults->type != CONFIG_TYPE_NONE &&
	    config_is_group(reader, defaults, "a group of listener settings, { ... }")) {
		reader->is_in_defaults = true;
		config_read_group(reader, defaults, &config_listener_group, &base);
		config_settle_liveness(reader, defaults, &base);
		reader->is_in_defaults = false;
	}
	config->listeners = config_alloc(reader, count, sizeof(*config->listeners));
	if (config->listeners == NULL || config->pools == NULL)
		return;
	config->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		config->listeners[i] = base;
		read_listener(reader, listeners, i, named_pools);
		config_finish_liveness(reader, defaults,
				       config_setting_get_elem(listeners, (unsigned)i),
				       &config->listeners[i]);
	}
}
