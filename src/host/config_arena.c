#include "config_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * A list of chunks, each filled from its start. What does not fit in the newest chunk gets a new
 * one; a large request gets a chunk of its own size, so that no size is refused for its own sake.
 */

#define CHUNK_BYTES 16384

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char bytes[];
};

static struct arena_chunk *chunk_create(struct arena *arena, size_t least)
{
	size_t size = least > CHUNK_BYTES ? least : CHUNK_BYTES;
	struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t align = alignof(max_align_t);
	size_t need;

	if (size != 0 && count > (SIZE_MAX / 2) / size)
		return NULL;
	need = (count * size + align - 1) / align * align;
	if (need == 0)
		need = align;
	if (chunk == NULL || chunk->size - chunk->used < need)
		chunk = chunk_create(arena, need);
	if (chunk == NULL)
		return NULL;
	chunk->used += need;
	return chunk->bytes + chunk->used - need;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1, 1);

	if (copy != NULL)
		memcpy(copy, text, length);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->chunks != NULL) {
		struct arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
}
