/*
 * host/config: what a file becomes, what is inherited, and that whatever is wrong is said with its
 * line, its key and what is right. Name look-ups are answered here: no test asks a name server.
 */
#include <finback/host/config.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

static unsigned lookups;

/* In place of the C library's: "two.test" has two addresses, no other name has any. */
int getaddrinfo(const char *restrict node, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	struct {
		struct addrinfo info;
		struct sockaddr_in address;
	} * found;

	(void)hints;
	lookups++;
	if (node == NULL || strcmp(node, "two.test") != 0)
		return EAI_NONAME;
	found = calloc(2, sizeof(*found));
	if (found == NULL)
		return EAI_MEMORY;
	for (int i = 0; i < 2; i++) {
		found[i].address.sin_family = AF_INET;
		found[i].address.sin_port = htons((uint16_t)(service == NULL ? 0 : atoi(service)));
		found[i].address.sin_addr.s_addr = htonl(0xc0000201u + (unsigned)i);
		found[i].info.ai_family = AF_INET;
		found[i].info.ai_socktype = SOCK_STREAM;
		found[i].info.ai_addrlen = sizeof(found[i].address);
		found[i].info.ai_addr = (struct sockaddr *)&found[i].address;
		found[i].info.ai_next = i == 0 ? &found[1].info : NULL;
	}
	*ret = &found[0].info;
	return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
	free(info);
}

#define GOOD                                                                                      \
	"listeners = ( { name = \"web\"; listen = \"127.0.0.1:0\"; servers = \"127.0.0.1:9\"; } " \
	");"

/* One listener with these settings besides. */
#define LISTENER(settings)                                                     \
	"listeners = ( { name = \"web\"; listen = \"127.0.0.1:0\"; servers = " \
	"\"127.0.0.1:9\"; " settings " } );"

/* One pool that a listener uses. */
#define POOL(settings)                                                                   \
	"listeners = ( { name = \"web\"; listen = \"127.0.0.1:0\"; pool = \"p\"; } );\n" \
	"pools = ( { name = \"p\"; " settings " } );"

static void print_problems(const struct config_problems *problems)
{
	for (size_t i = 0; i < problems->error_count; i++)
		print_message("%s\n", problems->errors[i]);
	for (size_t i = 0; i < problems->warning_count; i++)
		print_message("%s (a warning)\n", problems->warnings[i]);
}

/* A text without an error or a warning. */
static struct config *load(const char *text)
{
	struct config *config = NULL;
	struct config_problems problems;
	int result = config_load_text(text, "t.conf", &config, &problems);

	print_problems(&problems);
	assert_int_equal(result, 0);
	assert_non_null(config);
	assert_int_equal(problems.error_count, 0);
	assert_int_equal(problems.warning_count, 0);
	config_problems_fini(&problems);
	return config;
}

/* A text with errors: the first ones are exactly those given, up to a NULL. */
static void refuse(const char *text, const char *const *errors, bool is_all)
{
	struct config *config = NULL;
	struct config_problems problems;
	size_t count = 0;

	assert_int_equal(config_load_text(text, "t.conf", &config, &problems), -EINVAL);
	assert_null(config);
	print_problems(&problems);
	for (; errors[count] != NULL; count++) {
		assert_true(count < problems.error_count);
		if (strncmp(problems.errors[count], errors[count], strlen(errors[count])) != 0)
			fail_msg("want %s\nhave %s", errors[count], problems.errors[count]);
	}
	if (is_all)
		assert_int_equal(problems.error_count, count);
	config_problems_fini(&problems);
}

static void refuse_one(const char *text, const char *error)
{
	const char *const errors[] = { error, NULL };

	refuse(text, errors, true);
}

static void defaults_are_the_documented_ones(void **state)
{
	struct config *config = load(GOOD);
	const struct config_listener *listener = config->listeners;

	(void)state;
	assert_string_equal(config->path, "t.conf");
	assert_int_equal(config->workers, 0);
	assert_int_equal(config->max_sessions, 0);
	assert_int_equal(config->drain_us, 30 * 1000000);
	assert_int_equal(config->spin_us, 0);
	assert_string_equal(config->log.target, "auto");
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_int_equal(config->log.sessions, LOG_SESSIONS_ALL);
	assert_int_equal(config->log.format, LOG_FORMAT_TEXT);
	assert_int_equal(config->log.every_us, 0);
	assert_int_equal(config->listener_count, 1);
	assert_int_equal(config->pool_count, 1);
	assert_string_equal(listener->name, "web");
	for (int i = 0; i < DEADLINES; i++)
		assert_int_equal(listener->policy.timeouts_us[i], deadline_defaults_us[i]);
	assert_false(listener->policy.is_closed_on_timeout);
	assert_int_equal(listener->policy.buffer_bytes, 128 * 1024);
	for (enum side side = CLIENT; side < SIDES; side++) {
		assert_int_equal(listener->policy.dead_after_us[side], 120 * 1000000);
		assert_false(listener->sides[side].has_probe);
	}
	assert_false(listener->policy.is_sparing_alive);
	assert_int_equal(listener->max_sessions, 0);
	assert_int_equal(listener->max_half_closed, 0);
	assert_int_equal(listener->max_embryonic, 0);
	assert_int_equal(listener->backlog, 4096);
	assert_int_equal(listener->buffer_cap, 0);
	assert_int_equal(listener->sides[SERVER].source_count, 0);
	assert_false(listener->has_mode);
	assert_int_equal(listener->owner, (uid_t)-1);
	assert_int_equal(listener->group, (gid_t)-1);
	assert_int_equal(listener->bind_count, 1);
	assert_string_equal(listener->binds[0].text, "127.0.0.1:0");
	assert_null(listener->binds[0].systemd_name);
	assert_int_equal(listener->binds[0].address_count, 1);
	assert_ptr_equal(listener->pool, &config->pools[0]);
	assert_string_equal(listener->pool->name, "web");
	assert_int_equal(listener->pool->balance.kind, BALANCE_ROUND_ROBIN);
	assert_int_equal(listener->pool->balance.count, 1);
	assert_string_equal(listener->pool->servers[0].name, "127.0.0.1:9");
	assert_int_equal(listener->pool->servers[0].address_count, 1);
	assert_int_equal(ntohs(listener->pool->servers[0].addresses[0].v4.sin_port), 9);
	config_unref(config);
}

