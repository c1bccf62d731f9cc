/*
 * What a worker counted: adding up, and the names that the metrics have.
 *
 * Invariant: only the owning thread stores, and every value only grows. Relaxed order is enough
 * for that: a reader wants each number whole, and no number vouches for another.
 *
 * A duration is counted in one bucket alone; whoever prints a cumulative histogram adds them up.
 */
#include <finback/engine/counters.h>

#include <assert.h>
#include <stddef.h>

#define MS INT64_C(1000)
#define S  (1000 * MS)
#define H  (3600 * S)

/* Connecting takes from a fraction of a millisecond to seconds, a session up to days: steps of
 * about five, at values that are read easily. */
static const int64_t bounds_us[] = {
	100,    500,    2 * MS,  10 * MS, 50 * MS, 200 * MS, 1 * S,  5 * S,
	15 * S, 60 * S, 300 * S, 900 * S, 1 * H,   6 * H,    24 * H, 240 * H,
};
static_assert(sizeof(bounds_us) / sizeof(bounds_us[0]) == HISTOGRAM_BUCKETS,
	      "every bucket has a bound");

static const char *const histogram_names[] = {
	[HISTOGRAM_CONNECT] = "finback_connect_seconds",
	[HISTOGRAM_SESSION] = "finback_session_seconds",
	[HISTOGRAM_HALF_CLOSED] = "finback_half_closed_seconds",
};
static_assert(sizeof(histogram_names) / sizeof(histogram_names[0]) == HISTOGRAMS,
	      "every histogram has a name");

static const char *const flow_values[] = {
	[CLIENT] = "from_client",
	[SERVER] = "from_server",
};
static_assert(sizeof(flow_values) / sizeof(flow_values[0]) == SIDES, "every flow has a name");

/* Counters that share a name stand together and are told apart by one label. */
struct family {
	unsigned first;
	unsigned count;
	const char *name;
	const char *label;
};

static const struct family families[] = {
	{ COUNTER_ACCEPTED, 1, "finback_sessions_accepted_total", "" },
	{ COUNTER_ENDED, ENDINGS, "finback_sessions_ended_total", "ending" },
	{ COUNTER_BYTES, SIDES, "finback_bytes_relayed_total", "flow" },
	{ COUNTER_FINS, SIDES, "finback_fins_relayed_total", "flow" },
	{ COUNTER_RESETS, SIDES, "finback_resets_relayed_total", "flow" },
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))
static_assert(COUNTER_ENDED == COUNTER_ACCEPTED + 1 && COUNTER_RESETS + SIDES == COUNTERS,
	      "the families cover every counter");

static const struct family *family_of(unsigned counter)
{
	size_t last = FAMILIES - 1;
	assert(counter < COUNTERS);
	while (counter < families[last].first)
		last--;
	return &families[last];
}

const char *counter_name(unsigned counter)
{
	return family_of(counter)->name;
}

const char *counter_label(unsigned counter)
{
	return family_of(counter)->label;
}

const char *counter_label_value(unsigned counter)
{
	const struct family *family = family_of(counter);
	unsigned index = counter - family->first;
	if (family->first == COUNTER_ENDED)
		return ending_name((enum ending)index);
	return family->count == SIDES ? flow_values[index] : "";
}

const char *histogram_name(enum histogram histogram)
{
	assert((unsigned)histogram < HISTOGRAMS);
	return histogram_names[histogram];
}

int64_t histogram_bound_us(unsigned bucket)
{
	assert(bucket < HISTOGRAM_BUCKETS);
	return bounds_us[bucket];
}

static void add(_Atomic uint64_t *value, uint64_t amount)
{
	uint64_t old = atomic_load_explicit(value, memory_order_relaxed);
	atomic_store_explicit(value, old + amount, memory_order_relaxed);
}

void counters_observe(struct counters *counters, enum histogram histogram, int64_t us)
{
	unsigned bucket = 0;
	if (us < 0)
		us = 0;
	while (bucket < HISTOGRAM_BUCKETS && us > bounds_us[bucket])
		bucket++;
	add(&counters->buckets[histogram][bucket], 1);
	add(&counters->sums_us[histogram], (uint64_t)us);
}

void counters_sum(struct counters_sum *sum, const struct counters *counters)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		sum->values[i] += atomic_load_explicit(&counters->values[i], memory_order_relaxed);
	for (unsigned h = 0; h < HISTOGRAMS; h++) {
		for (unsigned b = 0; b <= HISTOGRAM_BUCKETS; b++)
			sum->buckets[h][b] += atomic_load_explicit(&counters->buckets[h][b],
								   memory_order_relaxed);
		sum->sums_us[h] +=
			atomic_load_explicit(&counters->sums_us[h], memory_order_relaxed);
	}
}
