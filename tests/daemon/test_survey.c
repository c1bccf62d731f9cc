/*
 * daemon/survey over two real workers with real sessions: lists in slices, filters, one session's
 * facts, kills, and the last that ended. ThreadSanitizer sees what the threads share.
 */
#include <finback/daemon/survey.h>
#include <finback/daemon/worker.h>
#include <finback/host/log.h>

#include <ev.h>
#include <netinet/tcp.h>

#include "../io/peers.h"

#define WORKERS      2
#define SESSIONS_MAX 256

/* Two listeners' worth of sessions: "web" with a TCP server, "local" with a UNIX server. */
enum route_name {
	WEB,
	LOCAL,
	ROUTES
};

static struct stage {
	char folder[64];
	struct ev_loop *loop;
	struct mailbox mailbox;
	struct crew crew;
	struct registry registry;
	struct generation *generation;
	int front; /* where clients connect to */
	int backends[ROUTES];
	int clients[SESSIONS_MAX];
	int servers[SESSIONS_MAX];
	size_t count;
} stage;

/* ---- workers ------------------------------------------------------------------------------------
 */

static void on_nothing(void *recipient, struct letter *letter)
{
	(void)recipient;
	(void)letter;
}

static int make_folder(void **state)
{
	(void)state;
	strcpy(stage.folder, "/tmp/finback-survey-XXXXXX");
	return mkdtemp(stage.folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(stage.folder);
}

static void open_backends(void)
{
	struct address local = unix_path(stage.folder, "server");
	struct address web = loopback();

	stage.backends[WEB] = peer_listening(&web, 1024);
	stage.backends[LOCAL] = peer_listening(&local, 8);
}

static struct config *make_config(void)
{
	struct config_problems problems;
	struct config *config = NULL;
	char text[1024];

	(void)snprintf(
		text, sizeof text,
		"log = { target = \"stderr\"; level = \"error\"; sessions = \"none\"; };"
		"pools = ( { name = \"web\"; servers = ( { name = \"big\"; address = "
		"\"127.0.0.1:%d\"; "
		"} ); },"
		"          { name = \"app\"; servers = ( \"unix:%s/server\" ); } );"
		"listeners = ( { name = \"web\"; listen = \"127.0.0.1:0\"; pool = \"web\";"
		"                timeouts = { half_closed = \"1m\"; }; },"
		"              { name = \"local\"; listen = \"127.0.0.1:0\"; pool = \"app\"; } );",
		ntohs(address_of(stage.backends[WEB]).v4.sin_port), stage.folder);
	if (config_load_text(text, "test", &config, &problems) < 0)
		fail_msg("%s", problems.error_count > 0 ? problems.errors[0] : "no memory");
	config_problems_fini(&problems);
	return config;
}

static int open_stage(void **state)
{
	const struct sock_listen options = { .backlog = 64 };
	struct address address = loopback();

	(void)state;
	open_backends();
	stage.front = sock_listen(&address, &options);
	assert_true(stage.front >= 0);
	stage.count = 0;
	stage.loop = ev_loop_new(EVBACKEND_EPOLL);
	assert_int_equal(mailbox_init(&stage.mailbox, stage.loop, &stage), 0);
	registry_init(&stage.registry, WORKERS);
	stage.generation = generation_create(make_config(), &stage.registry);
	assert_non_null(stage.generation);
	assert_int_equal(log_open(&stage.generation->config->log), 0);
	stage.crew = (struct crew){ 0 };
	assert_int_equal(crew_start(&stage.crew, WORKERS, &stage.mailbox, on_nothing, on_nothing),
			 0);
	return 0;
}

static bool is_answered;

/* Runs the supervisor's loop until somebody has answered. */
static void await_answer(void)
{
	while (!is_answered)
		ev_run(stage.loop, EVRUN_ONCE);
}

static void on_answer(struct inquiry *inquiry)
{
	assert_ptr_equal(inquiry->crew, &stage.crew);
	is_answered = true;
}

static int close_stage(void **state)
{
	struct address path = unix_path(stage.folder, "server");

	(void)state;
	crew_cut(&stage.crew, ENDING_DRAINED);
	for (int waited_ms = 0; crew_active(&stage.crew) > 0; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		sleep_ms(1);
	}
	crew_stop(&stage.crew);
	for (size_t i = 0; i < WORKERS; i++) {
		assert_int_equal(atomic_load(&stage.crew.workers[i].relays.descriptors), 0);
		assert_int_equal(atomic_load(&stage.crew.workers[i].relays.buffer_bytes), 0);
	}
	crew_fini(&stage.crew);
	mailbox_fini(&stage.mailbox);
	generation_unref(stage.generation);
	registry_fini(&stage.registry);
	ev_loop_destroy(stage.loop);
	for (size_t i = 0; i < stage.count; i++) {
		sock_close(stage.clients[i]);
		sock_close(stage.servers[i]);
	}
	sock_close(stage.front);
	sock_close(stage.backends[WEB]);
	sock_close(stage.backends[LOCAL]);
	(void)unlink(path.un.sun_path);
	return 0;
}

/* ---- sessions -----------------------------------------------------------------------------------
 */

/* A client from 127.0.0.`host` becomes a session of that worker, whose server accepts it, unless
 * its listener is full. Returns its place in the stage. */
static size_t start_session(enum route_name name, size_t worker, uint8_t host)
{
	const struct route *route = &stage.generation->routes[name];
	struct address bound = address_of(stage.front);
	struct address peer = loopback();
	size_t place = stage.count++;
	int fd;

	assert_true(place < SESSIONS_MAX);
	peer.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
	stage.clients[place] = peer_bound(&peer);
	assert_int_equal(connect(stage.clients[place], &bound.any, bound.length), 0);
	assert_true(wait_for(stage.front, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(stage.front, &peer);
	assert_true(fd >= 0);
	(void)generation_ref(stage.generation);
	atomic_fetch_add(&route->tally->active, 1);
	atomic_fetch_add(&stage.crew.workers[worker].active, 1);
	worker_adopt(&stage.crew.workers[worker], &stage.crew.workers[1 - worker], route, fd,
		     &peer);
	stage.servers[place] = -1;
	return place;
}

static size_t open_session(enum route_name name, size_t worker, uint8_t host)
{
	size_t place = start_session(name, worker, host);

	stage.servers[place] = accept4(stage.backends[name], NULL, NULL, SOCK_CLOEXEC);
	assert_true(stage.servers[place] >= 0);
	put(stage.servers[place], "hi"); /* it is known to be connected */
	expect_text(stage.clients[place], "hi");
	return place;
}

static void open_sessions(size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)open_session(WEB, i % WORKERS, 1);
}

/* ---- questions ----------------------------------------------------------------------------------
 */

/* A slice of the list. */
static void ask(struct survey *survey)
{
	is_answered = false;
	survey->inquiry.on_answer = on_answer;
	survey_ask(&stage.crew, survey);
	await_answer();
	assert_true(survey->count <= survey->room);
}

/* The whole list, in slices of `room`, as ids in the order in which they came. */
static size_t list(const struct survey_filter *filter, size_t room, uint64_t ids[SESSIONS_MAX])
{
	static struct survey survey;
	size_t count = 0;

	for (size_t worker = 0; worker < WORKERS; worker++) {
		survey = (struct survey){ .worker = worker, .room = room, .is_brief = true };
		if (filter)
			survey.filter = *filter;
		do {
			ask(&survey);
			for (size_t i = 0; i < survey.count; i++) {
				assert_true(count < SESSIONS_MAX);
				assert_int_equal(survey.views[i].worker, worker);
				ids[count++] = survey.views[i].session.id;
			}
		} while (!survey.is_through);
	}
	return count;
}

static size_t count_of(const struct survey_filter *filter)
{
	uint64_t ids[SESSIONS_MAX];

	return list(filter, SURVEY_SLICE, ids);
}

/* Waits until so many sessions fit. */
static void expect_count(const struct survey_filter *filter, size_t expected)
{
	size_t count = count_of(filter);

	for (int waited_ms = 0; count != expected && waited_ms < PATIENCE_MS; waited_ms++) {
		sleep_ms(1);
		count = count_of(filter);
	}
	assert_int_equal(count, expected);
}

static bool look_at(uint64_t id, bool is_brief, struct session_view *ret_view)
{
	static struct survey survey;

	survey = (struct survey){ .worker = survey_worker_of(&stage.crew, id),
				  .id = id,
				  .is_brief = is_brief,
				  .room = 1 };
	ask(&survey);
	assert_true(survey.is_through);
	if (survey.count == 1)
		*ret_view = survey.views[0];
	return survey.count == 1;
}

/* The id of the youngest session of a worker. */
static uint64_t youngest_of(size_t worker)
{
	uint64_t ids[SESSIONS_MAX];
	size_t count = list(NULL, SURVEY_SLICE, ids);
	uint64_t youngest = 0;

	for (size_t i = 0; i < count; i++)
		if (survey_worker_of(&stage.crew, ids[i]) == worker && ids[i] > youngest)
			youngest = ids[i];
	assert_true(youngest > 0);
	return youngest;
}

static bool kill_session(uint64_t id)
{
	struct kill_order order = { .id = id, .inquiry.on_answer = on_answer };

	is_answered = false;
	survey_kill(&stage.crew, &order);
	await_answer();
	return order.is_found;
}

static const struct ended_survey *last_ended(size_t worker, struct survey_filter filter)
{
	static struct ended_survey survey;

	survey.inquiry.on_answer = on_answer;
	survey.filter = filter;
	survey.worker = worker;
	is_answered = false;
	survey_ask_ended(&stage.crew, &survey);
	await_answer();
	return &survey;
}

/* ---- lists --------------------------------------------------------------------------------------
 */

static void there_is_nobody(void **state)
{
	struct session_view view;

	(void)state;
	assert_int_equal(count_of(NULL), 0);
	assert_false(look_at(1, false, &view));
	assert_false(look_at(UINT64_MAX, false, &view));
	assert_false(kill_session(1));
	assert_int_equal(last_ended(0, (struct survey_filter){ 0 })->count, 0);
}

static void a_list_is_whole_in_slices_of_any_size(void **state)
{
	static const size_t rooms[] = { 1, 7, SURVEY_SLICE - 1, SURVEY_SLICE };
	uint64_t ids[SESSIONS_MAX];
	const size_t count = 2 * SURVEY_SLICE + 10;

	(void)state;
	open_sessions(count);
	for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
		assert_int_equal(list(NULL, rooms[r], ids), count);
		/* By worker, then oldest first. */
		for (size_t i = 1; i < count; i++) {
			size_t worker = survey_worker_of(&stage.crew, ids[i]);
			size_t before = survey_worker_of(&stage.crew, ids[i - 1]);

			assert_true(worker > before || (worker == before && ids[i] > ids[i - 1]));
		}
	}
}

static void a_list_while_sessions_end(void **state)
{
	static struct survey survey;
	uint64_t last = 0;
	size_t seen = 0;

	(void)state;
	for (int i = 0; i < 60; i++)
		(void)open_session(WEB, 0, 1);
	survey = (struct survey){ .room = 5, .is_brief = true };
	do {
		ask(&survey);
		for (size_t i = 0; i < survey.count; i++) {
			assert_true(survey.views[i].session.id > last);
			last = survey.views[i].session.id;
			seen++;
		}
		/* The one that it stands on, one before, and one that is still to come. */
		if (last > 0)
			(void)kill_session(last);
		if (last > 2)
			(void)kill_session(last - 2);
		(void)kill_session(last + 2);
	} while (!survey.is_through);
	assert_true(seen >= 60 - 60 / 5 && seen < 60);
}

/* ---- filters ------------------------------------------------------------------------------------
 */

static void by_state(void **state)
{
	size_t first = open_session(WEB, 0, 1);
	size_t second = open_session(WEB, 1, 1);

	(void)state;
	open_sessions(3);
	send_fin(stage.clients[first]);
	send_fin(stage.servers[second]);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_HALF_CLOSED_CLIENT }, 1);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_HALF_CLOSED_SERVER }, 1);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_HALF_CLOSED_CLIENT |
							1U << STATE_HALF_CLOSED_SERVER },
		     2);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_OPEN }, 3);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_CONNECTING }, 0);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_CLOSING }, 0);
}

