#ifndef FINBACK_SRC_FINBACKCTL_TOP_PEN_H
#define FINBACK_SRC_FINBACKCTL_TOP_PEN_H

#include <ncurses.h>

/*
 * Writing into the window of `top`, piece by piece along a line, never beyond its edge. What is
 * written is cleaned for the terminal.
 */

#define PEN_TEXT_MAX 512

struct pen {
	int line, column;
};

enum pen_color {
	PEN_TROUBLE = 1, /* what ends soon, or went wrong */
	PEN_HALF_CLOSED
};

/* Makes the colours, unless NO_COLOR forbids or the terminal has none. Colour only repeats what the
 * text says. */
void pen_set_up_colors(void);

/* The attributes of a colour; those of plain text where there are none. */
attr_t pen_color(enum pen_color color);

/* Writes on where the pen is. What does not fit whole is left out. */
void pen_put(struct pen *pen, attr_t attributes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes a line of its own, cut off at the edge. */
void pen_put_line(int line, attr_t attributes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
