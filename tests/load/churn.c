/*
 * Churn: sessions as short as they get, and each needs its half-close: connect, send 64 bytes and a
 * FIN; the server answers only after the end of file, with 64 bytes that say which session it
 * answers; then both ends close.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "modes.h"
#include "pattern.h"
#include "report.h"

#define MESSAGE             64
#define SERVERS_MORE        1024 /* connections that may linger beyond the clients' own number */
#define DEFAULT_CONNECTIONS 16
#define DEFAULT_DURATION_US (INT64_C(2) * 1000000)
#define DEFAULT_PATIENCE_US (INT64_C(5) * 1000000)

enum churn_side {
	CHURN_CLIENT,
	CHURN_SERVER,
	CHURN_SIDES
};

struct churn_end {
	struct watch watch;
	enum churn_side side;
	bool sent;
	size_t received;
	uint64_t number; /* of the session; the server's end reads it */
	int64_t started_us;
	uint8_t message[MESSAGE + 1]; /* one more, to see a byte too many */
};

static struct {
	const struct options *options;
	struct churn_end *ends[CHURN_SIDES];
	uint64_t counts[CHURN_SIDES]; /* lengths of the tables */
	uint64_t *free_servers;       /* a stack of unused server ends */
	uint64_t free_count;
	uint64_t begun;
	uint64_t open;
	uint64_t complete;
	uint64_t lost; /* sessions that lost a byte, an answer or an end of file */
	bool is_stopping;
	struct watch listener;
} churn;

static void begin(struct churn_end *end);

/* A message is the session's number and then bytes that only this session and side send. */
static void write_message(uint8_t message[MESSAGE], uint64_t number, enum churn_side side)
{
	memcpy(message, &number, sizeof(number));
	memcpy(message + sizeof(number), pattern_view(number * CHURN_SIDES + side, 0),
	       MESSAGE - sizeof(number));
}

static bool is_message(const struct churn_end *end, enum churn_side sender)
{
	uint8_t expected[MESSAGE];

	write_message(expected, end->number, sender);
	return end->received == MESSAGE && memcmp(end->message, expected, MESSAGE) == 0;
}

static void end_server(struct churn_end *end)
{
	watch_close(&end->watch);
	churn.free_servers[churn.free_count++] = (uint64_t)(end - churn.ends[CHURN_SERVER]);
}

static void end_client(struct churn_end *end, const char *why)
{
	watch_close(&end->watch);
	churn.open--;
	if (why == NULL)
		churn.complete++;
	else
		churn.lost++;
	if (why != NULL)
		report_error("session %llu: %s; received %zu bytes",
			     (unsigned long long)end->number, why, end->received);
	if (!churn.is_stopping)
		begin(end);
}

static ssize_t read_more(struct churn_end *end)
{
	ssize_t count = net_recv(end->watch.fd, end->message + end->received,
				 sizeof(end->message) - end->received);

	if (count > 0)
		end->received += (size_t)count;
	return count;
}

static void on_client(struct watch *watch, uint32_t events)
{
	struct churn_end *end = (struct churn_end *)watch;
	uint8_t message[MESSAGE];
	ssize_t count;

	(void)events;
	if (!end->sent) {
		write_message(message, end->number, CHURN_CLIENT);
		count = net_send(watch->fd, message, sizeof(message));
		if (count == -EAGAIN)
			return;
		if (count != MESSAGE || shutdown(watch->fd, SHUT_WR) < 0) {
			end_client(end, count < 0 ? strerror((int)-count) : "not all sent");
			return;
		}
		end->sent = true;
		watch_change(watch, EPOLLIN);
	}
	count = read_more(end);
	if (count == 0)
		end_client(end, is_message(end, CHURN_SERVER) ? NULL : "the answer is not right");
	else if (count < 0 && count != -EAGAIN)
		end_client(end, strerror((int)-count));
	else if (end->received > MESSAGE)
		end_client(end, "a byte too many");
}

