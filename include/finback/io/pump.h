#ifndef FINBACK_IO_PUMP_H
#define FINBACK_IO_PUMP_H

#include <finback/engine/gait.h>
#include <finback/io/pipes.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Carries one flow's bytes from a source to a sink: messages through a buffer that all flows of a
 * worker share, bulk through a pipe of its pool. What the sink does not take at once is the flow's
 * rest, kept in memory of just that size or in the pipe; an idle flow holds nothing. It reports
 * facts and decides nothing but the way.
 */

/* Also the most that one read takes. A multiple of 64 KiB would leave a tiny segment behind on a
 * loopback with its usual MTU; 128 KiB stays in a core's cache. */
#define PUMP_BUFFER_BYTES (128 * 1024)

/* Which way bytes go: as each flow's gait has it, or, for tests and for a kernel whose splice(2) is
 * not to be trusted, one way always, or either by chance. */
enum pump_way {
	PUMP_WAY_AUTO,
	PUMP_WAY_COPY,
	PUMP_WAY_SPLICE,
	PUMP_WAY_RANDOM,
	PUMP_WAYS
};

/* "auto", "copy", "splice", "random". */
const char *pump_way_name(enum pump_way way);

struct pump {
	unsigned char *pages;  /* the buffer, and PUMP_FILTER_ROOM bytes before it */
	unsigned char *buffer; /* in there */
	uint64_t rest_bytes;   /* of memory, allocated for rests now */
	struct pipes pipes;
	enum pump_way way;
	uint32_t chance; /* PUMP_WAY_RANDOM: the state of its dice */
};

/* What was read of a flow and has not gone on. */
struct rest;

enum pump_source {
	PUMP_SOURCE_MORE,  /* it may have more */
	PUMP_SOURCE_EMPTY, /* it has no more now: an event will tell */
	PUMP_SOURCE_END,   /* a read of 0, or one that PUMP_END_NEAR makes as good */
	PUMP_SOURCE_ERROR  /* `source_error`; what came before it may not all have been read */
};

struct pump_report {
	uint32_t read;  /* bytes that came from the source */
	uint32_t wrote; /* bytes that went to the sink */
	enum pump_source source;
	int source_error;  /* -errno of the read */
	int sink_error;    /* -errno of the write; 0: none */
	bool is_sink_full; /* the sink takes no more now: an event will tell */
};

/* What is known of the source before it is read, as bits. */
enum pump_hint {
	PUMP_THOROUGH = 1,  /* a short read does not mean "empty", only EAGAIN does: there is an
			     * urgent mark, or a FIN or an error behind it */
	PUMP_END_KNOWN = 2, /* its FIN has come, so all before it can be read now */
	PUMP_END_NEAR = 4,  /* and a short read reaches it: there is no mark to stop at */
	PUMP_COPY = 8       /* not by splice(2), which stops at an urgent mark for ever */
};

/* Sees what was read before it goes on. It may take out of it, and put at most PUMP_FILTER_ROOM
 * bytes before it. */
struct pump_filter {
	/* Returns how many bytes, at *ret_at, go on. */
	size_t (*pass)(void *owner, unsigned char *bytes, size_t size, unsigned char **ret_at);
	void *owner;
};

#define PUMP_FILTER_ROOM 64

/* One flow, as the pump is to carry it now. */
struct pump_flow {
	int source;
	int sink;
	size_t limit;                     /* bytes of memory that it may hold; not 0 */
	unsigned hints;                   /* bits of enum pump_hint */
	struct gait *gait;                /* how it has gone until now */
	const struct pump_filter *filter; /* NULL: none. With one, it is copied */
	struct rest *rest;                /* NULL: nothing is held */
};

/* At most `pipes_max` pipes. Returns 0 or -ENOMEM. */
int pump_init(struct pump *pump, unsigned pipes_max);

/* When no flow has a rest any more. */
void pump_fini(struct pump *pump);

/* Reads once and sends on at once, through the filter where there is one: `read` then says what it
 * let go on. Copied, that is at most `limit` bytes; spliced, what fits a pipe. What does not go
 * becomes the flow's rest, of which there must be none before. With PUMP_END_KNOWN the bytes of a
 * short read that is copied wait in the kernel for what follows at once, more bytes or
 * sock_finish(), so that the last of them and the FIN share a segment. Where there is no memory for
 * a rest, sink_error is -ENOMEM and the bytes are lost: the session cannot go on. */
void pump_carry(struct pump *pump, struct pump_flow *flow, struct pump_report *ret_report);

/* Sends bytes that were not read here. What does not go becomes the rest, as above. */
void pump_put(struct pump *pump, struct pump_flow *flow, const unsigned char *bytes, size_t size,
	      struct pump_report *ret_report);

/* Sends what is in the rest, and releases it when it is empty: it is NULL then. */
void pump_flush(struct pump *pump, struct pump_flow *flow, struct pump_report *ret_report);

/* Reads once and throws away what came: `read` says how much. */
void pump_discard(struct pump *pump, int source, struct pump_report *ret_report);

/* Releases a rest with what is in it. NULL is fine. */
void pump_drop(struct pump *pump, struct rest *rest);

#endif
