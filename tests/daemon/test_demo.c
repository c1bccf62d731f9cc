/*
 * The demo backend over real loopback sockets: what it answers, that it answers only after the end
 * of file, and that each of its limits ends in a reset or a wait, never in a loss.
 */
#include <finback/daemon/demo.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

/* Far beyond what anything here takes: only a hang reaches it. */
#define PATIENCE_S 60

static struct demo *start(const struct demo_limits *limits, struct address *address)
{
	struct demo *demo = NULL;
	const char *why = "";
	int result = demo_start_limited(limits, &demo, address, &why);
	if (result < 0)
		fail_msg("%s: %s", why, strerror(-result));
	return demo;
}

static void sleep_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	(void)nanosleep(&time, NULL);
}

static int client_socket(int receive_buffer)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	if (receive_buffer > 0)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
					    sizeof(receive_buffer)),
				 0);
	return fd;
}

static int client_connect(const struct address *address)
{
	int fd = client_socket(0);
	assert_int_equal(connect(fd, &address->any, address->length), 0);
	return fd;
}

static void send_all(int fd, const void *bytes, size_t length)
{
	const char *from = bytes;
	while (length > 0) {
		ssize_t sent = send(fd, from, length, MSG_NOSIGNAL);
		assert_true(sent > 0);
		from += sent;
		length -= (size_t)sent;
	}
}

/* Reads to the end of file; returns the length, or -errno. */
static ssize_t read_all(int fd, void *bytes, size_t size)
{
	size_t length = 0;
	for (;;) {
		char spare;
		bool is_full = length == size;
		ssize_t got = recv(fd, is_full ? &spare : (char *)bytes + length,
				   is_full ? 1 : size - length, 0);
		if (got < 0)
			return -errno;
		if (got == 0)
			return (ssize_t)length;
		assert_false(is_full);
		length += (size_t)got;
	}
}

static void check_answer(int fd, const void *expected, size_t length)
{
	char *answer = malloc(length + 1);
	assert_non_null(answer);
	assert_int_equal(read_all(fd, answer, length), length);
	assert_memory_equal(answer, expected, length);
	free(answer);
}

/* Whether the peer resets within the patience, perhaps after some bytes. Sends on, as a reset may
 * only show there. */
static bool is_reset(int fd)
{
	char bytes[4096];
	ssize_t got;
	do {
		got = recv(fd, bytes, sizeof(bytes), 0);
	} while (got > 0);
	return got < 0 && errno == ECONNRESET;
}

static int open_descriptors(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	assert_int_equal(closedir(directory), 0);
	return count;
}

/* Waits until the demo let go of what its clients left. */
static void wait_for_descriptors(int expected)
{
	int count = open_descriptors();
	for (int i = 0; i < PATIENCE_S * 100 && count != expected; i++) {
		sleep_ms(10);
		count = open_descriptors();
	}
	assert_int_equal(count, expected);
}

static const struct {
	const char *input;
	size_t length;
	const char *output;
	size_t output_length;
} answers[] = {
#define ANSWER(input, output)                                        \
	{                                                            \
		input, sizeof(input) - 1, output, sizeof(output) - 1 \
	}
	ANSWER("", ""),
	ANSWER("\n", "\n"),
	ANSWER("a", "a\n"),
	ANSWER("b\na\n", "a\nb\n"),
	ANSWER("b\na", "a\nb\n"),
	ANSWER("b\n\na\n\n", "\n\na\nb\n"),
	ANSWER("ab\na\nabc\n", "a\nab\nabc\n"),
	ANSWER("a\na\nb\na\n", "a\na\na\nb\n"),
	ANSWER("a b\na\tb\na!\n", "a\tb\na b\na!\n"),
	ANSWER("b\nA\na\nB\n", "A\nB\na\nb\n"),
	ANSWER("\xff\n\x7f\n\x80\n\x01\n", "\x01\n\x7f\n\x80\n\xff\n"),
	ANSWER("a\0b\na\0a\na\n\0\n", "\0\na\na\0a\na\0b\n"),
	ANSWER("b\r\na\r\n", "a\r\nb\r\n"),
	/* The end of a line is less than any byte, those under the newline's own value too. */
	ANSWER("a\x01\na\n", "a\na\x01\n"),
};

