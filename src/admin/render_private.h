#ifndef FINBACK_SRC_ADMIN_RENDER_PRIVATE_H
#define FINBACK_SRC_ADMIN_RENDER_PRIVATE_H

#include <finback/admin/text.h>
#include <finback/daemon/pool.h>
#include <finback/engine/endpoint.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * What the renderers share. NULL is a value that there was no memory for; it may be put anywhere,
 * and what it is put into then becomes NULL as well, so that only whoever writes the whole has to
 * ask.
 */

/* A string; bytes that are no UTF-8 are U+FFFD. NULL is null. */
json_t *render_string(const char *string);

json_t *render_count(uint64_t count);

/* Microseconds, as seconds. */
json_t *render_seconds(int64_t us);

/* A point in time, as a string. */
json_t *render_moment(struct timespec time);

/* Puts the value into the array or the object, and gives the reference to it up. Returns the array
 * or the object; NULL, with both given up, where there is no memory. */
json_t *render_append(json_t *array, json_t *value);
json_t *render_set(json_t *object, const char *key, json_t *value);

/* The servers of `count` pools, as an array. */
json_t *render_pool_servers(const struct pool *pools, size_t count);

/* Appends an address as a JSON string in endpoint_format's words; null where there is none. */
void render_endpoint(struct text *text, const struct endpoint *endpoint);

#endif
