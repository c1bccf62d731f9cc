/*
 * io/pump between real sockets: no byte lost or out of order whatever the sink takes, what a short
 * read means, and every fact in the report, with the memory that rests take.
 */
#include <finback/io/pump.h>

#include <signal.h>

#include "io/pump_private.h"
#include "peers.h"

/* One flow: what `from.peer` writes is carried to what `to.peer` reads. */
struct flow_under_test {
	struct pump pump;
	struct pair from;
	struct pair to;
	struct rest *rest;
	struct gait gait;
	struct pump_report report;
};

static struct flow_under_test flow;

static int set_up(void **state)
{
	(void)state;
	flow = (struct flow_under_test){ .from = tcp_pair(), .to = tcp_pair() };
	if (pump_init(&flow.pump, 0) < 0) /* without a pipe it copies */
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_DFL);
	pump_drop(&flow.pump, flow.rest);
	flow.rest = NULL;
	close_pair(&flow.from);
	close_pair(&flow.to);
	pump_fini(&flow.pump);
	return flow.pump.rest_bytes == 0 ? 0 : -1;
}

static void replace(struct pair *pair, struct pair by)
{
	close_pair(pair);
	*pair = by;
}

static struct pump_flow flow_now(size_t limit, unsigned hints)
{
	return (struct pump_flow){
		.source = flow.from.ours,
		.sink = flow.to.ours,
		.limit = limit,
		.hints = hints,
		.gait = &flow.gait,
		.rest = flow.rest,
	};
}

static void carry_with(size_t limit, unsigned hints)
{
	struct pump_flow now = flow_now(limit, hints);

	memset(&flow.report, 0x55, sizeof flow.report);
	pump_carry(&flow.pump, &now, &flow.report);
	flow.rest = now.rest;
}

static void carry(size_t limit, bool is_thorough)
{
	carry_with(limit, is_thorough ? PUMP_THOROUGH : 0);
}

static void flush(void)
{
	struct pump_flow now = flow_now(0, 0);

	memset(&flow.report, 0x55, sizeof flow.report);
	pump_flush(&flow.pump, &now, &flow.report);
	flow.rest = now.rest;
}

static void drop(void)
{
	pump_drop(&flow.pump, flow.rest);
	flow.rest = NULL;
}

static void discard(void)
{
	memset(&flow.report, 0x55, sizeof flow.report);
	pump_discard(&flow.pump, flow.from.ours, &flow.report);
}

static void expect_report(const struct pump_report *expected)
{
	assert_int_equal(flow.report.read, expected->read);
	assert_int_equal(flow.report.wrote, expected->wrote);
	assert_int_equal(flow.report.source, expected->source);
	if (expected->source == PUMP_SOURCE_ERROR)
		assert_int_equal(flow.report.source_error, expected->source_error);
	assert_int_equal(flow.report.sink_error, expected->sink_error);
	assert_int_equal(flow.report.is_sink_full, expected->is_sink_full);
}

#define EXPECT(...) expect_report(&(struct pump_report){ __VA_ARGS__ })

static void give(const char *text)
{
	put_through(&flow.from, text);
}

static void give_many(size_t count)
{
	static const char bytes[4 * PUMP_BUFFER_BYTES];
	int room = 4 * PUMP_BUFFER_BYTES;

	assert_true(count <= sizeof bytes);
	(void)setsockopt(flow.from.ours, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	assert_int_equal(send(flow.from.peer, bytes, count, MSG_NOSIGNAL), count);
	wait_unread(flow.from.ours, (uint32_t)count);
}

/* ---- what a read says -------------------------------------------------------------------------
 */

static void a_message_is_carried_at_once(void **state)
{
	(void)state;
	give("hello");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 5, .wrote = 5, .source = PUMP_SOURCE_EMPTY);
	assert_null(flow.rest);
	assert_int_equal(flow.pump.rest_bytes, 0);
	expect_text(flow.to.peer, "hello");
}

