/*
 * engine/probe_amqp: a session of pika with RabbitMQ 3.10 (confirmed publishing, getting, both
 * sides' own heartbeats) is left whole with heartbeats put in wherever they may go, towards either
 * side; never before Open-Ok, into a frame, or after a Close; what does not fit ends it.
 */
#include "probe_harness.h"

static const struct probe_settings settings = {
	.protocol = PROBE_AMQP,
	.interval_us = 60000000,
};

#define PREFACE "AMQP\0\0\11\1"
/* Channel 0, with a payload of so many bytes. */
#define METHOD(size, payload) "\1\0\0\0\0\0" size payload "\316"
#define START                 METHOD("\14", "\0\12\0\12\0\11\0\0\0\0\0\0")
#define START_OK              METHOD("\10", "\0\12\0\13\0\0\0\0")
#define SECURE                METHOD("\10", "\0\12\0\24\0\0\0\0")
#define SECURE_OK             METHOD("\10", "\0\12\0\25\0\0\0\0")
#define TUNE                  METHOD("\14", "\0\12\0\36\7\377\0\2\0\0\0\74")
#define TUNE_OK               METHOD("\14", "\0\12\0\37\7\377\0\0\20\0\0\74") /* frame-max 4096 */
#define TUNE_OK_UNLIMITED     METHOD("\14", "\0\12\0\37\7\377\0\0\0\0\0\74")
#define OPEN                  METHOD("\10", "\0\12\0\50\1/\0\1")
#define OPEN_OK               METHOD("\5", "\0\12\0\51\0")
#define HEARTBEAT             "\10\0\0\0\0\0\0\316"

/* pika: a queue is declared, two messages are published and got, one of them made of a frame's
 * end and a heartbeat; 2.5 s of heartbeats. */
static const struct run pika[] = {
	FROM_CLIENT("AMQP\0\0\11\1"),
	FROM_SERVER("\1\0\0\0\0\1\356\0\12\0\12\0\11\0\0\1\311\14capabilitiesF\0\0\0\307\22publis"
		    "her_confirmst\1\32exchange_exchange_bindingst\1\12basic.nackt\1\26consumer_c"
		    "ancel_notifyt\1\22connection.blockedt\1\23consumer_prioritiest\1\34authentic"
		    "ation_failure_closet\1\20per_consumer_qost\1\17direct_reply_tot\1\14cluster_"
		    "nameS\0\0\0\7mq@host\11copyrightS\0\0\0007Copyright (c) 2007-2022 VMware, In"
		    "c. or its affiliates.\13informationS\0\0\09Licensed under the MPL 2.0. Websi"
		    "te: https://rabbitmq.com\10platformS\0\0\0\21Erlang/OTP 25.2.3\7productS\0\0"
		    "\0\10RabbitMQ\7versionS\0\0\0\0063.10.8\0\0\0\16AMQPLAIN PLAIN\0\0\0\5en_US"
		    "\316"),
	FROM_CLIENT("\1\0\0\0\0\1\11\0\12\0\13\0\0\0\345\7productS\0\0\0\1p\10platformS\0\0\0\15P"
		    "ython 3.11.2\14capabilitiesF\0\0\0o\34authentication_failure_closet\1\12basi"
		    "c.nackt\1\22connection.blockedt\1\26consumer_cancel_notifyt\1\22publisher_co"
		    "nfirmst\1\13informationS\0\0\0\30See http://pika.rtfd.org\7versionS\0\0\0"
		    "\0051.2.0\5PLAIN\0\0\0\14\0guest\0guest\5en_US\316"),
	FROM_SERVER("\1\0\0\0\0\0\14\0\12\0\36\7\377\0\2\0\0\0\1\316"),
	FROM_CLIENT("\1\0\0\0\0\0\14\0\12\0\37\7\377\0\2\0\0\0\2\316\1\0\0\0\0\0\10\0\12\0(\1/\0"
		    "\1\316"),
	FROM_SERVER("\1\0\0\0\0\0\5\0\12\0)\0\316"),
	FROM_CLIENT("\1\0\1\0\0\0\5\0\24\0\12\0\316"),
	FROM_SERVER("\1\0\1\0\0\0\10\0\24\0\13\0\0\0\0\316"),
	FROM_CLIENT("\1\0\1\0\0\0\15\0002\0\12\0\0\1q\4\0\0\0\0\316"),
	FROM_SERVER("\1\0\1\0\0\0\16\0002\0\13\1q\0\0\0\0\0\0\0\0\316"),
	FROM_CLIENT("\1\0\1\0\0\0\5\0U\0\12\0\316"),
	FROM_SERVER("\1\0\1\0\0\0\4\0U\0\13\316"),
	FROM_CLIENT("\1\0\1\0\0\0\12\0<\0(\0\0\0\1q\0\316\2\0\1\0\0\0\16\0<\0\0\0\0\0\0\0\0\0\5\0"
		    "\0\316\3\0\1\0\0\0\5hello\316"),
	FROM_SERVER("\1\0\1\0\0\0\15\0<\0P\0\0\0\0\0\0\0\1\0\316"),
	FROM_CLIENT("\1\0\1\0\0\0\12\0<\0(\0\0\0\1q\0\316\2\0\1\0\0\0\16\0<\0\0\0\0\0\0\0\0\0\11"
		    "\0\0\316\3\0\1\0\0\0\11\316\10\0\0\0\0\0\0\316\316"),
	FROM_SERVER("\1\0\1\0\0\0\15\0<\0P\0\0\0\0\0\0\0\2\0\316"),
	FROM_CLIENT("\1\0\1\0\0\0\11\0<\0F\0\0\1q\1\316"),
	FROM_SERVER("\1\0\1\0\0\0\24\0<\0G\0\0\0\0\0\0\0\1\0\0\1q\0\0\0\1\316\2\0\1\0\0\0\16\0<\0"
		    "\0\0\0\0\0\0\0\0\5\0\0\316\3\0\1\0\0\0\5hello\316"),
	FROM_CLIENT("\1\0\1\0\0\0\11\0<\0F\0\0\1q\0\316"),
	FROM_SERVER("\1\0\1\0\0\0\24\0<\0G\0\0\0\0\0\0\0\2\0\0\1q\0\0\0\0\316\2\0\1\0\0\0\16\0<\0"
		    "\0\0\0\0\0\0\0\0\11\0\0\316\3\0\1\0\0\0\11\316\10\0\0\0\0\0\0\316\316\10\0\0"
		    "\0\0\0\0\316"),
	FROM_CLIENT("\10\0\0\0\0\0\0\316"),
	FROM_SERVER("\10\0\0\0\0\0\0\316"),
	FROM_CLIENT("\10\0\0\0\0\0\0\316\1\0\1\0\0\0\32\0\24\0(\0\310\17Normal shutdown\0\0\0\0"
		    "\316"),
	FROM_SERVER("\1\0\1\0\0\0\4\0\24\0)\316"),
};

