/*
 * Flood: clients that connect and never say a word, so many in all and so many at a time; one that
 * is cut off is followed by another. A process of its own plays the server, so that honest clients
 * beside the flood have one that is not busy with it: it answers a request when that has ended.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "modes.h"
#include "report.h"

#define DEFAULT_SESSIONS    10000
#define DEFAULT_CONNECTIONS 1000
#define DEFAULT_DURATION_US (INT64_C(30) * 1000000)
#define OPENING_MOST        256   /* in one turn */
#define SERVER_MOST         65536 /* descriptors */
#define PIECE               4096

struct flood_client {
	struct watch watch;
	int64_t connected_us; /* 0: not yet */
};

static struct {
	const struct options *options;
	struct flood_client *clients;
	uint64_t *free_clients; /* a stack of those that are not open */
	uint64_t free_count;
	uint64_t begun;
	uint64_t connected;
	uint64_t resets;
	uint64_t ends_of_file;
	uint64_t unreachable; /* never connected, as far as was seen */
	uint64_t held;        /* were there to the end */
	int64_t *lives_us;    /* of those that were connected and cut off */
	uint64_t life_count;
} flood;

/* ---- the server -------------------------------------------------------------------------------
 */

static struct watch *served[SERVER_MOST]; /* by descriptor */

