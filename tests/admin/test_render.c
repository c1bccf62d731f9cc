/*
 * admin/render: what is written is JSON that reads back, with the members that it should have and
 * no others, whatever bytes are in the names; what there is none of is null; and where there is no
 * memory nothing is sent and nothing leaks.
 */
#include <finback/admin/explain.h>
#include <finback/admin/render.h>
#include <finback/daemon/supervisor.h>
#include <finback/io/address.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "admin/render_private.h"
#include "daemon/supervisor_private.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S            INT64_C(1000000)
#define NOW          (1000 * S)
#define WORKERS      2

/* ---- reading --------------------------------------------------------------------------------- */

static json_t *parse(struct text *text)
{
	json_error_t error;
	json_t *value;

	assert_false(text->is_short);
	assert_null(strpbrk(text->bytes, "\n\r\t"));
	value = json_loads(text->bytes, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		fail_msg("%s at %d of %s", error.text, error.position, text->bytes);
	text_fini(text);
	return value;
}

/* The members of an object are these, in this order. */
static void assert_members(const json_t *object, const char *expected)
{
	char names[512] = "";
	json_t *copy = json_copy((json_t *)(uintptr_t)object);
	const char *key;
	json_t *value;

	assert_true(json_is_object(object));
	json_object_foreach(copy, key, value)
	{
		if (*names)
			strncat(names, " ", sizeof(names) - strlen(names) - 1);
		strncat(names, key, sizeof(names) - strlen(names) - 1);
	}
	json_decref(copy);
	assert_string_equal(names, expected);
}

/* A member as JSON, by its path: "client.tcp.state", "servers.0.name". Static. */
static const char *at(const json_t *value, const char *path)
{
	static char text[4096];
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
	char words[128];
	char *rest = words;
	size_t length;

	(void)snprintf(words, sizeof(words), "%s", path);
	while (rest) {
		const char *word = strsep(&rest, ".");

		value = json_is_array(value) ? json_array_get(value, strtoul(word, NULL, 10))
					     : json_object_get(value, word);
		if (!value)
			fail_msg("there is no %s", path);
	}
	length = json_dumpb(value, text, sizeof(text) - 1, flags);
	assert_in_range(length, 1, sizeof(text) - 1);
	text[length] = '\0';
	return text;
}

struct member {
	const char *path;
	const char *value; /* as JSON */
};

static void assert_values(const json_t *value, const struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(at(value, members[i].path), members[i].value) != 0)
			fail_msg("%s is %s, not %s", members[i].path, at(value, members[i].path),
				 members[i].value);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct endpoint endpoint(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(&address, text), 0);
	return endpoint_of(&address);
}

/* Half-closed by its client for 42 s, with every number different. */
static struct session_view half_closed(void)
{
	struct session_view view = { 0 };
	struct session *session = &view.session;

	session_init(session, 42, NOW - 301500000);
	session->is_connected = true;
	session->attempted_or_connected = moment_of(NOW - 301 * S);
	session->has_half_closed = true;
	session->flows[CLIENT] = (struct flow){ .progressed = moment_of(NOW - 43 * S),
						.ended = moment_of(NOW - 42 * S),
						.bytes = 123,
						.held = 7,
						.state = FLOW_DRAINING };
	session->flows[SERVER] =
		(struct flow){ .progressed = moment_of(NOW - 41250001), .bytes = 4567890123 };
	view.peers[CLIENT] = endpoint("10.1.2.3:5000");
	view.peers[SERVER] = endpoint("[2001:db8::5]:9000");
	session->connects = 2;
	session->phase = SESSION_RELAYING;
	session->closer = CLOSER_CLIENT;
	view.now_us = NOW;
	view.listener = "web";
	view.pool = "app";
	view.server_name = "big";
	view.worker = 3;
	view.ending = (struct deadline_at){ DEADLINE_HALF_CLOSED, NOW + 259 * S };
	view.locals[CLIENT] = endpoint("10.0.0.1:8080");
	view.locals[SERVER] = endpoint("[2001:db8::1]:40000");
	view.tcp[CLIENT] = (struct tcp_facts){ .state = TCP_CLOSE_WAIT,
					       .retransmits = 1,
					       .probes = 2,
					       .rtt_us = 120,
					       .unacked_bytes = 4,
					       .unsent_bytes = 5,
					       .unread_bytes = 6,
					       .total_retransmits = 4294967295,
					       .last_heard_ms = 41000 };
	view.tcp[SERVER] = (struct tcp_facts){ .state = TCP_FIN_WAIT2, .rtt_us = 99 };
	view.dead_after_us[SERVER] = 120 * S;
	view.probes[SERVER] = (struct probe_view){ .is_on = true,
						   .protocol = PROBE_MQTT,
						   .mode = PROBE_WATCHING,
						   .sent = 8,
						   .replies = 9,
						   .answered_us = NOW - 60 * S,
						   .due_us = NOW + 10 * S };
	return view;
}

static json_t *session_as_json(const struct session_view *view)
{
	struct text text = { 0 };

	render_session(&text, view);
	return parse(&text);
}

