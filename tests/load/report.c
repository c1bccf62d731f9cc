/*
 * Results and errors. Every line on stdout leaves at once: whoever started the program waits for
 * "listening=" before it can put a relay in front.
 */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t errors;

void report_error(const char *format, ...)
{
	va_list arguments;

	if (++errors > REPORT_ERRORS_SHOWN)
		return;
	va_start(arguments, format);
	fputs("finback-load: error: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

uint64_t report_errors(void)
{
	return errors;
}

void report_count(const char *key, uint64_t value)
{
	printf("%s=%" PRIu64 "\n", key, value);
	fflush(stdout);
}

void report_text(const char *key, const char *value)
{
	printf("%s=%s\n", key, value);
	fflush(stdout);
}

void report_seconds(const char *key, int64_t value_us)
{
	printf("%s=%" PRId64 ".%06" PRId64 "\n", key, value_us / 1000000, value_us % 1000000);
	fflush(stdout);
}

void report_die(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("finback-load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(status);
}
