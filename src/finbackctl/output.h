#ifndef FINBACK_SRC_FINBACKCTL_OUTPUT_H
#define FINBACK_SRC_FINBACKCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Standard output: as JSON, or for a terminal. Writing is buffered; whether all of it went out is
 * asked once, at the end.
 */

/* Columns of the terminal that standard output is; 0 when it is none. */
int output_width(void);

/* The same, but 80 when it is none: for text that is wrapped anyway. */
int output_wrap_width(void);

/* Prints an answer as one JSON document: a line for each key, and for each element of its arrays,
 * so that line tools can read it as well. Everything beyond ASCII is escaped. */
void output_json(json_t *object);

/* One value on one line, without a line end. */
void output_json_value(const json_t *value);

/* Ends the output. Returns `status`, or EX_IOERR after saying that writing failed. */
int output_end(int status);

#endif
