/*
 * host/log: what a line looks like on stderr, in a file and in the journal; what is left out, cut
 * and counted; and that a file can be changed for another while threads write to it.
 *
 * The journal is a datagram socket of the test's own in a mount namespace of a child's own, so that
 * what libsystemd really sends is looked at, on a machine without a journal too.
 */
#include <finback/host/log.h>
#include <finback/io/address.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define TIME_PATTERN \
	"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} "
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define NAMESPACE_NONE 77

#define WRITERS      4
#define WRITER_LINES 300
#define REOPENS      40

static const struct log_settings to_stderr = { .target = "stderr",
					       .level = LOG_LEVEL_INFO,
					       .sessions = LOG_SESSIONS_ALL };

/* What was written to stderr between capture() and captured(). */
static int capture_fd, real_stderr;
static char output[64 * 1024];

static void capture(void)
{
	capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	real_stderr = dup(STDERR_FILENO);
	assert_true(capture_fd >= 0 && real_stderr >= 0);
	assert_int_equal(fcntl(capture_fd, F_SETFL, O_APPEND), 0);
	assert_int_equal(dup2(capture_fd, STDERR_FILENO), STDERR_FILENO);
}

static const char *captured(void)
{
	ssize_t length = pread(capture_fd, output, sizeof(output) - 1, 0);

	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(capture_fd);
	assert_true(length >= 0);
	output[length] = '\0';
	return output;
}

static char directory[64], path[128];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/finback-log-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/log", directory);
	return 0;
}

static int remove_directory(void **state)
{
	char old[160];

	(void)state;
	log_close();
	(void)log_open(&to_stderr);
	(void)unlink(path);
	for (int i = 0; i <= REOPENS; i++) {
		(void)snprintf(old, sizeof(old), "%s.%d", path, i);
		(void)unlink(old);
	}
	return rmdir(directory);
}

