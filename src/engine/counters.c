/*
 * What a worker counted: adding up, and the names that the metrics have.
 *
 * Invariant: only the owning thread stores. A session that comes, moves or goes changes several
 * numbers that vouch for each other, so those changes stand between two steps of a sequence lock;
 * for all others relaxed order is enough.
 *
 * A duration is counted in one bucket alone; whoever prints a cumulative histogram adds them up.
 */
#include <finback/engine/counters.h>

#include <assert.h>
#include <stddef.h>

#define MS INT64_C(1000)
#define S  (1000 * MS)
#define M  (60 * S)
#define H  (60 * M)

static const struct {
	const char *name;
	const char *help;
	int64_t bounds_us[HISTOGRAM_BUCKETS];
} histograms[] = {
	/* A lost SYN shows as 1 s, two as 3 s, three as 7 s. */
	[HISTOGRAM_CONNECT] = { "finback_connect_seconds",
				"Time from accept until the server was connected.",
				{ 100, 250, 500, 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 50 * MS,
				  100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S } },
	[HISTOGRAM_SESSION] = { "finback_session_seconds",
				"Time from accept to the end of the session.",
				{ 1 * MS, 5 * MS, 25 * MS, 100 * MS, 500 * MS, 2500 * MS, 10 * S,
				  30 * S, 1 * M, 5 * M, 15 * M, 1 * H, 4 * H, 12 * H, 24 * H,
				  168 * H } },
	/* The usual deadline is a bound, 5 min: what it ended is above, all else below. */
	[HISTOGRAM_HALF_CLOSED] = { "finback_half_closed_seconds",
				    "Time that only one flow of a session ran.",
				    { 1 * MS, 5 * MS, 25 * MS, 100 * MS, 500 * MS, 1 * S, 2500 * MS,
				      5 * S, 15 * S, 30 * S, 1 * M, 2 * M, 5 * M, 15 * M, 1 * H,
				      24 * H } },
};
static_assert(sizeof(histograms) / sizeof(histograms[0]) == HISTOGRAMS,
	      "every histogram has a name and bounds");

static const char *const flow_values[] = {
	[CLIENT] = "from_client",
	[SERVER] = "from_server",
};
static_assert(sizeof(flow_values) / sizeof(flow_values[0]) == SIDES, "every flow has a name");

/* What tells the counters of one name apart. */
enum labels {
	LABELS_NONE,
	LABELS_ENDING,
	LABELS_FLOW,
	LABELS_SIDE,
	LABELS_SIDE_DETECTOR
};

