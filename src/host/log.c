/*
 * Where the log goes: stderr, a file or the journal.
 *
 * One line is one write(2) or one datagram, so that threads need no lock to keep lines whole: the
 * kernel writes to a file opened with O_APPEND, and to a pipe up to PIPE_BUF, in one piece.
 *
 * The surprising thing: once a file was opened, its descriptor number is never closed while the
 * program runs; dup3(2) puts the next file, or stderr, in its place. A thread that is just about to
 * write to it thus hits the old or the new one, never a number that has become a client's socket.
 */
#include <finback/host/log.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "log_line.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define LIMIT_US       1000000
#define PREFIX_MAX     96 /* time, program and level before a message */

static_assert(PREFIX_MAX * 2 < LOG_LINE_MAX, "a line has room for its message");

enum target {
	TARGET_STDERR,
	TARGET_STDERR_JOURNAL, /* a stream to the journal, where "<4>" says the priority */
	TARGET_FILE,
	TARGET_JOURNAL
};

static const struct {
	const char *name;
	const char *prefix;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "error: ", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", "warning: ", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", "", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", "debug: ", LOG_DEBUG },
};
static_assert(sizeof(levels) / sizeof(*levels) == LOG_LEVELS, "every level has its words");

static const char *const sessions_names[] = {
	[LOG_SESSIONS_ALL] = "all",
	[LOG_SESSIONS_FAILED] = "failed",
	[LOG_SESSIONS_NONE] = "none",
};
static_assert(sizeof(sessions_names) / sizeof(*sessions_names) == LOG_SESSIONS_CHOICES,
	      "every choice has its name");

/* Set by the main thread, read by all. Each stands alone: a line that is written while they change
 * goes by the old value or the new one of each. */
static struct {
	atomic_int target; /* enum target; -1: nobody has looked what stderr is yet */
	atomic_int level;
	atomic_int sessions;
	atomic_int file; /* descriptor, or -1 */
	_Atomic uint64_t lost;
} the_log = { -1, LOG_LEVEL_INFO, LOG_SESSIONS_ALL, -1, 0 };

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

const char *log_sessions_name(enum log_sessions sessions)
{
	return sessions_names[sessions];
}

uint64_t log_lost(void)
{
	return atomic_load_explicit(&the_log.lost, memory_order_relaxed);
}

static void count_lost(void)
{
	(void)atomic_fetch_add_explicit(&the_log.lost, 1, memory_order_relaxed);
}

/* systemd.exec(5), $JOURNAL_STREAM: device and inode tell that stderr is still the stream that the
 * service manager made, and was not redirected since. */
static bool is_stderr_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat stat;
	char own[64];

	if (!stream || fstat(STDERR_FILENO, &stat) < 0)
		return false;
	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)stat.st_dev, (uintmax_t)stat.st_ino);
	return strcmp(stream, own) == 0;
}

static enum target stderr_target(void)
{
	return is_stderr_journal() ? TARGET_STDERR_JOURNAL : TARGET_STDERR;
}

static enum target current_target(void)
{
	int target = atomic_load_explicit(&the_log.target, memory_order_relaxed);

	/* Two threads that look at once find the same. */
	if (target < 0) {
		int unknown = -1;

		target = (int)stderr_target();
		if (!atomic_compare_exchange_strong(&the_log.target, &unknown, target))
			target = unknown;
	}
	return (enum target)target;
}

/* sd_journal_sendv(3) succeeds in silence where there is no journal, so it is asked for here. */
static int find_journal(void)
{
	return access(JOURNAL_SOCKET, W_OK) < 0 ? -errno : 0;
}

/* Makes the file's descriptor stand for `fd`, which is closed unless it becomes that descriptor. */
static int replace_file(int fd)
{
	int file = atomic_load(&the_log.file);
	int r = 0;

	if (file < 0) {
		atomic_store(&the_log.file, fd);
		return 0;
	}
	if (dup3(fd, file, O_CLOEXEC) < 0)
		r = -errno;
	(void)close(fd); /* nothing was written through it */
	return r;
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : replace_file(fd);
}

/* Lets go of the file, if there is one; a thread that is about to write to it writes to stderr. */
static void release_file(void)
{
	int file = atomic_load(&the_log.file);

	/* Without a stderr the file stays open until log_close. */
	if (file >= 0)
		(void)dup3(STDERR_FILENO, file, O_CLOEXEC);
}

/* Finds or opens what a target's text stands for. Returns an enum target or -errno. */
static int open_target(const char *text)
{
	int r;

	if (strcmp(text, "stderr") == 0)
		return (int)stderr_target();
	if (strcmp(text, "auto") == 0)
		return is_stderr_journal() && find_journal() == 0 ? TARGET_JOURNAL
								  : (int)stderr_target();
	if (strcmp(text, "journal") == 0) {
		r = find_journal();
		return r < 0 ? r : TARGET_JOURNAL;
	}
	if (text[0] != '/')
		return -EINVAL;
	r = open_file(text);
	return r < 0 ? r : TARGET_FILE;
}

