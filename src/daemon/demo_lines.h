#ifndef FINBACK_DAEMON_DEMO_LINES_H
#define FINBACK_DAEMON_DEMO_LINES_H

#include <stddef.h>

/* Returns a copy of `bytes`, which end in a newline, with the lines in order; the caller's to free.
 * `length` is 1 to UINT32_MAX. NULL when there is no memory. */
unsigned char *demo_sort_lines(unsigned char *bytes, size_t length);

#endif
