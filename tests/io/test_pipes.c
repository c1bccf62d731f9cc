/*
 * io/pipes, and the kernel facts that splicing relies on: what splice(2) says at the end of a
 * stream, at an error and at an urgent mark, what EAGAIN may mean, and how large a pipe is.
 */
#include <finback/io/pipes.h>

#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "peers.h"

#define DEFAULT_SIZE 65536
#define ASKED        DEFAULT_SIZE

/* Two connections, and a pipe between `from.ours` and `to.ours`. */
struct way {
	struct pair from;
	struct pair to;
	int pipe[2];
};

static struct way way;

static void open_pipe(void)
{
	assert_int_equal(pipe2(way.pipe, O_NONBLOCK | O_CLOEXEC), 0);
}

static int set_up(void **state)
{
	(void)state;
	way = (struct way){ .from = tcp_pair(), .to = tcp_pair() };
	open_pipe();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_pair(&way.from);
	close_pair(&way.to);
	(void)close(way.pipe[0]);
	(void)close(way.pipe[1]);
	return 0;
}

static ssize_t spliced(int from, int to, size_t size, unsigned flags)
{
	ssize_t length = splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | flags);

	return length < 0 ? -errno : length;
}

/* From the source into the pipe. */
static ssize_t in(void)
{
	return spliced(way.from.ours, way.pipe[1], ASKED, 0);
}

/* From the pipe into the sink. */
static ssize_t out(void)
{
	return spliced(way.pipe[0], way.to.ours, ASKED, 0);
}

static size_t in_pipe(int fd)
{
	int count = -1;

	assert_int_equal(ioctl(fd, FIONREAD, &count), 0);
	return (size_t)count;
}

static void give(const char *text)
{
	put_through(&way.from, text);
}

static void wait_for_flag(int fd, short flag)
{
	assert_true(wait_for(fd, flag, PATIENCE_MS) & flag);
}

static void give_fin(void)
{
	send_fin(way.from.peer);
	wait_for_flag(way.from.ours, POLLRDHUP);
}

static void give_reset(void)
{
	send_reset(&way.from.peer);
	wait_for_flag(way.from.ours, POLLERR);
}

/* ---- what splice says of a source
 * --------------------------------------------------------------
 */

static void bytes_go_through_a_pipe(void **state)
{
	(void)state;
	assert_int_equal(in(), -EAGAIN);
	assert_int_equal(out(), -EAGAIN); /* the pipe is empty */
	give("hello");
	assert_int_equal(in(), 5);
	assert_int_equal(in_pipe(way.pipe[0]), 5);
	assert_int_equal(out(), 5);
	expect_text(way.to.peer, "hello");
}

static void an_end_of_file_is_a_zero_behind_the_bytes(void **state)
{
	(void)state;
	give("tail");
	give_fin();
	assert_int_equal(in(), 4);
	assert_int_equal(out(), 4);
	assert_int_equal(in(), 0);
	assert_int_equal(in(), 0);
}

/* An error is told once, then it looks like an end of file. */
static void a_reset_is_told_once_behind_the_bytes(void **state)
{
	(void)state;
	give("last");
	give_reset();
	assert_int_equal(in(), 4);
	assert_int_equal(out(), 4);
	assert_int_equal(in(), -ECONNRESET);
	assert_int_equal(in(), 0);
}

static void a_reset_that_was_told_elsewhere_is_a_zero(void **state)
{
	(void)state;
	give_reset();
	assert_int_equal(sock_take_error(way.from.ours), -ECONNRESET);
	assert_int_equal(in(), 0);
}

static void a_reset_behind_a_fin_is_a_zero(void **state)
{
	(void)state;
	give_fin();
	put(way.from.ours, "unread"); /* or a close would send no reset */
	send_reset(&way.from.peer);
	wait_for_flag(way.from.ours, POLLERR);
	assert_int_equal(in(), 0);
	assert_int_not_equal(sock_take_error(way.from.ours), 0);
}

/* ---- what splice says of a sink
 * ----------------------------------------------------------------
 */

static void fill_pipe(const char *text)
{
	give(text);
	assert_int_equal(in(), strlen(text));
}

static void a_sink_that_was_finished_leaves_the_bytes_in_the_pipe(void **state)
{
	(void)state;
	fill_pipe("late");
	assert_int_equal(sock_finish(way.to.ours), 0);
	assert_int_equal(out(), -EPIPE);
	assert_int_equal(in_pipe(way.pipe[0]), 4);
}

