/*
 * What is exposed: the names, labels and numbers of all that is counted.
 *
 * Invariant: a family is written once, with its help and type before its samples. A listener's
 * numbers are read in one go before anything is written, so that those which vouch for each other
 * (accepted = active + ended) still do in the text.
 *
 * Surprising: a listener's labels are made once, and copied for each of its hundred samples.
 */
#include <finback/admin/metrics.h>
#include <finback/daemon/supervisor.h>
#include <finback/engine/counters.h>
#include <finback/host/log.h>
#include <finback/host/process.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"

/* Of a worker's loop: libev's epoll set and eventfd, and the epoll set of its sessions. */
#define LOOP_FDS 3

/* Bytes, with the NUL. */
#define SAMPLE_MAX 64 /* "finback_half_closed_seconds_bucket" */
#define BOUND_MAX  16 /* "0.0001" */

/* Families that stand alone; those of struct counters have their names there. */
enum metric {
	METRIC_BUILD_INFO,
	METRIC_ACTIVE,
	METRIC_CONNECTS,
	METRIC_SERVER_UP,
	METRIC_SERVER_SESSIONS,
	METRIC_BUFFER_BYTES,
	METRIC_PIPES,
	METRIC_OPEN_FDS,
	METRIC_ACCEPT_PAUSES,
	METRIC_MAX_SESSIONS,
	METRIC_DRAINING,
	METRIC_RELOADS,
	METRIC_RELOAD_OK,
	METRIC_RELOAD_TIME,
	METRIC_LOG_DROPPED,
	METRIC_PROCESS_START,
	METRIC_PROCESS_OPEN_FDS,
	METRIC_PROCESS_MAX_FDS,
	METRIC_PROCESS_CPU,
	METRIC_PROCESS_RSS,
	METRICS
};

static const struct {
	const char *name;
	const char *type;
	const char *help;
} metrics[] = {
	[METRIC_BUILD_INFO] = { "finback_build_info", "gauge", "The version that runs; always 1." },
	[METRIC_ACTIVE] = { "finback_sessions_active", "gauge",
			    "Sessions that are there now, by where they are." },
	[METRIC_CONNECTS] = { "finback_connects_total", "counter",
			      "Attempts to connect to a server, by how they ended." },
	[METRIC_SERVER_UP] = { "finback_server_up", "gauge",
			       "Whether the server is up: 0 where the operator took it down." },
	[METRIC_SERVER_SESSIONS] = { "finback_server_sessions", "gauge",
				     "Sessions that a server has now, attempts to connect too." },
	[METRIC_BUFFER_BYTES] = { "finback_buffer_bytes", "gauge",
				  "Bytes of sessions held in finback's own memory." },
	[METRIC_PIPES] = { "finback_pipes", "gauge", "Pipes that hold bytes of sessions." },
	[METRIC_OPEN_FDS] = { "finback_open_fds", "gauge",
			      "Descriptors open in each worker; main: all others." },
	[METRIC_ACCEPT_PAUSES] = { "finback_accept_pauses_total", "counter",
				   "Times that a worker had no descriptor to accept with." },
	[METRIC_MAX_SESSIONS] = { "finback_max_sessions", "gauge",
				  "Sessions that there may be at once." },
	[METRIC_DRAINING] = { "finback_draining", "gauge",
			      "Whether it drains: no new sessions, and then the end." },
	[METRIC_RELOADS] = { "finback_config_reloads_total", "counter",
			     "Reloads of the configuration, by how they went." },
	[METRIC_RELOAD_OK] = { "finback_config_last_reload_successful", "gauge",
			       "Whether the last reload was taken; 1 before the first one." },
	[METRIC_RELOAD_TIME] = { "finback_config_last_reload_success_timestamp_seconds", "gauge",
				 "When the configuration in force was loaded." },
	[METRIC_LOG_DROPPED] = { "finback_log_dropped_total", "counter",
				 "Lines of the log that could not be written." },
	[METRIC_PROCESS_START] = { "process_start_time_seconds", "gauge",
				   "When the process started, in seconds since 1970." },
	[METRIC_PROCESS_OPEN_FDS] = { "process_open_fds", "gauge", "Descriptors open now." },
	[METRIC_PROCESS_MAX_FDS] = { "process_max_fds", "gauge",
				     "Descriptors that may be open at once." },
	[METRIC_PROCESS_CPU] = { "process_cpu_seconds_total", "counter",
				 "User and system time of all threads." },
	[METRIC_PROCESS_RSS] = { "process_resident_memory_bytes", "gauge",
				 "Memory that is resident." },
};
static_assert(sizeof metrics / sizeof *metrics == METRICS, "every metric has a name");

