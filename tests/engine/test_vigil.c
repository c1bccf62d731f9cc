/*
 * engine/vigil: who is dead and who is slow; and, with a simulated kernel that sends again and asks
 * for the window as Linux does, how soon a relay that wakes when deadline_next() says so finds a
 * peer that vanished, and how often it looks.
 */
#include <finback/engine/deadline.h>
#include <finback/engine/session.h>
#include <finback/engine/vigil.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define MS_US     INT64_C(1000)
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define START_US  (100 * HOUR_US)
#define D_US      (2 * MINUTE_US)
#define LOOKS_MAX 100000

/* ---- the judgement ------------------------------------------------------------------------- */

static void dead_is_who_is_silent_and_does_not_answer(void **state)
{
	static const struct {
		int64_t silent_us;
		unsigned unanswered;
		bool is_dead;
	} cases[] = {
		{ D_US, 3, true },      { D_US - 1, 3, false },  { D_US - 1, 200, false },
		{ D_US, 2, false },     { 10 * D_US, 2, false }, { 10 * D_US, 0, false },
		{ 10 * D_US, 3, true }, { 0, 3, false },         { 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct vitals vitals = { cases[i].silent_us, cases[i].unanswered };

		if (vigil_is_dead(&vitals, D_US) != cases[i].is_dead)
			fail_msg("case %zu", i);
	}
}

/* How long after a judgement at any time the next one is due. */
static int64_t distance_us(const struct vitals *vitals, int64_t now_us)
{
	struct session session = { 0 };

	session.legs[SERVER].is_judged = true;
	session.legs[SERVER].looked = moment_of(now_us);
	session.legs[SERVER].vigil = vigil_next(vitals, D_US, now_us);
	return vigil_due_us(&session, SERVER, D_US) - now_us;
}

static void the_next_judgement_is_when_silence_could_be_long_enough(void **state)
{
	const int64_t part_us = D_US / VIGIL_PARTS;

	(void)state;
	for (int64_t silent_us = 0; silent_us < 3 * D_US; silent_us += SECOND_US / 3) {
		const struct vitals vitals = { silent_us, 1 };
		int64_t next_us = distance_us(&vitals, START_US + silent_us * 7);

		assert_in_range(next_us, 1, D_US / 4 + part_us);
		if (silent_us >= D_US)
			assert_true(next_us <= D_US / 16 + part_us);
		else if (D_US - silent_us < D_US / 4)
			assert_in_range(silent_us + next_us, D_US, D_US + part_us);
	}
}

static void who_was_never_asked_is_not_looked_at_more_often(void **state)
{
	const struct vitals vitals = { 100 * D_US, 0 };

	(void)state;
	assert_in_range(distance_us(&vitals, START_US + 1), D_US / 4,
			D_US / 4 + D_US / VIGIL_PARTS);
}

/* ---- a relay, a kernel and a peer -------------------------------------------------------------
 */

struct world {
	struct session session;
	struct policy policy;
	int64_t now_us;
	int64_t first_us;    /* something is unacknowledged since then */
	int64_t vanished_us; /* the peer answers nothing from then on; 0: it lives */
	int64_t answered_us; /* what it last answered, before anything was unacknowledged */
	int64_t rto_us;      /* the first distance between two tries of the kernel */
	int64_t rto_max_us;
	unsigned looks;
	unsigned judgements;
	bool is_dead;
};

static void give(struct world *world, struct fact fact)
{
	(void)session_step(&world->session, &fact, world->now_us);
	(void)session_take_wishes(&world->session);
}

static void world_init(struct world *world, int64_t dead_after_us)
{
	*world = (struct world){
		.now_us = START_US,
		.rto_us = 200 * MS_US,
		.rto_max_us = dead_after_us / 11 > SECOND_US ? dead_after_us / 11 : SECOND_US,
		.policy.dead_after_us = { dead_after_us, dead_after_us },
	};
	session_init(&world->session, 1, START_US);
	session_attempt(&world->session, 1, START_US);
	give(world, (struct fact){ .event = SESSION_CONNECTED });
}

static void send_to_server(struct world *world, uint32_t count)
{
	give(world, (struct fact){ .event = SESSION_READ, .side = CLIENT, .count = count });
	give(world, (struct fact){ .event = SESSION_WROTE, .side = CLIENT, .count = count });
}

/* The kernel tries again and again, with distances that double. A living peer answers each. */
static struct vitals vitals_of(const struct world *world)
{
	int64_t heard_us = world->answered_us;
	int64_t at_us = world->first_us;
	int64_t distance_us = world->rto_us;
	unsigned unanswered = 0;

	while (at_us + distance_us <= world->now_us) {
		at_us += distance_us;
		distance_us =
			2 * distance_us < world->rto_max_us ? 2 * distance_us : world->rto_max_us;
		if (world->vanished_us == 0 || at_us < world->vanished_us) {
			heard_us = at_us;
			unanswered = 0;
		} else {
			unanswered++;
		}
	}
	return (struct vitals){ world->now_us - heard_us, unanswered };
}

/* As relay_vigil.c does it. */
static void look(struct world *world, uint32_t unacked)
{
	int64_t dead_after_us = world->policy.dead_after_us[SERVER];
	struct fact fact = { .event = SESSION_ACKED, .side = SERVER, .count = unacked };

	world->looks++;
	if (unacked > 0 && world->now_us >= vigil_due_us(&world->session, SERVER, dead_after_us)) {
		struct vitals vitals = vitals_of(world);

		world->judgements++;
		world->is_dead = vigil_is_dead(&vitals, dead_after_us);
		fact.is_judged = true;
		fact.vigil = vigil_next(&vitals, dead_after_us, world->now_us);
	}
	give(world, fact);
}

/* Wakes as told until the peer is found dead or the time has come. */
static void run_until(struct world *world, int64_t end_us, uint32_t unacked)
{
	while (!world->is_dead) {
		struct deadline_at next = deadline_next(&world->session, &world->policy);

		if (next.deadline == DEADLINE_NONE || next.at_us > end_us)
			break;
		assert_int_equal(next.deadline, DEADLINE_LOOK);
		if (next.at_us > world->now_us)
			world->now_us = next.at_us;
		look(world, unacked);
		assert_true(world->looks < LOOKS_MAX);
	}
	if (!world->is_dead)
		world->now_us = end_us;
}

/* The third unanswered try after it vanished. */
static int64_t third_try_us(struct world world)
{
	world.now_us = world.vanished_us;
	while (vitals_of(&world).unanswered < VIGIL_UNANSWERED)
		world.now_us += MS_US;
	return world.now_us;
}

/* It was silent for so long when the first byte went out that it never acknowledged; for not much
 * less than dead_after only where keepalive is late. */
static void expect_found(int64_t dead_after_us, int64_t silent_us)
{
	int64_t tried_us;
	int64_t least_us;
	struct world world;

	world_init(&world, dead_after_us);
	world.answered_us = world.vanished_us = world.now_us - silent_us;
	world.session.flows[SERVER].progressed = moment_of(world.now_us - silent_us);
	world.first_us = world.now_us;
	send_to_server(&world, 10);
	run_until(&world, START_US + 10 * dead_after_us, 10);
	assert_true(world.is_dead);
	least_us = world.answered_us + dead_after_us;
	world.vanished_us = world.first_us;
	tried_us = third_try_us(world);
	if (tried_us > least_us)
		least_us = tried_us;
	if (world.now_us < least_us ||
	    world.now_us >
		    least_us + dead_after_us / (silent_us < dead_after_us / 16 * 15 ? 15 : 4))
		fail_msg("dead_after %lld s, silent for %lld ms before: found %lld ms after it "
			 "could be",
			 (long long)(dead_after_us / SECOND_US), (long long)(silent_us / MS_US),
			 (long long)((world.now_us - least_us) / MS_US));
}

static void a_peer_that_vanished_is_found_in_time(void **state)
{
	static const int64_t durations_s[] = { 3, 4, 5, 10, 30, 60, 120, 600, 3600, 86400 };

	(void)state;
	for (size_t i = 0; i < sizeof durations_s / sizeof *durations_s; i++)
		for (int64_t part = 0; part < 40; part++)
			expect_found(durations_s[i] * SECOND_US,
				     durations_s[i] * SECOND_US / 30 * part);
}

static void so_is_one_that_had_left_its_window_shut_for_long(void **state)
{
	struct world world;

	(void)state;
	for (int64_t later_s = 0; later_s < 60; later_s++) {
		world_init(&world, D_US);
		world.answered_us = world.first_us = world.now_us;
		world.vanished_us = world.now_us + 10 * MINUTE_US + later_s * SECOND_US;
		send_to_server(&world, 10);
		run_until(&world, world.vanished_us + 10 * D_US, 10);
		assert_true(world.is_dead);
		assert_in_range(world.now_us, world.vanished_us + D_US - world.rto_max_us,
				world.vanished_us + D_US + world.rto_max_us);
	}
}

static void a_reader_that_answers_is_never_dead(void **state)
{
	static const int64_t rto_max_s[] = { 1, 15, 120 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world world;

		world_init(&world, 10 * SECOND_US);
		world.rto_max_us = rto_max_s[i] * SECOND_US;
		world.answered_us = world.first_us = world.now_us;
		send_to_server(&world, 10);
		run_until(&world, START_US + HOUR_US, 10);
		assert_false(world.is_dead);
		/* A quarter of dead_after apart, but for the silence between two answers. */
		assert_true(world.looks <= HOUR_US / (10 * SECOND_US / 4) * (i == 0 ? 1 : 2));
	}
}

static void a_session_that_moves_is_looked_at_four_times_in_dead_after(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, D_US);
	for (int64_t second = 0; second < 3600; second++) {
		world.answered_us = world.first_us = world.now_us;
		send_to_server(&world, 10);
		give(&world, (struct fact){ .event = SESSION_READ, .side = SERVER, .count = 1 });
		give(&world, (struct fact){ .event = SESSION_WROTE, .side = SERVER, .count = 1 });
		give(&world, (struct fact){ .event = SESSION_ACKED, .side = CLIENT });
		run_until(&world, world.now_us + SECOND_US, 0);
	}
	assert_false(world.is_dead);
	assert_int_equal(world.judgements, 0);
	assert_true(world.looks <= HOUR_US / (D_US / 4));
}

