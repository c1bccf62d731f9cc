/*
 * engine/probe_irc: a session of ii with ngircd in every cut; where an empty line may go, and what
 * turns it off.
 */
#include "probe_harness.h"

static const struct probe_settings settings = { .protocol = PROBE_IRC };

#define WELCOME ":irc.example.org 001 ann :Welcome\r\n"

/* ngircd 26.1. */
static const struct run from_ngircd[] = {
	FROM_CLIENT("NICK ann\r\n"
		    "USER ann localhost 127.0.0.1 :ann\r\n"),
	FROM_SERVER(
		":irc.example.org 001 ann :Welcome to the Internet Relay Network "
		"ann!~ann@127.0.0.1\r\n"
		":irc.example.org 002 ann :Your host is irc.example.org, running version "
		"ngircd-26.1 (x86_64/pc/linux-gnu)\r\n"
		":irc.example.org 003 ann :This server has been started Sun Nov 22 2026 at "
		"23:38:14 (UTC)\r\n"
		":irc.example.org 004 ann irc.example.org ngircd-26.1 abBcCFiIoqrRswx "
		"abehiIklmMnoOPqQrRstvVz\r\n"
		":irc.example.org 005 ann RFC2812 IRCD=ngIRCd CHARSET=UTF-8 CASEMAPPING=ascii "
		"PREFIX=(qaohv)~&@%+ CHANTYPES=#&+ CHANMODES=beI,k,l,imMnOPQRstVz CHANLIMIT=#&+:10 "
		":are supported on this server\r\n"
		":irc.example.org 005 ann CHANNELLEN=50 NICKLEN=9 TOPICLEN=490 AWAYLEN=127 "
		"KICKLEN=400 MODES=5 MAXLIST=beI:50 EXCEPTS=e INVEX=I PENALTY FNC :are supported "
		"on this server\r\n"
		":irc.example.org 251 ann :There are 1 users and 0 services on 1 servers\r\n"
		":irc.example.org 254 ann 1 :channels formed\r\n"
		":irc.example.org 255 ann :I have 1 users, 0 services and 0 servers\r\n"
		":irc.example.org 265 ann 1 1 :Current local users: 1, Max: 1\r\n"
		":irc.example.org 266 ann 1 1 :Current global users: 1, Max: 1\r\n"
		":irc.example.org 250 ann :Highest connection count: 1 (1 connections received)\r\n"
		":irc.example.org 375 ann :- irc.example.org message of the day\r\n"
		":irc.example.org 372 ann :- hello\r\n"
		":irc.example.org 376 ann :End of MOTD command\r\n"),
	FROM_CLIENT("JOIN #room\r\n"),
	FROM_SERVER(":ann!~ann@127.0.0.1 JOIN :#room\r\n"
		    ":irc.example.org 353 ann = #room :@ann\r\n"
		    ":irc.example.org 366 ann #room :End of NAMES list\r\n"),
	FROM_CLIENT("PRIVMSG #room :hello, all\r\n"
		    "TOPIC #room :a topic\r\n"),
	FROM_SERVER(":ann!~ann@127.0.0.1 TOPIC #room :a topic\r\n"),
	FROM_CLIENT("MODE #room\r\n"
		    "WHOIS ann\r\n"),
	FROM_SERVER(":irc.example.org 324 ann #room +\r\n"
		    ":irc.example.org 329 ann #room 1795390697\r\n"),
	FROM_CLIENT("PING :tok en\r\n"
		    "NOSUCH\r\n"),
	FROM_SERVER(":irc.example.org 311 ann ann ~ann 127.0.0.1 * :ann\r\n"
		    ":irc.example.org 312 ann ann irc.example.org :test\r\n"
		    ":irc.example.org 319 ann ann :@#room\r\n"
		    ":irc.example.org 378 ann ann :is connecting from *@127.0.0.1 127.0.0.1\r\n"
		    ":irc.example.org 379 ann ann :is using modes +\r\n"
		    ":irc.example.org 317 ann ann 2 1795390695 :seconds idle, signon time\r\n"
		    ":irc.example.org 318 ann ann :End of WHOIS list\r\n"),
	FROM_CLIENT("QUIT :bye\r\n"),
	FROM_SERVER(":irc.example.org PONG irc.example.org :tok en\r\n"
		    ":irc.example.org 421 ann NOSUCH :Unknown command\r\n"),
};

/* IRCv3: capabilities, SASL before the registration, tags, commands in small letters, and an empty
 * line of the server's own. */
