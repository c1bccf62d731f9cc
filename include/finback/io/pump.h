#ifndef FINBACK_IO_PUMP_H
#define FINBACK_IO_PUMP_H

#include <finback/engine/ring.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Carries one flow's bytes from a source to a sink through a buffer that all flows of a worker
 * share. What the sink does not take at once is kept in a ring of just that size, the flow's rest;
 * an idle flow holds nothing. It reports facts and decides nothing.
 */

/* Also the most that one read takes. A multiple of 64 KiB would leave a tiny segment behind on a
 * loopback with its usual MTU; 128 KiB stays in a core's cache. */
#define PUMP_BUFFER_BYTES (128 * 1024)

struct pump {
	unsigned char *pages;  /* the buffer, and PUMP_FILTER_ROOM bytes before it */
	unsigned char *buffer; /* in there */
	uint64_t rest_bytes;   /* allocated for rests now */
};

enum pump_source {
	PUMP_SOURCE_MORE,  /* it may have more */
	PUMP_SOURCE_EMPTY, /* it has no more now: an event will tell */
	PUMP_SOURCE_END,   /* a read of 0 */
	PUMP_SOURCE_ERROR  /* `source_error` */
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
	PUMP_THOROUGH = 1, /* a short read does not mean "empty", only EAGAIN does: there is an
			    * urgent mark, or a FIN or an error behind it */
	PUMP_END_KNOWN = 2 /* its FIN has come, so all before it can be read now */
};

/* Sees what was read before it goes on. It may take out of it, and put at most PUMP_FILTER_ROOM
 * bytes before it. */
struct pump_filter {
	/* Returns how many bytes, at *ret_at, go on. */
	size_t (*pass)(void *owner, unsigned char *bytes, size_t size, unsigned char **ret_at);
	void *owner;
};

#define PUMP_FILTER_ROOM 64

/* Returns 0 or -ENOMEM. */
int pump_init(struct pump *pump);
void pump_fini(struct pump *pump);

/* Reads once, at most `limit` bytes (not 0), and sends them on at once, through `filter` where it
 * is not NULL: `read` then says what it let go on. What does not go becomes *rest, which must be
 * NULL before. With PUMP_END_KNOWN the bytes of a short read wait in the kernel for what follows at
 * once, more bytes or sock_finish(), so that the last of them and the FIN share a segment. Where
 * there is no memory for a rest, sink_error is -ENOMEM and the bytes are lost: the session cannot
 * go on. */
void pump_carry(struct pump *pump, int source, int sink, size_t limit, unsigned hints,
		const struct pump_filter *filter, struct ring **rest,
		struct pump_report *ret_report);

/* Sends bytes that were not read here. What does not go becomes *rest, as above. */
void pump_put(struct pump *pump, int sink, const unsigned char *bytes, size_t size,
	      struct ring **rest, struct pump_report *ret_report);

/* Sends what is in *rest, and releases it when it is empty: *rest is NULL then. */
void pump_flush(struct pump *pump, int sink, struct ring **rest, struct pump_report *ret_report);

/* Reads once and throws away what came: `read` says how much. */
void pump_discard(struct pump *pump, int source, struct pump_report *ret_report);

/* Releases a rest with what is in it; *rest is NULL then. NULL is fine. */
void pump_drop(struct pump *pump, struct ring **rest);

#endif