static void every_process_key_is_read(void **state)
{
	struct config *config =
		load("workers = 1024; max_sessions = 10000000L; drain = \"90s\"; spin = \"50us\"; "
		     "log = { target = "
		     "\"/var/log/x\"; level = \"debug\"; sessions = \"failed\"; every = \"1m\"; "
		     "format = \"json\"; };" GOOD);

	(void)state;
	assert_int_equal(config->workers, 1024);
	assert_int_equal(config->max_sessions, 10000000);
	assert_int_equal(config->drain_us, 90 * 1000000);
	assert_int_equal(config->spin_us, 50);
	assert_string_equal(config->log.target, "/var/log/x");
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log.sessions, LOG_SESSIONS_FAILED);
	assert_int_equal(config->log.every_us, 60 * 1000000);
	assert_int_equal(config->log.format, LOG_FORMAT_JSON);
	config_unref(config);
}

static void a_line_so_often_is_0_or_a_second_and_more(void **state)
{
	struct config *none = load("log = { every = \"0\"; };" GOOD);
	struct config *second = load("log = { every = \"1s\"; format = \"text\"; };" GOOD);

	(void)state;
	assert_int_equal(none->log.every_us, 0);
	assert_int_equal(second->log.every_us, 1000000);
	assert_int_equal(second->log.format, LOG_FORMAT_TEXT);
	config_unref(none);
	config_unref(second);
}

static void every_listener_key_is_read(void **state)
{
	struct config *config = load(
		"listeners = ( { name = \"u\"; listen = ( \"unix:/run/u\", \"systemd:web.socket\", "
		"\"[::1]:80\" ); servers = ( \"unix:/run/s\" );"
		"timeouts = { connect = \"1s\"; first_byte = \"2s\"; idle = \"3s\"; half_closed = "
		"\"4s\";"
		" half_closed_max = \"5s\"; stall = \"6s\"; session = \"7s\"; linger = \"0\";"
		" idle_spares_alive = true; };"
		"on_timeout = \"close\"; buffer = \"1MiB\"; max_sessions = 7; backlog = 65535;"
		"max_half_closed = 8; max_embryonic = 10000000;"
		"mode = \"0660\"; owner = \"root:root\";"
		"client = { keepalive = { idle = \"20s\"; interval = \"10s\"; count = 3;"
		" user_timeout = \"1ms\"; }; }; server = { keepalive = { }; }; } );");
	const struct config_listener *listener = config->listeners;
	const struct keepalive *client = &listener->sides[CLIENT].keepalive;
	const struct keepalive *server = &listener->sides[SERVER].keepalive;

	(void)state;
	for (int i = 0; i < DEADLINE_LINGER; i++)
		assert_int_equal(listener->policy.timeouts_us[i], (i + 1) * 1000000);
	assert_int_equal(listener->policy.timeouts_us[DEADLINE_LINGER], 0);
	assert_true(listener->policy.is_closed_on_timeout);
	assert_int_equal(listener->policy.buffer_bytes, 1 << 20);
	assert_int_equal(listener->max_sessions, 7);
	assert_int_equal(listener->max_half_closed, 8);
	assert_int_equal(listener->max_embryonic, 10000000);
	assert_true(listener->policy.is_sparing_alive);
	assert_int_equal(listener->backlog, 65535);
	assert_true(listener->has_mode);
	assert_int_equal(listener->mode, 0660);
	assert_int_equal(listener->owner, 0);
	assert_int_equal(listener->group, 0);
	assert_true(client->is_set);
	assert_int_equal(client->idle_s, 20);
	assert_int_equal(client->interval_s, 10);
	assert_int_equal(client->count, 3);
	assert_int_equal(client->user_timeout_ms, 1);
	assert_true(server->is_set);
	assert_int_equal(server->idle_s, 7200);
	assert_int_equal(server->interval_s, 75);
	assert_int_equal(server->count, 9);
	assert_int_equal(server->user_timeout_ms, 0);
	assert_int_equal(listener->bind_count, 3);
	assert_int_equal(listener->binds[0].addresses[0].any.sa_family, AF_UNIX);
	assert_string_equal(listener->binds[1].systemd_name, "web.socket");
	assert_string_equal(listener->binds[1].text, "systemd:web.socket");
	assert_int_equal(listener->binds[1].address_count, 0);
	assert_int_equal(listener->binds[2].addresses[0].any.sa_family, AF_INET6);
	config_unref(config);
}

