/*
 * admin/explain: the sentences, as a table. A script makes the session, by the engine itself, the
 * kernel's facts are put beside it, and the sentence must be this one, word for word. With --print
 * it prints them, to be read aloud.
 */
#include <finback/admin/explain.h>
#include <finback/daemon/pool.h>

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

/* Cases leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define SECOND_US INT64_C(1000000)
#define DAY_S     86400
#define NOW_US    (100 * DAY_S * SECOND_US)
#define OFF       (-1)

/*
 * A script is a list of TIME:WHAT, the time in seconds before now. The session is accepted at the
 * first of them; x is c (client) or s (server):
 *
 *   tryN  the N-th attempt to connect     up    the server is connected     spoke  the client spoke
 *   x+N   N bytes from x are passed on    x<N   N are read and held         x>N    N go on
 *   x.    x ends its flow                 x=N   x has N bytes unacknowledged
 *   x!    x resets     x!.  after its FIN     x?k x?u  x is dead, by keepalive or user timeout
 *   x$    the last byte of x, which is lost, was read
 *   x*    a probe goes to x              spared   idle passed, and both were alive
 *   x!N   x resets while connecting, with N bytes unread
 *   ~NAME this deadline ends it gently     kill
 */
struct example {
	const char *sentence;
	const char *script;
	struct tcp_facts tcp[SIDES];
	int timeouts_s[DEADLINES]; /* 0: the default; OFF */
	const char *server_name;
	const char *unix_sides; /* "c", "s", "cs" */
	int dead_after_s[SIDES];
	struct probe_view probes[SIDES];
	bool is_sparing;
	bool is_brief;
	bool is_retrying;
	bool is_ipv6;
};

#define UP "-600:try1 -600:up "
#define TCP(...)                                      \
	{                                             \
		.state = TCP_ESTABLISHED, __VA_ARGS__ \
	}
#define BOTH(...)                                  \
	{                                          \
		TCP(__VA_ARGS__), TCP(__VA_ARGS__) \
	}
#define KEPT(unsent, heard_ms)                                                                  \
	{                                                                                       \
		.state = TCP_ESTABLISHED, .unsent_bytes = (unsent), .last_heard_ms = (heard_ms) \
	}

/* A probe that was sent so many seconds ago and has no answer yet, which is due in so many; 0: it
 * is overdue. */
#define AWAITING(sent_s, left_s, fatal)                                                 \
	{                                                                               \
		.is_on = true, .mode = PROBE_AWAITING, .protocol = PROBE_MQTT,          \
		.is_fatal = (fatal), .sent = 1, .sent_us = NOW_US - (sent_s)*SECOND_US, \
		.due_us = (left_s) == 0 ? 0 : NOW_US + (left_s)*SECOND_US               \
	}

