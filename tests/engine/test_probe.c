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

static void answered(struct talk *talk)
{
	begin(talk, &settings, SERVER);
	ANSWERS(talk, "answer\n");
}

static void test_none_after_an_end(void **state)
{
	(void)state;
	check_not_after_an_end(answered);
}

/* A byte of the other side that does not fit: all of it is passed on at once, the answer that is on
 * its way is taken out, and it was the last. */
static void test_late_answer_after_what_does_not_fit(void **state)
{
	struct talk talk;

	(void)state;
	for (size_t cut = 0; cut <= 7; cut++) {
		begin(&talk, &settings, SERVER);
		talk_read(&talk, SERVER, settings.expect, cut / 2);
		SAYS(&talk, CLIENT, "STARTTLS\r\n");
		talk_read(&talk, SERVER, settings.expect + cut / 2, cut - cut / 2);
		SAYS(&talk, CLIENT, "\x16\x03\x01 answer\n");
		assert_int_equal(talk.received[SERVER].size, talk.sent[CLIENT].size);
		assert_int_equal(probe_is_done(&talk.probe), cut == 7);
		talk_read(&talk, SERVER, settings.expect + cut, 7 - cut);
		assert_int_equal(talk.swallowed, 7);
		assert_true(probe_is_done(&talk.probe));
		SAYS(&talk, SERVER, "answer\n");
		assert_int_equal(talk.swallowed, 7);
		talk_is_whole(&talk);
	}
}

/* And where it is none: the same as ever. */
static void test_no_answer_after_what_does_not_fit(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, "\0");
	SAYS(&talk, SERVER, "ans");
	SAYS(&talk, SERVER, "!er\n");
	assert_true(probe_is_done(&talk.probe));
	talk_is_whole(&talk);

	begin(&talk, &settings, SERVER);
	SAYS(&talk, CLIENT, "\0");
	SAYS(&talk, SERVER, "ans");
	talk_ends(&talk, SERVER);
	assert_true(probe_is_done(&talk.probe));
	talk_is_whole(&talk);
}

/* Nothing of it was written: the next one is as good as the first. */
static void test_probe_that_is_taken_back(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	probe_cancel(&talk.probe);
	assert_true(talk_may(&talk));
	SAYS(&talk, SERVER, "answer\n");
	PROBES(&talk, "?\n");
	ANSWERS(&talk, "answer\n");
	assert_int_equal(talk.swallowed, 7);
	talk_is_whole(&talk);
}

/* It is so only when nothing is held, and it stays so. */
static void test_done_when_off(void **state)
{
	struct talk talk;

	(void)state;
	begin(&talk, &settings, SERVER);
	assert_false(probe_is_done(&talk.probe));
	talk_ends(&talk, CLIENT);
	assert_false(probe_is_done(&talk.probe));
	ANSWERS(&talk, "answer\n");
	assert_true(probe_is_done(&talk.probe));
	assert_int_equal(talk.probe.held_size, 0);
	answered(&talk);
	talk_ends(&talk, CLIENT);
	assert_true(probe_is_done(&talk.probe));
}

static void test_every_mode_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(probe_mode_name(PROBE_WATCHING), "watching");
	assert_string_equal(probe_mode_name(PROBE_AWAITING), "awaiting");
	assert_string_equal(probe_mode_name(PROBE_OFF), "off");
}

/* One for each session of a listener that has probes. */
static void test_a_probe_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct probe) <= 176);
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
		cmocka_unit_test(test_late_answer_after_what_does_not_fit),
		cmocka_unit_test(test_no_answer_after_what_does_not_fit),
		cmocka_unit_test(test_probe_that_is_taken_back),
		cmocka_unit_test(test_done_when_off),
		cmocka_unit_test(test_every_mode_has_a_name),
		cmocka_unit_test(test_a_probe_is_small),
		cmocka_unit_test(test_unasked_answer_is_passed_on),
		cmocka_unit_test(test_every_protocol_has_a_name_and_a_target),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