static void assert_session(const struct session_view *view, const struct member *members,
			   size_t count)
{
	json_t *session = session_as_json(view);

	assert_values(session, members, count);
	json_decref(session);
}

#define TCP_MEMBERS                                                                           \
	"state rtt_us unacked_bytes unsent_bytes unread_bytes retransmits total_retransmits " \
	"probes last_heard_ms"
#define SESSION_BEGIN                                                                    \
	"id listener pool server_name state worker age_s idle_s half_closed_s connects " \
	"first_closer ending_in"

static void a_session_has_its_members(void **state)
{
	const struct session_view view = half_closed();
	json_t *session = session_as_json(&view);
	const char *sides[] = { "client", "server" };

	(void)state;
	assert_members(session, SESSION_BEGIN " explanation client server");
	assert_members(json_object_get(session, "ending_in"), "deadline in_s");
	for (size_t i = 0; i < SIDES; i++) {
		const json_t *side = json_object_get(session, sides[i]);

		assert_members(side,
			       "address local_address flow bytes idle_s ended_s held_bytes tcp "
			       "dead_after_s probe");
		assert_members(json_object_get(side, "tcp"), TCP_MEMBERS);
	}
	assert_members(json_object_get(json_object_get(session, "server"), "probe"),
		       "protocol mode sent replies last_reply_s awaiting_s next_in_s");
	json_decref(session);
}

static void a_session_has_its_values(void **state)
{
	static const struct member members[] = {
		{ "id", "42" },
		{ "listener", "\"web\"" },
		{ "pool", "\"app\"" },
		{ "server_name", "\"big\"" },
		{ "state", "\"half_closed_client\"" },
		{ "worker", "3" },
		{ "age_s", "301.5" },
		{ "idle_s", "41.250001" },
		{ "half_closed_s", "42.0" },
		{ "connects", "2" },
		{ "first_closer", "\"client\"" },
		{ "ending_in", "{\"deadline\":\"half_closed\",\"in_s\":259.0}" },
		{ "client.address", "\"10.1.2.3:5000\"" },
		{ "client.local_address", "\"10.0.0.1:8080\"" },
		{ "client.flow", "\"draining\"" },
		{ "client.bytes", "123" },
		{ "client.idle_s", "43.0" },
		{ "client.ended_s", "42.0" },
		{ "client.held_bytes", "7" },
		{ "client.tcp", "{\"state\":\"CLOSE_WAIT\",\"rtt_us\":120,\"unacked_bytes\":4,"
				"\"unsent_bytes\":5,\"unread_bytes\":6,\"retransmits\":1,"
				"\"total_retransmits\":4294967295,\"probes\":2,"
				"\"last_heard_ms\":41000}" },
		{ "server.address", "\"[2001:db8::5]:9000\"" },
		{ "server.local_address", "\"[2001:db8::1]:40000\"" },
		{ "server.flow", "\"open\"" },
		{ "server.bytes", "4567890123" },
		{ "server.idle_s", "41.250001" },
		{ "server.ended_s", "null" },
		{ "server.held_bytes", "0" },
		{ "server.tcp.state", "\"FIN_WAIT2\"" },
		{ "server.tcp.rtt_us", "99" },
		{ "client.dead_after_s", "null" },
		{ "server.dead_after_s", "120.0" },
		{ "client.probe", "null" },
		{ "server.probe", "{\"protocol\":\"mqtt\",\"mode\":\"watching\",\"sent\":8,"
				  "\"replies\":9,\"last_reply_s\":60.0,\"awaiting_s\":null,"
				  "\"next_in_s\":10.0}" },
	};
	const struct session_view view = half_closed();
	json_t *session = session_as_json(&view);
	char explanation[EXPLANATION_MAX];

	(void)state;
	assert_values(session, members, COUNT(members));
	explain_session(&view, explanation);
	assert_string_equal(json_string_value(json_object_get(session, "explanation")),
			    explanation);
	json_decref(session);
}

static void a_brief_session_leaves_out_what_costs(void **state)
{
	struct session_view view = half_closed();
	json_t *session;

	(void)state;
	view.is_brief = true;
	session = session_as_json(&view);
	assert_members(session, SESSION_BEGIN " client server");
	assert_members(json_object_get(session, "client"),
		       "address flow bytes idle_s ended_s held_bytes");
	assert_members(json_object_get(session, "server"),
		       "address flow bytes idle_s ended_s held_bytes");
	assert_string_equal(at(session, "server.address"), "\"[2001:db8::5]:9000\"");
	json_decref(session);
}