static const char *file_text(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	assert_true(fd >= 0);
	length = read(fd, output, sizeof(output) - 1);
	(void)close(fd);
	assert_true(length >= 0);
	output[length] = '\0';
	return output;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	int r;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	r = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (r != 0)
		fail_msg("\"%s\" does not match \"%s\"", text, pattern);
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* Runs first: nothing was opened yet. */
static void test_goes_to_stderr_before_it_is_opened(void **state)
{
	(void)state;
	capture();
	log_say(LOG_LEVEL_INFO, "ready: %d", 1);
	log_say(LOG_LEVEL_DEBUG, "not seen");
	assert_string_equal(captured(), "finback: ready: 1\n");
	assert_true(log_wants(LOG_LEVEL_INFO));
	assert_false(log_wants(LOG_LEVEL_DEBUG));
	assert_int_equal(log_dropped(), 0);
}

static void test_says_the_level_and_leaves_out_what_is_below(void **state)
{
	struct log_settings settings = to_stderr;

	(void)state;
	capture();
	for (settings.level = 0; settings.level < LOG_LEVELS; settings.level++) {
		assert_int_equal(log_open(&settings), 0);
		for (enum log_level level = 0; level < LOG_LEVELS; level++) {
			assert_int_equal(log_wants(level), level <= settings.level);
			log_say(level, "%d", (int)settings.level);
		}
	}
	assert_string_equal(captured(), "finback: error: 0\n"
					"finback: error: 1\nfinback: warning: 1\n"
					"finback: error: 2\nfinback: warning: 2\nfinback: 2\n"
					"finback: error: 3\nfinback: warning: 3\nfinback: 3\n"
					"finback: debug: 3\n");
	assert_int_equal(log_open(&to_stderr), 0);
}

static void test_a_message_stays_one_line(void **state)
{
	(void)state;
	capture();
	log_say(LOG_LEVEL_INFO, "%s", "a\nfinback: forged\r\t\x1b[2J\x7f \xc3\xa4");
	log_say(LOG_LEVEL_INFO, "%s", "");
	assert_string_equal(captured(), "finback: a?finback: forged???[2J? \xc3\xa4\nfinback: \n");
}

static void test_a_long_line_is_cut(void **state)
{
	static const size_t prefix = sizeof("finback: ") - 1;
	char message[3 * LOG_LINE_MAX];
	const char *text;

	(void)state;
	memset(message, 'm', sizeof(message));
	message[LOG_LINE_MAX - prefix - 1] = '\0';
	capture();
	log_say(LOG_LEVEL_INFO, "%s", message);
	text = captured();
	assert_int_equal(strlen(text), LOG_LINE_MAX);
	assert_memory_equal(text + LOG_LINE_MAX - 4, "mmm\n", 4);

	for (size_t length = LOG_LINE_MAX - prefix; length < sizeof(message); length *= 2) {
		memset(message, 'm', sizeof(message));
		message[length] = '\0';
		capture();
		log_say(LOG_LEVEL_INFO, "%s", message);
		text = captured();
		assert_int_equal(strlen(text), LOG_LINE_MAX);
		assert_memory_equal(text + LOG_LINE_MAX - 5, "m...\n", 5);
	}
}

/* A datagram socket shows where one write(2) ends and the next begins. */
static void test_a_line_is_one_write(void **state)
{
	int pair[2], saved = dup(STDERR_FILENO);
	char text[LOG_LINE_MAX + 1];
	ssize_t length;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(dup2(pair[0], STDERR_FILENO), STDERR_FILENO);
	log_say(LOG_LEVEL_ERROR, "one");
	log_say(LOG_LEVEL_ERROR, "two");
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	length = recv(pair[1], text, sizeof(text), MSG_DONTWAIT);
	assert_int_equal(length, strlen("finback: error: one\n"));
	assert_memory_equal(text, "finback: error: one\n", (size_t)length);
	length = recv(pair[1], text, sizeof(text), MSG_DONTWAIT);
	assert_int_equal(length, strlen("finback: error: two\n"));
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(saved);
}

static void test_errno_is_left_alone(void **state)
{
	uint64_t lost = log_dropped();
	int saved = dup(STDERR_FILENO);

	(void)state;
	(void)close(STDERR_FILENO);
	errno = ENOTCONN;
	log_say(LOG_LEVEL_ERROR, "nobody reads this");
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	assert_int_equal(log_dropped(), lost + 1);
}

static void test_counts_lines_that_fail(void **state)
{
	struct log_settings settings = { .target = "/dev/full",
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	uint64_t lost = log_dropped();

	(void)state;
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_INFO, "one");
	log_say(LOG_LEVEL_DEBUG, "not wanted, so not lost");
	log_say(LOG_LEVEL_INFO, "two");
	assert_int_equal(log_dropped(), lost + 2);
	log_close();
	assert_int_equal(log_dropped(), lost + 2);
}

/* A limit on the file's size makes the kernel take a part of a line. */
static void test_counts_a_short_write(void **state)
{
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit limit = { 50, 50 };
		uint64_t lost = log_dropped();

		(void)signal(SIGXFSZ, SIG_IGN);
		if (log_open(&settings) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		log_say(LOG_LEVEL_INFO, "a line that is longer than fifty bytes with its time");
		_exit(log_dropped() == lost + 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(strlen(file_text(path)), 50);
}

static void append(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static void test_a_file_gets_the_time_before_the_line(void **state)
{
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	struct stat stat;

	(void)state;
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_WARNING, "first");
	assert_matches(file_text(path), TIME_PATTERN "finback: warning: first\n$");
	log_say(LOG_LEVEL_INFO, "second");
	log_close();
	capture();
	log_say(LOG_LEVEL_INFO, "third");
	assert_string_equal(captured(), "finback: third\n");
	assert_int_equal(count_lines(file_text(path)), 2);
	assert_int_equal(lstat(path, &stat), 0);
	assert_int_equal(stat.st_mode & 07137, 0);

	/* and what is there stays there, somebody else's lines too */
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_INFO, "fourth");
	append(path, "not ours\n");
	log_say(LOG_LEVEL_INFO, "sixth");
	assert_int_equal(count_lines(file_text(path)), 5);
	assert_non_null(strstr(output, "\nnot ours\n"));
}

static void check_time(const char *zone, const char *pattern)
{
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };

	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
	(void)unlink(path);
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_INFO, "now");
	assert_matches(file_text(path), pattern);
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void test_the_time_is_local(void **state)
{
	(void)state;
	check_time("UTC0", "\\+00:00 finback");
	check_time("HERE-5:45", "\\+05:45 finback");
	check_time("HERE+3:30", "-03:30 finback");
}

/* Whether this process has the file open. */
static bool is_held(const char *name)
{
	struct stat wanted, stat;

	assert_int_equal(lstat(name, &wanted), 0);
	for (int fd = 0; fd < 256; fd++) {
		if (fstat(fd, &stat) == 0 && stat.st_dev == wanted.st_dev &&
		    stat.st_ino == wanted.st_ino)
			return true;
	}
	return false;
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_a_rotated_file_is_let_go(void **state)
{
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	char rotated[160];
	int before;

	(void)state;
	(void)snprintf(rotated, sizeof(rotated), "%s.0", path);
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_INFO, "old");
	assert_int_equal(rename(path, rotated), 0);
	log_say(LOG_LEVEL_INFO, "still old");
	before = count_descriptors();
	assert_int_equal(log_open(&settings), 0);
	assert_int_equal(count_descriptors(), before);
	assert_true(is_held(path));
	assert_false(is_held(rotated));
	log_say(LOG_LEVEL_INFO, "new");
	assert_int_equal(count_lines(file_text(rotated)), 2);
	assert_matches(file_text(path), "finback: new\n$");

	/* from a file to stderr: nothing more gets into the file */
	assert_int_equal(log_open(&to_stderr), 0);
	capture();
	log_say(LOG_LEVEL_INFO, "seen");
	assert_string_equal(captured(), "finback: seen\n");
	assert_int_equal(count_lines(file_text(path)), 1);
	assert_false(is_held(path));
}

static void test_a_target_that_fails_leaves_the_old_one(void **state)
{
	char missing[160];
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_WARNING,
					 .sessions = LOG_SESSIONS_NONE };
	struct log_settings bad = { .target = missing,
				    .level = LOG_LEVEL_DEBUG,
				    .sessions = LOG_SESSIONS_ALL };

	(void)state;
	(void)snprintf(missing, sizeof(missing), "%s/none/log", directory);
	assert_int_equal(log_open(&settings), 0);
	assert_int_equal(log_open(&bad), -ENOENT);
	bad.target = directory;
	assert_int_equal(log_open(&bad), -EISDIR);
	bad.target = "relative";
	assert_int_equal(log_open(&bad), -EINVAL);
	bad.target = "";
	assert_int_equal(log_open(&bad), -EINVAL);
	assert_false(log_wants(LOG_LEVEL_INFO));
	log_say(LOG_LEVEL_WARNING, "kept");
	assert_matches(file_text(path), "finback: warning: kept\n$");
}

