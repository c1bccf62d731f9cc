/*
 * admin/query: every parameter by its good and its bad values, what goes together, and that a
 * cursor reads back. What is refused changes nothing and says why.
 */
#include <finback/admin/query.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S            INT64_C(1000000)

/* One parameter, taken. */
static struct query *taken(struct query *query, const char *name, const char *value)
{
	char why[QUERY_WHY_MAX] = "";

	query_init(query);
	if (query_add(query, name, value, why) != 0)
		fail_msg("%s=%s: %s", name, value, why);
	assert_string_equal(why, "");
	return query;
}

/* One parameter refused, with these words, and nothing changed. */
static void refused(const char *name, const char *value, const char *words)
{
	char why[QUERY_WHY_MAX] = "";
	struct query query, before;

	query_init(&query);
	query_init(&before);
	if (query_add(&query, name, value, why) != -EINVAL)
		fail_msg("%s=%s is taken", name, value);
	if (!strstr(why, words))
		fail_msg("%s=%s: \"%s\" does not say \"%s\"", name, value, why, words);
	assert_memory_equal(&query.filter, &before.filter, sizeof(query.filter));
	assert_int_equal(query.limit, before.limit);
	assert_int_equal(query.after, 0);
	assert_int_equal(query.worker, 0);
	assert_int_equal(query.given, 0);
	assert_false(query.is_brief || query.is_ended);
}

static void without_parameters_is_everything(void **state)
{
	struct query query;
	char why[QUERY_WHY_MAX];

	(void)state;
	query_init(&query);
	assert_int_equal(query_check(&query, 1, why), 0);
	assert_int_equal(query.filter.states, 0);
	assert_null(query.filter.listener);
	assert_null(query.filter.pool);
	assert_null(query.filter.server);
	assert_int_equal(query.filter.min_age_us, 0);
	assert_int_equal(query.filter.ending_within_us, 0);
	assert_int_equal(query.filter.client.family, ENDPOINT_NONE);
	assert_int_equal(query.limit, 100);
	assert_int_equal(query.worker, 0);
	assert_int_equal(query.after, 0);
	assert_false(query.is_brief || query.is_ended);
}

static void states_by_their_words(void **state)
{
	const unsigned both = 1U << STATE_HALF_CLOSED_CLIENT | 1U << STATE_HALF_CLOSED_SERVER;
	struct query query;

	(void)state;
	for (unsigned i = 0; i < STATES; i++)
		assert_int_equal(taken(&query, "state", session_state_name(i))->filter.states,
				 1U << i);
	assert_int_equal(taken(&query, "state", "half_closed")->filter.states, both);
	assert_int_equal(taken(&query, "state", "open,half_closed")->filter.states,
			 both | 1U << STATE_OPEN);
	assert_int_equal(taken(&query, "state", "closing,closing,connecting")->filter.states,
			 1U << STATE_CLOSING | 1U << STATE_CONNECTING);
	assert_false(query.is_ended);
}

static void no_other_states(void **state)
{
	static const char *const bad[] = {
		"",         ",",        "open,",  ",open", "open,,closing", "OPEN",
		"opened",   "ope",      " open",  "open ", "open, closing", "half_closed_",
		"draining", "complete", "endedd", "none",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		refused("state", bad[i], "is no state; right are connecting, open");
	refused("state", "open,half,closing", "state: \"half\" is no state");
	refused("state", "open,ended", "ended stands alone");
	refused("state", "ended,open", "ended stands alone");
	refused("state", "ended,ended", "ended stands alone");
}

static void names_as_they_are(void **state)
{
	char name[QUERY_NAME_MAX + 2];
	struct query query;

	(void)state;
	assert_string_equal(taken(&query, "listener", "web")->filter.listener, "web");
	assert_string_equal(taken(&query, "pool", "a.b-c_1")->filter.pool, "a.b-c_1");
	assert_string_equal(taken(&query, "server", "[::1]:9000")->filter.server, "[::1]:9000");
	assert_string_equal(taken(&query, "server", "unix:/a b,\"\xff")->filter.server,
			    "unix:/a b,\"\xff");
	memset(name, 'n', sizeof(name));
	name[QUERY_NAME_MAX + 1] = '\0';
	refused("listener", name, "listener: is longer than any name");
	name[QUERY_NAME_MAX] = '\0';
	assert_string_equal(taken(&query, "server", name)->filter.server, name);
	refused("listener", "", "listener: is empty");
	refused("pool", "", "pool: is empty");
	refused("server", NULL, "server: is empty");
}

/* They must outlive what the caller had. */
static void names_are_copies(void **state)
{
	char value[] = "web";
	char why[QUERY_WHY_MAX];
	struct query query;

	(void)state;
	query_init(&query);
	assert_int_equal(query_add(&query, "listener", value, why), 0);
	value[0] = 'x';
	assert_int_equal(query_add(&query, "pool", value, why), 0);
	value[0] = 'y';
	assert_int_equal(query_add(&query, "server", value, why), 0);
	value[0] = 'z';
	assert_string_equal(query.filter.listener, "web");
	assert_string_equal(query.filter.pool, "xeb");
	assert_string_equal(query.filter.server, "yeb");
}

static void a_copy_stands_by_itself(void **state)
{
	struct query query, copy;
	char why[QUERY_WHY_MAX];

	(void)state;
	taken(&query, "pool", "web");
	assert_int_equal(query_add(&query, "limit", "7", why), 0);
	query_copy(&copy, &query);
	memset(&query, 'x', sizeof(query));
	assert_string_equal(copy.filter.pool, "web");
	assert_ptr_equal(copy.filter.pool, copy.names[QUERY_POOL]);
	assert_null(copy.filter.listener);
	assert_null(copy.filter.server);
	assert_int_equal(copy.limit, 7);
}

static void durations_as_in_the_configuration(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
		{ "50us", 50 },
		{ "500ms", S / 2 },
		{ "30s", 30 * S },
		{ "5m", 300 * S },
		{ "1h", 3600 * S },
		{ "1d", 86400 * S },
		{ "3650d", 3650 * 86400 * S },
	};
	static const char *const bad[] = {
		"",      "30",  "s",   "30 s", "-1s",   "1.5s",
		"1h30m", "30S", "+1s", "1ns",  "3651d", "99999999999999999999s",
		"00",
	};
	struct query query;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(taken(&query, "min_age", good[i].text)->filter.min_age_us,
				 good[i].us);
		assert_int_equal(
			taken(&query, "ending_within", good[i].text)->filter.ending_within_us,
			good[i].us);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		refused("min_age", bad[i], "is no duration; right is a number with us, ms, s");
		refused("ending_within", bad[i], "is no duration above 0; right is a number");
	}
	assert_int_equal(taken(&query, "min_age", "0")->filter.min_age_us, 0);
	refused("ending_within", "0", "is no duration above 0");
	refused("ending_within", "0ms", "is no duration above 0");
}