static const struct example examples[] = {
	/* Connecting. */
	{ "finback has been connecting to 10.0.0.5:9000 for 1.2 s (attempt 1); the client has "
	  "sent nothing yet; connect ends this attempt in 3.8 s",
	  "-1.2:try1", .tcp = { TCP(), { .state = TCP_SYN_SENT } } },
	{ "finback has been connecting to big (10.0.0.5:9000) for 3.1 s (attempt 2), 3 SYNs "
	  "unanswered; the client has already sent 17 bytes; connect ends this attempt in 1.9 s",
	  "-8.1:try1 -5:spoke -3.1:try2",
	  .tcp = { TCP(.unread_bytes = 17), { .state = TCP_SYN_SENT, .retransmits = 2 } },
	  .server_name = "big" },
	{ "finback has been connecting to 10.0.0.5:9000 for 0.4 s (attempt 3); the client has "
	  "already finished sending, and its 1 KiB will still go to the server; connect ends this"
	  " attempt in 4.6 s",
	  "-8:try1 -7:spoke -0.4:try3",
	  .tcp = { { .state = TCP_CLOSE_WAIT, .unread_bytes = 1024 }, { .state = TCP_SYN_SENT } } },
	{ "finback has been connecting to 10.0.0.5:9000 for under 0.1 s (attempt 1); the client "
	  "has already finished sending; first_byte ends it in 1.9 s",
	  "-0.05:try1", .tcp = { { .state = TCP_CLOSE_WAIT }, { .state = TCP_SYN_SENT } },
	  .timeouts_s = { [DEADLINE_FIRST_BYTE] = 2 } },
	{ "finback has been connecting to 10.0.0.5:9000 for 2 s (attempt 1); the client reset the"
	  " connection meanwhile, and its 5 bytes will still go to the server; connect ends this "
	  "attempt in 3 s",
	  "-2:try1 -1:c!5",
	  .tcp = { { .state = TCP_CLOSE, .unread_bytes = 5 }, { .state = TCP_SYN_SENT } } },
	{ "finback has been trying to connect to app for 1.5 s (attempt 1) and will try again in "
	  "a moment: the server's backlog is full, or finback has no descriptor or no memory "
	  "left; the client has already sent something, or finished; connect ends this attempt in"
	  " 3.5 s",
	  "-1.5:try1 -1:spoke", .unix_sides = "cs", .server_name = "app", .is_retrying = true },
	{ "finback has been trying to connect to [2001:db8::5]:9000 for 0.2 s (attempt 2) and "
	  "will try again in a moment: finback has no descriptor or no memory left; the client "
	  "has sent nothing yet; no deadline ends it",
	  "-1:try1 -0.2:try2", .is_ipv6 = true, .server_name = "[2001:db8::5]:9000",
	  .is_retrying = true, .is_brief = true, .timeouts_s = { [DEADLINE_CONNECT] = OFF } },

	/* Both directions open, and nothing waits. */
	{ "bytes move in both directions, the last one from the client 0.3 s ago and from the "
	  "server under 0.1 s ago; idle ends it in 59 min 59 s",
	  UP "-0.3:c+512 -0.05:s+4096", .tcp = BOTH() },
	{ "bytes move from the client to the server, the last one under 0.1 s ago; the server has"
	  " sent nothing yet; idle ends it in 59 min 59 s",
	  UP "-0.05:c+4096", .tcp = { TCP(), TCP(.unacked_bytes = 4096) } },
	{ "bytes move from the server to the client, the last one 0.5 s ago; the client has sent "
	  "nothing for 3 min 2 s; idle ends it in 59 min 59 s",
	  UP "-182:c+80 -0.5:s<1000000 -0.5:s>900000",
	  .tcp = { TCP(.unacked_bytes = 800000), TCP(.unread_bytes = 1000000) } },
	{ "both directions are open and nothing has moved for 41 s, the last byte from the "
	  "client; idle ends it in 59 min 19 s",
	  UP "-50:s+100 -41:c+17", .tcp = BOTH(.last_heard_ms = 41000) },
	{ "both directions are open and nothing has moved for 5 min, the last byte from the "
	  "server; the client was heard 12 s ago, the server 3 s ago; idle ends it in 55 min",
	  UP "-310:c+17 -300:s+100",
	  .tcp = { TCP(.last_heard_ms = 12000), TCP(.last_heard_ms = 3000) } },
	{ "both directions are open and nothing has moved for 5 min, the last byte from the "
	  "client; the client was heard 1 min 22 s ago (2 keepalive probes unanswered), the "
	  "server 3.9 s ago; no deadline ends it",
	  UP "-310:s+17 -300:c+100",
	  .tcp = { TCP(.last_heard_ms = 82000, .probes = 2), TCP(.last_heard_ms = 3900) },
	  .timeouts_s = { [DEADLINE_IDLE] = OFF } },
	{ "both directions are open and nothing has moved for 2 d 4 h, the last byte from the "
	  "server; no deadline ends it",
	  "-190000:try1 -190000:up -189000:c+17 -188000:s+100", .is_brief = true,
	  .timeouts_s = { [DEADLINE_IDLE] = OFF } },
	{ "both directions are open and nothing has moved for 10 min, the last byte from the "
	  "client; idle ends it in 50 min",
	  "-700:try1 -600:spoke -600:up -600:c+17", .unix_sides = "cs" },
	{ "the server was connected 0.3 s ago and neither side has sent anything yet; idle ends it "
	  "in "
	  "59 min 59 s",
	  "-1.3:try1 -0.3:up", .tcp = BOTH(.last_heard_ms = 300) },
	{ "bytes move from the client to the server, the last one 0.3 s ago; the server has sent "
	  "nothing yet; idle ends it in 59 min 59 s",
	  "-1.3:try1 -0.9:spoke -0.3:up -0.3:c+17", .tcp = BOTH(.last_heard_ms = 300) },
	{ "the server was connected 12 s ago and neither side has sent anything yet; first_byte "
	  "ends it in 3 s",
	  "-12:try1 -12:up", .tcp = BOTH(.last_heard_ms = 12000),
	  .timeouts_s = { [DEADLINE_FIRST_BYTE] = 15 } },
	{ "the server was connected 3 h 12 min ago and neither side has sent anything yet; the "
	  "server was heard 9 s ago (1 keepalive probe unanswered); session ends it in 20 h 47 "
	  "min",
	  "-11530:try1 -11530:up",
	  .tcp = { TCP(.last_heard_ms = 11530000), TCP(.last_heard_ms = 9000, .probes = 1) },
	  .timeouts_s = { [DEADLINE_IDLE] = OFF, [DEADLINE_SESSION] = DAY_S } },

	/* Both directions open, and something waits. */
	{ "both directions are open; finback waits for the server to take 128 KiB from the "
	  "client, held for 12 s, with 2.4 MiB ahead and 64 KiB unread behind in the kernel (no "
	  "room in its receive window, last heard 0.8 s ago); idle ends it in 59 min 48 s",
	  UP "-12:c<131072", .tcp = { TCP(.unread_bytes = 65536), KEPT(2516582 + 1000, 800) } },
	{ "both directions are open; finback waits for the server to take 128 KiB from the "
	  "client, held for 12 s; idle ends it in 59 min 48 s",
	  UP "-12:c<131072", .is_brief = true },
	{ "both directions are open; finback waits for the client to take 300 bytes from the "
	  "server, held for 1 h; no deadline ends it",
	  "-9000:try1 -9000:up -3600:s<300", .unix_sides = "cs",
	  .timeouts_s = { [DEADLINE_IDLE] = OFF } },
	{ "both directions are open; finback waits for the server to take 5 bytes from the "
	  "client, held for 20 s, with 64 KiB ahead in the kernel (6 retransmissions unanswered, "
	  "last heard 21 s ago); stall ends it in 9 s",
	  UP "-21:c+65536 -20:c<5 -20:s=65536",
	  .tcp = { TCP(), TCP(.unacked_bytes = 65536, .retransmits = 6, .last_heard_ms = 21500) },
	  .timeouts_s = { [DEADLINE_STALL] = 30 } },
	{ "both directions are open; finback waits for the server to take 5 bytes from the "
	  "client, held for 7 s, with 1.5 KiB unread behind in the kernel; idle ends it in 59 min"
	  " 53 s",
	  UP "-7:c<5", .unix_sides = "s", .tcp = { TCP(.unread_bytes = 1536) } },
	{ "both directions are open; the server has not acknowledged 17 bytes from the client for"
	  " 12 s (4 retransmissions unanswered, last heard 13 s ago); idle ends it in 59 min 48 s",
	  UP "-14:s+5 -12:c+17",
	  .tcp = { TCP(), TCP(.unacked_bytes = 17, .retransmits = 4, .last_heard_ms = 13900) } },
	{ "both directions are open; the client has not acknowledged 60 KiB from the server (5 "
	  "retransmissions unanswered, last heard 9.9 s ago); idle ends it in 59 min 59 s",
	  UP "-0.2:s+61440",
	  .tcp = { TCP(.unacked_bytes = 60000, .unsent_bytes = 1440, .retransmits = 5,
		       .last_heard_ms = 9900),
		   TCP() } },
	{ "both directions are open; the server has not acknowledged 17 bytes from the client for"
	  " 1.1 s (1 retransmission unanswered, last heard 30 s ago); idle ends it in 59 min 58 s",
	  UP "-1.1:c+17",
	  .tcp = { TCP(), TCP(.unacked_bytes = 17, .retransmits = 1, .last_heard_ms = 30000) } },
	{ "both directions are open; the client has not acknowledged 1 byte from the server for "
	  "1.5 s; idle ends it in 59 min 58 s",
	  UP "-1.5:s+1", .tcp = { TCP(.unacked_bytes = 1, .last_heard_ms = 30000), TCP() } },
	{ "both directions are open; the client has not acknowledged 60 KiB from the server for "
	  "40 s (no room in its receive window, last heard 15 s ago); idle ends it in 59 min 20 s",
	  UP "-40:s+90000", .tcp = { KEPT(61440, 15000), TCP() } },
	{ "both directions are open; the client has not acknowledged 60 KiB from the server for "
	  "40 s (no room in its receive window, 3 probes unanswered, last heard 25 s ago); stall "
	  "is due now",
	  UP "-40:s+90000",
	  .tcp = { { .state = TCP_ESTABLISHED,
		     .unsent_bytes = 61440,
		     .probes = 3,
		     .last_heard_ms = 25000 },
		   TCP() },
	  .timeouts_s = { [DEADLINE_STALL] = 40 } },
	{ "both directions are open; finback waits for the server to take 128 KiB from the "
	  "client, held for 30 s (no room in its receive window, last heard 2 s ago); finback "
	  "waits for the client to take 64 KiB from the server, held for 20 s (no room in its "
	  "receive window, last heard 4 s ago); session ends it in 23 h 50 min",
	  UP "-30:c<131072 -20:s<65536", .tcp = { KEPT(524288, 4000), KEPT(1048576, 2000) },
	  .timeouts_s = { [DEADLINE_IDLE] = OFF, [DEADLINE_SESSION] = DAY_S } },

	/* Half-closed. */
	{ "the client finished sending 42 s ago; finback waits for the server, which acknowledged"
	  " everything and has sent nothing for 41 s; half_closed ends it in 4 min 19 s",
	  UP "-50:c+17 -42:c. -41:s+100",
	  .tcp = { { .state = TCP_CLOSE_WAIT, .last_heard_ms = 41000 },
		   { .state = TCP_FIN_WAIT2, .last_heard_ms = 41000 } } },
	{ "the client finished sending 42 s ago; finback waits for the server, which acknowledged"
	  " everything and has sent nothing yet; half_closed ends it in 4 min 18 s",
	  UP "-50:c+17 -42:c. -42:s=0", .is_brief = true },
	{ "the client finished sending 42 s ago; finback waits for the server, which has sent "
	  "nothing for 1 min 40 s; half_closed ends it in 4 min 18 s",
	  UP "-100:s+4 -50:c+17 -42:c.", .is_brief = true },
	{ "the client finished sending 3 s ago; finback waits for the server, which was handed "
	  "everything and has sent nothing yet; half_closed ends it in 4 min 57 s",
	  UP "-3:c+17 -3:c.", .unix_sides = "s", .tcp = { { .state = TCP_CLOSE_WAIT } } },
	{ "the client finished sending 4 min ago; finback waits for the server, which "
	  "acknowledged everything and has sent nothing for 4 min 10 s, though it was heard 9 s "
	  "ago; half_closed ends it in 1 min",
	  UP "-250:s+17 -240:c.",
	  .tcp = { { .state = TCP_CLOSE_WAIT },
		   { .state = TCP_FIN_WAIT2, .last_heard_ms = 9000 } } },
	{ "the server finished sending 4 min ago; finback waits for the client, which "
	  "acknowledged everything and has sent nothing for 4 min 10 s (2 keepalive probes "
	  "unanswered, last heard 55 s ago); half_closed ends it in 1 min",
	  UP "-250:c+17 -240:s.",
	  .tcp = { { .state = TCP_FIN_WAIT2, .probes = 2, .last_heard_ms = 55000 },
		   { .state = TCP_CLOSE_WAIT } } },
	{ "the client finished sending 2 min 5 s ago; finback waits for the server, which "
	  "acknowledged everything and is still sending: 11 MiB so far, the last of it 0.2 s ago;"
	  " half_closed_max ends it in 7 min 55 s",
	  UP "-125:c. -0.2:s+12000000",
	  .tcp = { { .state = TCP_CLOSE_WAIT, .unacked_bytes = 30000 },
		   { .state = TCP_FIN_WAIT2 } },
	  .timeouts_s = { [DEADLINE_HALF_CLOSED] = OFF, [DEADLINE_HALF_CLOSED_MAX] = 600 } },
	{ "the client finished sending 0.3 s ago; finback waits for the server, which has sent "
	  "nothing yet; half_closed ends it in 4 min 59 s",
	  UP "-0.3:c+17 -0.3:c.",
	  .tcp = { { .state = TCP_CLOSE_WAIT },
		   { .state = TCP_FIN_WAIT1, .unacked_bytes = 18, .retransmits = 1 } } },
	{ "the client finished sending 12 s ago; the server has not acknowledged the FIN for 12 s"
	  " (5 retransmissions unanswered, last heard 30 s ago); the server has sent nothing for "
	  "31 s; half_closed ends it in 4 min 48 s",
	  UP "-40:c+17 -31:s+1 -12:c.",
	  .tcp = { { .state = TCP_CLOSE_WAIT },
		   { .state = TCP_FIN_WAIT1,
		     .unacked_bytes = 1,
		     .retransmits = 5,
		     .last_heard_ms = 30000 } } },
	{ "the server finished sending 8 s ago; the client has not acknowledged the server's last"
	  " 17 bytes and the FIN for 8 s (4 retransmissions unanswered, last heard 8.1 s ago); "
	  "the client has sent nothing yet; half_closed ends it in 4 min 52 s",
	  UP "-8.1:s+17 -8:s.",
	  .tcp = { { .state = TCP_FIN_WAIT1,
		     .unacked_bytes = 18,
		     .retransmits = 4,
		     .last_heard_ms = 8190 },
		   { .state = TCP_CLOSE_WAIT } } },
	{ "the client finished sending 1 min ago; finback waits for the server to take the last "
	  "128 KiB from the client, held for 1 min 5 s, with 300 KiB ahead in the kernel (no room"
	  " in its receive window, last heard 20 s ago); the server has sent nothing yet; "
	  "half_closed ends it in 4 min",
	  UP "-65:c<131072 -60:c.", .tcp = { { .state = TCP_CLOSE_WAIT }, KEPT(307200, 20000) } },
	{ "the client finished sending 0.4 s ago; finback waits for the server to take the last 9"
	  " bytes from the client; the server is still sending: 5 bytes so far, the last of it "
	  "0.2 s ago; half_closed ends it in 4 min 59 s",
	  UP "-0.5:c<9 -0.4:c. -0.2:s+5", .is_brief = true },
	{ "the client finished sending 10 min ago; finback waits for the client to take 128 KiB "
	  "from the server, held for 15 s, with 1.2 MiB ahead and 640 KiB unread behind in the "
	  "kernel (no room in its receive window, last heard 7 s ago); half_closed ends it in 4 "
	  "min 45 s",
	  "-900:try1 -900:up -800:c+17 -600:c. -20:s+5000000 -15:s<131072",
	  .tcp = { { .state = TCP_CLOSE_WAIT, .unsent_bytes = 1300000, .last_heard_ms = 7000 },
		   { .state = TCP_FIN_WAIT2, .unread_bytes = 655360 } } },
	{ "the server finished sending 30 s ago; the server has not acknowledged 40 bytes from "
	  "the client for 25 s (6 retransmissions unanswered, last heard 29 s ago); half_closed "
	  "ends it in 4 min 35 s",
	  UP "-30:s. -25:c+40",
	  .tcp = { { .state = TCP_FIN_WAIT2 },
		   { .state = TCP_CLOSE_WAIT,
		     .unacked_bytes = 40,
		     .retransmits = 6,
		     .last_heard_ms = 29000 } } },

	/* What dead_after comes to. */
	{ "both directions are open; the server has not acknowledged 17 bytes from the client for "
	  "12 s (6 retransmissions unanswered, last heard 12 s ago, taken for dead after 2 min of "
	  "silence); idle ends it in 59 min 48 s",
	  UP "-30:s+100 -12:c+17",
	  .tcp = { TCP(), TCP(.unacked_bytes = 17, .retransmits = 6, .last_heard_ms = 12000) },
	  .dead_after_s = { 60, 120 } },
	{ "the server finished sending 2 min 30 s ago; the client has not acknowledged the "
	  "server's last 17 bytes and the FIN for 2 min 30 s (2 retransmissions unanswered, last "
	  "heard 2 min 1 s ago, taken for dead once 3 in a row are unanswered); the client has "
	  "sent nothing yet; half_closed ends it in 2 min 30 s",
	  UP "-151:s+17 -150:s.",
	  .tcp = { { .state = TCP_FIN_WAIT1,
		     .unacked_bytes = 18,
		     .retransmits = 2,
		     .last_heard_ms = 121000 },
		   { .state = TCP_CLOSE_WAIT } },
	  .dead_after_s = { 120, 120 } },
	{ "both directions are open; finback waits for the client to take 64 KiB from the server, "
	  "held for 1 min, with 9 bytes ahead in the kernel (no room in its receive window, 3 "
	  "probes"
	  " unanswered, last heard 5 s ago, about to be taken for dead); idle ends it in 59 min",
	  UP "-60:s<65536",
	  .tcp = { TCP(.unsent_bytes = 9, .probes = 3, .last_heard_ms = 5000), TCP() },
	  .dead_after_s = { 5, 0 } },
	{ "both directions are open; finback waits for the client to take 64 KiB from the server, "
	  "held for 1 min, with 9 bytes ahead in the kernel (no room in its receive window, last "
	  "heard 5 s ago); idle ends it in 59 min",
	  UP "-60:s<65536", .tcp = { KEPT(9, 5000), TCP() }, .dead_after_s = { 3, 3 } },
	{ "both directions are open and nothing has moved for 5 min, the last byte from the "
	  "client; the client was heard 1 min 22 s ago (2 keepalive probes unanswered, taken for "
	  "dead after 2 min of silence), the server 3.9 s ago; idle ends it in 55 min",
	  UP "-310:s+17 -300:c+100",
	  .tcp = { TCP(.last_heard_ms = 82000, .probes = 2), TCP(.last_heard_ms = 3900) },
	  .dead_after_s = { 120, 120 } },
	{ "the server finished sending 4 min ago; finback waits for the client, which "
	  "acknowledged everything and has sent nothing for 4 min 10 s (1 keepalive probe "
	  "unanswered, last heard 1 min ago, about to be taken for dead); half_closed ends it in 1"
	  " min",
	  UP "-250:c+17 -240:s.",
	  .tcp = { { .state = TCP_FIN_WAIT2, .probes = 1, .last_heard_ms = 60000 },
		   { .state = TCP_CLOSE_WAIT } },
	  .dead_after_s = { 60, 0 } },

	/* Application probes, and an `idle` that spares. */
	{ "both directions are open and nothing has moved for 1 min, the last byte from the "
	  "client; the server was heard 2.9 s ago; a probe was sent to the server 3 s ago and has "
	  "no answer yet; idle ends it in 59 min",
	  UP "-60:c+17 -60:s=0 -3:s*",
	  .tcp = { TCP(.last_heard_ms = 60000), TCP(.last_heard_ms = 2900) },
	  .probes = { [SERVER] = AWAITING(3, 27, false) } },
	{ "both directions are open and nothing has moved for 1 min, the last byte from the "
	  "client; a probe was sent to the server 3 s ago and has no answer yet, without which the"
	  " server is dead in 27 s; idle ends it in 59 min",
	  UP "-60:c+17 -60:s=0 -3:s*", .probes = { [SERVER] = AWAITING(3, 27, true) } },
	{ "the client finished sending 10 s ago; finback waits for the server, which has sent "
	  "nothing for 2 min; a probe was sent to the server 40 s ago and has no answer yet; "
	  "half_closed ends it in 4 min 50 s",
	  UP "-120:s+17 -40:s* -10:c.", .probes = { [SERVER] = AWAITING(40, 0, true) } },
	{ "both directions are open; the server has not acknowledged a probe for 4 s (3 "
	  "retransmissions unanswered, last heard 10 min ago, taken for dead after 1 h of silence)"
	  "; idle ends it in 50 min",
	  UP "-600:c+17 -600:s=0 -4:s*",
	  .tcp = { TCP(), TCP(.unacked_bytes = 2, .retransmits = 3, .last_heard_ms = 600000) },
	  .probes = { [SERVER] = { .is_on = true, .mode = PROBE_WATCHING, .sent = 1 } },
	  .dead_after_s = { 3600, 3600 } },
	{ "both directions are open; the server has not acknowledged 5 bytes from the client for 2"
	  " s (2 retransmissions unanswered, last heard 5 s ago); idle ends it in 59 min 58 s",
	  UP "-600:s=0 -4:s* -2:c+5",
	  .tcp = { TCP(), TCP(.unacked_bytes = 7, .retransmits = 2, .last_heard_ms = 5000) } },
	{ "the client finished sending 2 s ago; the server has not acknowledged the FIN for 2 s (2"
	  " retransmissions unanswered, last heard 5 s ago); the server has sent nothing yet; "
	  "half_closed ends it in 4 min 58 s",
	  UP "-600:s=0 -4:s* -2:c.",
	  .tcp = { { .state = TCP_CLOSE_WAIT },
		   { .state = TCP_FIN_WAIT1,
		     .unacked_bytes = 3,
		     .retransmits = 2,
		     .last_heard_ms = 5000 } } },
	{ "bytes move from the client to the server, the last one 0.5 s ago; the server has sent "
	  "nothing yet; no deadline ends it",
	  UP "-0.5:c+9", .tcp = BOTH(), .timeouts_s = { [DEADLINE_IDLE] = OFF },
	  .is_sparing = true },
	{ "both directions are open and nothing has moved for 5 min, the last byte from the "
	  "client; idle is due in 55 min, and is put off while both peers are known to be alive",
	  UP "-300:c+17", .tcp = BOTH(.last_heard_ms = 300000), .is_sparing = true },
	{ "both directions are open and nothing has moved for 2 h, the last byte from the client; "
	  "the client was heard 20 s ago, the server 9 s ago; spared by idle_spares_alive 1 min "
	  "ago, as both peers were known to be alive; idle is due again in 59 min",
	  "-9000:try1 -9000:up -7200:c+17 -60:spared",
	  .tcp = { TCP(.last_heard_ms = 20000), TCP(.last_heard_ms = 9000) }, .is_sparing = true },
	{ "both directions are open and nothing has moved for 30 s, the last byte from the server;"
	  " idle is due in 59 min 30 s, and is put off while both peers are known to be alive",
	  "-9000:try1 -9000:up -7200:c+17 -60:spared -30:s+1", .is_brief = true,
	  .is_sparing = true },
	{ "both directions are open and nothing has moved for 1 h, the last byte from the client; "
	  "idle is due now",
	  "-9000:try1 -9000:up -3600:c+17", .is_sparing = true, .is_brief = true },
	{ "the client finished sending 2 s ago; finback waits for the server, which has sent "
	  "nothing"
	  " yet; half_closed ends it in 4 min 58 s",
	  UP "-2:c.", .is_sparing = true, .is_brief = true },

	/* Both ended. */
	{ "both sides finished sending, the client 42 s ago and the server 3 s ago; the client "
	  "has not acknowledged the server's last 64 KiB and the FIN for 3 s (3 retransmissions "
	  "unanswered, last heard 4 s ago); linger ends it in 57 s",
	  UP "-42:c. -42:s=0 -3:s+65536 -3:s.",
	  .tcp = { { .state = TCP_LAST_ACK,
		     .unacked_bytes = 65537,
		     .retransmits = 3,
		     .last_heard_ms = 4000 },
		   { .state = TCP_CLOSE } } },
	{ "both sides finished sending, the client 42 s ago and the server 0.2 s ago; finback "
	  "waits for the client to acknowledge the FIN; linger ends it in 59 s",
	  UP "-42:c. -42:s=0 -0.2:s.",
	  .tcp = { { .state = TCP_LAST_ACK, .unacked_bytes = 1 }, { .state = TCP_CLOSE } } },
	{ "both sides finished sending, the client 42 s ago and the server 5 s ago; finback waits"
	  " for the client to acknowledge the last of what went to it; linger ends it in 55 s",
	  UP "-42:c. -42:s=0 -5:s.", .is_brief = true },
	{ "both sides finished sending, the client 9 s ago and the server 9 s ago; finback waits "
	  "for the server to take the last 2 bytes from the client, held for 30 s; finback waits "
	  "for the client to acknowledge the last of what went to it; linger ends it in 51 s",
	  UP "-30:c<2 -9:c. -9:s.", .is_brief = true },
	{ "both sides finished sending, the client 1.2 s ago and the server 0.1 s ago; everything"
	  " is acknowledged, and it is about to end; linger ends it in 59 s",
	  UP "-1.2:c. -0.1:s.", .tcp = { { .state = TCP_CLOSE }, { .state = TCP_CLOSE } } },
	{ "both sides finished sending, the client 42 s ago and the server 20 s ago; the client "
	  "has not acknowledged the server's last 1 KiB and the FIN for 20 s (no room in its "
	  "receive window, last heard 6 s ago); linger ends it in 40 s",
	  UP "-42:c. -42:s=0 -20:s+1024 -20:s.",
	  .tcp = { { .state = TCP_LAST_ACK, .unsent_bytes = 1025, .last_heard_ms = 6000 },
		   { .state = TCP_CLOSE } } },

	/* Ended by a deadline, with FIN. */
	{ "finback ended it 3 s ago (idle_timeout), with FIN and no reset; finback waits for both"
	  " sides to finish and drops what they send; linger ends it in 57 s",
	  "-3603:try1 -3603:up -3:~idle",
	  .tcp = { { .state = TCP_FIN_WAIT2 }, { .state = TCP_FIN_WAIT2 } } },
	{ "finback ended it 3 s ago (half_closed_timeout), with FIN and no reset; the server has "
	  "not acknowledged the client's last 7 bytes and the FIN for 2 min 3 s (7 "
	  "retransmissions unanswered, last heard 2 min 2 s ago); finback waits for the server to"
	  " finish and drops what it sends; linger ends it in 57 s",
	  UP "-123:c+7 -123:c. -3:~half_closed",
	  .tcp = { { .state = TCP_LAST_ACK },
		   { .state = TCP_FIN_WAIT1,
		     .unacked_bytes = 8,
		     .retransmits = 7,
		     .last_heard_ms = 122500 } } },
	{ "finback ended it 0.5 s ago (connect_timeout), with FIN and no reset; finback waits for"
	  " the client to finish and drops what it sends; linger ends it in 59 s",
	  "-10:try1 -0.5:~connect", .tcp = { { .state = TCP_FIN_WAIT2 } } },

	/* A side is lost. */
	{ "the client reset the connection 3 s ago; finback waits for the server to take 128 KiB "
	  "from the client, held for 9 s, with 2 MiB ahead and 32 KiB unread behind in the kernel"
	  " (no room in its receive window, last heard 0.5 s ago); then it ends as client_reset "
	  "and the server is reset; linger ends it in 57 s",
	  UP "-9:c<131072 -3:c!",
	  .tcp = { { .state = TCP_CLOSE, .unread_bytes = 32768 }, KEPT(2097152, 500) } },
	{ "the client reset the connection 3 s ago; the server has not acknowledged the client's "
	  "last 17 bytes for 5 s (3 retransmissions unanswered, last heard 6 s ago); then it ends"
	  " as client_reset and the server is reset; linger ends it in 57 s",
	  UP "-5:c+17 -3:c! -3:c$",
	  .tcp = { { .state = TCP_CLOSE },
		   { .state = TCP_ESTABLISHED,
		     .unacked_bytes = 17,
		     .retransmits = 3,
		     .last_heard_ms = 6000 } } },
	{ "the client was found dead 0.5 s ago (keepalive); finback waits for the server to "
	  "acknowledge the client's last 17 bytes; then it ends as client_dead and the server is "
	  "reset; linger ends it in 59 s",
	  UP "-0.6:c+17 -0.5:c?k -0.5:c$",
	  .tcp = { { .state = TCP_CLOSE }, TCP(.unacked_bytes = 17) } },
	{ "the server, which had finished sending, was found dead 1 s ago (user_timeout); its "
	  "last 9 bytes still go to the client; then it ends as server_dead and the client is "
	  "reset; linger ends it in 59 s",
	  UP "-1:s?u.", .tcp = { TCP(), { .state = TCP_CLOSE, .unread_bytes = 9 } } },
	{ "the client reset the connection before the server was connected; its last byte still "
	  "goes to the server; then it ends as client_reset and the server is reset; linger ends "
	  "it in 1 min",
	  "-1:try1 -0.5:c!1 -0:up", .tcp = { { .state = TCP_CLOSE, .unread_bytes = 1 }, TCP() } },
	{ "the server reset the connection 0.2 s ago; finback waits for the client to acknowledge"
	  " the last of what went to it; then it ends as server_reset and the client is reset; "
	  "linger ends it in 59 s",
	  UP "-5:s+17 -0.2:s! -0.2:s$", .is_brief = true },
	{ "the server reset the connection 0.2 s ago; what it sent before still goes to the "
	  "client; then it ends as server_reset and the client is reset; linger ends it in 59 s",
	  UP "-5:s+17 -0.2:s!", .is_brief = true },
	{ "the server broke the connection off 2 s ago; finback waits for the client to take 5 "
	  "bytes from the server, held for 4 s; then it ends as server_reset and the client is "
	  "closed; no deadline ends it",
	  UP "-4:s<5 -2:s!", .unix_sides = "cs", .timeouts_s = { [DEADLINE_LINGER] = OFF } },
	{ "the server, which had finished sending, reset the connection 2 s ago; the client has "
	  "not acknowledged the server's last 3 bytes and the FIN for 2 s; then it ends as "
	  "server_reset; linger ends it in 58 s",
	  UP "-9:c. -2:s+3 -2:s!. -2:s$",
	  .tcp = { { .state = TCP_LAST_ACK, .unacked_bytes = 4 }, { .state = TCP_CLOSE } } },
	{ "the client reset the connection under 0.1 s ago; it is about to end as client_reset "
	  "and the server is reset; linger ends it in 59 s",
	  UP "-5:c+17 -0.01:c! -0.01:c$", .tcp = { { .state = TCP_CLOSE }, TCP() } },
	{ "it is over (killed)", UP "-1:kill" },
};
#define EXAMPLES (sizeof examples / sizeof *examples)

