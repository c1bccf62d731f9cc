/*
 * engine/probe_stomp: a session of stomp.py with RabbitMQ in every cut; where a line feed may go,
 * and what turns it off.
 */
#include "probe_harness.h"

static const struct probe_settings settings = { .protocol = PROBE_STOMP };

#define CONNECT   "CONNECT\naccept-version:1.1,1.2\nhost:/\n\n\0"
#define CONNECTED "CONNECTED\nversion:1.2\n\n\0"

/* RabbitMQ 3.10: a body with a NUL in it, escapes, a transaction. */
static const struct run from_rabbitmq[] = {
	FROM_CLIENT("STOMP\n"
		    "accept-version:1.2\n"
		    "host:/\n"
		    "login:guest\n"
		    "passcode:guest\n"
		    "\n"
		    "\x00"),
	FROM_SERVER("CONNECTED\n"
		    "server:RabbitMQ/3.10.8\n"
		    "session:session-mOCnsmMTZOOW3lg-PY6OKA\n"
		    "heart-beat:0,0\n"
		    "version:1.2\n"
		    "\n"
		    "\x00\n"),
	FROM_CLIENT("SUBSCRIBE\n"
		    "ack:client-individual\n"
		    "destination:/queue/a\n"
		    "id:1\n"
		    "\n"
		    "\x00SEND\n"
		    "content-length:5\n"
		    "destination:/queue/a\n"
		    "\n"
		    "plain\x00"),
	FROM_SERVER("MESSAGE\n"
		    "subscription:1\n"
		    "destination:/queue/a\n"
		    "message-id:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@1\n"
		    "redelivered:false\n"
		    "ack:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@1\n"
		    "content-length:5\n"
		    "\n"
		    "plain\x00\n"),
	FROM_CLIENT("SEND\n"
		    "content-length:11\n"
		    "content-type:application/octet-stream\n"
		    "destination:/queue/a\n"
		    "x:a\\cb\\\\c\\nd\n"
		    "\n"
		    "with\x00"
		    "a nul\x00\x00"),
	FROM_SERVER("MESSAGE\n"
		    "subscription:1\n"
		    "destination:/queue/a\n"
		    "message-id:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@2\n"
		    "redelivered:false\n"
		    "ack:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@2\n"
		    "x:a\\cb\\\\c\\nd\n"
		    "content-type:application/octet-stream\n"
		    "content-length:11\n"
		    "\n"
		    "with\x00"
		    "a nul\x00\x00\n"),
	FROM_CLIENT("BEGIN\n"
		    "transaction:7b4aa083-c56e-40cf-bf9e-93ba3932e315\n"
		    "\n"
		    "\x00SEND\n"
		    "content-length:16\n"
		    "destination:/queue/a\n"
		    "transaction:7b4aa083-c56e-40cf-bf9e-93ba3932e315\n"
		    "\n"
		    "in a transaction\x00"
		    "COMMIT\n"
		    "transaction:7b4aa083-c56e-40cf-bf9e-93ba3932e315\n"
		    "\n"
		    "\x00"),
	FROM_SERVER("MESSAGE\n"
		    "subscription:1\n"
		    "destination:/queue/a\n"
		    "message-id:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@3\n"
		    "redelivered:false\n"
		    "ack:T_1@@session-mOCnsmMTZOOW3lg-PY6OKA@@3\n"
		    "transaction:7b4aa083-c56e-40cf-bf9e-93ba3932e315\n"
		    "content-length:16\n"
		    "\n"
		    "in a transaction\x00\n"),
	FROM_CLIENT("UNSUBSCRIBE\n"
		    "id:1\n"
		    "\n"
		    "\x00"
		    "DISCONNECT\n"
		    "receipt:bye\n"
		    "\n"
		    "\x00"),
	FROM_SERVER("RECEIPT\n"
		    "receipt-id:bye\n"
		    "\n"
		    "\x00\n"),
};

/* Ends of line as 1.2 has them, heart-beats of the peers' own, a body without a size, an empty one
 * with a size, and a header that comes twice. */
static const struct run by_hand[] = {
	FROM_CLIENT("\r\n\nCONNECT\r\naccept-version:1.2\r\nhost:/\r\n\r\n\0"),
	FROM_SERVER("CONNECTED\r\nversion:1.1\r\nversion:1.0\r\nheart-beat:1000,1000\r\n\r\n\0"),
	FROM_CLIENT("\n\r\nSEND\r\ndestination:/queue/"
		    "a\r\na-long-name-of-a-header:x\r\n\r\na\r\n\nb\0\n"),
	FROM_SERVER("\n\n"),
	FROM_CLIENT("SEND\ncontent-length:0\ndestination:/queue/"
		    "a\n\n\0SEND\ndestination:a:b\nfoo:\n\n\0"),
	FROM_SERVER("MESSAGE\ncontent-length:06\nfoo:1\nfoo:2\n\n\0SEND\n\0\nRECEIPT\nreceipt-id:"
		    "1\n\n\0"),
	FROM_CLIENT("ACK\nid:1\n\n\0NACK\nid:2\n\n\0ABORT\ntransaction:1\n\n\0"),
	FROM_SERVER("ERROR\nmessage:no\n\nwhy\0"),
};

