/*
 * Where lines go: stderr, a file or the journal.
 *
 * Invariant: what is written to changes only between two writes, so no line is torn by a target
 * that changes; and one that was let go is closed as soon as nobody writes to it.
 *
 * The surprising thing: who opens a target never waits for who writes to the old one, because that
 * may take for ever. It leaves the new one where the writer finds it.
 */
#include "log_target.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "log_line.h"
#include "log_session.h"
#include "log_words.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define GATHER_BYTES   (64 * 1024)
#define POLL_MS        100 /* so often a writer that waits looks whether it was given up */

static_assert(GATHER_BYTES >= LOG_RENDERED_MAX, "the longest line fits");

struct target {
	enum log_medium medium;
	enum log_format format;
	int fd; /* of a file, else -1 */
};

/* Of whoever holds `writing`. */
static struct {
	pthread_mutex_t writing;
	struct target target;
	bool is_known; /* whether anybody has looked what stderr is */
	bool is_patient;
	bool is_torn; /* the last line was not written to its end */
	struct log_clock clock;
	size_t used;
	char text[GATHER_BYTES];
} output = { .writing = PTHREAD_MUTEX_INITIALIZER, .target.fd = -1 };

/* Of all, and of whoever holds `lock` for a moment. */
static struct {
	pthread_mutex_t lock;
	struct target target;
	bool is_there;
} next = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Atomic uint64_t lost;
static atomic_bool is_abandoned;

void log_target_count_lost(uint64_t lines)
{
	(void)atomic_fetch_add_explicit(&lost, lines, memory_order_relaxed);
}

uint64_t log_target_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

void log_target_abandon(void)
{
	atomic_store(&is_abandoned, true);
}

/* ---- which one ----------------------------------------------------------------------------------
 */

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

static enum log_medium stderr_medium(void)
{
	return is_stderr_journal() ? LOG_MEDIUM_STREAM : LOG_MEDIUM_STDERR;
}

/* sd_journal_sendv(3) succeeds in silence where there is no journal, so it is asked for here. */
static int find_journal(void)
{
	return access(JOURNAL_SOCKET, W_OK) < 0 ? -errno : 0;
}

static int find_target(struct target *target, const char *text)
{
	if (strcmp(text, "stderr") == 0) {
		target->medium = stderr_medium();
		return 0;
	}
	if (strcmp(text, "auto") == 0) {
		target->medium = stderr_medium();
		if (target->medium == LOG_MEDIUM_STREAM && find_journal() == 0)
			target->medium = LOG_MEDIUM_JOURNAL;
		return 0;
	}
	if (strcmp(text, "journal") == 0) {
		target->medium = LOG_MEDIUM_JOURNAL;
		return find_journal();
	}
	if (text[0] != '/')
		return -EINVAL;
	target->medium = LOG_MEDIUM_FILE;
	target->fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	return target->fd < 0 ? -errno : 0;
}

/* ---- one for another ----------------------------------------------------------------------------
 */

/* What a file's close(2) still finds to say comes too late for any line. */
static void close_target(const struct target *target)
{
	if (target->fd >= 0)
		(void)close(target->fd);
}

static bool is_next_there(void)
{
	bool is_there;

	(void)pthread_mutex_lock(&next.lock);
	is_there = next.is_there;
	(void)pthread_mutex_unlock(&next.lock);
	return is_there;
}

/* For whoever holds `writing`, between two writes. */
static void take_next(void)
{
	struct target old = { .fd = -1 };

	(void)pthread_mutex_lock(&next.lock);
	if (next.is_there) {
		old = output.target;
		output.target = next.target;
		output.is_known = true;
		output.is_torn = false;
		output.clock.is_set = false; /* the zone may be another, too */
	}
	next.is_there = false;
	(void)pthread_mutex_unlock(&next.lock);
	close_target(&old);
}

/* Gives `writing` back, and has a target taken that came meanwhile: whoever left it there found
 * `writing` held, and went away. */
static void give_back(void)
{
	do {
		(void)pthread_mutex_unlock(&output.writing);
		if (!is_next_there() || pthread_mutex_trylock(&output.writing) != 0)
			return;
		take_next();
	} while (true);
}

