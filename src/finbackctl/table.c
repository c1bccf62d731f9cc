/*
 * Tables. Cells are kept row by row until all are there, because the widest value of a column sets
 * its width.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "words.h"

#define CUT_LEAST 7 /* columns: "10.…:80" */

struct table {
	const struct column *columns;
	size_t column_count;
	char **cells;
	size_t cell_count, cell_room;
	int widest[TABLE_COLUMNS_MAX];
};

/* What is printed of each column. */
struct layout {
	int widths[TABLE_COLUMNS_MAX]; /* -1: left out */
	int gap;
	size_t last; /* the last column that is there */
};

struct table *table_create(const struct column *columns, size_t count)
{
	struct table *table = ctl_need(calloc(1, sizeof *table));

	table->columns = columns;
	table->column_count = count < TABLE_COLUMNS_MAX ? count : TABLE_COLUMNS_MAX;
	for (size_t i = 0; i < table->column_count; i++)
		table->widest[i] = words_width(columns[i].title);
	return table;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void table_add(struct table *table, const char *const *values)
{
	if (table->cell_room - table->cell_count < table->column_count) {
		size_t room = table->cell_room ? 2 * table->cell_room : 64 * TABLE_COLUMNS_MAX;

		table->cells = ctl_need(reallocarray(table->cells, room, sizeof *table->cells));
		table->cell_room = room;
	}
	for (size_t i = 0; i < table->column_count; i++) {
		char *cell = ctl_need(strdup(values[i] ? values[i] : "-"));
		int width = words_width(words_one_line(cell));

		table->cells[table->cell_count++] = cell;
		if (width > table->widest[i])
			table->widest[i] = width;
	}
}

static int total_width(const struct table *table, const struct layout *layout)
{
	int total = -layout->gap;

	for (size_t i = 0; i < table->column_count; i++)
		if (layout->widths[i] >= 0)
			total += layout->widths[i] + layout->gap;
	return total;
}

static void leave_out(const struct table *table, struct layout *layout, int width)
{
	for (size_t i = table->column_count; i-- > 0;)
		if ((table->columns[i].flags & COLUMN_OPTIONAL) &&
		    total_width(table, layout) > width)
			layout->widths[i] = -1;
}

/* Takes one column of the terminal after the other from the widest that may be cut. */
static void cut(const struct table *table, struct layout *layout, int width)
{
	while (total_width(table, layout) > width) {
		size_t widest = table->column_count;

		for (size_t i = 0; i < table->column_count; i++)
			if ((table->columns[i].flags & COLUMN_CUT) &&
			    layout->widths[i] > CUT_LEAST &&
			    (widest == table->column_count ||
			     layout->widths[i] > layout->widths[widest]))
				widest = i;
		if (widest == table->column_count)
			return;
		layout->widths[widest]--;
	}
}

static struct layout lay_out(const struct table *table, int width)
{
	struct layout layout = { .gap = 2 };

	memcpy(layout.widths, table->widest, sizeof layout.widths);
	if (width > 0 && total_width(table, &layout) > width) {
		leave_out(table, &layout, width);
		if (total_width(table, &layout) > width)
			layout.gap = 1;
		cut(table, &layout, width);
	}
	for (size_t i = 0; i < table->column_count; i++)
		if (layout.widths[i] >= 0)
			layout.last = i;
	return layout;
}

static void print_value(const struct table *table, const struct layout *layout, size_t column,
			const char *value, FILE *file)
{
	bool is_right = table->columns[column].flags & COLUMN_RIGHT;
	char *text = ctl_need(strdup(value));
	int blanks;

	words_cut_middle(text, layout->widths[column]);
	blanks = layout->widths[column] - words_width(text);
	if (is_right)
		(void)fprintf(file, "%*s%s", blanks, "", text);
	else
		(void)fprintf(file, "%s%*s", text, column == layout->last ? 0 : blanks, "");
	if (column != layout->last)
		(void)fprintf(file, "%*s", layout->gap, "");
	free(text);
}

static void print_row(const struct table *table, const struct layout *layout, char *const *values,
		      FILE *file)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (layout->widths[i] >= 0)
			print_value(table, layout, i, values ? values[i] : table->columns[i].title,
				    file);
	(void)fputc('\n', file);
}

void table_print(const struct table *table, FILE *file, int width)
{
	struct layout layout = lay_out(table, width);

	print_row(table, &layout, NULL, file); /* the titles */
	for (size_t row = 0; row < table->cell_count; row += table->column_count)
		print_row(table, &layout, table->cells + row, file);
}
