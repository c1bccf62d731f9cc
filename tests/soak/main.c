/*
 * finback-soak: very many sessions through a relay, all alike in that nobody cuts them off, but for
 * the few whose peer vanishes without a word. Both ends are in this one process, each on the host
 * whose sockets it was given, so that it knows of every session what really happened.
 *
 * Slots and ends live in tables of a fixed size, and are given back at the end of a turn only: an
 * event that comes late finds an end that is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../load/pattern.h"
#include "../load/report.h"
#include "end.h"
#include "options.h"

#define LASTING_MOST  2000 /* at a time, beside the others */
#define SLOTS         8192
#define VANISHED_MOST 6000 /* each keeps a descriptor */
#define ENDS          (SLOTS * 2 + VANISHED_MOST)
#define TURN_US       5000
#define LOOK_US       500000 /* between looks for those that are stuck */
#define PROGRESS_US   INT64_C(2000000)
#define HOLD_US       (INT64_C(7200) * 1000000)

/* What the driver is told of a session whose peer vanished. */
struct vanished {
	uint64_t number;
	enum role gone;
	const char *state;
	char client[NET_TEXT_MAX];
	int64_t vanished_us; /* by CLOCK_MONOTONIC */
	int64_t lived_us;    /* until then */
	int64_t cut_us;      /* from then until the other end read the reset; -1: none */
	bool fin_sent[ROLES];
};

static struct {
	struct options options;
	struct end_context ends;
	struct session slots[SLOTS];
	unsigned free_slots[SLOTS];
	unsigned free_slot_count;
	struct end *pool;
	unsigned free_ends[ENDS];
	unsigned free_end_count;
	struct end *over[ENDS]; /* in this turn */
	unsigned over_count;
	struct vanished vanished[VANISHED_MOST];
	unsigned vanished_count;
	struct script next_script; /* of the session to launch next */
	bool has_next;
	uint64_t launched;
	uint64_t lively; /* now */
	uint64_t lasting;
	uint64_t complete;
	uint64_t failed;
	uint64_t rested;
	uint64_t bytes[ROLES]; /* of complete sessions */
} run;

/* A session's name: its number and its slot. */
static void write_name(const struct session *session, uint8_t name[NAME_SIZE])
{
	uint64_t value = session->number * SLOTS + session->slot;

	memcpy(name, &value, NAME_SIZE);
}

static struct session *find_session(const uint8_t name[NAME_SIZE])
{
	uint64_t value;
	struct session *session;

	memcpy(&value, name, NAME_SIZE);
	session = &run.slots[value % SLOTS];
	return session->is_known && session->number == value / SLOTS ? session : NULL;
}

static void on_over(struct end *end)
{
	run.over[run.over_count++] = end;
}

static struct end *take_end(enum role role)
{
	struct end *end = &run.pool[run.free_ends[--run.free_end_count]];

	*end = (struct end){ .role = role };
	return end;
}

static void give_back(struct end *end)
{
	/* One that vanished stays: its socket does. */
	if (end != NULL && end->watch.fd < 0)
		run.free_ends[run.free_end_count++] = (unsigned)(end - run.pool);
}

static void print_client(const struct end *end, char text[NET_TEXT_MAX])
{
	struct net_address address = { .length = sizeof(address.storage) };

	if (getsockname(end->watch.fd, (struct sockaddr *)&address.storage, &address.length) < 0)
		report_die(EXIT_FAILURE, "getsockname: %s", strerror(errno));
	net_print(&address, text);
}

/* Set down while the client's socket is sure to be there, and filled in when all is over. */
static void note_vanishing(struct session *session)
{
	if (run.vanished_count == VANISHED_MOST)
		report_die(EXIT_FAILURE, "more sessions vanish than there are descriptors for");

	struct vanished *vanished = &run.vanished[run.vanished_count];

	*vanished = (struct vanished){ .number = session->number,
				       .gone = session->script.gone,
				       .state = session->script.kind,
				       .cut_us = -1 };
	print_client(session->ends[ROLE_CLIENT], vanished->client);
	session->note = run.vanished_count++;
}

static void fill_in(const struct session *session)
{
	struct vanished *vanished = &run.vanished[session->note];
	const struct end *left = session->ends[role_other(session->script.gone)];

	vanished->vanished_us = session->vanished_us;
	vanished->lived_us = session->vanished_us - session->begun_us;
	if (left->got_reset)
		vanished->cut_us = left->over_us - session->vanished_us;
	for (int role = 0; role < ROLES; role++)
		vanished->fin_sent[role] = session->ends[role]->fin_sent;
}

