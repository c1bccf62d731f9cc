/*
 * engine/probe_postgresql: sessions of psql and pgbench with PostgreSQL 15 (transactions, a failed
 * one, COPY both ways, NOTIFY, prepared statements in a pipeline) are left whole, with a Flush put
 * in wherever it may go; never before the login, into a message, into an encrypted session, one
 * that replicates, or towards the client; what does not fit ends it.
 */
#include "probe_harness.h"

static const struct probe_settings settings = {
	.protocol = PROBE_POSTGRESQL,
	.interval_us = 60000000,
};

#define SSL_REQUEST    "\0\0\0\10\4\322\26\57"
#define GSSENC_REQUEST "\0\0\0\10\4\322\26\60"
#define CANCEL_REQUEST "\0\0\0\20\4\322\26\56\0\0\0\1\0\0\0\2"
#define STARTUP        "\0\0\0\23\0\3\0\0user\0root\0\0"
#define AUTHENTICATED  "R\0\0\0\10\0\0\0\0"
#define READY          "Z\0\0\0\5I"
#define FLUSH          "H\0\0\0\4"
#define SYNC           "S\0\0\0\4"

/* psql: a transaction that fails, COPY from and to the client, a notification. */
static const struct run psql[] = {
	FROM_CLIENT("\0\0\0\10\4\322\26/"),
	FROM_SERVER("N"),
	FROM_CLIENT("\0\0\0?\0\3\0\0user\0postgres\0database\0postgres\0application_name\0psql\0"
		    "\0"),
	FROM_SERVER("R\0\0\0\10\0\0\0\0S\0\0\0\32application_name\0psql\0S\0\0\0\31client_encodin"
		    "g\0UTF8\0S\0\0\0\27DateStyle\0ISO, MDY\0S\0\0\0&default_transaction_read_onl"
		    "y\0off\0S\0\0\0\27in_hot_standby\0off\0S\0\0\0\31integer_datetimes\0on\0S\0"
		    "\0\0\33IntervalStyle\0postgres\0S\0\0\0\24is_superuser\0on\0S\0\0\0\31server"
		    "_encoding\0UTF8\0S\0\0\0002server_version\00015.18 (Debian 15.18-0+deb12u1)"
		    "\0S\0\0\0#session_authorization\0postgres\0S\0\0\0#standard_conforming_strin"
		    "gs\0on\0S\0\0\0\25TimeZone\0Etc/UTC\0K\0\0\0\14\0\0\35(\6m\371;Z\0\0\0\5I"),
	FROM_CLIENT("Q\0\0\0)create temp table t (a int, b text);\0"),
	FROM_SERVER("C\0\0\0\21CREATE TABLE\0Z\0\0\0\5I"),
	FROM_CLIENT("Q\0\0\0\13begin;\0"),
	FROM_SERVER("C\0\0\0\12BEGIN\0Z\0\0\0\5T"),
	FROM_CLIENT("Q\0\0\0\27copy t from stdin;\0"),
	FROM_SERVER("G\0\0\0\13\0\0\2\0\0\0\0"),
	FROM_CLIENT("d\0\0\0\0231\11one\0122\11two\12\\.\12c\0\0\0\4"),
	FROM_SERVER("C\0\0\0\13COPY 2\0Z\0\0\0\5T"),
	FROM_CLIENT("Q\0\0\0\25select * from t;\0"),
	FROM_SERVER("T\0\0\0.\0\2a\0\0\0@\2\0\1\0\0\0\27\0\4\377\377\377\377\0\0b\0\0\0@\2\0\2\0"
		    "\0\0\31\377\377\377\377\377\377\0\0D\0\0\0\22\0\2\0\0\0\0011\0\0\0\3oneD\0\0"
		    "\0\22\0\2\0\0\0\0012\0\0\0\3twoC\0\0\0\15SELECT 2\0Z\0\0\0\5T"),
	FROM_CLIENT("Q\0\0\0\20select 1/0;\0"),
	FROM_SERVER("E\0\0\0ASERROR\0VERROR\0C22012\0Mdivision by zero\0Fint.c\0L869\0Rint4div\0"
		    "\0Z\0\0\0\5E"),
	FROM_CLIENT("Q\0\0\0\16select 2;\0"),
	FROM_SERVER("E\0\0\0\220SERROR\0VERROR\0C25P02\0Mcurrent transaction is aborted, commands"
		    " ignored until end of transaction block\0Fpostgres.c\0L1081\0Rexec_simple_qu"
		    "ery\0\0Z\0\0\0\5E"),
	FROM_CLIENT("Q\0\0\0\16rollback;\0"),
	FROM_SERVER("C\0\0\0\15ROLLBACK\0Z\0\0\0\5I"),
	FROM_CLIENT("Q\0\0\0-copy (values (1,'x'),(2,'y')) to stdout;\0"),
	FROM_SERVER("H\0\0\0\13\0\0\2\0\0\0\0d\0\0\0\0101\11x\12d\0\0\0\0102\11y\12c\0\0\0\4C\0\0"
		    "\0\13COPY 2\0Z\0\0\0\5I"),
	FROM_CLIENT("Q\0\0\0\16listen c;\0"),
	FROM_SERVER("C\0\0\0\13LISTEN\0Z\0\0\0\5I"),
	FROM_CLIENT("Q\0\0\0\16notify c;\0"),
	FROM_SERVER("C\0\0\0\13NOTIFY\0A\0\0\0\13\0\0\35(c\0\0Z\0\0\0\5I"),
};