static void on_request(struct watch *watch, uint32_t events)
{
	static const char answer[64] = "answer";
	char piece[PIECE];
	ssize_t count = net_recv(watch->fd, piece, sizeof(piece));

	(void)events;
	if (count > 0 || count == -EAGAIN)
		return;
	if (count == 0)
		(void)net_send(watch->fd, answer, sizeof(answer));
	watch_close(watch);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd = net_accept(watch->fd);

	(void)events;
	if (fd == -EAGAIN)
		return;
	if (fd < 0 || fd >= SERVER_MOST)
		report_die(EXIT_FAILURE, "accept: %s", fd < 0 ? strerror(-fd) : "too many");
	if (served[fd] == NULL)
		served[fd] = calloc(1, sizeof(*served[fd]));
	if (served[fd] == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
	*served[fd] = (struct watch){ .on_ready = on_request, .fd = fd };
	watch_start(served[fd], EPOLLIN);
}

/* Returns its process, which ends with this one. */
static pid_t start_server(int listener)
{
	struct watch watch = { .on_ready = on_connection, .fd = listener };
	pid_t parent = getpid();
	pid_t child = fork();

	if (child < 0)
		report_die(EXIT_FAILURE, "fork: %s", strerror(errno));
	if (child > 0)
		return child;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail for a signal that there is */
	watch_start(&watch, EPOLLIN);
	while (getppid() == parent)
		watch_turn(1000000);
	_exit(EXIT_SUCCESS);
}

/* ---- the clients ------------------------------------------------------------------------------
 */

static void end_client(struct flood_client *client, ssize_t why)
{
	if (client->connected_us == 0)
		flood.unreachable++;
	else if (why == 0)
		flood.ends_of_file++;
	else
		flood.resets++;
	if (client->connected_us != 0)
		flood.lives_us[flood.life_count++] = net_now_us() - client->connected_us;
	watch_close(&client->watch);
	flood.free_clients[flood.free_count++] = (uint64_t)(client - flood.clients);
}

static void connect_client(struct flood_client *client)
{
	client->connected_us = net_now_us();
	flood.connected++;
}

static void on_client(struct watch *watch, uint32_t events)
{
	struct flood_client *client = (struct flood_client *)watch;
	bool is_over = (events & (EPOLLERR | EPOLLHUP)) != 0;
	char piece[PIECE];
	ssize_t count;

	if (client->connected_us == 0 && is_over) {
		/* Connected and cut off in one go: a refusal has an error of its own. */
		if (net_take_error(watch->fd) == ECONNRESET)
			connect_client(client);
		end_client(client, -ECONNRESET);
		return;
	}
	if (client->connected_us == 0) {
		connect_client(client);
		watch_change(watch, EPOLLIN);
	}
	count = net_recv(watch->fd, piece, sizeof(piece));
	if (count <= 0 && count != -EAGAIN)
		end_client(client, count);
}

static void begin(void)
{
	struct flood_client *client = &flood.clients[flood.free_clients[--flood.free_count]];
	int fd = net_connect(&flood.options->via, options_source(flood.options, flood.begun), 0);

	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s (--sources has more ports)", strerror(-fd));
	*client = (struct flood_client){ .watch = { .on_ready = on_client, .fd = fd } };
	flood.begun++;
	watch_start(&client->watch, EPOLLIN | EPOLLOUT);
}

/* How many may have begun by now. */
static uint64_t due(int64_t elapsed_us)
{
	uint64_t rate = flood.options->rate;
	uint64_t by_now = (uint64_t)elapsed_us * rate / 1000000 + 1; /* the first one at once */

	return rate == 0 || by_now > flood.options->sessions ? flood.options->sessions : by_now;
}

static bool is_all_over(void)
{
	return flood.begun == flood.options->sessions &&
	       flood.free_count == flood.options->connections;
}

static void run_clients(void)
{
	int64_t start_us = net_now_us();
	int64_t elapsed_us = 0;

	while (elapsed_us < flood.options->duration_us && !is_all_over()) {
		uint64_t until = due(elapsed_us);

		for (int i = 0; i < OPENING_MOST; i++)
			if (flood.begun < until && flood.free_count > 0)
				begin();
		watch_turn(1000);
		elapsed_us = net_now_us() - start_us;
	}
	report_seconds("seconds", elapsed_us);
}

static void abort_rest(void)
{
	for (uint64_t i = 0; i < flood.options->connections; i++) {
		struct flood_client *client = &flood.clients[i];

		if (client->watch.fd < 0)
			continue;
		flood.held += client->connected_us != 0;
		flood.unreachable += client->connected_us == 0;
		net_abort(client->watch.fd);
		client->watch.fd = -1;
	}
}

/* ---- the report -------------------------------------------------------------------------------
 */

static int compare_lives(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int64_t life_at(unsigned percent)
{
	return flood.life_count == 0 ? 0 : flood.lives_us[(flood.life_count - 1) * percent / 100];
}

static void report(void)
{
	qsort(flood.lives_us, flood.life_count, sizeof(*flood.lives_us), compare_lives);
	report_count("begun", flood.begun);
	report_count("connected", flood.connected);
	report_count("resets", flood.resets);
	report_count("ends_of_file", flood.ends_of_file);
	report_count("unreachable", flood.unreachable);
	report_count("held", flood.held);
	report_seconds("life_shortest", life_at(0));
	report_seconds("life_median", life_at(50));
	report_seconds("life_longest", life_at(100));
}

static void make_tables(const struct options *options)
{
	flood.clients = calloc(options->connections, sizeof(*flood.clients));
	flood.free_clients = calloc(options->connections, sizeof(*flood.free_clients));
	flood.lives_us = calloc(options->sessions, sizeof(*flood.lives_us));
	if (flood.clients == NULL || flood.free_clients == NULL || flood.lives_us == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
	while (flood.free_count < options->connections) {
		flood.clients[flood.free_count].watch.fd = -1;
		flood.free_clients[flood.free_count] = flood.free_count;
		flood.free_count++;
	}
}

void flood_run(struct options *options)
{
	int listener;
	pid_t server;

	if (options->sessions == 0)
		options->sessions = DEFAULT_SESSIONS;
	if (options->connections == 0)
		options->connections = DEFAULT_CONNECTIONS;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_DURATION_US;
	flood.options = options;
	make_tables(options);
	listener = options_meet(options);
	server = start_server(listener);
	(void)close(listener);
	options_ready(options, options->connections);
	run_clients();
	abort_rest();
	report();
	options_hold(options);
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	free(flood.clients);
	free(flood.free_clients);
	free(flood.lives_us);
}
