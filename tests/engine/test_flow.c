/*
 * engine/flow: every cell of the table, the wish it raises, and what no order of events can do: a
 * second FIN, or a FIN after a cut. `test_flow --print` prints the state picture; the test compares
 * it with the copy in flow.h, so that the comment there stays true.
 */
#include <finback/engine/flow.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define PICTURE_MAX 1024
#define HEADER_MAX  (64 * 1024)
#define DEPTH       7

/* The states' own names: flow_state_name() has the users' words, in which breaking is draining. */
static const char *const states[FLOW_STATES] = { "open", "draining", "finished", "breaking",
						 "broken" };

static const struct cell {
	enum flow_state state;
	enum flow_event event;
	enum flow_state next;
	enum flow_wish wish;
} cells[] = {
	{ FLOW_OPEN, FLOW_SOURCE_ENDED, FLOW_DRAINING, FLOW_NO_WISH },
	{ FLOW_OPEN, FLOW_SOURCE_CUT, FLOW_BREAKING, FLOW_NO_WISH },
	{ FLOW_OPEN, FLOW_SINK_LOST, FLOW_BROKEN, FLOW_DISCARD },

	{ FLOW_DRAINING, FLOW_SINK_LOST, FLOW_BROKEN, FLOW_DISCARD },
	{ FLOW_DRAINING, FLOW_EMPTIED, FLOW_FINISHED, FLOW_SEND_FIN },

	{ FLOW_FINISHED, FLOW_SINK_LOST, FLOW_FINISHED, FLOW_NO_WISH },

	{ FLOW_BREAKING, FLOW_SINK_LOST, FLOW_BROKEN, FLOW_DISCARD },
	{ FLOW_BREAKING, FLOW_EMPTIED, FLOW_BROKEN, FLOW_NO_WISH },

	{ FLOW_BROKEN, FLOW_SINK_LOST, FLOW_BROKEN, FLOW_NO_WISH },
};
#define CELLS (sizeof(cells) / sizeof(cells[0]))

/* Appends to the picture; its size is fixed by the table, and an overflow is a failing test. */
static void add(char *picture, const char *text)
{
	size_t used = strlen(picture);

	assert_true(used + strlen(text) < PICTURE_MAX);
	memcpy(picture + used, text, strlen(text) + 1);
}

static void add_padded(char *picture, const char *text, int width)
{
	char padded[64];

	assert_true(snprintf(padded, sizeof(padded), "%-*s", width, text) < (int)sizeof(padded));
	add(picture, padded);
}

static void end_line(char *picture)
{
	size_t used = strlen(picture);

	while (used > 0 && picture[used - 1] == ' ')
		picture[--used] = '\0';
	add(picture, "\n");
}

static void add_upper(char *text, size_t size, const char *name)
{
	size_t used = strlen(text);

	for (; *name && used + 1 < size; name++)
		text[used++] = (char)toupper((unsigned char)*name);
	text[used] = '\0';
}

static void describe(char *text, size_t size, enum flow_state state, enum flow_event event)
{
	struct flow flow = { .state = (uint8_t)state };
	enum flow_wish wish;

	if (!flow_can(state, event)) {
		(void)snprintf(text, size, "-");
		return;
	}
	wish = flow_step(&flow, event);
	(void)snprintf(text, size, "%s%s", states[flow.state], wish == FLOW_NO_WISH ? "" : ", ");
	add_upper(text, size, flow_wish_name(wish));
}

static void draw(char picture[PICTURE_MAX])
{
	static const int widths[FLOW_EVENTS] = { 20, 15, 19, 0 };
	char text[64];

	picture[0] = '\0';
	add_padded(picture, " *", 16);
	for (enum flow_event event = 0; event < FLOW_EVENTS; event++) {
		text[0] = '\0';
		add_upper(text, sizeof(text), flow_event_name(event));
		add_padded(picture, text, widths[event]);
	}
	end_line(picture);
	for (enum flow_state state = 0; state < FLOW_STATES; state++) {
		add(picture, " *   ");
		add_padded(picture, states[state], 11);
		for (enum flow_event event = 0; event < FLOW_EVENTS; event++) {
			describe(text, sizeof(text), state, event);
			add_padded(picture, text, widths[event]);
		}
		end_line(picture);
	}
}

static void test_each_cell(void **state)
{
	(void)state;
	for (size_t i = 0; i < CELLS; i++) {
		const struct cell *cell = &cells[i];
		struct flow flow = { .progressed = moment_of(1),
				     .ended = moment_of(2),
				     .bytes = 3,
				     .held = 4,
				     .state = (uint8_t)cell->state };

		assert_true(flow_can(cell->state, cell->event));
		assert_int_equal(flow_next(cell->state, cell->event), cell->next);
		assert_int_equal(flow_step(&flow, cell->event), cell->wish);
		assert_int_equal(flow.state, cell->next);
		assert_int_equal(moment_us(flow.progressed), 1);
		assert_int_equal(moment_us(flow.ended), 2);
		assert_int_equal(flow.bytes, 3);
		assert_int_equal(flow.held, 4);
	}
}

