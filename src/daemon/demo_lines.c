/*
 * The demo backend's work: lines in order, as sort(1) has them in the C locale.
 *
 * Invariant: what comes out is a permutation of the lines that went in; no byte means anything but
 * the newline, a NUL neither.
 *
 * The surprise: the index may be four times as large as the input, for an input of empty lines. It
 * lives only as long as one call, so that with one thread it is there once.
 */
#include "demo_lines.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* Compares two lines that both end in a newline, which counts as less than any byte: so a line
 * that is the beginning of another comes first. */
static int compare_lines(const void *a, const void *b, void *bytes)
{
	const unsigned char *base = bytes;
	const unsigned char *line_a = base + *(const uint32_t *)a;
	const unsigned char *line_b = base + *(const uint32_t *)b;

	while (*line_a == *line_b && *line_a != '\n') {
		line_a++;
		line_b++;
	}
	if (*line_a == *line_b)
		return 0;
	if (*line_a == '\n' || *line_b == '\n')
		return *line_a == '\n' ? -1 : 1;
	return *line_a < *line_b ? -1 : 1;
}

/* The last byte ends a line; so does each newline before it. */
static size_t count_lines(const unsigned char *bytes, size_t length)
{
	size_t lines = 1;
	for (size_t i = 0; i + 1 < length; i++)
		lines += bytes[i] == '\n';
	return lines;
}

/* Where each line starts. 32 bits do, and keep the index of 64 Mi empty lines within reason. */
static void find_lines(const unsigned char *bytes, size_t length, uint32_t *starts)
{
	size_t line = 0;
	for (size_t i = 0; i < length; i++)
		if (i == 0 || bytes[i - 1] == '\n')
			starts[line++] = (uint32_t)i;
}

static void copy_lines(unsigned char *to, unsigned char *bytes, const uint32_t *starts,
		       size_t lines)
{
	for (size_t i = 0; i < lines; i++) {
		const unsigned char *from = bytes + starts[i];
		do {
			*to++ = *from;
		} while (*from++ != '\n');
	}
}

unsigned char *demo_sort_lines(unsigned char *bytes, size_t length)
{
	assert(length > 0 && length <= UINT32_MAX && bytes[length - 1] == '\n');
	size_t lines = count_lines(bytes, length);
	uint32_t *starts = calloc(lines, sizeof(*starts));
	unsigned char *sorted = malloc(length);

	if (starts != NULL && sorted != NULL) {
		find_lines(bytes, length, starts);
		qsort_r(starts, lines, sizeof(*starts), compare_lines, bytes);
		copy_lines(sorted, bytes, starts, lines);
	} else {
		free(sorted);
		sorted = NULL;
	}
	free(starts);
	return sorted;
}
