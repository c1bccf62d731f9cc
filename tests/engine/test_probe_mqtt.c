/*
 * engine/probe_mqtt: sessions of mosquitto_sub and mosquitto_pub with mosquitto in 3.1.1 and 5.0
 * are left whole, with pings put in wherever they may go; ours are told from the client's; nothing
 * is put into a packet, before the login or after it was refused, or towards the client; what does
 * not fit ends it.
 */
#include "probe_harness.h"

static const struct probe_settings settings = {
	.protocol = PROBE_MQTT,
	.interval_us = 60000000,
	.answer_us = 30000000,
};

#define CONNECT   "\20\17\0\4MQTT\4\2\0\5\0\3sub"
#define CONNACK   "\40\2\0\0"
#define CONNECT_5 "\20\20\0\4MQTT\5\2\0\5\0\0\3sub"
#define CONNACK_5 "\40\3\0\0\0"
#define PINGREQ   "\300\0"
#define PINGRESP  "\320\0"

/* A subscriber with a keepalive of 5 s, qualities of service 0, 1. */
static const struct run subscriber[] = {
	FROM_CLIENT("\20\17\0\4MQTT\4\2\0\5\0\3sub"),
	FROM_SERVER(" \2\0\0"),
	FROM_CLIENT("\202\10\0\1\0\3t/#\1"),
	FROM_SERVER("\220\3\0\1\0012\14\0\3t/a\0\1hello"),
	FROM_CLIENT("@\2\0\1"),
	FROM_SERVER("2\317\1\0\3t/b\0\2xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	FROM_CLIENT("@\2\0\2\300\0"),
	FROM_SERVER("\320\0000\10\0\3t/cbye"),
	FROM_CLIENT("\340\0"),
};

/* A publisher of three messages with quality of service 2, and properties. */
static const struct run publisher[] = {
	FROM_CLIENT("\20\30\0\4MQTT\5\2\0<\10\21\0\0\0<!\0\24\0\3pub"),
	FROM_SERVER(" \11\0\0\6\"\0\12!\0\24"),
	FROM_CLIENT("4\23\0\4t/v5\0\1\7&\0\1a\0\1bone"),
	FROM_SERVER("P\2\0\1"),
	FROM_CLIENT("4\23\0\4t/v5\0\2\7&\0\1a\0\1btwo4\25\0\4t/v5\0\3\7&\0\1a\0\1bthree"),
	FROM_SERVER("P\2\0\2"),
	FROM_CLIENT("b\2\0\1"),
	FROM_SERVER("P\2\0\3"),
	FROM_CLIENT("b\2\0\2"),
	FROM_SERVER("p\2\0\1"),
	FROM_CLIENT("b\2\0\3"),
	FROM_SERVER("p\2\0\2p\2\0\3"),
	FROM_CLIENT("\340\0"),
};

#define PLAYED(runs, places)                                         \
	{                                                            \
		&settings, SERVER, RUNS(runs), PINGRESP, 2, (places) \
	}

static void a_session_is_left_whole(void **state)
{
	static const struct recording recordings[] = {
		PLAYED(subscriber, 9),
		PLAYED(publisher, 13),
	};

	(void)state;
	check_recordings(ALL(recordings));
}

static void started(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
}

static void connected(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, CONNECT);
	SAYS(talk, SERVER, CONNACK);
	assert_true(talk_may(talk));
}

static void not_before_the_login(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, CONNECT);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\40\2\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\0");
	assert_true(talk_may(&talk));
}

static void awaits_connack(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, CONNECT);
}

static void awaits_connack_5(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, CONNECT_5);
}

static void not_after_it_was_refused(void **state)
{
	static const struct misfit refusals[] = {
		{ awaits_connack, FROM_SERVER("\40\2\0\5") },
		{ awaits_connack_5, FROM_SERVER("\40\3\0\207") },
	};

	(void)state;
	check_misfits(ALL(refusals));
}

static void not_within_a_packet_of_either_side(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	SAYS(&talk, CLIENT, "\60\10\0\3t");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "/c\300\0");
	assert_false(talk_may(&talk)); /* that was a payload, and goes on */
	SAYS(&talk, CLIENT, "x");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\60");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\10\0\3t/c\320\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "x");
	assert_true(talk_may(&talk));
	assert_int_equal(talk.swallowed, 0);
	talk_is_whole(&talk);
}

static void never_towards_the_client(void **state)
{
	struct talk talk;

	(void)state;
	assert_true(probe_protocol_goes_to(PROBE_MQTT, SERVER));
	assert_false(probe_protocol_goes_to(PROBE_MQTT, CLIENT));
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, CONNECT);
	SAYS(&talk, SERVER, CONNACK);
	assert_false(talk_may(&talk));
}

/* The client's own ping is out: ours would be the second, but it waits. */
static void not_while_the_client_awaits_one(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	SAYS(&talk, CLIENT, PINGREQ PINGREQ);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, PINGRESP);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, PINGRESP);
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

