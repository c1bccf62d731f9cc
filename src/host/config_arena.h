#ifndef FINBACK_SRC_HOST_CONFIG_ARENA_H
#define FINBACK_SRC_HOST_CONFIG_ARENA_H

#include <stddef.h>

/*
 * Memory that is given back all at once: one configuration lives in one arena. Not thread-safe;
 * nothing in it is freed alone.
 */

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed memory for any type, or NULL when there is none left. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy of the first `length` bytes of `text`, ended with a NUL; NULL when there is no memory. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

/* Releases all of it. The arena is empty afterwards and may be used again. */
void arena_fini(struct arena *arena);

#endif
