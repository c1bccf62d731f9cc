/*
 * The text format, put together by copying: printf would take most of a scrape's time.
 */
#include "exposition.h"

#include <string.h>

#define ESCAPED_MAX 1024 /* bytes, with the NUL */

static void append(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

void exposition_family(struct text *text, const char *name, const char *type, const char *help)
{
	TEXT_APPEND(text, "# HELP ");
	append(text, name);
	TEXT_APPEND(text, " ");
	append(text, help);
	TEXT_APPEND(text, "\n# TYPE ");
	append(text, name);
	TEXT_APPEND(text, " ");
	append(text, type);
	TEXT_APPEND(text, "\n");
}

/* A backslash before a backslash and a quote, and \n for a new line. */
static void escape(const char *value, char escaped[ESCAPED_MAX])
{
	size_t length = 0;

	for (; *value != '\0' && length + 2 < ESCAPED_MAX; value++) {
		if (strchr("\\\"\n", *value))
			escaped[length++] = '\\';
		escaped[length++] = *value;
		if (*value == '\n')
			escaped[length - 1] = 'n';
	}
	escaped[length] = '\0';
}

void exposition_label(struct text *text, const char *name, const char *value)
{
	char escaped[ESCAPED_MAX];

	escape(value, escaped);
	append(text, name);
	TEXT_APPEND(text, "=\"");
	text_append_utf8(text, escaped);
	TEXT_APPEND(text, "\"");
}

void exposition_begin(struct text *text, const char *name, const char *labels, size_t length)
{
	append(text, name);
	TEXT_APPEND(text, "{");
	text_append(text, labels, length);
}

void exposition_word(struct text *text, const char *name, const char *value)
{
	TEXT_APPEND(text, ",");
	append(text, name);
	TEXT_APPEND(text, "=\"");
	append(text, value);
	TEXT_APPEND(text, "\"");
}

void exposition_end(struct text *text, uint64_t number)
{
	TEXT_APPEND(text, "} ");
	text_append_number(text, number);
	TEXT_APPEND(text, "\n");
}

void exposition_end_seconds(struct text *text, int64_t us)
{
	TEXT_APPEND(text, "} ");
	text_append_seconds(text, us);
	TEXT_APPEND(text, "\n");
}

void exposition_plain(struct text *text, const char *name, uint64_t number)
{
	append(text, name);
	TEXT_APPEND(text, " ");
	text_append_number(text, number);
	TEXT_APPEND(text, "\n");
}

void exposition_plain_seconds(struct text *text, const char *name, int64_t us)
{
	append(text, name);
	TEXT_APPEND(text, " ");
	text_append_seconds(text, us);
	TEXT_APPEND(text, "\n");
}