/* ---- a session by its script -------------------------------------------------------------------
 */

static void give(struct session *session, struct fact fact, int64_t now_us)
{
	(void)session_step(session, &fact, now_us);
	(void)session_take_wishes(session);
}

static enum ending ending_called(const char *deadline)
{
	for (enum deadline i = 0; i < DEADLINES; i++)
		if (strcmp(deadline_name(i), deadline) == 0)
			return deadline_ending(i);
	fail_msg("no deadline %s", deadline);
	return ENDING_NONE;
}

static void lose(struct session *session, enum side side, const char *how, int64_t now_us)
{
	bool is_dead = how[0] == '?';

	give(session,
	     (struct fact){
		     .event = SESSION_LOST,
		     .side = side,
		     .count = is_dead ? 0 : (uint32_t)atoi(how + 1),
		     .loss = is_dead ? LOSS_DEAD : LOSS_RESET,
		     .detector = how[1] == 'u' ? DETECTOR_USER_TIMEOUT : DETECTOR_KEEPALIVE,
		     .is_after_fin = strchr(how, '.') != NULL,
	     },
	     now_us);
}

/* What one side does: `what` is behind its letter. */
static void act(struct session *session, enum side side, const char *what, int64_t now_us)
{
	uint32_t count = (uint32_t)atoi(what + 1);

	if (*what == '+' || *what == '<')
		give(session, (struct fact){ SESSION_READ, side, .count = count }, now_us);
	if (*what == '+' || *what == '>')
		give(session, (struct fact){ SESSION_WROTE, side, .count = count }, now_us);
	else if (*what == '=')
		give(session, (struct fact){ SESSION_ACKED, side, .count = count }, now_us);
	else if (*what == '.')
		give(session, (struct fact){ SESSION_ENDED, side }, now_us);
	else if (*what == '$')
		give(session, (struct fact){ SESSION_EXHAUSTED, side }, now_us);
	else if (*what == '*')
		give(session, (struct fact){ SESSION_INJECTED, side }, now_us);
	else if (*what == '!' || *what == '?')
		lose(session, side, what, now_us);
	else if (*what != '<')
		fail_msg("what is %s?", what);
}