/* The client of a UNIX listener, while no server was chosen yet. */
static void what_there_is_none_of_is_null(void **state)
{
	static const struct member members[] = {
		{ "server_name", "null" },
		{ "state", "\"connecting\"" },
		{ "age_s", "1.5" },
		{ "idle_s", "1.5" },
		{ "half_closed_s", "null" },
		{ "connects", "0" },
		{ "first_closer", "null" },
		{ "ending_in", "null" },
		{ "client.address", "\"unix\"" },
		{ "client.local_address", "\"unix\"" },
		{ "client.idle_s", "null" },
		{ "client.ended_s", "null" },
		{ "client.tcp", "null" },
		{ "client.probe", "null" },
		{ "server.address", "null" },
		{ "server.local_address", "null" },
		{ "server.flow", "\"open\"" },
		{ "server.bytes", "0" },
		{ "server.idle_s", "null" },
		{ "server.ended_s", "null" },
		{ "server.tcp", "null" },
	};
	struct session_view view = { .now_us = NOW, .listener = "l", .pool = "p" };

	(void)state;
	session_init(&view.session, 1, NOW - 1500000);
	view.peers[CLIENT].family = ENDPOINT_UNIX;
	view.locals[CLIENT].family = ENDPOINT_UNIX;
	view.ending.deadline = DEADLINE_NONE;
	assert_session(&view, members, COUNT(members));
}

static void a_probe_in_each_mode(void **state)
{
	static const struct member awaiting[] = {
		{ "server.probe.mode", "\"awaiting\"" },
		{ "server.probe.awaiting_s", "3.0" },
		{ "server.probe.next_in_s", "null" },
		{ "server.probe.last_reply_s", "null" },
	};
	static const struct member off[] = {
		{ "server.probe.mode", "\"off\"" },
		{ "server.probe.awaiting_s", "null" },
		{ "server.probe.next_in_s", "null" },
	};
	struct session_view view = half_closed();
	struct probe_view *probe = &view.probes[SERVER];

	(void)state;
	*probe = (struct probe_view){ .is_on = true,
				      .mode = PROBE_AWAITING,
				      .sent_us = NOW - 3 * S,
				      .due_us = NOW + 27 * S };
	assert_session(&view, awaiting, COUNT(awaiting));
	*probe = (struct probe_view){ .is_on = true, .mode = PROBE_OFF };
	assert_session(&view, off, COUNT(off));
	for (unsigned i = 0; i < PROBE_PROTOCOLS; i++) {
		char word[32];
		const struct member named = { "server.probe.protocol", word };

		(void)snprintf(word, sizeof(word), "\"%s\"",
			       probe_protocol_name((enum probe_protocol)i));
		probe->protocol = (uint8_t)i;
		assert_session(&view, &named, 1);
	}
}

/* Once both flows have ended it is half-closed no longer, and how long it was stays. */
static void half_closed_time_stands_still_when_closing(void **state)
{
	static const struct member members[] = {
		{ "state", "\"closing\"" },
		{ "half_closed_s", "32.0" },
		{ "first_closer", "\"finback\"" },
	};
	struct session_view view = half_closed();

	(void)state;
	view.session.phase = SESSION_CLOSING;
	view.session.spared_or_closing = moment_of(NOW - 10 * S);
	view.session.closer = CLOSER_FINBACK;
	assert_session(&view, members, COUNT(members));
}

/* An acknowledgement is progress; a deadline that has passed is 0 away; no span is negative. */
static void spans_are_never_negative(void **state)
{
	static const struct member passed[] = {
		{ "idle_s", "2.0" },
		{ "ending_in.in_s", "0.0" },
		{ "server.probe.next_in_s", "0.0" },
	};
	static const struct member to_come[] = {
		{ "idle_s", "0.0" },
		{ "server.idle_s", "0.0" },
	};
	struct session_view view = half_closed();

	(void)state;
	view.session.legs[CLIENT].gained = moment_of(NOW - 2 * S);
	view.ending.at_us = NOW - 1;
	view.probes[SERVER].due_us = NOW - 1;
	view.session.flows[SERVER].progressed = moment_of(NOW - 3 * S);
	assert_session(&view, passed, COUNT(passed));
	view.session.flows[SERVER].progressed = moment_of(NOW + 5);
	assert_session(&view, to_come, COUNT(to_come));
}

static const char hostile[] = "a\"b\\c\n\x01\x1b[2J\x7f\xff\xc3\xa4\xe2\x82";
static const char hostile_clean[] =
	"a\"b\\c\n\x01\x1b[2J\x7f\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd";

static const char *string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void hostile_names_stay_text(void **state)
{
	struct session_view view = half_closed();
	json_t *session;

	(void)state;
	view.listener = view.pool = view.server_name = hostile;
	session = session_as_json(&view);
	assert_members(session, SESSION_BEGIN " explanation client server");
	assert_string_equal(string_at(session, "listener"), hostile_clean);
	assert_string_equal(string_at(session, "pool"), hostile_clean);
	assert_string_equal(string_at(session, "server_name"), hostile_clean);
	json_decref(session);
}

