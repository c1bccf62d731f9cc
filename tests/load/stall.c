/*
 * Stall: clients that read nothing, and servers that send without end, until nothing moves any
 * more. That is then held until stdin ends, so that somebody can look at what a relay and its
 * kernel hold for each. This program's own sockets are small, so that the relay's share shows. At
 * the end the servers end their flows, and the clients read what they are owed, up to the end of
 * file; every byte that was ever sent has to be there.
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
#define OWN_BUFFER          8192    /* of both ends, while nobody reads */
#define READING_BUFFER      1048576 /* of a client that reads at last */
#define DEFAULT_SESSIONS    100
#define DEFAULT_BYTES       (UINT64_C(64) << 20)
#define DEFAULT_QUIET_US    (INT64_C(1) * 1000000)
#define DEFAULT_PATIENCE_US (INT64_C(20) * 1000000)
#define OPENING_MOST        256 /* at a time, so that no queue of connections overflows */

enum stall_side {
	STALL_CLIENT,
	STALL_SERVER,
	STALL_SIDES
};

/* The client's first bytes are its number, which is the stream that its server sends. */
struct stall_end {
	struct watch watch;
	enum stall_side side;
	uint64_t number;
	size_t named;  /* bytes of the number that were sent, or have come */
	uint64_t done; /* bytes sent by a server, read by a client */
};

static struct {
	const struct options *options;
	struct stall_end *ends[STALL_SIDES];
	uint64_t *sent; /* by number */
	uint64_t begun;
	uint64_t accepted;
	uint64_t sending; /* servers that know their number */
	uint64_t open;
	uint64_t lost;
	bool is_ending;
	int64_t moved_us;
	struct watch listener;
} stall;

static uint8_t buffer[PIECE];

static void end_session(struct stall_end *end, const char *why)
{
	if (why != NULL) {
		report_error("%s of a stalled session: %s; %llu bytes of it",
			     end->side == STALL_CLIENT ? "client" : "server", why,
			     (unsigned long long)end->done);
		stall.lost++;
	}
	watch_close(&end->watch);
	stall.open--;
}

/* ---- the server -------------------------------------------------------------------------------
 */

static const char *read_number(struct stall_end *end)
{
	uint8_t bytes[sizeof(end->number) + 1]; /* one more, to see a byte too many */
	ssize_t count = net_recv(end->watch.fd, bytes, sizeof(bytes) - end->named);

	if (count < 0)
		return count == -EAGAIN ? NULL : strerror((int)-count);
	if (count == 0)
		return "an end of file";
	if (end->named + (size_t)count > sizeof(end->number))
		return "a byte too many";
	memcpy((uint8_t *)&end->number + end->named, bytes, (size_t)count);
	end->named += (size_t)count;
	if (end->named < sizeof(end->number))
		return NULL;
	if (end->number >= stall.options->sessions)
		return "wrong bytes";
	stall.sending++;
	watch_change(&end->watch, EPOLLIN | EPOLLOUT);
	return NULL;
}

static const char *send_piece(struct stall_end *end)
{
	ssize_t count =
		net_send(end->watch.fd, pattern_view(end->number, end->done), sizeof(buffer));

	if (count < 0)
		return count == -EAGAIN ? NULL : strerror((int)-count);
	end->done += (uint64_t)count;
	stall.sent[end->number] = end->done;
	return end->done < stall.options->bytes ? NULL : "all is taken, though nobody reads";
}

static void on_server(struct watch *watch, uint32_t events)
{
	struct stall_end *end = (struct stall_end *)watch;
	bool is_named = end->named == sizeof(end->number);
	const char *why = NULL;

	stall.moved_us = net_now_us();
	if (stall.is_ending && net_recv(watch->fd, buffer, sizeof(buffer)) == 0) {
		end_session(end, NULL);
		return;
	}
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		why = is_named ? "an end of file, a reset or bytes" : read_number(end);
	else if (!stall.is_ending)
		why = send_piece(end);
	if (why != NULL)
		end_session(end, why);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd = net_accept(watch->fd);
	struct stall_end *end;

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0 || stall.accepted == stall.options->sessions)
		report_die(EXIT_FAILURE, "accept: %s", fd < 0 ? strerror(-fd) : "one too many");
	end = &stall.ends[STALL_SERVER][stall.accepted++];
	*end = (struct stall_end){ .watch = { .on_ready = on_server, .fd = fd },
				   .side = STALL_SERVER };
	stall.open++;
	stall.moved_us = net_now_us();
	watch_start(&end->watch, EPOLLIN);
}

/* ---- the client -------------------------------------------------------------------------------
 */

/* Until the end it only waits for what must not come: with bytes unread, an end of file is not
 * seen, and a reset is. */
static const char *send_number(struct stall_end *end)
{
	ssize_t count = net_send(end->watch.fd, &end->number, sizeof(end->number));

	if (count == -EAGAIN)
		return NULL;
	if (count != (ssize_t)sizeof(end->number))
		return count < 0 ? strerror((int)-count) : "the number was not sent whole";
	end->named = (size_t)count;
	watch_change(&end->watch, EPOLLRDHUP);
	return NULL;
}

