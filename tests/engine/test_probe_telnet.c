/*
 * engine/probe_telnet: a session of Debian's telnet with its telnetd in every cut; where a NOP may
 * go, and what turns it off.
 */
#include "probe_harness.h"

static const struct probe_settings settings = { .protocol = PROBE_TELNET };

/* inetutils 2.4: ENCRYPT is agreed upon and not begun, the client turns to binary (its lines end
 * with CR alone), an interrupt, and bytes of 255. */
static const struct run from_telnetd[] = {
	FROM_SERVER("\xff\xfb%\xff\xfb&\xff\xfd\x18\xff\xfd \xff\xfd#"
		    "\xff\xfd'\xff\xfd$"),
	FROM_CLIENT("\xff\xfd%\xff\xfd&\xff\xfa&\x01\xff\xf0\xff\xfb\x18"
		    "\xff\xfb \xff\xfb#\xff\xfb'\xff\xfc$"),
	FROM_SERVER("\xff\xfa \x01\xff\xf0\xff\xfa#\x01\xff\xf0"
		    "\xff\xfa'\x01\xff\xf0\xff\xfa\x18\x01\xff\xf0"),
	FROM_CLIENT("\xff\xfa \x00"
		    "38400,38400\xff\xf0"
		    "\xff\xfa#\x00\xff\xf0"
		    "\xff\xfa'\x00\x00"
		    "DISPLAY\x01\xff\xf0"
		    "\xff\xfa\x18\x00VT100\xff\xf0"),
	FROM_SERVER("\xff\xfb\x03\xff\xfd\x01\xff\xfd\"\xff\xfd\x1f\xff\xfb\x05"
		    "\xff\xfd!"),
	FROM_CLIENT("\xff\xfd\x03\xff\xfc\x01\xff\xfb\""
		    "\xff\xfa\"\x03\x01\x00\x00\x03"
		    "b\x03\x04\x02\x0f\x05\x00\x00\x07"
		    "b\x1c\x08\x02\x04\x09"
		    "B\x1a\n"
		    "\x02\x7f\x0b\x02\x15\x0c\x02\x17\r\x02\x12\x0e\x02\x16\x0f\x02\x11\x10\x02\x13"
		    "\x11\x00\x00\x12\x00\x00\xff\xf0"
		    "\xff\xfb\x1f\xff\xfa\x1f\x00\x00\x00\x00\xff\xf0\xff\xfd\x05"
		    "\xff\xfb!"),
	FROM_SERVER("\xff\xfa\"\x01\x03\xff\xf0\x00"),
	FROM_CLIENT("\xff\xfa\"\x01\x07\xff\xf0"),
	FROM_SERVER("\xff\xfa!\x03\xff\xf0\x00\xff\xfb\x01\xff\xfd\x00\xff\xfe\""
		    "\xff\xfa\"\x03\x03\xe2\x03\x04\x82\x0f\x07\xe2\x1c\x08\x82\x04\x09\xc2\x1a\n"
		    "\x82\x7f\x0b\x82\x15\x0c\x82\x17\r\x82\x12\x0e\x82\x16\x0f\x82\x11\x10\x82\x13"
		    "\xff\xf0"),
	FROM_CLIENT("\xff\xfd\x01\xff\xfb\x00\xff\xfc\""),
	FROM_SERVER("# "),
	FROM_CLIENT("echo one\r"),
	FROM_SERVER("echo one\r\n"
		    "one\r\n"
		    "# "),
	FROM_CLIENT("sleep 5\r"),
	FROM_SERVER("sleep 5\r\n"),
	FROM_CLIENT("\x03"),
	FROM_SERVER("\xf2^C\r\n"
		    "# "),
	FROM_CLIENT("printf '\\377\\377|\\r\\n'\r"),
	FROM_SERVER("printf '\\377\\377|\\r\\n'\r\n"
		    "\xff\xff\xff\xff|\r\x00\r\n"
		    "# "),
	FROM_CLIENT("exit\r"),
	FROM_SERVER("exit\r\n"),
};

/* A 3270 terminal, RFC 1576: records both ways. */
static const struct run from_3270[] = {
	FROM_SERVER("\xff\xfd\x18"),
	FROM_CLIENT("\xff\xfb\x18"),
	FROM_SERVER("\xff\xfa\x18\x01\xff\xf0"),
	FROM_CLIENT("\xff\xfa\x18\x00IBM-3278-2\xff\xf0"),
	FROM_SERVER("\xff\xfd\x19\xff\xfb\x19\xff\xfd\x00\xff\xfb\x00"),
	FROM_CLIENT("\xff\xfb\x19\xff\xfd\x19\xff\xfb\x00\xff\xfd\x00"),
	FROM_SERVER("\x05\xc3\x11\x40\x40\x1d\xf0\xff\xff\r\xd1\xff\xef"),
	FROM_CLIENT("\x7d\x40\xc1\x11\x40\xc9\xff\xff\xff\xef"),
	FROM_SERVER("\xf5\xc3\x11\x5d\x7f\xff\xef"),
};

static void recordings(void **state)
{
	const struct recording all[] = {
		{ &settings, CLIENT, RUNS(from_telnetd), NULL, 0, 302 },
		{ &settings, SERVER, RUNS(from_telnetd), NULL, 0, 274 },
		{ &settings, CLIENT, RUNS(from_3270), NULL, 0, 47 },
		{ &settings, SERVER, RUNS(from_3270), NULL, 0, 47 },
	};

	(void)state;
	check_recordings(ALL(all));
}

