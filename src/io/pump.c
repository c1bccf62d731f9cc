/*
 * recv(2) and send(2) through one shared buffer.
 *
 * Invariant: bytes leave in the order they came; while a rest is kept nothing else is read for that
 * flow, so a rest is never larger than one read.
 *
 * Surprising: a read that fills less than was asked for means "empty" to an edge-triggered reader
 * and saves a system call for each message; an urgent mark makes it mean nothing.
 */
#include <finback/io/pump.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PAGE_BYTES 4096
#define ROOM_BYTES PAGE_BYTES /* the buffer stays at the start of a page */
static_assert(PUMP_FILTER_ROOM <= ROOM_BYTES, "a filter has its room");

int pump_init(struct pump *pump)
{
	*pump = (struct pump){ .pages = aligned_alloc(PAGE_BYTES, ROOM_BYTES + PUMP_BUFFER_BYTES) };
	if (!pump->pages)
		return -ENOMEM;
	pump->buffer = pump->pages + ROOM_BYTES;
	return 0;
}

void pump_fini(struct pump *pump)
{
	free(pump->pages);
	pump->pages = pump->buffer = NULL;
}

static ssize_t receive(int fd, void *buffer, size_t size)
{
	ssize_t length;

	do
		length = recv(fd, buffer, size, MSG_DONTWAIT);
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}

static void read_once(struct pump *pump, int source, size_t size, bool is_thorough,
		      struct pump_report *report)
{
	ssize_t length = receive(source, pump->buffer, size);

	if (length > 0) {
		report->read = (uint32_t)length;
		report->source = (size_t)length < size && !is_thorough ? PUMP_SOURCE_EMPTY
								       : PUMP_SOURCE_MORE;
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
		length = count == 1 ? send(sink, views->iov_base, views->iov_len,
					   MSG_DONTWAIT | MSG_NOSIGNAL | more)
				    : sendmsg(sink, &message, MSG_DONTWAIT | MSG_NOSIGNAL | more);
	while (length < 0 && errno == EINTR);
	if (length >= 0)
		report->wrote = (uint32_t)length;
	else if (errno != EAGAIN)
		report->sink_error = -errno;
}

static int keep_rest(struct pump *pump, const unsigned char *bytes, size_t size, struct ring **rest)
{
	void *storage = malloc(RING_OVERHEAD + size);

	if (!storage)
		return -ENOMEM;
	*rest = ring_init(storage, size);
	ring_put(*rest, bytes, size);
	pump->rest_bytes += size;
	return 0;
}

/* Sends what it can, and keeps the rest. */
static void send_or_keep(struct pump *pump, int sink, const unsigned char *bytes, size_t size,
			 int more, struct ring **rest, struct pump_report *report)
{
	struct iovec all = { (void *)(uintptr_t)bytes, size };

	send_views(sink, &all, 1, more, report);
	report->is_sink_full = report->sink_error == 0 && report->wrote < size;
	if (report->is_sink_full)
		report->sink_error =
			keep_rest(pump, bytes + report->wrote, size - report->wrote, rest);
}

void pump_carry(struct pump *pump, int source, int sink, size_t limit, unsigned hints,
		const struct pump_filter *filter, struct ring **rest,
		struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };
	unsigned char *bytes = pump->buffer;
	bool is_last;

	assert(!*rest && limit > 0);
	if (limit > PUMP_BUFFER_BYTES)
		limit = PUMP_BUFFER_BYTES;
	read_once(pump, source, limit, hints & PUMP_THOROUGH, &report);
	is_last = (hints & PUMP_END_KNOWN) && report.read < limit;
	if (filter && report.read > 0)
		report.read = (uint32_t)filter->pass(filter->owner, bytes, report.read, &bytes);
	if (report.read > 0)
		send_or_keep(pump, sink, bytes, report.read, is_last ? MSG_MORE : 0, rest, &report);
	*ret_report = report;
}

void pump_put(struct pump *pump, int sink, const unsigned char *bytes, size_t size,
	      struct ring **rest, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	assert(!*rest && size > 0);
	send_or_keep(pump, sink, bytes, size, 0, rest, &report);
	*ret_report = report;
}

void pump_flush(struct pump *pump, int sink, struct ring **rest, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };
	struct ring_view views[2];
	struct iovec vectors[2];
	int count = ring_filled(*rest, views);

	for (int i = 0; i < count; i++)
		vectors[i] = (struct iovec){ views[i].at, views[i].length };
	send_views(sink, vectors, count, 0, &report);
	ring_consumed(*rest, report.wrote);
	report.is_sink_full = report.sink_error == 0 && (*rest)->used > 0;
	if ((*rest)->used == 0)
		pump_drop(pump, rest);
	*ret_report = report;
}

void pump_discard(struct pump *pump, int source, struct pump_report *ret_report)
{
	struct pump_report report = { .source = PUMP_SOURCE_MORE };

	read_once(pump, source, PUMP_BUFFER_BYTES, true, &report);
	*ret_report = report;
}

void pump_drop(struct pump *pump, struct ring **rest)
{
	if (*rest)
		pump->rest_bytes -= (*rest)->capacity;
	free(*rest);
	*rest = NULL;
}
