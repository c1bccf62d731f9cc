/*
 * host/config, the group `probe` of a side: every protocol and key, what is inherited, and that
 * what cannot be is said with its place and what is right.
 */
#include "config_harness.h"

#define PROBE(side, keys)  side " = { probe = { " keys " }; };"
#define SERVER_PROBE(keys) CONFIG("", PROBE("server", keys))
#define CLIENT_PROBE(keys) CONFIG("", PROBE("client", keys))

#define AT_SERVER "t.conf:3: listeners.web.server.probe"
#define AT_CLIENT "t.conf:3: listeners.web.client.probe"
#define LINE_HINT "right is a line in quotes that ends with \\n, of 1 to 64 bytes"

/* 64 bytes with the end of line. */
#define LINE_64 "123456789012345678901234567890123456789012345678901234567890123\\n"

/* The same the other way round: of all protocols, the engine knows where they go. */
static void every_protocol_goes_where_the_engine_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PROBE_PROTOCOLS; i++) {
		enum probe_protocol protocol = (enum probe_protocol)i;
		const char *name = probe_protocol_name(protocol);
		const char *send = protocol == PROBE_LINES ? "send = \"x\\n\";" : "";

		for (enum side side = CLIENT; side < SIDES; side++) {
			char text[512];
			char error[512];
			struct config *config;

			(void)snprintf(text, sizeof(text),
				       CONFIG("", PROBE("%s", "protocol = \"%s\"; %s")),
				       side_name(side), name, send);
			(void)snprintf(error, sizeof(error),
				       "t.conf:3: listeners.web.%s.probe.protocol: \"%s\" goes to "
				       "the %s alone; right is %s = { probe = { ... }; }",
				       side_name(side), name, side_name(other(side)),
				       side_name(other(side)));
			if (!probe_protocol_goes_to(protocol, side)) {
				refuse(text, error);
				continue;
			}
			config = load(text);
			assert_true(config->listeners->sides[side].has_probe);
			assert_false(config->listeners->sides[other(side)].has_probe);
			assert_int_equal(config->listeners->sides[side].probe.protocol, protocol);
			config_unref(config);
		}
	}
	assert_false(probe_protocol_goes_to(PROBE_REDIS, CLIENT));
	assert_true(probe_protocol_goes_to(PROBE_TELNET, CLIENT));
}

static void what_is_not_said_has_its_default(void **state)
{
	struct config *config = load(SERVER_PROBE("protocol = \"redis\";"));
	const struct probe_settings *probe = &config->listeners->sides[SERVER].probe;

	(void)state;
	assert_int_equal(probe->interval_us, 60 * S);
	assert_int_equal(probe->answer_us, 0);
	assert_false(probe->ends_session);
	assert_int_equal(probe->send_size, 0);
	assert_int_equal(probe->expect_size, 0);
	config_unref(config);
	config = load(SERVER_PROBE("protocol = \"mqtt\";"));
	assert_int_equal(config->listeners->sides[SERVER].probe.answer_us, 30 * S);
	config_unref(config);
	config = load(SERVER_PROBE("protocol = \"lines\"; send = \"\\n\";"));
	assert_int_equal(config->listeners->sides[SERVER].probe.answer_us, 0);
	config_unref(config);
	config = load(SERVER_PROBE("protocol = \"lines\"; send = \"\\n\"; expect = \"\\n\";"));
	assert_int_equal(config->listeners->sides[SERVER].probe.answer_us, 30 * S);
	config_unref(config);
}

static void every_key_is_read(void **state)
{
	struct config *config = load(CLIENT_PROBE(
		"on_silence = \"end\"; answer = \"100ms\"; expect = \"OK\\r\\n\"; "
		"send = \"" LINE_64 "\"; interval = \"3650d\"; protocol = \"lines\";"));
	const struct probe_settings *probe = &config->listeners->sides[CLIENT].probe;

	(void)state;
	assert_int_equal(probe->protocol, PROBE_LINES);
	assert_int_equal(probe->interval_us, INT64_C(3650) * 86400 * S);
	assert_int_equal(probe->answer_us, 100000);
	assert_true(probe->ends_session);
	assert_int_equal(probe->send_size, PROBE_MESSAGE_MAX);
	assert_memory_equal(probe->send + 61, "23\n", 3);
	assert_int_equal(probe->expect_size, 4);
	assert_memory_equal(probe->expect, "OK\r\n", 4);
	config_unref(config);
	config =
		load(SERVER_PROBE("protocol = \"mqtt\"; answer = \"5s\"; on_silence = \"count\";"));
	assert_int_equal(config->listeners->sides[SERVER].probe.answer_us, 5 * S);
	assert_false(config->listeners->sides[SERVER].probe.ends_session);
	config_unref(config);
	config = load(CONFIG("", PROBE("client", "protocol = \"telnet\";")
					 PROBE("server", "protocol = \"telnet\"; interval = "
							 "\"10s\";")));
	assert_int_equal(config->listeners->sides[CLIENT].probe.interval_us, 60 * S);
	assert_int_equal(config->listeners->sides[SERVER].probe.interval_us, 10 * S);
	config_unref(config);
}