/* pgbench: prepared statements in a pipeline. */
static const struct run pgbench[] = {
	FROM_CLIENT("\0\0\0\10\4\322\26/"),
	FROM_SERVER("N"),
	FROM_CLIENT("\0\0\0B\0\3\0\0user\0postgres\0database\0postgres\0application_name\0pgbench"
		    "\0\0"),
	FROM_SERVER("R\0\0\0\10\0\0\0\0S\0\0\0\35application_name\0pgbench\0S\0\0\0\31client_enco"
		    "ding\0UTF8\0S\0\0\0\27DateStyle\0ISO, MDY\0S\0\0\0&default_transaction_read_"
		    "only\0off\0S\0\0\0\27in_hot_standby\0off\0S\0\0\0\31integer_datetimes\0on\0S"
		    "\0\0\0\33IntervalStyle\0postgres\0S\0\0\0\24is_superuser\0on\0S\0\0\0\31serv"
		    "er_encoding\0UTF8\0S\0\0\0002server_version\00015.18 (Debian 15.18-0+deb12u1"
		    ")\0S\0\0\0#session_authorization\0postgres\0S\0\0\0#standard_conforming_stri"
		    "ngs\0on\0S\0\0\0\25TimeZone\0Etc/UTC\0K\0\0\0\14\0\0P\33Q\")\363Z\0\0\0\5I"),
	FROM_CLIENT("P\0\0\0\25P_0\0select $1;\0\0\0S\0\0\0\4"),
	FROM_SERVER("1\0\0\0\4Z\0\0\0\5I"),
	FROM_CLIENT("P\0\0\0\31P_1\0select $1 + 1;\0\0\0S\0\0\0\4"),
	FROM_SERVER("1\0\0\0\4Z\0\0\0\5I"),
	FROM_CLIENT("B\0\0\0\26\0P_0\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "B\0\0\0\26\0P_1\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "S\0\0\0\4"),
	FROM_SERVER("2\0\0\0\4T\0\0\0!\0\1?column?\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377"
		    "\0\0D\0\0\0\13\0\1\0\0\0\0013C\0\0\0\15SELECT 1\0002\0\0\0\4T\0\0\0!\0\1?col"
		    "umn?\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0D\0\0\0\13\0\1\0\0\0\0014"
		    "C\0\0\0\15SELECT 1\0Z\0\0\0\5I"),
	FROM_CLIENT("P\0\0\0\31P_2\0select $1 + 2;\0\0\0S\0\0\0\4"),
	FROM_SERVER("1\0\0\0\4Z\0\0\0\5I"),
	FROM_CLIENT("B\0\0\0\26\0P_2\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "S\0\0\0\4"),
	FROM_SERVER("2\0\0\0\4T\0\0\0!\0\1?column?\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0"
		    "D\0\0\0\13\0\1\0\0\0\0015C\0\0\0\15SELECT 1\0Z\0\0\0\5I"),
	FROM_CLIENT("B\0\0\0\26\0P_0\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "B\0\0\0\26\0P_1\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "S\0\0\0\4"),
	FROM_SERVER("2\0\0\0\4T\0\0\0!\0\1?column?\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377"
		    "\0\0D\0\0\0\13\0\1\0\0\0\0013C\0\0\0\15SELECT 1\0002\0\0\0\4T\0\0\0!\0\1?col"
		    "umn?\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0D\0\0\0\13\0\1\0\0\0\0014"
		    "C\0\0\0\15SELECT 1\0Z\0\0\0\5I"),
	FROM_CLIENT("B\0\0\0\26\0P_2\0\0\0\0\1\0\0\0\0013\0\1\0\0D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0"
		    "S\0\0\0\4"),
	FROM_SERVER("2\0\0\0\4T\0\0\0!\0\1?column?\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0"
		    "D\0\0\0\13\0\1\0\0\0\0015C\0\0\0\15SELECT 1\0Z\0\0\0\5I"),
};

/* In a pipeline, too. */
static void a_session_is_left_whole(void **state)
{
	static const struct recording recordings[] = {
		{ &settings, SERVER, RUNS(psql), NULL, 0, 533 },
		{ &settings, SERVER, RUNS(pgbench), NULL, 0, 476 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

static void started(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
}

static void ready(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, STARTUP);
	SAYS(talk, SERVER, AUTHENTICATED READY);
	assert_true(talk_may(talk));
}

static void not_before_the_login(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, SSL_REQUEST);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "N");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, GSSENC_REQUEST);
	SAYS(&talk, SERVER, "N");
	SAYS(&talk, CLIENT, STARTUP);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "R\0\0\0\14\0\0\0\5abcd");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "p\0\0\0\12md5ab\0");
	SAYS(&talk, SERVER, AUTHENTICATED);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "S\0\0\0\10a\0b\0K\0\0\0\14\0\0\0\1\0\0\0\2Z\0\0\0\5");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "I");
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

