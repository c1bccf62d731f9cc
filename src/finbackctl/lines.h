#ifndef FINBACK_SRC_FINBACKCTL_LINES_H
#define FINBACK_SRC_FINBACKCTL_LINES_H

#include <stddef.h>

/*
 * Lines of text that grow one by one, for standard output or for a window of `top`.
 */

struct lines {
	char **texts;
	size_t count, room;
};

#define LINES_TEXT_MAX 1024 /* bytes of one line; more is cut off */

/* Adds a line, cleaned for a terminal. */
void lines_add(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a text in as many lines as it takes at `width` columns, cleaned for a terminal. Each but the
 * first begins with `indent` blanks. */
void lines_wrap(struct lines *lines, int width, int indent, const char *text);

/* The same with a label before it, in a column of `label_width`. */
void lines_label(struct lines *lines, int width, int label_width, const char *label,
		 const char *text);

void lines_print(const struct lines *lines);

void lines_fini(struct lines *lines);

#endif