static void play(struct session *session, const char *what, int64_t now_us)
{
	if (strncmp(what, "try", 3) == 0)
		session_attempt(session, (uint16_t)atoi(what + 3), now_us);
	else if (strcmp(what, "up") == 0)
		give(session, (struct fact){ SESSION_CONNECTED, SERVER }, now_us);
	else if (strcmp(what, "spoke") == 0)
		give(session, (struct fact){ SESSION_SPOKE }, now_us);
	else if (strcmp(what, "spared") == 0)
		give(session, (struct fact){ SESSION_SPARED }, now_us);
	else if (strcmp(what, "kill") == 0)
		give(session, (struct fact){ SESSION_CUT, .ending = ENDING_KILLED }, now_us);
	else if (*what == '~')
		give(session,
		     (struct fact){ SESSION_EXPIRED, .ending = ending_called(what + 1),
				    .is_gentle = true },
		     now_us);
	else
		act(session, *what == 'c' ? CLIENT : SERVER, what + 1, now_us);
}

static void play_all(struct session *session, const char *script)
{
	char text[256];
	char *rest = NULL;
	bool is_new = true;

	assert_true(strlen(script) < sizeof text);
	strcpy(text, script);
	for (char *step = strtok_r(text, " ", &rest); step; step = strtok_r(NULL, " ", &rest)) {
		char *what = NULL;
		int64_t now_us = NOW_US + (int64_t)(strtod(step, &what) * 1e6);

		if (is_new)
			session_init(session, 1, now_us);
		is_new = false;
		play(session, what + 1, now_us);
	}
}