static void not_within_a_message(void **state)
{
	struct talk talk;

	(void)state;
	ready(&talk);
	SAYS(&talk, CLIENT, "Q");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0\0\0\15select");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, " 1");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0");
	PROBES(&talk, FLUSH);
	talk_is_whole(&talk);
}

/* Where the server is does not matter: in the middle of what it says, in COPY, in a pipeline. */
static void whatever_the_server_does(void **state)
{
	struct talk talk;

	(void)state;
	ready(&talk);
	SAYS(&talk, CLIENT, "Q\0\0\0\13copy t\0");
	SAYS(&talk, SERVER, "G\0\0\0\7\0");
	PROBES(&talk, FLUSH);
	SAYS(&talk, SERVER, "\0\0d\0\0");
	SAYS(&talk, CLIENT, "d\0\0\0\6a\n");
	PROBES(&talk, FLUSH);
	SAYS(&talk, CLIENT, "d\0\0\0\4c\0\0\0\4");
	SAYS(&talk, CLIENT, "P\0\0\0\10\0\0\0\0");
	PROBES(&talk, FLUSH);
	SAYS(&talk, CLIENT, SYNC);
	PROBES(&talk, FLUSH);
	assert_false(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void never_towards_the_client(void **state)
{
	struct talk talk;

	(void)state;
	assert_true(probe_protocol_goes_to(PROBE_POSTGRESQL, SERVER));
	assert_false(probe_protocol_goes_to(PROBE_POSTGRESQL, CLIENT));
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, STARTUP);
	SAYS(&talk, SERVER, AUTHENTICATED READY);
	assert_false(talk_may(&talk));
}

static void not_after_an_end(void **state)
{
	struct talk talk;

	(void)state;
	check_not_after_an_end(ready);
	ready(&talk);
	SAYS(&talk, CLIENT, "X\0\0\0\4");
	assert_false(talk_may(&talk));
}

/* A parameter that is called so asks for replication; others are only similar. */
static void replication_ends_it(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, "\0\0\0\50\0\3\0\0user\0root\0replication\0database\0\0");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);

	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT,
	     "\0\0\0\104\0\3\0\0user\0replication\0replicatio\0n\0replications\0a\0xreplication\0");
	SAYS(&talk, CLIENT, "\0\0");
	SAYS(&talk, SERVER, AUTHENTICATED READY);
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);

	ready(&talk);
	SAYS(&talk, SERVER, "W\0\0\0\7\0\0\0");
	assert_true(talk_is_off(&talk));
}