static void nothing_to_read(void **state)
{
	(void)state;
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	discard();
	EXPECT(.source = PUMP_SOURCE_EMPTY);
}

static void a_short_read_means_nothing_to_the_thorough(void **state)
{
	(void)state;
	give("hello");
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.read = 5, .wrote = 5, .source = PUMP_SOURCE_MORE);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
}

static void a_full_read_means_more(void **state)
{
	(void)state;
	give("hello");
	carry(5, false);
	EXPECT(.read = 5, .wrote = 5, .source = PUMP_SOURCE_MORE);
	carry(5, false);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
}

static void no_read_takes_more_than_the_limit(void **state)
{
	(void)state;
	give("abcdefgh");
	carry(3, false);
	EXPECT(.read = 3, .wrote = 3, .source = PUMP_SOURCE_MORE);
	carry(1, false);
	EXPECT(.read = 1, .wrote = 1, .source = PUMP_SOURCE_MORE);
	carry(5, false);
	EXPECT(.read = 4, .wrote = 4, .source = PUMP_SOURCE_EMPTY);
	expect_text(flow.to.peer, "abcdefgh");
}

static void no_read_takes_more_than_the_buffer(void **state)
{
	(void)state;
	give_many(PUMP_BUFFER_BYTES + 1);
	carry(SIZE_MAX, false);
	assert_int_equal(flow.report.read, PUMP_BUFFER_BYTES);
	assert_int_equal(flow.report.source, PUMP_SOURCE_MORE);
	pump_drop(&flow.pump, flow.rest);
	flow.rest = NULL;
	carry(SIZE_MAX, false);
	assert_int_equal(flow.report.read, 1);
	assert_int_equal(flow.report.source, PUMP_SOURCE_EMPTY);
}

/* Their descriptors are non-blocking, and the pump does not rely on it. */
static void blocking_sockets_do_not_block(void **state)
{
	(void)state;
	assert_int_equal(fcntl(flow.from.ours, F_SETFL, 0), 0);
	assert_int_equal(fcntl(flow.to.ours, F_SETFL, 0), 0);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	(void)fill(flow.to.ours);
	give("hello");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 5, .source = PUMP_SOURCE_EMPTY, .is_sink_full = true);
}

/* ---- the end of file, errors -------------------------------------------------------------------
 */

static void the_end_of_file_comes_after_the_bytes(void **state)
{
	(void)state;
	give("tail");
	send_fin(flow.from.peer);
	assert_true(wait_for(flow.from.ours, POLLRDHUP, PATIENCE_MS) & POLLRDHUP);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.read = 4, .wrote = 4, .source = PUMP_SOURCE_MORE);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_END);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.source = PUMP_SOURCE_END);
	/* The pump passes no end of file on. */
	expect_text(flow.to.peer, "tail");
	assert_int_equal(wait_for(flow.to.peer, POLLIN, SETTLE_MS), 0);
}

/* tcpi_segs_in of TCP_INFO, which the C library's struct does not have yet. */
#define SEGS_IN_WORD 35

static uint32_t segments_at(int fd)
{
	uint32_t words[64] = { 0 };
	socklen_t length = sizeof words;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, words, &length), 0);
	assert_true(length > SEGS_IN_WORD * sizeof *words);
	return words[SEGS_IN_WORD];
}

/* The kernel lets go of the bytes by itself after a while, so a pause at the wrong moment parts
 * them: one success in a few tries will do. */
static void the_last_bytes_and_the_fin_share_a_segment(void **state)
{
	uint32_t segments = 0;

	(void)state;
	for (int tries = 0; tries < 5 && segments != 1; tries++) {
		replace(&flow.from, tcp_pair());
		replace(&flow.to, tcp_pair());
		give("tail");
		sleep_ms(SETTLE_MS);
		segments = segments_at(flow.to.peer);
		carry_with(PUMP_BUFFER_BYTES, PUMP_THOROUGH | PUMP_END_KNOWN);
		EXPECT(.read = 4, .wrote = 4, .source = PUMP_SOURCE_MORE);
		assert_int_equal(sock_finish(flow.to.ours), 0);
		assert_true(wait_for(flow.to.peer, POLLRDHUP, PATIENCE_MS) & POLLRDHUP);
		segments = segments_at(flow.to.peer) - segments;
		expect_text(flow.to.peer, "tail");
	}
	assert_int_equal(segments, 1);
}