static void every_state_and_flow_has_its_word(void **state)
{
	struct session_view view = half_closed();

	(void)state;
	for (unsigned phase = 0; phase < SESSION_PHASES; phase++) {
		for (unsigned flow = 0; flow < FLOW_STATES; flow++) {
			char words[2][32];
			const struct member members[] = { { "state", words[0] },
							  { "server.flow", words[1] } };

			view.session.phase = (uint8_t)phase;
			view.session.flows[SERVER].state = (uint8_t)flow;
			(void)snprintf(words[0], sizeof(words[0]), "\"%s\"",
				       session_state_name(session_state(&view.session)));
			(void)snprintf(words[1], sizeof(words[1]), "\"%s\"",
				       flow_state_name((enum flow_state)flow));
			assert_session(&view, members, COUNT(members));
		}
	}
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void check_endpoint(const struct endpoint *endpoint)
{
	char expected[ADDRESS_TEXT_MAX];
	struct text text = { 0 };

	render_endpoint(&text, endpoint);
	text_truncate(&text, text.length - 1);
	if (strcmp(text.bytes + 1, endpoint_format(endpoint, expected, sizeof(expected))) != 0)
		fail_msg("%s, not %s", text.bytes + 1, expected);
	assert_int_equal(text.bytes[0], '"');
	text_fini(&text);
}

/* Every way in which groups of an IPv6 address are 0, small or large; with zones; and ports. */
static void addresses_are_written_as_elsewhere(void **state)
{
	static const unsigned groups[] = { 0x1, 0xab, 0x123, 0xffff, 0xfe80 };
	struct endpoint endpoint = { .family = ENDPOINT_IPV6, .port = 65535 };

	(void)state;
	for (unsigned i = 0; i < 256 * COUNT(groups); i++) {
		for (unsigned k = 0; k < 8; k++) {
			unsigned group = i >> k & 1 ? groups[(i / 256 + k) % COUNT(groups)] : 0;

			endpoint.ip[2 * k] = (uint8_t)(group >> 8);
			endpoint.ip[2 * k + 1] = (uint8_t)group;
		}
		endpoint.scope = i % 3 == 0;
		endpoint.port = (uint16_t)(i * 51);
		check_endpoint(&endpoint);
	}
	endpoint = (struct endpoint){ .family = ENDPOINT_IPV4 };
	for (unsigned i = 0; i < 65536; i += 13) {
		endpoint.port = (uint16_t)i;
		endpoint.ip[0] = (uint8_t)i;
		endpoint.ip[3] = (uint8_t)(i >> 8);
		check_endpoint(&endpoint);
	}
	endpoint.family = ENDPOINT_UNIX;
	check_endpoint(&endpoint);
}

/* ---- ended ----------------------------------------------------------------------------------- */

/* 2026-11-22T21:38:18.123456Z */
static const struct timespec clock_now = { .tv_sec = 1795383498, .tv_nsec = 123456789 };

static struct ended_view server_reset(void)
{
	return (struct ended_view){
		.id = 7,
		.ended_us = NOW - 3200000,
		.lived_us = 12 * S,
		.half_closed_us = 1 * S,
		.connect_us = 1000,
		.listener = "web",
		.pool = "app",
		.server_name = "big",
		.bytes = { 1, 2 },
		.peers = { endpoint("10.1.2.3:5000"), endpoint("10.0.0.5:9000") },
		.error = -ECONNRESET,
		.connects = 1,
		.ending = ENDING_SERVER_RESET,
		.closer = CLOSER_SERVER,
		.detector = DETECTORS,
	};
}

static json_t *ended_as_json(const struct ended_view *view)
{
	struct text text = { 0 };

	render_ended(&text, view, NOW, clock_now);
	return parse(&text);
}

#define ENDED_MEMBERS                                                                         \
	"id listener pool server_name state ending first_closer detail detector ended ago_s " \
	"age_s half_closed_s connect_s connects client server"

static void an_ended_session_has_its_values(void **state)
{
	static const struct member members[] = {
		{ "id", "7" },
		{ "listener", "\"web\"" },
		{ "pool", "\"app\"" },
		{ "server_name", "\"big\"" },
		{ "state", "\"ended\"" },
		{ "ending", "\"server_reset\"" },
		{ "first_closer", "\"server\"" },
		{ "detail", "\"Connection reset by peer\"" },
		{ "detector", "null" },
		{ "ended", "\"2026-11-22T21:38:14.923Z\"" },
		{ "ago_s", "3.2" },
		{ "age_s", "12.0" },
		{ "half_closed_s", "1.0" },
		{ "connect_s", "0.001" },
		{ "connects", "1" },
		{ "client", "{\"address\":\"10.1.2.3:5000\",\"bytes\":1}" },
		{ "server", "{\"address\":\"10.0.0.5:9000\",\"bytes\":2}" },
	};
	const struct ended_view view = server_reset();
	json_t *ended = ended_as_json(&view);

	(void)state;
	assert_members(ended, ENDED_MEMBERS);
	assert_values(ended, members, COUNT(members));
	json_decref(ended);
}

static void an_ended_session_without_a_server(void **state)
{
	static const struct member members[] = {
		{ "server_name", "null" },
		{ "ending", "\"no_server\"" },
		{ "first_closer", "null" },
		{ "detail", "null" },
		{ "half_closed_s", "null" },
		{ "connect_s", "null" },
		{ "ago_s", "0.0" },
		{ "ended", "\"2026-11-22T21:38:18.123Z\"" },
		{ "server", "{\"address\":null,\"bytes\":0}" },
		{ "client", "{\"address\":\"unix\",\"bytes\":0}" },
		{ "listener", "\"a\\\"b\"" },
	};
	const struct ended_view view = {
		.id = 1,
		.ended_us = NOW + 1, /* a clock that is read a moment earlier */
		.half_closed_us = -1,
		.connect_us = -1,
		.listener = "a\"b",
		.pool = hostile,
		.peers[CLIENT].family = ENDPOINT_UNIX,
		.ending = ENDING_NO_SERVER,
		.detector = DETECTORS,
	};
	json_t *ended = ended_as_json(&view);

	(void)state;
	assert_members(ended, ENDED_MEMBERS);
	assert_values(ended, members, COUNT(members));
	assert_string_equal(string_at(ended, "pool"), hostile_clean);
	json_decref(ended);
}

static void every_ending_and_detector_has_its_word(void **state)
{
	struct ended_view view = server_reset();

	(void)state;
	for (unsigned i = ENDING_NONE + 1; i < ENDINGS; i++) {
		json_t *ended;

		view.ending = (uint8_t)i;
		view.detector = (uint8_t)(i % DETECTORS);
		ended = ended_as_json(&view);
		assert_string_equal(string_at(ended, "ending"), ending_name((enum ending)i));
		assert_string_equal(string_at(ended, "detector"),
				    detector_name((enum detector)(i % DETECTORS)));
		json_decref(ended);
	}
}

static void times_are_rfc_3339(void **state)
{
	static const struct {
		struct timespec time;
		const char *text;
	} cases[] = {
		{ { 0, 0 }, "1970-01-01T00:00:00.000Z" },
		{ { 1795383498, 123999999 }, "2026-11-22T21:38:18.123Z" },
		{ { 1709251199, 999999999 }, "2024-02-29T23:59:59.999Z" },
		{ { 4102444800, 1000000 }, "2100-01-01T00:00:00.001Z" },
	};
	char text[RENDER_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(render_time(cases[i].time, text), cases[i].text);
}

/* Numbers look the same in what jansson writes as in what is written at once. */
static void seconds_have_one_shape(void **state)
{
	static const int64_t spans[] = { 0,
					 100000,
					 100,
					 301500000,
					 41000000,
					 12345678,
					 -5,
					 INT64_C(86400123456),
					 INT64_C(999999999999999) };

	(void)state;
	for (size_t i = 0; i < COUNT(spans); i++) {
		struct text value = { 0 }, expected = { 0 };

		render_value(&value, render_seconds(spans[i]));
		text_append_seconds(&expected, spans[i]);
		assert_string_equal(value.bytes, expected.bytes);
		text_fini(&value);
		text_fini(&expected);
	}
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static const char first_file[] =
	"pools = ( { name = \"app\"; balance = \"least_sessions\";"
	"            servers = ( { name = \"big\"; address = \"127.0.0.1:1\"; weight = 2; },"
	"                        { address = \"unix:/run/a\\\"\\xff.sock\"; backup = true; } ); } "
	");"
	"listeners = ( { name = \"front\"; listen = [ \"127.0.0.1:0\", \"[::1]:0\" ]; pool = "
	"\"app\"; },"
	"              { name = \"gone\"; listen = \"127.0.0.1:0\"; pool = \"app\"; } );";

static const char second_file[] =
	"pools = ( { name = \"app\"; balance = \"least_sessions\";"
	"            servers = ( { name = \"big\"; address = \"127.0.0.1:1\"; weight = 2; },"
	"                        { address = \"unix:/run/a\\\"\\xff.sock\"; backup = true; } ); } "
	");"
	"listeners = ( { name = \"front\"; listen = [ \"127.0.0.1:0\", \"[::1]:0\" ]; pool = "
	"\"app\"; },"
	"              { name = \"new\"; listen = \"127.0.0.1:0\"; servers = \"127.0.0.1:2\"; } );";

static struct generation *load(struct supervisor *supervisor, const char *text)
{
	struct config_problems problems;
	struct config *config = NULL;
	struct generation *generation;

	if (config_load_text(text, "/etc/a\xff.conf", &config, &problems) < 0)
		fail_msg("%s", problems.error_count > 0 ? problems.errors[0] : "no memory");
	config_problems_fini(&problems);
	generation = generation_create(config, &supervisor->registry);
	assert_non_null(generation);
	generation_serve(generation);
	return generation;
}

/* A supervisor after one reload, without threads and sockets: what is rendered is all there. */
struct daemon {
	struct supervisor supervisor;
	struct listener listeners[3];
	struct sockets_entry entries[3];
};

static struct daemon *daemon_create(void)
{
	static const char *const addresses[] = { "127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8081" };
	struct daemon *made = calloc(1, sizeof(*made));
	struct supervisor *supervisor;

	assert_non_null(made);
	supervisor = &made->supervisor;
	registry_init(&supervisor->registry, WORKERS);
	generation_unref(load(supervisor, first_file));
	supervisor->generation = load(supervisor, second_file);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(made->listeners[i].text, ADDRESS_TEXT_MAX, "%s", addresses[i]);
		made->entries[i].listener = &made->listeners[i];
		made->entries[i].route = i / 2;
	}
	supervisor->sockets = (struct sockets){ made->entries, 3 };
	supervisor->crew.count = WORKERS;
	supervisor->crew.workers = aligned_alloc(64, WORKERS * sizeof(struct worker));
	assert_non_null(supervisor->crew.workers);
	memset(supervisor->crew.workers, 0, WORKERS * sizeof(struct worker));
	supervisor->crew.workers[1].index = 1;
	supervisor->started_us = monotonic_us() - 5 * S;
	supervisor->started = (struct timespec){ 0, 0 };
	supervisor->loaded = clock_now;
	supervisor->max_files = 20000;
	atomic_init(&supervisor->crew.max_sessions, 9985);
	return made;
}

static int set_up(void **state)
{
	*state = daemon_create();
	return 0;
}

static int tear_down(void **state)
{
	struct daemon *daemon = *state;

	free(daemon->supervisor.crew.workers);
	generation_unref(daemon->supervisor.generation);
	registry_fini(&daemon->supervisor.registry);
	free(daemon);
	return 0;
}

static json_t *status_of(const struct daemon *daemon)
{
	struct text text = { 0 };

	render_value(&text, render_status(&daemon->supervisor));
	return parse(&text);
}

static void assert_status(const struct daemon *daemon, const struct member *members, size_t count)
{
	json_t *status = status_of(daemon);

	assert_values(status, members, count);
	json_decref(status);
}

#define STATUS_MEMBERS                                                                   \
	"version pid state started uptime_s config limits process log sessions workers " \
	"listeners pools"
#define LISTENER_MEMBERS "name listen pool accepted active endings bytes fins resets dead_peers"
#define SERVER_MEMBERS   "pool name address weight backup state up sessions connects"

static void the_status_has_its_members(void **state)
{
	struct daemon *daemon = *state;
	json_t *status = status_of(daemon);
	const json_t *listener = json_array_get(json_object_get(status, "listeners"), 0);
	const json_t *dead = json_object_get(listener, "dead_peers");
	const json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	const json_t *server = json_array_get(json_object_get(pool, "servers"), 0);

	assert_members(status, STATUS_MEMBERS);
	assert_members(json_object_get(status, "config"),
		       "path loaded reloads failed_reloads last_reload_ok can_reload");
	assert_members(json_object_get(status, "limits"), "max_sessions open_files");
	assert_members(json_object_get(status, "process"), "open_fds rss_bytes cpu_s");
	assert_members(json_object_get(status, "log"), "dropped");
	assert_members(json_array_get(json_object_get(status, "workers"), 0),
		       "index sessions buffer_bytes pipes open_fds accept_pauses");
	assert_members(listener, LISTENER_MEMBERS);
	assert_members(json_object_get(listener, "active"),
		       "connecting open half_closed_client half_closed_server closing");
	assert_int_equal(json_object_size(json_object_get(listener, "endings")), ENDINGS - 1);
	assert_null(json_object_get(json_object_get(listener, "endings"), "none"));
	assert_members(json_object_get(listener, "bytes"), "from_client from_server");
	assert_members(json_object_get(listener, "fins"), "from_client from_server");
	assert_members(json_object_get(listener, "resets"), "from_client from_server");
	assert_members(dead, "client server");
	assert_members(json_object_get(dead, "server"), "keepalive user_timeout probe link");
	assert_members(pool, "name balance servers");
	assert_members(server, SERVER_MEMBERS);
	assert_members(json_object_get(server, "connects"),
		       "ok refused timeout unreachable failed");
	json_decref(status);
}

static void the_status_has_the_facts(void **state)
{
	static const struct member members[] = {
		{ "state", "\"running\"" },
		{ "started", "\"1970-01-01T00:00:00.000Z\"" },
		{ "config.path", "\"/etc/a\xef\xbf\xbd.conf\"" },
		{ "config.loaded", "\"2026-11-22T21:38:18.123Z\"" },
		{ "config.reloads", "3" },
		{ "config.failed_reloads", "1" },
		{ "config.last_reload_ok", "true" },
		{ "config.can_reload", "false" },
		{ "limits.max_sessions", "9985" },
		{ "limits.open_files", "20000" },
		{ "log.dropped", "0" },
		{ "sessions", "0" },
		{ "workers.1", "{\"index\":1,\"sessions\":8,\"buffer_bytes\":65536,\"pipes\":0,"
			       "\"open_fds\":19,\"accept_pauses\":2}" },
	};
	static const struct member draining[] = {
		{ "state", "\"draining\"" },
		{ "config.can_reload", "true" },
		{ "config.last_reload_ok", "false" },
	};
	struct daemon *daemon = *state;
	struct worker *worker = &daemon->supervisor.crew.workers[1];
	json_t *status;
	double uptime;

	daemon->supervisor.reloads = 3;
	daemon->supervisor.failed_reloads = 1;
	daemon->supervisor.is_last_reload_ok = true;
	atomic_init(&worker->active, 8);
	atomic_init(&worker->pauses, 2);
	atomic_init(&worker->relays.buffer_bytes, 65536);
	atomic_init(&worker->relays.descriptors, 16);
	status = status_of(daemon);
	assert_values(status, members, COUNT(members));
	uptime = json_real_value(json_object_get(status, "uptime_s"));
	assert_true(uptime >= 5 && uptime < 65);
	assert_int_equal(json_integer_value(json_object_get(status, "pid")), getpid());
	assert_string_equal(string_at(status, "version"), FINBACK_VERSION);
	assert_true(strtod(at(status, "process.rss_bytes"), NULL) > 0);
	assert_true(strtod(at(status, "process.open_fds"), NULL) > 0);
	json_decref(status);
	daemon->supervisor.state = SUPERVISOR_DRAINING;
	daemon->supervisor.can_reload = true;
	daemon->supervisor.is_last_reload_ok = false;
	assert_status(daemon, draining, COUNT(draining));
}

static void listeners_of_old_configurations_stay(void **state)
{
	static const struct member members[] = {
		{ "listeners.0.name", "\"front\"" },
		{ "listeners.0.listen", "[\"127.0.0.1:8080\",\"[::1]:8080\"]" },
		{ "listeners.0.pool", "\"app\"" },
		{ "listeners.1.name", "\"gone\"" },
		{ "listeners.1.listen", "[]" },
		{ "listeners.1.pool", "null" },
		{ "listeners.2.name", "\"new\"" },
		{ "listeners.2.listen", "[\"127.0.0.1:8081\"]" },
		{ "listeners.2.pool", "\"new\"" },
	};
	/* Nothing is bound any more. */
	static const struct member draining[] = {
		{ "listeners.0.listen", "[]" },
		{ "listeners.0.pool", "\"app\"" },
	};
	struct daemon *daemon = *state;
	json_t *status = status_of(daemon);

	assert_values(status, members, COUNT(members));
	assert_int_equal(json_array_size(json_object_get(status, "listeners")), 3);
	json_decref(status);
	daemon->supervisor.sockets.count = 0;
	assert_status(daemon, draining, COUNT(draining));
}

static void count_traffic(struct counters *counters)
{
	for (unsigned i = 0; i < STATES; i++)
		for (unsigned k = 0; k <= i; k++)
			counters_accept(counters, (enum session_state)i);
	for (unsigned i = ENDING_NONE + 1; i < ENDINGS; i++) {
		counters_accept(counters, STATE_OPEN);
		counters_end(counters, STATE_OPEN, (enum ending)i);
	}
	counters_add(counters, COUNTER_BYTES + CLIENT, 1000);
	counters_add(counters, COUNTER_BYTES + SERVER, 5000000000);
	counters_add(counters, COUNTER_FINS + CLIENT, 3);
	counters_add(counters, COUNTER_FINS + SERVER, 4);
	counters_add(counters, COUNTER_RESETS + CLIENT, 5);
	counters_add(counters, COUNTER_RESETS + SERVER, 6);
	for (unsigned i = 0; i < SIDES * DETECTORS; i++)
		counters_add(counters, COUNTER_DEAD + i, 10 + i);
}

static uint64_t sum_of(const json_t *object)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)object);
	uint64_t sum = 0;
	const char *key;
	json_t *value;

	json_object_foreach(copy, key, value) sum += (uint64_t)json_integer_value(value);
	json_decref(copy);
	return sum;
}