static struct endpoint address_of(const struct example *example, enum side side)
{
	const char *unix_sides = example->unix_sides ? example->unix_sides : "";
	struct endpoint endpoint = { .family = ENDPOINT_IPV4, .port = 9000, .ip = { 10, 0, 0, 5 } };

	if (strchr(unix_sides, *side_name(side)))
		return (struct endpoint){ .family = ENDPOINT_UNIX };
	if (example->is_ipv6)
		return (struct endpoint){ .family = ENDPOINT_IPV6,
					  .port = 9000,
					  .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 5 } };
	return endpoint;
}

static struct policy policy_of(const struct example *example)
{
	struct policy policy = { .buffer_bytes = 131072 };

	for (size_t i = 0; i < DEADLINES; i++) {
		policy.timeouts_us[i] = deadline_defaults_us[i];
		if (example->timeouts_s[i] != 0)
			policy.timeouts_us[i] = example->timeouts_s[i] == OFF
							? 0
							: example->timeouts_s[i] * SECOND_US;
	}
	return policy;
}

static void view_of(const struct example *example, struct session_view *ret_view)
{
	struct policy policy = policy_of(example);

	*ret_view = (struct session_view){
		.now_us = NOW_US,
		.listener = "web",
		.pool = "web",
		.server_name = example->server_name ? example->server_name : "10.0.0.5:9000",
		.is_brief = example->is_brief,
		.is_retrying = example->is_retrying,
		.is_sparing_alive = example->is_sparing,
		.dead_after_us = { example->dead_after_s[CLIENT] * SECOND_US,
				   example->dead_after_s[SERVER] * SECOND_US },
		.probes = { example->probes[CLIENT], example->probes[SERVER] },
		.tcp = { example->tcp[CLIENT], example->tcp[SERVER] },
	};
	play_all(&ret_view->session, example->script);
	for (enum side side = CLIENT; side < SIDES; side++) {
		ret_view->peers[side] = address_of(example, side);
		ret_view->session.legs[side].is_unix =
			ret_view->peers[side].family == ENDPOINT_UNIX;
	}
	ret_view->ending = deadline_ending_next(&ret_view->session, &policy);
}