static void answers_are_the_lines_in_order(void **state)
{
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int fd = client_connect(&address);
		send_all(fd, answers[i].input, answers[i].length);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		check_answer(fd, answers[i].output, answers[i].output_length);
		(void)close(fd);
	}
	demo_stop(demo);
}

static void the_address_is_loopback_with_a_port(void **state)
{
	(void)state;
	struct demo *demo = NULL;
	struct address address;
	const char *why = NULL;
	assert_int_equal(demo_start(&demo, &address, &why), 0);
	assert_int_equal(address.any.sa_family, AF_INET);
	assert_int_equal(address.length, sizeof(address.v4));
	assert_int_equal(address.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_not_equal(address.v4.sin_port, 0);
	demo_stop(demo);
	demo_stop(NULL);
}

static void nothing_is_answered_before_the_end_of_file(void **state)
{
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int fd = client_connect(&address);
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	send_all(fd, "b\na\n", 4);
	assert_int_equal(poll(&readable, 1, 200), 0);
	send_all(fd, "0\n", 2);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	check_answer(fd, "0\na\nb\n", 6);
	(void)close(fd);
	demo_stop(demo);
}

/* Many clients at once, their input in pieces that take turns and cut lines anywhere. */
static void clients_that_take_turns_keep_apart(void **state)
{
	enum {
		CLIENTS = 40,
		LINES = 50
	};
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int fds[CLIENTS];
	char input[CLIENTS][LINES * 8], output[CLIENTS][LINES * 8];
	size_t lengths[CLIENTS] = { 0 };

	for (int c = 0; c < CLIENTS; c++) {
		size_t end = 0;
		for (int l = 0; l < LINES; l++) {
			(void)snprintf(input[c] + lengths[c], 8, "%02d-%02d\n", c, LINES - 1 - l);
			(void)snprintf(output[c] + end, 8, "%02d-%02d\n", c, l);
			lengths[c] += 6;
			end += 6;
		}
		fds[c] = client_connect(&address);
	}
	for (size_t at = 0; at < lengths[0]; at += 7)
		for (int c = 0; c < CLIENTS; c++)
			send_all(fds[c], input[c] + at, lengths[c] - at < 7 ? lengths[c] - at : 7);
	for (int c = CLIENTS - 1; c >= 0; c--)
		assert_int_equal(shutdown(fds[c], SHUT_WR), 0);
	for (int c = 0; c < CLIENTS; c++) {
		check_answer(fds[c], output[c], lengths[c]);
		(void)close(fds[c]);
	}
	demo_stop(demo);
}

/* Lines of eight bytes from last to first. */
static char *falling_lines(size_t lines)
{
	char *bytes = malloc(lines * 8 + 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < lines; i++)
		(void)snprintf(bytes + i * 8, 9, "%07u\n", (unsigned)(lines - 1 - i));
	return bytes;
}

/* A client with a small window that stops for a while, in the middle of 8 MiB and before the last
 * of them: all of it comes, then the end of file. */
static void a_slow_reader_gets_all_of_a_large_answer(void **state)
{
	enum {
		LINES = 1024 * 1024
	};
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int before = open_descriptors();
	int fd = client_socket(65536);
	char *input = falling_lines(LINES);
	char line[9], part[8 * 1024];

	assert_int_equal(connect(fd, &address.any, address.length), 0);
	send_all(fd, input, (size_t)LINES * 8);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	sleep_ms(300);
	for (unsigned i = 0; i < LINES; i += sizeof(part) / 8) {
		assert_int_equal(recv(fd, part, sizeof(part), MSG_WAITALL), sizeof(part));
		for (unsigned l = 0; l < sizeof(part) / 8; l++) {
			(void)snprintf(line, sizeof(line), "%07u\n", i + l);
			assert_memory_equal(part + l * 8, line, 8);
		}
		if (i == LINES / 2 || i == LINES - 100 * 1024)
			sleep_ms(300);
	}
	assert_int_equal(read_all(fd, part, sizeof(part)), 0);
	(void)close(fd);
	free(input);
	wait_for_descriptors(before);
	demo_stop(demo);
}

/* The descriptor is kept while the client has not acknowledged: what it did not read in time is
 * there for it later. */
static void the_tail_waits_for_its_reader(void **state)
{
	enum {
		LINES = 64 * 1024
	};
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int before = open_descriptors();
	int fd = client_socket(4096);
	char *bytes = falling_lines(LINES);

	assert_int_equal(connect(fd, &address.any, address.length), 0);
	send_all(fd, bytes, (size_t)LINES * 8);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	sleep_ms(700);
	assert_int_equal(open_descriptors(), before + 2);
	assert_int_equal(read_all(fd, bytes, (size_t)LINES * 8), (size_t)LINES * 8);
	assert_memory_equal(bytes, "0000000\n0000001\n", 16);
	(void)close(fd);
	free(bytes);
	wait_for_descriptors(before);
	demo_stop(demo);
}

/* With the whole answer in the kernel's hands, a client that reads slowly is not idle. */
static void progress_in_the_kernel_counts(void **state)
{
	enum {
		PARTS = 25,
		PART = 2000
	};
	(void)state;
	struct demo_limits limits = demo_limits;
	limits.idle_us = 1000000;
	struct address address;
	struct demo *demo = start(&limits, &address);
	int fd = client_socket(4096);
	char part[PART];

	assert_int_equal(connect(fd, &address.any, address.length), 0);
	for (int i = 0; i < PARTS; i++) {
		memset(part, 'a' + i, PART);
		part[PART - 1] = '\n';
		send_all(fd, part, PART);
	}
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < PARTS; i++) {
		sleep_ms(100);
		assert_int_equal(recv(fd, part, PART, MSG_WAITALL), PART);
		assert_int_equal(part[0], 'a' + i);
	}
	assert_int_equal(read_all(fd, part, PART), 0);
	(void)close(fd);
	demo_stop(demo);
}