static void count_complete(const struct session *session)
{
	run.complete++;
	for (int role = 0; role < ROLES; role++)
		run.bytes[role] += session->ends[role]->sent;
}

static void end_session(struct session *session)
{
	if (session->has_failed)
		run.failed++;
	else if (session->script.gone != ROLES)
		fill_in(session);
	else
		count_complete(session);
	if (session->script.is_lasting)
		run.lasting--;
	else
		run.lively--;
	if (session->script.is_lasting && session->script.gone == ROLES)
		run.rested++;
	for (int role = 0; role < ROLES; role++)
		give_back(session->ends[role]);
	session->is_known = false;
	for (unsigned i = 0; i < run.options.lane_count; i++) {
		if (run.options.lanes[i].expected == session)
			run.options.lanes[i].expected = NULL;
	}
	run.free_slots[run.free_slot_count++] = session->slot;
}

static bool is_over(const struct session *session)
{
	const struct end *server = session->ends[ROLE_SERVER];

	return session->ends[ROLE_CLIENT]->is_over &&
	       (server == NULL ? session->has_failed : server->is_over);
}

static void reap(void)
{
	for (unsigned i = 0; i < run.over_count; i++) {
		struct end *end = run.over[i];
		struct session *session = end->session;

		if (session == NULL)
			give_back(end);
		else if (session->is_known && is_over(session))
			end_session(session);
	}
	run.over_count = 0;
}

static void add_server(int fd, struct session *session)
{
	if (run.free_end_count == 0)
		report_die(EXIT_FAILURE, "more connections to the servers than sessions");

	struct end *end = take_end(ROLE_SERVER);

	if (session != NULL)
		end_join(end, session);
	end_start(end, fd);
}

static int accept_one(const struct watch *watch)
{
	int fd = net_accept(watch->fd);

	if (fd < 0 && fd != -EAGAIN)
		report_die(EXIT_FAILURE, "accept: %s", strerror(-fd));
	return fd;
}

static void on_connection(struct watch *watch, uint32_t events)
{
	int fd;

	(void)events;
	while ((fd = accept_one(watch)) >= 0)
		add_server(fd, NULL);
}

static void on_expected(struct watch *watch, uint32_t events)
{
	struct lane *lane = (struct lane *)watch;
	int fd;

	(void)events;
	while ((fd = accept_one(watch)) >= 0) {
		if (lane->expected == NULL) {
			report_error("a connection on a lane where none was expected");
			net_abort(fd);
			continue;
		}
		add_server(fd, lane->expected);
		lane->expected = NULL;
	}
}

static int connect_from(const struct route *route)
{
	const struct sockaddr *from = (const struct sockaddr *)&route->from.storage;
	const struct sockaddr *to = (const struct sockaddr *)&route->to.storage;
	int on = 1;
	int fd = socket(from->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
	    bind(fd, from, route->from.length) < 0 ||
	    (connect(fd, to, route->to.length) < 0 && errno != EINPROGRESS)) {
		int error = errno;

		(void)close(fd);
		return -error;
	}
	return fd;
}

static struct lane *find_lane(void)
{
	for (unsigned i = 0; i < run.options.lane_count; i++) {
		struct lane *lane = &run.options.lanes[(run.launched + i) % run.options.lane_count];

		if (lane->expected == NULL)
			return lane;
	}
	return NULL;
}

/* False: not now. */
static bool launch(void)
{
	struct lane *lane = run.next_script.is_quiet ? find_lane() : NULL;
	const struct route *route = &run.options.routes[run.launched % run.options.route_count];
	int fd;

	if (run.next_script.is_quiet && lane == NULL)
		return false;
	fd = connect_from(lane == NULL ? route : &lane->route);
	if (fd == -EADDRNOTAVAIL || fd == -EAGAIN)
		return false;
	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));

	unsigned slot = run.free_slots[--run.free_slot_count];
	struct session *session = &run.slots[slot];
	struct end *client = take_end(ROLE_CLIENT);

	*session = (struct session){ .number = run.launched++,
				     .slot = slot,
				     .script = run.next_script,
				     .ends = { client, NULL },
				     .begun_us = net_now_us(),
				     .is_known = true };
	client->session = session;
	end_start(client, fd);
	if (lane != NULL)
		lane->expected = session;
	if (session->script.gone != ROLES)
		note_vanishing(session);
	return true;
}

