#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_reader.h"

/*
 * The control interface's own keys. Invariant: an address of it is no listener's, so that a file
 * that is good can be listened on. Surprising: the default of `socket` comes from the environment,
 * where systemd names the directory that it made for the service.
 */

#define SOCKET_HINT \
	"the socket's path from / on, such as \"/run/finback/control.sock\", or \"none\""
#define HTTP_HINT "\"127.0.0.1:9180\", \"[::1]:9180\", or \"none\""

/* Enough for a directory that is too long to be told from one that fits. */
#define SOCKET_TEXT_MAX 256

/* systemd.exec(5): several directories have colons between them. */
void config_control_built_in(struct config_control *control)
{
	const char *directories = getenv("RUNTIME_DIRECTORY");
	char text[SOCKET_TEXT_MAX];

	control->mode = 0600;
	control->owner = (uid_t)-1;
	control->group = (gid_t)-1;
	if (directories == NULL || directories[0] != '/')
		return;
	(void)snprintf(text, sizeof(text), "unix:%.*s/control.sock", (int)strcspn(directories, ":"),
		       directories);
	control->has_socket = address_parse(&control->socket, text) == 0;
}

static bool is_none(const config_setting_t *setting)
{
	return strcmp(setting->value.sval, "none") == 0;
}

void config_read_control_socket(struct config_reader *reader, const config_setting_t *setting,
				const struct config_key *key, void *into)
{
	struct config_control *control = into;
	char text[SOCKET_TEXT_MAX];
	int error;

	(void)key;
	if (!config_is_string(reader, setting, SOCKET_HINT))
		return;
	control->has_socket = false;
	if (is_none(setting))
		return;
	(void)snprintf(text, sizeof(text), "unix:%s", setting->value.sval);
	error = address_parse(&control->socket, text);
	control->has_socket = error == 0;
	if (error == -ENAMETOOLONG)
		config_error(reader, setting,
			     "\"%.120s\": the path is too long for a UNIX socket; "
			     "right are at most 107 bytes",
			     setting->value.sval);
	else if (error != 0)
		config_error(reader, setting, "\"%.80s\" is no path; right is %s",
			     setting->value.sval, SOCKET_HINT);
}

void config_read_control_http(struct config_reader *reader, const config_setting_t *setting,
			      const struct config_key *key, void *into)
{
	struct config_control *control = into;
	const char *text = setting->value.sval;

	(void)key;
	if (!config_is_string(reader, setting, HTTP_HINT))
		return;
	control->http_count = 0;
	if (is_none(setting))
		return;
	if (strncmp(text, "unix:", 5) == 0)
		config_error(reader, setting, "\"%.120s\" is no TCP address; right is %s", text,
			     HTTP_HINT);
	else
		control->http_count = config_read_address(reader, setting, text, &control->http);
}

void config_read_control_mode(struct config_reader *reader, const config_setting_t *setting,
			      const struct config_key *key, void *into)
{
	struct config_control *control = into;
	struct config_listener file = { .mode = control->mode };

	config_read_mode(reader, setting, key, &file); /* as a listener's */
	control->mode = file.mode;
}

void config_read_control_owner(struct config_reader *reader, const config_setting_t *setting,
			       const struct config_key *key, void *into)
{
	struct config_control *control = into;
	struct config_listener file = { .owner = control->owner, .group = control->group };

	config_read_owner(reader, setting, key, &file); /* as a listener's */
	control->owner = file.owner;
	control->group = file.group;
}

/* The listener that has this address, NULL where none has. */
static const struct config_listener *holder_of(const struct config *config,
					       const struct address *address)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->bind_count; j++)
			for (size_t k = 0; k < listener->binds[j].address_count; k++)
				if (address_equals(&listener->binds[j].addresses[k], address))
					return listener;
	}
	return NULL;
}

static void check(struct config_reader *reader, const config_setting_t *setting,
		  const struct address *address)
{
	const struct config_listener *holder = holder_of(reader->config, address);

	if (setting == NULL || holder == NULL || config_has_port_0(address))
		return;
	config_error(reader, setting,
		     "\"%.120s\" is listened on by listener \"%s\"; right is an address of its own",
		     setting->value.sval, holder->name != NULL ? holder->name : "");
}

void config_check_control(struct config_reader *reader, const config_setting_t *control)
{
	const struct config_control *read = &reader->config->control;

	if (control == NULL || !config_setting_is_group(control))
		return;
	if (read->has_socket)
		check(reader, config_setting_get_member(control, "socket"), &read->socket);
	for (size_t i = 0; i < read->http_count; i++)
		check(reader, config_setting_get_member(control, "http"), &read->http[i]);
}
