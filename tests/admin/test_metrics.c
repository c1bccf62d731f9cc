/*
 * admin/metrics: the exposition text of a supervisor that was made up, line by line.
 */
#include <finback/admin/metrics.h>
#include <finback/host/process.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/exposition.h"
#include "daemon/supervisor_private.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define WORKERS  2
#define FAMILIES 64

static struct supervisor supervisor;
static struct worker workers[WORKERS];

static struct generation *generation_of(const char *text)
{
	struct config_problems problems;
	struct config *config = NULL;
	struct generation *generation;

	if (config_load_text(text, "test", &config, &problems) < 0)
		fail_msg("%s", problems.error_count > 0 ? problems.errors[0] : "no memory");
	config_problems_fini(&problems);
	generation = generation_create(config, &supervisor.registry);
	assert_non_null(generation);
	generation_serve(generation);
	return generation;
}

static void configure(const char *text)
{
	struct generation *generation = generation_of(text);

	generation_unref(supervisor.generation);
	supervisor.generation = generation;
}

static const char two_listeners[] =
	"pools = ( { name = \"web\"; servers = ( { name = \"one\"; address = \"127.0.0.1:1\"; },"
	"                                        \"127.0.0.1:2\" ); } );"
	"listeners = ( { name = \"front\"; listen = \"127.0.0.1:0\"; pool = \"web\"; },"
	"              { name = \"back\"; listen = \"127.0.0.1:0\"; pool = \"web\"; } );";

static const char back_alone[] =
	"pools = ( { name = \"web\"; servers = ( \"127.0.0.1:2\", \"127.0.0.1:3\" ); } );"
	"listeners = ( { name = \"back\"; listen = \"127.0.0.1:0\"; pool = \"web\"; } );";

static int set_up(void **state)
{
	(void)state;
	memset(workers, 0, sizeof workers);
	supervisor = (struct supervisor){
		.crew = { .count = WORKERS, .workers = workers },
		.is_last_reload_ok = true,
		.started = { 1000000000, 250000000 },
		.loaded = { 1000000001, 0 },
	};
	registry_init(&supervisor.registry, WORKERS);
	configure(two_listeners);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	generation_unref(supervisor.generation);
	registry_fini(&supervisor.registry);
	return 0;
}

/* The block of a worker for the first or second listener of the configuration in force. */
static struct counters *counters_of(size_t listener, size_t worker)
{
	return &supervisor.generation->routes[listener].tally->workers_counters[worker];
}

static struct pool_load *load_of(size_t server)
{
	return supervisor.generation->pools[0].loads[server];
}

static char *render(void)
{
	struct text text = { 0 };
	size_t length;
	char *bytes;

	metrics_render(&text, &supervisor);
	assert_false(text.is_short);
	bytes = text_take(&text, &length);
	assert_non_null(bytes);
	assert_int_equal(strlen(bytes), length);
	assert_int_equal(bytes[length - 1], '\n');
	return bytes;
}

/* Where a whole line is; NULL: it is not there. */
static const char *find_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += length)
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return at;
	return NULL;
}

static void expect_lines(const char *const *lines, size_t count)
{
	char *text = render();

	for (size_t i = 0; i < count; i++) {
		const char *at = find_line(text, lines[i]);

		if (!at)
			fail_msg("not there: %s, in\n%s", lines[i], text);
		if (find_line(at + 1, lines[i]))
			fail_msg("there twice: %s", lines[i]);
	}
	free(text);
}

/* Takes the lines that must be there, each once. */
#define EXPECT(...)                                                   \
	do {                                                          \
		static const char *const lines_[] = { __VA_ARGS__ };  \
		expect_lines(lines_, sizeof lines_ / sizeof *lines_); \
	} while (0)

/* How many lines begin so. */
static size_t count_lines(const char *text, const char *beginning)
{
	size_t length = strlen(beginning);
	size_t count = 0;

	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL)
		count += strncmp(at, beginning, length) == 0;
	return count;
}

static size_t count_samples(const char *beginning)
{
	char *text = render();
	size_t count = count_lines(text, beginning);

	free(text);
	return count;
}

/* The number of the one sample that begins so. */
static double value_of(const char *beginning)
{
	char *text = render();
	const char *at = strstr(text, beginning);
	double value;

	if (!at)
		fail_msg("not there: %s", beginning);
	value = strtod(at + strlen(beginning), NULL);
	free(text);
	return value;
}

/* ---- the format -------------------------------------------------------------------------------
 */

struct family {
	char name[64];
	char type[16];
};

/* Whether a sample of this name belongs to the family. */
static int is_of(const struct family *family, const char *name, size_t length)
{
	static const char *const endings[] = { "_bucket", "_sum", "_count" };
	size_t own = strlen(family->name);

	if (strncmp(name, family->name, own) != 0)
		return 0;
	if (strcmp(family->type, "histogram") != 0)
		return length == own;
	for (size_t i = 0; i < 3; i++)
		if (length == own + strlen(endings[i]) &&
		    strncmp(name + own, endings[i], length - own) == 0)
			return 1;
	return 0;
}

