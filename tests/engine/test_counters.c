/* Counters: what is added is what is read, names as the contract has them, and readers beside a
 * writer, who see a session that moves whole or not at all. */
#include <finback/engine/counters.h>

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

/* Of a block that nobody writes just now. */
static void sum_of(struct counters_sum *sum, const struct counters *counters)
{
	assert_true(counters_sum(sum, counters));
}

static void added_amounts_are_read_back(void **state)
{
	(void)state;
	static struct counters counters;
	struct counters_sum sum = { 0 };

	counters_add(&counters, COUNTER_FINS + CLIENT, 2);
	counters_add(&counters, COUNTER_FINS + CLIENT, 1);
	counters_add(&counters, COUNTER_DEAD + SERVER * DETECTORS + DETECTOR_LINK, 5);
	counters_add(&counters, COUNTER_BYTES + SERVER, UINT64_C(1) << 40);
	counters_add(&counters, COUNTER_RESETS + SERVER, 7);
	sum_of(&sum, &counters);

	uint64_t expected[COUNTERS] = { 0 };
	expected[COUNTER_FINS + CLIENT] = 3;
	expected[COUNTER_DEAD + SERVER * DETECTORS + DETECTOR_LINK] = 5;
	expected[COUNTER_BYTES + SERVER] = UINT64_C(1) << 40;
	expected[COUNTER_RESETS + SERVER] = 7;
	assert_memory_equal(sum.values, expected, sizeof(expected));
	assert_int_equal(counters_active(&sum), 0);
}

static void several_blocks_add_up(void **state)
{
	(void)state;
	static struct counters blocks[3];
	struct counters_sum sum = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned c = 0; c < COUNTERS; c++)
			counters_add(&blocks[i], c, (i + 1) * (c + 1));
		counters_accept(&blocks[i], STATE_OPEN);
		counters_observe(&blocks[i], HISTOGRAM_SESSION, 1000 * (i + 1));
		sum_of(&sum, &blocks[i]);
	}
	assert_int_equal(sum.values[COUNTER_ACCEPTED], 6 + 3);
	for (unsigned c = COUNTER_ACCEPTED + 1; c < COUNTERS; c++)
		assert_int_equal(sum.values[c], 6 * (c + 1));
	assert_int_equal(sum.active[STATE_OPEN], 3);
	assert_int_equal(sum.sums_us[HISTOGRAM_SESSION], 6000);
}

/* ---- sessions ---------------------------------------------------------------------------------
 */

static uint64_t ended(const struct counters_sum *sum)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < ENDINGS; i++)
		all += sum->values[COUNTER_ENDED + i];
	return all;
}

static void a_session_is_in_one_state_until_it_ends(void **state)
{
	(void)state;
	static struct counters counters;
	static const enum session_state way[] = { STATE_CONNECTING, STATE_OPEN,
						  STATE_HALF_CLOSED_SERVER, STATE_CLOSING };

	for (unsigned i = 0; i <= 4; i++) {
		struct counters_sum sum = { 0 };

		if (i == 0)
			counters_accept(&counters, way[0]);
		else if (i < 4)
			counters_move(&counters, way[i - 1], way[i]);
		else
			counters_end(&counters, way[3], ENDING_COMPLETE);
		sum_of(&sum, &counters);
		assert_int_equal(sum.values[COUNTER_ACCEPTED], 1);
		assert_int_equal(counters_active(&sum), i < 4 ? 1 : 0);
		if (i < 4)
			assert_int_equal(sum.active[way[i]], 1);
		assert_int_equal(sum.values[COUNTER_ENDED + ENDING_COMPLETE], i < 4 ? 0 : 1);
		assert_int_equal(ended(&sum), i < 4 ? 0 : 1);
	}
}

static void a_move_to_the_same_state_changes_nothing(void **state)
{
	(void)state;
	static struct counters counters;
	struct counters_sum sum = { 0 };

	counters_accept(&counters, STATE_OPEN);
	counters_move(&counters, STATE_OPEN, STATE_OPEN);
	sum_of(&sum, &counters);
	assert_int_equal(sum.active[STATE_OPEN], 1);
	assert_int_equal(counters_active(&sum), 1);
}