static void each_sentence(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct session_view view;
		char text[EXPLANATION_MAX];

		view_of(&examples[i], &view);
		explain_session(&view, text);
		if (strcmp(text, examples[i].sentence) == 0)
			continue;
		print_error("%s\n  says    %s\n  and not %s\n", examples[i].script, text,
			    examples[i].sentence);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* ---- what it never says ------------------------------------------------------------------------
 */

/* Without the kernel's facts there is nothing to say of the kernel. */
static void nothing_is_claimed_of_a_kernel_that_was_not_asked(void **state)
{
	static const char *const claims[] = { "retransmission",  "unanswered", "window", "heard",
					      "unread",          "kernel",     "SYN",    "for dead",
					      "not acknowledged" };

	(void)state;
	for (size_t i = 0; i < 2 * EXAMPLES; i++) {
		struct session_view view;
		char text[EXPLANATION_MAX];

		view_of(&examples[i / 2], &view);
		if (i % 2 == 0)
			view.is_brief = true;
		else
			memset(view.tcp, 0, sizeof view.tcp);
		explain_session(&view, text);
		for (size_t j = 0; j < sizeof claims / sizeof *claims; j++)
			if (strstr(text, claims[j]))
				fail_msg("%s: %s", examples[i / 2].script, text);
	}
}

static void names_of_any_length_are_cut(void **state)
{
	static char name[5000];
	struct session_view view;
	char text[EXPLANATION_MAX];

	(void)state;
	for (size_t length = 0; length < sizeof name; length += length < 100 ? 1 : 799) {
		memset(name, 'n', length);
		name[length] = '\0';
		view_of(&examples[1], &view);
		view.server_name = name;
		explain_session(&view, text);
		assert_non_null(strstr(text, "; connect ends this attempt in 1.9 s"));
		assert_int_equal(strstr(text, "...") != NULL, length > 64);
	}
}

static void a_name_is_cut_between_characters(void **state)
{
	char name[101] = "";
	struct session_view view;
	char text[EXPLANATION_MAX];

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		memset(name, 'n', shift);
		name[shift] = '\0';
		while (strlen(name) + 3 < sizeof name)
			strcat(name, "\xe2\x82\xac");
		view_of(&examples[1], &view);
		view.server_name = name;
		explain_session(&view, text);
		assert_non_null(strstr(text, "\xe2\x82\xac... (10.0.0.5:9000) for"));
	}
	memset(name, 0x80, sizeof name - 1); /* no character at all */
	view.server_name = name;
	explain_session(&view, text);
	assert_non_null(strstr(text, "to ... (10.0.0.5:9000) for"));
	view.server_name = NULL;
	explain_session(&view, text);
	assert_non_null(strstr(text, "connecting to a server for"));
}

