#ifndef FINBACK_SRC_FINBACKCTL_TABLE_H
#define FINBACK_SRC_FINBACKCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Rows under column titles. For a terminal they are made to fit its width: columns that matter less
 * are left out, then long values lose their middle. For anything else they are printed in full.
 */

enum column_flag {
	COLUMN_RIGHT = 1,   /* flush right: numbers */
	COLUMN_CUT = 2,     /* its values may lose their middle */
	COLUMN_OPTIONAL = 4 /* left out where there is no room; the last one first */
};

struct column {
	const char *title;
	unsigned flags;
};

#define TABLE_COLUMNS_MAX 16

struct table;

/* `columns` stay the caller's. Never NULL. */
struct table *table_create(const struct column *columns, size_t count);
void table_destroy(struct table *table);

/* Adds a row of as many values as there are columns; they are copied and cleaned for a terminal.
 * NULL is "-". */
void table_add(struct table *table, const char *const *values);

/* Prints titles and rows, without blanks at the end of a line. `width`: columns of the terminal, or
 * 0 for as many as it takes. A table without a row prints its titles. */
void table_print(const struct table *table, FILE *file, int width);

#endif
