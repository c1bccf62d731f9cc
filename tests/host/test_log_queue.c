/*
 * host/log with its thread: who logs never waits, no line is lost but those that are counted, and
 * they come in order and whole, whatever the target does.
 *
 * A target that takes nothing is a pipe that nobody reads.
 */
#include <finback/host/log.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/log_queue.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define WRITERS      4
#define WRITER_LINES 1500 /* of all writers together they fit into the queue */
#define ROTATIONS    30
#define FLOOD_LINES  20000 /* more than queue and pipe hold */
#define TIMEOUT_S    20
#define PIPE_BYTES   65536
#define NAP_S        0.004 /* how long the thread rests at least between two batches */

static const struct log_settings to_stderr = { .target = "stderr", .level = LOG_LEVEL_INFO };

static char directory[64], path[128];
static int real_stderr;

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/finback-log-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/log", directory);
	real_stderr = dup(STDERR_FILENO);
	return real_stderr < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char old[160];

	(void)state;
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	log_close();
	(void)log_open(&to_stderr);
	(void)unlink(path);
	for (int i = 0; i < ROTATIONS; i++) {
		(void)snprintf(old, sizeof(old), "%s.%d", path, i);
		(void)unlink(old);
	}
	return rmdir(directory);
}

static void open_file(void)
{
	struct log_settings settings = { .target = path, .level = LOG_LEVEL_INFO };

	assert_int_equal(log_open(&settings), 0);
}

/* stderr leads to `fd` from here on, which is closed. */
static void redirect_stderr(int fd)
{
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
	assert_int_equal(log_open(&to_stderr), 0);
}

static double seconds(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- what arrived -------------------------------------------------------------------------------
 */

/* Counts the lines, checks that each is whole, that those of one writer are in order, and adds up
 * what warnings say was dropped. */
struct reader {
	char line[LOG_LINE_MAX + 1];
	size_t length;
	int next[WRITERS]; /* the least line that may come of each writer */
	uint64_t lines;    /* of writers */
	_Atomic uint64_t dropped;
	unsigned warnings;
	unsigned sessions;
	unsigned odd; /* lines that are none of these */
};

static void read_line(struct reader *reader)
{
	const char *text = strstr(reader->line, "finback: ");
	uint64_t dropped;
	int writer, number;
	int end = 0;

	if (text && sscanf(text, "finback: writer %d line %d.%n", &writer, &number, &end) == 2 &&
	    text[end] == '\0' && writer < WRITERS && number >= reader->next[writer]) {
		reader->next[writer] = number + 1;
		reader->lines++;
	} else if (text && sscanf(text, "finback: warning: %" SCNu64 " lines of the log were drop",
				  &dropped) == 1) {
		reader->dropped += dropped;
		reader->warnings++;
	} else if (text && strstr(text, "finback: session 42 ") && strstr(text, " connects=1")) {
		reader->sessions++;
	} else {
		reader->odd++;
	}
}

static void read_bytes(struct reader *reader, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(reader->length < sizeof(reader->line));
		reader->line[reader->length++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		reader->line[reader->length - 1] = '\0';
		read_line(reader);
		reader->length = 0;
	}
}

static void read_file(struct reader *reader, const char *name)
{
	char bytes[4096];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t count;

	assert_true(fd >= 0);
	while ((count = read(fd, bytes, sizeof(bytes))) > 0)
		read_bytes(reader, bytes, (size_t)count);
	assert_int_equal(count, 0);
	assert_int_equal(reader->length, 0);
	(void)close(fd);
}

struct drain {
	struct reader reader;
	pthread_t thread;
	int fd;
	unsigned pause_us; /* after each read, which is small then */
};

static void *drain(void *argument)
{
	struct drain *drain = argument;
	char bytes[4096];
	ssize_t count;

	while ((count = read(drain->fd, bytes, drain->pause_us ? 200 : sizeof(bytes))) > 0) {
		read_bytes(&drain->reader, bytes, (size_t)count);
		if (drain->pause_us)
			(void)usleep(drain->pause_us);
	}
	(void)close(drain->fd);
	return NULL;
}

static void start_drain(struct drain *drained, int fd)
{
	drained->fd = fd;
	assert_int_equal(pthread_create(&drained->thread, NULL, drain, drained), 0);
}

/* When all that lead there is closed. */
static void end_drain(struct drain *drained)
{
	assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(pthread_join(drained->thread, NULL), 0);
}

/* ---- those who log ------------------------------------------------------------------------------
 */

static void say(int writer, int number)
{
	log_say(LOG_LEVEL_INFO, "writer %d line %d.", writer, number);
}

static void *write_lines(void *argument)
{
	int writer = *(const int *)argument;

	for (int i = 0; i < WRITER_LINES; i++)
		say(writer, i);
	return NULL;
}

struct writers {
	pthread_t threads[WRITERS];
	int numbers[WRITERS];
};

static void start_writers(struct writers *writers)
{
	for (int i = 0; i < WRITERS; i++) {
		writers->numbers[i] = i;
		assert_int_equal(pthread_create(&writers->threads[i], NULL, write_lines,
						&writers->numbers[i]),
				 0);
	}
}

static void end_writers(struct writers *writers)
{
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(writers->threads[i], NULL), 0);
}

