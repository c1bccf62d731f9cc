/*
 * What all renderers share: values of jansson's, and how they are written.
 *
 * The surprising thing: a double is written with 15 digits. That many bring back every number of
 * seconds with six decimals as it was, for 31 years; one more, and 0.1 is 0.10000000000000001.
 */
#include <finback/admin/render.h>

#include <stdio.h>

#include "render_private.h"

#define DOUBLE_DIGITS 15
#define NS_PER_MS     1000000

json_t *render_string(const char *string)
{
	struct text text = { 0 };
	json_t *value;

	if (!string)
		return json_null();
	value = json_string(string);
	if (value)
		return value;
	/* It is no UTF-8, or there is no memory: then the second time fails as well. */
	text_append_utf8(&text, string);
	if (!text.is_short)
		value = json_stringn(text.bytes, text.length);
	text_fini(&text);
	return value;
}

json_t *render_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

json_t *render_seconds(int64_t us)
{
	return json_real(us > 0 ? (double)us / 1e6 : 0.);
}

char *render_time(struct timespec time, char text[RENDER_TIME_MAX])
{
	char date[RENDER_TIME_MAX] = "";
	struct tm tm;

	if (gmtime_r(&time.tv_sec, &tm))
		(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, RENDER_TIME_MAX, "%.20s.%03uZ", date,
		       (unsigned)(time.tv_nsec / NS_PER_MS) % 1000);
	return text;
}

json_t *render_moment(struct timespec time)
{
	char text[RENDER_TIME_MAX];

	return json_string(render_time(time, text));
}

json_t *render_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) == 0)
		return array;
	json_decref(array);
	return NULL;
}

json_t *render_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static int append_dumped(const char *bytes, size_t length, void *data)
{
	struct text *text = data;

	text_append(text, bytes, length);
	return text->is_short ? -1 : 0;
}

void render_value(struct text *text, json_t *value)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DOUBLE_DIGITS);

	if (!value || json_dump_callback(value, append_dumped, text, flags) < 0)
		text->is_short = true;
	json_decref(value);
}