static void clients_by_address_or_network(void **state)
{
	struct query query;

	(void)state;
	taken(&query, "client", "10.1.2.3");
	assert_int_equal(query.filter.client.family, ENDPOINT_IPV4);
	assert_memory_equal(query.filter.client.ip, "\x0a\1\2\3", 4);
	assert_int_equal(query.filter.client_prefix, 32);
	taken(&query, "client", "10.1.2.3/8");
	assert_memory_equal(query.filter.client.ip, "\x0a\0\0\0", 4);
	assert_int_equal(query.filter.client_prefix, 8);
	taken(&query, "client", "2001:db8::/32");
	assert_int_equal(query.filter.client.family, ENDPOINT_IPV6);
	assert_int_equal(query.filter.client_prefix, 32);
	taken(&query, "client", "0.0.0.0/0");
	assert_int_equal(query.filter.client.family, ENDPOINT_IPV4);
	assert_int_equal(query.filter.client_prefix, 0);
	refused("client", "10.1.2.3:80", "is no IP address and no network; right is 10.1.2.3");
	refused("client", "10.0.0.0/33", "is no IP address");
	refused("client", "unix", "is no IP address");
	refused("client", "", "is no IP address");
}

static void limits_from_1_to_10000(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"10001",
		"-1",
		"+1",
		"1.0",
		"1 ",
		" 1",
		"0x1",
		"ten",
		"18446744073709551617",
		"99999999999999999999999999",
	};
	struct query query;

	(void)state;
	assert_int_equal(taken(&query, "limit", "1")->limit, 1);
	assert_int_equal(taken(&query, "limit", "0100")->limit, 100);
	assert_int_equal(taken(&query, "limit", "10000")->limit, 10000);
	for (size_t i = 0; i < COUNT(bad); i++)
		refused("limit", bad[i], "is not a number from 1 to 10000");
}

static void cursors_read_back(void **state)
{
	static const struct {
		size_t worker;
		uint64_t id;
	} cases[] = {
		{ 0, 0 }, { 0, 1 }, { 3, 0 }, { 1023, 18446744073709551615U }, { SIZE_MAX, 42 }
	};
	char text[QUERY_CURSOR_MAX];
	struct query query;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_ptr_equal(query_cursor(cases[i].worker, cases[i].id, text), text);
		taken(&query, "after", text);
		assert_int_equal(query.worker, cases[i].worker);
		assert_int_equal(query.after, cases[i].id);
	}
}

