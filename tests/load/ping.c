/*
 * Ping: requests and responses of one size, one at a time on each connection. Both ends count the
 * messages: message n has its place in its flow's stream, so one lost, doubled or swapped is seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "modes.h"
#include "pattern.h"
#include "report.h"

#define DEFAULT_SIZE        64
#define DEFAULT_DURATION_US (INT64_C(2) * 1000000)
#define DEFAULT_PATIENCE_US (INT64_C(20) * 1000000)

enum ping_side {
	PING_CLIENT,
	PING_SERVER,
	PING_SIDES
};

struct ping_end {
	struct watch watch;
	enum ping_side side;
	uint64_t sent;     /* bytes, over all messages */
	uint64_t owed;     /* bytes, up to the end of the message being sent */
	uint64_t received; /* bytes, over all messages */
};

static struct {
	const struct options *options;
	struct ping_end *ends[PING_SIDES];
	uint64_t accepted;
	uint64_t waiting;  /* clients that have sent and not had all of the answer */
	uint64_t messages; /* answered */
	uint64_t failed;
	bool is_stopping;
	struct watch listener;
} ping;

static uint8_t buffer[PATTERN_VIEW];

static void fail(struct ping_end *end, const char *why)
{
	report_error("%s: %s; sent %llu, received %llu",
		     end->side == PING_CLIENT ? "client" : "server", why,
		     (unsigned long long)end->sent, (unsigned long long)end->received);
	if (end->side == PING_CLIENT)
		ping.waiting--;
	ping.failed++;
	watch_close(&end->watch);
}

static void send_owed(struct ping_end *end)
{
	while (end->sent < end->owed) {
		ssize_t count = net_send(end->watch.fd, pattern_view(end->side, end->sent),
					 end->owed - end->sent);

		if (count == -EAGAIN) {
			watch_change(&end->watch, EPOLLIN | EPOLLOUT);
			return;
		}
		if (count < 0) {
			fail(end, strerror((int)-count));
			return;
		}
		end->sent += (uint64_t)count;
	}
	watch_change(&end->watch, EPOLLIN);
}

static void ask(struct ping_end *end)
{
	ping.waiting++;
	end->owed += ping.options->size;
	send_owed(end);
}

static void on_message(struct ping_end *end)
{
	if (end->side == PING_SERVER) {
		end->owed += ping.options->size;
		send_owed(end);
		return;
	}
	ping.messages++;
	ping.waiting--;
	if (!ping.is_stopping)
		ask(end);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct ping_end *end = (struct ping_end *)watch;
	uint64_t size = ping.options->size;
	uint64_t left = size - end->received % size;
	ssize_t count;

	if ((events & EPOLLOUT) != 0)
		send_owed(end);
	if (end->watch.fd < 0 || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	count = net_recv(end->watch.fd, buffer, left);
	if (count == -EAGAIN)
		return;
	if (count <= 0) {
		fail(end, count == 0 ? "an end of file" : strerror((int)-count));
		return;
	}
	if (!pattern_matches(end->side == PING_CLIENT ? PING_SERVER : PING_CLIENT, end->received,
			     buffer, (size_t)count)) {
		fail(end, "wrong bytes");
		return;
	}
	end->received += (uint64_t)count;
	if ((uint64_t)count == left)
		on_message(end);
}

static void start_end(enum ping_side side, uint64_t n, int fd)
{
	struct ping_end *end = &ping.ends[side][n];

	end->watch = (struct watch){ .on_ready = on_ready, .fd = fd };
	end->side = side;
	watch_start(&end->watch, EPOLLIN);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd = net_accept(watch->fd);

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0 || ping.accepted == ping.options->connections)
		report_die(EXIT_FAILURE, "accept: %s", fd < 0 ? strerror(-fd) : "one too many");
	start_end(PING_SERVER, ping.accepted++, fd);
}

static void wait_for_answers(void)
{
	int64_t until_us = net_now_us() + ping.options->patience_us;

	while (ping.waiting > 0) {
		if (net_now_us() > until_us) {
			report_error("%llu messages have no answer",
				     (unsigned long long)ping.waiting);
			return;
		}
		watch_turn(100000);
	}
}

/* A first message on each, so that all are connected from end to end before the clock starts. */
static void connect_all(void)
{
	ping.is_stopping = true;
	for (uint64_t i = 0; i < ping.options->connections; i++) {
		int fd = net_connect(&ping.options->via, options_source(ping.options, i), 0);

		if (fd < 0)
			report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
		start_end(PING_CLIENT, i, fd);
		ask(&ping.ends[PING_CLIENT][i]);
	}
	wait_for_answers();
	ping.is_stopping = false;
}

static void run_messages(void)
{
	int64_t start_us = net_now_us();

	ping.messages = 0;
	for (uint64_t i = 0; i < ping.options->connections; i++) {
		if (ping.ends[PING_CLIENT][i].watch.fd >= 0)
			ask(&ping.ends[PING_CLIENT][i]);
	}
	while (net_now_us() - start_us < ping.options->duration_us)
		watch_turn(20000);
	ping.is_stopping = true;
	wait_for_answers();
	report_seconds("seconds", net_now_us() - start_us);
}

void ping_run(struct options *options)
{
	if (options->connections == 0)
		options->connections = 1;
	if (options->size == 0)
		options->size = DEFAULT_SIZE;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_DURATION_US;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	ping.options = options;
	for (int side = 0; side < PING_SIDES; side++) {
		ping.ends[side] = calloc(options->connections, sizeof(struct ping_end));
		if (ping.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many connections");
	}
	pattern_init(PATTERN_SHORT);
	ping.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	watch_start(&ping.listener, EPOLLIN);
	connect_all();
	options_ready(options, options->connections - ping.failed);
	run_messages();
	report_count("connections", options->connections);
	report_count("size", options->size);
	report_count("messages", ping.messages);
	options_hold(options);
	watch_close(&ping.listener);
	for (int side = 0; side < PING_SIDES; side++)
		free(ping.ends[side]);
}
