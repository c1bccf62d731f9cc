/*
 * Lines of text.
 */
#include "lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "words.h"

static void keep(struct lines *lines, char *text)
{
	if (lines->count == lines->room) {
		lines->room = lines->room ? 2 * lines->room : 32;
		lines->texts =
			ctl_need(reallocarray(lines->texts, lines->room, sizeof *lines->texts));
	}
	lines->texts[lines->count++] = text;
}

void lines_add(struct lines *lines, const char *format, ...)
{
	char text[LINES_TEXT_MAX];
	va_list values;

	va_start(values, format);
	(void)vsnprintf(text, sizeof text, format, values);
	va_end(values);
	keep(lines, ctl_need(strdup(words_one_line(text))));
}

void lines_wrap(struct lines *lines, int width, int indent, const char *text)
{
	char *whole = words_one_line(ctl_need(strdup(text)));
	const char *rest = whole;
	int blanks = 0;

	do {
		size_t next;
		size_t length = words_line(rest, width - blanks, &next);

		lines_add(lines, "%*s%.*s", blanks, "", (int)length, rest);
		rest += next;
		blanks = indent;
	} while (*rest != '\0');
	free(whole);
}

void lines_label(struct lines *lines, int width, int label_width, const char *label,
		 const char *text)
{
	char *whole;

	if (asprintf(&whole, "%-*s%s", label_width, label, text) < 0)
		whole = ctl_need(NULL);
	lines_wrap(lines, width, label_width, whole);
	free(whole);
}

void lines_print(const struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		(void)puts(lines->texts[i]);
}

void lines_fini(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->texts[i]);
	free(lines->texts);
	*lines = (struct lines){ 0 };
}