static void an_idle_session_is_not_looked_at(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, D_US);
	send_to_server(&world, 10);
	world.first_us = world.answered_us = world.now_us;
	run_until(&world, START_US + HOUR_US, 0);
	assert_int_equal(world.looks, 1);
}

static void unix_sockets_are_not_looked_at(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, D_US);
	world.session.legs[SERVER].is_unix = true;
	send_to_server(&world, 10);
	assert_int_equal(deadline_next(&world.session, &world.policy).deadline, DEADLINE_NONE);
}

static void looks_for_other_deadlines_do_not_put_it_off(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, D_US);
	world.policy.timeouts_us[DEADLINE_IDLE] = HOUR_US;
	world.policy.timeouts_us[DEADLINE_STALL] = 30 * MINUTE_US;
	world.vanished_us = world.answered_us = world.first_us = world.now_us;
	send_to_server(&world, 10);
	while (!world.is_dead && world.looks < LOOKS_MAX) {
		world.now_us += 500 * MS_US; /* more often than any part of dead_after */
		look(&world, 10);
	}
	assert_in_range(world.now_us, START_US + D_US, START_US + D_US + D_US / 60);
}

static void a_look_that_comes_early_changes_nothing(void **state)
{
	struct world world;
	int64_t due_us;

	(void)state;
	world_init(&world, D_US);
	world.answered_us = world.first_us = world.now_us;
	send_to_server(&world, 10);
	due_us = vigil_due_us(&world.session, SERVER, D_US);
	assert_int_equal(due_us, START_US + D_US / 4);
	for (; world.now_us < due_us - SECOND_US; world.now_us += SECOND_US / 7) {
		look(&world, 10);
		assert_int_equal(vigil_due_us(&world.session, SERVER, D_US), due_us);
	}
	assert_int_equal(world.judgements, 0);
	world.now_us = due_us;
	look(&world, 10);
	assert_int_equal(world.judgements, 1);
	due_us = vigil_due_us(&world.session, SERVER, D_US);
	for (; world.now_us < due_us - SECOND_US; world.now_us += SECOND_US / 7) {
		look(&world, 10);
		assert_int_equal(vigil_due_us(&world.session, SERVER, D_US), due_us);
	}
	assert_int_equal(world.judgements, 1);
	/* Nor does one that comes late, up to 127 parts. */
	world.session.legs[SERVER].looked = moment_of(due_us + D_US);
	assert_int_equal(vigil_due_us(&world.session, SERVER, D_US), due_us);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_is_who_is_silent_and_does_not_answer),
		cmocka_unit_test(the_next_judgement_is_when_silence_could_be_long_enough),
		cmocka_unit_test(who_was_never_asked_is_not_looked_at_more_often),
		cmocka_unit_test(a_peer_that_vanished_is_found_in_time),
		cmocka_unit_test(so_is_one_that_had_left_its_window_shut_for_long),
		cmocka_unit_test(a_reader_that_answers_is_never_dead),
		cmocka_unit_test(a_session_that_moves_is_looked_at_four_times_in_dead_after),
		cmocka_unit_test(an_idle_session_is_not_looked_at),
		cmocka_unit_test(unix_sockets_are_not_looked_at),
		cmocka_unit_test(looks_for_other_deadlines_do_not_put_it_off),
		cmocka_unit_test(a_look_that_comes_early_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
