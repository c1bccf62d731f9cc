/* Counters: what is added is what is read, names as the contract has them, and readers beside a
 * writer. */
#include <finback/engine/counters.h>

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

static void added_amounts_are_read_back(void **state)
{
	(void)state;
	static struct counters counters;
	struct counters_sum sum = { 0 };

	counters_add(&counters, COUNTER_ACCEPTED, 2);
	counters_add(&counters, COUNTER_ACCEPTED, 1);
	counters_add(&counters, COUNTER_ENDED + ENDING_FAULT, 5);
	counters_add(&counters, COUNTER_BYTES + SERVER, UINT64_C(1) << 40);
	counters_add(&counters, COUNTER_RESETS + SERVER, 7);
	counters_sum(&sum, &counters);

	uint64_t expected[COUNTERS] = { 0 };
	expected[COUNTER_ACCEPTED] = 3;
	expected[COUNTER_ENDED + ENDING_FAULT] = 5;
	expected[COUNTER_BYTES + SERVER] = UINT64_C(1) << 40;
	expected[COUNTER_RESETS + SERVER] = 7;
	assert_memory_equal(sum.values, expected, sizeof(expected));
}

static void several_blocks_add_up(void **state)
{
	(void)state;
	static struct counters blocks[3];
	struct counters_sum sum = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned c = 0; c < COUNTERS; c++)
			counters_add(&blocks[i], c, (i + 1) * (c + 1));
		counters_observe(&blocks[i], HISTOGRAM_SESSION, 1000 * (i + 1));
		counters_sum(&sum, &blocks[i]);
	}
	for (unsigned c = 0; c < COUNTERS; c++)
		assert_int_equal(sum.values[c], 6 * (c + 1));
	assert_int_equal(sum.sums_us[HISTOGRAM_SESSION], 6000);
}

static void bounds_grow_from_100_us_to_days(void **state)
{
	const int64_t day_us = INT64_C(86400) * 1000 * 1000;
	(void)state;
	assert_int_equal(histogram_bound_us(0), 100);
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
		assert_true(histogram_bound_us(i) > histogram_bound_us(i - 1));
	assert_int_equal(histogram_bound_us(HISTOGRAM_BUCKETS - 1), 10 * day_us);
}

static unsigned bucket_of(enum histogram histogram, int64_t us)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	struct counters_sum sum = { 0 };
	unsigned bucket = 0;
	uint64_t count = 0;

	assert_non_null(counters);
	counters_observe(counters, histogram, us);
	counters_sum(&sum, counters);
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
		for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
			int64_t bound = histogram_bound_us(b);
			assert_int_equal(bucket_of((enum histogram)h, bound), b);
			assert_int_equal(bucket_of((enum histogram)h, bound + 1), b + 1);
		}
	}
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, 0), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, -5), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, INT64_MIN), 0);
	assert_int_equal(bucket_of(HISTOGRAM_CONNECT, INT64_MAX), HISTOGRAM_BUCKETS);
}

static void names_and_labels_are_unique_together(void **state)
{
	(void)state;
	for (unsigned a = 0; a < COUNTERS; a++) {
		assert_int_equal(strncmp(counter_name(a), "finback_", 8), 0);
		for (unsigned b = 0; b < a; b++)
			assert_false(strcmp(counter_name(a), counter_name(b)) == 0 &&
				     strcmp(counter_label_value(a), counter_label_value(b)) == 0);
	}
	for (unsigned a = 0; a < HISTOGRAMS; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(histogram_name((enum histogram)a),
						histogram_name((enum histogram)b));
}

static void check_counter(unsigned counter, const char *name, const char *label, const char *value)
{
	assert_string_equal(counter_name(counter), name);
	assert_string_equal(counter_label(counter), label);
	assert_string_equal(counter_label_value(counter), value);
}

static void names_are_those_of_the_contract(void **state)
{
	(void)state;
	check_counter(COUNTER_ACCEPTED, "finback_sessions_accepted_total", "", "");
	for (unsigned i = 0; i < ENDINGS; i++)
		check_counter(COUNTER_ENDED + i, "finback_sessions_ended_total", "ending",
			      ending_name((enum ending)i));
	check_counter(COUNTER_BYTES + CLIENT, "finback_bytes_relayed_total", "flow", "from_client");
	check_counter(COUNTER_BYTES + SERVER, "finback_bytes_relayed_total", "flow", "from_server");
	check_counter(COUNTER_FINS + CLIENT, "finback_fins_relayed_total", "flow", "from_client");
	check_counter(COUNTER_FINS + SERVER, "finback_fins_relayed_total", "flow", "from_server");
	check_counter(COUNTER_RESETS + CLIENT, "finback_resets_relayed_total", "flow",
		      "from_client");
	check_counter(COUNTER_RESETS + SERVER, "finback_resets_relayed_total", "flow",
		      "from_server");
	assert_string_equal(histogram_name(HISTOGRAM_CONNECT), "finback_connect_seconds");
	assert_string_equal(histogram_name(HISTOGRAM_SESSION), "finback_session_seconds");
	assert_string_equal(histogram_name(HISTOGRAM_HALF_CLOSED), "finback_half_closed_seconds");
}

#define READERS 3
#define ROUNDS  1000000

struct shared {
	struct counters counters;
	atomic_int reading;
	atomic_bool is_done;
};

/* Reads until the writer is done; returns what is wrong with what it saw, "" for nothing. */
static const char *read_until_done(struct shared *shared)
{
	struct counters_sum before = { 0 };
	bool has_begun = false, is_last = false;

	while (!is_last) {
		is_last = atomic_load(&shared->is_done);
		struct counters_sum now = { 0 };
		counters_sum(&now, &shared->counters);
		for (unsigned c = 0; c < COUNTERS; c++)
			if (now.values[c] < before.values[c])
				return "a counter fell";
		if (now.values[COUNTER_ACCEPTED] > ROUNDS ||
		    now.values[COUNTER_BYTES] % 4294967297 != 0)
			return "a counter was torn";
		before = now;
		if (!has_begun)
			atomic_fetch_add(&shared->reading, 1);
		has_begun = true;
	}
	return before.values[COUNTER_ACCEPTED] == ROUNDS ? "" : "a count was lost";
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

static void readers_beside_a_writer_see_whole_growing_values(void **state)
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
	for (int i = 0; i < ROUNDS; i++) {
		counters_add(&shared.counters, COUNTER_ACCEPTED, 1);
		counters_add(&shared.counters, COUNTER_BYTES, 4294967297);
		counters_observe(&shared.counters, HISTOGRAM_SESSION, i);
	}
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
		cmocka_unit_test(bounds_grow_from_100_us_to_days),
		cmocka_unit_test(a_duration_goes_to_the_first_bound_not_below_it),
		cmocka_unit_test(names_and_labels_are_unique_together),
		cmocka_unit_test(names_are_those_of_the_contract),
		cmocka_unit_test(readers_beside_a_writer_see_whole_growing_values),
	};
	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