static void test_limited_lines_pass_once_a_second(void **state)
{
	static struct log_limit limit;
	int64_t start_us = INT64_C(987654321000);

	(void)state;
	capture();
	log_say_limited(&limit, start_us, LOG_LEVEL_DEBUG, "not wanted");
	log_say_limited(&limit, start_us, LOG_LEVEL_WARNING, "a");
	log_say_limited(&limit, start_us, LOG_LEVEL_WARNING, "b");
	log_say_limited(&limit, start_us + 999999, LOG_LEVEL_WARNING, "c");
	log_say_limited(&limit, start_us + 1000000, LOG_LEVEL_WARNING, "d");
	log_say_limited(&limit, start_us + 2000000, LOG_LEVEL_WARNING, "e");
	log_say_limited(&limit, start_us + 2000001, LOG_LEVEL_WARNING, "f");
	log_say_limited(&limit, start_us + 9000000, LOG_LEVEL_WARNING, "g %s", "h");
	assert_string_equal(captured(), "finback: warning: a\n"
					"finback: warning: d (2 more like it left out)\n"
					"finback: warning: e\n"
					"finback: warning: g h (1 more like it left out)\n");
}

static struct endpoint ipv4(unsigned a, unsigned d, uint16_t port)
{
	return (struct endpoint){ .family = ENDPOINT_IPV4,
				  .port = port,
				  .ip = { (uint8_t)a, 0, 0, (uint8_t)d } };
}

