/*
 * The pen keeps a column of its own, because ncurses' cursor is on the next line when one is full.
 */
#include "top_pen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "words.h"

void pen_set_up_colors(void)
{
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && *no_color) || !has_colors() || start_color() == ERR)
		return;
	if (use_default_colors() == ERR)
		return;
	(void)init_pair(PEN_TROUBLE, COLOR_RED, -1);
	(void)init_pair(PEN_HALF_CLOSED, COLOR_YELLOW, -1);
}

attr_t pen_color(enum pen_color color)
{
	return COLOR_PAIRS > (int)color ? COLOR_PAIR(color) : A_NORMAL;
}

static void put(struct pen *pen, attr_t attributes, const char *text)
{
	int width = words_width(text);

	if (pen->column + width > COLS)
		return;
	(void)attrset(attributes);
	(void)mvaddstr(pen->line, pen->column, text); /* ERR in the last corner, and drawn */
	(void)attrset(A_NORMAL);
	pen->column += width;
}

void pen_put(struct pen *pen, attr_t attributes, const char *format, ...)
{
	char text[PEN_TEXT_MAX];
	va_list values;

	va_start(values, format);
	(void)vsnprintf(text, sizeof text, format, values);
	va_end(values);
	put(pen, attributes, words_clean(text));
}

void pen_put_line(int line, attr_t attributes, const char *format, ...)
{
	struct pen pen = { line, 0 };
	char text[PEN_TEXT_MAX];
	va_list values;

	va_start(values, format);
	(void)vsnprintf(text, sizeof text, format, values);
	va_end(values);
	text[words_fitting(words_clean(text), COLS)] = '\0';
	put(&pen, attributes, text);
}