static struct log_session sample_session(void)
{
	return (struct log_session){
		.id = 42,
		.listener = "web",
		.pool = "web",
		.server_name = "127.0.0.1:9000",
		.ending = ENDING_COMPLETE,
		.first_closer = "client",
		.connects = 1,
	};
}

/* ---- the tests ----------------------------------------------------------------------------------
 */

static void test_every_line_comes_in_order(void **state)
{
	struct reader reader = { .length = 0 };
	uint64_t dropped = log_dropped();
	struct writers writers;

	(void)state;
	open_file();
	assert_int_equal(log_start(), 0);
	start_writers(&writers);
	end_writers(&writers);
	log_stop();
	read_file(&reader, path);
	assert_int_equal(reader.lines, WRITERS * WRITER_LINES);
	assert_int_equal(reader.odd + reader.warnings, 0);
	assert_int_equal(log_dropped(), dropped);
}

static void test_lines_come_without_being_asked_for(void **state)
{
	struct reader reader = { .length = 0 };
	double start = seconds();

	(void)state;
	open_file();
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < 3; i++) { /* from sleep, from a nap, and from sleep again */
		say(0, i);
		while (reader.lines < (uint64_t)i + 1) {
			assert_true(seconds() - start < TIMEOUT_S);
			reader = (struct reader){ .length = 0 };
			read_file(&reader, path);
		}
		(void)usleep(i == 1 ? 20000 : 0);
	}
	log_stop();
}

static void test_it_starts_and_stops_again(void **state)
{
	struct reader reader = { .length = 0 };

	(void)state;
	log_stop(); /* nothing to stop */
	open_file();
	for (int i = 0; i < 4; i++) {
		say(0, 2 * i); /* written at once, behind what was queued */
		assert_int_equal(log_start(), 0);
		assert_int_equal(log_start(), -EBUSY);
		say(0, 2 * i + 1);
		log_stop();
		log_stop();
	}
	read_file(&reader, path);
	assert_int_equal(reader.lines, 8);
	assert_int_equal(reader.odd, 0);
}

/* A line of /proc/PID/task/TID/status of the log's thread, by its key. */
static bool find_status(const char *key, char *ret_line, size_t size)
{
	DIR *tasks = opendir("/proc/self/task");
	bool is_found = false;

	assert_non_null(tasks);
	for (struct dirent *task; !is_found && (task = readdir(tasks));) {
		bool is_it = false;
		char name[300];
		FILE *file;

		(void)snprintf(name, sizeof(name), "/proc/self/task/%s/status", task->d_name);
		file = fopen(name, "re");
		while (file && !is_found && fgets(ret_line, (int)size, file)) {
			is_it = is_it || strcmp(ret_line, "Name:\tfinback-log\n") == 0;
			is_found = is_it && strncmp(ret_line, key, strlen(key)) == 0;
		}
		if (file)
			(void)fclose(file);
	}
	(void)closedir(tasks);
	return is_found;
}