static void by_name(void **state)
{
	char unix_server[128];

	(void)state;
	(void)snprintf(unix_server, sizeof unix_server, "unix:%s/server", stage.folder);
	open_sessions(3);
	(void)open_session(LOCAL, 0, 1);
	expect_count(&(struct survey_filter){ .listener = "web" }, 3);
	expect_count(&(struct survey_filter){ .listener = "local" }, 1);
	expect_count(&(struct survey_filter){ .listener = "we" }, 0);
	expect_count(&(struct survey_filter){ .pool = "app" }, 1);
	expect_count(&(struct survey_filter){ .server = "big" }, 3);
	expect_count(&(struct survey_filter){ .server = unix_server }, 1);
	expect_count(&(struct survey_filter){ .server = "big", .pool = "app" }, 0);
	expect_count(&(struct survey_filter){ .server = "big", .pool = "web" }, 3);
}

static void by_client(void **state)
{
	struct survey_filter filter = { .client = { .family = ENDPOINT_IPV4,
						    .ip = { 127, 0, 0, 8 } } };

	(void)state;
	(void)open_session(WEB, 0, 1);
	(void)open_session(WEB, 1, 8);
	(void)open_session(WEB, 0, 9);
	filter.client_prefix = 32;
	expect_count(&filter, 1);
	filter.client_prefix = 31;
	expect_count(&filter, 2);
	filter.client_prefix = 8;
	expect_count(&filter, 3);
	filter.client.family = ENDPOINT_IPV6;
	expect_count(&filter, 0);
}