static struct log_session sample_session(void)
{
	return (struct log_session){
		.id = 42,
		.listener = "web",
		.pool = "web",
		.server_name = "127.0.0.1:9000",
		.peers = { ipv4(127, 1, 5000), ipv4(127, 1, 9000) },
		.locals = { ipv4(127, 1, 8080), ipv4(127, 1, 40000) },
		.ending = ENDING_COMPLETE,
		.first_closer = "client",
		.bytes = { 12, 34 },
		.flow_ms = { 1, 2 },
		.half_closed_ms = 1,
		.connect_ms = 0,
		.total_ms = 3,
		.connects = 1,
	};
}

#define SAMPLE_LINE                                                                              \
	"session 42 complete: listener=web pool=web server_name=127.0.0.1:9000 "                 \
	"client=127.0.0.1:5000 client_local=127.0.0.1:8080 server=127.0.0.1:9000 "               \
	"server_local=127.0.0.1:40000 ending=complete first_closer=client bytes_from_client=12 " \
	"bytes_from_server=34 ms_from_client=1 ms_from_server=2 half_closed_ms=1 connect_ms=0 "  \
	"total_ms=3 connects=1"

static void test_a_session_is_one_line(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	capture();
	log_session(&session);
	assert_string_equal(captured(), "finback: " SAMPLE_LINE "\n");
}

static void test_a_session_without_a_server(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	session.ending = ENDING_CONNECT_REFUSED;
	session.first_closer = "finback";
	session.server_name = NULL;
	session.peers[CLIENT].family = ENDPOINT_UNIX;
	session.locals[CLIENT].family = ENDPOINT_UNIX;
	session.peers[SERVER].family = ENDPOINT_NONE;
	session.locals[SERVER].family = ENDPOINT_NONE;
	session.detail = "Connection refused";
	session.bytes[SERVER] = UINT64_MAX;
	capture();
	log_session(&session);
	assert_string_equal(captured(),
			    "finback: session 42 connect_refused: listener=web pool=web "
			    "server_name=- client=unix client_local=unix server=- server_local=- "
			    "ending=connect_refused first_closer=finback bytes_from_client=12 "
			    "bytes_from_server=18446744073709551615 ms_from_client=1 "
			    "ms_from_server=2 half_closed_ms=1 connect_ms=0 total_ms=3 connects=1 "
			    "detail=\"Connection refused\"\n");
}

static void test_a_running_session_has_a_state(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	session.ending = ENDING_NONE;
	session.state = "half_closed_client";
	session.half_closed_ms = 7000;
	capture();
	log_session_running(&session);
	session.state = NULL;
	session.first_closer = NULL;
	session.connects = 0;
	log_session_running(&session);
	assert_string_equal(
		captured(),
		"finback: session 42 half_closed_client: listener=web pool=web "
		"server_name=127.0.0.1:9000 client=127.0.0.1:5000 client_local=127.0.0.1:8080 "
		"server=127.0.0.1:9000 server_local=127.0.0.1:40000 state=half_closed_client "
		"first_closer=client bytes_from_client=12 bytes_from_server=34 ms_from_client=1 "
		"ms_from_server=2 half_closed_ms=7000 connect_ms=0 total_ms=3 connects=1\n"
		"finback: session 42 -: listener=web pool=web "
		"server_name=127.0.0.1:9000 client=127.0.0.1:5000 client_local=127.0.0.1:8080 "
		"server=127.0.0.1:9000 server_local=127.0.0.1:40000 state=- "
		"first_closer=- bytes_from_client=12 bytes_from_server=34 ms_from_client=1 "
		"ms_from_server=2 half_closed_ms=7000 connect_ms=0 total_ms=3 connects=0\n");
}

static void test_a_dead_peer_has_its_detector(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	session.ending = ENDING_SERVER_DEAD;
	session.detector = "user_timeout";
	session.detail = "Connection timed out";
	capture();
	log_session(&session);
	assert_non_null(strstr(captured(), " connects=1 detector=user_timeout "
					   "detail=\"Connection timed out\"\n"));
}