/* Each way of encryption is asked for once. */
static void a_refusal_is_taken_for_an_answer(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, SSL_REQUEST);
	SAYS(&talk, SERVER, "N");
	SAYS(&talk, CLIENT, SSL_REQUEST);
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void asks_for_tls(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, SSL_REQUEST);
}

static void asks_for_gssapi(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, CLIENT, GSSENC_REQUEST);
}

static void encryption_ends_it(void **state)
{
	static const struct misfit misfits[] = {
		{ asks_for_tls, FROM_SERVER("S") },
		{ asks_for_gssapi, FROM_SERVER("G") },
		{ asks_for_tls, FROM_SERVER("E") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

static void what_does_not_fit_ends_it(void **state)
{
	static const struct misfit misfits[] = {
		{ started, FROM(CLIENT, "\26\3\1\2\0\1\0\1\374\3\3") }, /* TLS */
		{ started, FROM(CLIENT, CANCEL_REQUEST) },
		{ started, FROM(CLIENT, "\0\0\0\23\0\2\0\0user\0root\0\0") }, /* version 2 */
		{ started, FROM(CLIENT, "\0\0\0\22\0\3\0\0user\0root\0") },   /* not ended */
		{ started, FROM(CLIENT, "\0\0\0\24\0\3\0\0user\0root\0\0\0") },
		{ started, FROM(CLIENT, "\0\0\0\26\0\3\0\0user\0root\0\0a\0\0") },
		{ started, FROM(CLIENT, "\0\0\0\7\0\3\0\0") },
		{ started, FROM(CLIENT, "\0\1\0\0") },
		{ started, FROM(CLIENT, "\0\0\0\11\4\322\26\57") },
		{ started, FROM(CLIENT, SSL_REQUEST STARTUP) }, /* does not wait for the answer */
		{ started, FROM(CLIENT, STARTUP "Q\0\0\0\5\0") },
		{ started, FROM(SERVER, READY) },
		{ ready, FROM(CLIENT, "Q\0\0\0\3") },
		{ ready, FROM(CLIENT, "Q\100\0\0\0") },
		{ ready, FROM(CLIENT, "S\0\0\0\5") },
		{ ready, FROM(CLIENT, "p\0\0\0\5\0") },
		{ ready, FROM(CLIENT, "z\0\0\0\5\0") },
		{ ready, FROM(CLIENT, "\0\0\0\0\5\0") },
		{ ready, FROM(CLIENT, "SELECT 1\n") },
		{ ready, FROM(SERVER, "Z\0\0\0\6II") },
		{ ready, FROM(SERVER, "Z\0\0\0\5i") },
		{ ready, FROM(SERVER, "Z\0\0\0\5\0") },
		{ ready, FROM(SERVER, AUTHENTICATED) },
		{ ready, FROM(SERVER, "1\0\0\0\5\0") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_left_whole),
		cmocka_unit_test(not_before_the_login),
		cmocka_unit_test(not_within_a_message),
		cmocka_unit_test(whatever_the_server_does),
		cmocka_unit_test(never_towards_the_client),
		cmocka_unit_test(not_after_an_end),
		cmocka_unit_test(replication_ends_it),
		cmocka_unit_test(a_refusal_is_taken_for_an_answer),
		cmocka_unit_test(encryption_ends_it),
		cmocka_unit_test(what_does_not_fit_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