static void a_reset_of_the_source_comes_after_the_bytes(void **state)
{
	(void)state;
	give("last");
	send_reset(&flow.from.peer);
	assert_true(wait_for(flow.from.ours, 0, PATIENCE_MS) & POLLERR);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.read = 4, .wrote = 4, .source = PUMP_SOURCE_MORE);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_ERROR, .source_error = -ECONNRESET);
	/* The error was told, so this is no end of file; the pump does not know. */
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_END);
	expect_text(flow.to.peer, "last");
}

/* No SIGPIPE, which nobody ignores here. */
static void a_reset_of_the_sink(void **state)
{
	(void)state;
	send_reset(&flow.to.peer);
	assert_true(wait_for(flow.to.ours, 0, PATIENCE_MS) & POLLERR);
	give("one");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 3, .source = PUMP_SOURCE_EMPTY, .sink_error = -ECONNRESET);
	assert_null(flow.rest);
	give("two");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 3, .source = PUMP_SOURCE_EMPTY, .sink_error = -EPIPE);
	assert_null(flow.rest);
	assert_int_equal(flow.pump.rest_bytes, 0);
}

static void a_sink_that_was_finished(void **state)
{
	(void)state;
	assert_int_equal(sock_finish(flow.to.ours), 0);
	give("late");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 4, .source = PUMP_SOURCE_EMPTY, .sink_error = -EPIPE);
}

static void an_error_of_the_sink_keeps_the_rest_for_its_owner(void **state)
{
	(void)state;
	replace(&flow.to, small_tcp_pair());
	(void)fill(flow.to.ours);
	give("kept");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 4, .source = PUMP_SOURCE_EMPTY, .is_sink_full = true);
	send_reset(&flow.to.peer);
	assert_true(wait_for(flow.to.ours, 0, PATIENCE_MS) & POLLERR);
	flush();
	EXPECT(.sink_error = -ECONNRESET);
	assert_non_null(flow.rest);
	assert_int_equal(flow.rest->ring->used, 4);
	drop();
}

static void descriptors_that_are_none(void **state)
{
	struct pump_flow bad;
	struct pump_report report;

	(void)state;
	give("x");
	bad = flow_now(10, 0);
	bad.source = -1;
	pump_carry(&flow.pump, &bad, &report);
	assert_int_equal(report.source, PUMP_SOURCE_ERROR);
	assert_int_equal(report.source_error, -EBADF);
	bad = flow_now(10, 0);
	bad.sink = -1;
	pump_carry(&flow.pump, &bad, &report);
	assert_int_equal(report.sink_error, -EBADF);
	assert_null(bad.rest);
}

/* ---- rests ------------------------------------------------------------------------------------
 */

static void what_the_sink_does_not_take_is_kept(void **state)
{
	(void)state;
	replace(&flow.to, small_tcp_pair());
	give_many(PUMP_BUFFER_BYTES);
	carry(PUMP_BUFFER_BYTES, false);
	assert_int_equal(flow.report.read, PUMP_BUFFER_BYTES);
	assert_true(flow.report.is_sink_full);
	assert_int_equal(flow.report.sink_error, 0);
	assert_in_range(flow.report.wrote, 1, PUMP_BUFFER_BYTES - 1);
	/* Just the size that is needed. */
	assert_non_null(flow.rest);
	assert_int_equal(flow.rest->ring->capacity, PUMP_BUFFER_BYTES - flow.report.wrote);
	assert_int_equal(flow.rest->ring->used, flow.rest->ring->capacity);
	assert_int_equal(flow.pump.rest_bytes, flow.rest->ring->capacity);
}