#define OFTEN "a probe so often is a load for the peer; better is \"10s\" and more"

static void a_probe_too_often_is_taken_with_a_warning(void **state)
{
	struct config *config =
		load_with(SERVER_PROBE("protocol = \"redis\"; interval = \"100ms\";"),
			  AT_SERVER ".interval: " OFTEN);

	(void)state;
	assert_int_equal(config->listeners->sides[SERVER].probe.interval_us, 100000);
	config_unref(config);
	config_unref(load_with(SERVER_PROBE("protocol = \"redis\"; interval = \"9999ms\";"),
			       AT_SERVER ".interval: " OFTEN));
	config_unref(load_with(CONFIG(PROBE("server", "protocol = \"redis\"; interval = \"1s\";"),
				      "}, { name = \"b\"; listen = \"[::1]:0\"; servers = "
				      "\"unix:/s\";"),
			       "t.conf:1: defaults.server.probe.interval: " OFTEN));
}

/* Nothing of the inherited one is left. */
static void a_probe_is_inherited_and_replaced_as_a_whole(void **state)
{
#define INHERITED                                                                                \
	PROBE("server", "protocol = \"lines\"; send = \"ab\\n\"; expect = \"c\\n\"; interval = " \
			"\"20s\"; answer = \"7s\"; on_silence = \"end\";")
	struct config *config = load(CONFIG(INHERITED, ""));
	const struct config_side *side = &config->listeners->sides[SERVER];

	(void)state;
	assert_true(side->has_probe);
	assert_int_equal(side->probe.interval_us, 20 * S);
	assert_memory_equal(side->probe.send, "ab\n", 3);
	config_unref(config);
	config = load(CONFIG(INHERITED, PROBE("server", "protocol = \"lines\"; send = \"z\\n\";")));
	side = &config->listeners->sides[SERVER];
	assert_true(side->has_probe);
	assert_int_equal(side->probe.interval_us, 60 * S);
	assert_int_equal(side->probe.answer_us, 0);
	assert_false(side->probe.ends_session);
	assert_int_equal(side->probe.send_size, 2);
	assert_int_equal(side->probe.expect_size, 0);
	config_unref(config);
	config = load(CONFIG(INHERITED, "server = { dead_after = \"9s\"; };"));
	assert_true(config->listeners->sides[SERVER].has_probe);
	config_unref(config);
	config = load(CONFIG(INHERITED, PROBE("server", "protocol = \"off\";")));
	assert_false(config->listeners->sides[SERVER].has_probe);
	config_unref(config);
	config = load(CONFIG("", PROBE("client", "protocol = \"off\";")));
	assert_false(config->listeners->sides[CLIENT].has_probe);
	config_unref(config);
}

#define WORDS                                                                            \
	"\"redis\", \"memcached\", \"telnet\", \"irc\", \"xmpp\", \"stomp\", \"amqp\", " \
	"\"mqtt\", \"postgresql\", \"mysql\", \"lines\", \"off\""
#define NO_DURATION "a number with us, ms, s, m, h or d, such as \"30s\"; \"0\" for none"

