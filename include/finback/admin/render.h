#ifndef FINBACK_ADMIN_RENDER_H
#define FINBACK_ADMIN_RENDER_H

#include <finback/admin/text.h>
#include <finback/daemon/pool.h>
#include <finback/daemon/view.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * What the control interface shows, as JSON: the daemon as a whole, servers, sessions. All of it is
 * read in the supervisor's thread. Sessions, of which one answer may have ten thousand, are text at
 * once; the rest is small, and made of jansson's values.
 *
 * Any name is fine: the JSON is valid whatever bytes are in it.
 */

struct supervisor;

/* The daemon as a whole. A new reference; NULL: no memory. */
json_t *render_status(const struct supervisor *supervisor);

/* { "servers": [ ... ] } of `count` pools, one after the other. A new reference; NULL: no memory.
 */
json_t *render_servers(const struct pool *pools, size_t count);

/* One server of a pool, by its index. A new reference; NULL: no memory. */
json_t *render_server(const struct pool *pool, size_t server);

/* Appends a value, compact, and gives its reference back. The one way to write what render_...
 * returned: numbers keep the shape they have in sessions. NULL (no memory) makes the text short. */
void render_value(struct text *text, json_t *value);

/* Appends one live session, an object; without `explanation`, `local_address`, `tcp`,
 * `dead_after_s` and `probe` where the view is brief. No comma before or after it. */
void render_session(struct text *text, const struct session_view *view);

/* Appends one that has ended. `now_us` (monotonic_us()) and `now` (CLOCK_REALTIME) are the same
 * moment. */
void render_ended(struct text *text, const struct ended_view *view, int64_t now_us,
		  struct timespec now);

/* "2026-11-22T21:38:18.123Z": RFC 3339, in UTC. */
#define RENDER_TIME_MAX 32
char *render_time(struct timespec time, char text[RENDER_TIME_MAX]);

#endif