static void flushing_into_a_full_sink(void **state)
{
	(void)state;
	replace(&flow.to, small_tcp_pair());
	(void)fill(flow.to.ours);
	give("kept");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 4, .source = PUMP_SOURCE_EMPTY, .is_sink_full = true);
	flush();
	EXPECT(.is_sink_full = true);
	assert_int_equal(flow.rest->ring->used, 4);
	assert_int_equal(flow.pump.rest_bytes, 4);
}

static void rests_of_several_flows_add_up(void **state)
{
	struct pump_flow other;

	(void)state;
	replace(&flow.to, small_tcp_pair());
	(void)fill(flow.to.ours);
	give("four");
	carry(PUMP_BUFFER_BYTES, false);
	give("sixsix");
	other = flow_now(PUMP_BUFFER_BYTES, 0);
	other.rest = NULL;
	pump_carry(&flow.pump, &other, &flow.report);
	assert_int_equal(flow.pump.rest_bytes, 10);
	drop();
	assert_int_equal(flow.pump.rest_bytes, 6);
	drop(); /* NULL is fine */
	assert_int_equal(flow.pump.rest_bytes, 6);
	pump_drop(&flow.pump, other.rest);
	assert_int_equal(flow.pump.rest_bytes, 0);
}

/* ---- marks in the stream ------------------------------------------------------------------------
 */

/* Carries all there is now; returns after how many reads with bytes in them. */
static int carry_all(void)
{
	int reads = 0;

	do {
		carry(PUMP_BUFFER_BYTES, true);
		assert_int_equal(flow.report.wrote, flow.report.read);
		reads += flow.report.read > 0;
	} while (flow.report.source == PUMP_SOURCE_MORE);
	return reads;
}

static void an_urgent_mark_loses_nothing(void **state)
{
	(void)state;
	give("ab");
	put_urgent(flow.from.peer, "c");
	give("de");
	wait_unread(flow.from.ours, 5);
	assert_int_equal(carry_all(), 2);
	assert_int_equal(flow.report.source, PUMP_SOURCE_EMPTY);
	assert_true(wait_for(flow.to.peer, POLLIN, PATIENCE_MS) & POLLIN);
	sleep_ms(SETTLE_MS);
	expect_text(flow.to.peer, "abcde");
}

/* As a pump that is not thorough would take it: the mark reads like an empty source. */
static void an_urgent_mark_makes_a_short_read(void **state)
{
	(void)state;
	give("ab");
	put_urgent(flow.from.peer, "c");
	give("de");
	wait_unread(flow.from.ours, 5);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 2, .wrote = 2, .source = PUMP_SOURCE_EMPTY);
	assert_int_equal(sock_unread(flow.from.ours), 3);
}

static void put_with_descriptor(int fd, const char *text)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	char bytes[64];
	struct iovec part = { bytes, strlen(text) };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control.bytes,
	};

	memcpy(bytes, text, strlen(text));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), strlen(text));
}

/* A UNIX peer may send a descriptor along, and a read stops behind the bytes that came with it. The
 * descriptor is not for us; the bytes are. */
static void a_passed_descriptor_loses_nothing(void **state)
{
	size_t before;

	(void)state;
	replace(&flow.from, unix_pair());
	before = count_descriptors();
	put_with_descriptor(flow.from.peer, "ab");
	put(flow.from.peer, "cd");
	assert_int_equal(carry_all(), 2);
	assert_true(wait_for(flow.to.peer, POLLIN, PATIENCE_MS) & POLLIN);
	sleep_ms(SETTLE_MS);
	expect_text(flow.to.peer, "abcd");
	assert_int_equal(count_descriptors(), before);
}

/* ---- the way through a pipe -------------------------------------------------------------------
 */

static void expect_pipes(unsigned open, unsigned idle)
{
	assert_int_equal(flow.pump.pipes.open, open);
	assert_int_equal(flow.pump.pipes.idle_count, idle);
}