/* The table of keys and the enum name the deadlines alike. */
static void timeouts_are_the_engine_s_deadlines(void **state)
{
	(void)state;
	for (int i = 0; i < DEADLINES; i++) {
		char text[256];
		struct config *config;

		snprintf(text, sizeof(text), LISTENER("timeouts = { %s = \"11s\"; };"),
			 deadline_name((enum deadline)i));
		config = load(text);
		assert_int_equal(config->listeners->policy.timeouts_us[i], 11000000);
		config_unref(config);
	}
}

static void pools_have_servers_of_every_form(void **state)
{
	struct config *config =
		load(POOL("balance = \"least_sessions\"; servers = ( \"10.0.0.5:9000\","
			  "{ address = \"10.0.0.6:9000\"; weight = 256; name = \"big\"; },"
			  "{ backup = true; address = \"unix:/run/app.sock\"; } );"));
	const struct config_pool *pool = config->listeners[0].pool;

	(void)state;
	assert_ptr_equal(pool, &config->pools[0]);
	assert_string_equal(pool->name, "p");
	assert_int_equal(pool->balance.kind, BALANCE_LEAST_SESSIONS);
	assert_int_equal(pool->balance.count, 3);
	assert_int_equal(pool->balance.servers[0].weight, 1);
	assert_int_equal(pool->balance.servers[1].weight, 256);
	assert_false(pool->balance.servers[1].is_backup);
	assert_true(pool->balance.servers[2].is_backup);
	assert_string_equal(pool->servers[0].name, "10.0.0.5:9000");
	assert_string_equal(pool->servers[1].name, "big");
	assert_string_equal(pool->servers[1].text, "10.0.0.6:9000");
	assert_string_equal(pool->servers[2].text, "unix:/run/app.sock");
	assert_int_equal(pool->servers[2].addresses[0].any.sa_family, AF_UNIX);
	config_unref(config);
	config_unref(load(POOL("servers = \"10.0.0.5:1\";")));
	config_unref(load(POOL("servers = [ \"10.0.0.5:1\", \"10.0.0.5:2\" ];")));
	config_unref(load(POOL("servers = ( { address = \"10.0.0.5:1\"; backup = true; } );")));
}

/* `defaults` stands behind the listeners here: order does not matter. */
static void listeners_inherit_key_by_key(void **state)
{
	struct config *config = load(
		"listeners = ( { name = \"a\"; listen = \"127.0.0.1:1\"; servers = \"127.0.0.1:9\";"
		" timeouts = { idle = \"2s\"; }; client = { keepalive = { count = 4; }; };"
		" on_timeout = \"reset\"; buffer = 1024; },"
		"{ name = \"b\"; listen = \"unix:/b\"; servers = \"127.0.0.1:9\"; mode = \"0600\"; "
		"},"
		"{ name = \"c\"; listen = \"unix:/c\"; servers = \"127.0.0.1:9\"; } );"
		"defaults = { timeouts = { idle = \"7s\"; linger = \"8s\"; }; on_timeout = "
		"\"close\";"
		" client = { keepalive = { idle = \"20s\"; }; }; mode = \"0640\"; owner = "
		"\":root\"; };");
	const struct config_listener *a = &config->listeners[0];
	const struct config_listener *b = &config->listeners[1];

	(void)state;
	assert_int_equal(a->policy.timeouts_us[DEADLINE_IDLE], 2000000);
	assert_int_equal(a->policy.timeouts_us[DEADLINE_LINGER], 8000000);
	assert_int_equal(a->policy.timeouts_us[DEADLINE_CONNECT],
			 deadline_defaults_us[DEADLINE_CONNECT]);
	assert_false(a->policy.is_closed_on_timeout);
	assert_int_equal(a->policy.buffer_bytes, 1024);
	assert_int_equal(a->sides[CLIENT].keepalive.idle_s, 20);
	assert_int_equal(a->sides[CLIENT].keepalive.count, 4);
	assert_int_equal(a->sides[CLIENT].keepalive.interval_s, 75);
	assert_int_equal(b->policy.timeouts_us[DEADLINE_IDLE], 7000000);
	assert_true(b->policy.is_closed_on_timeout);
	assert_int_equal(b->sides[CLIENT].keepalive.count, 9);
	assert_int_equal(b->mode, 0600);
	assert_int_equal(b->owner, (uid_t)-1);
	assert_int_equal(b->group, 0);
	assert_int_equal(config->listeners[2].mode, 0640);
	config_unref(config);
}

static void a_mode_of_digits_is_octal_too(void **state)
{
	struct config *config =
		load("listeners = ( { name = \"u\"; listen = \"unix:/u\"; servers = "
		     "\"127.0.0.1:9\"; mode = 0640; } );");

	(void)state;
	assert_int_equal(config->listeners[0].mode, 0640);
	config_unref(config);
}