static void nothing_is_read_in_the_middle_of_a_move(void **state)
{
	(void)state;
	static struct counters counters;
	struct counters_sum sum = { .values = { [COUNTER_BYTES] = 9 }, .active = { 4 } };
	const struct counters_sum before = sum;

	counters_accept(&counters, STATE_OPEN);
	atomic_fetch_add(&counters.sequence, 1); /* as its owner does while it moves a session */
	assert_false(counters_sum(&sum, &counters));
	assert_memory_equal(&sum, &before, sizeof sum);
	atomic_fetch_add(&counters.sequence, 1);
	sum_of(&sum, &counters);
	assert_int_equal(sum.values[COUNTER_ACCEPTED], 1);
}

/* ---- histograms -------------------------------------------------------------------------------
 */

#define SECOND_US INT64_C(1000000)

static void bounds_grow_and_fit_what_is_measured(void **state)
{
	static const struct {
		int64_t first_us;
		int64_t last_us;
	} spans[] = {
		[HISTOGRAM_CONNECT] = { 100, 10 * SECOND_US },
		[HISTOGRAM_SESSION] = { 1000, 7 * 86400 * SECOND_US },
		[HISTOGRAM_HALF_CLOSED] = { 1000, 86400 * SECOND_US },
	};
	_Static_assert(sizeof(spans) / sizeof(spans[0]) == HISTOGRAMS, "one for each");

	(void)state;
	for (unsigned h = 0; h < HISTOGRAMS; h++) {
		enum histogram histogram = (enum histogram)h;

		assert_int_equal(histogram_bound_us(histogram, 0), spans[h].first_us);
		for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
			assert_true(histogram_bound_us(histogram, i) >
				    histogram_bound_us(histogram, i - 1));
		assert_int_equal(histogram_bound_us(histogram, HISTOGRAM_BUCKETS - 1),
				 spans[h].last_us);
	}
}

/* So that "how many were ended by the deadline" is one bucket's difference. */
static void the_usual_half_closed_deadline_is_a_bound(void **state)
{
	bool is_there = false;

	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		is_there |= histogram_bound_us(HISTOGRAM_HALF_CLOSED, i) == 300 * SECOND_US;
	assert_true(is_there);
}

static unsigned bucket_of(enum histogram histogram, int64_t us)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	struct counters_sum sum = { 0 };
	unsigned bucket = 0;
	uint64_t count = 0;

	assert_non_null(counters);
	counters_observe(counters, histogram, us);
	sum_of(&sum, counters);
	free(counters);
	for (unsigned h = 0; h < HISTOGRAMS; h++) {
		for (unsigned b = 0; b <= HISTOGRAM_BUCKETS; b++) {
			count += sum.buckets[h][b];
			if (sum.buckets[h][b] == 0)
				continue;
			assert_int_equal(h, histogram);
			bucket = b;
		}
	}
	assert_int_equal(count, 1);
	assert_int_equal(sum.sums_us[histogram], us < 0 ? 0 : us);
	return bucket;
}

static void a_duration_goes_to_the_first_bound_not_below_it(void **state)
{
	(void)state;
	for (unsigned h = 0; h < HISTOGRAMS; h++) {
		enum histogram histogram = (enum histogram)h;

		for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
			int64_t bound = histogram_bound_us(histogram, b);
			assert_int_equal(bucket_of(histogram, bound), b);
			assert_int_equal(bucket_of(histogram, bound + 1), b + 1);
		}
	}
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, 0), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, -5), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, INT64_MIN), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, INT64_MAX), HISTOGRAM_BUCKETS);
}

/* ---- names ------------------------------------------------------------------------------------
 */

/* "finback_dead_peers_total{side=client,detector=link}" */
static const char *full_name(unsigned counter, char name[256])
{
	struct counter_label labels[COUNTER_LABELS_MAX];
	unsigned count = counter_labels(counter, labels);
	size_t length = (size_t)snprintf(name, 256, "%s{", counter_name(counter));

	assert_true(count <= COUNTER_LABELS_MAX);
	for (unsigned i = 0; i < count; i++)
		length += (size_t)snprintf(name + length, 256 - length, "%s%s=%s", i ? "," : "",
					   labels[i].name, labels[i].value);
	(void)snprintf(name + length, 256 - length, "}");
	return name;
}