static const char *read_piece(struct stall_end *end)
{
	ssize_t count = net_recv(end->watch.fd, buffer, sizeof(buffer));

	if (count < 0)
		return count == -EAGAIN ? NULL : strerror((int)-count);
	if (count > 0 && !pattern_matches(end->number, end->done, buffer, (size_t)count))
		return "wrong bytes";
	end->done += (uint64_t)count;
	if (count > 0)
		return NULL;
	if (end->done != stall.sent[end->number])
		return "an end of file before all that was sent";
	end_session(end, NULL);
	return NULL;
}

static void on_client(struct watch *watch, uint32_t events)
{
	struct stall_end *end = (struct stall_end *)watch;
	const char *why = NULL;

	(void)events;
	stall.moved_us = net_now_us();
	if (stall.is_ending)
		why = read_piece(end);
	else if (end->named == 0)
		why = send_number(end);
	else
		why = "an end of file or a reset";
	if (why != NULL)
		end_session(end, why);
}

static void begin(void)
{
	struct stall_end *end = &stall.ends[STALL_CLIENT][stall.begun];
	int fd = net_connect(&stall.options->via, options_source(stall.options, stall.begun),
			     OWN_BUFFER);

	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
	*end = (struct stall_end){ .watch = { .on_ready = on_client, .fd = fd },
				   .side = STALL_CLIENT,
				   .number = stall.begun++ };
	stall.open++;
	watch_start(&end->watch, EPOLLOUT);
}

/* ---- the run ----------------------------------------------------------------------------------
 */

static void for_each_open(void (*visit)(struct stall_end *end))
{
	for (int side = 0; side < STALL_SIDES; side++) {
		for (uint64_t i = 0; i < stall.options->sessions; i++) {
			if (stall.ends[side][i].watch.fd >= 0)
				visit(&stall.ends[side][i]);
		}
	}
}

static void give_up(struct stall_end *end)
{
	end_session(end, "stuck");
}

static void open_all(void)
{
	stall.moved_us = net_now_us();
	while (stall.sending < stall.options->sessions && stall.lost == 0) {
		while (stall.begun < stall.options->sessions &&
		       stall.begun < stall.accepted + OPENING_MOST)
			begin();
		if (net_now_us() - stall.moved_us > stall.options->patience_us)
			report_die(EXIT_FAILURE, "stuck: %llu sessions begun, %llu served",
				   (unsigned long long)stall.begun,
				   (unsigned long long)stall.sending);
		watch_turn(50000);
	}
}

static void wait_until_quiet(void)
{
	while (net_now_us() - stall.moved_us < stall.options->duration_us)
		watch_turn(20000);
}

/* A server ends its flow; a client begins to read. Whoever only waits is not in anybody's way. */
static void let_end(struct stall_end *end)
{
	int size = READING_BUFFER;

	if (end->side == STALL_SERVER) {
		if (shutdown(end->watch.fd, SHUT_WR) < 0)
			end_session(end, strerror(errno));
		else
			watch_change(&end->watch, EPOLLIN);
		return;
	}
	/* A smaller one would only take longer. */
	(void)setsockopt(end->watch.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	watch_change(&end->watch, EPOLLIN);
}

static void end_all(void)
{
	watch_turn(0);
	stall.is_ending = true;
	stall.moved_us = net_now_us();
	for_each_open(let_end);
	while (stall.open > 0) {
		if (net_now_us() - stall.moved_us > stall.options->patience_us)
			for_each_open(give_up);
		watch_turn(50000);
	}
}

static void make_tables(const struct options *options)
{
	for (int side = 0; side < STALL_SIDES; side++) {
		stall.ends[side] = calloc(options->sessions, sizeof(struct stall_end));
		if (stall.ends[side] == NULL)
			report_die(EXIT_FAILURE, "no memory for so many sessions");
		for (uint64_t i = 0; i < options->sessions; i++)
			stall.ends[side][i].watch.fd = -1;
	}
	stall.sent = calloc(options->sessions, sizeof(uint64_t));
	if (stall.sent == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
}

static void listen_with_small_buffers(struct options *options)
{
	int size = OWN_BUFFER;
	int listener = options_meet(options);

	/* Accepted sockets inherit it. */
	if (setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		report_die(EXIT_FAILURE, "SO_SNDBUF: %s", strerror(errno));
	stall.listener = (struct watch){ .on_ready = on_connection, .fd = listener };
	watch_start(&stall.listener, EPOLLIN);
}

static void report(void)
{
	uint64_t total = 0;

	for (uint64_t i = 0; i < stall.options->sessions; i++)
		total += stall.sent[i];
	report_count("bytes_sent", total);
	report_count("stalled", stall.options->sessions - stall.lost);
}

void stall_run(struct options *options)
{
	if (options->sessions == 0)
		options->sessions = DEFAULT_SESSIONS;
	if (options->bytes == 0)
		options->bytes = DEFAULT_BYTES;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_QUIET_US;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	options->wait = true;
	stall.options = options;
	make_tables(options);
	pattern_init(PATTERN_LONG);
	listen_with_small_buffers(options);
	open_all();
	wait_until_quiet();
	report();
	options_hold(options);
	end_all();
	report_count("sessions", options->sessions);
	report_count("lost", stall.lost);
	watch_close(&stall.listener);
	for (int side = 0; side < STALL_SIDES; side++)
		free(stall.ends[side]);
	free(stall.sent);
}