static void names_are_looked_up_once(void **state)
{
	struct config *config;
	const char *const errors[] = {
		"t.conf:1: pools.p.servers[0]: \"none.test:80\" cannot be resolved: ",
		"t.conf:2: pools.q.servers: \"none.test:80\" cannot be resolved: ",
		NULL,
	};

	(void)state;
	lookups = 0;
	config = load("listeners = ( { name = \"a\"; listen = \"two.test:80\"; pool = \"p\"; } );"
		      "pools = ( { name = \"p\"; servers = ( \"two.test:80\", { address = "
		      "\"two.test:80\"; name = \"again\"; }, \"two.test:81\" ); } );");
	assert_int_equal(lookups, 2);
	assert_int_equal(config->listeners[0].binds[0].address_count, 2);
	assert_int_equal(config->pools[0].servers[1].address_count, 2);
	assert_int_equal(ntohs(config->pools[0].servers[2].addresses[1].v4.sin_port), 81);
	config_unref(config);
	lookups = 0;
	refuse("pools = ( { name = \"p\"; servers = ( \"none.test:80\" ); },\n"
	       "{ name = \"q\"; servers = \"none.test:80\"; } );\n"
	       "listeners = ( { name = \"a\"; listen = \"127.0.0.1:0\"; pool = \"p\"; } );",
	       errors, true);
	assert_int_equal(lookups, 1);
}

