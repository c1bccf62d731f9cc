/*
 * Values out of JSON by path. No key of the interface has a dot in it.
 */
#include "field.h"

#include <string.h>

#define PATH_MAX_BYTES 64

json_t *field_at(const json_t *object, const char *path)
{
	char keys[PATH_MAX_BYTES];
	char *rest = keys;
	json_t *value = NULL;

	if (strlen(path) >= sizeof keys)
		return NULL;
	memcpy(keys, path, strlen(path) + 1);
	while (rest) {
		const char *key = strsep(&rest, ".");

		value = json_object_get(value ? value : object, key);
		if (!value)
			return NULL;
	}
	return json_is_null(value) ? NULL : value;
}

const char *field_text(const json_t *object, const char *path)
{
	return json_string_value(field_at(object, path));
}

double field_number(const json_t *object, const char *path, double otherwise)
{
	const json_t *value = field_at(object, path);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

uint64_t field_count(const json_t *object, const char *path)
{
	json_int_t value = json_integer_value(field_at(object, path));

	return value > 0 ? (uint64_t)value : 0;
}

bool field_is_true(const json_t *object, const char *path)
{
	return json_is_true(field_at(object, path));
}

const json_t *field_array(const json_t *object, const char *path)
{
	const json_t *value = field_at(object, path);

	return json_is_array(value) ? value : NULL;
}