/* signal(7): all are blocked but the two that nobody can block; the two that are glibc's own may be
 * either. */
static void test_its_thread_takes_no_signal(void **state)
{
	unsigned long long blocked;
	char line[256];

	(void)state;
	assert_int_equal(log_start(), 0);
	assert_true(find_status("SigBlk:", line, sizeof(line)));
	blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
	assert_true((blocked | 0x180000000) == 0xfffffffffffbfeff);
	log_stop();
	assert_false(find_status("SigBlk:", line, sizeof(line)));
}

static long count_sleeps(void)
{
	char line[256];

	assert_true(find_status("voluntary_ctxt_switches:", line, sizeof(line)));
	return strtol(line + strlen("voluntary_ctxt_switches:"), NULL, 10);
}

static void test_it_is_not_woken_for_each_line(void **state)
{
	double start = seconds();
	long sleeps;

	(void)state;
	open_file();
	assert_int_equal(log_start(), 0);
	sleeps = count_sleeps();
	for (int i = 0; i < 500; i++) {
		say(0, i);
		(void)usleep(100);
	}
	sleeps = count_sleeps() - sleeps;
	/* Each nap may be followed by a sleep until the next line. */
	assert_in_range(sleeps, 1, 20 + (long)(2 * (seconds() - start) / NAP_S));
	log_stop();
}

static void test_closing_writes_what_is_queued(void **state)
{
	struct reader reader = { .length = 0 };
	struct log_session session = sample_session();

	(void)state;
	open_file();
	assert_int_equal(log_start(), 0);
	say(0, 0);
	log_session(&session);
	say(0, 1);
	log_close();
	read_file(&reader, path);
	assert_int_equal(reader.lines, 2);
	assert_int_equal(reader.sessions, 1);
	assert_int_equal(reader.odd, 0);
}

/* The queue goes round many times, with entries of several sizes. Where the machine is busy some
 * are dropped. */
static void test_the_queue_goes_round(void **state)
{
	struct log_session session = sample_session();
	struct reader reader = { .length = 0 };
	uint64_t dropped = log_dropped();
	int64_t bytes = 0;
	int lines = 0;

	(void)state;
	open_file();
	assert_int_equal(log_start(), 0);
	for (; bytes < 6 * (int64_t)LOG_QUEUE_BYTES; lines++) {
		session.detail = lines % 2 == 0 ? "a detail" : NULL;
		log_session(&session);
		say(0, lines);
		bytes += 400;
		if (lines % 500 == 0) /* so many wait at a time that some lie at the end */
			(void)usleep(10000);
	}
	log_stop();
	read_file(&reader, path);
	assert_int_equal(reader.odd, 0);
	assert_int_equal(reader.lines + reader.sessions + log_dropped() - dropped,
			 2 * (uint64_t)lines);
}

static void test_a_full_queue_drops_and_says_so(void **state)
{
	static struct drain drained;
	uint64_t dropped = log_dropped();
	double start = seconds();
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	redirect_stderr(ends[1]);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < FLOOD_LINES; i++) {
		say(0, i);
		log_session(&(struct log_session){ .id = 42, .connects = 1 });
	}
	assert_true(seconds() - start < TIMEOUT_S); /* it never waited for a reader */
	assert_true(log_dropped() > dropped);
	start = seconds();
	start_drain(&drained, ends[0]);
	log_stop();
	end_drain(&drained);
	dropped = log_dropped() - dropped;
	assert_int_equal(drained.reader.lines + drained.reader.sessions + dropped, 2 * FLOOD_LINES);
	assert_int_equal(drained.reader.dropped, dropped);
	assert_int_equal(drained.reader.odd, 0);
	assert_in_range(drained.reader.warnings, 1, 2 + (unsigned)(seconds() - start));
}

