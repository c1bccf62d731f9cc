#ifndef FINBACK_ENGINE_COUNTERS_H
#define FINBACK_ENGINE_COUNTERS_H

#include <finback/engine/ending.h>
#include <finback/engine/side.h>

#include <stdatomic.h>
#include <stdint.h>

/*
 * What one worker counted for one listener. One thread writes (relaxed load and store, no locked
 * instruction); any thread may read while it runs and sum several blocks. A reader sees each value
 * whole, but not all values of one instant. Counters only grow.
 */

enum counter {
	COUNTER_ACCEPTED,
	COUNTER_ENDED,                           /* + enum ending */
	COUNTER_BYTES = COUNTER_ENDED + ENDINGS, /* + enum side the bytes came from */
	COUNTER_FINS = COUNTER_BYTES + SIDES,    /* + enum side */
	COUNTER_RESETS = COUNTER_FINS + SIDES,   /* + enum side */
	COUNTERS = COUNTER_RESETS + SIDES
};

enum histogram {
	HISTOGRAM_CONNECT,     /* time until the server was connected */
	HISTOGRAM_SESSION,     /* from accept to end */
	HISTOGRAM_HALF_CLOSED, /* time that only one flow ran */
	HISTOGRAMS
};

#define HISTOGRAM_BUCKETS 16

struct counters {
	_Atomic uint64_t values[COUNTERS];
	_Atomic uint64_t
		buckets[HISTOGRAMS][HISTOGRAM_BUCKETS + 1]; /* the last: above all bounds */
	_Atomic uint64_t sums_us[HISTOGRAMS];
};

/* A plain copy of one block, or the sum of several. */
struct counters_sum {
	uint64_t values[COUNTERS];
	uint64_t buckets[HISTOGRAMS][HISTOGRAM_BUCKETS + 1];
	uint64_t sums_us[HISTOGRAMS];
};

/* Adds to one counter, in the thread that owns the block. */
static inline void counters_add(struct counters *counters, unsigned counter, uint64_t amount)
{
	uint64_t value =
		atomic_load_explicit(&counters->values[counter], memory_order_relaxed) + amount;
	atomic_store_explicit(&counters->values[counter], value, memory_order_relaxed);
}

/* Notes one duration in microseconds, in the thread that owns the block. A negative one counts as
 * 0. It goes to the first bucket whose bound is not below it. */
void counters_observe(struct counters *counters, enum histogram histogram, int64_t us);

/* Adds what `counters` holds now to `sum`. Any thread. */
void counters_sum(struct counters_sum *sum, const struct counters *counters);

/* The upper bound of a bucket in microseconds, 0 <= bucket < HISTOGRAM_BUCKETS: from 100 us to
 * days, growing. The same for every histogram. */
int64_t histogram_bound_us(unsigned bucket);

/* The name of a counter as the contract has it, e.g. "finback_sessions_ended_total"; its label
 * beside the listener's and that label's value, e.g. "ending" and "complete" (both empty where
 * there is none). Name and value together are unique. */
const char *counter_name(unsigned counter);
const char *counter_label(unsigned counter);
const char *counter_label_value(unsigned counter);

/* e.g. "finback_connect_seconds". */
const char *histogram_name(enum histogram histogram);

#endif