static void names_and_labels_are_unique_together(void **state)
{
	char name[256];
	char other[256];

	(void)state;
	for (unsigned a = 0; a < COUNTERS; a++) {
		assert_int_equal(strncmp(full_name(a, name), "finback_", 8), 0);
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(name, full_name(b, other));
	}
	for (unsigned a = 0; a < HISTOGRAMS; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(histogram_name((enum histogram)a),
						histogram_name((enum histogram)b));
}

/* Who prints them writes a family's head when the name changes. */
static void counters_of_one_name_stand_together(void **state)
{
	(void)state;
	for (unsigned a = 1; a < COUNTERS; a++) {
		if (strcmp(counter_name(a), counter_name(a - 1)) == 0)
			continue;
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(counter_name(a), counter_name(b));
	}
}

static void every_name_has_one_line_of_help(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNTERS; i++) {
		assert_in_range(strlen(counter_help(i)), 10, 100);
		assert_null(strpbrk(counter_help(i), "\\\n"));
	}
	for (unsigned i = 0; i < HISTOGRAMS; i++) {
		const char *help = histogram_help((enum histogram)i);

		assert_in_range(strlen(help), 10, 100);
		assert_null(strpbrk(help, "\\\n"));
	}
}

static void check_counter(unsigned counter, const char *expected)
{
	char name[256];

	assert_string_equal(full_name(counter, name), expected);
}

static void names_are_those_of_the_contract(void **state)
{
	char expected[256];

	(void)state;
	check_counter(COUNTER_ACCEPTED, "finback_sessions_accepted_total{}");
	for (unsigned i = 0; i < ENDINGS; i++) {
		(void)snprintf(expected, sizeof expected, "finback_sessions_ended_total{ending=%s}",
			       ending_name((enum ending)i));
		check_counter(COUNTER_ENDED + i, expected);
	}
	check_counter(COUNTER_BYTES + CLIENT, "finback_bytes_relayed_total{flow=from_client}");
	check_counter(COUNTER_BYTES + SERVER, "finback_bytes_relayed_total{flow=from_server}");
	check_counter(COUNTER_FINS + CLIENT, "finback_fins_relayed_total{flow=from_client}");
	check_counter(COUNTER_FINS + SERVER, "finback_fins_relayed_total{flow=from_server}");
	check_counter(COUNTER_RESETS + CLIENT, "finback_resets_relayed_total{flow=from_client}");
	check_counter(COUNTER_RESETS + SERVER, "finback_resets_relayed_total{flow=from_server}");
	for (unsigned i = 0; i < SIDES * DETECTORS; i++) {
		(void)snprintf(expected, sizeof expected,
			       "finback_dead_peers_total{side=%s,detector=%s}",
			       i < DETECTORS ? "client" : "server",
			       detector_name((enum detector)(i % DETECTORS)));
		check_counter(COUNTER_DEAD + i, expected);
	}
	check_counter(COUNTER_PROBES + CLIENT, "finback_probes_sent_total{side=client}");
	check_counter(COUNTER_PROBES + SERVER, "finback_probes_sent_total{side=server}");
	check_counter(COUNTER_PROBE_REPLIES + CLIENT, "finback_probe_replies_total{side=client}");
	check_counter(COUNTER_PROBE_REPLIES + SERVER, "finback_probe_replies_total{side=server}");
	assert_string_equal(histogram_name(HISTOGRAM_CONNECT), "finback_connect_seconds");
	assert_string_equal(histogram_name(HISTOGRAM_SESSION), "finback_session_seconds");
	assert_string_equal(histogram_name(HISTOGRAM_HALF_CLOSED), "finback_half_closed_seconds");
}

/* ---- readers beside a writer ------------------------------------------------------------------
 */

#define READERS 3
#define ROUNDS  400000
#define LIVE    7 /* sessions that go on when the next one comes */

struct shared {
	struct counters counters;
	atomic_int reading;
	atomic_bool is_done;
};