#define SECOND_US INT64_C(1000000)

static void by_age_and_deadline(void **state)
{
	size_t place = open_session(WEB, 0, 1);

	(void)state;
	open_sessions(2);
	assert_int_equal(count_of(&(struct survey_filter){ .min_age_us = 3600 * SECOND_US }), 0);
	expect_count(&(struct survey_filter){ .min_age_us = 20000 }, 3); /* in a moment */
	send_fin(stage.clients[place]);
	expect_count(&(struct survey_filter){ .ending_within_us = 61 * SECOND_US }, 1);
	assert_int_equal(count_of(&(struct survey_filter){ .ending_within_us = SECOND_US }), 0);
	expect_count(&(struct survey_filter){ .ending_within_us = 3601 * SECOND_US }, 3);
}

/* ---- one session --------------------------------------------------------------------------------
 */

static uint16_t port_of(int fd)
{
	return ntohs(address_of(fd).v4.sin_port);
}

static void an_open_session(void **state)
{
	size_t place = open_session(WEB, 1, 1);
	uint64_t id = youngest_of(1);
	struct session_view view;

	(void)state;
	put(stage.clients[place], "four");
	expect_text(stage.servers[place], "four");
	assert_true(look_at(id, false, &view));
	assert_int_equal(view.session.id, id);
	assert_int_equal(session_state(&view.session), STATE_OPEN);
	assert_int_equal(view.worker, 1);
	assert_string_equal(view.listener, "web");
	assert_string_equal(view.pool, "web");
	assert_string_equal(view.server_name, "big");
	assert_false(view.is_retrying);
	assert_int_equal(view.session.flows[CLIENT].bytes, 4);
	assert_int_equal(view.session.flows[SERVER].bytes, 2);
	assert_int_equal(view.peers[CLIENT].port, port_of(stage.clients[place]));
	assert_int_equal(view.peers[SERVER].port, port_of(stage.backends[WEB]));
	assert_int_equal(view.locals[CLIENT].port, port_of(stage.front));
	assert_int_not_equal(view.locals[SERVER].port, 0);
	for (enum side side = CLIENT; side < SIDES; side++)
		assert_string_equal(tcp_state_name(view.tcp[side].state), "ESTABLISHED");
	assert_int_equal(view.ending.deadline, DEADLINE_IDLE);
	assert_in_range(view.ending.at_us - view.now_us, 3590 * SECOND_US, 3600 * SECOND_US);
	assert_true(view.now_us >= moment_us(view.session.accepted));
}

