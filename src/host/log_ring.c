/*
 * Entries in a ring.
 *
 * Invariant: what lies between tail and head is not touched until it is released, so a reader needs
 * nothing but its cursor.
 *
 * The surprising thing: an entry that does not fit before the end of the ring goes to its start.
 * The rest before the end counts as used, and begins with a size of 0 as a mark.
 */
#include "log_ring.h"

#include <string.h>

static uint32_t size_at(const struct log_ring *ring, size_t at)
{
	uint32_t size;

	memcpy(&size, ring->bytes + at, sizeof(size));
	return size;
}

bool log_ring_append(struct log_ring *ring, const char *packed, size_t size)
{
	size_t to_end = ring->size - ring->head;
	size_t skipped = size > to_end ? to_end : 0;

	if (ring->used + skipped + size > ring->size)
		return false;
	if (skipped > 0) {
		memset(ring->bytes + ring->head, 0, sizeof(uint32_t));
		ring->head = 0;
	}
	memcpy(ring->bytes + ring->head, packed, size);
	ring->head = (ring->head + size) % ring->size;
	ring->used += skipped + size;
	return true;
}

const char *log_ring_next(const struct log_ring *ring, struct log_cursor *cursor)
{
	const char *entry;
	uint32_t size = size_at(ring, cursor->at);

	if (size == 0) {
		cursor->bytes += ring->size - cursor->at;
		cursor->at = 0;
		size = size_at(ring, 0);
	}
	entry = ring->bytes + cursor->at;
	cursor->at = (cursor->at + size) % ring->size;
	cursor->bytes += size;
	cursor->entries++;
	return entry;
}

void log_ring_release(struct log_ring *ring, const struct log_cursor *cursor)
{
	ring->tail = cursor->at;
	ring->used -= cursor->bytes;
	if (ring->used == 0)
		ring->head = ring->tail = 0;
}
