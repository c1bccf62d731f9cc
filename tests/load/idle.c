/*
 * Idle: sessions that are opened, have moved some bytes each way if asked to, and are then held
 * until stdin ends, so that somebody can look at what a relay holds for each. At the end every
 * session must still be there, and ends with both FINs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "modes.h"
#include "pattern.h"
#include "report.h"

#define PIECE               65536
#define DEFAULT_SESSIONS    1000
#define DEFAULT_PATIENCE_US (INT64_C(20) * 1000000)
#define OPENING_MOST        256 /* at a time, so that no queue of connections overflows */

enum idle_side {
	IDLE_CLIENT,
	IDLE_SERVER,
	IDLE_SIDES
};

struct idle_end {
	struct watch watch;
	enum idle_side side;
	bool fin_sent;
	bool got_eof;
	uint64_t sent;
	uint64_t received;
};

static struct {
	const struct options *options;
	struct idle_end *ends[IDLE_SIDES];
	uint64_t begun;
	uint64_t accepted;
	uint64_t busy; /* ends that have bytes to move still, or, when ending, are open */
	uint64_t lost;
	bool is_ending;
	int64_t moved_us;
	struct watch listener;
} idle;

static uint8_t buffer[PIECE];

static bool is_busy(const struct idle_end *end)
{
	return end->sent < idle.options->size || end->received < idle.options->size;
}

static void lose(struct idle_end *end, const char *why)
{
	report_error("%s of an idle session: %s; sent %llu, received %llu",
		     end->side == IDLE_CLIENT ? "client" : "server", why,
		     (unsigned long long)end->sent, (unsigned long long)end->received);
	if (idle.is_ending || is_busy(end))
		idle.busy--;
	idle.lost++;
	watch_close(&end->watch);
}

static const char *send_more(struct idle_end *end)
{
	while (end->sent < idle.options->size) {
		uint64_t left = idle.options->size - end->sent;
		ssize_t count = net_send(end->watch.fd, pattern_view(end->side, end->sent),
					 left < PIECE ? left : PIECE);

		if (count < 0)
			return count == -EAGAIN ? NULL : strerror((int)-count);
		end->sent += (uint64_t)count;
	}
	return NULL;
}

static const char *read_more(struct idle_end *end)
{
	enum idle_side sender = end->side == IDLE_CLIENT ? IDLE_SERVER : IDLE_CLIENT;

	while (!end->got_eof) {
		ssize_t count = net_recv(end->watch.fd, buffer, sizeof(buffer));

		if (count < 0)
			return count == -EAGAIN ? NULL : strerror((int)-count);
		if (count == 0) {
			end->got_eof = true;
			return idle.is_ending ? NULL : "an end of file";
		}
		if (end->received + (uint64_t)count > idle.options->size ||
		    !pattern_matches(sender, end->received, buffer, (size_t)count))
			return "wrong bytes";
		end->received += (uint64_t)count;
	}
	return NULL;
}

static void end_where_done(struct idle_end *end)
{
	if (!idle.is_ending)
		return;
	if (!end->fin_sent && (end->side == IDLE_CLIENT || end->got_eof)) {
		if (shutdown(end->watch.fd, SHUT_WR) < 0) {
			lose(end, strerror(errno));
			return;
		}
		end->fin_sent = true;
	}
	if (end->fin_sent && end->got_eof) {
		idle.busy--;
		watch_close(&end->watch);
	}
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct idle_end *end = (struct idle_end *)watch;
	bool was_busy = is_busy(end);
	const char *why = send_more(end);

	(void)events;
	idle.moved_us = net_now_us();
	if (why == NULL)
		why = read_more(end);
	if (!idle.is_ending && was_busy && !is_busy(end))
		idle.busy--;
	if (why != NULL)
		lose(end, why);
	else
		end_where_done(end);
}

static void start_end(enum idle_side side, uint64_t n, int fd)
{
	struct idle_end *end = &idle.ends[side][n];

	*end = (struct idle_end){ .watch = { .on_ready = on_ready, .fd = fd }, .side = side };
	if (is_busy(end))
		idle.busy++;
	watch_start(&end->watch, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd = net_accept(watch->fd);

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0 || idle.accepted == idle.options->sessions)
		report_die(EXIT_FAILURE, "accept: %s", fd < 0 ? strerror(-fd) : "one too many");
	idle.moved_us = net_now_us();
	start_end(IDLE_SERVER, idle.accepted++, fd);
}

static bool is_stuck(void)
{
	return net_now_us() - idle.moved_us > idle.options->patience_us;
}

static void open_all(void)
{
	idle.moved_us = net_now_us();
	while (idle.accepted < idle.options->sessions || idle.busy > 0) {
		while (idle.begun < idle.options->sessions &&
		       idle.begun < idle.accepted + OPENING_MOST) {
			int fd = net_connect(&idle.options->via,
					     options_source(idle.options, idle.begun), 0);

			if (fd < 0)
				report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
			start_end(IDLE_CLIENT, idle.begun++, fd);
		}
		if (is_stuck())
			report_die(EXIT_FAILURE,
				   "stuck: %llu sessions begun, %llu served, %llu ends busy",
				   (unsigned long long)idle.begun,
				   (unsigned long long)idle.accepted,
				   (unsigned long long)idle.busy);
		watch_turn(50000);
	}
}

static void for_each_open(void (*visit)(struct idle_end *end))
{
	for (int side = 0; side < IDLE_SIDES; side++) {
		for (uint64_t i = 0; i < idle.options->sessions; i++) {
			if (idle.ends[side][i].watch.fd >= 0)
				visit(&idle.ends[side][i]);
		}
	}
}

static void count_open(struct idle_end *end)
{
	(void)end;
	idle.busy++;
}

static void lose_stuck(struct idle_end *end)
{
	lose(end, "stuck");
}

static void close_all(void)
{
	watch_turn(0);
	idle.is_ending = true;
	idle.busy = 0;
	idle.moved_us = net_now_us();
	for_each_open(count_open);
	for_each_open(end_where_done);
	while (idle.busy > 0) {
		if (is_stuck())
			for_each_open(lose_stuck);
		watch_turn(50000);
	}
}

void idle_run(struct options *options)
{
	int64_t start_us;

	if (options->sessions == 0)
		options->sessions = DEFAULT_SESSIONS;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	options->wait = true;
	idle.options = options;
	for (int side = 0; side < IDLE_SIDES; side++) {
		idle.ends[side] = calloc(options->sessions, sizeof(struct idle_end));
		if (idle.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many sessions");
	}
	pattern_init(PATTERN_SHORT);
	idle.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	watch_start(&idle.listener, EPOLLIN);
	start_us = net_now_us();
	open_all();
	report_seconds("seconds", net_now_us() - start_us);
	report_count("opened", options->sessions);
	options_hold(options);
	close_all();
	report_count("sessions", options->sessions);
	report_count("lost", idle.lost);
	watch_close(&idle.listener);
	for (int side = 0; side < IDLE_SIDES; side++)
		free(idle.ends[side]);
}
