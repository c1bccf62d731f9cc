/*
 * host/log as JSON lines: what an object holds, and that each line is one whatever bytes names
 * hold. In the end Python reads them, which shares no code with finback.
 */
#include <finback/host/log.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/log_line.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define TIME_LENGTH (sizeof("2001-02-03T04:05:06.789+01:00") - 1)
#define ODD_LINES   2000

static struct log_settings settings = { .target = "stderr", .format = LOG_FORMAT_JSON };

static int capture_fd, real_stderr;
static char output[128 * 1024];

/* What is written to stderr from here to captured(), in JSON. */
static void capture(void)
{
	capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	real_stderr = dup(STDERR_FILENO);
	assert_true(capture_fd >= 0 && real_stderr >= 0);
	assert_int_equal(dup2(capture_fd, STDERR_FILENO), STDERR_FILENO);
	settings.level = LOG_LEVEL_DEBUG;
	assert_int_equal(log_open(&settings), 0);
}

static const char *captured(void)
{
	ssize_t length = pread(capture_fd, output, sizeof(output) - 1, 0);

	log_close();
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(capture_fd);
	assert_true(length >= 0);
	output[length] = '\0';
	return output;
}

/* The captured line behind its time. */
static const char *captured_behind_time(void)
{
	static const char start[] = "{\"time\":\"";
	const char *text = captured();

	assert_memory_equal(text, start, strlen(start));
	text += strlen(start) + TIME_LENGTH;
	return text;
}

static struct log_session sample_session(void)
{
	return (struct log_session){
		.id = 42,
		.listener = "web",
		.pool = "app",
		.server_name = "127.0.0.1:9000",
		.peers = { { .family = ENDPOINT_IPV4, .port = 5000, .ip = { 127, 0, 0, 1 } },
			   { .family = ENDPOINT_IPV6, .port = 9000, .ip = { [15] = 1 } } },
		.locals = { { .family = ENDPOINT_UNIX }, { .family = ENDPOINT_NONE } },
		.ending = ENDING_COMPLETE,
		.first_closer = "client",
		.bytes = { 12, UINT64_MAX },
		.flow_ms = { 1, 2 },
		.half_closed_ms = 1,
		.total_ms = 3,
		.connects = 1,
	};
}

#define SAMPLE_START(verdict)                                                                  \
	"\",\"level\":\"info\",\"message\":\"session 42 " verdict "\",\"session\":42,"         \
	"\"listener\":\"web\",\"pool\":\"app\",\"server_name\":\"127.0.0.1:9000\",\"client\":" \
	"\"127.0.0.1:5000\",\"client_local\":\"unix\",\"server\":\"[::1]:9000\","              \
	"\"server_local\":null,"
#define SAMPLE_END                                                                         \
	"\"bytes_from_client\":12,\"bytes_from_server\":18446744073709551615,"             \
	"\"ms_from_client\":1,\"ms_from_server\":2,\"half_closed_ms\":1,\"connect_ms\":0," \
	"\"total_ms\":3,\"connects\":1"

static void test_a_message_is_an_object(void **state)
{
	(void)state;
	capture();
	log_say(LOG_LEVEL_WARNING, "port %d", 80);
	assert_string_equal(captured_behind_time(),
			    "\",\"level\":\"warning\",\"message\":\"port 80\"}\n");
	capture();
	log_say(LOG_LEVEL_DEBUG, "%s", "");
	assert_string_equal(captured_behind_time(), "\",\"level\":\"debug\",\"message\":\"\"}\n");
}

static void test_the_time_is_that_of_files(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "HERE+3:30", 1), 0);
	tzset();
	capture();
	log_say(LOG_LEVEL_INFO, "now");
	assert_memory_equal(captured_behind_time() - strlen("-03:30"), "-03:30", strlen("-03:30"));
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void test_a_session_has_its_pairs_as_members(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	capture();
	log_session(&session);
	assert_string_equal(captured_behind_time(),
			    SAMPLE_START("complete") "\"ending\":\"complete\","
						     "\"first_closer\":\"client\"," SAMPLE_END
						     "}\n");
}

