/*
 * host/config: buffer_cap and source. What is read, inherited and refused, and what is a warning
 * as it depends on the machine.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "config_harness.h"

#define CAP(value)    "buffer_cap = " value ";"
#define SOURCE(value) "server = { source = " value "; };"
#define PLACE         "t.conf:3: listeners.web."
#define NOBODY        65534

/* ---- buffer_cap --------------------------------------------------------------------------------
 */

static uint32_t cap_of(const char *text)
{
	struct config *config = load(text);
	uint32_t cap = config->listeners->buffer_cap;

	config_unref(config);
	return cap;
}

static void a_cap_is_read_and_inherited(void **state)
{
	(void)state;
	assert_int_equal(cap_of(CONFIG("", "")), 0);
	assert_int_equal(cap_of(CONFIG("", CAP("0"))), 0);
	assert_int_equal(cap_of(CONFIG("", CAP("4096"))), 4096);
	assert_int_equal(cap_of(CONFIG("", CAP("\"64KiB\""))), 65536);
	assert_int_equal(cap_of(CONFIG(CAP("65536"), "")), 65536);
	assert_int_equal(cap_of(CONFIG(CAP("65536"), CAP("\"8KiB\""))), 8192);
	assert_int_equal(cap_of(CONFIG(CAP("65536"), CAP("0"))), 0);
}

static void what_is_no_cap_is_refused(void **state)
{
	static const char range[] =
		PLACE "buffer_cap: out of range; right is \"4KiB\" to \"1GiB\", or 0 for none";

	(void)state;
	refuse(CONFIG("", CAP("4095")), range);
	refuse(CONFIG("", CAP("-1")), range);
	refuse(CONFIG("", CAP("1073741825")), range);
	refuse(CONFIG("", CAP("4294967296L")), range);
	refuse(CONFIG("", CAP("\"2GiB\"")), range);
	refuse(CONFIG("", CAP("\"99999999999GiB\"")), range);
	refuse(CONFIG("", CAP("\"64KB\"")),
	       PLACE "buffer_cap: \"64KB\" is no size; right is bytes as an integer, or a string "
		     "such as \"64KiB\" or \"1MiB\"");
	refuse(CONFIG("", CAP("true")),
	       PLACE "buffer_cap: is true or false; right is bytes as an integer, or a string such "
		     "as \"64KiB\" or \"1MiB\"");
}

/* In a child, where an assertion would go on with the parent's tests. */
static bool is_warned_of(const char *text, const char *const *parts)
{
	struct config *config = NULL;
	struct config_problems problems;
	bool is_warned = config_load_text(text, "t.conf", &config, &problems) == 0 &&
			 problems.warning_count == 1;

	for (; is_warned && *parts != NULL; parts++)
		is_warned = strstr(problems.warnings[0], *parts) != NULL;
	config_problems_fini(&problems);
	config_unref(config);
	return is_warned;
}

/* Where it stands, once; not at each listener that inherits it. */
static bool is_bound_said(void)
{
	static const char *const parts[] = { "t.conf:1: defaults.buffer_cap: 1GiB is more",
					     "to send (net.core.wmem_max), ",
					     "to receive (net.core.rmem_max)", NULL };

	return is_warned_of("defaults = { buffer_cap = \"1GiB\"; };\nlisteners = ("
			    "{ name = \"a\"; listen = \"[::1]:0\"; servers = \"unix:/x\"; },"
			    "{ name = \"b\"; listen = \"[::1]:0\"; servers = \"unix:/x\"; } );",
			    parts);
}