/* The name of a zone is the system's to tell, and nobody is asked. */
static void an_address_with_a_zone(void **state)
{
	struct session_view view;
	char text[EXPLANATION_MAX];

	(void)state;
	view_of(&examples[1], &view);
	view.peers[SERVER] = (struct endpoint){
		.family = ENDPOINT_IPV6, .port = 9000, .scope = 1, .ip = { 0xfe, 0x80, [15] = 5 }
	};
	explain_session(&view, text);
	assert_non_null(strstr(text, "connecting to big ([fe80::5]:9000) for"));
}

/* ---- views that nobody ever saw -----------------------------------------------------------------
 */

/* The last that a record can tell: then any time may have been before. */
#define LAST_US ((INT64_C(1) << 48) - 1)

static uint64_t seed = 7;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* 0, small, or anything. */
static uint64_t some(void)
{
	uint64_t value = any();

	return value % 4 == 0 ? 0 : value >> value % 64;
}

static int64_t some_us(void)
{
	return any() % 8 == 0 ? 0 : LAST_US - (int64_t)(some() >> 16);
}

static struct moment some_moment(void)
{
	return moment_of(some_us());
}

static bool maybe(void)
{
	return any() % 2 == 0;
}

static void invent_flow(struct flow *flow)
{
	*flow = (struct flow){
		.progressed = some_moment(),
		.ended = some_moment(),
		.bytes = some(),
		.held = (uint32_t)some(),
		.state = (uint8_t)(any() % FLOW_STATES),
	};
}

