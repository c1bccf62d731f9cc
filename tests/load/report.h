#ifndef FINBACK_LOAD_REPORT_H
#define FINBACK_LOAD_REPORT_H

#include <stdint.h>

/*
 * What a run found: results as key=value lines on stdout, each flushed at once so that a script can
 * wait for one; the first REPORT_ERRORS_SHOWN errors in words on stderr, the rest counted.
 */

#define REPORT_ERRORS_SHOWN 20

void report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t report_errors(void);

void report_count(const char *key, uint64_t value);
void report_text(const char *key, const char *value);
void report_seconds(const char *key, int64_t value_us);

/* The run cannot go on: says why and exits with EXIT_USAGE or EXIT_FAILURE. */
#define EXIT_USAGE 64
void report_die(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#endif