static void test_addresses_are_written_as_everywhere(void **state)
{
	struct endpoint odd[] = {
		{ .family = ENDPOINT_IPV4 },
		{ .family = ENDPOINT_IPV4, .port = 65535, .ip = { 255, 255, 255, 255 } },
		{ .family = ENDPOINT_IPV4, .port = 10, .ip = { 100, 9, 90, 19 } },
		{ .family = ENDPOINT_IPV6 },
		{ .family = ENDPOINT_IPV6, .port = 80, .ip = { 0x20, 1, [15] = 0xff } },
		{ .family = ENDPOINT_UNIX },
	};
	struct log_session session = sample_session();
	char text[ADDRESS_TEXT_MAX];
	char expected[ADDRESS_TEXT_MAX + 16];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		session.peers[SERVER] = odd[i];
		(void)snprintf(expected, sizeof(expected), " server=%s ",
			       endpoint_format(&odd[i], text, sizeof(text)));
		capture();
		log_session(&session);
		assert_non_null(strstr(captured(), expected));
	}
}

static void test_values_are_quoted_where_they_must_be(void **state)
{
	struct log_session session = sample_session();
	const char *text;

	(void)state;
	session.listener = "two words";
	session.pool = "a\"b\\c";
	session.server_name = "k=v";
	session.first_closer = "";
	session.detail = "word";
	capture();
	log_session(&session);
	text = captured();
	assert_non_null(strstr(text, " listener=\"two words\" pool=\"a\\\"b\\\\c\" "));
	assert_non_null(strstr(text, " server_name=\"k=v\" "));
	assert_non_null(strstr(text, " first_closer=\"\" "));
	assert_non_null(strstr(text, " detail=\"word\"\n"));
}

static void test_a_session_line_has_its_bound_too(void **state)
{
	struct log_session session = sample_session();
	char name[3 * LOG_LINE_MAX];
	const char *text;

	(void)state;
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	session.listener = name;
	session.pool = name;
	session.server_name = name;
	session.first_closer = name;
	session.detail = name;
	capture();
	log_session(&session);
	text = captured();
	assert_int_equal(strlen(text), LOG_LINE_MAX);
	assert_string_equal(text + LOG_LINE_MAX - 4, "...\n");
}

static void test_the_choice_of_sessions(void **state)
{
	struct log_settings settings = { .target = "stderr",
					 .level = LOG_LEVEL_ERROR,
					 .sessions = LOG_SESSIONS_ALL };
	struct log_session session = sample_session();
	static const size_t lines[] = {
		[LOG_SESSIONS_ALL] = ENDINGS,
		[LOG_SESSIONS_FAILED] = ENDINGS - 1,
		[LOG_SESSIONS_NONE] = 0,
	};

	(void)state;
	for (enum log_sessions choice = 0; choice < LOG_SESSIONS_CHOICES; choice++) {
		settings.sessions = choice;
		assert_int_equal(log_open(&settings), 0);
		capture();
		for (session.ending = 1; session.ending < ENDINGS; session.ending++)
			log_session(&session);
		session.ending = ENDING_NONE;
		log_session_running(&session);
		assert_int_equal(count_lines(captured()), lines[choice]);
		if (choice == LOG_SESSIONS_FAILED)
			assert_null(strstr(output, "ending=complete"));
	}
	assert_int_equal(log_open(&to_stderr), 0);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
	assert_string_equal(log_level_name(LOG_LEVEL_WARNING), "warning");
	assert_string_equal(log_level_name(LOG_LEVEL_INFO), "info");
	assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
	assert_string_equal(log_sessions_name(LOG_SESSIONS_ALL), "all");
	assert_string_equal(log_sessions_name(LOG_SESSIONS_FAILED), "failed");
	assert_string_equal(log_sessions_name(LOG_SESSIONS_NONE), "none");
	assert_string_equal(log_format_name(LOG_FORMAT_TEXT), "text");
	assert_string_equal(log_format_name(LOG_FORMAT_JSON), "json");
}