static void on_server(struct watch *watch, uint32_t events)
{
	struct churn_end *end = (struct churn_end *)watch;
	uint8_t message[MESSAGE];
	ssize_t count = read_more(end);

	(void)events;
	if (count > 0)
		count = end->received > MESSAGE ? 0 : read_more(end);
	if (count == -EAGAIN || count > 0)
		return;
	memcpy(&end->number, end->message, sizeof(end->number));
	/* What did not arrive whole gets no answer; its client then counts it. */
	if (count == 0 && is_message(end, CHURN_CLIENT)) {
		write_message(message, end->number, CHURN_SERVER);
		(void)net_send(watch->fd, message, sizeof(message));
	}
	end_server(end);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	(void)events;
	while (churn.free_count > 0) {
		int fd = net_accept(watch->fd);

		if (fd < 0 && fd != -EAGAIN)
			report_die(EXIT_FAILURE, "accept: %s", strerror(-fd));
		if (fd < 0)
			return;

		uint64_t index = churn.free_servers[--churn.free_count];
		struct churn_end *end = &churn.ends[CHURN_SERVER][index];

		*end = (struct churn_end){ .watch = { .on_ready = on_server, .fd = fd },
					   .side = CHURN_SERVER };
		watch_start(&end->watch, EPOLLIN);
	}
}

static void begin(struct churn_end *end)
{
	int fd = net_connect(&churn.options->via, options_source(churn.options, churn.begun), 0);

	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s (--sources has more ports)", strerror(-fd));
	*end = (struct churn_end){ .watch = { .on_ready = on_client, .fd = fd },
				   .side = CHURN_CLIENT,
				   .number = churn.begun++,
				   .started_us = net_now_us() };
	churn.open++;
	watch_start(&end->watch, EPOLLIN | EPOLLOUT);
}

static void end_stuck(int64_t now_us)
{
	for (uint64_t i = 0; i < churn.counts[CHURN_CLIENT]; i++) {
		struct churn_end *end = &churn.ends[CHURN_CLIENT][i];

		if (end->watch.fd >= 0 && now_us - end->started_us > churn.options->patience_us)
			end_client(end, "stuck");
	}
}

static void run_sessions(void)
{
	int64_t start_us = net_now_us();
	int64_t looked_us = start_us;

	for (uint64_t i = 0; i < churn.counts[CHURN_CLIENT]; i++)
		begin(&churn.ends[CHURN_CLIENT][i]);
	while (churn.open > 0) {
		int64_t now_us = net_now_us();

		churn.is_stopping = now_us - start_us >= churn.options->duration_us;
		if (now_us - looked_us > 200000) {
			looked_us = now_us;
			end_stuck(now_us);
		}
		watch_turn(20000);
	}
	report_seconds("seconds", net_now_us() - start_us);
}

static void make_tables(const struct options *options)
{
	churn.counts[CHURN_CLIENT] = options->connections;
	churn.counts[CHURN_SERVER] = options->connections + SERVERS_MORE;
	for (int side = 0; side < CHURN_SIDES; side++) {
		churn.ends[side] = calloc(churn.counts[side], sizeof(struct churn_end));
		if (churn.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many sessions");
	}
	churn.free_servers = calloc(churn.counts[CHURN_SERVER], sizeof(uint64_t));
	if (churn.free_servers == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
	while (churn.free_count < churn.counts[CHURN_SERVER]) {
		churn.free_servers[churn.free_count] = churn.free_count;
		churn.free_count++;
	}
}

void churn_run(struct options *options)
{
	if (options->connections == 0)
		options->connections = DEFAULT_CONNECTIONS;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_DURATION_US;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	churn.options = options;
	make_tables(options);
	pattern_init(PATTERN_SHORT);
	churn.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	watch_start(&churn.listener, EPOLLIN);
	options_ready(options, options->connections);
	run_sessions();
	report_count("sessions", churn.begun);
	report_count("complete", churn.complete);
	report_count("lost", churn.lost);
	watch_close(&churn.listener);
	for (int side = 0; side < CHURN_SIDES; side++)
		free(churn.ends[side]);
	free(churn.free_servers);
}