/* Reads the head of a family: "# HELP NAME WORDS", "# TYPE NAME TYPE". Returns what follows. */
static const char *read_head(const char *at, struct family *ret_family)
{
	char name[64];
	char help[128];

	assert_int_equal(sscanf(at, "# HELP %63s %127[^\n]", name, help), 2);
	at = strchr(at, '\n') + 1;
	assert_int_equal(sscanf(at, "# TYPE %63s %15s", ret_family->name, ret_family->type), 2);
	assert_string_equal(ret_family->name, name);
	return strchr(at, '\n') + 1;
}

static void families_stand_together_and_have_heads(void **state)
{
	char *text = render();
	struct family families[FAMILIES];
	size_t count = 0;

	(void)state;
	for (const char *at = text; *at;) {
		size_t length;

		if (*at == '#') {
			assert_true(count < FAMILIES);
			at = read_head(at, &families[count]);
			for (size_t i = 0; i < count; i++)
				assert_string_not_equal(families[i].name, families[count].name);
			count++;
		}
		length = strcspn(at, "{ ");
		if (count == 0 || !is_of(&families[count - 1], at, length))
			fail_msg("not of its family: %.60s", at);
		at = strchr(at, '\n') + 1;
	}
	assert_int_equal(count, 33);
	free(text);
}

static void no_sample_is_there_twice(void **state)
{
	char *text = render();
	char *rest = text;
	char *line;

	(void)state;
	while ((line = strsep(&rest, "\n")) && rest) {
		char sample[256];
		size_t length = (size_t)(strrchr(line, ' ') - line) + 1;

		if (*line == '#')
			continue;
		assert_true(length < sizeof sample);
		memcpy(sample, line, length);
		sample[length] = '\0';
		for (const char *at = rest; (at = strstr(at, sample)); at++)
			if (at[-1] == '\n')
				fail_msg("there twice: %s", sample);
	}
	free(text);
}

static void check_label(const char *value, const char *expected)
{
	struct text text = { 0 };

	exposition_label(&text, "a", value);
	assert_string_equal(text.bytes, expected);
	text_fini(&text);
}

