/*
 * The harm that a message put into somebody else's stream can do, each way of it by its name, and
 * that it is not done: within a message, in the wrong phase, with a changed meaning, with an answer
 * that comes late, in another form, or never.
 */
#include "probe_harness.h"

static const struct probe_settings redis = { .protocol = PROBE_REDIS };
static const struct probe_settings memcached = { .protocol = PROBE_MEMCACHED };
static const struct probe_settings telnet = { .protocol = PROBE_TELNET };
static const struct probe_settings irc = { .protocol = PROBE_IRC };
static const struct probe_settings xmpp = { .protocol = PROBE_XMPP };
static const struct probe_settings stomp = { .protocol = PROBE_STOMP };
static const struct probe_settings amqp = { .protocol = PROBE_AMQP };
static const struct probe_settings mqtt = { .protocol = PROBE_MQTT };
static const struct probe_settings postgresql = { .protocol = PROBE_POSTGRESQL };
static const struct probe_settings mysql = { .protocol = PROBE_MYSQL };
static const struct probe_settings lines = {
	.protocol = PROBE_LINES,
	.send = "NOOP\r\n",
	.send_size = 6,
	.expect = "250 OK\r\n",
	.expect_size = 8,
};

#define PINGREQ  "\300\0"
#define PINGRESP "\320\0"