static void begin(struct text *text, enum metric metric)
{
	exposition_family(text, metrics[metric].name, metrics[metric].type, metrics[metric].help);
}

/* A sample with a single label. */
static void sample(struct text *text, enum metric metric, const char *label, const char *value,
		   uint64_t number)
{
	exposition_begin(text, metrics[metric].name, "", 0);
	exposition_label(text, label, value);
	exposition_end(text, number);
}

/* A family of one sample without labels. */
static void single(struct text *text, enum metric metric, uint64_t number)
{
	begin(text, metric);
	exposition_plain(text, metrics[metric].name, number);
}

static void single_seconds(struct text *text, enum metric metric, int64_t us)
{
	begin(text, metric);
	exposition_plain_seconds(text, metrics[metric].name, us);
}

/* ---- listeners --------------------------------------------------------------------------------
 */

struct row {
	size_t label_at; /* in rows.labels: listener="web" */
	size_t label_length;
	struct counters_sum sum;
};

struct rows {
	struct row *rows; /* one for each listener that ever was */
	size_t count;
	struct text labels;
};

static void rows_fini(struct rows *rows)
{
	text_fini(&rows->labels);
	free(rows->rows);
}

static void fill_row(struct rows *rows, struct row *row, const struct tally *tally)
{
	row->label_at = rows->labels.length;
	exposition_label(&rows->labels, "listener", tally->name);
	row->label_length = rows->labels.length - row->label_at;
	tally_sum(tally, &row->sum);
}

/* Returns whether there was memory; rows_fini is due either way. */
static bool rows_init(struct rows *rows, const struct registry *registry)
{
	const struct tally *tally = NULL;
	size_t i = 0;

	*rows = (struct rows){ 0 };
	while ((tally = registry_next(registry, tally)))
		rows->count++;
	rows->rows = calloc(rows->count + 1, sizeof *rows->rows); /* never of 0 bytes */
	if (!rows->rows)
		return false;
	while ((tally = registry_next(registry, tally)))
		fill_row(rows, &rows->rows[i++], tally);
	return !rows->labels.is_short;
}

static void begin_row(struct text *text, const char *name, const struct rows *rows, size_t row)
{
	exposition_begin(text, name, rows->labels.bytes + rows->rows[row].label_at,
			 rows->rows[row].label_length);
}

static void render_active(struct text *text, const struct rows *rows)
{
	begin(text, METRIC_ACTIVE);
	for (size_t i = 0; i < rows->count; i++) {
		for (unsigned state = 0; state < STATES; state++) {
			begin_row(text, metrics[METRIC_ACTIVE].name, rows, i);
			exposition_word(text, "state",
					session_state_name((enum session_state)state));
			exposition_end(text, rows->rows[i].sum.active[state]);
		}
	}
}

static void render_counter(struct text *text, const struct rows *rows, unsigned counter)
{
	struct counter_label labels[COUNTER_LABELS_MAX];
	unsigned count = counter_labels(counter, labels);

	for (size_t i = 0; i < rows->count; i++) {
		begin_row(text, counter_name(counter), rows, i);
		for (unsigned label = 0; label < count; label++)
			exposition_word(text, labels[label].name, labels[label].value);
		exposition_end(text, rows->rows[i].sum.values[counter]);
	}
}

static void render_counters(struct text *text, const struct rows *rows)
{
	const char *family = "";

	for (unsigned counter = 0; counter < COUNTERS; counter++) {
		if (strcmp(family, counter_name(counter)) != 0) {
			family = counter_name(counter);
			exposition_family(text, family, "counter", counter_help(counter));
		}
		if (counter != COUNTER_ENDED + ENDING_NONE) /* it is no ending */
			render_counter(text, rows, counter);
	}
}

/* What the samples of one histogram have in common, whoever's they are. */
struct histogram_words {
	char bucket[SAMPLE_MAX];
	char sum[SAMPLE_MAX];
	char count[SAMPLE_MAX];
	char bounds[HISTOGRAM_BUCKETS + 1][BOUND_MAX];
};