static void labels_are_escaped(void **state)
{
	char longest[5000];

	(void)state;
	check_label("", "a=\"\"");
	check_label("unix:/run/b c.sock", "a=\"unix:/run/b c.sock\"");
	check_label("\"\\\n\\n", "a=\"\\\"\\\\\\n\\\\n\"");
	check_label("\xc3\xa4\xff", "a=\"\xc3\xa4\xef\xbf\xbd\"");
	memset(longest, '"', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	{
		struct text text = { 0 };

		exposition_label(&text, "a", longest);
		assert_in_range(text.length, 500, 1100);
		assert_int_equal((text.length - 4) % 2, 0); /* no backslash alone */
		text_fini(&text);
	}
}

static void a_text_that_is_short_stays_so(void **state)
{
	struct text text = { .is_short = true };

	(void)state;
	metrics_render(&text, &supervisor);
	assert_true(text.is_short);
	text_fini(&text);
}

/* ---- the numbers ------------------------------------------------------------------------------
 */

static void all_are_there_from_the_start(void **state)
{
	(void)state;
	assert_int_equal(count_samples("finback_sessions_accepted_total{"), 2);
	assert_int_equal(count_samples("finback_sessions_active{"), 2 * STATES);
	assert_int_equal(count_samples("finback_sessions_ended_total{"), 2 * (ENDINGS - 1));
	assert_int_equal(count_samples("finback_dead_peers_total{"), 2 * SIDES * DETECTORS);
	assert_int_equal(count_samples("finback_probes_sent_total{"), 2 * SIDES);
	assert_int_equal(count_samples("finback_probe_bytes_sent_total{"), 2 * SIDES);
	assert_int_equal(count_samples("finback_probe_bytes_swallowed_total{"), 2 * SIDES);
	assert_int_equal(count_samples("finback_connects_total{"), 2 * POOL_RESULTS);
	assert_int_equal(count_samples("finback_connect_seconds_bucket{"),
			 2 * (HISTOGRAM_BUCKETS + 1));
	EXPECT("finback_sessions_accepted_total{listener=\"front\"} 0",
	       "finback_sessions_active{listener=\"back\",state=\"half_closed_client\"} 0",
	       "finback_sessions_ended_total{listener=\"front\",ending=\"undelivered\"} 0",
	       "finback_bytes_relayed_total{listener=\"front\",flow=\"from_client\"} 0",
	       "finback_dead_peers_total{listener=\"front\",side=\"server\","
	       "detector=\"user_timeout\"} 0",
	       "finback_probe_replies_total{listener=\"back\",side=\"client\"} 0",
	       "finback_connects_total{pool=\"web\",server=\"127.0.0.1:2\",result=\"timeout\"} 0",
	       "finback_server_up{pool=\"web\",server=\"one\"} 1",
	       "finback_server_sessions{pool=\"web\",server=\"one\"} 0",
	       "finback_session_seconds_bucket{listener=\"back\",le=\"+Inf\"} 0",
	       "finback_session_seconds_sum{listener=\"back\"} 0.0",
	       "finback_session_seconds_count{listener=\"back\"} 0",
	       "finback_pipes{worker=\"1\"} 0", "finback_draining 0",
	       "finback_build_info{version=\"" FINBACK_VERSION "\"} 1");
	assert_int_equal(count_samples("finback_sessions_ended_total{listener=\"front\","
				       "ending=\"none\"}"),
			 0);
}

static void workers_are_summed(void **state)
{
	(void)state;
	counters_accept(counters_of(0, 0), STATE_CONNECTING);
	counters_accept(counters_of(0, 1), STATE_CONNECTING);
	counters_accept(counters_of(0, 1), STATE_CONNECTING);
	counters_move(counters_of(0, 1), STATE_CONNECTING, STATE_HALF_CLOSED_CLIENT);
	counters_end(counters_of(0, 0), STATE_CONNECTING, ENDING_CONNECT_REFUSED);
	counters_add(counters_of(0, 0), COUNTER_BYTES + SERVER, UINT64_C(1) << 50);
	counters_add(counters_of(0, 1), COUNTER_BYTES + SERVER, 5);
	counters_add(counters_of(0, 0), COUNTER_PROBE_BYTES_SENT + SERVER, 14);
	counters_add(counters_of(0, 1), COUNTER_PROBE_BYTES_SENT + SERVER, 2);
	counters_add(counters_of(0, 1), COUNTER_PROBE_BYTES_SWALLOWED + CLIENT, 4);
	counters_add(counters_of(0, 1), COUNTER_DEAD + CLIENT * DETECTORS + DETECTOR_KEEPALIVE, 1);
	EXPECT("finback_sessions_accepted_total{listener=\"front\"} 3",
	       "finback_sessions_accepted_total{listener=\"back\"} 0",
	       "finback_sessions_active{listener=\"front\",state=\"connecting\"} 1",
	       "finback_sessions_active{listener=\"front\",state=\"half_closed_client\"} 1",
	       "finback_sessions_ended_total{listener=\"front\",ending=\"connect_refused\"} 1",
	       "finback_bytes_relayed_total{listener=\"front\",flow=\"from_server\"} "
	       "1125899906842629",
	       "finback_probe_bytes_sent_total{listener=\"front\",side=\"server\"} 16",
	       "finback_probe_bytes_swallowed_total{listener=\"front\",side=\"client\"} 4",
	       "finback_dead_peers_total{listener=\"front\",side=\"client\","
	       "detector=\"keepalive\"} 1");
}

static void histograms_are_cumulative_and_in_seconds(void **state)
{
	static const int64_t durations_us[] = { 100, 101, 1000000, 999999999 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		counters_observe(counters_of(1, i % 2), HISTOGRAM_CONNECT, durations_us[i]);
	EXPECT("finback_connect_seconds_bucket{listener=\"back\",le=\"0.0001\"} 1",
	       "finback_connect_seconds_bucket{listener=\"back\",le=\"0.00025\"} 2",
	       "finback_connect_seconds_bucket{listener=\"back\",le=\"0.5\"} 2",
	       "finback_connect_seconds_bucket{listener=\"back\",le=\"1\"} 3",
	       "finback_connect_seconds_bucket{listener=\"back\",le=\"10\"} 3",
	       "finback_connect_seconds_bucket{listener=\"back\",le=\"+Inf\"} 4",
	       "finback_connect_seconds_sum{listener=\"back\"} 1001.0002",
	       "finback_connect_seconds_count{listener=\"back\"} 4",
	       "finback_connect_seconds_count{listener=\"front\"} 0",
	       "finback_session_seconds_bucket{listener=\"back\",le=\"604800\"} 0",
	       "finback_half_closed_seconds_bucket{listener=\"back\",le=\"300\"} 0");
}

static void a_reload_takes_nothing_back(void **state)
{
	(void)state;
	counters_accept(counters_of(0, 0), STATE_OPEN);
	counters_accept(counters_of(1, 0), STATE_OPEN);
	atomic_store(&load_of(1)->connects[POOL_RESULT_OK], 2);
	configure(back_alone);
	EXPECT("finback_sessions_accepted_total{listener=\"front\"} 1",
	       "finback_sessions_accepted_total{listener=\"back\"} 1",
	       "finback_connects_total{pool=\"web\",server=\"127.0.0.1:2\",result=\"ok\"} 2",
	       "finback_connects_total{pool=\"web\",server=\"127.0.0.1:3\",result=\"ok\"} 0");
	assert_int_equal(count_samples("finback_server_up{"), 2);
	configure(two_listeners);
	EXPECT("finback_sessions_accepted_total{listener=\"front\"} 1",
	       "finback_connects_total{pool=\"web\",server=\"127.0.0.1:2\",result=\"ok\"} 2");
}

static void servers_show_load_and_state(void **state)
{
	(void)state;
	atomic_store(&load_of(0)->state, POOL_MAINT);
	atomic_store(&load_of(0)->sessions, 3);
	atomic_store(&load_of(1)->state, POOL_DRAIN);
	for (unsigned i = 0; i < POOL_RESULTS; i++)
		atomic_store(&load_of(0)->connects[i], i + 1);
	EXPECT("finback_server_up{pool=\"web\",server=\"one\"} 0",
	       "finback_server_up{pool=\"web\",server=\"127.0.0.1:2\"} 1",
	       "finback_server_sessions{pool=\"web\",server=\"one\"} 3",
	       "finback_connects_total{pool=\"web\",server=\"one\",result=\"ok\"} 1",
	       "finback_connects_total{pool=\"web\",server=\"one\",result=\"refused\"} 2",
	       "finback_connects_total{pool=\"web\",server=\"one\",result=\"timeout\"} 3",
	       "finback_connects_total{pool=\"web\",server=\"one\",result=\"unreachable\"} 4",
	       "finback_connects_total{pool=\"web\",server=\"one\",result=\"failed\"} 5");
}

static void workers_show_what_they_hold(void **state)
{
	(void)state;
	atomic_store(&workers[1].relays.buffer_bytes, 70000);
	atomic_store(&workers[0].pauses, 4);
	EXPECT("finback_buffer_bytes{worker=\"0\"} 0", "finback_buffer_bytes{worker=\"1\"} 70000",
	       "finback_accept_pauses_total{worker=\"0\"} 4",
	       "finback_accept_pauses_total{worker=\"1\"} 0");
}

static void descriptors_of_all_make_the_process(void **state)
{
	struct process_facts facts;
	int opened[20];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		opened[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(opened[i] >= 0);
	}
	atomic_store(&workers[1].relays.descriptors, 2);
	EXPECT("finback_open_fds{worker=\"0\"} 3", "finback_open_fds{worker=\"1\"} 5");
	assert_int_equal(metrics_worker_fds(&workers[1]), 5);
	metrics_read_process(&supervisor.crew, &facts);
	assert_true(facts.open_fds >= 20);
	assert_int_equal(value_of("finback_open_fds{worker=\"main\"} ") + 8, facts.open_fds);
	assert_int_equal(value_of("\nprocess_open_fds "), facts.open_fds);
	atomic_store(&workers[1].relays.descriptors, 1000000);
	EXPECT("finback_open_fds{worker=\"main\"} 0");
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(close(opened[i]), 0);
}

static void the_daemon_shows_how_it_is(void **state)
{
	(void)state;
	supervisor.state = SUPERVISOR_DRAINING;
	supervisor.reloads = 3;
	supervisor.failed_reloads = 1;
	supervisor.is_last_reload_ok = false;
	atomic_store(&supervisor.crew.max_sessions, 9985);
	EXPECT("finback_draining 1", "finback_config_reloads_total{result=\"ok\"} 3",
	       "finback_config_reloads_total{result=\"failed\"} 1",
	       "finback_config_last_reload_successful 0",
	       "finback_config_last_reload_success_timestamp_seconds 1000000001.0",
	       "finback_max_sessions 9985", "finback_log_dropped_total 0",
	       "process_start_time_seconds 1000000000.25");
	assert_true(value_of("\nprocess_resident_memory_bytes ") > 100000);
	assert_true(value_of("\nprocess_max_fds ") >= 16);
}

#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		METRICS_TEST(families_stand_together_and_have_heads),
		METRICS_TEST(no_sample_is_there_twice),
		METRICS_TEST(labels_are_escaped),
		METRICS_TEST(a_text_that_is_short_stays_so),
		METRICS_TEST(all_are_there_from_the_start),
		METRICS_TEST(workers_are_summed),
		METRICS_TEST(histograms_are_cumulative_and_in_seconds),
		METRICS_TEST(a_reload_takes_nothing_back),
		METRICS_TEST(servers_show_load_and_state),
		METRICS_TEST(workers_show_what_they_hold),
		METRICS_TEST(descriptors_of_all_make_the_process),
		METRICS_TEST(the_daemon_shows_how_it_is),
	};

	return cmocka_run_group_tests_name("admin/metrics", tests, NULL, NULL);
}