/* Of a server's addresses, the one that answered. */
static void a_server_s_second_address(void **state)
{
	struct config_server *server = &stage.generation->config->pools[WEB].servers[0];
	static struct address addresses[2]; /* until the last session has ended */
	struct session_view view;

	(void)state;
	addresses[0] = loopback();
	addresses[1] = server->addresses[0];
	sock_close(peer_listening(&addresses[0], 1)); /* and there is nobody any more */
	server->addresses = addresses;
	server->address_count = 2;
	(void)open_session(WEB, 0, 1);
	assert_true(look_at(youngest_of(0), false, &view));
	assert_int_equal(view.session.connects, 2);
	assert_int_equal(view.peers[SERVER].port, port_of(stage.backends[WEB]));
}

static void a_half_closed_session(void **state)
{
	size_t place = open_session(WEB, 0, 1);
	uint64_t id = youngest_of(0);
	struct session_view view;

	(void)state;
	send_fin(stage.clients[place]);
	expect_result(stage.servers[place], 0);
	for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms++) {
		assert_true(look_at(id, false, &view));
		if (view.tcp[SERVER].state == TCP_FIN_WAIT2) /* the FIN is acknowledged */
			break;
		sleep_ms(1);
	}
	assert_string_equal(tcp_state_name(view.tcp[CLIENT].state), "CLOSE_WAIT");
	assert_string_equal(tcp_state_name(view.tcp[SERVER].state), "FIN_WAIT2");
	assert_int_equal(view.ending.deadline, DEADLINE_HALF_CLOSED);
	assert_in_range(view.ending.at_us - view.now_us, 1, 60 * SECOND_US);
}

