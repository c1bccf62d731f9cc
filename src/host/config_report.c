#include "config_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_source.h"

/*
 * Problems are kept without their place and get it at the end, when the whole text and with it the
 * map of its lines is known. A file can be wrong in more ways than anyone reads: some hundreds are
 * kept, the rest is counted.
 */

#define PROBLEMS_KEPT    (8 * CONFIG_PROBLEMS_MAX)
#define PROBLEM_TEXT_MAX 1024

static bool has_room(struct config_report *report)
{
	struct config_problem *grown;
	size_t capacity = report->capacity == 0 ? 16 : report->capacity * 2;

	if (report->count < report->capacity)
		return true;
	grown = realloc(report->problems, capacity * sizeof(*grown));
	if (grown == NULL)
		return false;
	report->problems = grown;
	report->capacity = capacity;
	return true;
}

void report_vadd(struct config_report *report, unsigned line, bool is_warning, const char *format,
		 va_list arguments)
{
	char text[PROBLEM_TEXT_MAX];
	char *copy;

	report->error_count += !is_warning;
	if (report->count == PROBLEMS_KEPT) {
		report->left_out += !is_warning;
		return;
	}
	(void)vsnprintf(text, sizeof(text), format, arguments);
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	copy = strdup(text);
	if (copy == NULL || !has_room(report)) {
		free(copy);
		report->is_out_of_memory = true;
		return;
	}
	report->problems[report->count] = (struct config_problem){
		.line = line, .order = report->count, .is_warning = is_warning, .text = copy
	};
	report->count++;
}

void report_add(struct config_report *report, unsigned line, bool is_warning, const char *format,
		...)
{
	va_list arguments;

	va_start(arguments, format);
	report_vadd(report, line, is_warning, format, arguments);
	va_end(arguments);
}

char *report_place(const struct config_source *source, unsigned line, char *text, size_t size)
{
	struct config_place place = config_source_place(source, line);

	if (place.line == 0)
		(void)snprintf(text, size, "%s", place.file);
	else
		(void)snprintf(text, size, "%s:%u", place.file, place.line);
	return text;
}

static int by_place(const void *a, const void *b)
{
	const struct config_problem *one = a;
	const struct config_problem *two = b;

	if (one->line != two->line)
		return one->line < two->line ? -1 : 1;
	return one->order < two->order ? -1 : one->order > two->order;
}

static int list_add(char **list, size_t *count, char *line)
{
	if (line == NULL)
		return -ENOMEM;
	list[(*count)++] = line;
	return 0;
}

static char *line_of(const struct config_problem *problem, const struct config_source *source)
{
	struct config_place place = config_source_place(source, problem->line);
	char *line = NULL;
	int length;

	if (place.line == 0)
		length = asprintf(&line, "%s: %s", place.file, problem->text);
	else
		length = asprintf(&line, "%s:%u: %s", place.file, place.line, problem->text);
	return length < 0 ? NULL : line;
}

static char *line_of_rest(size_t rest, bool is_warning)
{
	char *line = NULL;

	return asprintf(&line, "and %zu more %s", rest, is_warning ? "warnings" : "errors") < 0
		       ? NULL
		       : line;
}

/* The last line that fits says how many more there are. */
static int list_problems(const struct config_report *report, const struct config_source *source,
			 bool is_warning, char **list, size_t *count)
{
	size_t rest = is_warning ? 0 : report->left_out;
	int result = 0;

	for (size_t i = 0; i < report->count; i++)
		rest += report->problems[i].is_warning == is_warning;
	for (size_t i = 0; i < report->count && result == 0; i++) {
		if (report->problems[i].is_warning != is_warning)
			continue;
		if (*count == CONFIG_PROBLEMS_MAX - 1 && rest > 1)
			return list_add(list, count, line_of_rest(rest, is_warning));
		result = list_add(list, count, line_of(&report->problems[i], source));
		rest--;
	}
	if (result == 0 && rest > 0)
		result = list_add(list, count, line_of_rest(rest, is_warning));
	return result;
}

int report_finish(struct config_report *report, const struct config_source *source,
		  struct config_problems *ret)
{
	int result;

	ret->errors = calloc(CONFIG_PROBLEMS_MAX, sizeof(*ret->errors));
	ret->warnings = calloc(CONFIG_PROBLEMS_MAX, sizeof(*ret->warnings));
	if (ret->errors == NULL || ret->warnings == NULL || report->is_out_of_memory)
		return -ENOMEM;
	if (report->count > 0)
		qsort(report->problems, report->count, sizeof(*report->problems), by_place);
	result = list_problems(report, source, false, ret->errors, &ret->error_count);
	if (result == 0)
		result = list_problems(report, source, true, ret->warnings, &ret->warning_count);
	return result;
}

void report_fini(struct config_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->problems[i].text);
	free(report->problems);
	*report = (struct config_report){ 0 };
}