static struct demo_limits small_limits(void)
{
	struct demo_limits limits = demo_limits;
	limits.input_bytes = 100000;
	limits.total_bytes = 250000;
	return limits;
}

/* Sends one line of `length` bytes, quick to sort, as far as it is taken. */
static void send_line(int fd, size_t length)
{
	char bytes[1000];
	memset(bytes, 'x', sizeof(bytes));
	while (length > 0) {
		size_t part = length < sizeof(bytes) ? length : sizeof(bytes);
		if (send(fd, bytes, part, MSG_NOSIGNAL) < 0)
			return;
		length -= part;
	}
}

static void input_up_to_the_limit_is_answered(void **state)
{
	(void)state;
	struct demo_limits limits = small_limits();
	struct address address;
	struct demo *demo = start(&limits, &address);
	int fd = client_connect(&address);
	char *bytes = malloc(limits.input_bytes + 1);

	assert_non_null(bytes);
	memset(bytes, 'x', limits.input_bytes);
	bytes[limits.input_bytes] = '\n';
	send_all(fd, bytes, limits.input_bytes);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	check_answer(fd, bytes, limits.input_bytes + 1);
	(void)close(fd);
	free(bytes);
	demo_stop(demo);
}

static void input_beyond_the_limit_is_reset(void **state)
{
	(void)state;
	struct demo_limits limits = small_limits();
	struct address address;
	struct demo *demo = start(&limits, &address);
	int before = open_descriptors();

	for (int i = 0; i < 4; i++) {
		int fd = client_connect(&address);
		send_line(fd, limits.input_bytes + 1);
		assert_true(is_reset(fd));
		(void)close(fd);
		wait_for_descriptors(before);
	}
	/* What they held is free again: others are served as before. */
	int fd = client_connect(&address);
	send_all(fd, "b\na\n", 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	check_answer(fd, "a\nb\n", 4);
	(void)close(fd);
	demo_stop(demo);
}

/* Three inputs fit by themselves and not together: one is reset, and its room is free again. */
static void input_beyond_the_total_is_reset(void **state)
{
	(void)state;
	struct demo_limits limits = small_limits();
	struct address address;
	struct demo *demo = start(&limits, &address);
	int fds[3];
	struct pollfd polls[3];
	int resets = 0;

	for (int i = 0; i < 3; i++) {
		fds[i] = client_connect(&address);
		polls[i] = (struct pollfd){ .fd = fds[i] };
		send_line(fds[i], 90000);
	}
	assert_true(poll(polls, 3, PATIENCE_S * 1000) > 0);
	for (int i = 0; i < 3; i++) {
		if (polls[i].revents != 0) {
			assert_true(is_reset(fds[i]));
			resets++;
			continue;
		}
		char answer[90001];
		assert_int_equal(shutdown(fds[i], SHUT_WR), 0);
		assert_int_equal(read_all(fds[i], answer, sizeof(answer)), sizeof(answer));
	}
	assert_int_equal(resets, 1);
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
	demo_stop(demo);
}

static void an_idle_connection_is_reset(void **state)
{
	(void)state;
	struct demo_limits limits = demo_limits;
	limits.idle_us = 300000;
	struct address address;
	struct demo *demo = start(&limits, &address);
	int before = open_descriptors();
	int idle = client_connect(&address);
	int busy = client_connect(&address);

	/* Twice the time, a byte at a time: progress keeps a connection. */
	for (int i = 0; i < 12; i++) {
		send_all(busy, "x", 1);
		sleep_ms(50);
	}
	assert_int_equal(shutdown(busy, SHUT_WR), 0);
	check_answer(busy, "xxxxxxxxxxxx\n", 13);
	assert_true(is_reset(idle));
	(void)close(idle);
	(void)close(busy);
	wait_for_descriptors(before);
	demo_stop(demo);
}

/* A reader that takes nothing is idle too, in the middle of an answer. */
static void a_reader_that_stops_is_reset(void **state)
{
	(void)state;
	struct demo_limits limits = demo_limits;
	limits.idle_us = 300000;
	struct address address;
	struct demo *demo = start(&limits, &address);
	int before = open_descriptors();
	int fd = client_socket(4096);

	assert_int_equal(connect(fd, &address.any, address.length), 0);
	send_line(fd, 8 * 1024 * 1024);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	wait_for_descriptors(before + 1);
	assert_true(is_reset(fd));
	(void)close(fd);
	demo_stop(demo);
}

static void a_client_that_resets_leaves_nothing(void **state)
{
	static const struct linger reset = { .l_onoff = 1 };
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int before = open_descriptors();

	/* While it reads; while it writes; with all written. */
	for (int round = 0; round < 3; round++) {
		int fd = client_connect(&address);
		char byte;
		send_line(fd, round == 1 ? 16 * 1024 * 1024 : 1000);
		wait_for_descriptors(before + 2); /* it was accepted */
		if (round > 0) {
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
			assert_int_equal(recv(fd, &byte, 1, 0), 1);
		}
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		(void)close(fd);
		wait_for_descriptors(before);
	}
	demo_stop(demo);
}

static double cpu_seconds(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* They wait in the listener's queue, and that costs nothing either. */
static void clients_beyond_the_limit_wait_their_turn(void **state)
{
	enum {
		WAIT_MS = 400
	};
	(void)state;
	struct demo_limits limits = demo_limits;
	limits.connections = 2;
	struct address address;
	struct demo *demo = start(&limits, &address);
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = client_connect(&address);
	send_all(fds[2], "b\na\n", 4);
	assert_int_equal(shutdown(fds[2], SHUT_WR), 0);
	struct pollfd readable = { .fd = fds[2], .events = POLLIN };
	double before = cpu_seconds();
	assert_int_equal(poll(&readable, 1, WAIT_MS), 0);
	assert_true(cpu_seconds() - before < WAIT_MS / 1000. / 4);

	assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
	check_answer(fds[0], "", 0);
	(void)close(fds[0]);
	check_answer(fds[2], "a\nb\n", 4);
	(void)close(fds[1]);
	(void)close(fds[2]);
	demo_stop(demo);
}

/* No descriptor for a client: it waits, without a spin, and is served when there is one again. */
static void running_out_of_descriptors_is_a_pause(void **state)
{
	enum {
		WAIT_MS = 800
	};
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int fd = client_socket(0);
	struct rlimit limit, low;

	int spare = dup(fd);
	assert_true(spare >= 0);
	(void)close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)spare; /* the lowest free number is out of bounds now */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(connect(fd, &address.any, address.length), 0);
	send_all(fd, "b\na\n", 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	double before = cpu_seconds();
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	int ready = poll(&readable, 1, WAIT_MS);
	double used = cpu_seconds() - before;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(ready, 0);
	assert_true(used < WAIT_MS / 1000. / 4);
	check_answer(fd, "a\nb\n", 4);
	(void)close(fd);
	demo_stop(demo);
}

/* In no state of a connection does the thread run without something to move. */
static void waiting_costs_nothing(void **state)
{
	enum {
		WAIT_MS = 500
	};
	(void)state;
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int silent = client_connect(&address);
	int stuck = client_socket(4096);
	int unread = client_socket(4096);

	assert_int_equal(connect(stuck, &address.any, address.length), 0);
	send_line(stuck, 16 * 1024 * 1024);
	assert_int_equal(shutdown(stuck, SHUT_WR), 0);
	assert_int_equal(connect(unread, &address.any, address.length), 0);
	send_line(unread, 500 * 1024);
	assert_int_equal(shutdown(unread, SHUT_WR), 0);
	struct pollfd readable[] = { { .fd = stuck, .events = POLLIN },
				     { .fd = unread, .events = POLLIN } };
	for (int i = 0; i < 2; i++)
		assert_int_equal(poll(&readable[i], 1, PATIENCE_S * 1000), 1);
	sleep_ms(300);
	double before = cpu_seconds();
	sleep_ms(WAIT_MS);
	assert_true(cpu_seconds() - before < WAIT_MS / 1000. / 4);
	(void)close(silent);
	(void)close(stuck);
	(void)close(unread);
	demo_stop(demo);
}

/* Stopping in the middle: no client takes a cut answer for a whole one, and nothing is left. */
static void stopping_resets_what_is_unfinished(void **state)
{
	(void)state;
	int before = open_descriptors();
	struct address address;
	struct demo *demo = start(&demo_limits, &address);
	int reading = client_connect(&address);
	int writing = client_socket(4096);
	char byte;

	send_all(reading, "a\n", 2);
	assert_int_equal(connect(writing, &address.any, address.length), 0);
	send_line(writing, 16 * 1024 * 1024);
	assert_int_equal(shutdown(writing, SHUT_WR), 0);
	assert_int_equal(recv(writing, &byte, 1, 0), 1);
	demo_stop(demo);
	assert_true(is_reset(reading));
	assert_true(is_reset(writing));
	(void)close(reading);
	(void)close(writing);
	assert_int_equal(open_descriptors(), before);
}

/* A start that fails says why, changes nothing and leaves nothing. */
static void a_start_without_descriptors_fails_whole(void **state)
{
	(void)state;
	int before = open_descriptors();
	int spare = dup(STDOUT_FILENO);
	struct rlimit limit, low;
	assert_true(spare >= 0);
	(void)close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t more = 0; more < 3; more++) { /* the socket, the eventfd, the epoll set */
		struct demo *demo = NULL;
		struct address address = { .length = 77 };
		const char *why = NULL;
		low = limit;
		low.rlim_cur = (rlim_t)spare + more;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		int result = demo_start(&demo, &address, &why);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(result, -EMFILE);
		assert_null(demo);
		assert_int_equal(address.length, 77);
		assert_non_null(why);
	}
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_lines_in_order),
		cmocka_unit_test(the_address_is_loopback_with_a_port),
		cmocka_unit_test(nothing_is_answered_before_the_end_of_file),
		cmocka_unit_test(clients_that_take_turns_keep_apart),
		cmocka_unit_test(a_slow_reader_gets_all_of_a_large_answer),
		cmocka_unit_test(the_tail_waits_for_its_reader),
		cmocka_unit_test(progress_in_the_kernel_counts),
		cmocka_unit_test(input_up_to_the_limit_is_answered),
		cmocka_unit_test(input_beyond_the_limit_is_reset),
		cmocka_unit_test(input_beyond_the_total_is_reset),
		cmocka_unit_test(an_idle_connection_is_reset),
		cmocka_unit_test(a_reader_that_stops_is_reset),
		cmocka_unit_test(a_client_that_resets_leaves_nothing),
		cmocka_unit_test(clients_beyond_the_limit_wait_their_turn),
		cmocka_unit_test(running_out_of_descriptors_is_a_pause),
		cmocka_unit_test(waiting_costs_nothing),
		cmocka_unit_test(stopping_resets_what_is_unfinished),
		cmocka_unit_test(a_start_without_descriptors_fails_whole),
	};
	return cmocka_run_group_tests_name("demo", tests, NULL, NULL);
}
