/* What is common to all probes: whose bytes are held, taken out and let go of. Shown with lines,
 * whose answer is what the settings say. */
#include <finback/engine/probe.h>

#include "probe_harness.h"

static const struct probe_settings settings = {
	.protocol = PROBE_LINES,
	.send = "?\n",
	.send_size = 2,
	.expect = "answer\n",
	.expect_size = 7,
};

/* An answer of the greatest size. */
static const struct probe_settings longest = {
	.protocol = PROBE_LINES,
	.send = "0123456789012345678901234567890123456789012345678901234567890123",
	.send_size = PROBE_MESSAGE_MAX,
	.expect = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.\n",
	.expect_size = PROBE_MESSAGE_MAX,
};

/* A probe is out. */
static void begin(struct talk *talk, const struct probe_settings *with, enum side target)
{
	unsigned char message[PROBE_MESSAGE_MAX];

	talk_start(talk, with, target);
	SAYS(talk, other(target), "a\n");
	talk_says(talk, target, "b\n", 2);
	assert_true(talk_may(talk));
	assert_int_equal(talk_probe(talk, message), with->send_size);
	assert_memory_equal(message, with->send, with->send_size);
	assert_false(talk_may(talk));
}

static void test_answer_is_taken_out(void **state)
{
	struct talk talk;

	(void)state;
	for (enum side target = CLIENT; target < SIDES; target++) {
		begin(&talk, &settings, target);
		ANSWERS(&talk, "answer\n");
		assert_int_equal(talk.swallowed, 7);
		assert_true(talk_may(&talk));
		talk_is_whole(&talk);
	}
}

static void test_answer_in_two_pieces(void **state)
{
	struct talk talk;

	(void)state;
	for (size_t cut = 0; cut <= PROBE_MESSAGE_MAX; cut++) {
		begin(&talk, &longest, SERVER);
		talk_read(&talk, SERVER, longest.expect, cut);
		talk_read(&talk, SERVER, longest.expect + cut, PROBE_MESSAGE_MAX - cut);
		assert_int_equal(talk.swallowed, PROBE_MESSAGE_MAX);
		assert_true(talk_may(&talk));
		talk_is_whole(&talk);
	}
}

/* What was held comes first, whole, however much of it there was. */
static void test_what_turns_out_to_be_none_is_let_go_of(void **state)
{
	struct talk talk;

	(void)state;
	for (size_t held = 0; held < PROBE_MESSAGE_MAX; held++) {
		begin(&talk, &longest, SERVER);
		for (size_t i = 0; i < held; i++)
			talk_says(&talk, SERVER, longest.expect + i, 1);
		assert_int_equal(talk.probe.held_size, held);
		SAYS(&talk, SERVER, "!");
		assert_true(talk_is_off(&talk));
		assert_int_equal(talk.probe.held_size, 0);
		talk_is_whole(&talk);
	}
}

/* The answer, and in the same read what is none. */
static void test_bytes_after_the_answer(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	pile_put(&talk.sent[SERVER], "answer\nand more", 15);
	ANSWERS(&talk, "answer\nanswer\nand more");
	assert_int_equal(talk.swallowed, 7);
	assert_false(talk_may(&talk));
	talk_is_whole(&talk);
}

/* While an answer is held, the other side's bytes are not taken for its rest. */
static void test_other_side_speaks_in_the_middle_of_the_answer(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	ANSWERS(&talk, "ans");
	SAYS(&talk, CLIENT, "wer\n");
	assert_int_equal(talk.probe.held_size, 3);
	ANSWERS(&talk, "wer\n");
	assert_int_equal(talk.swallowed, 7);
	talk_is_whole(&talk);
}

/* Before the end of file, and once. */
static void test_target_ends_in_the_middle_of_the_answer(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	SAYS(&talk, SERVER, "ans");
	talk_ends(&talk, SERVER);
	talk_is_whole(&talk);
	assert_true(talk_is_off(&talk));
	talk_ends(&talk, SERVER);
	talk_ends(&talk, CLIENT);
	SAYS(&talk, CLIENT, "c\n");
	talk_is_whole(&talk);
}

/* The answer that is on its way is not the client's, though the client is done. */
static void test_other_side_ends_before_the_answer(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	talk_ends(&talk, CLIENT);
	ANSWERS(&talk, "answer\n");
	assert_int_equal(talk.swallowed, 7);
	SAYS(&talk, SERVER, "answer\n");
	assert_false(talk_may(&talk));
	talk_is_whole(&talk);
}

static void test_none_after_an_end(void **state)
{
	struct talk talk;

	(void)state;
	for (enum side side = CLIENT; side < SIDES; side++) {
		begin(&talk, &settings, SERVER);
		ANSWERS(&talk, "answer\n");
		assert_true(talk_may(&talk));
		talk_ends(&talk, side);
		assert_false(talk_may(&talk));
	}
}

/* An answer that nobody asked for is data. */
static void test_unasked_answer_is_passed_on(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	ANSWERS(&talk, "answer\n");
	SAYS(&talk, SERVER, "answer\n");
	SAYS(&talk, CLIENT, "answer\n");
	assert_int_equal(talk.swallowed, 7);
	talk_is_whole(&talk);
}

static void test_every_protocol_has_a_name_and_a_target(void **state)
{
	(void)state;
	for (int i = 0; i < PROBE_PROTOCOLS; i++) {
		enum probe_protocol protocol = (enum probe_protocol)i;

		assert_non_null(probe_protocol_name(protocol));
		assert_true(probe_protocol_goes_to(protocol, CLIENT) ||
			    probe_protocol_goes_to(protocol, SERVER));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(probe_protocol_name((enum probe_protocol)j),
						probe_protocol_name(protocol));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_is_taken_out),
		cmocka_unit_test(test_answer_in_two_pieces),
		cmocka_unit_test(test_what_turns_out_to_be_none_is_let_go_of),
		cmocka_unit_test(test_bytes_after_the_answer),
		cmocka_unit_test(test_other_side_speaks_in_the_middle_of_the_answer),
		cmocka_unit_test(test_target_ends_in_the_middle_of_the_answer),
		cmocka_unit_test(test_other_side_ends_before_the_answer),
		cmocka_unit_test(test_none_after_an_end),
		cmocka_unit_test(test_unasked_answer_is_passed_on),
		cmocka_unit_test(test_every_protocol_has_a_name_and_a_target),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