static int set_up_splicing(void **state)
{
	int result = set_up(state);

	flow.pump.way = PUMP_WAY_SPLICE;
	flow.pump.pipes.max = 4;
	(void)signal(SIGPIPE, SIG_IGN); /* splice(2) cannot do without */
	return result;
}

static void bytes_go_through_a_pipe(void **state)
{
	(void)state;
	give("hello");
	carry(1, false); /* nothing of memory is held, so the limit does not matter */
	EXPECT(.read = 5, .wrote = 5, .source = PUMP_SOURCE_MORE);
	expect_text(flow.to.peer, "hello");
	assert_null(flow.rest);
	expect_pipes(1, 1);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	send_fin(flow.from.peer);
	wait_for(flow.from.ours, POLLRDHUP, PATIENCE_MS);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_END);
	expect_pipes(1, 1);
}

static void stall_in_a_pipe(void)
{
	replace(&flow.to, small_tcp_pair());
	(void)fill(flow.to.ours);
	give("kept");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 4, .source = PUMP_SOURCE_MORE, .is_sink_full = true);
	assert_non_null(flow.rest);
	assert_non_null(flow.rest->pipe);
	assert_int_equal(flow.rest->pipe->used, 4);
	assert_int_equal(flow.pump.rest_bytes, 0);
	expect_pipes(1, 0);
}

static void a_pipe_keeps_what_the_sink_does_not_take(void **state)
{
	char bytes[65536];

	(void)state;
	stall_in_a_pipe();
	flush();
	EXPECT(.source = PUMP_SOURCE_MORE, .is_sink_full = true);
	assert_int_equal(flow.rest->pipe->used, 4);
	while (flow.rest) {
		assert_true(get(flow.to.peer, bytes, sizeof bytes) > 0);
		flush();
	}
	EXPECT(.wrote = 4, .source = PUMP_SOURCE_MORE);
	expect_pipes(1, 1);
}

static void a_pipe_that_is_dropped_is_closed(void **state)
{
	(void)state;
	stall_in_a_pipe();
	drop();
	expect_pipes(0, 0);
}

static void an_error_of_the_sink_with_bytes_in_a_pipe(void **state)
{
	(void)state;
	stall_in_a_pipe();
	send_reset(&flow.to.peer);
	assert_true(wait_for(flow.to.ours, 0, PATIENCE_MS) & POLLERR);
	flush();
	EXPECT(.source = PUMP_SOURCE_MORE, .sink_error = -ECONNRESET);
	assert_non_null(flow.rest);
	drop();
	expect_pipes(0, 0);
}

/* What was in the pipe is lost with it; nobody else gets it. */
static void an_error_of_the_sink_that_is_found_at_once(void **state)
{
	(void)state;
	assert_int_equal(sock_finish(flow.to.ours), 0);
	give("late");
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 4, .source = PUMP_SOURCE_MORE, .sink_error = -EPIPE);
	assert_null(flow.rest);
	expect_pipes(0, 0);
}

static void a_flow_that_gets_no_pipe_is_copied(void **state)
{
	(void)state;
	flow.pump.pipes.max = 0;
	give("hello");
	carry(3, false);
	EXPECT(.read = 3, .wrote = 3, .source = PUMP_SOURCE_MORE);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 2, .wrote = 2, .source = PUMP_SOURCE_EMPTY);
	expect_text(flow.to.peer, "hello");
	expect_pipes(0, 0);
}

static size_t let_all_pass(void *owner, unsigned char *bytes, size_t size, unsigned char **ret_at)
{
	*(size_t *)owner += size;
	*ret_at = bytes;
	return size;
}