/* Each with exactly one error, which is this. */
static const char *const single_errors[][2] = {
	{ CONFIG("", "server = { probe = \"redis\"; };"), AT_SERVER
	  ": is a string; right is a group { protocol = \"redis\"; interval = \"60s\"; }" },
	{ CONFIG(PROBE("server", ""), ""),
	  "t.conf:1: defaults.server.probe.protocol: missing; right is a group { protocol = "
	  "\"redis\"; interval = \"60s\"; }" },
	{ SERVER_PROBE("interval = \"60s\";"), AT_SERVER ".protocol: missing; right is a group { "
							 "protocol = \"redis\"; interval = "
							 "\"60s\"; }" },
	{ SERVER_PROBE("protocol = 1;"),
	  AT_SERVER ".protocol: is an integer; right is one of " WORDS },
	{ SERVER_PROBE("protocol = \"http\"; answer = \"5s\"; send = \"x\\n\";"),
	  AT_SERVER ".protocol: \"http\" is unknown; right is one of " WORDS },
	{ SERVER_PROBE("protocol = \"redis\"; intervall = \"60s\";"),
	  AT_SERVER ".intervall: unknown key; did you mean \"interval\"?" },
	{ SERVER_PROBE("protocol = \"redis\"; zzz = 1;"), AT_SERVER
	  ".zzz: unknown key; known here: protocol, interval, answer, on_silence, send, expect" },
	{ SERVER_PROBE("protocol = \"redis\"; interval = 60;"),
	  AT_SERVER ".interval: is an integer; right is a duration in quotes: " NO_DURATION },
	{ SERVER_PROBE("protocol = \"redis\"; interval = \"99ms\";"),
	  AT_SERVER ".interval: \"99ms\" is out of range; right is \"100ms\" to \"3650d\"" },
	{ SERVER_PROBE("protocol = \"redis\"; interval = \"0\";"),
	  AT_SERVER ".interval: \"0\" is out of range; right is \"100ms\" to \"3650d\"" },
	{ SERVER_PROBE("protocol = \"mqtt\"; answer = \"0\";"),
	  AT_SERVER ".answer: \"0\" is out of range; right is \"100ms\" to \"3650d\"" },
	{ SERVER_PROBE("protocol = \"mqtt\"; answer = \"99ms\";"),
	  AT_SERVER ".answer: \"99ms\" is out of range; right is \"100ms\" to \"3650d\"" },
	{ SERVER_PROBE("protocol = \"redis\"; answer = \"5s\";"),
	  AT_SERVER ".answer: \"redis\" has no answer; remove it" },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"x\\n\"; answer = \"5s\";"),
	  AT_SERVER ".answer: \"lines\" has no answer without expect; add expect, or remove it" },
	{ SERVER_PROBE("protocol = \"mqtt\"; on_silence = \"kill\";"),
	  AT_SERVER ".on_silence: \"kill\" is unknown; right is one of \"count\", \"end\"" },
	{ SERVER_PROBE("protocol = \"redis\"; on_silence = \"end\";"),
	  AT_SERVER ".on_silence: \"end\" is for probes with an answer, and \"redis\" has none; "
		    "remove it" },
	{ CLIENT_PROBE("protocol = \"lines\"; send = \"x\\n\"; on_silence = \"end\";"),
	  AT_CLIENT ".on_silence: \"end\" is for probes with an answer, and \"lines\" has none "
		    "without expect; add expect, or remove it" },
	{ SERVER_PROBE("protocol = \"redis\"; send = \"x\\n\";"),
	  AT_SERVER ".send: goes with protocol = \"lines\" alone; remove it" },
	{ SERVER_PROBE("protocol = \"mqtt\"; expect = \"x\\n\";"),
	  AT_SERVER ".expect: goes with protocol = \"lines\" alone; remove it" },
	{ SERVER_PROBE("protocol = \"lines\";"), AT_SERVER ".send: missing; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; expect = \"x\\n\";"),
	  AT_SERVER ".send: missing; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = 1;"),
	  AT_SERVER ".send: is an integer; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"\";"),
	  AT_SERVER ".send: 0 bytes; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"x" LINE_64 "\";"),
	  AT_SERVER ".send: 65 bytes; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"NOOP\";"),
	  AT_SERVER ".send: does not end its line; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"x\\n\"; expect = \"\";"),
	  AT_SERVER ".expect: 0 bytes; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"x\\n\"; expect = \"x" LINE_64 "\";"),
	  AT_SERVER ".expect: 65 bytes; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"lines\"; send = \"x\\n\"; expect = \"OK\";"),
	  AT_SERVER ".expect: does not end its line; " LINE_HINT },
	{ SERVER_PROBE("protocol = \"off\"; interval = \"60s\";"),
	  AT_SERVER ".interval: goes with a protocol, not with \"off\"; remove it" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(single_errors) / sizeof(single_errors[0]); i++)
		refuse(single_errors[i][0], single_errors[i][1]);
}

static void off_stands_alone(void **state)
{
#define BESIDE_OFF(key) AT_CLIENT "." key ": goes with a protocol, not with \"off\"; remove it"
	static const char *const errors[] = {
		BESIDE_OFF("interval"), BESIDE_OFF("answer"), BESIDE_OFF("on_silence"),
		BESIDE_OFF("send"),     BESIDE_OFF("expect"), NULL,
	};

	(void)state;
	refuse_all(CLIENT_PROBE("expect = \"x\\n\"; send = \"x\\n\"; on_silence = \"count\"; "
				"answer = \"1s\"; protocol = \"off\"; interval = \"1s\";"),
		   errors);
}

#define TWO_PROTOCOLS                                                                              \
	"probes in \"telnet\" to the client and in \"irc\" to the server; right is one protocol, " \
	"as a session speaks one"