/* Again and again the queue is full for a moment. */
static void test_it_is_said_once_a_second(void **state)
{
	static struct drain drained;
	uint64_t dropped = log_dropped();
	double start = seconds();
	int ends[2];
	int lines = 0;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	redirect_stderr(ends[1]);
	drained.pause_us = 100;
	start_drain(&drained, ends[0]);
	assert_int_equal(log_start(), 0);
	while (seconds() - start < 2.5) {
		say(0, lines++);
		if (lines % 50 == 0)
			(void)usleep(100);
	}
	/* The last are told without a further line being logged. */
	while (log_dropped() == dropped ||
	       atomic_load(&drained.reader.dropped) < log_dropped() - dropped) {
		assert_true(seconds() - start < TIMEOUT_S);
		(void)usleep(10000);
	}
	log_stop();
	end_drain(&drained);
	assert_int_equal(drained.reader.dropped, log_dropped() - dropped);
	assert_int_equal(drained.reader.lines + drained.reader.dropped, lines);
	assert_in_range(drained.reader.warnings, 1, 2 + (unsigned)(seconds() - start));
}

static void wait_for_child(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* In a child, as it leaves a thread behind. Returns its exit status. */
static int stop_before_a_blocked_pipe(void)
{
	uint64_t dropped = log_dropped();
	double start = seconds(), took;
	int ends[2];
	int lines = 0;

	(void)alarm(TIMEOUT_S);
	if (pipe(ends) < 0 || dup2(ends[1], STDERR_FILENO) < 0 || log_open(&to_stderr) < 0 ||
	    log_start() < 0)
		return 1;
	for (; lines < 5000; lines++) /* more than the pipe holds, less than the queue */
		say(0, lines);
	if (seconds() - start > 1.9 || log_dropped() != dropped)
		return 2;
	start = seconds();
	log_stop();
	took = seconds() - start;
	if (took < 1.9 || took > 4)
		return 3;
	if (log_dropped() == dropped || log_dropped() > dropped + 5000)
		return 4;
	dropped = log_dropped();
	say(0, lines); /* nobody waits any more */
	log_stop();
	if (log_open(&to_stderr) < 0 || log_start() != -EBUSY)
		return 5;
	log_close();
	return seconds() - start < took + 1 && log_dropped() == dropped + 1 ? 0 : 6;
}

static void test_stopping_does_not_wait_for_ever(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(stop_before_a_blocked_pipe());
	wait_for_child(child);
}

/* The same, and then somebody reads: the thread comes back and ends, and writes no more. */
static int resume_after_it_was_given_up(void)
{
	static char bytes[PIPE_BYTES];
	uint64_t dropped;
	size_t total = 0;
	ssize_t count;
	int ends[2];

	(void)alarm(TIMEOUT_S);
	if (pipe(ends) < 0 || dup2(ends[1], STDERR_FILENO) < 0 || log_open(&to_stderr) < 0 ||
	    log_start() < 0 || fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) != PIPE_BYTES)
		return 1;
	(void)close(ends[1]);
	for (int i = 0; i < 5000; i++)
		say(0, i);
	log_stop();
	total += (size_t)read(ends[0], bytes, sizeof(bytes));
	(void)usleep(200000);
	dropped = log_dropped();
	say(0, 5000);
	(void)close(STDERR_FILENO); /* else nothing ends */
	while ((count = read(ends[0], bytes, sizeof(bytes))) > 0)
		total += (size_t)count;
	/* What was in the pipe, and the write that waited. */
	return total <= PIPE_BYTES + PIPE_BUF && log_dropped() == dropped + 1 ? 0 : 2;
}

static void test_a_thread_that_was_given_up_ends(void **state)
{
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(resume_after_it_was_given_up());
	wait_for_child(child);
}

/* A stream socket that takes a part of a write and then says EAGAIN. */
static void test_partial_writes_go_on(void **state)
{
	static struct drain drained;
	uint64_t dropped = log_dropped();
	int small = 4096;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	redirect_stderr(ends[1]);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < WRITER_LINES; i++)
		say(0, i);
	(void)usleep(50000);
	drained.pause_us = 100;
	start_drain(&drained, ends[0]);
	log_stop();
	end_drain(&drained);
	assert_int_equal(drained.reader.lines, WRITER_LINES);
	assert_int_equal(drained.reader.odd, 0);
	assert_int_equal(log_dropped(), dropped);
}