static void invent_side(struct session_view *view, enum side side)
{
	invent_flow(&view->session.flows[side]);
	view->session.legs[side] = (struct leg){
		.waiting = some_moment(),
		.gained = some_moment(),
		.loss = (enum loss)(any() % 3),
		.detector = (enum detector)(any() % (DETECTORS + 1)),
		.is_after_fin = maybe(),
		.has_fin_read = maybe(),
		.has_fin_sent = maybe(),
		.is_acked = maybe(),
		.before = (uint32_t)some(),
	};
	view->peers[side].family = (uint8_t)(any() % 4);
	view->session.legs[side].is_unix = view->peers[side].family == ENDPOINT_UNIX;
	view->dead_after_us[side] = maybe() ? 0 : (int64_t)(some() >> 20);
	view->probes[side] = (struct probe_view){
		.due_us = LAST_US + (int64_t)(some() >> 16) - 1,
		.sent_us = some_us(),
		.mode = (uint8_t)(any() % PROBE_MODES),
		.is_on = maybe(),
		.is_fatal = maybe(),
	};
	view->tcp[side] = (struct tcp_facts){
		.state = (uint8_t)(any() % 13),
		.retransmits = (uint8_t)some(),
		.probes = (uint8_t)some(),
		.unacked_bytes = (uint32_t)some(),
		.unsent_bytes = (uint32_t)some(),
		.unread_bytes = (uint32_t)some(),
		.last_heard_ms = (uint32_t)some(),
	};
}

static void invent(struct session_view *view)
{
	memset(view, 0, sizeof *view);
	view->now_us = LAST_US;
	view->server_name = maybe() ? "a server with a name that is far too long to be shown whole,"
				      " whoever thought of it"
				    : NULL;
	view->is_brief = any() % 4 == 0;
	view->is_retrying = maybe();
	view->is_sparing_alive = maybe();
	view->session.phase = (uint8_t)(any() % SESSION_PHASES);
	view->session.ending = (uint8_t)(any() % ENDINGS);
	view->session.connects = (uint16_t)some();
	view->session.is_connected = maybe();
	view->session.has_half_closed = maybe();
	view->session.attempted_or_connected = some_moment();
	view->session.spared_or_closing = some_moment();
	view->session.is_discarding = maybe();
	view->session.has_spoken = maybe();
	view->ending.deadline = (enum deadline)(any() % (DEADLINE_NONE + 1));
	view->ending.at_us = LAST_US + (int64_t)(some() >> 16) - 1;
	invent_side(view, CLIENT);
	invent_side(view, SERVER);
}

/* Whatever it is given, it fits: what comes last, the deadline, is there. */
static void every_sentence_is_whole(void **state)
{
	static const char *const ends[] = { "; no deadline ends it", " is due now",
					    " ends it in ",          " ends this attempt in ",
					    "it is over (",          "; idle is due " };
	size_t longest = 0;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		struct session_view view;
		char text[EXPLANATION_MAX + 8];
		bool has_end = false;

		invent(&view);
		memset(text, 'X', sizeof text);
		explain_session(&view, text);
		assert_int_equal(text[EXPLANATION_MAX], 'X');
		for (size_t j = 0; j < sizeof ends / sizeof *ends; j++)
			has_end |= strstr(text, ends[j]) != NULL;
		if (!has_end || strlen(text) >= EXPLANATION_MAX - 1 || strstr(text, "  ") ||
		    strstr(text, "look") || strstr(text, "; none"))
			fail_msg("%s", text);
		longest = strlen(text) > longest ? strlen(text) : longest;
	}
	print_message("the longest has %zu bytes\n", longest);
}

static int print_all(void)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct session_view view;
		char text[EXPLANATION_MAX];

		view_of(&examples[i], &view);
		explain_session(&view, text);
		printf("%s\n", text);
	}
	return 0;
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sentence),
		cmocka_unit_test(nothing_is_claimed_of_a_kernel_that_was_not_asked),
		cmocka_unit_test(names_of_any_length_are_cut),
		cmocka_unit_test(a_name_is_cut_between_characters),
		cmocka_unit_test(an_address_with_a_zone),
		cmocka_unit_test(every_sentence_is_whole),
	};

	if (count == 2 && strcmp(arguments[1], "--print") == 0)
		return print_all();
	return cmocka_run_group_tests_name("admin/explain", tests, NULL, NULL);
}
