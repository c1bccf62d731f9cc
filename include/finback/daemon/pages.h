#ifndef FINBACK_DAEMON_PAGES_H
#define FINBACK_DAEMON_PAGES_H

#include <stddef.h>

/*
 * Memory by the page, straight from the kernel (mmap(2)): zeroed, not there before it is written
 * to, and what grows leaves nothing behind, as the kernel moves pages and copies none. For what is
 * as large as there are sessions.
 */

/* NULL: no memory. */
void *pages_map(size_t size);

/* Gives back whole pages of what was mapped. A size of 0 is fine. */
void pages_unmap(void *at, size_t size);

/* Makes `from` bytes at `at` (NULL and 0: nothing yet) as many as `to`, which is not 0. Returns
 * where they are now; NULL: no memory, and nothing has changed. */
void *pages_resize(void *at, size_t from, size_t to);

#endif
