#ifndef FINBACK_SRC_FINBACKCTL_ROWS_H
#define FINBACK_SRC_FINBACKCTL_ROWS_H

#include <jansson.h>

#include "words.h"

/*
 * What lists of sessions and of servers show of the daemon's objects, value by value; "-" where
 * there is none.
 */

#define ROW_NARROW 120 /* columns; below, states are shown by their short names */

char *row_count(const json_t *object, const char *path, char text[WORDS_MAX]);
char *row_duration(const json_t *object, const char *path, char text[WORDS_MAX]);
char *row_size(const json_t *object, const char *path, char text[WORDS_MAX]);

const char *row_text(const json_t *object, const char *path);

/* The server of a session: its name, else its address; NULL before there is one. */
const char *row_server(const json_t *session);

/* "half:client" for "half_closed_client" and so on; others, and NULL, as they are. */
const char *row_short_state(const char *state);

#endif