/* Each with exactly one error, which begins like this. */
static const char *const single_errors[][2] = {
	{ "", "t.conf: listeners: missing; " },
	{ "listeners = ();", "t.conf:1: listeners: is empty; " },
	{ "listeners = { };", "t.conf:1: listeners: right is a list of groups" },
	{ "listeners = [ 1 ];", "t.conf:1: listeners: right is a list of groups" },
	{ "listeners = ( 1 );", "t.conf:1: listeners[0]: is an integer; right is a group" },
	{ "pools = 1;" GOOD, "t.conf:1: pools: right is a list of groups" },
	{ "pools = ( true );" GOOD, "t.conf:1: pools[0]: is true or false; right is a group" },
	{ "defaults = 1;" GOOD, "t.conf:1: defaults: is an integer; right is a group" },
	{ "log = \"x\";" GOOD, "t.conf:1: log: is a string; right is a group" },
	{ "\nworkers = 1025;" GOOD,
	  "t.conf:2: workers: out of range; right is an integer from 0 to 1024" },
	{ "workers = -1;" GOOD, "t.conf:1: workers: out of range" },
	{ "workers = 4294967297;" GOOD, "t.conf:1: workers: out of range" },
	{ "workers = 0x10000000000000001;" GOOD, "t.conf:1: workers: out of range" },
	{ "workers = 1.0;" GOOD, "t.conf:1: workers: is a fraction; right is an integer from 0" },
	{ "workers = \"1\";" GOOD, "t.conf:1: workers: is a string; right is an integer" },
	{ "workers = true;" GOOD, "t.conf:1: workers: is true or false; right is an integer" },
	{ "workers = { };" GOOD, "t.conf:1: workers: is a group; right is an integer" },
	{ "max_sessions = 10000001;" GOOD, "t.conf:1: max_sessions: out of range" },
	{ "spin = \"10001us\";" GOOD,
	  "t.conf:1: spin: \"10001us\" is out of range; right is \"0\" to \"10ms\"" },
	{ "spin = 0;" GOOD, "t.conf:1: spin: is an integer; right is a duration in quotes" },
	{ "defaults = { spin = \"1ms\"; };" GOOD, "t.conf:1: defaults.spin: unknown key" },
	{ "drain = 30;" GOOD, "t.conf:1: drain: is an integer; right is a duration in quotes" },
	{ "drain = \"5 min\";" GOOD,
	  "t.conf:1: drain: \"5 min\" is no duration; right is a number with us, ms, s, m, h or d, "
	  "such as \"30s\"" },
	{ "drain = \"3651d\";" GOOD,
	  "t.conf:1: drain: \"3651d\" is out of range; right is \"0\" to \"3650d\"" },
	{ "log = { target = \"log/x\"; };" GOOD, "t.conf:1: log.target: \"log/x\" is no target" },
	{ "log = { target = \"/\"; };" GOOD, "t.conf:1: log.target: " },
	{ "log = { level = \"warn\"; };" GOOD,
	  "t.conf:1: log.level: \"warn\" is unknown; right is one of \"error\", \"warning\", "
	  "\"info\", \"debug\"" },
	{ "log = { level = 3; };" GOOD, "t.conf:1: log.level: is an integer; right is one of" },
	{ "log = { sessions = \"\"; };" GOOD, "t.conf:1: log.sessions: \"\" is unknown" },
	{ "log = { format = \"logfmt\"; };" GOOD,
	  "t.conf:1: log.format: \"logfmt\" is unknown; right is one of \"text\", \"json\"" },
	{ "log = { format = true; };" GOOD,
	  "t.conf:1: log.format: is true or false; right is one of \"text\", \"json\"" },
	{ "log = { every = 60; };" GOOD,
	  "t.conf:1: log.every: is an integer; right is a duration in quotes: " },
	{ "log = { every = \"often\"; };" GOOD, "t.conf:1: log.every: \"often\" is no duration" },
	{ "log = { every = \"999ms\"; };" GOOD,
	  "t.conf:1: log.every: \"999ms\" is out of range; right is \"1s\" to \"3650d\", or \"0\" "
	  "for none" },
	{ "log = { every = \"3651d\"; };" GOOD, "t.conf:1: log.every: \"3651d\" is out of range" },
	{ "worker = 1;" GOOD, "t.conf:1: worker: unknown key; did you mean \"workers\"?" },
	{ "wrokers = 1;" GOOD, "t.conf:1: wrokers: unknown key; did you mean \"workers\"?" },
	{ "zzz = 1;" GOOD,
	  "t.conf:1: zzz: unknown key; known here: workers, max_sessions, drain, spin, "
	  "log, control, defaults, pools, listeners" },
	{ "defaults = { name = \"x\"; };" GOOD,
	  "t.conf:1: defaults.name: belongs to each listener" },
	{ "defaults = { listen = \"x\"; };" GOOD,
	  "t.conf:1: defaults.listen: belongs to each listener" },
	{ "defaults = { pool = \"x\"; };" GOOD,
	  "t.conf:1: defaults.pool: belongs to each listener" },
	{ "defaults = { servers = \"x\"; };" GOOD,
	  "t.conf:1: defaults.servers: belongs to each listener" },
	{ LISTENER("timeout = { };"),
	  "t.conf:1: listeners.web.timeout: unknown key; did you mean \"timeouts\"?" },
	{ LISTENER("timeouts = { idle = \"x\"; };"), "t.conf:1: listeners.web.timeouts.idle: " },
	{ LISTENER("on_timeout = \"fin\";"),
	  "t.conf:1: listeners.web.on_timeout: \"fin\" is unknown; right is one of \"reset\", "
	  "\"close\"" },
	{ LISTENER("buffer = 1023;"),
	  "t.conf:1: listeners.web.buffer: out of range; right is \"1KiB\" to \"64MiB\"" },
	{ LISTENER("buffer = \"65MiB\";"), "t.conf:1: listeners.web.buffer: out of range" },
	{ LISTENER("buffer = \"64KB\";"), "t.conf:1: listeners.web.buffer: \"64KB\" is no size" },
	{ LISTENER("buffer = true;"), "t.conf:1: listeners.web.buffer: is true or false" },
	{ LISTENER("backlog = 0;"), "t.conf:1: listeners.web.backlog: out of range" },
	{ LISTENER("backlog = 65536;"), "t.conf:1: listeners.web.backlog: out of range" },
	{ LISTENER("max_half_closed = -1;"),
	  "t.conf:1: listeners.web.max_half_closed: out of range; right is an integer from 0 to "
	  "10000000" },
	{ LISTENER("max_half_closed = 10000001;"),
	  "t.conf:1: listeners.web.max_half_closed: out of range" },
	{ LISTENER("max_embryonic = \"many\";"),
	  "t.conf:1: listeners.web.max_embryonic: is a string; right is an integer from 0 to "
	  "10000000" },
	{ LISTENER("max_embryonic = 10000001;"),
	  "t.conf:1: listeners.web.max_embryonic: out of range" },
	{ LISTENER("timeouts = { idle_spares_alive = \"yes\"; };"),
	  "t.conf:1: listeners.web.timeouts.idle_spares_alive: is a string; right is true or "
	  "false" },
	{ LISTENER("mode = \"0660\";"), "t.conf:1: listeners.web.mode: is for UNIX sockets" },
	{ LISTENER("owner = \"root\";"), "t.conf:1: listeners.web.owner: is for UNIX sockets" },
	{ LISTENER("pool = \"x\";"), "t.conf:1: listeners.web.servers: there is a pool too" },
	{ LISTENER("client = { keepalive = true; };"),
	  "t.conf:1: listeners.web.client.keepalive: is true or false; right is a group" },
	{ LISTENER("client = { keepalive = { idle = \"1500ms\"; }; };"),
	  "t.conf:1: listeners.web.client.keepalive.idle: \"1500ms\" is too fine; right is a whole "
	  "number of \"1s\"" },
	{ LISTENER("client = { keepalive = { idle = \"0\"; }; };"),
	  "t.conf:1: listeners.web.client.keepalive.idle: \"0\" is out of range; right is \"1s\" "
	  "to "
	  "\"32767s\"" },
	{ LISTENER("server = { keepalive = { interval = \"32768s\"; }; };"),
	  "t.conf:1: listeners.web.server.keepalive.interval: \"32768s\" is out of range" },
	{ LISTENER("server = { keepalive = { count = 128; }; };"),
	  "t.conf:1: listeners.web.server.keepalive.count: out of range" },
	{ LISTENER("server = { keepalive = { user_timeout = \"25d\"; }; };"),
	  "t.conf:1: listeners.web.server.keepalive.user_timeout: \"25d\" is out of range" },
	{ "listeners = ( { name = \"a b\"; listen = \"unix:/x\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners[0].name: \"a b\" is no name" },
	{ "listeners = ( { name = 1; listen = \"unix:/x\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners[0].name: is an integer; right is a name" },
	{ "listeners = ( { listen = \"unix:/x\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners[0].name: missing; " },
	{ "listeners = ( { name = \"a\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.listen: missing; " },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.pool: missing; " },
	{ "listeners = ( { name = \"a\"; listen = 80; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.listen: is an integer; " },
	{ "listeners = ( { name = \"a\"; listen = []; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.listen: is empty; " },
	{ "listeners = ( { name = \"a\"; listen = \"systemd:\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.listen: \"systemd:\"" },
	{ "listeners = ( { name = \"a\"; listen = \"*:80\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.listen: \"*:80\" is no address" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; pool = \"wbe\"; } );"
	  "pools = ( { name = \"web\"; servers = \"unix:/y\"; } );",
	  "t.conf:1: listeners.a.pool: no pool is called \"wbe\"; did you mean \"web\"?" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; pool = \"x\"; } );",
	  "t.conf:1: listeners.a.pool: no pool is called \"x\"; right is the name" },
	{ "pools = ( { name = \"web\"; servers = \"unix:/y\"; } );" GOOD,
	  "t.conf:1: listeners.web.servers: makes a pool called \"web\"" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; owner = "
	  "\":\"; } );",
	  "t.conf:1: listeners.a.owner: \":\" is no owner" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; owner = "
	  "\"no-such-user-here\"; } );",
	  "t.conf:1: listeners.a.owner: there is no user \"no-such-user-here\"" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; owner = "
	  "\"root:no-such-group-here\"; } );",
	  "t.conf:1: listeners.a.owner: there is no group \"no-such-group-here\"" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; mode = "
	  "\"888\"; } );",
	  "t.conf:1: listeners.a.mode: \"888\" is no mode" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; mode = 0888; "
	  "} );",
	  "t.conf:1: listeners.a.mode: \"888\" is no mode" },
	{ "listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/y\"; mode = "
	  "0x1b0; } );",
	  "t.conf:1: listeners.a.mode: " },
	{ POOL("servers = ();"), "t.conf:2: pools.p.servers: is empty; " },
	{ POOL(""), "t.conf:2: pools.p.servers: missing; " },
	{ POOL("servers = 1;"), "t.conf:2: pools.p.servers: is an integer; " },
	{ POOL("servers = ( 1 );"), "t.conf:2: pools.p.servers[0]: is an integer; " },
	{ POOL("servers = ( { } );"), "t.conf:2: pools.p.servers[0].address: missing; " },
	{ POOL("servers = \"10.0.0.1:0\";"), "t.conf:2: pools.p.servers: \"10.0.0.1:0\": port 0" },
	{ POOL("servers = ( { address = \"[::1]:0\"; } );"),
	  "t.conf:2: pools.p.servers[0].address: \"[::1]:0\": port 0" },
	{ POOL("servers = \"10.0.0.1\";"),
	  "t.conf:2: pools.p.servers: \"10.0.0.1\" is no address" },
	{ POOL("servers = \"systemd:x\";"),
	  "t.conf:2: pools.p.servers: \"systemd:x\" is no address" },
	{ POOL("servers = ( { address = \"10.0.0.1:1\"; weight = 257; } );"),
	  "t.conf:2: pools.p.servers[0].weight: out of range; right is an integer from 1 to 256" },
	{ POOL("servers = ( { address = \"10.0.0.1:1\"; weight = 0; } );"),
	  "t.conf:2: pools.p.servers[0].weight: out of range" },
	{ POOL("servers = ( { name = \"s\"; address = \"10.0.0.1:1\"; backup = 1; } );"),
	  "t.conf:2: pools.p.servers.s.backup: is an integer; right is true or false" },
	{ POOL("servers = [ \"10.0.0.1:1\", \"10.0.0.1:1\" ];"),
	  "t.conf:2: pools.p.servers[1]: \"10.0.0.1:1\" is in this pool already" },
	{ POOL("balance = \"roundrobin\"; servers = \"10.0.0.1:1\";"),
	  "t.conf:2: pools.p.balance: \"roundrobin\" is unknown; right is one of "
	  "\"round_robin\", \"least_sessions\"" },
	{ POOL("balance = \"source_hash\"; servers = \"10.0.0.1:1\";"),
	  "t.conf:2: pools.p.balance: \"source_hash\" is not supported by this version" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(single_errors) / sizeof(single_errors[0]); i++)
		refuse_one(single_errors[i][0], single_errors[i][1]);
}