static void recordings(void **state)
{
	const struct recording all[] = {
		{ &settings, CLIENT, RUNS(from_rabbitmq), NULL, 0, 481 },
		{ &settings, SERVER, RUNS(from_rabbitmq), NULL, 0, 668 },
		{ &settings, CLIENT, RUNS(by_hand), NULL, 0, 191 },
		{ &settings, SERVER, RUNS(by_hand), NULL, 0, 87 },
	};

	(void)state;
	check_recordings(ALL(all));
}

static void talk_connected(struct talk *talk, enum side target)
{
	talk_start(talk, &settings, target);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, CONNECT);
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "CONNECTED\nversion:1.2\n\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, "\0");
	assert_true(talk_may(talk));
}

static void between_frames(void **state)
{
	struct talk talk;

	(void)state;
	talk_connected(&talk, SERVER);
	PROBES(&talk, "\n");
	SAYS(&talk, CLIENT, "SEND\ndestination:/queue/a\ncontent-length:5\n\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "a\0b\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0");
	PROBES(&talk, "\n");
	SAYS(&talk, CLIENT, "SEND\ndestination:/queue/a\n\na\nb");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "MESSAGE\n"); /* a matter of the other flow */
	SAYS(&talk, CLIENT, "\0");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\r");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\n");
	PROBES(&talk, "\n");
	talk_is_whole(&talk);
}

static void towards_the_client(void **state)
{
	struct talk talk;

	(void)state;
	talk_connected(&talk, CLIENT);
	PROBES(&talk, "\n");
	SAYS(&talk, SERVER, "M");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "ESSAGE\nsubscription:1\n\nbody");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\0");
	SAYS(&talk, CLIENT, "SEND\n");
	PROBES(&talk, "\n");
	talk_is_whole(&talk);
}

static void not_after_a_goodbye(void **state)
{
	struct talk talk;

	(void)state;
	talk_connected(&talk, SERVER);
	SAYS(&talk, CLIENT, "DISCONNECT\nreceipt:1\n\n\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "RECEIPT\nreceipt-id:1\n\n\0");
	assert_false(talk_may(&talk));
	assert_false(talk_is_off(&talk));

	talk_connected(&talk, SERVER);
	SAYS(&talk, SERVER, "ERROR\nmessage:no\n\n\0");
	assert_false(talk_may(&talk));
	assert_false(talk_is_off(&talk));

	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, CONNECT);
	SAYS(&talk, SERVER, "ERROR\nmessage:no\n\n\0");
	assert_false(talk_may(&talk));
	talk_is_whole(&talk);
}

static void connected_to_client(struct talk *talk)
{
	talk_connected(talk, CLIENT);
}

static void started(struct talk *talk)
{
	talk_start(talk, &settings, CLIENT);
}

static void connecting(struct talk *talk)
{
	started(talk);
	SAYS(talk, CLIENT, CONNECT);
}

static void off(void **state)
{
	static const struct misfit misfits[] = {
		{ started, FROM_CLIENT("GET / HTTP/1.1\r\n") },
		{ started, FROM_CLIENT("SEND\n") },
		{ connecting, FROM_SERVER("MESSAGE\n") },
		/* 1.0: no version is told, or that one. */
		{ connecting, FROM_SERVER("CONNECTED\nsession:1\n\n\0") },
		{ connecting, FROM_SERVER("CONNECTED\nversion:1.0\n\n\0") },
		{ connected_to_client, FROM_CLIENT("HELLO\n") },
		{ connected_to_client, FROM_CLIENT("send\n") },
		{ connected_to_client, FROM_CLIENT("MESSAGE\n") }, /* the other side's */
		{ connected_to_client, FROM_SERVER("SEND\n") },
		{ connected_to_client, FROM_CLIENT(CONNECT) }, /* once more */
		{ connected_to_client, FROM_SERVER(CONNECTED) },
		{ connected_to_client, FROM_CLIENT("\0") },
		{ connected_to_client, FROM_CLIENT("\r\r") },
		{ connected_to_client, FROM_CLIENT("SEND\r:") },
		{ connected_to_client, FROM_CLIENT("ACOMMANDWITHOUTE") },
		{ connected_to_client, FROM_CLIENT("SEND\n:a\n") },
		{ connected_to_client, FROM_CLIENT("SEND\nheader\n") },
		{ connected_to_client, FROM_CLIENT("SEND\na\0") },
		{ connected_to_client, FROM_CLIENT("SEND\n\0") },
		{ connected_to_client, FROM_CLIENT("SEND\na:b\0") },
		{ connected_to_client, FROM_CLIENT("SEND\na:b\rc\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length:\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length: 1\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length:-1\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length:1234567890123456\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length:1\ncontent-length:1\n") },
		{ connected_to_client, FROM_CLIENT("SEND\ncontent-length:2\n\nabc") },
	};

	(void)state;
	check_misfits(ALL(misfits));
	check_not_after_an_end(connected_to_client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings),
		cmocka_unit_test(between_frames),
		cmocka_unit_test(towards_the_client),
		cmocka_unit_test(not_after_a_goodbye),
		cmocka_unit_test(off),
	};

	return cmocka_run_group_tests_name("probe_stomp", tests, NULL, NULL);
}
