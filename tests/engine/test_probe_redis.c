/* redis: recorded sessions in all splits, and where the empty line may go. The recordings are of
 * redis-cli 7.0 and of pipelined and inline requests, with redis-server 7.0. */
#include <finback/engine/probe.h>

#include "probe_harness.h"

static const struct probe_settings settings = { .protocol = PROBE_REDIS };

/* A transaction, and a value that looks like requests. */
static const struct run cli[] = {
	FROM_CLIENT("*3\r\n$3\r\nset\r\n$8\r\ngreeting\r\n$19\r\nhello\r\nworld\000*1\r\n$4\r\n"),
	FROM_SERVER("+OK\r\n"),
	FROM_CLIENT("*2\r\n$3\r\nget\r\n$8\r\ngreeting\r\n"),
	FROM_SERVER("$19\r\nhello\r\nworld\000*1\r\n$4\r\n"),
	FROM_CLIENT("*1\r\n$5\r\nmulti\r\n"),
	FROM_SERVER("+OK\r\n"),
	FROM_CLIENT("*2\r\n$4\r\nincr\r\n$1\r\nn\r\n"),
	FROM_SERVER("+QUEUED\r\n"),
	FROM_CLIENT("*2\r\n$3\r\nget\r\n$8\r\ngreeting\r\n"),
	FROM_SERVER("+QUEUED\r\n"),
	FROM_CLIENT("*1\r\n$4\r\nexec\r\n"),
	FROM_SERVER("*2\r\n:1\r\n$19\r\nhello\r\nworld\000*1\r\n$4\r\n"),
	FROM_CLIENT("*5\r\n$5\r\nlpush\r\n$1\r\nl\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"),
	FROM_SERVER(":3\r\n"),
	FROM_CLIENT("*4\r\n$6\r\nlrange\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n"),
	FROM_SERVER("*3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n"),
};

/* Answers in RESP3. */
static const struct run cli_resp3[] = {
	FROM_CLIENT("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"),
	FROM_SERVER("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\npr"
		    "oto\r\n:3\r\n$2\r\nid\r\n:4\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r"
		    "\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"),
	FROM_CLIENT("*6\r\n$4\r\nhset\r\n$1\r\nh\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n"),
	FROM_SERVER(":2\r\n"),
	FROM_CLIENT("*2\r\n$7\r\nhgetall\r\n$1\r\nh\r\n"),
	FROM_SERVER("%2\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n"),
	FROM_CLIENT("*3\r\n$3\r\nset\r\n$5\r\nempty\r\n$0\r\n\r\n"),
	FROM_SERVER("+OK\r\n"),
	FROM_CLIENT("*2\r\n$3\r\nget\r\n$5\r\nempty\r\n"),
	FROM_SERVER("$0\r\n\r\n"),
	FROM_CLIENT("*2\r\n$3\r\nget\r\n$4\r\nnone\r\n"),
	FROM_SERVER("_\r\n"),
	FROM_CLIENT("*4\r\n$4\r\nzadd\r\n$1\r\nz\r\n$3\r\n1.5\r\n$1\r\nm\r\n"),
	FROM_SERVER(":1\r\n"),
	FROM_CLIENT("*3\r\n$6\r\nzscore\r\n$1\r\nz\r\n$1\r\nm\r\n"),
	FROM_SERVER(",1.5\r\n"),
	FROM_CLIENT(
		"*3\r\n$4\r\neval\r\n$35\r\nreturn {1,redis.status_reply('OK')}\r\n$1\r\n0\r\n"),
	FROM_SERVER("*2\r\n:1\r\n+OK\r\n"),
	FROM_CLIENT("*1\r\n$8\r\nnonsense\r\n"),
	FROM_SERVER("-ERR unknown command 'nonsense', with args beginning with: \r\n"),
};

/* Inline and multi bulk requests in one read, an empty request, a subscription, one that blocks. */
static const struct run pipeline[] = {
	FROM_CLIENT("PING\r\n"),
	FROM_SERVER("+PONG\r\n"),
	FROM_CLIENT("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$12\r\n\r\n*1\r\n$4\r\nPI\r\nGET \"gre"
		    "eting\"\r\nINCR n\n*0\r\n"),
	FROM_SERVER(
		"+PONG\r\n$12\r\n\r\n*1\r\n$4\r\nPI\r\n$19\r\nhello\r\nworld\000*1\r\n$4\r\n:2\r"
		"\n"),
	FROM_CLIENT("\r\nSUBSCRIBE ch\r\n"),
	FROM_SERVER("*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"),
	FROM_CLIENT("*1\r\n$4\r\nPING\r\n*1\r\n$11\r\nUNSUBSCRIBE\r\n"),
	FROM_SERVER("*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n"),
	FROM_CLIENT("BLPOP none 0.05\r\n"),
	FROM_SERVER("*-1\r\n"),
};