static void describe_histogram(struct histogram_words *words, enum histogram histogram)
{
	const char *name = histogram_name(histogram);

	(void)snprintf(words->bucket, sizeof words->bucket, "%s_bucket", name);
	(void)snprintf(words->sum, sizeof words->sum, "%s_sum", name);
	(void)snprintf(words->count, sizeof words->count, "%s_count", name);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		(void)snprintf(words->bounds[i], BOUND_MAX, "%.9g",
			       (double)histogram_bound_us(histogram, i) / 1e6);
	(void)snprintf(words->bounds[HISTOGRAM_BUCKETS], BOUND_MAX, "+Inf");
}

/* Each bucket holds all that is not above its bound, so the last one is the count. */
static void render_histogram_of(struct text *text, const struct rows *rows, size_t row,
				enum histogram histogram, const struct histogram_words *words)
{
	const struct counters_sum *sum = &rows->rows[row].sum;
	uint64_t count = 0;

	for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		count += sum->buckets[histogram][i];
		begin_row(text, words->bucket, rows, row);
		exposition_word(text, "le", words->bounds[i]);
		exposition_end(text, count);
	}
	begin_row(text, words->sum, rows, row);
	exposition_end_seconds(text, (int64_t)sum->sums_us[histogram]);
	begin_row(text, words->count, rows, row);
	exposition_end(text, count);
}

static void render_histogram(struct text *text, const struct rows *rows, enum histogram histogram)
{
	struct histogram_words words = { 0 };

	describe_histogram(&words, histogram);
	exposition_family(text, histogram_name(histogram), "histogram", histogram_help(histogram));
	for (size_t i = 0; i < rows->count; i++)
		render_histogram_of(text, rows, i, histogram, &words);
}

static void render_listeners(struct text *text, const struct registry *registry)
{
	struct rows rows;

	if (rows_init(&rows, registry)) {
		render_active(text, &rows);
		render_counters(text, &rows);
		for (unsigned i = 0; i < HISTOGRAMS; i++)
			render_histogram(text, &rows, (enum histogram)i);
	} else {
		text->is_short = true;
	}
	rows_fini(&rows);
}

/* ---- servers ----------------------------------------------------------------------------------
 */

/* Writes one server's samples of one family. */
typedef void server_renderer(struct text *text, const struct text *labels,
			     const struct pool_load *load);

static void render_connects(struct text *text, const struct text *labels,
			    const struct pool_load *load)
{
	for (unsigned i = 0; i < POOL_RESULTS; i++) {
		exposition_begin(text, metrics[METRIC_CONNECTS].name, labels->bytes,
				 labels->length);
		exposition_word(text, "result", pool_result_name((enum pool_result)i));
		exposition_end(text,
			       atomic_load_explicit(&load->connects[i], memory_order_relaxed));
	}
}

static void render_up(struct text *text, const struct text *labels, const struct pool_load *load)
{
	uint32_t state = atomic_load_explicit(&load->state, memory_order_relaxed);

	exposition_begin(text, metrics[METRIC_SERVER_UP].name, labels->bytes, labels->length);
	exposition_end(text, state != POOL_MAINT);
}

static void render_sessions(struct text *text, const struct text *labels,
			    const struct pool_load *load)
{
	exposition_begin(text, metrics[METRIC_SERVER_SESSIONS].name, labels->bytes, labels->length);
	exposition_end(text, atomic_load_explicit(&load->sessions, memory_order_relaxed));
}

static void render_pool(struct text *text, const struct pool *pool, server_renderer *render)
{
	struct text labels = { 0 };

	for (size_t i = 0; i < pool->config->balance.count; i++) {
		text_truncate(&labels, 0);
		exposition_label(&labels, "pool", pool->name);
		TEXT_APPEND(&labels, ",");
		exposition_label(&labels, "server", pool->loads[i]->name);
		if (labels.is_short)
			text->is_short = true;
		else
			render(text, &labels, pool->loads[i]);
	}
	text_fini(&labels);
}

static void render_servers(struct text *text, const struct generation *generation)
{
	static const struct {
		enum metric metric;
		server_renderer *render;
	} families[] = {
		{ METRIC_CONNECTS, render_connects },
		{ METRIC_SERVER_UP, render_up },
		{ METRIC_SERVER_SESSIONS, render_sessions },
	};

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		begin(text, families[i].metric);
		for (size_t pool = 0; pool < generation->config->pool_count; pool++)
			render_pool(text, &generation->pools[pool], families[i].render);
	}
}