static void a_session_is_left_whole(void **state)
{
	static const struct recording recordings[] = {
		{ &settings, SERVER, RUNS(pika), NULL, 0, 265 },
		{ &settings, CLIENT, RUNS(pika), NULL, 0, 256 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

/* Comes to where the client is to tune. */
static void tuned(struct talk *talk, enum side target)
{
	talk_start(talk, &settings, target);
	SAYS(talk, CLIENT, PREFACE);
	SAYS(talk, SERVER, START);
	SAYS(talk, CLIENT, START_OK);
	SAYS(talk, SERVER, TUNE);
	assert_false(talk_is_off(talk));
}

static void opened(struct talk *talk, enum side target)
{
	tuned(talk, target);
	SAYS(talk, CLIENT, TUNE_OK OPEN);
	SAYS(talk, SERVER, OPEN_OK);
	assert_true(talk_may(talk));
}

static void started(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
}

static void tuned_to_server(struct talk *talk)
{
	tuned(talk, SERVER);
}

static void opened_to_server(struct talk *talk)
{
	opened(talk, SERVER);
}

static void opened_to_client(struct talk *talk)
{
	opened(talk, CLIENT);
}

static void not_before_it_is_open(void **state)
{
	static const struct run login[] = {
		FROM_CLIENT(PREFACE), FROM_SERVER(START),     FROM_CLIENT(START_OK),
		FROM_SERVER(SECURE),  FROM_CLIENT(SECURE_OK), FROM_SERVER(TUNE),
		FROM_CLIENT(TUNE_OK), FROM_CLIENT(OPEN),      FROM_SERVER(HEARTBEAT),
	};
	struct talk talk;

	(void)state;
	for (enum side target = CLIENT; target < SIDES; target++) {
		talk_start(&talk, &settings, target);
		assert_false(talk_may(&talk));
		for (size_t i = 0; i < sizeof login / sizeof *login; i++) {
			talk_says(&talk, login[i].from, login[i].bytes, login[i].size);
			assert_false(talk_may(&talk));
		}
		assert_false(talk_is_off(&talk));
		SAYS(&talk, SERVER, OPEN_OK);
		PROBES(&talk, HEARTBEAT);
		talk_is_whole(&talk);
	}
}

/* Only the flow that carries the probe matters: the other one may be anywhere. */
static void not_within_a_frame(void **state)
{
	struct talk talk;

	(void)state;
	opened(&talk, SERVER);
	SAYS(&talk, SERVER, "\3\0\1\0\0\0\20" HEARTBEAT);
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\3\0\1\0\0\0\11");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\316" HEARTBEAT);
	assert_false(talk_may(&talk)); /* that was the body; the end octet is missing */
	SAYS(&talk, CLIENT, "\316");
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);

	opened(&talk, CLIENT);
	SAYS(&talk, CLIENT, "\3");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\2");
	assert_false(talk_may(&talk));
	talk_is_whole(&talk);
}

/* Between a content's frames, which follow each other on a channel of their own. */
static void within_a_content(void **state)
{
	struct talk talk;

	(void)state;
	opened(&talk, SERVER);
	SAYS(&talk, CLIENT, "\1\0\1\0\0\0\12\0\74\0\50\0\0\0\1q\0\316");
	PROBES(&talk, HEARTBEAT);
	SAYS(&talk, CLIENT, "\2\0\1\0\0\0\16\0\74\0\0\0\0\0\0\0\0\0\5\0\0\316");
	PROBES(&talk, HEARTBEAT);
	SAYS(&talk, CLIENT, "\3\0\1\0\0\0\5hello\316");
	talk_is_whole(&talk);
}

static void not_after_a_close(void **state)
{
	struct talk talk;

	(void)state;
	for (enum side side = CLIENT; side < SIDES; side++) {
		opened(&talk, SERVER);
		talk_says(&talk, side, METHOD("\13", "\0\12\0\62\0\310\0\0\0\0\0"), 19);
		assert_false(talk_may(&talk));
	}
	check_not_after_an_end(opened_to_server);
	check_not_after_an_end(opened_to_client);
}

/* RabbitMQ says when it takes no more, and takes new secrets. */
static void extensions_of_the_connection(void **state)
{
	struct talk talk;

	(void)state;
	opened(&talk, SERVER);
	SAYS(&talk, SERVER, METHOD("\5", "\0\12\0\74\0") METHOD("\4", "\0\12\0\75"));
	SAYS(&talk, CLIENT, METHOD("\11", "\0\12\0\106\0\0\0\0\0"));
	SAYS(&talk, SERVER, METHOD("\4", "\0\12\0\107"));
	assert_true(talk_may(&talk));
}

/* A frame of 4096 bytes with all that is its own, and no larger one, unless there is no limit. */
static void no_frame_is_larger_than_agreed(void **state)
{
	struct talk talk;

	(void)state;
	opened(&talk, SERVER);
	SAYS(&talk, SERVER, "\3\0\1\0\0\17\370");
	assert_false(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "\3\0\1\0\0\17\371");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);

	tuned(&talk, SERVER);
	SAYS(&talk, CLIENT, TUNE_OK_UNLIMITED OPEN);
	SAYS(&talk, SERVER, OPEN_OK);
	SAYS(&talk, CLIENT, "\3\0\1\377\377\377\0");
	assert_false(talk_is_off(&talk));
	assert_false(talk_may(&talk));
}

