#ifndef FINBACK_DAEMON_SLABS_H
#define FINBACK_DAEMON_SLABS_H

#include <stddef.h>

/*
 * Many records of one size, in slabs of SLAB_BYTES that are the kernel's own memory: a record has
 * no header, and a slab without one goes back to the kernel, wherever it lies. Not for several
 * threads.
 */

#define SLAB_BYTES ((size_t)64 * 1024)

struct slab;

struct slabs {
	size_t record_bytes;
	struct slab *open;  /* those with room, of which the first is taken from */
	struct slab *spare; /* one without a record, or NULL */
	size_t count;       /* slabs there are */
};

/* For records of that size, at most a few KiB. Takes no memory yet. */
void slabs_init(struct slabs *slabs, size_t record_bytes);

/* When no record is left. */
void slabs_fini(struct slabs *slabs);

/* A record, all zero, aligned like a pointer. NULL: no memory. */
void *slabs_take(struct slabs *slabs);

/* Gives one back; NULL is fine. */
void slabs_give(struct slabs *slabs, void *record);

#endif
