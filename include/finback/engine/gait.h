#ifndef FINBACK_ENGINE_GAIT_H
#define FINBACK_ENGINE_GAIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How a flow goes: in messages, which are cheapest copied, or in bulk, which is cheapest spliced. A
 * flow starts with messages; what its reads bring changes that, and changes it back. Pure.
 */

/* Measured: from some 12 KiB a read on splicing costs less. What lies between the two bounds
 * changes nothing, so that a flow at the crossing does not waver. */
#define GAIT_BULK_BYTES    (16 * 1024)
#define GAIT_MESSAGE_BYTES (8 * 1024)

/* Zeroed: messages. */
struct gait {
	bool is_bulk : 1;
	bool is_doubted : 1; /* the last read was not like that; one more, and it is the other */
};

/* A read brought so many bytes. */
static inline void gait_note(struct gait *gait, uint32_t bytes)
{
	bool is_otherwise = gait->is_bulk ? bytes < GAIT_MESSAGE_BYTES : bytes >= GAIT_BULK_BYTES;
	bool is_changed = is_otherwise && gait->is_doubted;

	gait->is_bulk ^= is_changed;
	gait->is_doubted = is_otherwise && !is_changed;
}

#endif
