#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Text to values and back. Every number is read digit by digit with a limit, so that no length of
 * input overflows; what follows the digits must be exactly one unit.
 */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = {
	{ "us", 1 },
	{ "ms", INT64_C(1000) },
	{ "s", INT64_C(1000000) },
	{ "m", INT64_C(60) * 1000000 },
	{ "h", INT64_C(3600) * 1000000 },
	{ "d", INT64_C(86400) * 1000000 },
};

static const struct unit size_units[] = {
	{ "B", 1 },
	{ "KiB", INT64_C(1) << 10 },
	{ "MiB", INT64_C(1) << 20 },
	{ "GiB", INT64_C(1) << 30 },
};

#define UNITS(table) (sizeof(table) / sizeof((table)[0]))

/* Digits up to `max`; a larger number stays above it. Returns what follows them, NULL for none. */
static const char *parse_digits(const char *text, int64_t max, int64_t *ret_number)
{
	int64_t number = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++)
		if (number <= max)
			number = number * 10 + (*text - '0');
	*ret_number = number;
	return text;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t count, int64_t max,
			   int64_t *ret_value)
{
	int64_t number;
	const char *rest = parse_digits(text, max, &number);

	if (rest == NULL)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rest, units[i].name) != 0)
			continue;
		if (number > max / units[i].factor)
			return -ERANGE;
		*ret_value = number * units[i].factor;
		return 0;
	}
	return -EINVAL;
}

int config_parse_duration(const char *text, int64_t *ret_us)
{
	if (strcmp(text, "0") == 0) {
		*ret_us = 0;
		return 0;
	}
	return parse_with_unit(text, duration_units, UNITS(duration_units), CONFIG_DURATION_MAX_US,
			       ret_us);
}

int config_parse_size(const char *text, int64_t *ret_bytes)
{
	/* Plain bytes are an integer, not a string with a B. */
	return parse_with_unit(text, size_units + 1, UNITS(size_units) - 1, CONFIG_SIZE_MAX,
			       ret_bytes);
}

int config_parse_mode(const char *text, unsigned *ret_mode)
{
	unsigned mode = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '7' || mode > 0777)
			return -EINVAL;
		mode = mode * 8 + (unsigned)(*text - '0');
	}
	if (mode > 0777)
		return -EINVAL;
	*ret_mode = mode;
	return 0;
}

static char *format_with_unit(int64_t value, const struct unit *units, size_t count, char *text,
			      size_t size)
{
	size_t best = 0;

	for (size_t i = 1; i < count; i++)
		if (value >= units[i].factor && value % units[i].factor == 0)
			best = i;
	(void)snprintf(text, size, "%" PRId64 "%s", value / units[best].factor, units[best].name);
	return text;
}

char *config_format_duration(int64_t us, char *text, size_t size)
{
	if (us == 0)
		(void)snprintf(text, size, "0");
	else
		format_with_unit(us, duration_units, UNITS(duration_units), text, size);
	return text;
}

char *config_format_size(int64_t bytes, char *text, size_t size)
{
	return format_with_unit(bytes, size_units, UNITS(size_units), text, size);
}

bool config_is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > CONFIG_NAME_MAX)
		return false;
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
	       length;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

unsigned config_distance(const char *a, const char *b)
{
	/* Rows i - 2, i - 1 and i of the table, in turn. */
	unsigned rows[3][CONFIG_NAME_MAX + 1];
	size_t length_a = strnlen(a, CONFIG_NAME_MAX + 1);
	size_t length_b = strnlen(b, CONFIG_NAME_MAX + 1);

	if (length_a > CONFIG_NAME_MAX || length_b > CONFIG_NAME_MAX)
		return CONFIG_DISTANCE_FAR;
	for (size_t j = 0; j <= length_b; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= length_a; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= length_b; j++) {
			row[j] = least(above[j] + 1, row[j - 1] + 1,
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[length_a % 3][length_b];
}

bool config_is_near(const char *word, unsigned distance)
{
	size_t length = strlen(word);

	return distance <= (length <= 3 ? 1u : length <= 8 ? 2u : 3u);
}