static const struct run with_tags[] = {
	FROM_CLIENT("CAP LS 302\r\nnick ann\r\nuser ann 0 * :Ann\r\n"),
	FROM_SERVER(
		"@time=2026-01-01T00:00:00.000Z :irc.example.org CAP * LS :sasl message-tags\r\n"),
	FROM_CLIENT("CAP REQ :sasl message-tags\r\n"),
	FROM_SERVER(":irc.example.org CAP ann ACK :sasl message-tags\r\n"),
	FROM_CLIENT("AUTHENTICATE PLAIN\r\n"),
	FROM_SERVER("AUTHENTICATE +\r\n"),
	FROM_CLIENT("AUTHENTICATE YW5uAGFubgBzZWNyZXQ=\r\n"),
	FROM_SERVER(":irc.example.org 903 ann :SASL authentication successful\r\n"),
	FROM_CLIENT("CAP END\r\n"),
	FROM_SERVER("@time=2026-01-01T00:00:01.000Z  :irc.example.org 001 ann :Welcome\r\n\r\n"),
	FROM_CLIENT("@+typing=active TAGMSG #room\r\n@label=1 PRIVMSG #room :caf\xc3\xa9 \x01"
		    "ACTION waves\x01\r\n\r\n"),
	FROM_SERVER("@msgid=63E1033A051D4B41B1AB1FA3CF4B243E;+x :bob!b@example.org PRIVMSG #room "
		    ":STARTTLS\r\nPING :irc.example.org\nPING\r\n"),
	FROM_CLIENT("PONG :irc.example.org\n"),
};

static void recordings(void **state)
{
	const struct recording all[] = {
		{ &settings, CLIENT, RUNS(from_ngircd), NULL, 0, 138 },
		{ &settings, SERVER, RUNS(from_ngircd), NULL, 0, 1883 },
		{ &settings, CLIENT, RUNS(with_tags), NULL, 0, 105 },
		{ &settings, SERVER, RUNS(with_tags), NULL, 0, 136 },
	};

	(void)state;
	check_recordings(ALL(all));
}

static void talk_registered(struct talk *talk, enum side target)
{
	talk_start(talk, &settings, target);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, "NICK ann\r\nUSER ann 0 * :Ann\r\n001\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, ":irc.example.org NOTICE * :001\r\n");
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, WELCOME);
	assert_true(talk_may(talk));
}

static void between_lines(void **state)
{
	struct talk talk;

	(void)state;
	for (enum side target = CLIENT; target < SIDES; target++) {
		enum side from = other(target);

		talk_registered(&talk, target);
		PROBES(&talk, "\r\n");
		SAYS(&talk, from, "PRIVMSG #room :hel");
		assert_false(talk_may(&talk));
		SAYS(&talk, from, "lo");
		SAYS(&talk, from, "\r");
		assert_false(talk_may(&talk));
		SAYS(&talk, target, "PRIVMSG #ro");
		SAYS(&talk, from, "\n");
		PROBES(&talk, "\r\n");
		talk_is_whole(&talk);
	}
}

static void not_after_a_goodbye(void **state)
{
	struct talk talk;

	(void)state;
	talk_registered(&talk, CLIENT);
	SAYS(&talk, CLIENT, "QUIT :bye\r\n");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "ERROR :Closing connection\r\n");
	assert_false(talk_is_off(&talk));

	talk_registered(&talk, SERVER);
	SAYS(&talk, SERVER, "ERROR :Closing connection\r\n");
	assert_false(talk_may(&talk));
	talk_is_whole(&talk);
}

static void registered_to_server(struct talk *talk)
{
	talk_registered(talk, SERVER);
}

static void off(void **state)
{
	static const struct misfit misfits[] = {
		{ registered_to_server, FROM_CLIENT("STARTTLS\r\n") },
		{ registered_to_server, FROM_CLIENT("StartTLS\n") },
		{ registered_to_server, FROM_CLIENT("@label=1 STARTTLS \r\n") },
		{ registered_to_server,
		  FROM_SERVER(":irc.example.org 670 ann :STARTTLS successful, proceed\r\n") },
		{ registered_to_server, FROM_CLIENT("SERVER irc2.example.org 1 :link\r\n") },
		{ registered_to_server, FROM_CLIENT("\x16\x03\x01") }, /* TLS */
		{ registered_to_server, FROM_CLIENT("PRIVMSG a\rb") }, /* is it one line? */
		{ registered_to_server, FROM_CLIENT("PRIVMSG a\r\r") },
		{ registered_to_server, FROM_CLIENT(" PING\r\n") },
		{ registered_to_server, FROM_CLIENT("PI=NG") },
		{ registered_to_server, FROM_SERVER(":irc.example.org\r\n") },
		{ registered_to_server, FROM_SERVER("@time=1\r\n") },
		{ registered_to_server, FROM_CLIENT("PRIVMSG a :\0") },
	};

	(void)state;
	check_misfits(ALL(misfits));
	check_not_after_an_end(registered_to_server);
}

static void a_line_without_end(void **state)
{
	static char line[8703];
	struct talk talk;

	(void)state;
	memset(line, 'a', sizeof line);
	talk_registered(&talk, SERVER);
	talk_says(&talk, CLIENT, line, sizeof line);
	assert_false(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "a");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings),          cmocka_unit_test(between_lines),
		cmocka_unit_test(not_after_a_goodbye), cmocka_unit_test(off),
		cmocka_unit_test(a_line_without_end),
	};

	return cmocka_run_group_tests_name("probe_irc", tests, NULL, NULL);
}