/* Keys of the contract without an effect so far. */
static void keys_to_come_are_refused(void **state)
{
	static const char *const pool[] = { "health", "fail_after", "retry_after",   "slow_start",
					    "queue",  "on_down",    "queue_timeout", "resolve" };
	static const char *const listener[] = {
		"max_per_client", "accept_rate",  "accept_rate_per_client",
		"allow",          "deny",         "trusted_proxies",
		"fast_open",      "defer_accept", "congestion",
		"mark",           "dscp",         "fault",
	};
	static const char *const side[] = { "link", "proxy_protocol" };
	const struct {
		const char *const *keys;
		size_t count;
		const char *format;
		const char *path;
	} groups[] = {
		{ pool, 8, POOL("servers = \"unix:/x\"; %s = 1;"), "t.conf:2: pools.p." },
		{ listener, 12, LISTENER("%s = 1;"), "t.conf:1: listeners.web." },
		{ listener, 12, "defaults = { %s = 1; };" GOOD, "t.conf:1: defaults." },
		{ side, 2, LISTENER("client = { %s = 1; };"), "t.conf:1: listeners.web.client." },
		{ side, 2, LISTENER("server = { %s = 1; };"), "t.conf:1: listeners.web.server." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (size_t j = 0; j < groups[i].count; j++) {
			char text[512];
			char error[256];
			const char *gap = strstr(groups[i].format, "%s");

			snprintf(text, sizeof(text), "%.*s%s%s", (int)(gap - groups[i].format),
				 groups[i].format, groups[i].keys[j], gap + 2);
			snprintf(error, sizeof(error),
				 "%s%s: not supported by this version; remove it", groups[i].path,
				 groups[i].keys[j]);
			refuse_one(text, error);
		}
	}
	refuse_one(LISTENER("client = { source = 1; };"),
		   "t.conf:1: listeners.web.client.source: unknown key");
	refuse_one(POOL("servers = ( { address = \"unix:/x\"; max_sessions = 1; } );"),
		   "t.conf:2: pools.p.servers[0].max_sessions: not supported");
}

static void all_errors_come_in_the_order_of_the_file(void **state)
{
	static const char *const errors[] = {
		"t.conf:1: listeners[0].name: missing",
		"t.conf:2: listeners[0].listen[1]: \"bogus\" is no address",
		"t.conf:4: listeners[0].pool: no pool",
		"t.conf:5: workers: ",
		"t.conf:6: pools.p.name: ",
		NULL,
	};

	(void)state;
	refuse("listeners = ( { listen = [ \"unix:/a\",\n"
	       "    \"bogus\"\n"
	       "  ];\n"
	       " pool = \"none\"; } );\n"
	       "workers = \"many\";\n"
	       "pools = ( { name = \"p\"; servers = \"unix:/a\"; }, { name = \"p\"; servers = "
	       "\"unix:/b\"; } );",
	       errors, true);
}

static void a_name_used_twice_says_where_it_was_first(void **state)
{
	(void)state;
	refuse_one("listeners = (\n"
		   " { name = \"a\"; listen = \"unix:/a\"; servers = \"unix:/x\"; },\n"
		   " { listen = \"unix:/b\"; servers = \"unix:/x\";\n   name = \"a\"; } );",
		   "t.conf:4: listeners.a.name: \"a\" is used twice, first at t.conf:2; ");
}

static void an_address_is_listened_on_once(void **state)
{
	(void)state;
	refuse_one(
		"listeners = (\n"
		" { name = \"a\"; listen = \"10.0.0.1:80\"; servers = \"unix:/x\"; },\n"
		" { name = \"b\"; listen = [ \"10.0.0.1:81\", \"10.0.0.1:080\" ]; servers = "
		"\"unix:/x\"; } );",
		"t.conf:3: listeners.b.listen[1]: \"10.0.0.1:080\" is listened on twice; first by "
		"the listener at t.conf:2");
	refuse_one("listeners = ( { name = \"a\"; listen = [ \"systemd:s\", \"systemd:s\" ]; "
		   "servers = \"unix:/x\"; } );",
		   "t.conf:1: listeners.a.listen[1]: \"systemd:s\" is listened on twice");
	/* At port 0 each has a port of its own. */
	config_unref(load("listeners = ( { name = \"a\"; listen = \"10.0.0.1:0\"; servers = "
			  "\"unix:/x\"; }, { name = \"b\"; listen = \"10.0.0.1:0\"; servers = "
			  "\"unix:/x\"; } );"));
}

static void a_pool_has_at_most_256_servers(void **state)
{
	char *text = malloc(65536);
	size_t used;
	struct config *config;

	(void)state;
	assert_non_null(text);
	used = (size_t)sprintf(text,
			       "listeners = ( { name = \"web\"; listen = \"127.0.0.1:0\"; pool = "
			       "\"p\"; } ); pools = ( { name = \"p\"; servers = [ "
			       "\"10.0.0.1:1\"");
	for (int i = 2; i <= 256; i++)
		used += (size_t)sprintf(text + used, ", \"10.0.0.1:%d\"", i);
	strcpy(text + used, " ]; } );");
	config = load(text);
	assert_int_equal(config->pools[0].balance.count, 256);
	config_unref(config);
	strcpy(text + used, ", \"10.0.0.1:257\" ]; } );");
	refuse_one(text, "t.conf:1: pools.p.servers: 257 servers; right are at most 256");
	free(text);
}

static void a_syntax_error_comes_with_what_was_found_before(void **state)
{
	static const char *const errors[] = {
		"t.conf:1: workers: is a string",
		"t.conf:3: syntax error, in `drain = ;`; ",
		NULL,
	};
	static const char *const twice[] = {
		"t.conf:2: a key is set twice in one group, in `workers = 2;`; ", NULL
	};
	static const char *const mixed[] = {
		"t.conf:1: an array with values of different kinds, in `", NULL
	};
	static const char *const before[] = { "t.conf:1: syntax error",
					      "t.conf:3: the string that begins here", NULL };
	static const char *const open[] = { "t.conf:1: workers: is a string",
					    "t.conf:2: the string that begins here", NULL };

	(void)state;
	refuse("workers = \"x\";\n\ndrain = ;\nzzz = 1;", errors, true);
	refuse("workers = 1;\nworkers = 2;\n" GOOD, twice, true);
	refuse("a = [ 1, \"x\" ];\n", mixed, false);
	refuse("workers = \"x\";\ndrain = \"30s;\nspin = 1;", open, true);
	/* What comes before the cut is still said. */
	refuse("workers = ;\n\nlog = \"info", before, true);
}

static void errors_are_bounded_and_the_rest_counted(void **state)
{
	size_t count = 3000;
	char *text = malloc(count * 16);
	size_t used = 0;
	struct config *config = NULL;
	struct config_problems problems;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "zzz%zu = 1;\n", i);
	assert_int_equal(config_load_text(text, "t.conf", &config, &problems), -EINVAL);
	assert_int_equal(problems.error_count, CONFIG_PROBLEMS_MAX);
	assert_string_equal(problems.errors[CONFIG_PROBLEMS_MAX - 1], "and 2802 more errors");
	config_problems_fini(&problems);
	free(text);
}

