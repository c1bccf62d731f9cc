/*
 * The list of sessions in `top`: one column of it is one row of the table below. Widths depend on
 * the window and on the longest id alone, so that nothing moves sideways from round to round.
 */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "top.h"
#include "top_pen.h"
#include "words.h"

#define WIDE          120 /* columns of the window */
#define WIDEST        140
#define ID_LEAST      4
#define ADDRESS_LEAST 7
#define SOON_S        10.0

enum cell {
	CELL_ID,
	CELL_STATE,
	CELL_CLIENT,
	CELL_SERVER,
	CELL_AGE,
	CELL_IDLE,
	CELL_RATE,
	CELL_UP_RATE,
	CELL_DOWN_RATE,
	CELL_BYTES,
	CELL_UP,
	CELL_DOWN,
	CELL_ENDS_IN,
	CELL_DEADLINE,
	CELLS
};

/* What a value is read as. */
enum reading {
	READ_TEXT,
	READ_DURATION,
	READ_SIZE
};

#define NO_ORDER (-1)

/* A width of 0 shares what is left. A column is there in windows of `least` to `most` columns. Text
 * is flush left, all else and the id flush right. */
static const struct {
	const char *title;
	int width, least, most;
	int order; /* enum top_order that sorts by it */
	enum reading reading;
} cells[] = {
	[CELL_ID] = { "ID", 0, 0, INT_MAX, NO_ORDER, READ_TEXT },
	[CELL_STATE] = { "STATE", 11, 0, INT_MAX, NO_ORDER, READ_TEXT },
	[CELL_CLIENT] = { "CLIENT", 0, 0, INT_MAX, NO_ORDER, READ_TEXT },
	[CELL_SERVER] = { "SERVER", 0, 0, INT_MAX, NO_ORDER, READ_TEXT },
	[CELL_AGE] = { "AGE", 6, 0, INT_MAX, TOP_BY_AGE, READ_DURATION },
	[CELL_IDLE] = { "IDLE", 6, 0, INT_MAX, TOP_BY_IDLE, READ_DURATION },
	[CELL_RATE] = { "RATE", 4, 0, WIDE - 1, TOP_BY_RATE, READ_SIZE },
	[CELL_UP_RATE] = { "UP/s", 4, WIDE, INT_MAX, TOP_BY_RATE, READ_SIZE },
	[CELL_DOWN_RATE] = { "DOWN/s", 6, WIDE, INT_MAX, TOP_BY_RATE, READ_SIZE },
	[CELL_BYTES] = { "BYTES", 5, 0, WIDE - 1, TOP_BY_BYTES, READ_SIZE },
	[CELL_UP] = { "UP", 4, WIDE, INT_MAX, TOP_BY_BYTES, READ_SIZE },
	[CELL_DOWN] = { "DOWN", 4, WIDE, INT_MAX, TOP_BY_BYTES, READ_SIZE },
	[CELL_ENDS_IN] = { "ENDS IN", 7, 0, INT_MAX, TOP_BY_DEADLINE, READ_DURATION },
	[CELL_DEADLINE] = { "DEADLINE", 15, WIDEST, INT_MAX, NO_ORDER, READ_TEXT },
};
static_assert(sizeof cells / sizeof *cells == CELLS, "each cell has a column");

static bool is_there(int cell)
{
	return COLS >= cells[cell].least && COLS <= cells[cell].most;
}

static int id_width(const struct top *top)
{
	uint64_t most = 0;
	int width = 1;

	for (size_t i = 0; i < top->rows.count; i++)
		if (top->rows.rows[i].id > most)
			most = top->rows.rows[i].id;
	for (; most >= 10; most /= 10)
		width++;
	return width > ID_LEAST ? width : ID_LEAST;
}

static void lay_out(const struct top *top, int widths[CELLS])
{
	int left = COLS, sharing = 0;

	for (int cell = 0; cell < CELLS; cell++) {
		widths[cell] = cell == CELL_ID ? id_width(top) : cells[cell].width;
		if (!is_there(cell))
			continue;
		left -= widths[cell] + (cell > 0);
		sharing += widths[cell] == 0;
	}
	for (int cell = 0; cell < CELLS; cell++) {
		if (!is_there(cell) || widths[cell] > 0)
			continue;
		widths[cell] = left / sharing > ADDRESS_LEAST ? left / sharing : ADDRESS_LEAST;
		left -= widths[cell];
		sharing--;
	}
}