/* The first answer is ours, as our ping was the first; then come the client's. */
static void answers_are_told_apart_by_their_order(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	PROBES(&talk, PINGREQ);
	SAYS(&talk, CLIENT, PINGREQ PINGREQ);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\60\7\0\3t/cab");
	ANSWERS(&talk, PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, PINGRESP);
	SAYS(&talk, SERVER, PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

/* While half of our answer is here, the client may say anything. */
static void the_client_speaks_within_the_answer(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	PROBES(&talk, PINGREQ);
	ANSWERS(&talk, "\320");
	SAYS(&talk, CLIENT, "\60\7\0\3t/cab" PINGREQ);
	ANSWERS(&talk, "\0");
	SAYS(&talk, SERVER, PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

static void what_is_no_answer_is_let_go_of(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	PROBES(&talk, PINGREQ);
	SAYS(&talk, SERVER, "\320");
	SAYS(&talk, SERVER, "\1\0");
	assert_true(talk_is_off(&talk));
	assert_int_equal(talk.swallowed, 0);
	talk_is_whole(&talk);
}

/* Garbage of the client while ours is out: the answer is ours all the same, and was the last. */
static void an_answer_is_taken_out_after_garbage(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	PROBES(&talk, PINGREQ);
	SAYS(&talk, CLIENT, "\377\377garbage");
	SAYS(&talk, SERVER, "\60\7\0\3t/cab");
	ANSWERS(&talk, PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, PINGRESP "anything");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

/* The client leaves while ours is out: what the server still sends is followed. */
static void an_answer_is_taken_out_after_the_farewell(void **state)
{
	struct talk talk;

	(void)state;
	connected(&talk);
	PROBES(&talk, PINGREQ);
	SAYS(&talk, CLIENT, "\340\0");
	talk_ends(&talk, CLIENT);
	SAYS(&talk, SERVER, "\60\7\0\3t/cab");
	ANSWERS(&talk, "\320");
	ANSWERS(&talk, "\0");
	assert_int_equal(talk.swallowed, 2);
	assert_false(talk_may(&talk));
	talk_ends(&talk, SERVER);
	talk_is_whole(&talk);
}

static void not_after_an_end(void **state)
{
	struct talk talk;

	(void)state;
	check_not_after_an_end(connected);
	connected(&talk);
	SAYS(&talk, CLIENT, "\340\0");
	assert_false(talk_may(&talk));
}

/* Version 5: a login in several steps; either side may say farewell. */
static void version_5_has_more(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, CONNECT_5);
	SAYS(&talk, SERVER, "\360\12\30\10\25\0\5SCRAM");
	SAYS(&talk, CLIENT, "\360\12\30\10\25\0\5SCRAM");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, CONNACK_5);
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\340\2\213\0");
	assert_false(talk_may(&talk));
	assert_false(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void what_does_not_fit_ends_it(void **state)
{
	static const struct misfit misfits[] = {
		{ started, FROM(CLIENT, "\26\3\1\2\0\1\0\1\374\3\3") }, /* TLS */
		{ started, FROM(CLIENT, "GET /mqtt HTTP/1.1\r\n") },    /* WebSocket */
		{ started, FROM(CLIENT, "\20\21\0\6MQIsdp\3\2\0\5\0\3sub") },
		{ started, FROM(CLIENT, "\20\17\0\4MQTT\6\2\0\5\0\3sub") },
		{ started, FROM(CLIENT, "\20\17\0\4MQTT\4\3\0\5\0\3sub") },
		{ started, FROM(CLIENT, "\20\13\0\4MQTT\4\2\0\5\0") },
		{ started, FROM(CLIENT, PINGREQ) },
		{ started, FROM(SERVER, CONNACK) },
		{ connected, FROM(CLIENT, CONNECT) },
		{ connected, FROM(CLIENT, "\60\377\377\377\377") }, /* a length of five bytes */
		{ connected, FROM(CLIENT, "\60\200\0") },           /* one longer than needed */
		{ connected, FROM(CLIENT, "\66\7\0\3t/cab") },      /* quality of service 3 */
		{ connected, FROM(CLIENT, "\200\10") },             /* flags */
		{ connected, FROM(CLIENT, "\300\1") },
		{ connected, FROM(CLIENT, "\360\0") },         /* of version 5 */
		{ connected, FROM(CLIENT, "\340\0" PINGREQ) }, /* after its farewell */
		{ connected, FROM(CLIENT, PINGRESP) },
		{ connected, FROM(SERVER, PINGRESP) }, /* that nobody asked for */
		{ connected, FROM(SERVER, PINGREQ) },
		{ connected, FROM(SERVER, "\340\0") }, /* of version 5 */
		{ connected, FROM(SERVER, "\0") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_left_whole),
		cmocka_unit_test(not_before_the_login),
		cmocka_unit_test(not_after_it_was_refused),
		cmocka_unit_test(not_within_a_packet_of_either_side),
		cmocka_unit_test(never_towards_the_client),
		cmocka_unit_test(not_while_the_client_awaits_one),
		cmocka_unit_test(answers_are_told_apart_by_their_order),
		cmocka_unit_test(the_client_speaks_within_the_answer),
		cmocka_unit_test(what_is_no_answer_is_let_go_of),
		cmocka_unit_test(an_answer_is_taken_out_after_garbage),
		cmocka_unit_test(an_answer_is_taken_out_after_the_farewell),
		cmocka_unit_test(not_after_an_end),
		cmocka_unit_test(version_5_has_more),
		cmocka_unit_test(what_does_not_fit_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