static void read_counters(struct shared *shared, struct counters_sum *ret_sum)
{
	*ret_sum = (struct counters_sum){ 0 };
	while (!counters_sum(ret_sum, &shared->counters))
		(void)sched_yield();
}

/* What is wrong with `now`, read after `before`; NULL: nothing. */
static const char *complaint_about(const struct counters_sum *now,
				   const struct counters_sum *before)
{
	for (unsigned c = 0; c < COUNTERS; c++)
		if (now->values[c] < before->values[c])
			return "a counter fell";
	if (now->values[COUNTER_ACCEPTED] > ROUNDS)
		return "a session too many";
	if (now->values[COUNTER_BYTES] % 4294967297 != 0)
		return "a counter was torn";
	for (unsigned i = 0; i < STATES; i++)
		if (now->active[i] > LIVE + 1)
			return "too many sessions in a state";
	if (now->values[COUNTER_ACCEPTED] != counters_active(now) + ended(now))
		return "accepted is not active + ended";
	return NULL;
}

/* Reads until the writer is done; returns what is wrong with what it saw, "" for nothing. */
static const char *read_until_done(struct shared *shared)
{
	struct counters_sum before = { 0 };
	bool has_begun = false, is_last = false;

	while (!is_last) {
		struct counters_sum now;
		const char *complaint;

		is_last = atomic_load(&shared->is_done);
		read_counters(shared, &now);
		complaint = complaint_about(&now, &before);
		if (complaint)
			return complaint;
		before = now;
		if (!has_begun)
			atomic_fetch_add(&shared->reading, 1);
		has_begun = true;
	}
	return before.values[COUNTER_ACCEPTED] == ROUNDS && counters_active(&before) == 0
		       ? ""
		       : "a count was lost";
}

struct reader {
	pthread_t thread;
	struct shared *shared;
	const char *complaint;
};

static void *reader_main(void *argument)
{
	struct reader *reader = argument;
	reader->complaint = read_until_done(reader->shared);
	return NULL;
}

/* Sessions come, open, are half-closed and end. */
static void write_sessions(struct counters *counters)
{
	for (int i = 0; i < ROUNDS + LIVE; i++) {
		if (i < ROUNDS)
			counters_accept(counters, STATE_CONNECTING);
		if (i < ROUNDS)
			counters_move(counters, STATE_CONNECTING, STATE_OPEN);
		counters_add(counters, COUNTER_BYTES, 4294967297);
		counters_observe(counters, HISTOGRAM_SESSION, i);
		if (i < LIVE)
			continue;
		counters_move(counters, STATE_OPEN, STATE_HALF_CLOSED_CLIENT);
		counters_end(counters, STATE_HALF_CLOSED_CLIENT,
			     i % 2 == 0 ? ENDING_COMPLETE : ENDING_FAULT);
	}
}

static void readers_beside_a_writer_see_sessions_whole(void **state)
{
	(void)state;
	static struct shared shared;
	struct reader readers[READERS];

	for (int i = 0; i < READERS; i++) {
		readers[i].shared = &shared;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]),
				 0);
	}
	while (atomic_load(&shared.reading) < READERS)
		(void)sched_yield(); /* so that they read while this thread writes */
	write_sessions(&shared.counters);
	atomic_store(&shared.is_done, true);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_string_equal(readers[i].complaint, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_amounts_are_read_back),
		cmocka_unit_test(several_blocks_add_up),
		cmocka_unit_test(a_session_is_in_one_state_until_it_ends),
		cmocka_unit_test(a_move_to_the_same_state_changes_nothing),
		cmocka_unit_test(nothing_is_read_in_the_middle_of_a_move),
		cmocka_unit_test(bounds_grow_and_fit_what_is_measured),
		cmocka_unit_test(the_usual_half_closed_deadline_is_a_bound),
		cmocka_unit_test(a_duration_goes_to_the_first_bound_not_below_it),
		cmocka_unit_test(names_and_labels_are_unique_together),
		cmocka_unit_test(counters_of_one_name_stand_together),
		cmocka_unit_test(every_name_has_one_line_of_help),
		cmocka_unit_test(names_are_those_of_the_contract),
		cmocka_unit_test(readers_beside_a_writer_see_sessions_whole),
	};
	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