static void never_to_a_peer_that_sent_no_command(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "login: ");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xfb\x1f");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xfd\x1f");
	PROBES(&talk, "\xff\xf1");
	talk_is_whole(&talk);

	/* A doubled 255 is data. */
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, "\xff\xff");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xf1");
	PROBES(&talk, "\xff\xf1");
}

static void not_within_a_command(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, "\xff\xfb\x18");
	SAYS(&talk, SERVER, "half a li");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xfd");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\x18");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xfa\x18\x01");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xf1");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xf0");
	assert_true(talk_may(&talk));
	/* The client's own command is no matter of what goes to it. */
	SAYS(&talk, CLIENT, "\xff\xfa\x18");
	PROBES(&talk, "\xff\xf1");
	talk_is_whole(&talk);
}

/* A NOP between CR and LF makes two line ends of one. */
static void not_after_a_carriage_return(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, SERVER, "\xff\xfd\x00");
	SAYS(&talk, CLIENT, "ls\r");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\n");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\r");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0");
	assert_true(talk_may(&talk));
	/* Binary, until it is taken back. */
	SAYS(&talk, CLIENT, "\xff\xfb\x00\r");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\r");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xfc\x00\r");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xfb\x00\r");
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "\xff\xfe\x00");
	assert_false(talk_may(&talk));
}

static void not_within_a_record(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, SERVER, "\xff\xfd\x19");
	SAYS(&talk, CLIENT, "\xff\xfb\x19");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\x7d");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xef");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xff");
	assert_false(talk_may(&talk));

	/* TN3270E has records both ways, and no other word about them. */
	talk_start(&talk, &settings, SERVER);
	SAYS(&talk, SERVER, "\xff\xfd\x28");
	SAYS(&talk, CLIENT, "\xff\xfb\x28");
	SAYS(&talk, CLIENT, "\0\0\0\0\0\x7d");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\xff\xef");
	assert_true(talk_may(&talk));
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, SERVER, "\xff\xfd\x28");
	SAYS(&talk, CLIENT, "\xff\xfb\x28");
	SAYS(&talk, SERVER, "\0\0\0\0\0\xf5");
	assert_false(talk_may(&talk));
}

static void spoken(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
	SAYS(talk, SERVER, "\xff\xfb\x03");
}

static void not_after_an_end(void **state)
{
	(void)state;
	check_not_after_an_end(spoken);
}

/* What one side says after the other's last word turns it off. */
static void check_off(const char *before, const char *last)
{
	struct talk talk;

	talk_start(&talk, &settings, CLIENT);
	talk_says(&talk, SERVER, before, strlen(before));
	assert_false(talk_is_off(&talk));
	talk_says(&talk, CLIENT, last, strlen(last));
	assert_true(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "\x78\x9c\xff\x01\xff\xf0");
	SAYS(&talk, SERVER, "\x78\x9c\xff\x01\xff\xf0");
	talk_is_whole(&talk);
}

static void off(void **state)
{
	(void)state;
	check_off("", "\x16\x03\x01");                     /* TLS */
	check_off("", "a\xff\xf0");                        /* an end without its beginning */
	check_off("", "\xff\xeb");                         /* no command */
	check_off("", "\xff\xfa\x18\x01\xff\xf1");         /* one in a subnegotiation */
	check_off("\xff\xfb\x56", "\xff\xfd\x56");         /* WILL and DO COMPRESS2 */
	check_off("\xff\xfd\x56", "\xff\xfb\x56");         /* the other way round */
	check_off("\xff\xfb\x55", "\xff\xfd\x55");         /* COMPRESS */
	check_off("\xff\xfb\x57", "\xff\xfd\x57");         /* COMPRESS3 */
	check_off("\xff\xfd\x2e", "\xff\xfb\x2e");         /* START_TLS */
	check_off("", "\xff\xfa\x56\xff\xf0");             /* begun without a word */
	check_off("\xff\xfb\x26", "\xff\xfa\x26\x03");     /* ENCRYPT START */
	check_off("\xff\xfb\x26", "\xff\xfa\x26\x02\x01"); /* and REPLY */
}

static void not_off(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, "\x16");
	assert_false(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "\x16\x03");
	SAYS(&talk, SERVER, "\xff\xfb\x56"); /* COMPRESS2 is offered, and refused */
	SAYS(&talk, CLIENT, "\xff\xfe\x56");
	SAYS(&talk, SERVER, "\xff\xfb\x26"); /* ENCRYPT is not begun */
	SAYS(&talk, CLIENT, "\xff\xfd\x26\xff\xfa\x26\x01\xff\xf0");
	PROBES(&talk, "\xff\xf1");
	talk_is_whole(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings),
		cmocka_unit_test(never_to_a_peer_that_sent_no_command),
		cmocka_unit_test(not_within_a_command),
		cmocka_unit_test(not_after_a_carriage_return),
		cmocka_unit_test(not_within_a_record),
		cmocka_unit_test(not_after_an_end),
		cmocka_unit_test(off),
		cmocka_unit_test(not_off),
	};

	return cmocka_run_group_tests_name("probe_telnet", tests, NULL, NULL);
}
