#ifndef FINBACK_SRC_HOST_CONFIG_REPORT_H
#define FINBACK_SRC_HOST_CONFIG_REPORT_H

#include <finback/host/config.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * All that is wrong with a configuration, collected as it is found and handed out in the order of
 * the file. A place is a line of the assembled text (see config_source.h); 0 stands for the file
 * as a whole.
 */

struct config_source;

struct config_problem {
	unsigned line;
	size_t order; /* when it was found: problems of one line stay in that order */
	bool is_warning;
	char *text;
};

struct config_report {
	struct config_problem *problems;
	size_t count;
	size_t capacity;
	size_t left_out; /* errors beyond what is kept */
	size_t error_count;
	bool is_out_of_memory;
};

/* Notes one problem. Control characters in it become '?', and a long one is cut. */
void report_add(struct config_report *report, unsigned line, bool is_warning, const char *format,
		...) __attribute__((format(printf, 4, 5)));
void report_vadd(struct config_report *report, unsigned line, bool is_warning, const char *format,
		 va_list arguments) __attribute__((format(printf, 4, 0)));

/* Writes "FILE:LINE" of a place. Returns `text`. */
char *report_place(const struct config_source *source, unsigned line, char *text, size_t size);
#define REPORT_PLACE_MAX 512

/* Puts the problems with their places into `ret`, which is the caller's to release even when this
 * fails. Returns 0 or -ENOMEM. */
int report_finish(struct config_report *report, const struct config_source *source,
		  struct config_problems *ret);

void report_fini(struct config_report *report);

#endif