static void set_journal_stream(int fd, int wrong)
{
	struct stat stat;
	char value[64];

	assert_int_equal(fstat(fd, &stat), 0);
	(void)snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)stat.st_dev,
		       (uintmax_t)stat.st_ino + (uintmax_t)wrong);
	assert_int_equal(setenv("JOURNAL_STREAM", value, 1), 0);
}

static void test_a_stream_to_the_journal_gets_priorities(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	capture();
	set_journal_stream(STDERR_FILENO, 0);
	assert_int_equal(log_open(&to_stderr), 0);
	log_say(LOG_LEVEL_ERROR, "e");
	log_say(LOG_LEVEL_WARNING, "w");
	log_session(&session);
	/* stderr that was redirected since is no such stream */
	set_journal_stream(STDERR_FILENO, 1);
	assert_int_equal(log_open(&to_stderr), 0);
	log_say(LOG_LEVEL_ERROR, "e");
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_int_equal(log_open(&to_stderr), 0);
	assert_string_equal(captured(), "<3>e\n<4>w\n<6>" SAMPLE_LINE "\nfinback: error: e\n");
}

static bool write_map(const char *name, const char *map)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return false;
	written = write(fd, map, strlen(map));
	return close(fd) == 0 && written == (ssize_t)strlen(map);
}

/* user_namespaces(7): a user and group without a name in there may not create a file. */
static bool become_root_of_own(void)
{
	char users[64], groups[64];

	(void)snprintf(users, sizeof(users), "0 %u 1", (unsigned)getuid());
	(void)snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getgid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_map("/proc/self/uid_map", users) &&
	       write_map("/proc/self/setgroups", "deny") && write_map("/proc/self/gid_map", groups);
}

/* A mount namespace with an empty /run, as root or in a user namespace. */
static bool enter_own_run(void)
{
	if (unshare(CLONE_NEWNS) < 0 && !become_root_of_own())
		return false;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/run", "tmpfs", 0, "mode=755") == 0;
}

static int make_journal(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd;
}

/* Receives one entry: "NAME=value\n" for each field. */
static bool next_entry(int journal)
{
	ssize_t length = recv(journal, output, sizeof(output) - 1, MSG_DONTWAIT);

	output[length > 0 ? length : 0] = '\0';
	return length > 0;
}

static bool has_field(const char *field)
{
	char line[LOG_LINE_MAX + 64];

	(void)snprintf(line, sizeof(line), "%s\n", field);
	for (const char *at = strstr(output, line); at; at = strstr(at + 1, line)) {
		if (at == output || at[-1] == '\n')
			return true;
	}
	(void)fprintf(stderr, "no %s in:\n%s", field, output);
	return false;
}

static bool has_session_fields(void)
{
	static const char *const fields[] = {
		"MESSAGE=" SAMPLE_LINE " detail=\"why not\"",
		"PRIORITY=6",
		"SYSLOG_IDENTIFIER=finback",
		("MESSAGE_ID=" LOG_SESSION_MESSAGE_ID),
		"FINBACK_SESSION=42",
		"FINBACK_LISTENER=web",
		"FINBACK_POOL=web",
		"FINBACK_SERVER_NAME=127.0.0.1:9000",
		"FINBACK_CLIENT=127.0.0.1:5000",
		"FINBACK_CLIENT_LOCAL=127.0.0.1:8080",
		"FINBACK_SERVER=127.0.0.1:9000",
		"FINBACK_SERVER_LOCAL=127.0.0.1:40000",
		"FINBACK_ENDING=complete",
		"FINBACK_FIRST_CLOSER=client",
		"FINBACK_BYTES_FROM_CLIENT=12",
		"FINBACK_BYTES_FROM_SERVER=34",
		"FINBACK_MS_FROM_CLIENT=1",
		"FINBACK_MS_FROM_SERVER=2",
		"FINBACK_HALF_CLOSED_MS=1",
		"FINBACK_CONNECT_MS=0",
		"FINBACK_TOTAL_MS=3",
		"FINBACK_CONNECTS=1",
		"FINBACK_DETAIL=why not",
	};
	bool all = true;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		all = has_field(fields[i]) && all;
	return all && count_lines(output) == sizeof(fields) / sizeof(*fields);
}

