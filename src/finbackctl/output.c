/*
 * Standard output. A pipe whose reader has gone ends the program by SIGPIPE, as it does others of
 * its kind; where that is ignored, it is a failed write like a full disk.
 */
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"

/* Fraction and all of a second since the epoch still fits; what follows is noise of binary. */
#define JSON_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

int output_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

int output_wrap_width(void)
{
	int width = output_width();

	return width ? width : 80;
}

void output_json_value(const json_t *value)
{
	(void)json_dumpf(value, stdout, JSON_FLAGS); /* a failed write shows at the end */
}

static void print_elements(const json_t *array)
{
	size_t count = json_array_size(array);

	for (size_t i = 0; i < count; i++) {
		(void)fputs(i ? ",\n  " : "\n  ", stdout);
		output_json_value(json_array_get(array, i));
	}
	if (count > 0)
		(void)putchar('\n');
}

void output_json(json_t *object)
{
	const char *key, *comma = "\n";
	json_t *value;

	(void)putchar('{');
	json_object_foreach(object, key, value)
	{
		json_t *name = ctl_need(json_string(key));

		(void)fputs(comma, stdout);
		output_json_value(name);
		json_decref(name);
		(void)fputs(": ", stdout);
		if (json_is_array(value)) {
			(void)putchar('[');
			print_elements(value);
			(void)putchar(']');
		} else {
			output_json_value(value);
		}
		comma = ",\n";
	}
	(void)fputs("\n}\n", stdout);
}

int output_end(int status)
{
	bool has_failed = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !has_failed)
		return status;
	(void)fprintf(stderr, "finbackctl: writing to standard output failed: %s\n",
		      errno ? strerror(errno) : "some of it is lost");
	return status ? status : EX_IOERR;
}