static bool has_room(void)
{
	uint64_t count = run.next_script.is_lasting ? run.lasting : run.lively;
	uint64_t most = run.next_script.is_lasting ? LASTING_MOST : run.options.at_a_time;

	return count < most && run.free_slot_count > 0 && run.free_end_count > 0;
}

static void launch_where_free(void)
{
	while (run.launched < run.options.sessions) {
		if (!run.has_next)
			script_draw(&run.next_script, &run.options.script, run.launched);
		run.has_next = true;
		if (!has_room() || !launch())
			return;
		run.has_next = false;
		if (run.next_script.is_lasting)
			run.lasting++;
		else
			run.lively++;
	}
}

static void give_up(struct session *session)
{
	struct end *client = session->ends[ROLE_CLIENT];
	struct end *server = session->ends[ROLE_SERVER];
	bool is_alone = client->is_over && server == NULL;

	end_fail(client->is_over && server != NULL ? server : client, "stuck");
	/* A client that vanished, and nobody was connected to for it. */
	if (is_alone)
		on_over(client);
}

static void end_stuck(int64_t now_us)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct session *session = &run.slots[i];

		if (session->is_known && !is_over(session) &&
		    now_us - session->begun_us > run.options.patience_us)
			give_up(session);
	}
}

static uint64_t done(void)
{
	return run.launched - run.lively - run.lasting;
}

static void go_on(void)
{
	int64_t looked_us = net_now_us();
	int64_t told_us = looked_us;

	while (done() < run.options.sessions) {
		int64_t now_us;

		launch_where_free();
		watch_turn(TURN_US);
		now_us = net_now_us();
		end_wake(now_us);
		if (now_us - looked_us > LOOK_US) {
			looked_us = now_us;
			end_stuck(now_us);
		}
		reap();
		if (now_us - told_us > PROGRESS_US) {
			told_us = now_us;
			report_count("done", done());
		}
	}
}

static void report_vanished(const struct vanished *vanished)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%" PRIu64 " %s %s %s %.6f %.6f %.6f %d %d",
		       vanished->number, role_names[vanished->gone], vanished->state,
		       vanished->client, (double)vanished->vanished_us / 1e6,
		       (double)vanished->lived_us / 1e6, (double)vanished->cut_us / 1e6,
		       vanished->fin_sent[ROLE_CLIENT], vanished->fin_sent[ROLE_SERVER]);
	report_text("vanished", line);
}

static void report(int64_t begun_us)
{
	report_seconds("seconds", net_now_us() - begun_us);
	report_count("launched", run.launched);
	report_count("complete", run.complete);
	report_count("rested", run.rested);
	report_count("failed", run.failed);
	report_count("bytes_from_client", run.bytes[ROLE_CLIENT]);
	report_count("bytes_from_server", run.bytes[ROLE_SERVER]);
	for (unsigned i = 0; i < run.vanished_count; i++)
		report_vanished(&run.vanished[i]);
	report_count("errors", report_errors());
}

static void make_tables(void)
{
	run.pool = calloc(ENDS, sizeof(*run.pool));
	if (run.pool == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
	while (run.free_slot_count < SLOTS) {
		run.free_slots[run.free_slot_count] = run.free_slot_count;
		run.free_slot_count++;
	}
	while (run.free_end_count < ENDS) {
		run.free_ends[run.free_end_count] = run.free_end_count;
		run.free_end_count++;
	}
	run.ends.settings = &run.options.script;
	run.ends.find = find_session;
	run.ends.write_name = write_name;
	run.ends.on_over = on_over;
	end_setup(&run.ends);
	pattern_init(PATTERN_SHORT);
}

static void listen_all(void)
{
	for (unsigned i = 0; i < run.options.listener_count; i++) {
		run.options.listeners[i].on_ready = on_connection;
		watch_start(&run.options.listeners[i], EPOLLIN);
	}
	for (unsigned i = 0; i < run.options.lane_count; i++) {
		run.options.lanes[i].listener.on_ready = on_expected;
		watch_start(&run.options.lanes[i].listener, EPOLLIN);
	}
}

static void take_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	char line[8];
	int64_t begun_us = net_now_us();

	options_parse(&run.options, argc, argv);
	take_descriptors();
	make_tables();
	listen_all();
	go_on();
	report(begun_us);
	/* Those that vanished stay silent until the driver has seen what became of them. */
	(void)net_read_line(line, sizeof(line), HOLD_US);
	free(run.pool);
	return report_errors() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
