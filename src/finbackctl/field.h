#ifndef FINBACK_SRC_FINBACKCTL_FIELD_H
#define FINBACK_SRC_FINBACKCTL_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Values of the daemon's answers, by a path of keys with dots between them: "client.tcp.rtt_us".
 * What is absent, null or of another type is simply not there, so that an answer of another version
 * is shown as far as it goes. All that is returned is borrowed from the answer.
 */

/* NULL when it is not there. A path has at most 63 bytes. */
json_t *field_at(const json_t *object, const char *path);

/* NULL when it is not there. Not yet fit for a terminal. */
const char *field_text(const json_t *object, const char *path);

/* An integer or a real; `otherwise` when it is not there. */
double field_number(const json_t *object, const char *path, double otherwise);

/* A count: 0 when it is not there or negative. */
uint64_t field_count(const json_t *object, const char *path);

bool field_is_true(const json_t *object, const char *path);

/* Its array, or an empty one's like: every macro and function of jansson takes NULL for none. */
const json_t *field_array(const json_t *object, const char *path);

#endif