static void test_a_dead_peer_has_its_detector(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	session.ending = ENDING_CLIENT_DEAD;
	session.detector = "keepalive";
	session.detail = "Connection timed out";
	capture();
	log_session(&session);
	assert_string_equal(captured_behind_time(),
			    SAMPLE_START("client_dead") "\"ending\":\"client_dead\","
							"\"first_closer\":\"client\"," SAMPLE_END
							",\"detector\":\"keepalive\","
							"\"detail\":\"Connection timed out\"}\n");
}

static void test_a_running_session_has_a_state(void **state)
{
	struct log_session session = sample_session();

	(void)state;
	session.ending = ENDING_NONE;
	session.first_closer = NULL;
	session.state = "open";
	capture();
	log_session_running(&session);
	assert_string_equal(
		captured_behind_time(),
		SAMPLE_START("open") "\"state\":\"open\",\"first_closer\":null," SAMPLE_END "}\n");
}

/* sd-daemon(3)'s priority stands before the object. */
static void test_a_stream_to_the_journal_gets_priorities(void **state)
{
	struct stat stat;
	char value[64];

	(void)state;
	capture();
	assert_int_equal(fstat(STDERR_FILENO, &stat), 0);
	(void)snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)stat.st_dev,
		       (uintmax_t)stat.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", value, 1), 0);
	assert_int_equal(log_open(&settings), 0);
	log_say(LOG_LEVEL_ERROR, "e");
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_memory_equal(captured(), "<3>{\"time\":\"", strlen("<3>{\"time\":\""));
	assert_non_null(strstr(output, "\",\"level\":\"error\",\"message\":\"e\"}\n"));
}

#define GONE "\xef\xbf\xbd"

static void test_strings_are_escaped(void **state)
{
	static const char *const strings[][2] = {
		{ "a\"b\\c/d", "a\\\"b\\\\c/d" },
		{ "\x01\n\t\x1b[2J\x7f", "\\u0001\\u000a\\u0009\\u001b[2J\\u007f" },
		{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0" },
		{ "\x80 \xff \xc3", GONE " " GONE " " GONE },
		{ "\xc0\xaf", GONE GONE },          /* longer than need be */
		{ "\xe0\x9f\xbf", GONE GONE GONE }, /* the same */
		{ "\xed\xa0\x80", GONE GONE GONE }, /* half of a surrogate pair */
		{ "\xf0\x8f\xbf\xbf", GONE GONE GONE GONE },
		{ "\xf4\x90\x80\x80", GONE GONE GONE GONE }, /* beyond U+10FFFF */
		{ "\xe2\x82\"", GONE GONE "\\\"" },
		{ "\xf4\x8f\xbf\xbf\xed\x9f\xbf", "\xf4\x8f\xbf\xbf\xed\x9f\xbf" },
	};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		(void)snprintf(expected, sizeof(expected),
			       "\",\"level\":\"info\",\"message\":\"%s\"}\n", strings[i][1]);
		capture();
		log_say(LOG_LEVEL_INFO, "%s", strings[i][0]);
		assert_string_equal(captured_behind_time(), expected);
	}
}