/* What comes first, to where a probe may go. */
static const struct run redis_begins[] = { FROM_CLIENT("PING\r\n"), FROM_SERVER("+PONG\r\n") };
static const struct run memcached_begins[] = { FROM_CLIENT("mn\r\n"), FROM_SERVER("MN\r\n") };
static const struct run telnet_begins[] = { FROM_SERVER("\377\373\3") };
static const struct run irc_begins[] = {
	FROM_CLIENT("NICK ann\r\nUSER ann 0 * :Ann\r\n"),
	FROM_SERVER(":irc.example.org 001 ann :Welcome\r\n"),
};
static const struct run xmpp_begins[] = {
	FROM_CLIENT("<stream:stream>"),
	FROM_SERVER("<stream:stream><stream:features/>"),
	FROM_CLIENT("<auth/>"),
	FROM_SERVER("<success/>"),
	FROM_CLIENT("<stream:stream>"),
	FROM_SERVER("<stream:stream><stream:features/>"),
	FROM_CLIENT("<iq><bind/></iq>"),
	FROM_SERVER("<iq><bind><jid>ann@example.org</jid></bind></iq>"),
};
static const struct run stomp_begins[] = {
	FROM_CLIENT("CONNECT\naccept-version:1.2\nhost:/\n\n\0"),
	FROM_SERVER("CONNECTED\nversion:1.2\n\n\0"),
};
static const struct run amqp_begins[] = {
	FROM_CLIENT("AMQP\0\0\11\1"),
	FROM_SERVER("\1\0\0\0\0\0\14\0\12\0\12\0\11\0\0\0\0\0\0\316"),
	FROM_CLIENT("\1\0\0\0\0\0\10\0\12\0\13\0\0\0\0\316"),
	FROM_SERVER("\1\0\0\0\0\0\14\0\12\0\36\7\377\0\2\0\0\0\74\316"),
	FROM_CLIENT("\1\0\0\0\0\0\14\0\12\0\37\7\377\0\0\20\0\0\74\316"),
	FROM_CLIENT("\1\0\0\0\0\0\10\0\12\0\50\1/\0\1\316"),
	FROM_SERVER("\1\0\0\0\0\0\5\0\12\0\51\0\316"),
};
static const struct run mqtt_begins[] = {
	FROM_CLIENT("\20\17\0\4MQTT\4\2\0\5\0\3sub"),
	FROM_SERVER("\40\2\0\0"),
};
static const struct run postgresql_begins[] = {
	FROM_CLIENT("\0\0\0\23\0\3\0\0user\0root\0\0"),
	FROM_SERVER("R\0\0\0\10\0\0\0\0Z\0\0\0\5I"),
};
static const struct run mysql_begins[] = {
	FROM_SERVER("\57\0\0\0\0125\0\1\0\0\0abcdefgh\0\376\377\10\2\0\377\377\25\0\0\0\0\0\0\37"
		    "\0\0\0ijklmnopqrst\0"),
	FROM_CLIENT("\45\0\0\1\1\202\0\0\0\0\0\1\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		    "\0root\0"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
};
static const struct run lines_begins[] = { FROM_CLIENT("HELO me\r\n"), FROM_SERVER("250 me\r\n") };

static void talk_goes(struct talk *talk, const struct run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		talk_says(talk, runs[i].from, runs[i].bytes, runs[i].size);
}

static void begin(struct talk *talk, const struct probe_settings *settings,
		  const struct run *begins, size_t count)
{
	talk_start(talk, settings, SERVER);
	talk_goes(talk, begins, count);
	assert_true(talk_may(talk));
}

/* --- 1: within a message. No time that passes makes a boundary of it: there is no clock here. ---
 */

struct message {
	const struct probe_settings *settings;
	const struct run *begins;
	size_t count;
	struct run run;
};

/* After none of its bytes but the last. */
static void never_within(void **state)
{
	const struct message *message = *state;
	const struct run *run = &message->run;
	struct talk talk;

	begin(&talk, message->settings, message->begins, message->count);
	for (size_t i = 0; i < run->size; i++) {
		talk_says(&talk, CLIENT, run->bytes + i, 1);
		assert_int_equal(talk_may(&talk), i + 1 == run->size);
	}
	talk_is_whole(&talk);
}

static struct message in_command = { &redis, ALL(redis_begins),
				     FROM_CLIENT("*2\r\n$3\r\nGET\r\n$1\r\na\r\n") };
static struct message in_bulk = {
	&redis, ALL(redis_begins),
	FROM_CLIENT("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$14\r\n\r\nPING\r\n*0\r\n\r\n\r\n")
};
static struct message in_payload = { &mqtt, ALL(mqtt_begins),
				     FROM_CLIENT("\60\14\0\3t/c" PINGREQ PINGRESP "abc") };
static struct message in_chat = { &irc, ALL(irc_begins),
				  FROM_CLIENT("PRIVMSG #room :help PING fb\r\n") };
static struct message in_data_block = { &memcached, ALL(memcached_begins),
					FROM_CLIENT("set a 0 0 8\r\nmn\r\nmn\r\n\r\n") };
static struct message in_query = { &postgresql, ALL(postgresql_begins),
				   FROM_CLIENT("Q\0\0\0\21select H\0\0\0\4\0") };
static struct message in_packet = { &mysql, ALL(mysql_begins),
				    FROM_CLIENT("\11\0\0\0\30\1\0\0\0\0\0ab") };
static struct message in_command_of_telnet = { &telnet, ALL(telnet_begins),
					       FROM_CLIENT("\377\377") };
static struct message in_stanza = { &xmpp, ALL(xmpp_begins),
				    FROM_CLIENT("<message><body>a b</body></message>") };
static struct message in_sized_body = { &stomp, ALL(stomp_begins),
					FROM_CLIENT("SEND\ncontent-length:4\n\n\0\n\0\n\0") };
static struct message in_frame = { &amqp, ALL(amqp_begins),
				   FROM_CLIENT("\3\0\1\0\0\0\11\316\10\0\0\0\0\0\0\316\316") };

#define WITHIN(text, message)                                \
	{                                                    \
		(text), never_within, NULL, NULL, &(message) \
	}

/* --- 2: the wrong phase --- */

struct login {
	const struct probe_settings *settings;
	const struct run *runs;
	size_t count;
};

/* Not before the last word of it has begun, which is the target's own, and says so. */
static void never_before_its_end(void **state)
{
	const struct login *login = *state;
	struct talk talk;

	talk_start(&talk, login->settings, SERVER);
	assert_false(talk_may(&talk));
	for (size_t i = 0; i < login->count; i++) {
		const struct run *run = &login->runs[i];

		assert_false(talk_may(&talk));
		for (size_t at = 0; at < run->size; at++) {
			talk_says(&talk, run->from, run->bytes + at, 1);
			assert_false(talk_may(&talk) && i + 1 < login->count);
		}
	}
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

static struct login mqtt_login = { &mqtt, ALL(mqtt_begins) };
static struct login postgresql_login = { &postgresql, ALL(postgresql_begins) };
static struct login xmpp_login = { &xmpp, ALL(xmpp_begins) };
static struct login irc_login = { &irc, ALL(irc_begins) };
static struct login redis_login = { &redis, ALL(redis_begins) };
static struct login memcached_login = { &memcached, ALL(memcached_begins) };
static struct login mysql_login = { &mysql, ALL(mysql_begins) };
static struct login amqp_login = { &amqp, ALL(amqp_begins) };
static struct login stomp_login = { &stomp, ALL(stomp_begins) };
static struct login telnet_login = { &telnet, ALL(telnet_begins) };
static struct login lines_login = { &lines, ALL(lines_begins) };

#define BEFORE(text, login)                                        \
	{                                                          \
		(text), never_before_its_end, NULL, NULL, &(login) \
	}

/* The text probe would have the binary connection closed. */
static void memcached_binary_connection_is_left_alone(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &memcached, SERVER);
	SAYS(&talk, CLIENT, "\200\12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	SAYS(&talk, SERVER, "\201\12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	assert_true(probe_is_done(&talk.probe));
	talk_is_whole(&talk);
}

/* --- 3: a changed meaning --- */

/* A PING would be answered +QUEUED, and add an element to the answer of EXEC. */
static void redis_multi_gets_an_empty_line_and_no_command(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &redis, ALL(redis_begins));
	SAYS(&talk, CLIENT, "MULTI\r\n");
	SAYS(&talk, SERVER, "+OK\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "INCR n\r\n");
	SAYS(&talk, SERVER, "+QUEUED\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, CLIENT, "EXEC\r\n");
	SAYS(&talk, SERVER, "*1\r\n:1\r\n");
	talk_is_whole(&talk);
}

/* A Sync would commit what the client may still roll back, and be answered with a ReadyForQuery. */
static void postgresql_pipeline_gets_a_flush_and_no_sync(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &postgresql, ALL(postgresql_begins));
	SAYS(&talk, CLIENT, "P\0\0\0\10\0\0\0\0B\0\0\0\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0");
	PROBES(&talk, "H\0\0\0\4");
	assert_int_equal(talk.probe.mode, PROBE_WATCHING);
	SAYS(&talk, SERVER, "1\0\0\0\0042\0\0\0\4C\0\0\0\15INSERT 0\0");
	SAYS(&talk, CLIENT, "S\0\0\0\4");
	SAYS(&talk, SERVER, "Z\0\0\0\5I");
	talk_is_whole(&talk);
}

/* What ASKING and its like say of the next command would be spent on the empty line. */
static void redis_word_about_the_next_command_is_not_used_up(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &redis, ALL(redis_begins));
	SAYS(&talk, CLIENT, "ASKING\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "GET a\r\n");
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

/* --- 4: an answer that is late, and among data --- */

/* Pipelined: ours is the first of the answers, whatever was asked after it, and +PONG in data is
 * data. */
static void line_answers_are_counted_and_not_searched_for(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &lines, ALL(lines_begins));
	PROBES(&talk, "NOOP\r\n");
	SAYS(&talk, CLIENT, "NOOP\r\nRETR 1\r\n");
	pile_put(&talk.sent[SERVER], "250 OK\r\n+OK\r\n250 OK\r\n", 21);
	ANSWERS(&talk, "250 OK\r\n250 OK\r\n+OK\r\n250 OK\r\n");
	assert_int_equal(talk.swallowed, 8);
	talk_is_whole(&talk);
}

static void line_probe_waits_for_the_answers_that_are_owed(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &lines, ALL(lines_begins));
	SAYS(&talk, CLIENT, "RETR 1\r\nSTAT\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "+OK\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "+OK\r\n");
	assert_true(talk_may(&talk));
}

/* Messages overtake it, and one of them has its bytes. */
static void mqtt_answer_comes_behind_messages(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &mqtt, ALL(mqtt_begins));
	PROBES(&talk, PINGREQ);
	SAYS(&talk, SERVER, "\60\7\0\3t/c" PINGRESP);
	SAYS(&talk, SERVER, "\60\7\0\3t/c" PINGRESP "\60");
	SAYS(&talk, SERVER, "\7\0\3t/cab");
	assert_int_equal(talk.swallowed, 0);
	ANSWERS(&talk, PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	talk_is_whole(&talk);
}

/* Its answer would come behind the result set, or be a part of a file. */
static void mysql_probe_is_not_sent_behind_a_query(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &mysql, ALL(mysql_begins));
	SAYS(&talk, CLIENT, "\5\0\0\0\3do 1");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\1\0\0\0\2\0\0\0");
	PROBES(&talk, "\5\0\0\0\31\0\0\0\0");
	assert_int_equal(talk.probe.mode, PROBE_WATCHING);
	talk_is_whole(&talk);
}

