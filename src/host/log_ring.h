#ifndef FINBACK_SRC_HOST_LOG_RING_H
#define FINBACK_SRC_HOST_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A ring of packed entries, each in one piece. The sizes of the ring and of all entries are
 * multiples of LOG_RING_UNIT; an entry begins with its size as an uint32_t, which is not 0.
 */

#define LOG_RING_UNIT 8

struct log_ring {
	char *bytes;
	size_t size;
	size_t head; /* where the next entry goes */
	size_t tail; /* where the oldest is */
	size_t used; /* bytes from tail to head */
};

/* How far a reader has come since the tail: it begins with .at = ring->tail, all else 0. */
struct log_cursor {
	size_t at;
	size_t bytes;
	uint64_t entries;
};

/* Copies an entry behind the others. Returns false where there is no room. */
bool log_ring_append(struct log_ring *ring, const char *packed, size_t size);

/* The entry at the cursor, which steps behind it: there must be one, cursor->bytes < ring->used.
 * Others may append meanwhile. */
const char *log_ring_next(const struct log_ring *ring, struct log_cursor *cursor);

/* Gives the room of all that the cursor has gone over back. An empty ring begins at its start
 * again, so that few pages are in use. */
void log_ring_release(struct log_ring *ring, const struct log_cursor *cursor);

#endif
