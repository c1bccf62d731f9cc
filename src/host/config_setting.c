#include <finback/io/buffers.h>

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_reader.h"
#include "config_value.h"

/*
 * The values with rules of their own: keepalive, mode, owner, buffer_cap, the log's target. The
 * surprising one is `mode` as an integer: libconfig reads 0660 as 660, so that its decimal digits
 * are taken as the octal ones that were meant.
 */

#define MODE_HINT     "octal digits from \"0\" to \"0777\", such as \"0660\""
#define OWNER_HINT    "\"user\", \"user:group\" or \":group\""
#define OWNER_MAX     32
#define NSS_BYTES_MAX (1024 * 1024)

/* What is not said is the kernel's own default (tcp(7)), unless `defaults` said it. */
void config_read_keepalive(struct config_reader *reader, const config_setting_t *setting,
			   const struct config_key *key, void *into)
{
	struct keepalive *keepalive = into;

	(void)key;
	if (!config_is_group(reader, setting,
			     "a group { idle = \"20s\"; interval = \"10s\"; count = 3; }"))
		return;
	if (!keepalive->is_set)
		*keepalive = (struct keepalive){
			.is_set = true, .idle_s = 7200, .interval_s = 75, .count = 9
		};
	config_read_group(reader, setting, &config_keepalive_group, keepalive);
}

void config_read_mode(struct config_reader *reader, const config_setting_t *setting,
		      const struct config_key *key, void *into)
{
	struct config_listener *listener = into;
	char digits[16];
	const char *text = digits;
	unsigned mode;

	(void)key;
	if (setting->type == CONFIG_TYPE_INT && setting->format == CONFIG_FORMAT_DEFAULT)
		(void)snprintf(digits, sizeof(digits), "%d", setting->value.ival);
	else if (config_is_string(reader, setting, MODE_HINT))
		text = setting->value.sval;
	else
		return;
	if (config_parse_mode(text, &mode) != 0) {
		config_error(reader, setting, "\"%.40s\" is no mode; right is %s", text, MODE_HINT);
		return;
	}
	listener->has_mode = true;
	listener->mode = (mode_t)mode;
}

/* Asks for a user (or a group) by name with a buffer that grows as long as it is too small. */
static int find_id(const char *name, bool is_group, unsigned *ret_id)
{
	for (size_t size = 1024; size <= NSS_BYTES_MAX; size *= 4) {
		struct passwd user, *found_user = NULL;
		struct group group, *found_group = NULL;
		char *buffer = malloc(size);
		int error;

		if (buffer == NULL)
			return -ENOMEM;
		if (is_group)
			error = getgrnam_r(name, &group, buffer, size, &found_group);
		else
			error = getpwnam_r(name, &user, buffer, size, &found_user);
		if (found_user != NULL)
			*ret_id = user.pw_uid;
		if (found_group != NULL)
			*ret_id = group.gr_gid;
		free(buffer);
		if (error != ERANGE)
			return found_user != NULL || found_group != NULL ? 0 : -ENOENT;
	}
	return -ENOENT;
}

/* Digits are an id, as for chown(1); the last one means "none" to the kernel. */
static int find_id_or_number(const char *name, bool is_group, unsigned *ret_id)
{
	unsigned long long number;
	char *end;

	if (find_id(name, is_group, ret_id) == 0)
		return 0;
	if (!isdigit((unsigned char)name[0]))
		return -ENOENT;
	errno = 0;
	number = strtoull(name, &end, 10);
	if (errno != 0 || *end != '\0' || number >= UINT32_MAX)
		return -ENOENT;
	*ret_id = (unsigned)number;
	return 0;
}

static void read_id(struct config_reader *reader, const config_setting_t *setting, const char *name,
		    bool is_group, unsigned *ret_id)
{
	if (find_id_or_number(name, is_group, ret_id) != 0)
		config_error(reader, setting, "there is no %s \"%s\"; right is %s",
			     is_group ? "group" : "user", name, OWNER_HINT);
}

void config_read_owner(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_key *key, void *into)
{
	struct config_listener *listener = into;
	const char *text = setting->value.sval;
	char user[OWNER_MAX + 1] = "";
	const char *group;
	size_t length;

	(void)key;
	if (!config_is_string(reader, setting, OWNER_HINT))
		return;
	length = strcspn(text, ":");
	group = text[length] == ':' ? text + length + 1 : NULL;
	if (length > OWNER_MAX || (length == 0 && group == NULL) ||
	    (group != NULL && (*group == '\0' || strlen(group) > OWNER_MAX))) {
		config_error(reader, setting, "\"%.80s\" is no owner; right is %s", text,
			     OWNER_HINT);
		return;
	}
	memcpy(user, text, length);
	if (length > 0)
		read_id(reader, setting, user, false, &listener->owner);
	if (group != NULL)
		read_id(reader, setting, group, true, &listener->group);
}

/* "4MiB to send (net.core.wmem_max)", where that is less than what was asked for. */
static size_t add_bound(char *text, size_t used, size_t size, uint32_t asked, uint32_t given,
			const char *what)
{
	char bytes[CONFIG_VALUE_TEXT_MAX];

	if (given >= asked || used >= size)
		return used;
	return used + (size_t)snprintf(text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
				       config_format_size(given, bytes, sizeof(bytes)), what);
}

/* The kernel says nothing when it gives less. */
static void warn_of_bounds(struct config_reader *reader, const config_setting_t *setting,
			   uint32_t asked)
{
	struct buffers given;
	char bytes[CONFIG_VALUE_TEXT_MAX];
	char text[160] = "";
	size_t used;

	if (buffers_try(asked, &given) < 0)
		return;
	used = add_bound(text, 0, sizeof(text), asked, given.send_bytes,
			 "to send (net.core.wmem_max)");
	used = add_bound(text, used, sizeof(text), asked, given.receive_bytes,
			 "to receive (net.core.rmem_max)");
	if (used > 0)
		config_warning(reader, setting,
			       "%s is more than the kernel gives without CAP_NET_ADMIN: %s",
			       config_format_size(asked, bytes, sizeof(bytes)), text);
}

void config_read_cap(struct config_reader *reader, const config_setting_t *setting,
		     const struct config_key *key, void *into)
{
	uint32_t bytes = 0;

	config_read_size_or_none(reader, setting, key, &bytes);
	memcpy(into, &bytes, sizeof(bytes));
	if (bytes > 0)
		warn_of_bounds(reader, setting, bytes);
}

void config_read_target(struct config_reader *reader, const config_setting_t *setting,
			const struct config_key *key, void *into)
{
	static const char *const words[] = { "auto", "journal", "stderr" };
	const char *text = setting->value.sval;
	bool is_good;

	(void)key;
	if (!config_is_string(reader, setting,
			      "\"auto\", \"journal\", \"stderr\" or a file's path"))
		return;
	is_good = text[0] == '/' && text[1] != '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		is_good = is_good || strcmp(text, words[i]) == 0;
	if (!is_good) {
		config_error(
			reader, setting,
			"\"%.80s\" is no target; right is \"auto\", \"journal\", \"stderr\", or "
			"the path of a file from / on",
			text);
		return;
	}
	text = config_keep(reader, text);
	memcpy(into, &text, sizeof(text));
}