/* Each packet is a write(2), or what of it a pipe takes in one piece. Returns how many lines came;
 * each packet has to end with one. */
static int count_packets(int fd, int lines)
{
	static char bytes[128 * 1024];
	int packets = 0;

	for (int seen = 0; seen < lines; packets++) {
		ssize_t count = read(fd, bytes, sizeof(bytes));

		assert_true(count > 0);
		assert_int_equal(bytes[count - 1], '\n');
		for (ssize_t i = 0; i < count; i++)
			seen += bytes[i] == '\n';
	}
	return packets;
}

static void test_many_lines_are_one_write(void **state)
{
	int packets;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	redirect_stderr(ends[1]);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < WRITER_LINES; i++)
		say(0, i);
	packets = count_packets(ends[0], WRITER_LINES);
	log_stop();
	assert_in_range(packets, 1, WRITER_LINES / 5);
	(void)close(ends[0]);
}

/* pipe(7): of several who write, each keeps its lines whole up to PIPE_BUF. */
static void test_a_pipe_gets_whole_lines(void **state)
{
	int packets;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_DIRECT), 0);
	redirect_stderr(ends[1]);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < WRITER_LINES; i++)
		say(0, i);
	packets = count_packets(ends[0], WRITER_LINES);
	log_stop();
	assert_in_range(packets, WRITER_LINES * 20 / PIPE_BUF, WRITER_LINES / 5);
	(void)close(ends[0]);
}

static void test_lines_that_fail_are_counted(void **state)
{
	struct log_settings settings = { .target = "/dev/full", .level = LOG_LEVEL_INFO };
	uint64_t dropped = log_dropped();

	(void)state;
	assert_int_equal(log_open(&settings), 0);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < 100; i++)
		say(0, i);
	log_stop();
	assert_int_equal(log_dropped(), dropped + 100);
}

/* In a child with a limit on a file's size: a line that was torn does not take the next with it. */
static int tear_a_line(void)
{
	struct rlimit limit = { 50, RLIM_INFINITY };
	uint64_t dropped = log_dropped();

	(void)signal(SIGXFSZ, SIG_IGN);
	open_file();
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || log_start() < 0)
		return 1;
	log_say(LOG_LEVEL_INFO, "a line that is longer than fifty bytes with its time");
	for (int i = 0; i < 1000 && log_dropped() == dropped; i++)
		(void)usleep(10000);
	limit.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	say(0, 0);
	say(0, 1);
	log_stop();
	return log_dropped() == dropped + 1 ? 0 : 2;
}

static void test_a_torn_line_stays_alone(void **state)
{
	struct reader reader = { .length = 0 };
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(tear_a_line());
	wait_for_child(child);
	read_file(&reader, path);
	assert_int_equal(reader.lines, 2);
	assert_int_equal(reader.odd, 1);
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_rotation_loses_nothing(void **state)
{
	uint64_t dropped = log_dropped();
	uint64_t lines = 0;
	unsigned odd = 0;
	struct writers writers;
	char rotated[160];
	int before;

	(void)state;
	open_file();
	before = count_descriptors();
	assert_int_equal(log_start(), 0);
	start_writers(&writers);
	for (int i = 0; i < ROTATIONS; i++) {
		(void)snprintf(rotated, sizeof(rotated), "%s.%d", path, i);
		assert_int_equal(rename(path, rotated), 0);
		open_file();
		(void)usleep(500);
	}
	end_writers(&writers);
	log_stop();
	assert_int_equal(count_descriptors(), before);
	for (int i = 0; i <= ROTATIONS; i++) {
		struct reader reader = { .length = 0 };

		(void)snprintf(rotated, sizeof(rotated), "%s.%d", path, i);
		read_file(&reader, i < ROTATIONS ? rotated : path);
		lines += reader.lines;
		odd += reader.odd;
	}
	assert_int_equal(lines, WRITERS * WRITER_LINES);
	assert_int_equal(odd, 0);
	assert_int_equal(log_dropped(), dropped);
}

/* A reload may take the log away from a pipe that nobody reads: it does not wait for it. */
static void test_another_target_while_one_is_blocked(void **state)
{
	static struct drain drained;
	struct reader reader = { .length = 0 };
	uint64_t dropped = log_dropped();
	double start;
	int before;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	redirect_stderr(ends[1]);
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < 5000; i++)
		say(0, i);
	(void)usleep(100000);
	before = count_descriptors();
	start = seconds();
	open_file();
	open_file(); /* the one before was never written to */
	assert_true(seconds() - start < 1);
	assert_int_equal(count_descriptors(), before + 1);
	say(0, 5000);
	start_drain(&drained, ends[0]);
	log_stop();
	end_drain(&drained);
	read_file(&reader, path);
	assert_true(drained.reader.lines > 0 && reader.lines > 0);
	assert_int_equal(drained.reader.lines + reader.lines, 5001);
	assert_int_equal(drained.reader.odd + reader.odd, 0);
	assert_int_equal(log_dropped(), dropped);
}