static void what_does_not_fit_ends_it(void **state)
{
	static const struct misfit misfits[] = {
		{ started, FROM(CLIENT, "\26\3\1\2\0\1\0\1\374\3\3") }, /* TLS */
		{ started, FROM(CLIENT, "AMQP\0\1\0\0") },
		{ started, FROM(CLIENT, "AMQP\3\1\0\0") },
		{ started, FROM(CLIENT, PREFACE START) },
		{ started, FROM(CLIENT, PREFACE START_OK) },
		{ started, FROM(SERVER, PREFACE) },
		{ started, FROM(CLIENT, PREFACE "\1\0\1\0\0\0\5\0\24\0\12\0\316") },
		{ opened_to_server, FROM(CLIENT, PREFACE) },
		{ opened_to_server, FROM(CLIENT, OPEN) },
		{ opened_to_server, FROM(CLIENT, "\4"
						 "\0\0\0\0\0\0") },
		{ opened_to_server,
		  FROM(CLIENT, "\10\0\1\0\0\0\0\316") }, /* a heartbeat on channel 1 */
		{ opened_to_server, FROM(CLIENT, "\10\0\0\0\0\0\1\0\316") }, /* with a payload */
		{ opened_to_server,
		  FROM(CLIENT, "\10\0\0\0\0\0\0\315") }, /* ended by something else */
		{ opened_to_server, FROM(CLIENT, "\3\0\0\0\0\0\1a\316") }, /* a body on channel 0 */
		{ opened_to_server,
		  FROM(CLIENT, "\1\0\1\0\0\0\3\0\24\0\316") }, /* no room for a method */
		{ opened_to_server,
		  FROM(CLIENT, METHOD("\5", "\0\24\0\12\0")) }, /* channel 0, another class */
		{ opened_to_server,
		  FROM(SERVER, METHOD("\5", "\0\12\0\107\0") METHOD("\5", "\0\12\0\106\0")) },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

/* A frame-max that is not allowed, and a Tune-Ok without one. */
static void a_bad_tuning_ends_it(void **state)
{
	static const struct misfit misfits[] = {
		{ tuned_to_server, FROM_CLIENT(METHOD("\14", "\0\12\0\37\7\377\0\0\17\377\0\74")) },
		{ tuned_to_server, FROM_CLIENT(METHOD("\10", "\0\12\0\37\7\377\0\0")) },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_left_whole),
		cmocka_unit_test(not_before_it_is_open),
		cmocka_unit_test(not_within_a_frame),
		cmocka_unit_test(within_a_content),
		cmocka_unit_test(not_after_a_close),
		cmocka_unit_test(extensions_of_the_connection),
		cmocka_unit_test(no_frame_is_larger_than_agreed),
		cmocka_unit_test(what_does_not_fit_ends_it),
		cmocka_unit_test(a_bad_tuning_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