/* Counters that share a name stand together. */
static const struct family {
	unsigned first;
	enum labels labels;
	const char *name;
	const char *help;
} families[] = {
	{ COUNTER_ACCEPTED, LABELS_NONE, "finback_sessions_accepted_total",
	  "Connections accepted from clients." },
	{ COUNTER_ENDED, LABELS_ENDING, "finback_sessions_ended_total",
	  "Sessions that ended, by why they did." },
	{ COUNTER_BYTES, LABELS_FLOW, "finback_bytes_relayed_total",
	  "Bytes that came from peers to be passed on." },
	{ COUNTER_FINS, LABELS_FLOW, "finback_fins_relayed_total",
	  "Ends of file passed on to the other side." },
	{ COUNTER_RESETS, LABELS_FLOW, "finback_resets_relayed_total",
	  "Resets that came from peers." },
	{ COUNTER_DEAD, LABELS_SIDE_DETECTOR, "finback_dead_peers_total",
	  "Peers found to have vanished without a word, by what found it." },
	{ COUNTER_PROBES, LABELS_SIDE, "finback_probes_sent_total",
	  "Application probes sent to peers." },
	{ COUNTER_PROBE_REPLIES, LABELS_SIDE, "finback_probe_replies_total",
	  "Answers to application probes." },
	{ COUNTER_PROBE_BYTES_SENT, LABELS_SIDE, "finback_probe_bytes_sent_total",
	  "Bytes of application probes, which are in no count of relayed bytes." },
	{ COUNTER_PROBE_BYTES_SWALLOWED, LABELS_SIDE, "finback_probe_bytes_swallowed_total",
	  "Bytes of answers to application probes, which went no further." },
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))
static_assert(COUNTER_ENDED == COUNTER_ACCEPTED + 1 &&
		      COUNTER_PROBE_BYTES_SWALLOWED + SIDES == COUNTERS,
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

const char *counter_help(unsigned counter)
{
	return family_of(counter)->help;
}

unsigned counter_labels(unsigned counter, struct counter_label ret_labels[COUNTER_LABELS_MAX])
{
	const struct family *family = family_of(counter);
	unsigned index = counter - family->first;

	switch (family->labels) {
	case LABELS_NONE:
		return 0;
	case LABELS_ENDING:
		ret_labels[0] = (struct counter_label){ "ending", ending_name((enum ending)index) };
		return 1;
	case LABELS_FLOW:
		ret_labels[0] = (struct counter_label){ "flow", flow_values[index] };
		return 1;
	case LABELS_SIDE:
		ret_labels[0] = (struct counter_label){ "side", side_name((enum side)index) };
		return 1;
	case LABELS_SIDE_DETECTOR:
		ret_labels[0] =
			(struct counter_label){ "side", side_name((enum side)(index / DETECTORS)) };
		ret_labels[1] =
			(struct counter_label){ "detector",
						detector_name((enum detector)(index % DETECTORS)) };
		return 2;
	}
	return 0;
}

const char *histogram_name(enum histogram histogram)
{
	assert((unsigned)histogram < HISTOGRAMS);
	return histograms[histogram].name;
}

const char *histogram_help(enum histogram histogram)
{
	assert((unsigned)histogram < HISTOGRAMS);
	return histograms[histogram].help;
}

int64_t histogram_bound_us(enum histogram histogram, unsigned bucket)
{
	assert((unsigned)histogram < HISTOGRAMS && bucket < HISTOGRAM_BUCKETS);
	return histograms[histogram].bounds_us[bucket];
}

static void add(_Atomic uint64_t *value, uint64_t amount)
{
	uint64_t old = atomic_load_explicit(value, memory_order_relaxed);
	atomic_store_explicit(value, old + amount, memory_order_relaxed);
}

/* The release of each store below carries the odd sequence with it: who has read one of them finds
 * the sequence odd, or later, when it looks again. */
static void open_move(struct counters *counters)
{
	uint32_t sequence = atomic_load_explicit(&counters->sequence, memory_order_relaxed);
	atomic_store_explicit(&counters->sequence, sequence + 1, memory_order_relaxed);
}

static void close_move(struct counters *counters)
{
	uint32_t sequence = atomic_load_explicit(&counters->sequence, memory_order_relaxed);
	atomic_store_explicit(&counters->sequence, sequence + 1, memory_order_release);
}

static void change_active(struct counters *counters, enum session_state state, uint32_t by)
{
	uint32_t old = atomic_load_explicit(&counters->active[state], memory_order_relaxed);
	atomic_store_explicit(&counters->active[state], old + by, memory_order_release);
}

static void count_one(struct counters *counters, unsigned counter)
{
	uint64_t old = atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
	atomic_store_explicit(&counters->values[counter], old + 1, memory_order_release);
}

void counters_accept(struct counters *counters, enum session_state state)
{
	open_move(counters);
	count_one(counters, COUNTER_ACCEPTED);
	change_active(counters, state, 1);
	close_move(counters);
}

void counters_move(struct counters *counters, enum session_state from, enum session_state to)
{
	open_move(counters);
	change_active(counters, from, UINT32_MAX);
	change_active(counters, to, 1);
	close_move(counters);
}

void counters_end(struct counters *counters, enum session_state state, enum ending ending)
{
	open_move(counters);
	change_active(counters, state, UINT32_MAX);
	count_one(counters, COUNTER_ENDED + ending);
	close_move(counters);
}

void counters_observe(struct counters *counters, enum histogram histogram, int64_t us)
{
	const int64_t *bounds_us = histograms[histogram].bounds_us;
	unsigned bucket = 0;

	if (us < 0)
		us = 0;
	while (bucket < HISTOGRAM_BUCKETS && us > bounds_us[bucket])
		bucket++;
	add(&counters->buckets[histogram][bucket], 1);
	add(&counters->sums_us[histogram], (uint64_t)us);
}

static void sum_histograms(struct counters_sum *sum, const struct counters *counters)
{
	for (unsigned h = 0; h < HISTOGRAMS; h++) {
		for (unsigned b = 0; b <= HISTOGRAM_BUCKETS; b++)
			sum->buckets[h][b] += atomic_load_explicit(&counters->buckets[h][b],
								   memory_order_relaxed);
		sum->sums_us[h] +=
			atomic_load_explicit(&counters->sums_us[h], memory_order_relaxed);
	}
}

bool counters_sum(struct counters_sum *sum, const struct counters *counters)
{
	uint32_t sequence = atomic_load_explicit(&counters->sequence, memory_order_acquire);
	uint32_t active[STATES];
	uint64_t values[COUNTERS];

	for (unsigned i = 0; i < STATES; i++)
		active[i] = atomic_load_explicit(&counters->active[i], memory_order_acquire);
	for (unsigned i = 0; i < COUNTERS; i++)
		values[i] = atomic_load_explicit(&counters->values[i], memory_order_acquire);
	if (sequence % 2 != 0 ||
	    atomic_load_explicit(&counters->sequence, memory_order_relaxed) != sequence)
		return false;
	for (unsigned i = 0; i < STATES; i++)
		sum->active[i] += active[i];
	for (unsigned i = 0; i < COUNTERS; i++)
		sum->values[i] += values[i];
	sum_histograms(sum, counters);
	return true;
}

uint64_t counters_active(const struct counters_sum *sum)
{
	uint64_t active = 0;

	for (unsigned i = 0; i < STATES; i++)
		active += sum->active[i];
	return active;
}
