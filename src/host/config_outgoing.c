#include <finback/io/sock.h>

#include <errno.h>
#include <string.h>

#include "config_reader.h"

/*
 * `source`: the addresses of this machine that connections to servers come from. One that is not
 * there is a warning alone: it may come with the interface, and the file may be checked on another
 * machine.
 */

#define SOURCE_HINT                                                                               \
	"an IP address of this machine without a port, \"10.0.0.1\" or \"fd00::1\", or several: " \
	"[ \"10.0.0.1\", \"10.0.0.2\" ]"

/* Text that is one, with what bind(2) needs. */
static bool parse(struct config_reader *reader, const config_setting_t *setting,
		  struct address *ret)
{
	const char *text = setting->value.sval;
	int result = address_parse_host(ret, text);

	if (strcmp(text, "client") == 0)
		config_error(reader, setting,
			     "\"client\" (transparent) is not supported by this version; right "
			     "is " SOURCE_HINT);
	else if (result == -ENODEV)
		config_error(reader, setting, "\"%.80s\": this host has no such network interface",
			     text);
	else if (result < 0)
		config_error(reader, setting, "\"%.80s\" is no IP address; right is " SOURCE_HINT,
			     text);
	else if (ret->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&ret->v6.sin6_addr) &&
		 ret->v6.sin6_scope_id == 0)
		config_error(reader, setting,
			     "\"%.80s\" is a link-local address; right is one with its zone, such "
			     "as \"fe80::1%%eth0\"",
			     text);
	else
		return true;
	return false;
}

static bool is_there_already(const struct config_side *side, const struct address *address)
{
	for (size_t i = 0; i < side->source_count; i++)
		if (address_equals(&side->sources[i], address))
			return true;
	return false;
}

static void warn_if_absent(struct config_reader *reader, const config_setting_t *setting,
			   const struct address *address)
{
	int error = sock_try_source(address);

	if (error == -EADDRNOTAVAIL)
		config_warning(reader, setting,
			       "\"%.80s\" is no address of this machine; no connection to a server "
			       "can come from it",
			       setting->value.sval);
	else if (error < 0)
		config_warning(reader, setting,
			       "no connection to a server can come from \"%.80s\": %s",
			       setting->value.sval, strerrordesc_np(-error));
}

static void read_one(struct config_reader *reader, const config_setting_t *setting,
		     struct config_side *side)
{
	struct address address;

	if (setting->type == CONFIG_TYPE_NONE || !config_is_string(reader, setting, SOURCE_HINT) ||
	    !parse(reader, setting, &address))
		return;
	if (is_there_already(side, &address)) {
		config_error(reader, setting, "\"%.80s\" is there twice; remove one",
			     setting->value.sval);
		return;
	}
	side->sources[side->source_count++] = address;
	warn_if_absent(reader, setting, &address);
}

/* Takes the place of what was inherited, as a whole. */
void config_read_outgoing(struct config_reader *reader, const config_setting_t *setting,
			  const struct config_key *key, void *into)
{
	struct config_side *side = into;
	bool is_single = setting->type != CONFIG_TYPE_LIST && setting->type != CONFIG_TYPE_ARRAY;
	int count = is_single ? 1 : config_setting_length(setting);

	(void)key;
	if (count == 0 && !reader->is_partial)
		config_error(reader, setting, "is empty; right is " SOURCE_HINT);
	if (count > CONFIG_SOURCES_MAX) {
		config_error(reader, setting, "%d addresses; right are at most %d", count,
			     CONFIG_SOURCES_MAX);
		return;
	}
	side->source_count = 0;
	side->sources = config_alloc(reader, (size_t)count, sizeof(*side->sources));
	if (side->sources == NULL)
		return;
	for (int i = 0; i < count; i++)
		read_one(reader,
			 is_single ? setting : config_setting_get_elem(setting, (unsigned)i), side);
}
