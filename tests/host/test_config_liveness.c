/*
 * host/config: dead_after, keepalive and idle_spares_alive. What they come to on each side, which
 * of them takes the place of which, and what cannot be without knowing that a peer is alive.
 */
#include "config_harness.h"

/* Without another setting, and with servers and addresses to listen on of any kind. */
#define BETWEEN(listen, servers, own) \
	"listeners = ( { name = \"web\"; listen = " listen "; servers = " servers "; " own " } );"

#define ALIVE       "timeouts = { idle_spares_alive = true; };"
#define DEAD(after) "{ dead_after = \"" after "\"; };"

/* What dead_after of so many seconds is. */
static void assert_within(const struct config_listener *listener, enum side side, int64_t seconds)
{
	struct keepalive want = liveness_within(seconds * S);
	const struct keepalive *have = &listener->sides[side].keepalive;

	assert_int_equal(listener->policy.dead_after_us[side], seconds * S);
	assert_int_equal(listener->policy.alive_us[side], seconds * S);
	assert_true(have->is_set);
	assert_int_equal(have->idle_s, want.idle_s);
	assert_int_equal(have->interval_s, want.interval_s);
	assert_int_equal(have->count, want.count);
	assert_int_equal(have->user_timeout_ms, 0);
	assert_int_equal(have->rto_max_ms, want.rto_max_ms);
	assert_true(have->rto_max_ms > 0);
}

/* What a literal keepalive is. */
static void assert_literal(const struct config_listener *listener, enum side side, int idle_s,
			   int interval_s, int count)
{
	const struct keepalive *have = &listener->sides[side].keepalive;

	assert_int_equal(listener->policy.dead_after_us[side], 0);
	assert_int_equal(listener->policy.alive_us[side], (idle_s + interval_s * count) * S);
	assert_true(have->is_set);
	assert_int_equal(have->idle_s, idle_s);
	assert_int_equal(have->interval_s, interval_s);
	assert_int_equal(have->count, count);
	assert_int_equal(have->rto_max_ms, 0);
}

static void assert_off(const struct config_listener *listener, enum side side)
{
	assert_int_equal(listener->policy.dead_after_us[side], 0);
	assert_int_equal(listener->policy.alive_us[side], 0);
	assert_false(listener->sides[side].keepalive.is_set);
}

static void two_minutes_on_both_sides_unless_said(void **state)
{
	struct config *config = load(CONFIG("", ""));

	(void)state;
	assert_within(config->listeners, CLIENT, 120);
	assert_within(config->listeners, SERVER, 120);
	config_unref(config);
}

static void each_side_has_its_own(void **state)
{
	struct config *config = load(CONFIG("", "client = " DEAD("3s") "server = " DEAD("1d")));

	(void)state;
	assert_within(config->listeners, CLIENT, 3);
	assert_within(config->listeners, SERVER, 86400);
	config_unref(config);
	config = load(CONFIG("", "server = " DEAD("0")));
	assert_within(config->listeners, CLIENT, 120);
	assert_off(config->listeners, SERVER);
	config_unref(config);
	config = load(CONFIG("", "client = " DEAD("3500ms")));
	assert_int_equal(config->listeners->policy.dead_after_us[CLIENT], 3500000);
	assert_int_equal(config->listeners->policy.alive_us[CLIENT], 3500000);
	config_unref(config);
}

static void a_listener_inherits_dead_after(void **state)
{
	struct config *config = load(
		CONFIG("client = " DEAD("30s") "server = " DEAD("40s"), "client = " DEAD("50s")));

	(void)state;
	assert_within(config->listeners, CLIENT, 50);
	assert_within(config->listeners, SERVER, 40);
	config_unref(config);
	config = load(CONFIG("client = " DEAD("0"), ""));
	assert_off(config->listeners, CLIENT);
	assert_within(config->listeners, SERVER, 120);
	config_unref(config);
	config = load(CONFIG("client = " DEAD("0"), "client = " DEAD("5s")));
	assert_within(config->listeners, CLIENT, 5);
	config_unref(config);
}

