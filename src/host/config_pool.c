#include <string.h>

#include "config_reader.h"

/*
 * Pools and their servers. Pool i is element i of `pools`, also when that element is no good, so
 * that an error can name the place of another; the pools of listeners follow them.
 */

#define SERVERS_HINT                                                                              \
	"an address, or a list of addresses and of groups { address = \"10.0.0.5:80\"; weight = " \
	"1; }"

/* The address of a server, which may be a group's member, and the name that it gives. */
static void read_server_address(struct config_reader *reader, const config_setting_t *setting,
				struct config_server *server)
{
	if (!config_is_string(reader, setting, "an address in quotes, such as \"10.0.0.5:80\""))
		return;
	server->text = config_keep(reader, setting->value.sval);
	if (server->name == NULL)
		server->name = server->text;
	server->address_count =
		config_read_address(reader, setting, setting->value.sval, &server->addresses);
	if (server->address_count > 0 && config_has_port_0(&server->addresses[0]))
		config_error(reader, setting, "\"%.80s\": port 0; right is the port of the server",
			     setting->value.sval);
}

static void read_server_group(struct config_reader *reader, const config_setting_t *setting,
			      struct config_server *server, struct config_server_draft *draft)
{
	const config_setting_t *address = config_setting_get_member(setting, "address");

	config_read_group(reader, setting, &config_server_group, draft);
	server->name = draft->name;
	if (address == NULL)
		config_missing(reader, setting, "address", "a server has one: \"10.0.0.5:80\"");
	else if (address->type != CONFIG_TYPE_NONE)
		read_server_address(reader, address, server);
}

static void read_server(struct config_reader *reader, const config_setting_t *setting,
			struct config_server *server, struct balance_server *weighed)
{
	struct config_server_draft draft = { .weight = 1 };

	if (setting->type == CONFIG_TYPE_GROUP)
		read_server_group(reader, setting, server, &draft);
	else if (setting->type != CONFIG_TYPE_NONE)
		read_server_address(reader, setting, server);
	weighed->weight = (uint16_t)draft.weight;
	weighed->is_backup = draft.is_backup;
}

/* A server is known by its name alone, to the log and to the operator. */
static void check_names(struct config_reader *reader, const config_setting_t *servers,
			const struct config_pool *pool, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (pool->servers[i].name == NULL || pool->servers[j].name == NULL ||
			    strcmp(pool->servers[i].name, pool->servers[j].name) != 0)
				continue;
			config_error(reader, config_setting_get_elem(servers, (unsigned)i),
				     "\"%.80s\" is in this pool already; right is one entry with a "
				     "weight, or a name of its own for each",
				     pool->servers[i].name);
			break;
		}
	}
}

static bool is_servers(struct config_reader *reader, const config_setting_t *servers)
{
	int length;

	if (servers->type != CONFIG_TYPE_LIST && servers->type != CONFIG_TYPE_ARRAY)
		return config_is_string(reader, servers, SERVERS_HINT);
	length = config_setting_length(servers);
	if (length == 0 && !reader->is_partial)
		config_error(reader, servers, "is empty; right is %s", SERVERS_HINT);
	if (length > BALANCE_SERVERS_MAX)
		config_error(reader, servers, "%d servers; right are at most %d", length,
			     BALANCE_SERVERS_MAX);
	return length > 0 && length <= BALANCE_SERVERS_MAX;
}

void config_read_servers(struct config_reader *reader, const config_setting_t *servers,
			 enum balance_kind kind, struct config_pool *pool)
{
	struct balance_server weighed[BALANCE_SERVERS_MAX];
	bool is_single = servers->type == CONFIG_TYPE_STRING;
	size_t count;

	if (servers->type == CONFIG_TYPE_NONE || !is_servers(reader, servers))
		return;
	count = is_single ? 1 : (size_t)config_setting_length(servers);
	pool->servers = config_alloc(reader, count, sizeof(*pool->servers));
	if (pool->servers == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		read_server(reader,
			    is_single ? servers : config_setting_get_elem(servers, (unsigned)i),
			    &pool->servers[i], &weighed[i]);
	check_names(reader, servers, pool, count);
	if (balance_init(&pool->balance, kind, weighed, count) != 0)
		reader->is_out_of_memory = true;
}

static void read_pool(struct config_reader *reader, const config_setting_t *pools, size_t index)
{
	const config_setting_t *setting = config_setting_get_elem(pools, (unsigned)index);
	const config_setting_t *servers;
	struct config_pool *pool = &reader->config->pools[index];

	if (setting->type == CONFIG_TYPE_NONE ||
	    !config_is_group(reader, setting, "a group { name = \"...\"; servers = ...; }"))
		return;
	config_read_group(reader, setting, &config_pool_group, pool);
	config_check_name(reader, pools, index, "a pool has a name that listeners call it by");
	servers = config_setting_get_member(setting, "servers");
	if (servers == NULL)
		config_missing(reader, setting, "servers", "right is " SERVERS_HINT);
	else
		config_read_servers(reader, servers, pool->balance.kind, pool);
}

void config_read_pools(struct config_reader *reader, const config_setting_t *pools, size_t extra)
{
	size_t count = 0;

	if (pools != NULL && pools->type == CONFIG_TYPE_LIST)
		count = (size_t)config_setting_length(pools);
	else if (pools != NULL && pools->type != CONFIG_TYPE_NONE)
		config_error(reader, pools,
			     "right is a list of groups: pools = ( { ... }, { ... } )");
	if (count > CONFIG_POOLS_MAX) {
		config_error(reader, pools, "%zu pools; right are at most %d", count,
			     CONFIG_POOLS_MAX);
		count = 0;
	}
	reader->config->pools = config_alloc(reader, count + extra, sizeof(struct config_pool));
	if (reader->config->pools == NULL)
		return;
	reader->config->pool_count = count;
	for (size_t i = 0; i < count; i++)
		read_pool(reader, pools, i);
}