/* Two workers with the same counts, so that each is twice. */
static void listeners_have_their_counts(void **state)
{
	static const struct member members[] = {
		{ "active", "{\"connecting\":2,\"open\":4,\"half_closed_client\":6,"
			    "\"half_closed_server\":8,\"closing\":10}" },
		{ "endings.complete", "2" },
		{ "endings.fault", "2" },
		{ "bytes", "{\"from_client\":2000,\"from_server\":10000000000}" },
		{ "fins", "{\"from_client\":6,\"from_server\":8}" },
		{ "resets", "{\"from_client\":10,\"from_server\":12}" },
		{ "dead_peers.client",
		  "{\"keepalive\":20,\"user_timeout\":22,\"probe\":24,\"link\":26}" },
		{ "dead_peers.server",
		  "{\"keepalive\":28,\"user_timeout\":30,\"probe\":32,\"link\":34}" },
	};
	struct daemon *daemon = *state;
	const struct tally *gone = daemon->supervisor.registry.tallies->next;
	const json_t *listener;
	json_t *status;

	assert_string_equal(gone->name, "gone");
	for (size_t i = 0; i < WORKERS; i++)
		count_traffic(&gone->workers_counters[i]);
	status = status_of(daemon);
	listener = json_array_get(json_object_get(status, "listeners"), 1);
	assert_values(listener, members, COUNT(members));
	assert_int_equal(json_integer_value(json_object_get(listener, "accepted")),
			 sum_of(json_object_get(listener, "active")) +
				 sum_of(json_object_get(listener, "endings")));
	assert_string_equal(at(status, "sessions"), "30");
	json_decref(status);
}