static void a_brief_view_asks_no_socket(void **state)
{
	struct session_view view;

	(void)state;
	(void)open_session(WEB, 0, 1);
	assert_true(look_at(youngest_of(0), true, &view));
	assert_true(view.is_brief);
	assert_string_equal(view.server_name, "big");
	for (enum side side = CLIENT; side < SIDES; side++) {
		assert_int_equal(view.tcp[side].state, 0);
		assert_int_equal(view.locals[side].family, ENDPOINT_NONE);
	}
	assert_int_equal(view.ending.deadline, DEADLINE_IDLE);
}

static void a_unix_server_has_no_facts(void **state)
{
	struct session_view view;

	(void)state;
	(void)open_session(LOCAL, 0, 1);
	assert_true(look_at(youngest_of(0), false, &view));
	assert_string_equal(tcp_state_name(view.tcp[CLIENT].state), "ESTABLISHED");
	assert_int_equal(view.tcp[SERVER].state, 0);
	assert_true(view.session.legs[SERVER].is_unix);
	assert_false(view.session.legs[CLIENT].is_unix);
	assert_int_equal(view.peers[SERVER].family, ENDPOINT_UNIX);
	assert_int_equal(view.locals[SERVER].family, ENDPOINT_UNIX);
}

/* A UNIX server with a full backlog: the session waits, and says so. */
static void a_session_that_tries_again(void **state)
{
	struct address path = unix_path(stage.folder, "server");
	struct session_view view;
	int fillers[2];

	(void)state;
	assert_int_equal(listen(stage.backends[LOCAL], 1), 0);
	for (int i = 0; i < 2; i++)
		fillers[i] = peer_connected(&path);
	(void)start_session(LOCAL, 0, 1);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_CONNECTING }, 1);
	assert_true(look_at(youngest_of(0), false, &view));
	assert_true(view.is_retrying);
	assert_int_equal(view.session.connects, 1);
	assert_int_equal(view.peers[SERVER].family, ENDPOINT_UNIX);
	assert_int_equal(view.tcp[SERVER].state, 0);
	assert_int_equal(view.ending.deadline, DEADLINE_CONNECT);
	for (int i = 0; i < 2; i++) {
		(void)close(accept(stage.backends[LOCAL], NULL, NULL));
		sock_close(fillers[i]);
	}
	expect_count(&(struct survey_filter){ .states = 1U << STATE_OPEN }, 1);
	assert_true(look_at(youngest_of(0), false, &view));
	assert_false(view.is_retrying);
}

