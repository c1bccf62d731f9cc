#include <errno.h>
#include <string.h>

#include "config_reader.h"

/*
 * What address texts stand for. A name server may take seconds to say no, so that every name is
 * asked for once for the whole configuration, also when the answer was that there is none.
 */

struct config_lookup {
	struct config_lookup *next;
	const char *text;
	struct address *addresses;
	size_t count; /* 0: there is no answer */
	const char *why;
};

#define ADDRESS_HINT "\"10.0.0.5:80\", \"[2001:db8::5]:80\", \"name.example:80\" or \"unix:/path\""

static struct config_lookup *lookup(struct config_reader *reader, const char *text)
{
	struct config_lookup *found = reader->lookups;
	struct address addresses[ADDRESS_RESOLVE_MAX];
	const char *why = "no answer";
	int count;

	while (found != NULL && strcmp(found->text, text) != 0)
		found = found->next;
	if (found != NULL)
		return found;
	found = config_alloc(reader, 1, sizeof(*found));
	if (found == NULL)
		return NULL;
	found->text = config_keep(reader, text);
	count = address_resolve(text, addresses, ADDRESS_RESOLVE_MAX, &why);
	found->count = count > 0 ? (size_t)count : 0;
	found->why = config_keep(reader, why);
	found->addresses = config_alloc(reader, found->count, sizeof(*found->addresses));
	if (found->text == NULL || found->why == NULL || found->addresses == NULL)
		return NULL;
	memcpy(found->addresses, addresses, found->count * sizeof(*found->addresses));
	found->next = reader->lookups;
	reader->lookups = found;
	return found;
}

static size_t read_name(struct config_reader *reader, const config_setting_t *setting,
			const char *text, struct address **ret)
{
	const struct config_lookup *found;

	/* A file that is refused anyway does not wait for a name server. */
	if (reader->is_partial)
		return 0;
	found = lookup(reader, text);
	if (found == NULL)
		return 0;
	if (found->count == 0)
		config_error(reader, setting, "\"%.200s\" cannot be resolved: %s", text,
			     found->why);
	*ret = found->addresses;
	return found->count;
}

bool config_has_port_0(const struct address *address)
{
	if (address->any.sa_family == AF_INET)
		return address->v4.sin_port == 0;
	return address->any.sa_family == AF_INET6 && address->v6.sin6_port == 0;
}

size_t config_read_address(struct config_reader *reader, const config_setting_t *setting,
			   const char *text, struct address **ret)
{
	struct address address;
	int result = address_parse(&address, text);

	if (result == -EAGAIN)
		return read_name(reader, setting, text, ret);
	if (result == -ENAMETOOLONG) {
		config_error(reader, setting,
			     "\"%.120s\": the path is too long for a UNIX socket; "
			     "right are at most 107 bytes",
			     text);
		return 0;
	}
	if (result == -ENODEV) {
		config_error(reader, setting, "\"%.80s\": this host has no such network interface",
			     text);
		return 0;
	}
	if (result != 0) {
		config_error(reader, setting, "\"%.80s\" is no address; right is %s", text,
			     ADDRESS_HINT);
		return 0;
	}
	*ret = config_alloc(reader, 1, sizeof(**ret));
	if (*ret == NULL)
		return 0;
	**ret = address;
	return 1;
}
