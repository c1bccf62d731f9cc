#ifndef FINBACK_ENGINE_RING_H
#define FINBACK_ENGINE_RING_H

#include <stddef.h>

/*
 * A byte ring of fixed capacity, for bytes that were read and could not be passed on yet. First in,
 * first out. It lives in storage of the caller's, RING_OVERHEAD bytes larger than its capacity, so
 * that the engine never allocates. What is in it can be seen as one or two contiguous views; a view
 * is good until the next call that puts, produces or consumes.
 */

struct ring {
	size_t capacity;
	size_t start; /* index of the oldest byte */
	size_t used;
	unsigned char bytes[];
};

#define RING_OVERHEAD sizeof(struct ring)

/* One contiguous stretch of a ring. */
struct ring_view {
	unsigned char *at;
	size_t length;
};

/* Makes an empty ring of `capacity` bytes in `storage`, which is aligned for a size_t and holds
 * RING_OVERHEAD + capacity bytes. Nothing is to be released: the storage is the caller's. */
struct ring *ring_init(void *storage, size_t capacity);

/* Bytes that fit in. */
size_t ring_room(const struct ring *ring);

/* Appends `length` bytes; at most ring_room() of them may be given. */
void ring_put(struct ring *ring, const void *bytes, size_t length);

/* The bytes held, oldest first, as up to two views. Returns how many views there are: 0 to 2. */
int ring_filled(struct ring *ring, struct ring_view ret_views[2]);

/* The free space in the order it will be filled, as up to two views. Returns how many. What is
 * written there counts once ring_produced() says so. */
int ring_free(struct ring *ring, struct ring_view ret_views[2]);

/* `length` bytes were written into the views of ring_free(). At most ring_room(). */
void ring_produced(struct ring *ring, size_t length);

/* Drops the `length` oldest bytes: they went on. At most `used`. */
void ring_consumed(struct ring *ring, size_t length);

#endif