/* ---- kills, and what has ended ------------------------------------------------------------------
 */

static struct counters_sum sum_of(enum route_name name)
{
	struct counters_sum sum;

	tally_sum(stage.generation->routes[name].tally, &sum);
	return sum;
}

static void a_kill_resets_both_sides(void **state)
{
	size_t place = open_session(WEB, 1, 1);
	uint64_t id = youngest_of(1);
	struct counters_sum sum;

	(void)state;
	(void)open_session(WEB, 1, 1);
	assert_true(kill_session(id));
	expect_result(stage.clients[place], -ECONNRESET);
	expect_result(stage.servers[place], -ECONNRESET);
	assert_false(kill_session(id));
	assert_int_equal(count_of(NULL), 1);
	sum = sum_of(WEB);
	assert_int_equal(sum.values[COUNTER_ACCEPTED], 2);
	assert_int_equal(sum.values[COUNTER_ENDED + ENDING_KILLED], 1);
	assert_int_equal(sum.active[STATE_OPEN], 1);
}

/* What finback holds, it does not hold any more. */
static void a_kill_gives_back_what_was_held(void **state)
{
	size_t place = open_session(WEB, 0, 1);
	const struct relays *relays = &stage.crew.workers[0].relays;
	uint64_t id = youngest_of(0);
	struct session_view view;

	(void)state;
	(void)fill(stage.clients[place]); /* the server does not read */
	assert_true(look_at(id, false, &view));
	assert_true(view.session.flows[CLIENT].held > 0);
	assert_true(view.tcp[CLIENT].unread_bytes > 0);
	assert_true(view.tcp[SERVER].unsent_bytes + view.tcp[SERVER].unacked_bytes > 0);
	assert_true(atomic_load(&relays->buffer_bytes) >= view.session.flows[CLIENT].held);
	assert_int_equal(atomic_load(&relays->descriptors), 2);
	assert_true(kill_session(id));
	assert_int_equal(atomic_load(&relays->buffer_bytes), 0);
	assert_int_equal(atomic_load(&relays->descriptors), 0);
}

/* The states in which a session may be met. */
static void a_kill_in_each_state(void **state)
{
	size_t half = open_session(WEB, 0, 1);
	uint64_t half_id = youngest_of(0);
	uint64_t connecting_id;
	struct address path = unix_path(stage.folder, "server");
	int filler;

	(void)state;
	send_fin(stage.clients[half]);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_HALF_CLOSED_CLIENT }, 1);
	assert_int_equal(listen(stage.backends[LOCAL], 0), 0);
	filler = peer_connected(&path);
	(void)start_session(LOCAL, 1, 1);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_CONNECTING }, 1);
	connecting_id = youngest_of(1);
	assert_true(kill_session(half_id));
	assert_true(kill_session(connecting_id));
	expect_count(NULL, 0);
	expect_result(stage.clients[half], -ECONNRESET);
	assert_int_equal(sum_of(WEB).values[COUNTER_ENDED + ENDING_KILLED], 1);
	assert_int_equal(sum_of(LOCAL).values[COUNTER_ENDED + ENDING_KILLED], 1);
	sock_close(filler);
}

