/* memcached: recorded sessions in all splits, and where the quiet get may go. The recordings are of
 * memccp and memccat of libmemcached 1.1 and of requests by hand, with memcached 1.6.18. */
#include <finback/engine/probe.h>

#include "probe_harness.h"

#define PROBE "mg finback:probe q\r\n"

static const struct probe_settings settings = { .protocol = PROBE_MEMCACHED };

/* A value that looks like answers and requests. */
static const struct run memccp[] = {
	FROM_CLIENT("set val 0 0 28\r\nEND\r\nset a 0 0 4\r\n\000\001binary\r\n\r\n"),
	FROM_SERVER("STORED\r\n"),
};

static const struct run memccat[] = {
	FROM_CLIENT("get val\r\n"),
	FROM_SERVER("VALUE val 0 28\r\nEND\r\nset a 0 0 4\r\n\000\001binary\r\n\r\nEND\r\n"),
	FROM_CLIENT("get none\r\n"),
	FROM_SERVER("END\r\n"),
};

/* Pipelined, with `noreply`, and the ways a line may end. */
static const struct run text[] = {
	FROM_CLIENT("version\r\n"),
	FROM_SERVER("VERSION 1.6.18\r\n"),
	FROM_CLIENT("set a 7 0 11\r\nEND\r\nmg a q\r\n"),
	FROM_SERVER("STORED\r\n"),
	FROM_CLIENT("gets a none\r\n"),
	FROM_SERVER("VALUE a 7 11 2\r\nEND\r\nmg a q\r\nEND\r\n"),
	FROM_CLIENT(
		"cas a 7 -1 2 999\r\n\r\n\r\nadd b 0 60 0 noreply\r\n\r\nappend b 0 0 3\r\nxyz\r"
		"\n"),
	FROM_SERVER("EXISTS\r\nSTORED\r\n"),
	FROM_CLIENT("get a b \r\n"),
	FROM_SERVER("VALUE a 7 11\r\nEND\r\nmg a q\r\nVALUE b 0 3\r\nxyz\r\nEND\r\n"),
	FROM_CLIENT("incr n 1\r\ntouch b 100\ndelete none noreply\r\nverbosity 1\r\n"),
	FROM_SERVER("NOT_FOUND\r\nTOUCHED\r\nOK\r\n"),
};

static const struct run meta[] = {
	FROM_CLIENT("mn\r\n"),
	FROM_SERVER("MN\r\n"),
	FROM_CLIENT("ms k 6 T90 F3\r\nms c 1\r\nmg k v t f\r\nmg none v q\r\nmn\r\n"),
	FROM_SERVER("HD\r\nVA 6 t90 f3\r\nms c 1\r\nMN\r\n"),
	FROM_CLIENT("ms q 0 q\r\n\r\nma n J5 N0 v\r\nmd k q\r\nmg k\r\nmn\r\n"),
	FROM_SERVER("VA 1\r\n5\r\nEN\r\nMN\r\n"),
	FROM_CLIENT("me k\r\n"),
	FROM_SERVER("EN\r\n"),
};

