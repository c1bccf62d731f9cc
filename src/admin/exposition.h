#ifndef FINBACK_SRC_ADMIN_EXPOSITION_H
#define FINBACK_SRC_ADMIN_EXPOSITION_H

#include <finback/admin/text.h>

#include <stddef.h>
#include <stdint.h>

/*
 * Prometheus's text format 0.0.4, a piece at a time: a family's head, then its samples. Knows
 * nothing of what is measured.
 *
 * A sample is begun with labels that are ready, has more labels added, and ends with its number:
 * NAME{LABELS,MORE="word"} 5
 */

/* "# HELP" and "# TYPE". The help has no backslash and no new line. */
void exposition_family(struct text *text, const char *name, const char *type, const char *help);

/* Appends NAME="VALUE", escaped, with any value: no comma, no brace. One of more than a thousand
 * bytes is cut. */
void exposition_label(struct text *text, const char *name, const char *value);

void exposition_begin(struct text *text, const char *name, const char *labels, size_t length);

/* One more label, whose value needs no escape. */
void exposition_word(struct text *text, const char *name, const char *value);

void exposition_end(struct text *text, uint64_t number);
void exposition_end_seconds(struct text *text, int64_t us);

/* A sample without labels. */
void exposition_plain(struct text *text, const char *name, uint64_t number);
void exposition_plain_seconds(struct text *text, const char *name, int64_t us);

#endif
