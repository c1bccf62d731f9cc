/*
 * Ping: requests and responses of one size, one at a time on each connection. Both ends count the
 * messages: message n has its place in its flow's stream, so one lost, doubled or swapped is seen.
 * Beside them there may be connections that say a first message, are silent while the others talk,
 * and say one more at the end, since they must have been there all the time.
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
#define OPENING_MOST        256    /* at a time, so that no queue of connections overflows */
#define LATENCY_MOST        262144 /* us; what is longer counts as this */

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
	int64_t asked_us;
};

static struct {
	const struct options *options;
	struct ping_end *ends[PING_SIDES];
	uint64_t total; /* connections: those that talk, and behind them those that are silent */
	uint64_t begun;
	uint64_t accepted;
	uint64_t waiting;  /* clients that have sent and not had all of the answer */
	uint64_t messages; /* answered */
	uint64_t failed;
	uint64_t *latencies; /* how many messages took so many microseconds */
	bool is_stopping;
	struct watch listener;
} ping;

static uint8_t buffer[PATTERN_VIEW];

static void fail(struct ping_end *end, const char *why)
{
	report_error("%s: %s; sent %llu, received %llu",
		     end->side == PING_CLIENT ? "client" : "server", why,
		     (unsigned long long)end->sent, (unsigned long long)end->received);
	if (end->side == PING_CLIENT && end->received < end->owed)
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
	end->asked_us = net_now_us();
	end->owed += ping.options->size;
	send_owed(end);
}

static void note_latency(int64_t took_us)
{
	ping.latencies[took_us < LATENCY_MOST ? took_us : LATENCY_MOST - 1]++;
}

static uint64_t median_latency(void)
{
	uint64_t count = 0;
	uint64_t below = 0;
	uint64_t us = 0;

	for (uint64_t i = 0; i < LATENCY_MOST; i++)
		count += ping.latencies[i];
	while (us < LATENCY_MOST - 1 && 2 * (below += ping.latencies[us]) < count)
		us++;
	return us;
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
	note_latency(net_now_us() - end->asked_us);
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
	if (fd < 0 || ping.accepted == ping.total)
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

static void begin(void)
{
	int fd = net_connect(&ping.options->via, options_source(ping.options, ping.begun), 0);

	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
	start_end(PING_CLIENT, ping.begun, fd);
	ask(&ping.ends[PING_CLIENT][ping.begun++]);
}

/* A first message on each, so that all are connected from end to end before the clock starts. */
static void connect_all(void)
{
	ping.is_stopping = true;
	for (int64_t moved_us = net_now_us(); ping.begun < ping.total;) {
		uint64_t settled = ping.accepted + ping.failed;

		while (ping.begun < ping.total && ping.begun < settled + OPENING_MOST)
			begin();
		watch_turn(50000);
		if (ping.accepted + ping.failed > settled)
			moved_us = net_now_us();
		else if (net_now_us() - moved_us > ping.options->patience_us)
			report_die(EXIT_FAILURE, "only %llu connections reached the server",
				   (unsigned long long)ping.accepted);
	}
	wait_for_answers();
	ping.is_stopping = false;
}

static void ask_all(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		if (ping.ends[PING_CLIENT][i].watch.fd >= 0)
			ask(&ping.ends[PING_CLIENT][i]);
	}
}

static void run_messages(void)
{
	int64_t start_us = net_now_us();

	ping.messages = 0;
	memset(ping.latencies, 0, LATENCY_MOST * sizeof(*ping.latencies));
	ask_all(0, ping.options->connections);
	while (net_now_us() - start_us < ping.options->duration_us)
		watch_turn(20000);
	ping.is_stopping = true;
	wait_for_answers();
	report_seconds("seconds", net_now_us() - start_us);
}

static void make_tables(void)
{
	for (int side = 0; side < PING_SIDES; side++) {
		ping.ends[side] = calloc(ping.total, sizeof(struct ping_end));
		if (ping.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many connections");
	}
	ping.latencies = calloc(LATENCY_MOST, sizeof(*ping.latencies));
	if (ping.latencies == NULL)
		report_die(EXIT_FAILURE, "no memory for the latencies");
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
	ping.total = options->connections + options->idle;
	make_tables();
	pattern_init(PATTERN_SHORT);
	ping.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	watch_start(&ping.listener, EPOLLIN);
	connect_all();
	options_ready(options, ping.total - ping.failed);
	run_messages();
	report_count("connections", options->connections);
	report_count("size", options->size);
	report_count("latency_median_us", median_latency());
	report_count("messages", ping.messages);
	options_hold(options);
	ask_all(options->connections, ping.total);
	wait_for_answers();
	watch_close(&ping.listener);
	for (int side = 0; side < PING_SIDES; side++)
		free(ping.ends[side]);
	free(ping.latencies);
}