static void a_session_speaks_one_protocol(void **state)
{
	(void)state;
	refuse(CONFIG("", PROBE("client", "protocol = \"telnet\";")
				  PROBE("server", "protocol = \"irc\";")),
	       AT_SERVER ": " TWO_PROTOCOLS);
	refuse(CONFIG(PROBE("client", "protocol = \"telnet\";"),
		      PROBE("server", "protocol = \"irc\";")),
	       AT_SERVER ": " TWO_PROTOCOLS);
	refuse(CONFIG(PROBE("server", "protocol = \"irc\";"),
		      PROBE("client", "protocol = \"telnet\";")),
	       AT_CLIENT ": " TWO_PROTOCOLS);
	refuse(CONFIG(PROBE("server", "protocol = \"irc\";")
			      PROBE("client", "protocol = \"telnet\";"),
		      "}, { name = \"b\"; listen = \"[::1]:0\"; servers = \"unix:/s\";"),
	       "t.conf:1: defaults.server.probe: " TWO_PROTOCOLS);
	config_unref(load(CONFIG(PROBE("server", "protocol = \"irc\";"),
				 PROBE("client", "protocol = \"telnet\";")
					 PROBE("server", "protocol = \"off\";"))));
	config_unref(load(CONFIG(PROBE("server", "protocol = \"irc\";"),
				 PROBE("client", "protocol = \"irc\";"))));
	/* One that cannot be there is not held against the other side's. */
	refuse(CONFIG("", PROBE("client", "protocol = \"redis\";")
				  PROBE("server", "protocol = \"irc\";")),
	       AT_CLIENT ".protocol: \"redis\" goes to the server alone; right is server = { "
			 "probe = { ... }; }");
}

#define BLIND(target, side)                                                    \
	target ".probe needs to know whether the " side " is alive, and " side \
	       ".dead_after is \"0\"; right is \"3s\" to \"1d\" there"

static void a_probe_takes_another_side_that_is_known(void **state)
{
	static const char *const both[] = { AT_SERVER ": " BLIND("server", "client"),
					    AT_CLIENT ": " BLIND("client", "server"), NULL };
	static const char *const in_defaults[] = {
		"t.conf:1: defaults.server.probe: " BLIND("server", "client"),
		"t.conf:1: defaults.client.probe: " BLIND("client", "server"), NULL
	};

	(void)state;
	refuse(CONFIG("",
		      PROBE("server", "protocol = \"redis\";") "client = { dead_after = \"0\"; };"),
	       AT_SERVER ": " BLIND("server", "client"));
	refuse(CONFIG(PROBE("client", "protocol = \"irc\";"), "server = { dead_after = \"0\"; };"),
	       "t.conf:3: listeners.web.server.dead_after: " BLIND("client", "server"));
	refuse(CONFIG(PROBE("server", "protocol = \"redis\";") "client = { dead_after = \"0\"; };",
		      "}, { name = \"b\"; listen = \"[::1]:0\"; servers = \"unix:/s\";"),
	       "t.conf:1: defaults.server.probe: " BLIND("server", "client"));
	refuse_all(CONFIG("", "client = { dead_after = \"0\"; probe = { protocol = \"irc\"; }; }; "
			      "server = { dead_after = \"0\"; probe = { protocol = \"irc\"; }; };"),
		   both);
	refuse_all(CONFIG("client = { dead_after = \"0\"; probe = { protocol = \"irc\"; }; }; "
			  "server = { "
			  "dead_after = \"0\"; probe = { protocol = \"irc\"; }; };",
			  ""),
		   in_defaults);
	/* The side that is probed need not be known, and a UNIX socket or a keepalive is enough. */
	config_unref(load(CONFIG("", "server = { dead_after = \"0\"; probe = { protocol = "
				     "\"redis\"; }; };")));
	config_unref(
		load(CONFIG("", PROBE("server", "protocol = \"redis\";") "client = { keepalive = "
									 "{ }; };")));
	config_unref(load("listeners = ( { name = \"a\"; listen = \"unix:/a\"; servers = "
			  "\"[::1]:9\"; client = { dead_after = \"0\"; }; " PROBE(
				  "server", "protocol = \"redis\";") "} );"));
}

/* `expect` may stand where the file is broken. */
static void nothing_is_missed_behind_a_syntax_error(void **state)
{
	struct config *config = NULL;
	struct config_problems problems;

	(void)state;
	assert_int_equal(
		config_load_text(CONFIG("", "server = { probe = { protocol = \"lines\"; answer = "
					    "\"9s\";\n on_silence = \"end\"; interval = ] }; };"),
				 "t.conf", &config, &problems),
		-EINVAL);
	assert_int_equal(problems.error_count, 1);
	assert_non_null(strstr(problems.errors[0], "t.conf:4: syntax error"));
	config_problems_fini(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_protocol_goes_where_the_engine_says),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(a_probe_too_often_is_taken_with_a_warning),
		cmocka_unit_test(a_probe_is_inherited_and_replaced_as_a_whole),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(off_stands_alone),
		cmocka_unit_test(a_session_speaks_one_protocol),
		cmocka_unit_test(a_probe_takes_another_side_that_is_known),
		cmocka_unit_test(nothing_is_missed_behind_a_syntax_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
