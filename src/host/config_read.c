#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_reader.h"
#include "config_report.h"
#include "config_scan.h"
#include "config_value.h"

/*
 * Groups by their tables, and the plain kinds of value. A setting of type NONE is where a syntax
 * error cut the tree: it was named and got no value, and nothing is said about it here.
 */

#define PATH_TEXT_MAX  256
#define PATH_STEPS_MAX (CONFIG_NESTING_MAX + 1)

static const char *const type_names[] = {
	[CONFIG_TYPE_NONE] = "nothing",       [CONFIG_TYPE_GROUP] = "a group",
	[CONFIG_TYPE_INT] = "an integer",     [CONFIG_TYPE_INT64] = "an integer",
	[CONFIG_TYPE_FLOAT] = "a fraction",   [CONFIG_TYPE_STRING] = "a string",
	[CONFIG_TYPE_BOOL] = "true or false", [CONFIG_TYPE_ARRAY] = "an array",
	[CONFIG_TYPE_LIST] = "a list",
};
static_assert(sizeof(type_names) / sizeof(type_names[0]) == CONFIG_TYPE_LIST + 1,
	      "each of libconfig's types has a name");

static const char *type_name(const config_setting_t *setting)
{
	return type_names[setting->type];
}

/* The `name` of an element of a list, when it has one that can stand in a path. */
static const char *own_name(const config_setting_t *setting)
{
	const char *name = NULL;

	if (!config_setting_is_group(setting) ||
	    !config_setting_lookup_string(setting, "name", &name) || !config_is_name(name))
		return NULL;
	return name;
}

/* "listeners.web.timeouts.idle"; "listeners[0]" where there is no name. Root first: the way up is
 * noted and then walked back. */
static char *path_of(const config_setting_t *setting, char *text)
{
	const config_setting_t *way[PATH_STEPS_MAX];
	size_t depth = 0;
	size_t used = 0;

	text[0] = '\0';
	for (; depth < PATH_STEPS_MAX && setting->parent != NULL; setting = setting->parent)
		way[depth++] = setting;
	while (depth-- > 0 && used < PATH_TEXT_MAX) {
		const char *name = way[depth]->name;
		int length;

		if (name == NULL)
			name = own_name(way[depth]);
		if (name != NULL)
			length = snprintf(text + used, PATH_TEXT_MAX - used, "%s%s",
					  used == 0 ? "" : ".", name);
		else
			length = snprintf(text + used, PATH_TEXT_MAX - used, "[%d]",
					  config_setting_index(way[depth]));
		used += (size_t)length;
	}
	return text;
}