static void what_is_filtered_is_copied(void **state)
{
	struct pump_flow now = flow_now(PUMP_BUFFER_BYTES, 0);
	size_t seen = 0;
	const struct pump_filter filter = { let_all_pass, &seen };

	(void)state;
	give("hello");
	now.filter = &filter;
	pump_carry(&flow.pump, &now, &flow.report);
	EXPECT(.read = 5, .wrote = 5, .source = PUMP_SOURCE_EMPTY);
	assert_int_equal(seen, 5);
	expect_pipes(0, 0);
}

static void give_a_mark(void)
{
	give("ab");
	put_urgent(flow.from.peer, "c");
	put(flow.from.peer, "de");
	wait_unread(flow.from.ours, 5);
	carry(PUMP_BUFFER_BYTES, false);
	EXPECT(.read = 2, .wrote = 2, .source = PUMP_SOURCE_MORE);
	carry(PUMP_BUFFER_BYTES, false); /* an event is on its way that tells of the mark */
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	expect_text(flow.to.peer, "ab");
}

static void an_urgent_mark_is_copied_past(void **state)
{
	(void)state;
	give_a_mark();
	carry_with(PUMP_BUFFER_BYTES, PUMP_THOROUGH | PUMP_COPY);
	EXPECT(.read = 3, .wrote = 3, .source = PUMP_SOURCE_MORE);
	expect_text(flow.to.peer, "cde");
}

/* Found together, before anybody told of the mark: the zero that splice(2) returns is no end. */
static void an_urgent_mark_and_the_fin(void **state)
{
	(void)state;
	give_a_mark();
	send_fin(flow.from.peer);
	assert_true(wait_for(flow.from.ours, POLLRDHUP, PATIENCE_MS) & POLLRDHUP);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.read = 3, .wrote = 3, .source = PUMP_SOURCE_MORE);
	expect_text(flow.to.peer, "cde");
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_END);
}

/* The error is told before the bytes, and then only a copy finds them. */
static void an_urgent_mark_and_a_reset(void **state)
{
	(void)state;
	give_a_mark();
	send_reset(&flow.from.peer);
	assert_true(wait_for(flow.from.ours, 0, PATIENCE_MS) & POLLERR);
	carry(PUMP_BUFFER_BYTES, true);
	EXPECT(.source = PUMP_SOURCE_ERROR, .source_error = -ECONNRESET);
	carry_with(PUMP_BUFFER_BYTES, PUMP_THOROUGH | PUMP_COPY);
	EXPECT(.read = 3, .wrote = 3, .source = PUMP_SOURCE_MORE);
	expect_text(flow.to.peer, "cde");
	carry_with(PUMP_BUFFER_BYTES, PUMP_THOROUGH | PUMP_COPY);
	EXPECT(.source = PUMP_SOURCE_END);
}

static void a_flow_of_bulk_is_spliced(void **state)
{
	static char bytes[GAIT_BULK_BYTES];
	size_t landed = 0;

	(void)state;
	flow.pump.way = PUMP_WAY_AUTO;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(flow.pump.pipes.open, 0);
		give_many(sizeof bytes);
		carry(PUMP_BUFFER_BYTES, false);
		assert_int_equal(flow.report.wrote, sizeof bytes);
		for (landed = 0; landed < sizeof bytes;)
			landed += (size_t)get(flow.to.peer, bytes, sizeof bytes);
	}
	expect_pipes(1, 1);
}

/* ---- throwing away ------------------------------------------------------------------------------
 */

static void discarding(void **state)
{
	(void)state;
	give("gone");
	discard();
	EXPECT(.read = 4, .source = PUMP_SOURCE_MORE);
	discard();
	EXPECT(.source = PUMP_SOURCE_EMPTY);
	give("gone");
	send_fin(flow.from.peer);
	discard();
	EXPECT(.read = 4, .source = PUMP_SOURCE_MORE);
	assert_true(wait_for(flow.from.ours, POLLRDHUP, PATIENCE_MS) & POLLRDHUP);
	discard();
	EXPECT(.source = PUMP_SOURCE_END);
	assert_int_equal(wait_for(flow.to.peer, POLLIN, SETTLE_MS), 0);
}