static void control_characters_stay_out_of_messages(void **state)
{
	(void)state;
	refuse_one("drain = \"\\x1b[31m\n\";" GOOD, "t.conf:1: drain: \"?[31m?\" is no duration");
}

static void a_pool_that_nothing_uses_is_a_warning(void **state)
{
	struct config *config = NULL;
	struct config_problems problems;

	(void)state;
	assert_int_equal(
		config_load_text("\npools = ( { name = \"p\"; servers = \"unix:/x\"; } );" GOOD,
				 "t.conf", &config, &problems),
		0);
	assert_int_equal(problems.error_count, 0);
	assert_int_equal(problems.warning_count, 1);
	assert_string_equal(problems.warnings[0], "t.conf:2: pools.p: no listener uses this pool");
	config_problems_fini(&problems);
	config_unref(config);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void files_are_read_with_their_includes(void **state)
{
	char folder[] = "/tmp/test_config_XXXXXX";
	char path[128];
	char want[256];
	struct config *config = NULL;
	struct config_problems problems;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.conf", folder);
	write_file(folder, "a.conf", "@include \"b.conf\"\n" GOOD);
	write_file(folder, "b.conf", "workers = 3;");
	assert_int_equal(config_load(path, &config, &problems), 0);
	assert_int_equal(config->workers, 3);
	assert_string_equal(config->path, path);
	config_problems_fini(&problems);
	config_unref(config);
	config = NULL;
	write_file(folder, "b.conf", "// first\nworkers = -3;");
	assert_int_equal(config_load(path, &config, &problems), -EINVAL);
	assert_null(config);
	snprintf(want, sizeof(want), "%s/b.conf:2: workers: ", folder);
	assert_memory_equal(problems.errors[0], want, strlen(want));
	config_problems_fini(&problems);
	/* Without its include the file is not whole: nothing is said about what may be in it. */
	snprintf(want, sizeof(want), "%s/b.conf", folder);
	assert_int_equal(unlink(want), 0);
	write_file(folder, "a.conf", "@include \"b.conf\"\n");
	assert_int_equal(config_load(path, &config, &problems), -EINVAL);
	assert_int_equal(problems.error_count, 1);
	config_problems_fini(&problems);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_load(path, &config, &problems), -EINVAL);
	snprintf(want, sizeof(want), "%s: cannot be read: No such file or directory", path);
	assert_string_equal(problems.errors[0], want);
	config_problems_fini(&problems);
	assert_int_equal(config_load(folder, &config, &problems), -EINVAL);
	assert_non_null(strstr(problems.errors[0], "it is a directory"));
	config_problems_fini(&problems);
	assert_int_equal(rmdir(folder), 0);
}

