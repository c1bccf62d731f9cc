#include "config_scan.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config_report.h"
#include "config_source.h"

/*
 * One walk over the tokens. Invariant: whatever goes into the text is safe for libconfig 1.5, also
 * when the file was not. libconfig itself would read @includes of any size, take brackets nested
 * ten thousand deep, stop at a NUL as if the file ended there, wrap integers beyond 32 bits round,
 * and take a comment without a line's end for garbage.
 */

void config_scan_cut(struct scan *scan, unsigned line, const char *why)
{
	report_add(scan->report, line, false, "%s", why);
	scan->source->is_cut = true;
	scan->source->cut_line = scan->source->lines;
}

/* Puts `length` bytes into the text as they are. */
static void take(struct scan *scan, size_t length)
{
	for (size_t i = 0; i < length; i++)
		scan->line += scan->at[i] == '\n';
	if (scan->result == 0)
		scan->result = config_source_append(scan->source, scan->at, length);
	scan->at += length;
}

static void put(struct scan *scan, const char *text)
{
	if (scan->result == 0)
		scan->result = config_source_append(scan->source, text, strlen(text));
}

/* The byte `ahead` of this one, a NUL behind the end. */
static char peek(const struct scan *scan, size_t ahead)
{
	return ahead < (size_t)(scan->end - scan->at) ? scan->at[ahead] : '\0';
}

static size_t span_digits(const struct scan *scan, size_t from, bool is_hex)
{
	while (is_hex ? isxdigit((unsigned char)peek(scan, from))
		      : isdigit((unsigned char)peek(scan, from)))
		from++;
	return from;
}

/* libconfig 1.5 forgets to free a string that it did not expect. It expects one behind an = and in
 * what is no group; whatever else is wrong there, it finds before it reads the string. */
static bool is_string_expected(const struct scan *scan)
{
	const struct config_scan_totals *totals = scan->totals;
	char bracket =
		totals->open_brackets == 0 ? '{' : totals->brackets[totals->open_brackets - 1];

	if (scan->is_after_string || totals->last == '=' || totals->last == ':')
		return true;
	return bracket != '{' && (totals->last == bracket || totals->last == ',');
}

static void scan_string(struct scan *scan)
{
	size_t length = 1;

	if (!is_string_expected(scan)) {
		config_scan_cut(scan, scan->source->lines,
				"a string is not expected here; is a = , or ; missing before it?");
		return;
	}
	for (; peek(scan, length) != '"'; length++) {
		if (scan->at + length >= scan->end) {
			config_scan_cut(
				scan, scan->source->lines,
				"the string that begins here does not end; a \" is missing");
			return;
		}
		if (peek(scan, length) != '\\')
			continue;
		if (peek(scan, length + 1) == '\\' || peek(scan, length + 1) == '"')
			length++;
		else if ((peek(scan, length + 1) | 0x20) == 'x' && peek(scan, length + 2) == '0' &&
			 peek(scan, length + 3) == '0') {
			config_scan_cut(scan, scan->source->lines,
					"a string cannot hold a zero byte (\\x00)");
			return;
		}
	}
	if (!scan->is_after_string && scan->result == 0)
		scan->result = config_source_add_string(scan->source);
	scan->is_after_string = true;
	take(scan, length + 1);
}

static void scan_block_comment(struct scan *scan)
{
	const char *end = memmem(scan->at + 2, (size_t)(scan->end - scan->at) - 2, "*/", 2);

	if (end == NULL)
		config_scan_cut(scan, scan->source->lines,
				"the comment that begins here does not end; a */ is missing");
	else
		take(scan, (size_t)(end + 2 - scan->at));
}

static void scan_line_comment(struct scan *scan)
{
	const char *end = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));

	take(scan, (size_t)((end == NULL ? scan->end : end) - scan->at));
}

static void scan_name(struct scan *scan)
{
	size_t length = 1;

	while (isalnum((unsigned char)peek(scan, length)) ||
	       (peek(scan, length) != '\0' && strchr("*_-", peek(scan, length)) != NULL))
		length++;
	take(scan, length);
}

/* 0x..., which libconfig reads into 32 bits, and with an L into 64. */
static void scan_hex(struct scan *scan)
{
	size_t length = span_digits(scan, 2, true);
	size_t digits = length - 2;

	for (size_t i = 2; i < length - 1 && scan->at[i] == '0'; i++)
		digits--;
	if (digits < 8) {
		take(scan, length);
	} else if (digits < 16) {
		take(scan, length);
		if (peek(scan, 0) != 'L')
			put(scan, "L");
	} else {
		scan->at += length;
		put(scan, "0x7FFFFFFFFFFFFFFF");
		if (peek(scan, 0) != 'L')
			put(scan, "L");
	}
}

static bool is_exponent(const struct scan *scan)
{
	size_t sign = peek(scan, 1) == '-' || peek(scan, 1) == '+';

	return (peek(scan, 0) | 0x20) == 'e' && isdigit((unsigned char)peek(scan, 1 + sign));
}