static double number_of(const struct top_row *row, int cell)
{
	switch (cell) {
	case CELL_AGE:
		return row->age_s;
	case CELL_IDLE:
		return row->idle_s;
	case CELL_ENDS_IN:
		return row->ends_in_s;
	case CELL_RATE:
		return row->rates[CLIENT] + row->rates[SERVER];
	case CELL_UP_RATE:
		return row->rates[CLIENT];
	case CELL_DOWN_RATE:
		return row->rates[SERVER];
	case CELL_BYTES:
		return (double)row->bytes[CLIENT] + (double)row->bytes[SERVER];
	case CELL_UP:
		return (double)row->bytes[CLIENT];
	default:
		return (double)row->bytes[SERVER];
	}
}

static const char *text_of(const struct top_row *row, int cell, char words[WORDS_MAX])
{
	switch (cell) {
	case CELL_ID:
		(void)snprintf(words, WORDS_MAX, "%" PRIu64, row->id);
		return words;
	case CELL_STATE:
		return row->state < STATES ? row_short_state(session_state_name(row->state)) : "?";
	case CELL_CLIENT:
		return row->client;
	case CELL_SERVER:
		return row->server;
	default:
		return row->deadline;
	}
}

static const char *value_of(const struct top_row *row, int cell, char words[WORDS_MAX])
{
	if (cells[cell].reading == READ_DURATION)
		return words_duration(number_of(row, cell), words);
	if (cells[cell].reading == READ_SIZE)
		return words_size(number_of(row, cell), words);
	return text_of(row, cell, words);
}

static attr_t attributes_of(const struct top_row *row, int cell)
{
	if (cell == CELL_STATE &&
	    (row->state == STATE_HALF_CLOSED_CLIENT || row->state == STATE_HALF_CLOSED_SERVER))
		return pen_color(PEN_HALF_CLOSED);
	if (cell == CELL_ENDS_IN && row->ends_in_s < SOON_S)
		return pen_color(PEN_TROUBLE);
	return A_NORMAL;
}

/* A value in its column. */
static void put_cell(struct pen *pen, int cell, int width, attr_t attributes, const char *value)
{
	bool is_left = cells[cell].reading == READ_TEXT && cell != CELL_ID;
	char text[PEN_TEXT_MAX];
	int blanks;

	(void)snprintf(text, sizeof text, "%s", value);
	blanks = width - words_width(words_cut_middle(text, width));
	if (is_left)
		pen_put(pen, attributes, "%s%*s", text, blanks, "");
	else
		pen_put(pen, attributes, "%*s%s", blanks, "", text);
}

static void draw_titles(const struct top *top, int line, const int widths[CELLS])
{
	struct pen pen = { line, 0 };

	for (int cell = 0; cell < CELLS; cell++) {
		bool is_order = cells[cell].order == (int)top->order;

		if (!is_there(cell))
			continue;
		if (cell > 0)
			pen_put(&pen, A_NORMAL, " ");
		put_cell(&pen, cell, widths[cell], is_order ? A_BOLD | A_UNDERLINE : A_BOLD,
			 cells[cell].title);
	}
}

static void draw_row(int line, const struct top_row *row, const int widths[CELLS], bool is_selected)
{
	struct pen pen = { line, 0 };

	for (int cell = 0; cell < CELLS; cell++) {
		char words[WORDS_MAX];

		if (!is_there(cell))
			continue;
		if (cell > 0)
			pen_put(&pen, is_selected ? A_REVERSE : A_NORMAL, " ");
		put_cell(&pen, cell, widths[cell],
			 is_selected ? A_REVERSE : attributes_of(row, cell),
			 value_of(row, cell, words));
	}
}

/* The selected row is always in sight, and no room is left below the last one for nothing. */
static void follow(struct top *top, size_t room)
{
	if (top->selected < top->first_row)
		top->first_row = top->selected;
	if (top->selected >= top->first_row + room)
		top->first_row = top->selected - room + 1;
	if (top->first_row + room > top->rows.count)
		top->first_row = top->rows.count > room ? top->rows.count - room : 0;
}

void top_list_draw(struct top *top, int line)
{
	size_t room = (size_t)top_screen_room(top);
	int widths[CELLS];

	follow(top, room);
	lay_out(top, widths);
	draw_titles(top, line, widths);
	for (size_t i = 0; i < room && top->first_row + i < top->rows.count; i++)
		draw_row(line + 1 + (int)i, &top->rows.rows[top->first_row + i], widths,
			 top->first_row + i == top->selected);
	if (top->rows.count == 0)
		pen_put_line(line + 1, A_NORMAL, "no session");
}