static void a_literal_keepalive_takes_the_place_of_dead_after(void **state)
{
	struct config *config = load(CONFIG("client = " DEAD("30s"),
					    "client = { keepalive = { count = 2; }; }; server = "
					    "{ keepalive = { idle = \"4s\"; }; };"));

	(void)state;
	/* What is not said is the kernel's own, not what dead_after would come to. */
	assert_literal(config->listeners, CLIENT, 7200, 75, 2);
	assert_literal(config->listeners, SERVER, 4, 75, 9);
	config_unref(config);
	config = load(CONFIG("client = { keepalive = { idle = \"7s\"; }; };", ""));
	assert_literal(config->listeners, CLIENT, 7, 75, 9);
	assert_within(config->listeners, SERVER, 120);
	config_unref(config);
	/* And one that is inherited goes on key by key. */
	config = load(CONFIG("client = { keepalive = { idle = \"7s\"; interval = \"8s\"; }; };",
			     "client = { keepalive = { interval = \"9s\"; count = 127; }; };"));
	assert_literal(config->listeners, CLIENT, 7, 9, 127);
	config_unref(config);
	config = load(CONFIG("", "client = { keepalive = { idle = \"32767s\"; interval = "
				 "\"32767s\"; count = 127; }; };"));
	assert_literal(config->listeners, CLIENT, 32767, 32767, 127);
	config_unref(config);
}

static void dead_after_takes_the_place_of_a_literal_keepalive(void **state)
{
	struct config *config = load(CONFIG("client = { keepalive = { user_timeout = \"9s\"; }; "
					    "}; server = { keepalive = { }; };",
					    "client = " DEAD("30s") "server = " DEAD("0")));

	(void)state;
	assert_within(config->listeners, CLIENT, 30);
	assert_off(config->listeners, SERVER);
	config_unref(config);
}

static void listeners_do_not_share_what_they_say(void **state)
{
	struct config *config = load(
		"listeners = ("
		"{ name = \"a\"; listen = \"[::1]:0\"; servers = \"unix:/s\"; client = " DEAD(
			"9s") "},"
			      "{ name = \"b\"; listen = \"[::1]:0\"; servers = \"unix:/s\"; } );");

	(void)state;
	assert_within(&config->listeners[0], CLIENT, 9);
	assert_within(&config->listeners[1], CLIENT, 120);
	config_unref(config);
}

