#ifndef FINBACK_ENGINE_COUNTERS_H
#define FINBACK_ENGINE_COUNTERS_H

#include <finback/engine/ending.h>
#include <finback/engine/session.h>
#include <finback/engine/side.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What one worker counted for one listener. One thread writes (relaxed load and store, no locked
 * instruction); any thread may read while it runs and sum several blocks. Counters only grow. In
 * what a reader gets, accepted = active + sum of endings: the three functions that move a session
 * are seen whole or not at all. Of all else each value is whole, but not all are of one instant.
 */

enum counter {
	COUNTER_ACCEPTED,
	COUNTER_ENDED,                           /* + enum ending */
	COUNTER_BYTES = COUNTER_ENDED + ENDINGS, /* + enum side the bytes came from */
	COUNTER_FINS = COUNTER_BYTES + SIDES,    /* + enum side */
	COUNTER_RESETS = COUNTER_FINS + SIDES,   /* + enum side */
	COUNTER_DEAD = COUNTER_RESETS + SIDES,   /* + enum side * DETECTORS + enum detector */
	COUNTER_PROBES = COUNTER_DEAD + SIDES * DETECTORS,                /* + enum side */
	COUNTER_PROBE_REPLIES = COUNTER_PROBES + SIDES,                   /* + enum side */
	COUNTER_PROBE_BYTES_SENT = COUNTER_PROBE_REPLIES + SIDES,         /* + enum side */
	COUNTER_PROBE_BYTES_SWALLOWED = COUNTER_PROBE_BYTES_SENT + SIDES, /* + enum side */
	COUNTERS = COUNTER_PROBE_BYTES_SWALLOWED + SIDES
};

enum histogram {
	HISTOGRAM_CONNECT,     /* time until the server was connected */
	HISTOGRAM_SESSION,     /* from accept to end */
	HISTOGRAM_HALF_CLOSED, /* time that only one flow ran */
	HISTOGRAMS
};

#define HISTOGRAM_BUCKETS 16

struct counters {
	_Atomic uint32_t sequence; /* odd while a session moves */
	_Atomic uint32_t active[STATES];
	_Atomic uint64_t values[COUNTERS];
	_Atomic uint64_t
		buckets[HISTOGRAMS][HISTOGRAM_BUCKETS + 1]; /* the last: above all bounds */
	_Atomic uint64_t sums_us[HISTOGRAMS];
};

/* A plain copy of one block, or the sum of several. */
struct counters_sum {
	uint64_t active[STATES];
	uint64_t values[COUNTERS];
	uint64_t buckets[HISTOGRAMS][HISTOGRAM_BUCKETS + 1];
	uint64_t sums_us[HISTOGRAMS];
};

/* Adds to one counter, in the thread that owns the block. Not for COUNTER_ACCEPTED and
 * COUNTER_ENDED, which move sessions. */
static inline void counters_add(struct counters *counters, unsigned counter, uint64_t amount)
{
	uint64_t value =
		atomic_load_explicit(&counters->values[counter], memory_order_relaxed) + amount;
	atomic_store_explicit(&counters->values[counter], value, memory_order_relaxed);
}

/* A session comes, changes its state, goes: in the thread that owns the block. */
void counters_accept(struct counters *counters, enum session_state state);
void counters_move(struct counters *counters, enum session_state from, enum session_state to);
void counters_end(struct counters *counters, enum session_state state, enum ending ending);

/* Notes one duration in microseconds, in the thread that owns the block. A negative one counts as
 * 0. It goes to the first bucket whose bound is not below it. */
void counters_observe(struct counters *counters, enum histogram histogram, int64_t us);

/* Adds what `counters` holds now to `sum`. Any thread. Returns false, with `sum` untouched, when
 * its owner was just moving a session: try again. */
bool counters_sum(struct counters_sum *sum, const struct counters *counters);

/* All sessions in `sum` that are there now. */
uint64_t counters_active(const struct counters_sum *sum);

/* The upper bound of a bucket in microseconds, 0 <= bucket < HISTOGRAM_BUCKETS; they grow. Each
 * histogram has its own: connecting takes microseconds to seconds, a session may take days. */
int64_t histogram_bound_us(enum histogram histogram, unsigned bucket);

/* A label of a counter beside the listener's, e.g. "ending" and "complete". */
struct counter_label {
	const char *name;
	const char *value;
};

#define COUNTER_LABELS_MAX 2

/* The name of a counter as the contract has it, e.g. "finback_sessions_ended_total", and one line
 * of help. Counters of one name stand together. */
const char *counter_name(unsigned counter);
const char *counter_help(unsigned counter);

/* The labels that tell counters of one name apart. Returns how many there are, 0 to
 * COUNTER_LABELS_MAX. */
unsigned counter_labels(unsigned counter, struct counter_label ret_labels[COUNTER_LABELS_MAX]);

/* "finback_connect_seconds" ..., and one line of help. */
const char *histogram_name(enum histogram histogram);
const char *histogram_help(enum histogram histogram);

#endif
