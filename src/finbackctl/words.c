/*
 * Values and text for people.
 *
 * What the daemon sends may hold anything that an operator once wrote into a configuration; nothing
 * reaches the terminal that has not gone through words_clean(). It never makes a text longer, so
 * that it works in place.
 */
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define DURATION_MAX (3650.0 * DAY)

char *words_none(char text[WORDS_MAX])
{
	(void)snprintf(text, WORDS_MAX, "-");
	return text;
}

char *words_duration(double seconds, char text[WORDS_MAX])
{
	long whole;

	if (!isfinite(seconds) || seconds < 0 || seconds > 1e12)
		return words_none(text);
	whole = (long)seconds;
	if (seconds < 10)
		(void)snprintf(text, WORDS_MAX, "%.1fs", floor(seconds * 10) / 10);
	else if (whole < MINUTE)
		(void)snprintf(text, WORDS_MAX, "%lds", whole);
	else if (whole < HOUR)
		(void)snprintf(text, WORDS_MAX, "%ldm%lds", whole / MINUTE, whole % MINUTE);
	else if (whole < DAY)
		(void)snprintf(text, WORDS_MAX, "%ldh%ldm", whole / HOUR, whole % HOUR / MINUTE);
	else if (whole < 100L * DAY)
		(void)snprintf(text, WORDS_MAX, "%ldd%ldh", whole / DAY, whole % DAY / HOUR);
	else
		(void)snprintf(text, WORDS_MAX, "%ldd", whole / DAY);
	return text;
}

char *words_size(double bytes, char text[WORDS_MAX])
{
	static const char units[] = "KMGTPE";
	int unit = -1;

	if (!isfinite(bytes) || bytes < 0)
		return words_none(text);
	while (bytes >= (unit < 0 ? 1000 : 999.5) && unit < (int)sizeof units - 2) {
		bytes /= 1024;
		unit++;
	}
	if (unit < 0)
		(void)snprintf(text, WORDS_MAX, "%.0f", floor(bytes));
	else
		(void)snprintf(text, WORDS_MAX, "%.*f%c", bytes < 9.95 ? 1 : 0, bytes, units[unit]);
	return text;
}

char *words_rate(double per_second, char text[WORDS_MAX])
{
	if (!isfinite(per_second) || per_second < 0)
		return words_none(text);
	(void)snprintf(text, WORDS_MAX, "%.*f", per_second > 0 && per_second < 9.95 ? 1 : 0,
		       per_second);
	return text;
}

char *words_time(const char *rfc3339, char text[WORDS_MAX])
{
	static const char shape[] = "0000-00-00T00:00:00";

	for (size_t i = 0; rfc3339 && i < sizeof shape - 1; i++)
		if (shape[i] == '0' ? !isdigit((unsigned char)rfc3339[i]) : rfc3339[i] != shape[i])
			rfc3339 = NULL;
	if (!rfc3339)
		return words_none(text);
	(void)snprintf(text, WORDS_MAX, "%.10s %.8s UTC", rfc3339, rfc3339 + 11);
	return text;
}

int words_parse_duration(const char *text, double *ret_seconds)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = { { "us", 0.000001 }, { "ms", 0.001 }, { "s", 1 },
		      { "m", MINUTE },    { "h", HOUR },   { "d", DAY } };
	double number = 0;
	size_t digits = strspn(text, "0123456789");

	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	if (digits > 0 && number == 0 && text[digits] == '\0') {
		*ret_seconds = 0;
		return 0;
	}
	for (size_t i = 0; digits > 0 && i < sizeof units / sizeof *units; i++) {
		if (strcmp(text + digits, units[i].name) != 0)
			continue;
		if (!(number * units[i].seconds <= DURATION_MAX))
			return -ERANGE;
		*ret_seconds = number * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

/* The next character of a text: its length in bytes, at least 1, and its columns; -1 for one that a
 * terminal must not get. */
static size_t next_character(const char *text, mbstate_t *state, int *ret_width)
{
	wchar_t wide;
	size_t length = mbrtowc(&wide, text, strlen(text), state);

	*ret_width = -1;
	if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
		memset(state, 0, sizeof *state);
		return 1;
	}
	if (iswprint((wint_t)wide) && wcwidth(wide) > 0)
		*ret_width = wcwidth(wide);
	return length;
}

char *words_clean(char *text)
{
	mbstate_t state = { 0 };
	char *to = text;

	for (const char *from = text; *from != '\0';) {
		int width;
		size_t length = next_character(from, &state, &width);

		if (width < 0)
			*to++ = '?';
		else
			for (size_t i = 0; i < length; i++)
				*to++ = from[i];
		from += length;
	}
	*to = '\0';
	return text;
}

char *words_one_line(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n' || *c == '\r' || *c == '\t')
			*c = ' ';
	return words_clean(text);
}

size_t words_fitting(const char *text, int width)
{
	mbstate_t state = { 0 };
	size_t at = 0;

	while (text[at] != '\0') {
		int columns;
		size_t length = next_character(text + at, &state, &columns);

		columns = columns < 0 ? 1 : columns;
		if (columns > width)
			break;
		width -= columns;
		at += length;
	}
	return at;
}

int words_width(const char *text)
{
	mbstate_t state = { 0 };
	int width = 0;

	while (*text != '\0') {
		int columns;

		text += next_character(text, &state, &columns);
		width += columns < 0 ? 1 : columns;
	}
	return width;
}

#define DOTS "\xe2\x80\xa6" /* one ellipsis */

static bool has_dots(void)
{
	mbstate_t state = { 0 };
	int width;

	return next_character(DOTS, &state, &width) == strlen(DOTS) && width == 1;
}

/* Where the last `width` columns of a text begin, or fewer where a character is in the way. */
static const char *tail_of(const char *text, int width)
{
	mbstate_t state = { 0 };
	int columns;

	while (words_width(text) > width)
		text += next_character(text, &state, &columns);
	return text;
}

char *words_cut_middle(char *text, int width)
{
	int head = width > 1 ? (width - 1) / 2 : 0;
	const char *tail, *mark;
	char *middle;

	if (words_width(text) <= width)
		return text;
	middle = text + words_fitting(text, head);
	if (width <= 0) {
		*middle = '\0';
		return text;
	}
	tail = tail_of(middle, width - 1 - head);
	/* The mark must not take more bytes than what it stands for: rather one character less. */
	while (has_dots() && (size_t)(tail - middle) < strlen(DOTS) && *tail != '\0')
		tail = tail_of(tail, words_width(tail) - 1);
	mark = has_dots() && (size_t)(tail - middle) >= strlen(DOTS) ? DOTS : "~";
	memmove(middle + strlen(mark), tail, strlen(tail) + 1);
	memcpy(middle, mark, strlen(mark));
	return text;
}

size_t words_line(const char *text, int width, size_t *ret_next)
{
	size_t length = words_fitting(text, width < 2 ? 2 : width);
	size_t end = length;

	if (text[length] != '\0') {
		while (end > 0 && text[end] != ' ')
			end--;
		if (end == 0) /* one word wider than the line */
			end = length;
	}
	*ret_next = end;
	while (text[*ret_next] == ' ')
		(*ret_next)++;
	return end;
}
