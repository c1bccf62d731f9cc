#ifndef FINBACK_IO_PUMP_PRIVATE_H
#define FINBACK_IO_PUMP_PRIVATE_H

#include <finback/engine/ring.h>
#include <finback/io/pump.h>

/*
 * What the two ways share: pump.c copies, pump_splice.c splices.
 */

struct rest {
	struct pipe *pipe; /* NULL: in the ring, which shares its allocation */
	struct ring *ring;
};

/* pump_splice.c */

/* As pump_carry(), through a pipe. Returns false where a copy has to be made instead, also to find
 * out what a read of 0 means; then nothing has moved. */
bool pump_splice(struct pump *pump, struct pump_flow *flow, struct pump_report *report);

/* Sends what is in the pipe of the flow's rest. */
void pump_splice_rest(struct pump *pump, struct pump_flow *flow, struct pump_report *report);

#endif