static void say(struct config_reader *reader, const config_setting_t *setting, bool is_warning,
		const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

static void say(struct config_reader *reader, const config_setting_t *setting, bool is_warning,
		const char *format, va_list arguments)
{
	char path[PATH_TEXT_MAX];
	char text[512];

	(void)vsnprintf(text, sizeof(text), format, arguments);
	report_add(reader->report, setting->line, is_warning, "%s: %s", path_of(setting, path),
		   text);
}

void config_error(struct config_reader *reader, const config_setting_t *setting, const char *format,
		  ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(reader, setting, false, format, arguments);
	va_end(arguments);
}

void config_warning(struct config_reader *reader, const config_setting_t *setting,
		    const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(reader, setting, true, format, arguments);
	va_end(arguments);
}

void config_missing(struct config_reader *reader, const config_setting_t *setting, const char *key,
		    const char *right)
{
	char path[PATH_TEXT_MAX];

	if (reader->is_partial)
		return;
	path_of(setting, path);
	report_add(reader->report, setting->line, false, "%s%s%s: missing; %s", path,
		   path[0] == '\0' ? "" : ".", key, right);
}

char *config_place(const struct config_reader *reader, const config_setting_t *setting, char *text)
{
	return report_place(reader->source, setting->line, text, REPORT_PLACE_MAX);
}

void *config_alloc(struct config_reader *reader, size_t count, size_t size)
{
	void *memory = arena_alloc(reader->arena, count, size);

	reader->is_out_of_memory |= memory == NULL;
	return memory;
}

const char *config_keep(struct config_reader *reader, const char *text)
{
	const char *copy = arena_copy(reader->arena, text, strlen(text));

	reader->is_out_of_memory |= copy == NULL;
	return copy;
}

bool config_is_string(struct config_reader *reader, const config_setting_t *setting,
		      const char *right)
{
	if (setting->type == CONFIG_TYPE_STRING)
		return true;
	config_error(reader, setting, "is %s; right is %s", type_name(setting), right);
	return false;
}

bool config_is_group(struct config_reader *reader, const config_setting_t *setting,
		     const char *right)
{
	if (setting->type == CONFIG_TYPE_GROUP)
		return true;
	config_error(reader, setting, "is %s; right is %s", type_name(setting), right);
	return false;
}

static const char *raw_name(const config_setting_t *list, size_t index)
{
	const config_setting_t *element = config_setting_get_elem(list, (unsigned)index);
	const char *name = NULL;

	if (config_setting_is_group(element))
		(void)config_setting_lookup_string(element, "name", &name); /* else it stays NULL */
	return name;
}

void config_check_name(struct config_reader *reader, const config_setting_t *list, size_t index,
		       const char *why)
{
	const config_setting_t *element = config_setting_get_elem(list, (unsigned)index);
	const char *name = raw_name(list, index);
	char place[REPORT_PLACE_MAX];

	if (config_setting_get_member(element, "name") == NULL)
		config_missing(reader, element, "name", why);
	for (size_t i = 0; name != NULL && i < index; i++) {
		const char *earlier = raw_name(list, i);

		if (earlier == NULL || strcmp(earlier, name) != 0)
			continue;
		element = config_setting_get_member(element, "name");
		config_error(
			reader, element,
			"\"%.80s\" is used twice, first at %s; right is another name", name,
			config_place(reader, config_setting_get_elem(list, (unsigned)i), place));
		return;
	}
}

/* --- groups --- */

static const struct config_key *find_key(const struct config_group *group, const char *name)
{
	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->keys[i].name, name) == 0)
			return &group->keys[i];
	return NULL;
}

static bool is_known_here(const struct config_reader *reader, const struct config_key *key)
{
	return key->read != NULL && !(key->is_of_one && reader->is_in_defaults);
}

/* The nearest key; of equally near ones, the first that works. */
static const struct config_key *nearest_key(const struct config_group *group, const char *name)
{
	const struct config_key *nearest = NULL;
	unsigned least = CONFIG_DISTANCE_FAR;

	for (size_t i = 0; i < group->count; i++) {
		unsigned distance = config_distance(name, group->keys[i].name);
		bool is_better = distance < least ||
				 (distance == least && nearest != NULL && nearest->read == NULL);

		if (is_better && config_is_near(name, distance)) {
			nearest = &group->keys[i];
			least = distance;
		}
	}
	return nearest;
}

static void unknown_key(struct config_reader *reader, const config_setting_t *setting,
			const struct config_group *group)
{
	const struct config_key *nearest = nearest_key(group, setting->name);
	char list[384];
	size_t used = 0;

	if (nearest != NULL) {
		config_error(reader, setting, "unknown key; did you mean \"%s\"?%s", nearest->name,
			     nearest->read != NULL ? "" : " (which this version does not support)");
		return;
	}
	list[0] = '\0';
	for (size_t i = 0; i < group->count && used < sizeof(list); i++)
		if (is_known_here(reader, &group->keys[i]))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used == 0 ? "" : ", ", group->keys[i].name);
	config_error(reader, setting, "unknown key; known here: %s", list);
}

static void read_member(struct config_reader *reader, const config_setting_t *setting,
			const struct config_group *group, void *into)
{
	const struct config_key *key = find_key(group, setting->name);

	if (key == NULL)
		unknown_key(reader, setting, group);
	else if (key->read == NULL)
		config_error(reader, setting, "not supported by this version; remove it");
	else if (key->is_of_one && reader->is_in_defaults)
		config_error(reader, setting,
			     "belongs to each listener by itself, not to defaults");
	else if (setting->type != CONFIG_TYPE_NONE)
		key->read(reader, setting, key, (char *)into + key->offset);
}