static void servers_have_their_values(void **state)
{
	static const struct member members[] = {
		{ "servers.0.pool", "\"app\"" },
		{ "servers.0.name", "\"big\"" },
		{ "servers.0.address", "\"127.0.0.1:1\"" },
		{ "servers.0.weight", "2" },
		{ "servers.0.backup", "false" },
		{ "servers.0.state", "\"ready\"" },
		{ "servers.0.up", "true" },
		{ "servers.0.sessions", "4" },
		{ "servers.0.connects", "{\"ok\":10,\"refused\":11,\"timeout\":12,"
					"\"unreachable\":13,\"failed\":14}" },
		{ "servers.1.name", "\"unix:/run/a\\\"\xef\xbf\xbd.sock\"" },
		{ "servers.1.address", "\"unix:/run/a\\\"\xef\xbf\xbd.sock\"" },
		{ "servers.1.weight", "1" },
		{ "servers.1.backup", "true" },
		{ "servers.2.pool", "\"new\"" },
		{ "servers.2.name", "\"127.0.0.1:2\"" },
	};
	struct daemon *daemon = *state;
	const struct generation *generation = daemon->supervisor.generation;
	struct pool_load *load = generation->pools[0].loads[0];
	struct text text = { 0 };
	json_t *servers;

	atomic_init(&load->sessions, 4);
	for (unsigned i = 0; i < POOL_RESULTS; i++)
		atomic_init(&load->connects[i], 10 + i);
	render_value(&text, render_servers(generation->pools, generation->config->pool_count));
	servers = parse(&text);
	assert_members(servers, "servers");
	assert_int_equal(json_array_size(json_object_get(servers, "servers")), 3);
	assert_values(servers, members, COUNT(members));
	json_decref(servers);
	render_value(&text, render_servers(&generation->pools[1], 1));
	servers = parse(&text);
	assert_int_equal(json_array_size(json_object_get(servers, "servers")), 1);
	assert_string_equal(at(servers, "servers.0.pool"), "\"new\"");
	json_decref(servers);
}