static void redis_probe_behind_a_blocked_command_has_no_answer(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &redis, ALL(redis_begins));
	SAYS(&talk, CLIENT, "BLPOP list 0\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, SERVER, "*2\r\n$4\r\nlist\r\n$7\r\n+PONG\r\n\r\n");
	assert_int_equal(talk.swallowed, 0);
	talk_is_whole(&talk);
}

/* --- 5: an answer in another form, or none --- */

/* One that waits for an answer would eat the next one of the client's. */
static void redis_without_replies_is_expected_to_say_nothing(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &redis, ALL(redis_begins));
	SAYS(&talk, CLIENT, "CLIENT REPLY OFF\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "SET a b\r\n");
	PROBES(&talk, "\r\n");
	assert_int_equal(talk.probe.mode, PROBE_WATCHING);
	SAYS(&talk, CLIENT, "CLIENT REPLY ON\r\n");
	SAYS(&talk, SERVER, "+OK\r\n");
	SAYS(&talk, CLIENT, "PING\r\n");
	SAYS(&talk, SERVER, "+PONG\r\n");
	talk_is_whole(&talk);
}

/* Subscribed, in RESP3, monitoring: answers look different, and none is looked for. */
static void redis_answers_of_any_form_are_passed_on(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &redis, ALL(redis_begins));
	SAYS(&talk, CLIENT, "SUBSCRIBE ch\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, SERVER, ">3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
	PROBES(&talk, "\r\n");
	SAYS(&talk, SERVER, "*2\r\n$4\r\npong\r\n$0\r\n\r\n+PONG\r\n");
	talk_is_whole(&talk);
}