int log_target_open(const char *text, enum log_format format)
{
	struct target target = { .format = format, .fd = -1 };
	struct target unused = { .fd = -1 };
	int error = find_target(&target, text);

	if (error < 0)
		return error;
	(void)pthread_mutex_lock(&next.lock);
	if (next.is_there)
		unused = next.target;
	next.target = target;
	next.is_there = true;
	(void)pthread_mutex_unlock(&next.lock);
	close_target(&unused);
	if (pthread_mutex_trylock(&output.writing) == 0) {
		take_next();
		give_back();
	}
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------------
 */

void log_target_begin(bool is_patient)
{
	(void)pthread_mutex_lock(&output.writing);
	take_next();
	if (!output.is_known)
		output.target.medium = stderr_medium();
	output.is_known = true;
	output.is_patient = is_patient;
}

void log_target_end(void)
{
	log_target_flush();
	give_back();
}

/* After a write that failed: whether to try again, for what a patient writer waits first. */
static bool may_go_on(int fd, int error)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };

	if (error == EINTR)
		return true;
	return error == EAGAIN && output.is_patient && poll(&poller, 1, POLL_MS) >= 0;
}

/* Returns how many bytes were written: all, unless there was an error. */
static size_t write_bytes(int fd, const char *bytes, size_t size)
{
	size_t done = 0;

	while (done < size && !atomic_load_explicit(&is_abandoned, memory_order_relaxed)) {
		ssize_t written = write(fd, bytes + done, size - done);

		if (written > 0)
			done += (size_t)written;
		else if (written == 0 || !may_go_on(fd, errno))
			break;
	}
	return done;
}

static uint64_t count_lines(const char *text, size_t size)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return lines;
}

/* Ends what is left of a line that was torn, so that the next one is whole. */
static bool mend(int fd)
{
	if (output.is_torn)
		output.is_torn = write_bytes(fd, "\n", 1) == 0;
	return !output.is_torn;
}

/* Writes lines in one piece, where the target takes it so. */
static void write_lines(int fd, const char *lines, size_t size)
{
	size_t done = mend(fd) ? write_bytes(fd, lines, size) : 0;

	/* What is given up is counted by who gave it up. */
	if (done == size || atomic_load_explicit(&is_abandoned, memory_order_relaxed))
		return;
	log_target_count_lost(count_lines(lines + done, size - done));
	if (done > 0)
		output.is_torn = lines[done - 1] != '\n';
}

static bool is_pipe(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
}

/* How many of the bytes are whole lines of at most `most` bytes together; one line at least. */
static size_t whole_lines(const char *text, size_t size, size_t most)
{
	const char *end = size <= most ? text + size - 1 : memrchr(text, '\n', most);

	if (!end)
		end = memchr(text, '\n', size);
	return (size_t)(end + 1 - text);
}

void log_target_flush(void)
{
	int fd = output.target.fd >= 0 ? output.target.fd : STDERR_FILENO;
	size_t most = output.used > PIPE_BUF && is_pipe(fd) ? PIPE_BUF : sizeof(output.text);
	size_t piece;

	for (size_t at = 0; at < output.used; at += piece) {
		piece = whole_lines(output.text + at, output.used - at, most);
		write_lines(fd, output.text + at, piece);
	}
	output.used = 0;
}

static void send_to_journal(const struct log_entry *entry)
{
	char identifier[] = "SYSLOG_IDENTIFIER=finback";
	char text[sizeof("MESSAGE=") + LOG_LINE_MAX];
	char priority[] = "PRIORITY=0";
	char storage[LOG_FIELDS_BYTES_MAX];
	struct words message = { .text = text, .size = sizeof(text) };
	struct words packed = { .text = storage, .size = sizeof(storage) };
	struct iovec fields[3 + LOG_FIELDS_MAX];
	size_t count = 3;

	WORDS_ADD(&message, "MESSAGE=");
	log_line_message(&message, entry);
	priority[strlen(priority) - 1] = (char)('0' + log_line_priority(entry->level));
	fields[0] = (struct iovec){ text, message.used };
	fields[1] = (struct iovec){ priority, strlen(priority) };
	fields[2] = (struct iovec){ identifier, strlen(identifier) };
	if (entry->kind != LOG_KIND_MESSAGE)
		count += log_session_fields(&packed, entry, fields + 3);
	if (sd_journal_sendv(fields, (int)count) < 0)
		log_target_count_lost(1);
}

bool log_target_has_room(void)
{
	return sizeof(output.text) - output.used >= LOG_RENDERED_MAX;
}

void log_target_put(const struct log_entry *entry)
{
	struct words words = { .text = output.text,
			       .size = sizeof(output.text),
			       .used = output.used };

	if (output.target.medium == LOG_MEDIUM_JOURNAL) {
		if (!atomic_load_explicit(&is_abandoned, memory_order_relaxed))
			send_to_journal(entry);
		return;
	}
	log_line_render(&words, entry, output.target.medium, output.target.format, &output.clock);
	output.used = words.used;
}