/* "auto" with a stderr that leads to a journal whose socket is not there. */
static bool goes_to_stderr_without_journal(void)
{
	struct log_settings settings = { .target = "auto",
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	int r;

	capture();
	set_journal_stream(STDERR_FILENO, 0);
	r = log_open(&settings);
	log_say(LOG_LEVEL_INFO, "auto");
	(void)unsetenv("JOURNAL_STREAM");
	return strcmp(captured(), "<6>auto\n") == 0 && r == 0;
}

/* As any other line it goes by way of the queue once there is one. */
static bool sends_running_session(int journal)
{
	struct log_session session = sample_session();

	session.ending = ENDING_NONE;
	session.state = "open";
	session.detector = "probe";
	if (log_start() < 0)
		return false;
	log_session_running(&session);
	log_say(LOG_LEVEL_ERROR, "after it");
	log_stop();
	return next_entry(journal) && has_field("MESSAGE_ID=" LOG_RUNNING_MESSAGE_ID) &&
	       has_field("FINBACK_STATE=open") && has_field("FINBACK_SESSION=42") &&
	       has_field("FINBACK_DETECTOR=probe") && !strstr(output, "FINBACK_ENDING") &&
	       strstr(output, "MESSAGE=session 42 open: listener=web ") && next_entry(journal) &&
	       has_field("MESSAGE=after it") && has_field("PRIORITY=3");
}

/* In the child: returns its exit status, which is the number of the step that failed. */
static int check_journal(void)
{
	struct log_settings settings = { .target = "journal",
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	struct log_session session = sample_session();
	uint64_t lost = log_dropped();
	int journal;

	if (log_open(&settings) != -ENOENT)
		return 1;
	if (!goes_to_stderr_without_journal())
		return 12;
	journal = make_journal();
	if (journal < 0)
		return 2;
	if (log_open(&settings) != 0)
		return 3;
	log_say(LOG_LEVEL_WARNING, "one\ntwo");
	if (!next_entry(journal) || !has_field("MESSAGE=one?two") || !has_field("PRIORITY=4") ||
	    !has_field("SYSLOG_IDENTIFIER=finback") || count_lines(output) != 3)
		return 4;
	session.detail = "why not";
	session.state = "not of an ended session";
	log_session(&session);
	if (!next_entry(journal) || !has_session_fields())
		return 5;
	session.detail = NULL;
	session.server_name = NULL;
	log_session(&session);
	if (!next_entry(journal) || strstr(output, "FINBACK_DETAIL") ||
	    !has_field("FINBACK_SERVER_NAME=-"))
		return 6;
	if (!sends_running_session(journal))
		return 13;
	/* "auto" takes it where stderr leads there, and only there */
	settings.target = "auto";
	set_journal_stream(STDERR_FILENO, 0);
	if (log_open(&settings) != 0)
		return 7;
	log_say(LOG_LEVEL_INFO, "auto");
	if (!next_entry(journal) || !has_field("MESSAGE=auto"))
		return 8;
	(void)unsetenv("JOURNAL_STREAM");
	capture();
	if (log_open(&settings) != 0)
		return 9;
	log_say(LOG_LEVEL_INFO, "auto");
	if (strcmp(captured(), "finback: auto\n") != 0 || next_entry(journal))
		return 10;
	return log_dropped() == lost ? 0 : 11;
}

static void test_the_journal_gets_fields(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(enter_own_run() ? check_journal() : NAMESPACE_NONE);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NAMESPACE_NONE) {
		print_message("no mount namespace for a journal of the test's own here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void *write_lines(void *argument)
{
	struct log_session session = sample_session();
	int writer = *(const int *)argument;

	for (int i = 0; i < WRITER_LINES; i++) {
		session.id = (uint64_t)i;
		if (i % 2 == 0)
			log_say(LOG_LEVEL_INFO, "writer %d line %d", writer, i);
		else
			log_session(&session);
	}
	return NULL;
}

/* Counts the lines of a file that are whole. */
static size_t count_whole_lines(const char *name)
{
	FILE *file = fopen(name, "re");
	char line[LOG_LINE_MAX + 2];
	size_t count = 0;
	regex_t regex;

	assert_non_null(file);
	assert_int_equal(regcomp(&regex,
				 TIME_PATTERN "finback: (writer [0-9] line [0-9]+|session [0-9]+ "
					      "complete: .* connects=1)\n$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	while (fgets(line, sizeof(line), file)) {
		if (regexec(&regex, line, 0, NULL, 0) != 0)
			fail_msg("not a whole line: \"%s\"", line);
		count++;
	}
	regfree(&regex);
	(void)fclose(file);
	return count;
}

static void test_a_file_is_reopened_while_threads_write(void **state)
{
	struct log_settings settings = { .target = path,
					 .level = LOG_LEVEL_INFO,
					 .sessions = LOG_SESSIONS_ALL };
	uint64_t lost = log_dropped();
	pthread_t threads[WRITERS];
	int numbers[WRITERS];
	char rotated[160];
	size_t lines = 0;

	(void)state;
	assert_int_equal(log_open(&settings), 0);
	for (int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
	}
	for (int i = 0; i < REOPENS; i++) {
		(void)snprintf(rotated, sizeof(rotated), "%s.%d", path, i);
		assert_int_equal(rename(path, rotated), 0);
		assert_int_equal(log_open(&settings), 0);
		(void)usleep(1000);
	}
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < REOPENS; i++) {
		(void)snprintf(rotated, sizeof(rotated), "%s.%d", path, i);
		lines += count_whole_lines(rotated);
	}
	lines += count_whole_lines(path);
	assert_int_equal(lines, WRITERS * WRITER_LINES);
	assert_int_equal(log_dropped(), lost);
}

static void *say_limited(void *argument)
{
	for (int i = 0; i < 100; i++)
		log_say_limited(argument, 1, LOG_LEVEL_INFO, "x");
	return NULL;
}

static void test_threads_share_one_limit(void **state)
{
	static struct log_limit limit;
	pthread_t threads[WRITERS];

	(void)state;
	capture();
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, say_limited, &limit), 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	log_say_limited(&limit, 1000001, LOG_LEVEL_INFO, "y");
	assert_string_equal(captured(), "finback: x\nfinback: y (399 more like it left out)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_to_stderr_before_it_is_opened),
		cmocka_unit_test(test_says_the_level_and_leaves_out_what_is_below),
		cmocka_unit_test(test_a_message_stays_one_line),
		cmocka_unit_test(test_a_long_line_is_cut),
		cmocka_unit_test(test_a_line_is_one_write),
		cmocka_unit_test(test_errno_is_left_alone),
		cmocka_unit_test(test_counts_lines_that_fail),
		cmocka_unit_test_setup_teardown(test_counts_a_short_write, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(test_a_file_gets_the_time_before_the_line,
						make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_the_time_is_local, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(test_a_rotated_file_is_let_go, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(test_a_target_that_fails_leaves_the_old_one,
						make_directory, remove_directory),
		cmocka_unit_test(test_limited_lines_pass_once_a_second),
		cmocka_unit_test(test_a_session_is_one_line),
		cmocka_unit_test(test_a_session_without_a_server),
		cmocka_unit_test(test_a_running_session_has_a_state),
		cmocka_unit_test(test_a_dead_peer_has_its_detector),
		cmocka_unit_test(test_addresses_are_written_as_everywhere),
		cmocka_unit_test(test_values_are_quoted_where_they_must_be),
		cmocka_unit_test(test_a_session_line_has_its_bound_too),
		cmocka_unit_test(test_the_choice_of_sessions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_a_stream_to_the_journal_gets_priorities),
		cmocka_unit_test(test_the_journal_gets_fields),
		cmocka_unit_test_setup_teardown(test_a_file_is_reopened_while_threads_write,
						make_directory, remove_directory),
		cmocka_unit_test(test_threads_share_one_limit),
	};

	(void)unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
