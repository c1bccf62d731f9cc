/*
 * Bulk: streams as fast as they go, up, down or both ways. Whoever sends, ends its flow when time
 * or the wanted bytes are over; whoever only reads, ends its flow after the end of file. All that
 * was sent must have been read, and be right, when the report is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "modes.h"
#include "pattern.h"
#include "report.h"

#define PIECE               131072
#define DEFAULT_STREAMS     1
#define DEFAULT_DURATION_US (INT64_C(2) * 1000000)
#define DEFAULT_PATIENCE_US (INT64_C(20) * 1000000)

enum bulk_side {
	BULK_CLIENT,
	BULK_SERVER,
	BULK_SIDES
};

struct stream_end {
	struct watch watch;
	enum bulk_side side;
	bool sends;
	bool fin_sent;
	bool got_eof;
	uint64_t sent;
	uint64_t received;
};

static struct {
	const struct options *options;
	struct stream_end *ends[BULK_SIDES]; /* a table of each side's ends */
	uint64_t accepted;
	uint64_t open;
	bool is_started;
	bool is_stopping;
	int64_t moved_us;
	struct watch listener;
} bulk;

static uint8_t buffer[PIECE];

static void end_stream(struct stream_end *end, const char *why)
{
	if (why != NULL)
		report_error("%s of a stream: %s; sent %llu, received %llu",
			     end->side == BULK_CLIENT ? "client" : "server", why,
			     (unsigned long long)end->sent, (unsigned long long)end->received);
	watch_close(&end->watch);
	bulk.open--;
}

static bool is_done_sending(const struct stream_end *end)
{
	if (!end->sends)
		return end->got_eof;
	return bulk.options->bytes > 0 ? end->sent >= bulk.options->bytes : bulk.is_stopping;
}

static const char *send_piece(struct stream_end *end)
{
	size_t size = PIECE;
	ssize_t count;

	if (bulk.options->bytes > 0 && bulk.options->bytes - end->sent < size)
		size = bulk.options->bytes - end->sent;
	count = net_send(end->watch.fd, pattern_view(end->side, end->sent), size);
	if (count < 0)
		return count == -EAGAIN ? NULL : strerror((int)-count);
	end->sent += (uint64_t)count;
	return NULL;
}

static const char *read_piece(struct stream_end *end)
{
	ssize_t count = net_recv(end->watch.fd, buffer, sizeof(buffer));

	if (count < 0)
		return count == -EAGAIN ? NULL : strerror((int)-count);
	if (count == 0)
		end->got_eof = true;
	else if (!pattern_matches(end->side == BULK_CLIENT ? BULK_SERVER : BULK_CLIENT,
				  end->received, buffer, (size_t)count))
		return "wrong bytes";
	end->received += (uint64_t)count;
	return NULL;
}

/* Interest is computed afresh: an end of file left readable would spin. */
static void set_interest(struct stream_end *end)
{
	uint32_t events = 0;

	if (!end->got_eof)
		events |= EPOLLIN;
	if (end->sends && !end->fin_sent && bulk.is_started)
		events |= EPOLLOUT;
	watch_change(&end->watch, events);
}

static void finish_stream(struct stream_end *end)
{
	if (bulk.is_started && !end->fin_sent && is_done_sending(end)) {
		if (shutdown(end->watch.fd, SHUT_WR) < 0) {
			end_stream(end, strerror(errno));
			return;
		}
		end->fin_sent = true;
	}
	if (end->fin_sent && end->got_eof)
		end_stream(end, NULL);
	else
		set_interest(end);
}

static void on_stream(struct watch *watch, uint32_t events)
{
	struct stream_end *end = (struct stream_end *)watch;
	const char *why = NULL;

	bulk.moved_us = net_now_us();
	if (!end->got_eof && (events & ~(uint32_t)EPOLLOUT) != 0)
		why = read_piece(end);
	if (why == NULL && (events & EPOLLOUT) != 0 && bulk.is_started && !end->fin_sent &&
	    end->sends && !is_done_sending(end))
		why = send_piece(end);
	if (why != NULL)
		end_stream(end, why);
	else
		finish_stream(end);
}