static void a_server_is_up_unless_in_maintenance(void **state)
{
	struct daemon *daemon = *state;
	const struct pool *pool = &daemon->supervisor.generation->pools[0];

	for (unsigned i = 0; i < POOL_STATES; i++) {
		struct text text = { 0 };
		json_t *server;

		atomic_store(&pool->loads[0]->state, i);
		render_value(&text, render_server(pool, 0));
		server = parse(&text);
		assert_members(server, SERVER_MEMBERS);
		assert_string_equal(string_at(server, "state"),
				    pool_state_name((enum pool_state)i));
		assert_int_equal(json_is_true(json_object_get(server, "up")), i != POOL_MAINT);
		json_decref(server);
	}
}

/* ---- no memory ------------------------------------------------------------------------------- */

static size_t allocations_left;

static void *scarce_malloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return malloc(size);
}

/* Whichever allocation is the one that fails, from the first to the last. AddressSanitizer sees
 * what is not given back. */
static void without_memory_there_is_no_answer(void **state)
{
	struct daemon *daemon = *state;
	size_t allowed = 0;
	json_t *status = NULL;

	json_set_alloc_funcs(scarce_malloc, free);
	for (; !status && allowed < 100000; allowed += 1 + allowed / 40) {
		struct text text = { 0 };

		allocations_left = allowed;
		status = render_status(&daemon->supervisor);
		if (status)
			break;
		render_value(&text, status);
		assert_true(text.is_short);
		text_fini(&text);
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(status);
	assert_true(allowed > 100);
	assert_members(status, STATUS_MEMBERS);
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_has_its_members),
		cmocka_unit_test(a_session_has_its_values),
		cmocka_unit_test(a_brief_session_leaves_out_what_costs),
		cmocka_unit_test(what_there_is_none_of_is_null),
		cmocka_unit_test(a_probe_in_each_mode),
		cmocka_unit_test(half_closed_time_stands_still_when_closing),
		cmocka_unit_test(spans_are_never_negative),
		cmocka_unit_test(hostile_names_stay_text),
		cmocka_unit_test(every_state_and_flow_has_its_word),
		cmocka_unit_test(addresses_are_written_as_elsewhere),
		cmocka_unit_test(an_ended_session_has_its_values),
		cmocka_unit_test(an_ended_session_without_a_server),
		cmocka_unit_test(every_ending_and_detector_has_its_word),
		cmocka_unit_test(times_are_rfc_3339),
		cmocka_unit_test(seconds_have_one_shape),
		cmocka_unit_test_setup_teardown(the_status_has_its_members, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_status_has_the_facts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listeners_of_old_configurations_stay, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(listeners_have_their_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(servers_have_their_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_server_is_up_unless_in_maintenance, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_memory_there_is_no_answer, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