/* An integer that needs 64 bits gets the L that says so; a fraction is left as it is. */
static void scan_number(struct scan *scan)
{
	size_t length = span_digits(scan, peek(scan, 0) == '-' || peek(scan, 0) == '+', false);
	long long value = strtoll(scan->at, NULL, 10);
	bool is_fraction = peek(scan, length) == '.';

	take(scan, length);
	if (is_fraction)
		take(scan, span_digits(scan, 1, false));
	else if (!is_exponent(scan) && peek(scan, 0) != 'L' && (value < INT_MIN || value > INT_MAX))
		put(scan, "L");
}

static bool is_include(const struct scan *scan)
{
	return scan->is_line_start && scan->end - scan->at > 9 &&
	       memcmp(scan->at, "@include", 8) == 0 && (scan->at[8] == ' ' || scan->at[8] == '\t');
}

/* @include "PATH", with \\ and \" in the path. Nothing of it goes into the text. */
static void scan_include(struct scan *scan)
{
	char path[PATH_MAX];
	size_t length = 0;
	size_t at = 9;

	while (is_include(scan) && (peek(scan, at) == ' ' || peek(scan, at) == '\t'))
		at++;
	if (!is_include(scan) || peek(scan, at) != '"') {
		config_scan_cut(scan, scan->source->lines,
				"@: unexpected; it may only begin a line: @include \"FILE\"");
		return;
	}
	for (at++; peek(scan, at) != '"'; at++) {
		if (peek(scan, at) == '\\' &&
		    (peek(scan, at + 1) == '\\' || peek(scan, at + 1) == '"'))
			at++;
		if (iscntrl((unsigned char)peek(scan, at)) || length == sizeof(path) - 1) {
			config_scan_cut(scan, scan->source->lines,
					"@include: the file's name does not end, or is too long");
			return;
		}
		path[length++] = peek(scan, at);
	}
	path[length] = '\0';
	scan->at += at + 1;
	if (scan->result == 0)
		scan->result = config_scan_include(scan, path, scan->source->lines);
	if (scan->result == 0)
		scan->result = config_source_add_stretch(scan->source, scan->file, scan->line);
}

/* Brackets, separators, blanks and what is none of libconfig's. */
static void scan_mark(struct scan *scan)
{
	char mark = *scan->at;

	if (mark == '(' || mark == '[' || mark == '{')
		scan->totals->brackets[scan->totals->open_brackets++] = mark;
	else if ((mark == ')' || mark == ']' || mark == '}') && scan->totals->open_brackets > 0)
		--scan->totals->open_brackets;
	else if (mark == '=' || mark == ':')
		++scan->totals->settings;
	if (scan->totals->open_brackets > CONFIG_NESTING_MAX)
		config_scan_cut(scan, scan->source->lines,
				"more than 32 brackets are open at once");
	else if (scan->totals->settings > CONFIG_SETTINGS_MAX)
		config_scan_cut(scan, scan->source->lines, "more than 65536 settings");
	else
		take(scan, 1);
}

static void scan_token(struct scan *scan)
{
	char c = *scan->at;
	bool is_blank = isspace((unsigned char)c);
	bool is_comment = c == '#' || (c == '/' && (peek(scan, 1) == '/' || peek(scan, 1) == '*'));

	if (!is_blank && !is_comment && c != '"' && c != '@')
		scan->is_after_string = false;
	if (c == '"')
		scan_string(scan);
	else if (is_comment && peek(scan, 1) == '*' && c == '/')
		scan_block_comment(scan);
	else if (is_comment)
		scan_line_comment(scan);
	else if (c == '@')
		scan_include(scan);
	else if (isalpha((unsigned char)c) || c == '*')
		scan_name(scan);
	else if (c == '0' && (peek(scan, 1) | 0x20) == 'x' &&
		 isxdigit((unsigned char)peek(scan, 2)))
		scan_hex(scan);
	else if (isdigit((unsigned char)c) ||
		 ((c == '-' || c == '+') && isdigit((unsigned char)peek(scan, 1))))
		scan_number(scan);
	else if (c == '.')
		take(scan, span_digits(scan, 1, false));
	else
		scan_mark(scan);
	if (!is_blank && !is_comment && c != '@')
		scan->totals->last = c;
	scan->is_line_start = c == '\n' || (scan->is_line_start && (c == ' ' || c == '\t'));
}

/* Walks one file's bytes, a NUL behind them. They are followed by a line's end even where the file
 * has none: an include's last line must not run into what follows it. */
void config_scan(struct scan *scan, const char *bytes, size_t length)
{
	const char *zero = memchr(bytes, '\0', length);

	scan->file = scan->source->file_count - 1;
	scan->line = 1;
	scan->at = bytes;
	scan->end = zero == NULL ? bytes + length : zero;
	scan->is_line_start = true;
	scan->result = config_source_add_stretch(scan->source, scan->file, 1);
	while (scan->at < scan->end && scan->result == 0 && !scan->source->is_cut)
		scan_token(scan);
	if (zero != NULL && !scan->source->is_cut)
		config_scan_cut(scan, scan->source->lines, "a zero byte; this is no text file");
	put(scan, "\n");
}