static void what_no_dead_after_is_is_said(void **state)
{
	static const char *const cases[][2] = {
		{ "2999ms",
		  "t.conf:3: listeners.web.client.dead_after: \"2999ms\" is out of range; "
		  "right is \"3s\" to \"1d\", or \"0\" for none" },
		{ "25h",
		  "t.conf:3: listeners.web.client.dead_after: \"25h\" is out of range; right "
		  "is \"3s\" to \"1d\", or \"0\" for none" },
		{ "soon", "t.conf:3: listeners.web.client.dead_after: \"soon\" is no duration; "
			  "right is a number with us, ms, s, m, h or d, such as \"30s\"; \"0\" for "
			  "none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text), CONFIG("", "client = " DEAD("%s")), cases[i][0]);
		refuse(text, cases[i][1]);
	}
	refuse(CONFIG("", "server = { dead_after = 60; };"),
	       "t.conf:3: listeners.web.server.dead_after: is an integer; right is a duration in "
	       "quotes: a number with us, ms, s, m, h or d, such as \"30s\"; \"0\" for none");
	refuse(CONFIG("server = { dead_after = true; };", ""),
	       "t.conf:1: defaults.server.dead_after: is true or false; right is a duration in "
	       "quotes: a number with us, ms, s, m, h or d, such as \"30s\"; \"0\" for none");
}

static void both_in_one_group_is_an_error_at_the_later_one(void **state)
{
	(void)state;
	refuse(CONFIG("", "client = { keepalive = { };\n dead_after = \"9s\"; };"),
	       "t.conf:4: listeners.web.client.dead_after: there is a keepalive too; right is "
	       "either keepalive or dead_after");
	refuse(CONFIG("", "server = { dead_after = \"0\";\n keepalive = { }; };"),
	       "t.conf:4: listeners.web.server.keepalive: there is a dead_after too; right is "
	       "either keepalive or dead_after");
	/* In `defaults` once, however many listeners there are. */
	refuse("listeners = ( { name = \"a\"; listen = \"[::1]:0\"; servers = \"unix:/s\"; },"
	       "{ name = \"b\"; listen = \"[::1]:0\"; servers = \"unix:/s\"; } );\n"
	       "defaults = { client = { dead_after = \"9s\"; keepalive = { }; }; };",
	       "t.conf:2: defaults.client.keepalive: there is a dead_after too; right is either "
	       "keepalive or dead_after");
}

#define SPARING(side)                                                                       \
	"timeouts.idle_spares_alive needs to know whether the " side " is alive, and " side \
	".dead_after is \"0\"; right is \"3s\" to \"1d\" there"

static void sparing_the_alive_takes_a_side_that_is_known(void **state)
{
	(void)state;
	config_unref(load(CONFIG("", ALIVE)));
	config_unref(load(CONFIG("", ALIVE "client = { keepalive = { }; };")));
	/* Where it is off, nothing has to be known. */
	config_unref(load(
		CONFIG(ALIVE, "timeouts = { idle_spares_alive = false; }; client = " DEAD("0"))));
	refuse(CONFIG("", ALIVE "client = " DEAD("0")),
	       "t.conf:3: listeners.web.timeouts.idle_spares_alive: " SPARING("client"));
	refuse(CONFIG("server = " DEAD("0"), ALIVE),
	       "t.conf:3: listeners.web.timeouts.idle_spares_alive: " SPARING("server"));
	refuse(CONFIG(ALIVE, "server = " DEAD("0")),
	       "t.conf:3: listeners.web.server.dead_after: " SPARING("server"));
}

static void what_is_wrong_in_defaults_is_said_there_and_once(void **state)
{
	static const char *const errors[] = {
		"t.conf:2: defaults.timeouts.idle_spares_alive: " SPARING("client"),
		"t.conf:2: defaults.timeouts.idle_spares_alive: " SPARING("server"),
		NULL,
	};

	(void)state;
	refuse_all("listeners = ( { name = \"a\"; listen = \"[::1]:0\"; servers = \"[::1]:9\"; },"
		   "{ name = \"b\"; listen = \"[::1]:0\"; servers = \"[::1]:9\"; } );\n"
		   "defaults = { " ALIVE "client = " DEAD("0") "server = " DEAD("0") "};",
		   errors);
	/* It is nothing wrong where each listener knows better. */
	config_unref(load(CONFIG(ALIVE "client = " DEAD("0"), "client = " DEAD("9s"))));
}

static void unix_sockets_are_always_known(void **state)
{
#define BLIND ALIVE "client = " DEAD("0") "server = " DEAD("0")
	(void)state;
	config_unref(load(BETWEEN("\"unix:/a\"", "\"unix:/b\"", BLIND)));
	config_unref(load(BETWEEN("( \"unix:/a\", \"unix:/c\" )",
				  "( \"unix:/b\", { address = \"unix:/d\"; } )", BLIND)));
	/* One that can be TCP is enough, and a passed socket can. */
	refuse(BETWEEN("( \"unix:/a\", \"[::1]:0\" )", "\"unix:/b\"", BLIND),
	       "t.conf:1: listeners.web.timeouts.idle_spares_alive: " SPARING("client"));
	refuse(BETWEEN("\"systemd:a\"", "\"unix:/b\"", BLIND),
	       "t.conf:1: listeners.web.timeouts.idle_spares_alive: " SPARING("client"));
	refuse(BETWEEN("\"unix:/a\"", "( \"unix:/b\", { address = \"[::1]:9\"; } )", BLIND),
	       "t.conf:1: listeners.web.timeouts.idle_spares_alive: " SPARING("server"));
	refuse("pools = ( { name = \"p\"; servers = \"[::1]:9\"; } );"
	       "listeners = ( { name = \"web\"; listen = \"unix:/a\"; pool = \"p\"; " BLIND "} );",
	       "t.conf:1: listeners.web.timeouts.idle_spares_alive: " SPARING("server"));
}

/* A dead_after may stand where the file is broken. */
static void nothing_is_missed_behind_a_syntax_error(void **state)
{
	struct config *config = NULL;
	struct config_problems problems;

	(void)state;
	assert_int_equal(
		config_load_text(
			"defaults = { client = " DEAD(
				"0") "};\n"
				     "listeners = ( { name = \"web\"; listen = \"[::1]:0\"; "
				     "servers = \"[::1]:9\"; " ALIVE "\nclient = ] } );",
			"t.conf", &config, &problems),
		-EINVAL);
	assert_int_equal(problems.error_count, 1);
	assert_non_null(strstr(problems.errors[0], "t.conf:3: "));
	config_problems_fini(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_minutes_on_both_sides_unless_said),
		cmocka_unit_test(each_side_has_its_own),
		cmocka_unit_test(a_listener_inherits_dead_after),
		cmocka_unit_test(a_literal_keepalive_takes_the_place_of_dead_after),
		cmocka_unit_test(dead_after_takes_the_place_of_a_literal_keepalive),
		cmocka_unit_test(listeners_do_not_share_what_they_say),
		cmocka_unit_test(what_no_dead_after_is_is_said),
		cmocka_unit_test(both_in_one_group_is_an_error_at_the_later_one),
		cmocka_unit_test(sparing_the_alive_takes_a_side_that_is_known),
		cmocka_unit_test(what_is_wrong_in_defaults_is_said_there_and_once),
		cmocka_unit_test(unix_sockets_are_always_known),
		cmocka_unit_test(nothing_is_missed_behind_a_syntax_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