static void test_recordings(void **state)
{
	const struct recording recordings[] = {
		{ .settings = &settings, .target = SERVER, RUNS(memccp), .places = 1 },
		{ .settings = &settings, .target = SERVER, RUNS(memccat), .places = 42 },
		{ .settings = &settings, .target = SERVER, RUNS(text), .places = 143 },
		{ .settings = &settings, .target = SERVER, RUNS(meta), .places = 61 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

/* A talk that has come to where a probe may go. */
static void begin(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, "mn\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "MN\r");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "\n");
	PROBES(talk, PROBE);
}

static void test_only_between_requests(void **state)
{
	/* Each piece ends in the middle of the request. */
	static const char *const pieces[] = { "set", " ",  "a",    " 0 0", " 8 noreply", "\r",
					      "\n",  "mn", "\r\n", "mn",   "\r\n",       "\r" };
	struct talk talk;

	(void)state;
	begin(&talk);
	talk_says_pieces(&talk, CLIENT, ALL(pieces));
	SAYS(&talk, CLIENT, "\n");
	PROBES(&talk, PROBE);
	SAYS(&talk, CLIENT, "get a");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\n");
	PROBES(&talk, PROBE);
	SAYS(&talk, SERVER, "VALUE a 0 8\r\nmn\r\n");
	PROBES(&talk, PROBE);
	talk_is_whole(&talk);
}

static void requested(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, "get a\r\n");
}

/* A server that wants a login first says so to every request, the probe too. */
static void test_not_to_a_server_that_wants_a_login(void **state)
{
	static const struct misfit misfits[] = {
		{ requested, FROM_SERVER("CLIENT_ERROR unauthenticated\r\n") },
		{ requested, FROM_SERVER("ERROR\r\n") },
		{ requested, FROM_SERVER("SERVER_ERROR out of memory\r\n") },
		{ requested, FROM_SERVER("\x15\x03\x01\n") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

/* Each is one that the server may take or not, and with it what follows for data. */
static void test_never_again_after(void **state)
{
	static const struct misfit misfits[] = {
		{ begin, FROM_CLIENT("quit\r\n") },
		{ begin, FROM_CLIENT("watch fetchers\r\n") },
		{ begin, FROM_CLIENT("shutdown\r\n") },
		{ begin, FROM_CLIENT("lru_crawler metadump all\r\n") },
		{ begin, FROM_CLIENT("nonsense\r\n") },
		{ begin, FROM_CLIENT("GET a\r\n") },
		{ begin, FROM_CLIENT(" get a\r\n") },
		{ begin, FROM_CLIENT("\r\n") },
		{ begin, FROM_CLIENT("\x80\x0a") },
		{ begin, FROM_CLIENT("\x16\x03\x01") },
		{ begin, FROM_CLIENT("get a\rb") },
		{ begin, FROM_CLIENT("get \x01") },
		{ begin, FROM_CLIENT("set a 0 0\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 -1\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 2147483646\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 99999999999999999999999\r\n") },
		{ begin, FROM_CLIENT("set a 4294967296 0 2\r\n") },
		{ begin, FROM_CLIENT("set a x 0 2\r\n") },
		{ begin, FROM_CLIENT("set a 0 - 2\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 2 x\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 2 noreply x\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 2 noreply noreply\r\n") },
		{ begin, FROM_CLIENT("set a 0 0 2\r\nabc") },
		{ begin, FROM_CLIENT("set a 0 0 2\r\nab\rc") },
		{ begin, FROM_CLIENT("cas a 0 0 2\r\n") },
		{ begin, FROM_CLIENT("cas a 0 0 2 18446744073709551616\r\n") },
		{ begin, FROM_CLIENT("ms a\r\n") },
		{ begin, FROM_CLIENT("ms a S2\r\n") },
		{ begin, FROM_CLIENT("ms a 2 T T T T T T T T T T T T T T T T T\r\n") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

static void test_longest_key_and_lines(void **state)
{
	char line[4096];
	struct talk talk;

	(void)state;
	memset(line, 'k', sizeof line);
	for (size_t size = 250; size <= 251; size++) {
		begin(&talk);
		SAYS(&talk, CLIENT, "ms ");
		talk_says(&talk, CLIENT, line, size);
		SAYS(&talk, CLIENT, " 2\r\n12\r\n");
		assert_int_equal(talk_is_off(&talk), size > 250);
		talk_is_whole(&talk);
	}
	begin(&talk);
	SAYS(&talk, CLIENT, "get ");
	talk_says(&talk, CLIENT, line, sizeof line);
	SAYS(&talk, CLIENT, "\r\n");
	PROBES(&talk, PROBE);
	SAYS(&talk, CLIENT, "delete ");
	talk_says(&talk, CLIENT, line, sizeof line);
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void test_these_are_ordinary(void **state)
{
	static const char *const requests[] = {
		"set a 4294967295 -1 0\r\n\r\n",
		"add  a 0  2147483647 1 noreply \r\n\n\r\n",
		"cas a 0 0 2 18446744073709551615 noreply\r\n\r\n\r\n",
		"ms a 2 T0 F1 I MS q Oopaque\r\nab\r\n",
		"ms Zm9v 2 b noreply\r\nab\r\n",
		"get a \r\n",
		"stats items\n",
		"version\r\n",
		"mg finback:probe q\r\n",
	};
	struct talk talk;

	(void)state;
	begin(&talk);
	talk_says_ordinary(&talk, ALL(requests));
}

static void test_not_after_an_end(void **state)
{
	(void)state;
	check_not_after_an_end(begin);
	assert_false(probe_protocol_goes_to(PROBE_MEMCACHED, CLIENT));
	assert_true(probe_protocol_goes_to(PROBE_MEMCACHED, SERVER));
	assert_false(probe_protocol_answers(PROBE_MEMCACHED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),
		cmocka_unit_test(test_only_between_requests),
		cmocka_unit_test(test_not_to_a_server_that_wants_a_login),
		cmocka_unit_test(test_never_again_after),
		cmocka_unit_test(test_longest_key_and_lines),
		cmocka_unit_test(test_these_are_ordinary),
		cmocka_unit_test(test_not_after_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
