/*
 * A byte ring of fixed capacity, in storage of the caller's.
 *
 * Invariant: start < capacity (or both are 0) and used <= capacity; the bytes held are the `used`
 * ones from `start` on, going round at the end.
 *
 * A ring that runs empty starts again at the front, so that most of what passes through it is one
 * contiguous view and goes out in one call.
 */
#include <finback/engine/ring.h>

#include <assert.h>
#include <string.h>

struct ring *ring_init(void *storage, size_t capacity)
{
	struct ring *ring = storage;
	ring->capacity = capacity;
	ring->start = 0;
	ring->used = 0;
	return ring;
}

size_t ring_room(const struct ring *ring)
{
	return ring->capacity - ring->used;
}

/* The index `distance` after `start`. No remainder is taken: both are at most `capacity`. */
static size_t index_after_start(const struct ring *ring, size_t distance)
{
	size_t to_end = ring->capacity - ring->start;
	return distance < to_end ? ring->start + distance : distance - to_end;
}

/* The stretch of `length` bytes from index `from` on, cut in two where it goes round. */
static int views_of(struct ring *ring, size_t from, size_t length, struct ring_view views[2])
{
	size_t to_end = ring->capacity - from;
	if (length == 0)
		return 0;
	if (length <= to_end) {
		views[0] = (struct ring_view){ ring->bytes + from, length };
		return 1;
	}
	views[0] = (struct ring_view){ ring->bytes + from, to_end };
	views[1] = (struct ring_view){ ring->bytes, length - to_end };
	return 2;
}

int ring_filled(struct ring *ring, struct ring_view ret_views[2])
{
	return views_of(ring, ring->start, ring->used, ret_views);
}

int ring_free(struct ring *ring, struct ring_view ret_views[2])
{
	return views_of(ring, index_after_start(ring, ring->used), ring_room(ring), ret_views);
}

void ring_produced(struct ring *ring, size_t length)
{
	assert(length <= ring_room(ring));
	ring->used += length;
}

void ring_consumed(struct ring *ring, size_t length)
{
	assert(length <= ring->used);
	ring->used -= length;
	ring->start = ring->used == 0 ? 0 : index_after_start(ring, length);
}

void ring_put(struct ring *ring, const void *bytes, size_t length)
{
	const unsigned char *from = bytes;
	struct ring_view views[2];
	int count = ring_free(ring, views);
	size_t left = length;

	assert(length <= ring_room(ring));
	for (int i = 0; i < count && left > 0; i++) {
		size_t part = left < views[i].length ? left : views[i].length;
		memcpy(views[i].at, from, part);
		from += part;
		left -= part;
	}
	ring_produced(ring, length);
}