int log_open(const struct log_settings *settings)
{
	int target = open_target(settings->target);

	if (target < 0)
		return target;
	atomic_store(&the_log.level, (int)settings->level);
	atomic_store(&the_log.sessions, (int)settings->sessions);
	atomic_store(&the_log.target, target);
	if (target != TARGET_FILE)
		release_file();
	return 0;
}

void log_close(void)
{
	int file = atomic_exchange(&the_log.file, -1);

	atomic_store(&the_log.target, (int)stderr_target());
	if (file >= 0)
		(void)close(file); /* each line was written at once: nothing is left to fail */
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&the_log.level, memory_order_relaxed);
}

bool log_wants_session(enum ending ending)
{
	switch (atomic_load_explicit(&the_log.sessions, memory_order_relaxed)) {
	case LOG_SESSIONS_ALL:
		return true;
	case LOG_SESSIONS_FAILED:
		return ending != ENDING_COMPLETE;
	default:
		return false;
	}
}

/* "2001-02-03T04:05:06.789+01:00 ", RFC 3339. Returns its length. */
static size_t format_time(char *text, size_t size)
{
	struct timespec now = { 0 };
	struct tm local = { 0 };
	long minutes;
	int length;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock is a constant */
	if (!localtime_r(&now.tv_sec, &local))
		return 0;
	minutes = local.tm_gmtoff / 60;
	length = snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ld%c%02ld:%02ld ",
			  local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour,
			  local.tm_min, local.tm_sec, now.tv_nsec / 1000000,
			  minutes < 0 ? '-' : '+', labs(minutes) / 60, labs(minutes) % 60);
	return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

/* What stands before a message in this target. Returns its length. */
static size_t format_prefix(enum target target, enum log_level level, char *text, size_t size)
{
	size_t used = target == TARGET_FILE ? format_time(text, size) : 0;
	int length;

	if (target == TARGET_STDERR_JOURNAL)
		length = snprintf(text, size, "<%d>", levels[level].priority);
	else
		length = snprintf(text + used, size - used, "finback: %s", levels[level].prefix);
	return used + (size_t)length;
}

/* Copies a message of any length into `size` bytes, cut with "..." where it does not fit, and
 * without what would make two lines of one. Returns the length; there is no NUL. */
static size_t copy_message(char *text, size_t size, const char *message)
{
	size_t length = strnlen(message, size + 1);

	if (length > size) {
		length = size;
		memcpy(text, message, size - 3);
		memcpy(text + size - 3, "...", 3);
	} else {
		memcpy(text, message, length);
	}
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
	return length;
}

static void write_line(int fd, enum target target, enum log_level level, const char *message)
{
	char line[LOG_LINE_MAX];
	size_t length = format_prefix(target, level, line, PREFIX_MAX);
	ssize_t written;

	length += copy_message(line + length, sizeof(line) - length - 1, message);
	line[length++] = '\n';
	do
		written = write(fd, line, length);
	while (written < 0 && errno == EINTR);
	if (written != (ssize_t)length)
		count_lost();
}

static void send_to_journal(enum log_level level, const char *message, const struct iovec *fields,
			    size_t count)
{
	char identifier[] = "SYSLOG_IDENTIFIER=finback";
	char text[sizeof("MESSAGE=") - 1 + LOG_LINE_MAX] = "MESSAGE=";
	char priority[32];
	struct iovec entry[3 + LOG_FIELDS_MAX];
	size_t name = strlen("MESSAGE=");
	int length = snprintf(priority, sizeof(priority), "PRIORITY=%d", levels[level].priority);

	entry[0] = (struct iovec){ text, name + copy_message(text + name, LOG_LINE_MAX, message) };
	entry[1] = (struct iovec){ priority, (size_t)length };
	entry[2] = (struct iovec){ identifier, strlen(identifier) };
	if (count > LOG_FIELDS_MAX)
		count = LOG_FIELDS_MAX;
	if (count > 0)
		memcpy(entry + 3, fields, count * sizeof(*fields));
	if (sd_journal_sendv(entry, (int)(3 + count)) < 0)
		count_lost();
}

void log_line(enum log_level level, const char *message, const struct iovec *fields, size_t count)
{
	int saved_errno = errno;
	enum target target = current_target();
	int file = target == TARGET_FILE ? atomic_load(&the_log.file) : -1;

	if (target == TARGET_JOURNAL)
		send_to_journal(level, message, fields, count);
	else
		write_line(file >= 0 ? file : STDERR_FILENO, target, level, message);
	errno = saved_errno;
}

static void __attribute__((format(printf, 2, 0)))
say(enum log_level level, const char *format, va_list arguments)
{
	char message[LOG_MESSAGE_SIZE];

	if (vsnprintf(message, sizeof(message), format, arguments) >= 0)
		log_line(level, message, NULL, 0);
	else
		count_lost();
}

void log_say(enum log_level level, const char *format, ...)
{
	va_list arguments;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	say(level, format, arguments);
	va_end(arguments);
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
	if (length < 0) {
		count_lost();
		return;
	}
	if (left_out > 0 && (size_t)length < sizeof(message))
		(void)snprintf(message + length, sizeof(message) - (size_t)length,
			       " (%" PRIu64 " more like it left out)", left_out);
	log_line(level, message, NULL, 0);
}