static void *take_and_give(void *argument)
{
	struct config *config = argument;

	for (int i = 0; i < 20000; i++)
		config_unref(config_ref(config));
	config_unref(config);
	return NULL;
}

/* The sanitizers see a reference that is lost or given back twice. */
static void references_are_counted_from_any_thread(void **state)
{
	struct config *config = load(GOOD);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, take_and_give, config_ref(config)), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&config->references), 1);
	config_unref(config);
	config_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(every_process_key_is_read),
		cmocka_unit_test(a_line_so_often_is_0_or_a_second_and_more),
		cmocka_unit_test(every_listener_key_is_read),
		cmocka_unit_test(timeouts_are_the_engine_s_deadlines),
		cmocka_unit_test(pools_have_servers_of_every_form),
		cmocka_unit_test(listeners_inherit_key_by_key),
		cmocka_unit_test(a_mode_of_digits_is_octal_too),
		cmocka_unit_test(names_are_looked_up_once),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(keys_to_come_are_refused),
		cmocka_unit_test(all_errors_come_in_the_order_of_the_file),
		cmocka_unit_test(a_name_used_twice_says_where_it_was_first),
		cmocka_unit_test(an_address_is_listened_on_once),
		cmocka_unit_test(a_pool_has_at_most_256_servers),
		cmocka_unit_test(a_syntax_error_comes_with_what_was_found_before),
		cmocka_unit_test(errors_are_bounded_and_the_rest_counted),
		cmocka_unit_test(control_characters_stay_out_of_messages),
		cmocka_unit_test(a_pool_that_nothing_uses_is_a_warning),
		cmocka_unit_test(files_are_read_with_their_includes),
		cmocka_unit_test(references_are_counted_from_any_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