static void test_no_other_cell(void **state)
{
	size_t possible = 0;

	(void)state;
	for (enum flow_state from = 0; from < FLOW_STATES; from++)
		for (enum flow_event event = 0; event < FLOW_EVENTS; event++)
			possible += flow_can(from, event);
	assert_int_equal(possible, CELLS);
}

static void test_ended_and_over(void **state)
{
	static const struct {
		bool has_ended, is_over;
	} rows[FLOW_STATES] = {
		[FLOW_OPEN] = { false, false },   [FLOW_DRAINING] = { true, false },
		[FLOW_FINISHED] = { true, true }, [FLOW_BREAKING] = { true, false },
		[FLOW_BROKEN] = { true, true },
	};

	(void)state;
	for (enum flow_state at = 0; at < FLOW_STATES; at++) {
		struct flow flow = { .state = (uint8_t)at };

		assert_int_equal(flow_has_ended(&flow), rows[at].has_ended);
		assert_int_equal(flow_is_over(&flow), rows[at].is_over);
	}
}

/* What happened on the way to a state. */
struct past {
	bool has_ended, is_cut_first, is_sink_lost;
	unsigned fins;
};

static void explore(struct flow flow, struct past past, int depth)
{
	assert_true(past.fins <= 1);
	assert_false(past.fins > 0 && (past.is_cut_first || !past.has_ended));
	assert_false(flow.state == FLOW_FINISHED && past.fins == 0);
	for (enum flow_event event = 0; depth > 0 && event < FLOW_EVENTS; event++) {
		struct flow next = flow;
		struct past then = past;
		enum flow_wish wish;

		if (!flow_can((enum flow_state)flow.state, event))
			continue;
		wish = flow_step(&next, event);
		then.fins += wish == FLOW_SEND_FIN;
		then.has_ended = past.has_ended || event == FLOW_SOURCE_ENDED;
		then.is_cut_first =
			past.is_cut_first || (event == FLOW_SOURCE_CUT && !past.has_ended);
		then.is_sink_lost = past.is_sink_lost || event == FLOW_SINK_LOST;
		assert_false(wish == FLOW_SEND_FIN && past.is_sink_lost);
		assert_false(flow_is_over(&flow) && next.state != flow.state);
		assert_false(flow_has_ended(&flow) && !flow_has_ended(&next));
		explore(next, then, depth - 1);
	}
}

static void test_every_order_of_events(void **state)
{
	(void)state;
	explore((struct flow){ .state = FLOW_OPEN }, (struct past){ 0 }, DEPTH);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(flow_state_name(FLOW_OPEN), "open");
	assert_string_equal(flow_state_name(FLOW_DRAINING), "draining");
	assert_string_equal(flow_state_name(FLOW_FINISHED), "finished");
	assert_string_equal(flow_state_name(FLOW_BREAKING), "draining");
	assert_string_equal(flow_state_name(FLOW_BROKEN), "broken");
	assert_string_equal(flow_event_name(FLOW_SOURCE_ENDED), "source_ended");
	assert_string_equal(flow_event_name(FLOW_SOURCE_CUT), "source_cut");
	assert_string_equal(flow_event_name(FLOW_SINK_LOST), "sink_lost");
	assert_string_equal(flow_event_name(FLOW_EMPTIED), "emptied");
	assert_string_equal(flow_wish_name(FLOW_SEND_FIN), "send_fin");
	assert_string_equal(flow_wish_name(FLOW_DISCARD), "discard");
}

#ifdef FINBACK_SOURCE_DIR
static void test_the_picture_in_the_header(void **state)
{
	static char header[HEADER_MAX];
	char picture[PICTURE_MAX];
	FILE *file = fopen(FINBACK_SOURCE_DIR "/include/finback/engine/flow.h", "re");
	size_t length;

	(void)state;
	assert_non_null(file);
	length = fread(header, 1, sizeof(header) - 1, file);
	header[length] = '\0';
	assert_int_equal(fclose(file), 0);
	draw(picture);
	if (!strstr(header, picture))
		fail_msg("flow.h shows another table than\n%s", picture);
}
#else
static void test_the_picture_in_the_header(void **state)
{
	(void)state;
	print_message("FINBACK_SOURCE_DIR is not defined: the picture in flow.h is not compared\n");
	skip();
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cell),
		cmocka_unit_test(test_no_other_cell),
		cmocka_unit_test(test_ended_and_over),
		cmocka_unit_test(test_every_order_of_events),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_the_picture_in_the_header),
	};
	char picture[PICTURE_MAX];

	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		draw(picture);
		return fputs(picture, stdout) < 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
