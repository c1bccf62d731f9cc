/* A user's own line protocol: with an answer and without one, towards either side. */
#include <finback/engine/probe.h>

#include "probe_harness.h"

static const struct probe_settings asking = {
	.protocol = PROBE_LINES,
	.send = "NOOP\r\n",
	.send_size = 6,
	.expect = "OK\r\n",
	.expect_size = 4,
};

static const struct probe_settings silent = {
	.protocol = PROBE_LINES,
	.send = "\r\n",
	.send_size = 2,
};

/* One request at a time, and two in one read; answers of a line and of many, one that begins as the
 * expected one does and one that is the same. */
static const struct run exchange[] = {
	FROM_SERVER("hello\r\n"),
	FROM_CLIENT("LIST\r\n"),
	FROM_SERVER("1 a\r\n2 b\r\n.\r\n"),
	FROM_CLIENT("NOOP\r\nSIZE a\n"),
	FROM_SERVER("OK\r\nOK 17\r\n"),
	FROM_CLIENT("\xc3\xa9\t\r\n"),
	FROM_SERVER("OKAY\n"),
};

/* A server that asks, and a client that answers. */
static const struct run poll[] = {
	FROM_CLIENT("I am 7\n"), FROM_SERVER("status\nstatus\n"), FROM_CLIENT("idle\nOK\r\n"),
	FROM_SERVER("status\n"), FROM_CLIENT("busy\n"),
};

static void test_exchanges(void **state)
{
	const struct recording recordings[] = {
		/* After the greeting, no request was seen yet. Then at each end of an answer, of
		 * which the first has three lines; after the two requests, only once. */
		{ &asking, SERVER, RUNS(exchange), "OK\r\n", 4, 5 },
		{ &asking, CLIENT, RUNS(poll), "OK\r\n", 4, 2 },
		/* Anywhere but in a line of the client's. */
		{ &silent, SERVER, RUNS(exchange), NULL, 0, 33 },
		{ &silent, CLIENT, RUNS(poll), NULL, 0, 17 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

/* A talk that has come to where a probe may go. */
static void begin(struct talk *talk)
{
	talk_start(talk, &asking, SERVER);
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "hello\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, "HELO me\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "hello me\r");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "\n");
	assert_true(talk_may(talk));
}

static void test_not_while_a_request_is_unanswered(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk);
	SAYS(&talk, CLIENT, "a\r\nb\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "1\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "2\r\n");
	SAYS(&talk, CLIENT, "c");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "3\n");
	PROBES(&talk, "NOOP\r\n");
	assert_false(talk_may(&talk));
	ANSWERS(&talk, "OK\r\n");
	PROBES(&talk, "NOOP\r\n");
	talk_is_whole(&talk);
}

/* Requests that overtake an answer on its way: the answer is still the next line. */
static void test_requests_while_the_answer_is_awaited(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk);
	PROBES(&talk, "NOOP\r\n");
	SAYS(&talk, CLIENT, "NOOP\r\n");
	ANSWERS(&talk, "O");
	SAYS(&talk, CLIENT, "SIZE a\r\n");
	ANSWERS(&talk, "K\r\n");
	assert_int_equal(talk.swallowed, 4);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "OK\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "17\r\n");
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

static void test_another_line_is_passed_on(void **state)
{
	static const char *const lines[] = { "OK\n",  "OK \r\n", "KO\r\n",
					     "O\r\n", "\r\n",    "OK\rOK\r\n" };
	struct talk talk;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		for (size_t cut = 0; cut < strlen(lines[i]); cut++) {
			begin(&talk);
			PROBES(&talk, "NOOP\r\n");
			talk_says(&talk, SERVER, lines[i], cut);
			talk_says(&talk, SERVER, lines[i] + cut, strlen(lines[i]) - cut);
			assert_true(talk_is_off(&talk));
			SAYS(&talk, SERVER, "OK\r\n");
			assert_int_equal(talk.swallowed, 0);
			talk_is_whole(&talk);
		}
	}
}

static void test_never_again_after(void **state)
{
	static const struct misfit misfits[] = {
		{ begin, FROM_CLIENT("STARTTLS\r\n") },
		{ begin, FROM_CLIENT("a1 starttls\r\n") },
		{ begin, FROM_CLIENT("AUTH TLS\r\n") },
		{ begin, FROM_CLIENT("stls\n") },
		{ begin, FROM_CLIENT("a  COMPRESS DEFLATE\r\n") },
		{ begin, FROM_CLIENT("\x16\x03\x01") },
		{ begin, FROM_CLIENT("x\r\n\x16") },
		{ begin, FROM_SERVER("a\0") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

static void test_these_are_ordinary(void **state)
{
	static const char *const lines[] = {
		"STARTTLSX\r\n", "say it with TLS\r\n", "\r\n",
		"a-word-that-is-longer-than-all-that-is-looked-at TLS\r\n"
	};
	struct talk talk;

	(void)state;
	begin(&talk);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		talk_says(&talk, CLIENT, lines[i], strlen(lines[i]));
		SAYS(&talk, SERVER, "250-STARTTLS\r\n");
		assert_true(talk_may(&talk));
	}
	talk_is_whole(&talk);
}

/* The answer is ours, and comes before that of the request. */
static void test_request_for_tls_while_the_answer_is_awaited(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk);
	PROBES(&talk, "NOOP\r\n");
	SAYS(&talk, CLIENT, "STARTTLS\r\n");
	ANSWERS(&talk, "OK\r\n");
	assert_int_equal(talk.swallowed, 4);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "OK\r\n");
	SAYS(&talk, CLIENT, "\x16\x03\x01");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void test_silent_one(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &silent, CLIENT);
	SAYS(&talk, CLIENT, "a\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "b");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\n");
	PROBES(&talk, "\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "c");
	PROBES(&talk, "\r\n");
	talk_is_whole(&talk);
	assert_true(probe_protocol_goes_to(PROBE_LINES, CLIENT));
	assert_true(probe_protocol_goes_to(PROBE_LINES, SERVER));
	assert_true(probe_protocol_answers(PROBE_LINES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_not_while_a_request_is_unanswered),
		cmocka_unit_test(test_requests_while_the_answer_is_awaited),
		cmocka_unit_test(test_another_line_is_passed_on),
		cmocka_unit_test(test_never_again_after),
		cmocka_unit_test(test_these_are_ordinary),
		cmocka_unit_test(test_request_for_tls_while_the_answer_is_awaited),
		cmocka_unit_test(test_silent_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