static void no_other_cursors(void **state)
{
	static const char *const bad[] = {
		"",
		"-",
		"1",
		"1-",
		"-1",
		"1-2-3",
		"1-2 ",
		" 1-2",
		"1--2",
		"a-b",
		"1_2",
		"18446744073709551616-1",
		"1-18446744073709551616",
		"0x1-1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		refused("after", bad[i], "is no cursor; right is `next` of an answer");
}

static void a_cursor_has_a_worker_that_is_there(void **state)
{
	char why[QUERY_WHY_MAX] = "";
	struct query query;

	(void)state;
	taken(&query, "after", "3-17");
	assert_int_equal(query_check(&query, 4, why), 0);
	assert_string_equal(why, "");
	assert_int_equal(query_check(&query, 3, why), -EINVAL);
	assert_non_null(strstr(why, "after: \"3-17\" is a cursor of another process"));
}

static void brief_is_1(void **state)
{
	struct query query;

	(void)state;
	assert_true(taken(&query, "brief", "1")->is_brief);
	refused("brief", "0", "right is 1");
	refused("brief", "true", "right is 1");
	refused("brief", "", "right is 1");
	refused("brief", NULL, "right is 1");
}

static void ended_takes_some_parameters(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		int result;
	} cases[] = {
		{ "limit", "5", 0 },
		{ "listener", "web", 0 },
		{ "pool", "web", 0 },
		{ "server", "a", 0 },
		{ "min_age", "1s", -EINVAL },
		{ "ending_within", "1s", -EINVAL },
		{ "client", "10.0.0.1", -EINVAL },
		{ "after", "0-1", -EINVAL },
		{ "brief", "1", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char why[QUERY_WHY_MAX] = "";
		char words[64];
		struct query query;

		taken(&query, "state", "ended");
		assert_true(query.is_ended);
		assert_int_equal(query.filter.states, 0);
		assert_int_equal(query_add(&query, cases[i].name, cases[i].value, why), 0);
		assert_int_equal(query_check(&query, 2, why), cases[i].result);
		(void)snprintf(words, sizeof(words), "%s: does not go with state=ended",
			       cases[i].name);
		assert_int_equal(strstr(why, words) != NULL, cases[i].result != 0);
		/* without it, each of them is fine */
		query.is_ended = false;
		assert_int_equal(query_check(&query, 2, why), 0);
	}
}

static const struct {
	const char *name;
	const char *value;
} each[] = {
	{ "state", "open" },        { "listener", "web" }, { "pool", "web" },
	{ "server", "a" },          { "min_age", "1s" },   { "ending_within", "1s" },
	{ "client", "10.0.0.0/8" }, { "limit", "10" },     { "after", "0-1" },
	{ "brief", "1" },
};

static void all_together_and_each_once(void **state)
{
	char why[QUERY_WHY_MAX] = "";
	char words[64];
	struct query query;

	(void)state;
	query_init(&query);
	for (size_t i = 0; i < COUNT(each); i++)
		assert_int_equal(query_add(&query, each[i].name, each[i].value, why), 0);
	assert_int_equal(query_check(&query, 1, why), 0);
	assert_string_equal(why, "");
	for (size_t i = 0; i < COUNT(each); i++) {
		assert_int_equal(query_add(&query, each[i].name, each[i].value, why), -EINVAL);
		(void)snprintf(words, sizeof(words), "%s: is there twice", each[i].name);
		assert_non_null(strstr(why, words));
	}
	assert_int_equal(query.filter.states, 1U << STATE_OPEN);
	assert_int_equal(query.limit, 10);
}

static void unknown_ones_are_named(void **state)
{
	static const char *const bad[] = { "",     "sate",   "State",  "states",
					   "stat", "limit ", "after%", "listener[]" };
	char words[64];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		(void)snprintf(words, sizeof(words), "unknown parameter \"%s\"; there are state",
			       bad[i]);
		refused(bad[i], "open", words);
	}
	for (size_t i = 0; i < COUNT(each); i++)
		refused("nonsense", "1", each[i].name);
}

/* However long what was given is, the sentence ends as it should. */
static void sentences_fit(void **state)
{
	static const char *const ends[][2] = {
		{ "state", "or ended" },
		{ "min_age", "such as 30s" },
		{ "ending_within", "such as 30s" },
		{ "client", "2001:db8::/32" },
		{ "limit", "from 1 to 10000" },
		{ "after", "of an answer" },
		{ "brief", "at all" },
		{ "listener", "than any name" },
	};
	char value[5000];

	(void)state;
	memset(value, '9', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	for (size_t i = 0; i < COUNT(ends); i++)
		refused(ends[i][0], value, ends[i][1]);
	refused(value, "1", "after and brief");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_parameters_is_everything),
		cmocka_unit_test(states_by_their_words),
		cmocka_unit_test(no_other_states),
		cmocka_unit_test(names_as_they_are),
		cmocka_unit_test(names_are_copies),
		cmocka_unit_test(a_copy_stands_by_itself),
		cmocka_unit_test(durations_as_in_the_configuration),
		cmocka_unit_test(clients_by_address_or_network),
		cmocka_unit_test(limits_from_1_to_10000),
		cmocka_unit_test(cursors_read_back),
		cmocka_unit_test(no_other_cursors),
		cmocka_unit_test(a_cursor_has_a_worker_that_is_there),
		cmocka_unit_test(brief_is_1),
		cmocka_unit_test(ended_takes_some_parameters),
		cmocka_unit_test(all_together_and_each_once),
		cmocka_unit_test(unknown_ones_are_named),
		cmocka_unit_test(sentences_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