/* ---- workers and the process ------------------------------------------------------------------
 */

uint64_t metrics_worker_fds(const struct worker *worker)
{
	const struct relays *relays = &worker->relays;

	return LOOP_FDS + atomic_load_explicit(&relays->descriptors, memory_order_relaxed) +
	       2 * atomic_load_explicit(&relays->open_pipes, memory_order_relaxed);
}

static uint64_t crew_fds(const struct crew *crew)
{
	uint64_t fds = 0;

	for (size_t i = 0; i < crew->count; i++)
		fds += metrics_worker_fds(&crew->workers[i]);
	return fds;
}

void metrics_read_process(const struct crew *crew, struct process_facts *ret_facts)
{
	process_read(crew_fds(crew), ret_facts);
}

static uint64_t buffer_bytes(const struct worker *worker)
{
	return atomic_load_explicit(&worker->relays.buffer_bytes, memory_order_relaxed);
}

static uint64_t pipes(const struct worker *worker)
{
	return atomic_load_explicit(&worker->relays.pipes, memory_order_relaxed);
}

static uint64_t accept_pauses(const struct worker *worker)
{
	return atomic_load_explicit(&worker->pauses, memory_order_relaxed);
}

/* Returns the sum of the samples. */
static uint64_t render_crew(struct text *text, const struct crew *crew, enum metric metric,
			    uint64_t (*value)(const struct worker *worker))
{
	uint64_t sum = 0;

	begin(text, metric);
	for (size_t i = 0; i < crew->count; i++) {
		uint64_t number = value(&crew->workers[i]);
		char index[24];

		(void)snprintf(index, sizeof index, "%zu", i);
		sample(text, metric, "worker", index, number);
		sum += number;
	}
	return sum;
}

/* Those of all workers and of "main" are what the process has. */
static void render_fds(struct text *text, const struct crew *crew, uint64_t all)
{
	uint64_t fds = render_crew(text, crew, METRIC_OPEN_FDS, metrics_worker_fds);

	/* A session may come between the two looks. */
	sample(text, METRIC_OPEN_FDS, "worker", "main", all > fds ? all - fds : 0);
}

static int64_t us_of(struct timespec time)
{
	return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

static void render_reloads(struct text *text, const struct supervisor_facts *facts)
{
	begin(text, METRIC_RELOADS);
	sample(text, METRIC_RELOADS, "result", "ok", facts->reloads);
	sample(text, METRIC_RELOADS, "result", "failed", facts->failed_reloads);
	single(text, METRIC_RELOAD_OK, facts->is_last_reload_ok);
	single_seconds(text, METRIC_RELOAD_TIME, us_of(facts->loaded));
}

static void render_process(struct text *text, const struct supervisor_facts *facts)
{
	struct process_facts process;

	metrics_read_process(facts->crew, &process);
	render_fds(text, facts->crew, process.open_fds);
	single_seconds(text, METRIC_PROCESS_START, us_of(facts->started));
	single(text, METRIC_PROCESS_OPEN_FDS, process.open_fds);
	single(text, METRIC_PROCESS_MAX_FDS, process.max_fds);
	single_seconds(text, METRIC_PROCESS_CPU, (int64_t)process.cpu_us);
	single(text, METRIC_PROCESS_RSS, process.rss_bytes);
}

void metrics_render(struct text *text, const struct supervisor *supervisor)
{
	const struct supervisor_facts facts = supervisor_facts(supervisor);

	begin(text, METRIC_BUILD_INFO);
	sample(text, METRIC_BUILD_INFO, "version", FINBACK_VERSION, 1);
	render_listeners(text, facts.registry);
	render_servers(text, facts.generation);
	(void)render_crew(text, facts.crew, METRIC_BUFFER_BYTES, buffer_bytes);
	(void)render_crew(text, facts.crew, METRIC_PIPES, pipes);
	(void)render_crew(text, facts.crew, METRIC_ACCEPT_PAUSES, accept_pauses);
	single(text, METRIC_MAX_SESSIONS,
	       atomic_load_explicit(&facts.crew->max_sessions, memory_order_relaxed));
	single(text, METRIC_DRAINING, facts.is_draining);
	render_reloads(text, &facts);
	single(text, METRIC_LOG_DROPPED, log_dropped());
	render_process(text, &facts);
}
