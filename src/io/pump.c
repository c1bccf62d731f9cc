/*
 * One flow's bytes from socket to socket: recv(2) and send(2) through one shared buffer, and the
 * choice between this way and splice(2).
 *
 * Invariant: bytes leave in the order they came; while a rest is kept nothing else is read for that
 * flow, so a rest is never larger than one read, and never in memory and in a pipe at once.
 *
 * Surprising: a read that fills less than was asked for means "empty" to an edge-triggered reader
 * and saves a system call for each message; an urgent mark makes it mean nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pump_private.h"

/*
 * recv(2) and send(2) by their numbers: the C library's are points where a thread can be cancelled
 * (pthreads(7)), which no thread of finback's ever is, and pay four locked instructions for that in
 * each message.
 */
static ssize_t call_recv(int fd, void *buffer, size_t size, int flags)
{
	return syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
}

static ssize_t call_send(int fd, const void *bytes, size_t size, int flags)
{
	return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

#define PAGE_BYTES 4096
#define ROOM_BYTES PAGE_BYTES /* the buffer stays at the start of a page */
static_assert(PUMP_FILTER_ROOM <= ROOM_BYTES, "a filter has its room");

#define DICE_SEED 0x9e3779b9U /* any but 0 */

static const char *const way_names[] = {
	[PUMP_WAY_AUTO] = "auto",
	[PUMP_WAY_COPY] = "copy",
	[PUMP_WAY_SPLICE] = "splice",
	[PUMP_WAY_RANDOM] = "random",
};
static_assert(sizeof way_names / sizeof *way_names == PUMP_WAYS, "a name for each way");

const char *pump_way_name(enum pump_way way)
{
	return way_names[way];
}

int pump_init(struct pump *pump, unsigned pipes_max)
{
	*pump = (struct pump){
		.pages = aligned_alloc(PAGE_BYTES, ROOM_BYTES + PUMP_BUFFER_BYTES),
		.chance = DICE_SEED,
	};
	if (!pump->pages)
		return -ENOMEM;
	pump->buffer = pump->pages + ROOM_BYTES;
	pipes_init(&pump->pipes, pipes_max);
	return 0;
}

void pump_fini(struct pump *pump)
{
	pipes_fini(&pump->pipes);
	free(pump->pages);
	pump->pages = pump->buffer = NULL;
}

static ssize_t receive(int fd, void *buffer, size_t size)
{
	ssize_t length;

	do
		length = call_recv(fd, buffer, size, MSG_DONTWAIT);
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}

/* What a read that brought fewer bytes than were asked for says of the source. */
static enum pump_source after_short_read(unsigned hints)
{
	if (hints & PUMP_END_NEAR)
		return PUMP_SOURCE_END;
	return hints & PUMP_THOROUGH ? PUMP_SOURCE_MORE : PUMP_SOURCE_EMPTY;
}

static void read_once(struct pump *pump, int source, size_t size, unsigned hints,
		      struct pump_report *report)
{
	ssize_t length = receive(source, pump->buffer, size);

	if (length > 0) {
		report->read = (uint32_t)length;
		report->source = (size_t)length < size ? after_short_read(hints) : PUMP_SOURCE_MORE;
	} else if (length == 0) {
		report->source = PUMP_SOURCE_END;
	} else if (length == -EAGAIN) {
		report->source = PUMP_SOURCE_EMPTY;
	} else {
		report->source = PUMP_SOURCE_ERROR;
		report->source_error = (int)length;
	}
}

/* Sends the views in order, as much as the sink takes now. `more`: MSG_MORE or 0. */
static void send_views(int sink, struct iovec *views, int count, int more,
		       struct pump_report *report)
{
	struct msghdr message = { .msg_iov = views, .msg_iovlen = (size_t)count };
	ssize_t length;

	do
		length = count == 1 ? call_send(sink, views->iov_base, views->iov_len,
						MSG_DONTWAIT | MSG_NOSIGNAL | more)
				    : sendmsg(sink, &message, MSG_DONTWAIT | MSG_NOSIGNAL | more);
	while (length < 0 && errno == EINTR);
	if (length >= 0)
		report->wrote = (uint32_t)length;
	else if (errno != EAGAIN)
		report->sink_error = -errno;
}

static int keep_rest(struct pump *pump, const unsigned char *bytes, size_t size, struct rest **ret)
{
	struct rest *rest = malloc(sizeof *rest + RING_OVERHEAD + size);

	if (!rest)
		return -ENOMEM;
	*rest = (struct rest){ .ring = ring_init(rest + 1, size) };
	ring_put(rest->ring, bytes, size);
	pump->rest_bytes += size;
	*ret = rest;
	return 0;
}

/* Sends what it can, and keeps the rest. */
static void send_or_keep(struct pump *pump, struct pump_flow *flow, const unsigned char *bytes,
			 size_t size, int more, struct pump_report *report)
{
	struct iovec all = { (void *)(uintptr_t)bytes, size };

	send_views(flow->sink, &all, 1, more, report);
	report->is_sink_full = report->sink_error == 0 && report->wrote < size;
	if (report->is_sink_full)
		report->sink_error =
			keep_rest(pump, bytes + report->wrote, size - report->wrote, &flow->rest);
}

static void copy(struct pump *pump, struct pump_flow *flow, struct pump_report *report)
{
	const struct pump_filter *filter = flow->filter;
	size_t limit = flow->limit < PUMP_BUFFER_BYTES ? flow->limit : PUMP_BUFFER_BYTES;
	unsigned char *bytes = pump->buffer;
	bool is_last;

	read_once(pump, flow->source, limit, flow->hints, report);
	is_last = (flow->hints & PUMP_END_KNOWN) && report->read < limit;
	if (filter && report->read > 0)
		report->read = (uint32_t)filter->pass(filter->owner, bytes, report->read, &bytes);
	if (report->read > 0)
		send_or_keep(pump, flow, bytes, report->read, is_last ? MSG_MORE : 0, report);
}

/* xorshift: good enough for dice. */
static bool toss(struct pump *pump)
{
	pump->chance ^= pump->chance << 13;
	pump->chance ^= pump->chance >> 17;
	pump->chance ^= pump->chance << 5;
	return pump->chance & 1;
}

static bool is_to_splice(struct pump *pump, const struct pump_flow *flow)
{
	if (flow->filter || (flow->hints & PUMP_COPY))
		return false;
	switch (pump->way) {
	case PUMP_WAY_SPLICE:
		return true;
	case PUMP_WAY_RANDOM:
		return toss(pump);
	case PUMP_WAY_AUTO:
		return flow->gait->is_bulk;
	case PUMP_WAY_COPY:
	case PUMP_WAYS:
		break;
	}
	return false;
}

void pump_carry(struct pump *pump, struct pump_flow *flow, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	assert(!flow->rest && flow->limit > 0);
	if (!is_to_splice(pump, flow) || !pump_splice(pump, flow, &report))
		copy(pump, flow, &report);
	if (report.read > 0)
		gait_note(flow->gait, report.read);
	*ret_report = report;
}

void pump_put(struct pump *pump, struct pump_flow *flow, const unsigned char *bytes, size_t size,
	      struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	assert(!flow->rest && size > 0);
	send_or_keep(pump, flow, bytes, size, 0, &report);
	*ret_report = report;
}

static void flush_ring(struct pump *pump, struct pump_flow *flow, struct pump_report *report)
{
	struct ring *ring = flow->rest->ring;
	struct ring_view views[2];
	struct iovec vectors[2];
	int count = ring_filled(ring, views);

	for (int i = 0; i < count; i++)
		vectors[i] = (struct iovec){ views[i].at, views[i].length };
	send_views(flow->sink, vectors, count, 0, report);
	ring_consumed(ring, report->wrote);
	report->is_sink_full = report->sink_error == 0 && ring->used > 0;
	if (ring->used > 0)
		return;
	pump_drop(pump, flow->rest);
	flow->rest = NULL;
}

void pump_flush(struct pump *pump, struct pump_flow *flow, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	if (flow->rest->pipe)
		pump_splice_rest(pump, flow, &report);
	else
		flush_ring(pump, flow, &report);
	*ret_report = report;
}

void pump_discard(struct pump *pump, int source, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	read_once(pump, source, PUMP_BUFFER_BYTES, PUMP_THOROUGH, &report);
	*ret_report = report;
}

void pump_drop(struct pump *pump, struct rest *rest)
{
	if (!rest)
		return;
	if (rest->pipe)
		pipes_give(&pump->pipes, rest->pipe);
	else
		pump->rest_bytes -= rest->ring->capacity;
	free(rest);
}
