/*
 * The crowd: many sessions of random plans, so many at a time, and the account at the end. Sessions
 * and connections live in two tables for the whole run: an end is found by its number, and an event
 * that comes late finds an end that is over.
 *
 * A connection whose client sent nothing cannot be told from another one; those are compared by
 * their numbers: as many silent ends of file as clients that ended in silence.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "crowd_end.h"
#include "modes.h"
#include "pattern.h"
#include "report.h"

#define DEFAULT_SESSIONS    10000
#define DEFAULT_CONNECTIONS 200
#define DEFAULT_SIZE        262144
#define DEFAULT_RUN_US      (INT64_C(300) * 1000000)
#define DEFAULT_PATIENCE_US (INT64_C(20) * 1000000)
#define TURN_US             50000

static struct {
	const struct options *options;
	struct session *sessions;
	uint64_t session_count;
	uint64_t launched;
	struct end *connections;
	uint64_t accepted;
	uint64_t live_clients;
	uint64_t live_servers;
	struct watch listener;
	struct plan_settings settings;
	LIST_HEAD(live_ends, end) live;
} crowd;

static struct end *find_end(const struct end *end, uint64_t number)
{
	if (end->role == ROLE_SERVER)
		return number < crowd.launched ? &crowd.sessions[number].client : NULL;
	return number < crowd.accepted ? &crowd.connections[number] : NULL;
}

static void add_end(struct end *end, int fd, uint64_t *live_count)
{
	end_start(end, fd, net_now_us());
	LIST_INSERT_HEAD(&crowd.live, end, live);
	(*live_count)++;
}

static void on_connection(struct watch *watch, uint32_t events)
{
	(void)events;
	while (crowd.accepted < crowd.session_count) {
		int fd = net_accept(watch->fd);

		if (fd == -EAGAIN)
			return;
		if (fd < 0)
			report_die(EXIT_FAILURE, "accept: %s", strerror(-fd));

		struct end *end = &crowd.connections[crowd.accepted];

		end->role = ROLE_SERVER;
		end->number = crowd.accepted++;
		end->answers_nameless = pattern_mix(crowd.settings.seed, end->number) % 2 == 0;
		add_end(end, fd, &crowd.live_servers);
	}
	/* A server's connection for each session at most: one more would be a relay's own idea. */
	int fd = net_accept(watch->fd);

	if (fd >= 0) {
		report_error("more connections than sessions");
		net_abort(fd);
	}
}

static bool launch_one(void)
{
	struct session *session = &crowd.sessions[crowd.launched];
	struct end *end = &session->client;

	plan_draw(&session->plan, &crowd.settings, crowd.launched);

	int fd = net_connect(&crowd.options->via, options_source(crowd.options, crowd.launched),
			     session->plan.receive_buffer);

	/* No port is free for now, or the queue is full: the next turn tries again. */
	if (fd == -EADDRNOTAVAIL || fd == -EAGAIN)
		return false;
	if (fd < 0)
		report_die(EXIT_FAILURE, "connect: %s", strerror(-fd));
	end->role = ROLE_CLIENT;
	end->number = crowd.launched++;
	end->session = session;
	add_end(end, fd, &crowd.live_clients);
	return true;
}

static void launch_where_free(void)
{
	uint64_t most = crowd.options->connections;

	while (crowd.launched < crowd.session_count && crowd.live_clients < most &&
	       crowd.live_servers < 2 * most && launch_one())
		;
}

/* Steps those whose time has come, drops those that are over; returns how long to sleep. */
static int64_t tick_all(void)
{
	int64_t now_us = net_now_us();
	int64_t sleep_us = TURN_US;
	struct end *next;

	for (struct end *end = LIST_FIRST(&crowd.live); end != NULL; end = next) {
		next = LIST_NEXT(end, live);
		if (!end->over)
			end_tick(end, now_us);
		if (end->over) {
			LIST_REMOVE(end, live);
			end->role == ROLE_CLIENT ? crowd.live_clients-- : crowd.live_servers--;
		} else if (end->wake_us < now_us + sleep_us) {
			sleep_us = end->wake_us - now_us;
		}
	}
	return sleep_us;
}

static void give_up(const char *why)
{
	struct end *end;

	LIST_FOREACH(end, &crowd.live, live)
	if (!end->over)
		end_fail(end, "%s", why);
	if (crowd.launched < crowd.session_count)
		report_error("%" PRIu64 " sessions were not begun",
			     crowd.session_count - crowd.launched);
}