static void test_a_long_message_is_cut_inside(void **state)
{
	char message[3 * LOG_LINE_MAX];
	char expected[LOG_LINE_MAX + 64];

	(void)state;
	memset(message, 'm', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	(void)snprintf(expected, sizeof(expected),
		       "\",\"level\":\"info\",\"message\":\"%.*s...\"}\n", LOG_LINE_MAX - 3,
		       message);
	capture();
	log_say(LOG_LEVEL_INFO, "%s", message);
	assert_string_equal(captured_behind_time(), expected);
	message[LOG_LINE_MAX] = '\0';
	capture();
	log_say(LOG_LEVEL_INFO, "%s", message);
	assert_null(strstr(captured(), "..."));
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
	(void)state;
	log_close();
	(void)unlink(path);
	return rmdir(directory);
}

static void fill_odd(char *text, size_t length, unsigned *seed)
{
	/* Bytes that mean something to UTF-8 and to JSON come more often than others. */
	static const unsigned char telling[] = "\"\\\n\x7f\x80\x9f\xa0\xbf\xc2\xe0\xed\xf0\xf4\xff";

	for (size_t i = 0; i < length; i++) {
		unsigned number = (unsigned)rand_r(seed);

		if (number % 2 == 0)
			text[i] = (char)(1 + number / 2 % 255);
		else
			text[i] = (char)telling[number / 2 % (sizeof(telling) - 1)];
	}
	text[length] = '\0';
}

/* Lines whose listener is odd, and whose pool is the same in hex. */
static void log_odd_sessions(void)
{
	char name[LOG_TEXT_MAX + 1];
	char hex[2 * LOG_TEXT_MAX + 1];
	struct log_session session = sample_session();
	unsigned seed = 1;

	session.listener = name;
	session.pool = hex;
	for (int i = 0; i < ODD_LINES; i++) {
		size_t length = (size_t)i % (LOG_TEXT_MAX / 2);

		fill_odd(name, length, &seed);
		for (size_t j = 0; j < length; j++)
			(void)snprintf(hex + 2 * j, 3, "%02x", (unsigned char)name[j]);
		hex[2 * length] = '\0';
		log_session(&session);
	}
}

/* A line as long as one can be. */
static void log_longest_session(void)
{
	struct log_session session = sample_session();
	char name[3 * LOG_TEXT_MAX];

	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	session.listener = session.pool = session.server_name = session.state = name;
	session.first_closer = session.detector = session.detail = name;
	session.peers[SERVER] = (struct endpoint){ .family = ENDPOINT_IPV6, .port = 65535 };
	memset(session.peers[SERVER].ip, 0xfe, sizeof(session.peers[SERVER].ip));
	session.locals[CLIENT] = session.locals[SERVER] = session.peers[SERVER];
	session.bytes[CLIENT] = session.flow_ms[CLIENT] = session.flow_ms[SERVER] = UINT64_MAX;
	session.half_closed_ms = session.connect_ms = session.total_ms = UINT64_MAX;
	session.id = UINT64_MAX;
	session.connects = UINT32_MAX;
	log_session_running(&session);
}

static const char reader[] =
	"import codecs, json, sys\n"
	"each = lambda error: ('\\ufffd' * (error.end - error.start), error.end)\n"
	"codecs.register_error('each', each)\n"
	"lines = open(sys.argv[1], 'rb').read().split(b'\\n')\n"
	"assert lines.pop() == b''\n"
	"for line in lines:\n"
	"    assert min(line) >= 32, line\n"
	"    session = json.loads(line.decode())\n"
	"    assert session['session'] >= 42\n"
	"    if 'ending' in session:\n"
	"        raw = bytes.fromhex(session['pool'])\n"
	"        assert session['listener'] == raw.decode('utf-8', 'each'), line\n"
	"    else:\n"
	"        assert session['detail'] == '\\x01' * 511 and len(line) < int(sys.argv[2])\n"
	"assert len(lines) == int(sys.argv[3]), len(lines)\n";

static void test_another_program_reads_every_line(void **state)
{
	struct log_settings to_file = { .target = path, .format = LOG_FORMAT_JSON };
	char longest[16], count[16];
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(log_open(&to_file), 0);
	log_odd_sessions();
	log_longest_session();
	log_close();
	(void)snprintf(longest, sizeof(longest), "%d", LOG_RENDERED_MAX);
	(void)snprintf(count, sizeof(count), "%d", ODD_LINES + 1);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)execlp("python3", "python3", "-c", reader, path, longest, count, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		print_message("no python3 here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_is_an_object),
		cmocka_unit_test(test_the_time_is_that_of_files),
		cmocka_unit_test(test_a_session_has_its_pairs_as_members),
		cmocka_unit_test(test_a_dead_peer_has_its_detector),
		cmocka_unit_test(test_a_running_session_has_a_state),
		cmocka_unit_test(test_a_stream_to_the_journal_gets_priorities),
		cmocka_unit_test(test_strings_are_escaped),
		cmocka_unit_test(test_a_long_message_is_cut_inside),
		cmocka_unit_test_setup_teardown(test_another_program_reads_every_line,
						make_directory, remove_directory),
	};

	(void)unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
