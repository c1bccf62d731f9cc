/*
 * The queue, and the thread that empties it.
 *
 * Invariant: threads that log append to the ring with the lock, which they hold for one memcpy(3).
 * The writing thread reads what is in the ring without it, and takes it to give room back.
 *
 * The surprising thing: the writing thread is not woken for each line. It is woken when it has
 * found nothing to do; after each batch it takes a nap and looks again by itself, so that many
 * lines make one write(2) and few wake-ups.
 */
#include "log_queue.h"

#include <finback/host/log.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log_entry.h"
#include "log_ring.h"
#include "log_target.h"

#define NAP_US      4000
#define STOP_US     2000000
#define TELL_US     1000000
#define CHUNK_BYTES (64 * 1024) /* after so many the room is given back */
#define STACK_BYTES (128 * 1024)

enum writer {
	WRITER_NONE,
	WRITER_BUSY,
	WRITER_NAPPING, /* looks by itself soon */
	WRITER_ASLEEP,  /* waits to be woken */
};

/* Of whoever holds `lock`; but what lies between tail and head is the writing thread's. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* for the writing thread */
	pthread_cond_t over; /* for log_stop */
	pthread_t thread;
	enum writer writer;
	bool is_stopping;
	bool is_abandoned; /* the thread was left where it waits */
	struct log_ring ring;
	uint64_t lines; /* in the ring */
	uint64_t dropped;
	uint64_t told; /* of the dropped ones */
	int64_t tell_us;
	char bytes[LOG_QUEUE_BYTES];
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .wake = PTHREAD_COND_INITIALIZER,
	    .over = PTHREAD_COND_INITIALIZER,
	    .ring = { .bytes = queue.bytes, .size = LOG_QUEUE_BYTES } };

static int64_t monotonic_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock is a constant */
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Waits with the lock until the condition is signalled or the time has come; returns whether it
 * has. */
static bool wait_until(pthread_cond_t *condition, int64_t at_us)
{
	struct timespec at = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 };

	return pthread_cond_clockwait(condition, &queue.lock, CLOCK_MONOTONIC, &at) == ETIMEDOUT;
}

/* ---- threads that log ---------------------------------------------------------------------------
 */

/* Whether the writing thread is to be woken: once, until it has looked. */
static bool must_wake(void)
{
	bool is_needed = queue.writer == WRITER_ASLEEP ||
			 (queue.writer == WRITER_NAPPING && queue.ring.used >= LOG_QUEUE_BYTES / 2);

	if (is_needed)
		queue.writer = WRITER_BUSY;
	return is_needed;
}

bool log_queue_put(const char *packed, size_t size)
{
	bool is_wanted;
	bool is_waking = false;

	(void)pthread_mutex_lock(&queue.lock);
	is_wanted = queue.writer != WRITER_NONE || queue.is_abandoned;
	if (is_wanted) {
		if (!queue.is_abandoned && log_ring_append(&queue.ring, packed, size))
			queue.lines++;
		else
			queue.dropped++;
		is_waking = must_wake();
	}
	(void)pthread_mutex_unlock(&queue.lock);
	if (is_waking)
		(void)pthread_cond_signal(&queue.wake);
	return is_wanted;
}

uint64_t log_queue_dropped(void)
{
	uint64_t dropped;

	(void)pthread_mutex_lock(&queue.lock);
	dropped = queue.dropped;
	(void)pthread_mutex_unlock(&queue.lock);
	return dropped;
}

/* ---- the writing thread -------------------------------------------------------------------------
 */

/* Puts the next entry to the target. */
static void put_one(struct log_cursor *cursor)
{
	struct log_session session;
	struct log_entry entry;

	log_entry_unpack(log_ring_next(&queue.ring, cursor), &entry, &session);
	log_target_put(&entry);
}

static void release(const struct log_cursor *cursor)
{
	(void)pthread_mutex_lock(&queue.lock);
	log_ring_release(&queue.ring, cursor);
	queue.lines -= cursor->entries;
	(void)pthread_mutex_unlock(&queue.lock);
}

/* Writes the oldest `bytes` of the ring. Only this thread moves the tail. */
static void write_batch(size_t bytes)
{
	log_target_begin(true);
	while (bytes > 0) {
		struct log_cursor cursor = { .at = queue.ring.tail };

		while (cursor.bytes < bytes && cursor.bytes < CHUNK_BYTES && log_target_has_room())
			put_one(&cursor);
		log_target_flush();
		release(&cursor);
		bytes -= cursor.bytes;
	}
	log_target_end();
}

static void write_warning(uint64_t dropped)
{
	struct log_entry entry = { .kind = LOG_KIND_MESSAGE, .level = LOG_LEVEL_WARNING };
	char message[128];

	if (!log_wants(LOG_LEVEL_WARNING))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &entry.time); /* cannot fail */
	entry.length = (size_t)snprintf(message, sizeof(message),
					"%" PRIu64 " lines of the log were dropped: what it is "
					"written to did not keep up",
					dropped);
	entry.message = message;
	log_target_begin(true);
	log_target_put(&entry);
	log_target_end();
}