static void run_sessions(void)
{
	int64_t until_us = net_now_us() + crowd.options->duration_us;

	LIST_INIT(&crowd.live);
	watch_start(&crowd.listener, EPOLLIN);
	while (crowd.launched < crowd.session_count || !LIST_EMPTY(&crowd.live)) {
		if (net_now_us() > until_us) {
			give_up("the run's time is over");
			return;
		}
		launch_where_free();
		watch_turn(tick_all());
	}
}

struct account {
	uint64_t complete;
	uint64_t failed;
	uint64_t resets[ROLES];
	uint64_t bytes[ROLES]; /* that the end of this role received */
	uint64_t silent_clients;
	uint64_t silent_connections;
	uint64_t unknown_aborts;
	uint64_t unknown_resets;
};

static bool is_clean(const struct end *end)
{
	return end->over && end->fin_sent && end->got_eof && !end->aborted && !end->got_reset;
}

static void account_session(struct account *account, const struct session *session)
{
	const struct end *client = &session->client;
	const struct end *server = client->peer;

	account->bytes[ROLE_CLIENT] += client->received;
	if (server == NULL && client->aborted)
		account->unknown_aborts++;
	if (session->failed)
		account->failed++;
	else if (client->aborted)
		account->resets[ROLE_CLIENT]++;
	else if (server != NULL && server->aborted)
		account->resets[ROLE_SERVER]++;
	else if (is_clean(client) && (server == NULL || is_clean(server)))
		account->complete++;
	else
		report_error("session %" PRIu64 " has no end", client->number);
	if (server == NULL && is_clean(client))
		account->silent_clients++;
}

static void account_connection(struct account *account, const struct end *end)
{
	account->bytes[ROLE_SERVER] += end->received;
	if (end->session != NULL)
		return;
	if (is_clean(end))
		account->silent_connections++;
	else if (end->got_reset)
		account->unknown_resets++;
}

static void report_account(const struct account *account)
{
	report_count("sessions", crowd.launched);
	report_count("complete", account->complete);
	report_count("reset_by_client", account->resets[ROLE_CLIENT]);
	report_count("reset_by_server", account->resets[ROLE_SERVER]);
	report_count("failed", account->failed);
	report_count("silent", account->silent_clients);
	report_count("bytes_up", account->bytes[ROLE_SERVER]);
	report_count("bytes_down", account->bytes[ROLE_CLIENT]);
}

static void account_all(void)
{
	struct account account = { 0 };

	for (uint64_t i = 0; i < crowd.launched; i++)
		account_session(&account, &crowd.sessions[i]);
	for (uint64_t i = 0; i < crowd.accepted; i++)
		account_connection(&account, &crowd.connections[i]);
	report_account(&account);
	if (account.silent_connections != account.silent_clients)
		report_error("%" PRIu64 " clients ended without a word, and %" PRIu64
			     " connections were",
			     account.silent_clients, account.silent_connections);
	if (account.unknown_resets > account.unknown_aborts)
		report_error("%" PRIu64 " connections were reset without a word, by %" PRIu64
			     " clients",
			     account.unknown_resets, account.unknown_aborts);
}

static void set_defaults(struct options *options)
{
	if (options->sessions == 0)
		options->sessions = DEFAULT_SESSIONS;
	if (options->connections == 0)
		options->connections = DEFAULT_CONNECTIONS;
	if (options->size == 0)
		options->size = DEFAULT_SIZE;
	if (options->duration_us == 0)
		options->duration_us = DEFAULT_RUN_US;
	if (options->patience_us == 0)
		options->patience_us = DEFAULT_PATIENCE_US;
	if (options->seed == 0)
		options->seed = (uint64_t)time(NULL);
}

void crowd_run(struct options *options)
{
	int64_t start_us;

	set_defaults(options);
	crowd.options = options;
	crowd.session_count = options->sessions;
	crowd.settings = (struct plan_settings){ .seed = options->seed,
						 .size = options->size,
						 .resets = options->resets,
						 .huge = options->huge };
	crowd.sessions = calloc(options->sessions, sizeof(*crowd.sessions));
	crowd.connections = calloc(options->sessions, sizeof(*crowd.connections));
	if (crowd.sessions == NULL || crowd.connections == NULL)
		report_die(EXIT_FAILURE, "no memory for so many sessions");
	pattern_init(PATTERN_LONG);
	end_setup(&(struct end_context){ .patience_us = options->patience_us, .find = find_end });
	crowd.listener = (struct watch){ .on_ready = on_connection, .fd = options_meet(options) };
	report_count("seed", options->seed);
	start_us = net_now_us();
	run_sessions();
	report_seconds("seconds", net_now_us() - start_us);
	account_all();
	watch_close(&crowd.listener);
	free(crowd.sessions);
	free(crowd.connections);
}