void config_read_group(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_group *group, void *into)
{
	int length = config_setting_length(setting);

	for (int i = 0; i < length; i++)
		read_member(reader, config_setting_get_elem(setting, (unsigned)i), group, into);
}

void config_read_subgroup(struct config_reader *reader, const config_setting_t *setting,
			  const struct config_key *key, void *into)
{
	if (config_is_group(reader, setting, "a group of keys, { ... }"))
		config_read_group(reader, setting, key->group, into);
}

void config_read_apart(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_key *key, void *into)
{
	(void)reader;
	(void)setting;
	(void)key;
	(void)into;
}

/* --- values --- */

/* An integer of either width. */
static bool get_integer(const config_setting_t *setting, int64_t *ret)
{
	if (setting->type == CONFIG_TYPE_INT)
		*ret = setting->value.ival;
	else if (setting->type == CONFIG_TYPE_INT64)
		*ret = setting->value.llval;
	else
		return false;
	return true;
}

void config_read_integer(struct config_reader *reader, const config_setting_t *setting,
			 const struct config_key *key, void *into)
{
	int64_t value;
	int narrow;

	if (!get_integer(setting, &value)) {
		config_error(reader, setting,
			     "is %s; right is an integer from %" PRId64 " to %" PRId64,
			     type_name(setting), key->min, key->max);
	} else if (value < key->min || value > key->max) {
		config_error(reader, setting,
			     "out of range; right is an integer from %" PRId64 " to %" PRId64,
			     key->min, key->max);
	} else {
		narrow = (int)value; /* every max of the tables fits */
		memcpy(into, &narrow, sizeof(narrow));
	}
}

/* A duration between two others. */
static bool get_duration(struct config_reader *reader, const config_setting_t *setting, int64_t min,
			 int64_t max, int64_t *ret_us)
{
	char least[CONFIG_VALUE_TEXT_MAX];
	char most[CONFIG_VALUE_TEXT_MAX];
	const char *text = setting->value.sval;
	int result;

	if (!config_is_string(reader, setting, "a duration in quotes: " CONFIG_DURATION_HINT))
		return false;
	result = config_parse_duration(text, ret_us);
	if (result == -EINVAL) {
		config_error(reader, setting, "\"%.40s\" is no duration; right is %s", text,
			     CONFIG_DURATION_HINT);
		return false;
	}
	if (result == 0 && *ret_us >= min && *ret_us <= max)
		return true;
	config_error(reader, setting, "\"%.40s\" is out of range; right is \"%s\" to \"%s\"", text,
		     config_format_duration(min, least, sizeof(least)),
		     config_format_duration(max, most, sizeof(most)));
	return false;
}

void config_read_duration(struct config_reader *reader, const config_setting_t *setting,
			  const struct config_key *key, void *into)
{
	int64_t us;

	if (get_duration(reader, setting, key->min, key->max, &us))
		memcpy(into, &us, sizeof(us));
}

void config_read_duration_or_none(struct config_reader *reader, const config_setting_t *setting,
				  const struct config_key *key, void *into)
{
	char least[CONFIG_VALUE_TEXT_MAX];
	char most[CONFIG_VALUE_TEXT_MAX];
	int64_t us;

	if (!get_duration(reader, setting, 0, CONFIG_DURATION_MAX_US, &us))
		return;
	if (us == 0 || (us >= key->min && us <= key->max))
		memcpy(into, &us, sizeof(us));
	else
		config_error(
			reader, setting,
			"\"%.40s\" is out of range; right is \"%s\" to \"%s\", or \"0\" for none",
			setting->value.sval, config_format_duration(key->min, least, sizeof(least)),
			config_format_duration(key->max, most, sizeof(most)));
}

void config_read_whole(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_key *key, void *into)
{
	int64_t us;
	int number;

	if (!get_duration(reader, setting, key->min * key->unit_us, key->max * key->unit_us, &us))
		return;
	if (us % key->unit_us != 0) {
		char unit[CONFIG_VALUE_TEXT_MAX];

		config_error(reader, setting,
			     "\"%.40s\" is too fine; right is a whole number of \"%s\"",
			     setting->value.sval,
			     config_format_duration(key->unit_us, unit, sizeof(unit)));
		return;
	}
	number = (int)(us / key->unit_us);
	memcpy(into, &number, sizeof(number));
}