static void discarding_up_to_a_reset(void **state)
{
	(void)state;
	give("gone");
	send_reset(&flow.from.peer);
	assert_true(wait_for(flow.from.ours, 0, PATIENCE_MS) & POLLERR);
	discard();
	EXPECT(.read = 4, .source = PUMP_SOURCE_MORE);
	discard();
	EXPECT(.source = PUMP_SOURCE_ERROR, .source_error = -ECONNRESET);
}

/* ---- random runs against a model ----------------------------------------------------------------
 */

#define RUN_BYTES (3u << 20)
#define STEP_MAX  40000

/* The stream is a function of the position, so that the model is two numbers. */
static unsigned char byte_at(size_t position)
{
	return (unsigned char)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

struct model {
	unsigned seed;
	size_t sent;   /* by the source's peer */
	size_t read;   /* by the pump */
	size_t wrote;  /* by the pump */
	size_t landed; /* at the sink's peer */
};

static size_t any_up_to(struct model *model, size_t most)
{
	model->seed = model->seed * 1103515245u + 12345u;
	return 1 + (model->seed >> 8) % most;
}

static void send_some(struct model *model)
{
	static unsigned char bytes[STEP_MAX];
	size_t count = any_up_to(model, STEP_MAX);
	ssize_t length;

	if (count > RUN_BYTES - model->sent)
		count = RUN_BYTES - model->sent;
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		bytes[i] = byte_at(model->sent + i);
	length = send(flow.from.peer, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (length > 0)
		model->sent += (size_t)length;
	if (model->sent == RUN_BYTES)
		send_fin(flow.from.peer);
}

static void land_some(struct model *model)
{
	static unsigned char bytes[STEP_MAX];
	ssize_t length = recv(flow.to.peer, bytes, any_up_to(model, STEP_MAX), MSG_DONTWAIT);

	for (ssize_t i = 0; i < length; i++)
		if (bytes[i] != byte_at(model->landed + (size_t)i))
			fail_msg("byte %zu is not what was sent", model->landed + (size_t)i);
	if (length > 0)
		model->landed += (size_t)length;
}

static size_t held(void)
{
	if (!flow.rest)
		return 0;
	return flow.rest->pipe ? flow.rest->pipe->used : flow.rest->ring->used;
}

/* One step of the pump. Returns whether the end of file was read. */
static bool move(struct model *model)
{
	size_t limit = any_up_to(model, STEP_MAX);

	if (flow.rest) {
		size_t before = held();

		flush();
		assert_int_equal(flow.report.read, 0);
		assert_int_equal(flow.report.is_sink_full, flow.rest != NULL);
		assert_int_equal(held(), before - flow.report.wrote);
	} else {
		carry(limit, true);
		assert_true(flow.report.read <= limit || flow.pump.way != PUMP_WAY_COPY);
		assert_int_equal(flow.report.is_sink_full, flow.rest != NULL);
		assert_int_equal(held(), flow.report.read - flow.report.wrote);
		assert_int_not_equal(flow.report.source, PUMP_SOURCE_ERROR);
	}
	assert_int_equal(flow.report.sink_error, 0);
	assert_int_equal(flow.pump.rest_bytes,
			 flow.rest && flow.rest->ring ? flow.rest->ring->capacity : 0);
	model->read += flow.report.read;
	model->wrote += flow.report.wrote;
	assert_int_equal(model->read - model->wrote, held());
	return flow.report.source == PUMP_SOURCE_END;
}

static void run(unsigned seed)
{
	struct model model = { .seed = seed };
	bool is_ended = false;
	int fulls = 0;

	for (long step = 0; model.landed < RUN_BYTES || !is_ended; step++) {
		assert_true(step < 2000000);
		switch (any_up_to(&model, 5)) {
		case 1:
		case 2:
			send_some(&model);
			break;
		case 3:
			land_some(&model);
			break;
		default:
			is_ended |= move(&model);
			fulls += flow.report.is_sink_full;
			break;
		}
	}
	assert_int_equal(model.read, RUN_BYTES);
	assert_int_equal(model.wrote, RUN_BYTES);
	assert_null(flow.rest);
	assert_true(fulls > 10); /* or the run has shown nothing */
	assert_int_equal(flow.pump.pipes.open, flow.pump.pipes.idle_count);
	assert_true(flow.pump.way == PUMP_WAY_COPY || flow.pump.pipes.open == 1);
}

static const enum pump_way ways[] = { PUMP_WAY_COPY, PUMP_WAY_SPLICE, PUMP_WAY_RANDOM };
#define WAYS (sizeof ways / sizeof *ways)

static void random_runs_over_tcp(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 2 * WAYS; seed++) {
		flow.pump.way = ways[seed % WAYS];
		replace(&flow.from, tcp_pair());
		replace(&flow.to, small_tcp_pair());
		run(seed);
	}
}

static void random_runs_over_unix_sockets(void **state)
{
	int few = 8192;

	(void)state;
	for (unsigned seed = 11; seed <= 10 + 2 * WAYS; seed++) {
		flow.pump.way = ways[seed % WAYS];
		replace(&flow.from, unix_pair());
		replace(&flow.to, unix_pair());
		assert_int_equal(setsockopt(flow.to.ours, SOL_SOCKET, SO_SNDBUF, &few, sizeof few),
				 0);
		run(seed);
	}
}

#define PUMP_TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SPLICE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_splicing, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PUMP_TEST(a_message_is_carried_at_once),
		PUMP_TEST(nothing_to_read),
		PUMP_TEST(a_short_read_means_nothing_to_the_thorough),
		PUMP_TEST(a_full_read_means_more),
		PUMP_TEST(no_read_takes_more_than_the_limit),
		PUMP_TEST(no_read_takes_more_than_the_buffer),
		PUMP_TEST(blocking_sockets_do_not_block),
		PUMP_TEST(the_end_of_file_comes_after_the_bytes),
		PUMP_TEST(the_last_bytes_and_the_fin_share_a_segment),
		PUMP_TEST(a_reset_of_the_source_comes_after_the_bytes),
		PUMP_TEST(a_reset_of_the_sink),
		PUMP_TEST(a_sink_that_was_finished),
		PUMP_TEST(an_error_of_the_sink_keeps_the_rest_for_its_owner),
		PUMP_TEST(descriptors_that_are_none),
		PUMP_TEST(what_the_sink_does_not_take_is_kept),
		PUMP_TEST(flushing_into_a_full_sink),
		PUMP_TEST(rests_of_several_flows_add_up),
		PUMP_TEST(an_urgent_mark_loses_nothing),
		PUMP_TEST(an_urgent_mark_makes_a_short_read),
		PUMP_TEST(a_passed_descriptor_loses_nothing),
		SPLICE_TEST(bytes_go_through_a_pipe),
		SPLICE_TEST(a_pipe_keeps_what_the_sink_does_not_take),
		SPLICE_TEST(a_pipe_that_is_dropped_is_closed),
		SPLICE_TEST(an_error_of_the_sink_with_bytes_in_a_pipe),
		SPLICE_TEST(an_error_of_the_sink_that_is_found_at_once),
		SPLICE_TEST(a_flow_that_gets_no_pipe_is_copied),
		SPLICE_TEST(what_is_filtered_is_copied),
		SPLICE_TEST(an_urgent_mark_is_copied_past),
		SPLICE_TEST(an_urgent_mark_and_the_fin),
		SPLICE_TEST(an_urgent_mark_and_a_reset),
		SPLICE_TEST(a_flow_of_bulk_is_spliced),
		PUMP_TEST(discarding),
		PUMP_TEST(discarding_up_to_a_reset),
		SPLICE_TEST(random_runs_over_tcp),
		SPLICE_TEST(random_runs_over_unix_sockets),
	};

	return cmocka_run_group_tests_name("io/pump", tests, NULL, NULL);
}