static void a_sink_that_was_reset_leaves_the_bytes_in_the_pipe(void **state)
{
	(void)state;
	fill_pipe("late");
	send_reset(&way.to.peer);
	wait_for_flag(way.to.ours, POLLERR);
	assert_int_equal(out(), -ECONNRESET);
	assert_int_equal(out(), -EPIPE);
	assert_int_equal(in_pipe(way.pipe[0]), 4);
}

static void splice_out_in_a_child(void)
{
	(void)signal(SIGPIPE, SIG_DFL);
	(void)out();
}

/* There is no MSG_NOSIGNAL for it. */
static void a_sink_that_is_gone_is_a_signal(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	fill_pipe("late");
	assert_int_equal(sock_finish(way.to.ours), 0);
	child = fork();
	if (child == 0) {
		splice_out_in_a_child();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGPIPE);
}

static void a_full_sink_leaves_the_bytes_in_the_pipe(void **state)
{
	(void)state;
	close_pair(&way.to);
	way.to = small_tcp_pair();
	(void)fill(way.to.ours);
	fill_pipe("kept");
	assert_int_equal(out(), -EAGAIN);
	assert_int_equal(in_pipe(way.pipe[0]), 4);
}

/* SPLICE_F_NONBLOCK is about the pipe. */
static void a_blocking_socket_blocks(void **state)
{
	const struct timeval patience = { .tv_usec = 300000 };
	struct timespec before, after;

	(void)state;
	assert_int_equal(fcntl(way.from.ours, F_SETFL, 0), 0);
	assert_int_equal(
		setsockopt(way.from.ours, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(in(), -EAGAIN);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			    (after.tv_nsec - before.tv_nsec) / 1000000 >
		    200);
}

/* Why the last bytes must not be sent with it. */
static void more_holds_bytes_back_until_the_fin(void **state)
{
	(void)state;
	for (int tries = 0; tries < 5; tries++) { /* the kernel lets go by itself after 0.2 s */
		fill_pipe("last");
		assert_int_equal(spliced(way.pipe[0], way.to.ours, ASKED, SPLICE_F_MORE), 4);
		if (wait_for(way.to.peer, POLLIN, SETTLE_MS) == 0) {
			assert_int_equal(sock_finish(way.to.ours), 0);
			expect_text(way.to.peer, "last");
			return;
		}
		expect_text(way.to.peer, "last");
	}
	fail_msg("SPLICE_F_MORE never held anything back");
}

/* ---- EAGAIN, with bytes in the pipe
 * ------------------------------------------------------------
 */

/* Until nothing goes in any more, with something left in the source. */
static void stuff_pipe(void)
{
	ssize_t length;

	do {
		(void)write_some(way.from.peer);
		sleep_ms(SETTLE_MS);
		while ((length = in()) > 0)
			;
	} while (sock_unread(way.from.ours) == 0);
	assert_int_equal(length, -EAGAIN);
}

static void a_full_pipe_hides_bytes(void **state)
{
	(void)state;
	stuff_pipe();
	assert_true(sock_unread(way.from.ours) > 0);
	assert_int_equal(in(), -EAGAIN);
}

static void stuff_pipe_just_so(void)
{
	ssize_t length;

	give("x"); /* each in a slot of its own */
	while ((length = in()) > 0)
		give("x");
	assert_int_equal(length, -EAGAIN);
	assert_int_equal(sock_unread(way.from.ours), 1);
}

static void a_full_pipe_hides_the_end_of_file(void **state)
{
	char byte;

	(void)state;
	stuff_pipe_just_so();
	give_fin();
	assert_int_equal(recv(way.from.ours, &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(in(), -EAGAIN);
	assert_int_equal(recv(way.from.ours, &byte, 1, MSG_DONTWAIT), 0);
}

static void a_full_pipe_hides_a_reset(void **state)
{
	char byte;

	(void)state;
	stuff_pipe_just_so();
	assert_int_equal(recv(way.from.ours, &byte, 1, MSG_DONTWAIT), 1);
	give_reset();
	assert_int_equal(in(), -EAGAIN);
	assert_int_equal(recv(way.from.ours, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

/* ---- slots
 * -------------------------------------------------------------------------------------
 */

/* A slot for each fragment: the pipe is full long before its bytes. So a splice that brings less
 * than was asked for, or than the pipe has room for, does not say that the source is empty. */
static void a_short_splice_does_not_mean_empty(void **state)
{
	ssize_t length;

	(void)state;
	for (int i = 0; i < 200; i++)
		put(way.from.peer, "x"); /* each in a segment, as the peer waits for none */
	wait_unread(way.from.ours, 200);
	assert_int_equal(fcntl(way.pipe[1], F_SETPIPE_SZ, 4096), 4096);
	length = in();
	assert_in_range(length, 1, 199);
	assert_int_equal(sock_unread(way.from.ours), 200 - length);
}

static void the_size_of_a_pipe_is_a_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(fcntl(way.pipe[1], F_SETPIPE_SZ, 4097), 8192);
	assert_int_equal(fcntl(way.pipe[1], F_SETPIPE_SZ, 100000), 131072);
	assert_int_equal(fcntl(way.pipe[0], F_GETPIPE_SZ), 131072);
}

/* ---- urgent marks
 * ------------------------------------------------------------------------------
 */

static void give_a_mark(void)
{
	int yes = 1;

	assert_int_equal(setsockopt(way.from.ours, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes), 0);
	give("ab");
	put_urgent(way.from.peer, "c");
	put(way.from.peer, "de");
	wait_unread(way.from.ours, 5);
	assert_int_equal(in(), 2);
	assert_int_equal(out(), 2);
}

static void a_mark_reads_as_empty_for_ever(void **state)
{
	char bytes[8];

	(void)state;
	give_a_mark();
	for (int i = 0; i < 3; i++)
		assert_int_equal(in(), -EAGAIN);
	assert_true(wait_for(way.from.ours, POLLIN | POLLPRI, 0) & POLLIN);
	assert_true(wait_for(way.from.ours, POLLIN | POLLPRI, 0) & POLLPRI);
	/* A read of what is behind it is the cure. */
	assert_int_equal(recv(way.from.ours, bytes, 1, MSG_DONTWAIT), 1);
	assert_int_equal(bytes[0], 'c');
	assert_int_equal(in(), 2);
}

static void a_mark_and_a_fin_are_a_false_end_of_file(void **state)
{
	(void)state;
	give_a_mark();
	give_fin();
	assert_int_equal(in(), 0);
	expect_text(way.from.ours, "cde"); /* and here they are */
	expect_result(way.from.ours, 0);
	assert_int_equal(in(), 0);
}

static void a_mark_and_a_reset_are_told_before_the_bytes(void **state)
{
	(void)state;
	give_a_mark();
	give_reset();
	assert_int_equal(in(), -ECONNRESET);
	expect_text(way.from.ours, "cde");
	expect_result(way.from.ours, 0); /* which is no end of file: the error was told */
}

/* ---- the pool
 * ----------------------------------------------------------------------------------
 */

static void a_pipe_of_the_pool(void **state)
{
	size_t before = count_descriptors();
	struct pipes pipes;
	struct pipe *pipe;

	(void)state;
	pipes_init(&pipes, 4);
	assert_int_equal(count_descriptors(), before);
	pipe = pipes_take(&pipes);
	assert_non_null(pipe);
	for (int end = 0; end < 2; end++) {
		assert_true(fcntl(pipe->fds[end], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(pipe->fds[end], F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(pipe->room, fcntl(pipe->fds[0], F_GETPIPE_SZ));
	assert_in_range(pipe->room, PIPES_BYTES_MIN, PIPES_BYTES);
	assert_int_equal(pipe->used, 0);
	assert_int_equal(write(pipe->fds[1], "way", 3), 3);
	assert_int_equal(in_pipe(pipe->fds[0]), 3);
	pipe->used = 3;
	pipes_give(&pipes, pipe);
	pipes_fini(&pipes);
	assert_int_equal(count_descriptors(), before);
}

static void there_are_no_more_than_may_be(void **state)
{
	size_t before = count_descriptors();
	struct pipe *taken[3];
	struct pipes pipes;

	(void)state;
	pipes_init(&pipes, 3);
	for (int i = 0; i < 3; i++) {
		taken[i] = pipes_take(&pipes);
		assert_non_null(taken[i]);
	}
	assert_int_equal(pipes.open, 3);
	assert_null(pipes_take(&pipes));
	assert_int_equal(count_descriptors(), before + 6);
	pipes_give(&pipes, taken[1]);
	assert_ptr_equal(pipes_take(&pipes), taken[1]);
	assert_null(pipes_take(&pipes));
	for (int i = 0; i < 3; i++)
		pipes_give(&pipes, taken[i]);
	pipes_give(&pipes, NULL);
	assert_int_equal(count_descriptors(), before + 6);
	pipes_fini(&pipes);
	assert_int_equal(count_descriptors(), before);
}

static void a_pool_of_none(void **state)
{
	struct pipes pipes;

	(void)state;
	pipes_init(&pipes, 0);
	assert_null(pipes_take(&pipes));
	pipes_fini(&pipes);
}

/* The next flow must not get what the last one left. */
static void a_pipe_with_bytes_in_it_is_closed(void **state)
{
	size_t before = count_descriptors();
	struct pipes pipes;
	struct pipe *pipe;

	(void)state;
	pipes_init(&pipes, 1);
	pipe = pipes_take(&pipes);
	assert_non_null(pipe);
	assert_int_equal(write(pipe->fds[1], "secret", 6), 6);
	pipe->used = 6;
	pipes_give(&pipes, pipe);
	assert_int_equal(pipes.open, 0);
	assert_int_equal(count_descriptors(), before);
	pipe = pipes_take(&pipes);
	assert_non_null(pipe);
	assert_int_equal(pipe->used, 0);
	assert_int_equal(in_pipe(pipe->fds[0]), 0);
	pipes_give(&pipes, pipe);
	pipes_fini(&pipes);
	assert_int_equal(count_descriptors(), before);
}

static void a_crowd_of_idle_pipes_is_closed(void **state)
{
	struct pipe *taken[PIPES_IDLE_MAX + 10];
	const size_t count = sizeof taken / sizeof *taken;
	size_t before = count_descriptors();
	struct pipes pipes;

	(void)state;
	pipes_init(&pipes, 10000);
	for (size_t i = 0; i < count; i++) {
		taken[i] = pipes_take(&pipes);
		assert_non_null(taken[i]);
	}
	for (size_t i = 0; i < count; i++)
		pipes_give(&pipes, taken[i]);
	assert_int_equal(pipes.open, PIPES_IDLE_MAX);
	assert_int_equal(count_descriptors(), before + 2 * (size_t)PIPES_IDLE_MAX);
	pipes_fini(&pipes);
	assert_int_equal(count_descriptors(), before);
}

static void a_pipe_comes_and_goes_for_ever(void **state)
{
	struct pipes pipes;
	struct pipe *first;

	(void)state;
	pipes_init(&pipes, 2);
	first = pipes_take(&pipes);
	pipes_give(&pipes, first);
	for (int i = 0; i < 10 * PIPES_IDLE_MAX; i++) {
		assert_ptr_equal(pipes_take(&pipes), first);
		assert_int_equal(pipes.open, 1);
		pipes_give(&pipes, first);
	}
	pipes_fini(&pipes);
}

/* ---- what the kernel refuses
 * -------------------------------------------------------------------
 */

/* So many takes in vain are the most until it is asked again. */
#define WHILE 100000

static bool gets_one_in_a_while(struct pipes *pipes)
{
	struct pipe *pipe = NULL;

	for (int i = 0; i < WHILE && !pipe; i++)
		pipe = pipes_take(pipes);
	pipes_give(pipes, pipe);
	return pipe != NULL;
}

static void run_out_of_descriptors(void)
{
	struct rlimit limit;
	struct pipes pipes;
	size_t before;
	int held[2];

	pipes_init(&pipes, 8);
	CHILD_CHECK(pipe2(held, O_CLOEXEC) == 0);
	CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)held[1] + 1;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (dup(held[0]) >= 0) /* those below */
		;
	before = count_descriptors();
	for (int i = 0; i < 10; i++)
		CHILD_CHECK(!pipes_take(&pipes));
	CHILD_CHECK(pipes.open == 0);
	(void)close(held[0]); /* one is not enough: none may be lost */
	CHILD_CHECK(!gets_one_in_a_while(&pipes));
	CHILD_CHECK(count_descriptors() == before - 1);
	(void)close(held[1]);
	/* It is not asked each time, which would cost a call each time. */
	CHILD_CHECK(!pipes_take(&pipes));
	CHILD_CHECK(gets_one_in_a_while(&pipes));
	pipes_fini(&pipes);
	CHILD_CHECK(count_descriptors() == before - 2);
}

static void no_descriptors_no_pipe(void **state)
{
	(void)state;
	run_in_child(run_out_of_descriptors);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	char text[32] = "";

	if (!file)
		return 0;
	(void)!fgets(text, sizeof text, file);
	(void)fclose(file);
	return strtol(text, NULL, 10);
}

static long soft_pages;

/* As a user of its own, whose pages nobody else uses. */
static void run_out_of_pages(void)
{
	static int held[256][2];
	const long each = 256; /* pages of a pipe of 1 MiB */
	struct pipes pipes;
	size_t before;
	int small[2];

	CHILD_CHECK(setgroups(0, NULL) == 0);
	CHILD_CHECK(setresuid(600000 + (uid_t)getpid(), 600000 + (uid_t)getpid(),
			      600000 + (uid_t)getpid()) == 0);
	for (long i = 0; i < soft_pages / each; i++) {
		CHILD_CHECK(pipe2(held[i], O_CLOEXEC) == 0);
		if (fcntl(held[i][1], F_SETPIPE_SZ, each * 4096) < 0)
			(void)fcntl(held[i][1], F_SETPIPE_SZ, each * 2048);
	}
	for (long i = 0; i < 64; i++) { /* what still fits */
		CHILD_CHECK(pipe2(small, O_CLOEXEC) == 0);
		if (fcntl(small[1], F_GETPIPE_SZ) < DEFAULT_SIZE)
			break;
	}
	/* The kernel's facts. */
	CHILD_CHECK(fcntl(small[1], F_GETPIPE_SZ) < DEFAULT_SIZE);
	CHILD_CHECK(fcntl(small[1], F_SETPIPE_SZ, DEFAULT_SIZE) == -1 && errno == EPERM);

	before = count_descriptors();
	pipes_init(&pipes, 8);
	for (int i = 0; i < 10; i++)
		CHILD_CHECK(!pipes_take(&pipes));
	CHILD_CHECK(pipes.open == 0 && count_descriptors() == before);
	for (long i = 0; i < soft_pages / each; i++) {
		(void)close(held[i][0]);
		(void)close(held[i][1]);
	}
	CHILD_CHECK(gets_one_in_a_while(&pipes));
	pipes_fini(&pipes);
}

static void pages_used_up_no_pipe(void **state)
{
	(void)state;
	soft_pages = read_number("/proc/sys/fs/pipe-user-pages-soft");
	if (geteuid() != 0 || soft_pages < 512 || soft_pages > 65536 ||
	    read_number("/proc/sys/fs/pipe-max-size") < 1 << 20)
		skip();
	run_in_child(run_out_of_pages);
}

#define WAY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WAY_TEST(bytes_go_through_a_pipe),
		WAY_TEST(an_end_of_file_is_a_zero_behind_the_bytes),
		WAY_TEST(a_reset_is_told_once_behind_the_bytes),
		WAY_TEST(a_reset_that_was_told_elsewhere_is_a_zero),
		WAY_TEST(a_reset_behind_a_fin_is_a_zero),
		WAY_TEST(a_sink_that_was_finished_leaves_the_bytes_in_the_pipe),
		WAY_TEST(a_sink_that_was_reset_leaves_the_bytes_in_the_pipe),
		WAY_TEST(a_sink_that_is_gone_is_a_signal),
		WAY_TEST(a_full_sink_leaves_the_bytes_in_the_pipe),
		WAY_TEST(a_blocking_socket_blocks),
		WAY_TEST(more_holds_bytes_back_until_the_fin),
		WAY_TEST(a_full_pipe_hides_bytes),
		WAY_TEST(a_full_pipe_hides_the_end_of_file),
		WAY_TEST(a_full_pipe_hides_a_reset),
		WAY_TEST(a_short_splice_does_not_mean_empty),
		WAY_TEST(the_size_of_a_pipe_is_a_power_of_two),
		WAY_TEST(a_mark_reads_as_empty_for_ever),
		WAY_TEST(a_mark_and_a_fin_are_a_false_end_of_file),
		WAY_TEST(a_mark_and_a_reset_are_told_before_the_bytes),
		cmocka_unit_test(a_pipe_of_the_pool),
		cmocka_unit_test(there_are_no_more_than_may_be),
		cmocka_unit_test(a_pool_of_none),
		cmocka_unit_test(a_pipe_with_bytes_in_it_is_closed),
		cmocka_unit_test(a_crowd_of_idle_pipes_is_closed),
		cmocka_unit_test(a_pipe_comes_and_goes_for_ever),
		cmocka_unit_test(no_descriptors_no_pipe),
		cmocka_unit_test(pages_used_up_no_pipe),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("io/pipes", tests, NULL, NULL);
}