static void answer_in_another_form_is_passed_on_whole(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &lines, ALL(lines_begins));
	PROBES(&talk, "NOOP\r\n");
	SAYS(&talk, SERVER, "250 O");
	SAYS(&talk, SERVER, "nly for members\r\n");
	assert_true(probe_is_done(&talk.probe));
	talk_is_whole(&talk);
}

/* All else goes on, and nothing of it is held. */
static void answer_that_never_comes_holds_nothing_up(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &mqtt, ALL(mqtt_begins));
	PROBES(&talk, PINGREQ);
	for (int i = 0; i < 3; i++) {
		SAYS(&talk, CLIENT, "\60\7\0\3t/cab");
		SAYS(&talk, SERVER, "\60\7\0\3t/ccd");
		talk_is_whole(&talk);
		assert_false(talk_may(&talk));
	}
}

/* Two pings, two answers: each side owns one. */
static void mqtt_client_gets_the_answer_to_its_own_ping(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &mqtt, ALL(mqtt_begins));
	PROBES(&talk, PINGREQ);
	SAYS(&talk, CLIENT, PINGREQ);
	pile_put(&talk.sent[SERVER], PINGRESP, 2);
	ANSWERS(&talk, PINGRESP PINGRESP);
	assert_int_equal(talk.swallowed, 2);
	talk_is_whole(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITHIN("redis_half_sent_command_gets_no_probe", in_command),
		WITHIN("redis_bulk_string_gets_no_probe", in_bulk),
		WITHIN("mqtt_publish_payload_gets_no_probe", in_payload),
		WITHIN("irc_line_gets_no_probe", in_chat),
		WITHIN("memcached_data_block_gets_no_probe", in_data_block),
		WITHIN("postgresql_query_gets_no_probe", in_query),
		WITHIN("mysql_packet_gets_no_probe", in_packet),
		WITHIN("telnet_lone_ff_gets_no_probe", in_command_of_telnet),
		WITHIN("xmpp_stanza_gets_no_probe", in_stanza),
		WITHIN("stomp_sized_body_gets_no_probe", in_sized_body),
		WITHIN("amqp_frame_gets_no_probe", in_frame),
		BEFORE("mqtt_gets_no_probe_before_connack", mqtt_login),
		BEFORE("postgresql_gets_no_probe_before_it_is_ready", postgresql_login),
		BEFORE("xmpp_gets_no_probe_before_it_is_bound", xmpp_login),
		BEFORE("irc_gets_no_probe_before_it_is_registered", irc_login),
		BEFORE("redis_gets_no_probe_before_it_has_answered", redis_login),
		BEFORE("memcached_gets_no_probe_before_it_has_answered", memcached_login),
		BEFORE("mysql_gets_no_probe_before_the_login_is_over", mysql_login),
		BEFORE("amqp_gets_no_probe_before_open_ok", amqp_login),
		BEFORE("stomp_gets_no_probe_before_connected", stomp_login),
		BEFORE("telnet_gets_no_probe_before_it_has_said_a_command", telnet_login),
		BEFORE("lines_get_no_probe_before_the_first_answer", lines_login),
		cmocka_unit_test(memcached_binary_connection_is_left_alone),
		cmocka_unit_test(redis_multi_gets_an_empty_line_and_no_command),
		cmocka_unit_test(postgresql_pipeline_gets_a_flush_and_no_sync),
		cmocka_unit_test(redis_word_about_the_next_command_is_not_used_up),
		cmocka_unit_test(line_answers_are_counted_and_not_searched_for),
		cmocka_unit_test(line_probe_waits_for_the_answers_that_are_owed),
		cmocka_unit_test(mqtt_answer_comes_behind_messages),
		cmocka_unit_test(mysql_probe_is_not_sent_behind_a_query),
		cmocka_unit_test(redis_probe_behind_a_blocked_command_has_no_answer),
		cmocka_unit_test(redis_without_replies_is_expected_to_say_nothing),
		cmocka_unit_test(redis_answers_of_any_form_are_passed_on),
		cmocka_unit_test(answer_in_another_form_is_passed_on_whole),
		cmocka_unit_test(answer_that_never_comes_holds_nothing_up),
		cmocka_unit_test(mqtt_client_gets_the_answer_to_its_own_ping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