static void the_last_that_ended(void **state)
{
	size_t place = open_session(WEB, 0, 1);
	uint64_t first = youngest_of(0);
	uint64_t second;
	const struct ended_survey *ended;
	const struct ended_view *view;

	(void)state;
	(void)open_session(LOCAL, 0, 1);
	second = youngest_of(0);
	put(stage.clients[place], "seven b");
	expect_text(stage.servers[place], "seven b");
	send_fin(stage.clients[place]);
	expect_count(&(struct survey_filter){ .states = 1U << STATE_HALF_CLOSED_CLIENT }, 1);
	send_reset(&stage.servers[place]);
	expect_count(NULL, 1);
	assert_true(kill_session(second));

	ended = last_ended(0, (struct survey_filter){ 0 });
	assert_int_equal(ended->count, 2);
	assert_int_equal(ended->views[0].id, second);
	assert_int_equal(ended->views[0].ending, ENDING_KILLED);
	assert_int_equal(ended->views[0].closer, CLOSER_FINBACK);
	assert_int_equal(ended->views[0].half_closed_us, -1);
	view = &ended->views[1];
	assert_int_equal(view->id, first);
	assert_int_equal(view->ending, ENDING_SERVER_RESET);
	assert_int_equal(view->closer, CLOSER_CLIENT);
	assert_int_equal(view->detector, DETECTORS);
	assert_int_equal(view->error, -ECONNRESET);
	assert_int_equal(view->bytes[CLIENT], 7);
	assert_int_equal(view->bytes[SERVER], 2);
	assert_int_equal(view->connects, 1);
	assert_int_equal(view->peers[CLIENT].port, port_of(stage.clients[place]));
	assert_in_range(view->half_closed_us, 0, view->lived_us);
	assert_in_range(view->connect_us, 0, view->lived_us);
	assert_string_equal(view->listener, "web");
	assert_string_equal(view->server_name, "big");

	assert_int_equal(last_ended(0, (struct survey_filter){ .listener = "web" })->count, 1);
	assert_int_equal(last_ended(0, (struct survey_filter){ .pool = "app" })->count, 1);
	assert_int_equal(last_ended(0, (struct survey_filter){ .server = "nobody" })->count, 0);
	assert_int_equal(last_ended(1, (struct survey_filter){ 0 })->count, 0);
}

/* In each sum, whatever the workers are at just then. */
static void accepted_is_active_and_ended(void **state)
{
	uint64_t ids[SESSIONS_MAX];
	size_t count;

	(void)state;
	open_sessions(40);
	count = list(NULL, SURVEY_SLICE, ids);
	for (size_t i = 0; i < count; i++) {
		struct counters_sum sum = sum_of(WEB);
		uint64_t ended = 0;

		for (unsigned j = 0; j < ENDINGS; j++)
			ended += sum.values[COUNTER_ENDED + j];
		assert_int_equal(sum.values[COUNTER_ACCEPTED], counters_active(&sum) + ended);
		(void)shutdown(stage.clients[i], SHUT_WR); /* it may have been killed */
		(void)kill_session(ids[i]);
	}
	assert_int_equal(sum_of(WEB).values[COUNTER_ENDED + ENDING_KILLED], 40);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(there_is_nobody),
		EACH(a_list_is_whole_in_slices_of_any_size),
		EACH(a_list_while_sessions_end),
		EACH(by_state),
		EACH(by_name),
		EACH(by_client),
		EACH(by_age_and_deadline),
		EACH(an_open_session),
		EACH(a_server_s_second_address),
		EACH(a_half_closed_session),
		EACH(a_brief_view_asks_no_socket),
		EACH(a_unix_server_has_no_facts),
		EACH(a_session_that_tries_again),
		EACH(a_kill_resets_both_sides),
		EACH(a_kill_gives_back_what_was_held),
		EACH(a_kill_in_each_state),
		EACH(the_last_that_ended),
		EACH(accepted_is_active_and_ended),
	};

	return cmocka_run_group_tests_name("daemon/survey", tests, make_folder, remove_folder);
}