/* An integer or a text with a unit. What it says may be out of all ranges, and is then too large.
 */
static bool get_size(struct config_reader *reader, const config_setting_t *setting,
		     int64_t *ret_bytes)
{
	int result;

	if (get_integer(setting, ret_bytes))
		return true;
	if (!config_is_string(reader, setting, CONFIG_SIZE_HINT))
		return false;
	*ret_bytes = INT64_MAX;
	result = config_parse_size(setting->value.sval, ret_bytes);
	if (result == -EINVAL)
		config_error(reader, setting, "\"%.40s\" is no size; right is %s",
			     setting->value.sval, CONFIG_SIZE_HINT);
	return result != -EINVAL;
}

static void read_size(struct config_reader *reader, const config_setting_t *setting,
		      const struct config_key *key, bool can_be_none, void *into)
{
	char least[CONFIG_VALUE_TEXT_MAX];
	char most[CONFIG_VALUE_TEXT_MAX];
	int64_t bytes;
	uint32_t narrow;

	if (!get_size(reader, setting, &bytes))
		return;
	narrow = (uint32_t)bytes; /* every max of the tables fits */
	if ((bytes >= key->min && bytes <= key->max) || (can_be_none && bytes == 0))
		memcpy(into, &narrow, sizeof(narrow));
	else
		config_error(reader, setting, "out of range; right is \"%s\" to \"%s\"%s",
			     config_format_size(key->min, least, sizeof(least)),
			     config_format_size(key->max, most, sizeof(most)),
			     can_be_none ? ", or 0 for none" : "");
}

void config_read_size(struct config_reader *reader, const config_setting_t *setting,
		      const struct config_key *key, void *into)
{
	read_size(reader, setting, key, false, into);
}

void config_read_size_or_none(struct config_reader *reader, const config_setting_t *setting,
			      const struct config_key *key, void *into)
{
	read_size(reader, setting, key, true, into);
}

void config_read_boolean(struct config_reader *reader, const config_setting_t *setting,
			 const struct config_key *key, void *into)
{
	bool value = setting->value.ival != 0;

	(void)key;
	if (setting->type == CONFIG_TYPE_BOOL)
		memcpy(into, &value, sizeof(value));
	else
		config_error(reader, setting, "is %s; right is true or false", type_name(setting));
}

/* "round_robin", "least_sessions" */
static void list_words(const struct config_words *words, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (unsigned i = 0; i < words->count && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s\"%s\"", i == 0 ? "" : ", ",
					 words->word(i));
}

void config_read_word(struct config_reader *reader, const config_setting_t *setting,
		      const struct config_key *key, void *into)
{
	char list[256];
	const char *text = setting->value.sval;

	list_words(key->words, list, sizeof(list));
	if (setting->type != CONFIG_TYPE_STRING) {
		config_error(reader, setting, "is %s; right is one of %s", type_name(setting),
			     list);
		return;
	}
	for (unsigned i = 0; i < key->words->count; i++) {
		bool flag = i != 0;

		if (strcmp(text, key->words->word(i)) != 0)
			continue;
		assert(key->size == sizeof(flag) || key->size == sizeof(i));
		memcpy(into, key->size == sizeof(flag) ? (const void *)&flag : &i, key->size);
		return;
	}
	for (const char *const *later = key->words->later; *later != NULL; later++)
		if (strcmp(text, *later) == 0) {
			config_error(reader, setting,
				     "\"%s\" is not supported by this version; right is one of %s",
				     text, list);
			return;
		}
	config_error(reader, setting, "\"%.40s\" is unknown; right is one of %s", text, list);
}

void config_read_name(struct config_reader *reader, const config_setting_t *setting,
		      const struct config_key *key, void *into)
{
	const char *name;

	(void)key;
	if (!config_is_string(reader, setting, "a name in quotes"))
		return;
	if (!config_is_name(setting->value.sval)) {
		config_error(reader, setting, "\"%.80s\" is no name; right is %s",
			     setting->value.sval, CONFIG_NAME_HINT);
		return;
	}
	name = config_keep(reader, setting->value.sval);
	memcpy(into, &name, sizeof(name));
}