/* Says how many lines were dropped, where that was not said and it is time. */
static void tell_dropped(void)
{
	int64_t now_us = monotonic_us();
	uint64_t dropped;

	(void)pthread_mutex_lock(&queue.lock);
	dropped = queue.dropped - queue.told;
	if (now_us < queue.tell_us && !queue.is_stopping)
		dropped = 0;
	if (dropped > 0) {
		queue.told = queue.dropped;
		queue.tell_us = now_us + TELL_US;
	}
	(void)pthread_mutex_unlock(&queue.lock);
	if (dropped > 0)
		write_warning(dropped);
}

static void nap(void)
{
	(void)pthread_mutex_lock(&queue.lock);
	if (queue.ring.used < LOG_QUEUE_BYTES / 2 && !queue.is_stopping) {
		queue.writer = WRITER_NAPPING;
		(void)wait_until(&queue.wake, monotonic_us() + NAP_US);
	}
	queue.writer = WRITER_BUSY;
	(void)pthread_mutex_unlock(&queue.lock);
}

/* Waits for entries, or until it is time to tell of dropped ones. Returns whether to go on, with
 * how many bytes there are; when not, the thread counts as gone. */
static bool wait_for_work(size_t *ret_bytes)
{
	bool is_over;

	(void)pthread_mutex_lock(&queue.lock);
	if (queue.ring.used == 0 && !queue.is_stopping && !queue.is_abandoned)
		queue.writer = WRITER_ASLEEP;
	while (queue.writer == WRITER_ASLEEP) {
		if (queue.told == queue.dropped)
			(void)pthread_cond_wait(&queue.wake, &queue.lock);
		else if (wait_until(&queue.wake, queue.tell_us))
			queue.writer = WRITER_BUSY;
	}
	*ret_bytes = queue.ring.used;
	is_over = queue.is_abandoned ||
		  (queue.is_stopping && queue.ring.used == 0 && queue.told == queue.dropped);
	if (is_over) {
		queue.writer = WRITER_NONE;
		(void)pthread_cond_signal(&queue.over);
	}
	(void)pthread_mutex_unlock(&queue.lock);
	return !is_over;
}

static void *run(void *argument)
{
	size_t bytes;

	(void)argument;
	while (wait_for_work(&bytes)) {
		if (bytes > 0)
			write_batch(bytes);
		tell_dropped();
		nap();
	}
	return NULL;
}

/* ---- its life -----------------------------------------------------------------------------------
 */

static int create_thread(void)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t old;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* a thread inherits the mask */
	error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (error == 0)
		error = pthread_create(&queue.thread, &attributes, run, NULL);
	if (error == 0)
		(void)pthread_setname_np(queue.thread, "finback-log"); /* for ps(1) alone */
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attributes); /* never fails on Linux */
	return -error;
}

int log_start(void)
{
	bool is_there;
	int error;

	(void)pthread_mutex_lock(&queue.lock);
	is_there = queue.writer != WRITER_NONE || queue.is_abandoned;
	if (!is_there)
		queue.writer = WRITER_BUSY;
	(void)pthread_mutex_unlock(&queue.lock);
	if (is_there)
		return -EBUSY;
	error = create_thread();
	if (error < 0) {
		(void)pthread_mutex_lock(&queue.lock);
		queue.writer = WRITER_NONE;
		(void)pthread_mutex_unlock(&queue.lock);
	}
	return error;
}

/* Tells the thread to stop and waits for it; returns whether it did. With the lock. */
static bool wait_for_end(void)
{
	int64_t until_us = monotonic_us() + STOP_US;

	queue.is_stopping = true;
	if (queue.writer == WRITER_ASLEEP)
		queue.writer = WRITER_BUSY;
	(void)pthread_cond_signal(&queue.wake);
	while (queue.writer != WRITER_NONE)
		if (wait_until(&queue.over, until_us))
			break;
	queue.is_stopping = false;
	return queue.writer == WRITER_NONE;
}

void log_stop(void)
{
	bool is_there;
	bool is_over = true;

	(void)pthread_mutex_lock(&queue.lock);
	is_there = queue.writer != WRITER_NONE && !queue.is_abandoned;
	if (is_there)
		is_over = wait_for_end();
	if (!is_over) {
		queue.is_abandoned = true;
		queue.dropped += queue.lines;
		log_target_abandon();
	}
	(void)pthread_mutex_unlock(&queue.lock);
	if (!is_there)
		return;
	if (is_over)
		(void)pthread_join(queue.thread, NULL); /* it has nothing more to do */
	else
		(void)pthread_detach(queue.thread); /* it ends when its write does, or with us */
}