/* Nobody who may not has more than the machine's bound, which is far below the most. */
static void a_cap_that_the_kernel_does_not_give_is_a_warning(void **state)
{
	pid_t child;
	int status = -1;

	(void)state;
	child = fork();
	if (child == 0)
		_exit((geteuid() == 0 && setuid(NOBODY) < 0) || !is_bound_said());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- source ------------------------------------------------------------------------------------
 */

static void expect_sources(struct config *config, const char *expected)
{
	const struct config_side *side = &config->listeners->sides[SERVER];
	char text[1024] = "";
	char one[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < side->source_count; i++) {
		strcat(text, i > 0 ? " " : "");
		strcat(text, address_format(&side->sources[i], one, sizeof(one)));
	}
	assert_string_equal(text, expected);
	assert_int_equal(config->listeners->sides[CLIENT].source_count, 0);
	config_unref(config);
}

static void sources_are_read_and_inherited(void **state)
{
	(void)state;
	expect_sources(load(CONFIG("", "")), "");
	expect_sources(load(CONFIG("", SOURCE("\"127.0.0.9\""))), "127.0.0.9:0");
	expect_sources(load(CONFIG("", SOURCE("[ \"127.0.0.9\", \"127.1.0.0\" ]"))),
		       "127.0.0.9:0 127.1.0.0:0");
	expect_sources(load(CONFIG("", SOURCE("( \"127.0.0.9\", \"::1\", \"0.0.0.0\" )"))),
		       "127.0.0.9:0 [::1]:0 0.0.0.0:0");
	expect_sources(load(CONFIG(SOURCE("\"127.0.0.9\""), "")), "127.0.0.9:0");
	/* As a whole: with the kernel's choice a listener takes it back. */
	expect_sources(
		load(CONFIG(SOURCE("[ \"127.0.0.9\", \"127.0.0.8\" ]"), SOURCE("\"0.0.0.0\""))),
		"0.0.0.0:0");
}

static void what_is_no_source_is_refused(void **state)
{
#define RIGHT                                                                                     \
	"right is an IP address of this machine without a port, \"10.0.0.1\" or \"fd00::1\", or " \
	"several: [ \"10.0.0.1\", \"10.0.0.2\" ]"
	static const char *const bad[] = { "",        "localhost", "127.0.0.1:80", "10.0.0.0/8",
					   "unix:/x", "systemd:x", "[::1]" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];
		char error[512];

		snprintf(text, sizeof(text), CONFIG("", SOURCE("\"%s\"")), bad[i]);
		snprintf(error, sizeof(error),
			 PLACE "server.source: \"%s\" is no IP address; " RIGHT, bad[i]);
		refuse(text, error);
	}
	refuse(CONFIG("", SOURCE("\"client\"")), PLACE
	       "server.source: \"client\" (transparent) is not supported by this version; " RIGHT);
	refuse(CONFIG("", SOURCE("[ ]")), PLACE "server.source: is empty; " RIGHT);
	refuse(CONFIG("", SOURCE("80")), PLACE "server.source: is an integer; " RIGHT);
	refuse(CONFIG("", SOURCE("( \"127.0.0.1\", 80 )")),
	       PLACE "server.source[1]: is an integer; " RIGHT);
	refuse(CONFIG("", SOURCE("[ \"127.0.0.1\", \"::1\", \"0:0:0::1\" ]")),
	       PLACE "server.source[2]: \"0:0:0::1\" is there twice; remove one");
	refuse(CONFIG("", SOURCE("\"fe80::1%no-such\"")),
	       PLACE "server.source: \"fe80::1%no-such\": this host has no such network interface");
	refuse(CONFIG("", SOURCE("\"fe80::1\"")),
	       PLACE "server.source: \"fe80::1\" is a link-local address; right is one with its "
		     "zone, such as \"fe80::1%eth0\"");
	refuse(CONFIG("", "client = { source = \"127.0.0.1\"; };"),
	       PLACE "client.source: unknown key; known here: keepalive, dead_after, probe");
}

/* So many of them in `defaults`. Returns `text`. */
static char *many_sources(char *text, int count)
{
	size_t used = (size_t)sprintf(text, "defaults = { server = { source = [ \"::1\"");

	for (int i = 1; i < count; i++)
		used += (size_t)sprintf(text + used, ", \"127.0.0.%d\"", i);
	strcpy(text + used, " ]; }; };\n"
			    "listeners = ( { name = \"web\"; listen = \"[::1]:0\";"
			    " servers = \"127.0.0.1:9\"; } );");
	return text;
}

static void at_most_64_sources(void **state)
{
	char text[4096];
	struct config *config = load(many_sources(text, 64));

	(void)state;
	assert_int_equal(config->listeners->sides[SERVER].source_count, 64);
	config_unref(config);
	refuse(many_sources(text, 65),
	       "t.conf:1: defaults.server.source: 65 addresses; right are at most 64");
}

/* TEST-NET-3 and its like are nobody's (RFC 5737, RFC 3849). */
static void a_source_that_is_not_there_is_a_warning(void **state)
{
	(void)state;
	expect_sources(load_with(CONFIG("", SOURCE("[ \"127.0.0.1\", \"203.0.113.71\" ]")),
				 PLACE "server.source[1]: \"203.0.113.71\" is no address of this "
				       "machine; no connection to a server can come from it"),
		       "127.0.0.1:0 203.0.113.71:0");
	expect_sources(load_with(CONFIG(SOURCE("\"2001:db8::1\""), ""),
				 "t.conf:1: defaults.server.source: \"2001:db8::1\" is no address "
				 "of this machine; no connection to a server can come from it"),
		       "[2001:db8::1]:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cap_is_read_and_inherited),
		cmocka_unit_test(what_is_no_cap_is_refused),
		cmocka_unit_test(a_cap_that_the_kernel_does_not_give_is_a_warning),
		cmocka_unit_test(sources_are_read_and_inherited),
		cmocka_unit_test(what_is_no_source_is_refused),
		cmocka_unit_test(at_most_64_sources),
		cmocka_unit_test(a_source_that_is_not_there_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