/* Makes a pipe full by way of a descriptor of its own. */
static void fill_pipe(const char *name)
{
	static const char filler[PIPE_BUF];
	int fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	while (write(fd, filler, sizeof(filler)) > 0)
		continue;
	assert_int_equal(errno, EAGAIN);
	(void)close(fd);
}

/* The old target is closed as soon as it takes the line that is being written: a reader of it comes
 * to its end, though nothing more is logged. */
static void test_the_old_target_is_let_go(void **state)
{
	struct log_settings settings = { .target = path, .level = LOG_LEVEL_INFO };
	uint64_t dropped = log_dropped();
	static char bytes[PIPE_BYTES];
	char fifo[160];
	ssize_t count;
	int reader;

	(void)state;
	(void)snprintf(fifo, sizeof(fifo), "%s.0", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
	settings.target = fifo;
	assert_int_equal(log_open(&settings), 0);
	fill_pipe(fifo);
	assert_int_equal(log_start(), 0);
	say(0, 0);
	(void)usleep(50000);
	open_file();
	(void)alarm(TIMEOUT_S);
	while ((count = read(reader, bytes, sizeof(bytes))) > 0)
		continue;
	(void)alarm(0);
	assert_int_equal(count, 0);
	log_stop();
	(void)close(reader);
	assert_int_equal(log_dropped(), dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_line_comes_in_order),
		cmocka_unit_test(test_lines_come_without_being_asked_for),
		cmocka_unit_test(test_it_starts_and_stops_again),
		cmocka_unit_test(test_its_thread_takes_no_signal),
		cmocka_unit_test(test_it_is_not_woken_for_each_line),
		cmocka_unit_test(test_closing_writes_what_is_queued),
		cmocka_unit_test(test_the_queue_goes_round),
		cmocka_unit_test(test_a_full_queue_drops_and_says_so),
		cmocka_unit_test(test_it_is_said_once_a_second),
		cmocka_unit_test(test_stopping_does_not_wait_for_ever),
		cmocka_unit_test(test_a_thread_that_was_given_up_ends),
		cmocka_unit_test(test_partial_writes_go_on),
		cmocka_unit_test(test_many_lines_are_one_write),
		cmocka_unit_test(test_a_pipe_gets_whole_lines),
		cmocka_unit_test(test_lines_that_fail_are_counted),
		cmocka_unit_test(test_a_torn_line_stays_alone),
		cmocka_unit_test(test_rotation_loses_nothing),
		cmocka_unit_test(test_another_target_while_one_is_blocked),
		cmocka_unit_test(test_the_old_target_is_let_go),
	};
	struct CMUnitTest with_directory[sizeof(tests) / sizeof(*tests)];

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		with_directory[i] = tests[i];
		with_directory[i].setup_func = set_up;
		with_directory[i].teardown_func = tear_down;
	}
	(void)unsetenv("JOURNAL_STREAM");
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(with_directory, NULL, NULL);
}