static void test_recordings(void **state)
{
	const struct recording recordings[] = {
		{ .settings = &settings, .target = SERVER, RUNS(cli), .places = 124 },
		{ .settings = &settings, .target = SERVER, RUNS(cli_resp3), .places = 288 },
		{ .settings = &settings, .target = SERVER, RUNS(pipeline), .places = 163 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

/* A talk that has come to where a probe may go. */
static void begin(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, "PING\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "+PONG\r\n");
	PROBES(talk, "\r\n");
}

static void test_only_between_requests(void **state)
{
	/* Each piece ends in the middle of the request. */
	static const char *const pieces[] = { "*",    "2",    "\r",           "\n", "$3\r\n",
					      "GE",   "T",    "\r",           "\n", "$10",
					      "\r\n", "\r\n", "*1\r\n$4\r\n", "\r" };
	struct talk talk;

	(void)state;
	begin(&talk);
	talk_says_pieces(&talk, CLIENT, ALL(pieces));
	SAYS(&talk, CLIENT, "\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "GET");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, " a\r");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\n");
	PROBES(&talk, "\r\n");
	talk_is_whole(&talk);
}

/* Whatever the server is doing: an answer is not waited for, and one is not looked for. */
static void test_while_the_server_answers(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk);
	SAYS(&talk, CLIENT, "BLPOP list 0\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, SERVER, "*2\r\n$4\r\nlist\r\n$5");
	PROBES(&talk, "\r\n");
	SAYS(&talk, SERVER, "\r\nvalue\r\n");
	talk_is_whole(&talk);
}

/* What the next request was promised is not lost to an empty one. */
static void test_not_before_a_request_that_was_prepared(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk);
	SAYS(&talk, CLIENT, "CLIENT REPLY SKIP\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "*1\r\n$6\r\nasking\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "get asking\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "client   reply  on\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "client getname\n");
	PROBES(&talk, "\r\n");
	talk_is_whole(&talk);
}

static void test_never_again_after(void **state)
{
	static const struct misfit misfits[] = {
		{ begin, FROM_CLIENT("SYNC\r\n") },
		{ begin, FROM_CLIENT("psync ? -1\r\n") },
		{ begin, FROM_CLIENT("*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n") },
		{ begin, FROM_CLIENT("*3\r\n$8\r\nREPLCONF\r\n$3\r\nack\r\n$1\r\n0\r\n") },
		{ begin, FROM_CLIENT(" QUIT \r\n") },
		{ begin, FROM_CLIENT("*3\r\n$6\r\nSCRIPT\r\n$5\r\nDEBUG\r\n$3\r\nYES\r\n") },
		{ begin, FROM_CLIENT("\x16\x03\x01\x02") },
		{ begin, FROM_CLIENT("PING\r\r\n") },
		{ begin, FROM_CLIENT("\"QUIT\"\r\n") },
		{ begin, FROM_CLIENT("\"S\\x59NC\"\r\n") },
		{ begin, FROM_CLIENT("GET \"a\"\r\n\x7f") },
		{ begin, FROM_CLIENT("PING \x01") },
		{ begin, FROM_CLIENT("*-1\r\n") },
		{ begin, FROM_CLIENT("*01\r\n") },
		{ begin, FROM_CLIENT("*\r\n") },
		{ begin, FROM_CLIENT("*1\r$") },
		{ begin, FROM_CLIENT("*1\r\n:4\r\n") },
		{ begin, FROM_CLIENT("*1\r\n$-1\r\n") },
		{ begin, FROM_CLIENT("*1\r\n$4294967296\r\n") },
		{ begin, FROM_CLIENT("*2147483648\r\n") },
		{ begin, FROM_CLIENT("*1\r\n$4\r\nPING*") },
		{ begin, FROM_CLIENT("*1\r\n$4\r\nPING\r*") },
		{ begin, FROM_CLIENT("PING\0\r\n") }, /* the server reads no further, and waits */
	};

	(void)state;
	check_misfits(ALL(misfits));
}

static void test_these_are_ordinary(void **state)
{
	static const char *const requests[] = {
		"MONITOR\r\n",
		"SYNCHRONY\r\n",
		"SCRIPT LOAD x\r\n",
		"get quit\r\n",
		"client getname\r\n",
		"  ping  \t x\r\n",
		"GET k '\"'\r\n",
		"\"GET\" \"a\"\r\n",
		"*0\r\n",
		"*1\r\n$0\r\n\r\n",
		"*2\r\n$20\r\nSYNCSYNCSYNCSYNCSYNC\r\n$4\r\nSYNC\r\n",
	};
	struct talk talk;

	(void)state;
	begin(&talk);
	talk_says_ordinary(&talk, ALL(requests));
}

static void test_server_that_is_no_redis(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, "PING\r\n");
	SAYS(&talk, SERVER, "SSH-2.0-OpenSSH\r\n");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void test_not_after_an_end(void **state)
{
	(void)state;
	check_not_after_an_end(begin);
	assert_false(probe_protocol_goes_to(PROBE_REDIS, CLIENT));
	assert_true(probe_protocol_goes_to(PROBE_REDIS, SERVER));
	assert_false(probe_protocol_answers(PROBE_REDIS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),
		cmocka_unit_test(test_only_between_requests),
		cmocka_unit_test(test_while_the_server_answers),
		cmocka_unit_test(test_not_before_a_request_that_was_prepared),
		cmocka_unit_test(test_never_again_after),
		cmocka_unit_test(test_these_are_ordinary),
		cmocka_unit_test(test_server_that_is_no_redis),
		cmocka_unit_test(test_not_after_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