static void start_end(enum bulk_side side, uint64_t n, int fd)
{
	struct stream_end *end = &bulk.ends[side][n];
	enum direction own = side == BULK_CLIENT ? DIRECTION_UP : DIRECTION_DOWN;

	end->watch = (struct watch){ .on_ready = on_stream, .fd = fd };
	end->side = side;
	end->sends = bulk.options->direction == own || bulk.options->direction == DIRECTION_BOTH;
	watch_start(&end->watch, EPOLLIN);
	bulk.open++;
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd = net_accept(watch->fd);

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0 || bulk.accepted == bulk.options->connections)
		report_die(EXIT_FAILURE, "accept: %s", fd < 0 ? strerror(-fd) : "one too many");
	start_end(BULK_SERVER, bulk.accepted++, fd);
}

static void connect_all(void)
{
	int64_t until_us = net_now_us() + bulk.options->patience_us;

	for (uint64_t i = 0; i < bulk.options->connections; i++) {
		int fd = net_connect(&bulk.options->via, options_source(bulk.options, i), 0);

		if (fd < 0)
			report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
		start_end(BULK_CLIENT, i, fd);
	}
	while (bulk.accepted < bulk.options->connections) {
		if (net_now_us() > until_us)
			report_die(EXIT_FAILURE, "only %llu streams reached the server",
				   (unsigned long long)bulk.accepted);
		watch_turn(100000);
	}
}

static void for_each_end(void (*visit)(struct stream_end *end))
{
	for (int side = 0; side < BULK_SIDES; side++) {
		for (uint64_t i = 0; i < bulk.options->connections; i++) {
			if (bulk.ends[side][i].watch.fd >= 0)
				visit(&bulk.ends[side][i]);
		}
	}
}

static void give_up_stream(struct stream_end *end)
{
	end_stream(end, "stuck");
}

static void run_streams(void)
{
	int64_t start_us = net_now_us();

	bulk.is_started = true;
	bulk.moved_us = start_us;
	for_each_end(set_interest);
	while (bulk.open > 0) {
		int64_t now_us = net_now_us();

		if (!bulk.is_stopping && now_us - start_us >= bulk.options->duration_us &&
		    bulk.options->bytes == 0) {
			bulk.is_stopping = true;
			for_each_end(finish_stream);
		}
		if (now_us - bulk.moved_us > bulk.options->patience_us)
			for_each_end(give_up_stream);
		watch_turn(20000);
	}
	report_seconds("seconds", net_now_us() - start_us);
}

static void report_bytes(void)
{
	uint64_t sent[BULK_SIDES] = { 0 };
	uint64_t received[BULK_SIDES] = { 0 };

	for (int side = 0; side < BULK_SIDES; side++) {
		for (uint64_t i = 0; i < bulk.options->connections; i++) {
			sent[side] += bulk.ends[side][i].sent;
			received[side] += bulk.ends[side][i].received;
		}
	}
	report_count("streams", bulk.options->connections);
	report_count("bytes_up", received[BULK_SERVER]);
	report_count("bytes_down", received[BULK_CLIENT]);
	if (sent[BULK_CLIENT] != received[BULK_SERVER] ||
	    sent[BULK_SERVER] != received[BULK_CLIENT])
		report_error("not all bytes arrived: up %llu of %llu, down %llu of %llu",
			     (unsigned long long)received[BULK_SERVER],
			     (unsigned long long)sent[BULK_CLIENT],
			     (unsigned long long)received[BULK_CLIENT],
			     (unsigned long long)sent[BULK_SERVER]);
}

void bulk_run(struct options *options)
{
	if (options->connections == 0)
		options->connections = DEFAULT_STREAMS;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_DURATION_US;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	bulk.options = options;
	for (int side = 0; side < BULK_SIDES; side++) {
		bulk.ends[side] = calloc(options->connections, sizeof(struct stream_end));
		if (bulk.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many streams");
	}
	pattern_init(PATTERN_SHORT);
	bulk.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	watch_start(&bulk.listener, EPOLLIN);
	connect_all();
	options_ready(options, options->connections);
	run_streams();
	report_bytes();
	watch_close(&bulk.listener);
	for (int side = 0; side < BULK_SIDES; side++)
		free(bulk.ends[side]);
}
