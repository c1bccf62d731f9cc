/*
 * The log: what is wanted, and what becomes of a line.
 *
 * A line is packed by whoever logs it, and gets its words when it is written: by the thread of the
 * queue, or here and now where there is none.
 *
 * The surprising thing: level and choice of sessions are atomics that stand each alone. A line that
 * is logged while they change goes by the old value or the new one of each.
 */
#include <finback/host/log.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "log_entry.h"
#include "log_queue.h"
#include "log_target.h"

#define LIMIT_US 1000000

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
static_assert(sizeof(level_names) / sizeof(*level_names) == LOG_LEVELS, "every level has its name");

static const char *const sessions_names[] = {
	[LOG_SESSIONS_ALL] = "all",
	[LOG_SESSIONS_FAILED] = "failed",
	[LOG_SESSIONS_NONE] = "none",
};
static_assert(sizeof(sessions_names) / sizeof(*sessions_names) == LOG_SESSIONS_CHOICES,
	      "every choice has its name");

static const char *const format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
};
static_assert(sizeof(format_names) / sizeof(*format_names) == LOG_FORMATS,
	      "every format has its name");

/* Set by the main thread, read by all. */
static struct {
	atomic_int level;
	atomic_int sessions;
} wanted = { LOG_LEVEL_INFO, LOG_SESSIONS_ALL };

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

const char *log_sessions_name(enum log_sessions sessions)
{
	return sessions_names[sessions];
}

const char *log_format_name(enum log_format format)
{
	return format_names[format];
}

uint64_t log_dropped(void)
{
	return log_target_lost() + log_queue_dropped();
}

int log_open(const struct log_settings *settings)
{
	int error = log_target_open(settings->target, settings->format);

	if (error < 0)
		return error;
	atomic_store(&wanted.level, (int)settings->level);
	atomic_store(&wanted.sessions, (int)settings->sessions);
	return 0;
}

void log_close(void)
{
	log_stop();
	(void)log_target_open("stderr", LOG_FORMAT_TEXT); /* opens nothing that could fail */
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&wanted.level, memory_order_relaxed);
}

bool log_wants_session(enum ending ending)
{
	switch (atomic_load_explicit(&wanted.sessions, memory_order_relaxed)) {
	case LOG_SESSIONS_ALL:
		return true;
	case LOG_SESSIONS_FAILED:
		return ending != ENDING_COMPLETE;
	default:
		return false;
	}
}

/* The way over bytes gives a line the same bounds as one that was queued. */
static void write_now(const char *packed)
{
	struct log_session session;
	struct log_entry entry;

	log_entry_unpack(packed, &entry, &session);
	log_target_begin(false);
	log_target_put(&entry);
	log_target_end();
}

static void submit(struct log_entry *entry)
{
	int saved_errno = errno;
	char packed[LOG_PACKED_MAX];
	size_t size;

	(void)clock_gettime(CLOCK_REALTIME, &entry->time); /* cannot fail: a constant */
	size = log_entry_pack(entry, packed);
	if (!log_queue_put(packed, size))
		write_now(packed);
	errno = saved_errno;
}

/* `length` is that of the whole message, as snprintf(3) returns it. */
static void submit_message(enum log_level level, const char *message, int length)
{
	struct log_entry entry = { .kind = LOG_KIND_MESSAGE, .level = level, .message = message };

	if (length < 0) {
		log_target_count_lost(1);
		return;
	}
	entry.length = length < LOG_MESSAGE_SIZE ? (size_t)length : LOG_MESSAGE_SIZE - 1;
	submit(&entry);
}

void log_say(enum log_level level, const char *format, ...)
{
	char message[LOG_MESSAGE_SIZE];
	va_list arguments;
	int length;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	submit_message(level, message, length);
}

void log_say_limited(struct log_limit *limit, int64_t now_us, enum log_level level,
		     const char *format, ...)
{
	char message[LOG_MESSAGE_SIZE];
	int64_t next_us = atomic_load(&limit->next_us);
	uint64_t left_out;
	va_list arguments;
	int length;

	if (!log_wants(level))
		return;
	/* Of the threads that come when the second is over, one wins and writes. */
	if (now_us < next_us ||
	    !atomic_compare_exchange_strong(&limit->next_us, &next_us, now_us + LIMIT_US)) {
		(void)atomic_fetch_add(&limit->left_out, 1);
		return;
	}
	left_out = atomic_exchange(&limit->left_out, 0);
	va_start(arguments, format);
	length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (left_out > 0 && length >= 0 && length < LOG_MESSAGE_SIZE)
		length += snprintf(message + length, sizeof(message) - (size_t)length,
				   " (%" PRIu64 " more like it left out)", left_out);
	submit_message(level, message, length);
}

void log_session(const struct log_session *session)
{
	struct log_entry entry = { .kind = LOG_KIND_ENDED,
				   .level = LOG_LEVEL_INFO,
				   .session = session };

	if (log_wants_session(session->ending))
		submit(&entry);
}

void log_session_running(const struct log_session *session)
{
	struct log_entry entry = { .kind = LOG_KIND_RUNNING,
				   .level = LOG_LEVEL_INFO,
				   .session = session };

	if (log_wants_session(ENDING_NONE))
		submit(&entry);
}
