/*
 * daemon/roster: against a plain list, over many thousands of sessions that come and go; that a
 * walk misses nothing that was there all the time; and that it neither grows without end nor works
 * without end.
 */
#include <finback/daemon/roster.h>

#include <daemon/relay_private.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/* The roster looks at nothing of a relay but its session's id. Those of all tests, by their id. */
#define RELAYS 20000
static struct relay relays[4 * RELAYS];

static struct relay *relay_of(uint64_t id)
{
	return &relays[id % (4 * (uint64_t)RELAYS)];
}

static void add(struct roster *roster, uint64_t id)
{
	assert_int_equal(roster_reserve(roster), 0);
	relay_of(id)->session.id = id;
	roster_add(roster, relay_of(id));
}

static void leave(struct roster *roster, uint64_t id)
{
	roster_remove(roster, relay_of(id));
	relay_of(id)->session.id = 0; /* its record is another's, or nobody's */
}

/* A walk from the beginning finds `count` sessions in the order of their ids. */
static void expect_walk(const struct roster *roster, size_t count)
{
	uint64_t id = 0;
	size_t found = 0;
	const struct relay *relay;

	do {
		uint64_t before = id;

		relay = roster_next(roster, id, &id);
		if (!relay)
			break;
		assert_true(id > before);
		assert_ptr_equal(relay, relay_of(id));
		found++;
	} while (found <= count);
	assert_int_equal(found, count);
	assert_int_equal(roster->live, count);
}

static void an_empty_one(void **state)
{
	struct roster roster = { 0 };
	uint64_t id = 77;

	(void)state;
	assert_null(roster_find(&roster, 0));
	assert_null(roster_find(&roster, 1));
	assert_null(roster_next(&roster, 0, &id));
	assert_int_equal(id, 77);
	roster_fini(&roster);
	roster_fini(&roster);
}

static void sessions_are_found_by_id(void **state)
{
	struct roster roster = { 0 };
	uint64_t id = 0;

	(void)state;
	for (uint64_t i = 1; i <= 500; i++)
		add(&roster, i * 4 - 1); /* as with four workers */
	for (uint64_t i = 0; i <= 2010; i++)
		assert_ptr_equal(roster_find(&roster, i),
				 i % 4 == 3 && i < 2000 ? relay_of(i) : NULL);
	assert_ptr_equal(roster_next(&roster, 3, &id), relay_of(7));
	assert_int_equal(id, 7);
	assert_ptr_equal(roster_next(&roster, 4, &id), relay_of(7));
	assert_ptr_equal(roster_next(&roster, 1998, &id), relay_of(1999));
	assert_null(roster_next(&roster, 1999, &id));
	assert_null(roster_next(&roster, UINT64_MAX, &id));
	expect_walk(&roster, 500);
	roster_fini(&roster);
}

static void what_is_gone_is_not_found(void **state)
{
	struct roster roster = { 0 };
	uint64_t id = 0;

	(void)state;
	for (uint64_t i = 1; i <= 10; i++)
		add(&roster, i);
	leave(&roster, 5);
	leave(&roster, 6);
	assert_null(roster_find(&roster, 5));
	assert_ptr_equal(roster_next(&roster, 4, &id), relay_of(7));
	assert_int_equal(id, 7);
	/* One that was gone meanwhile is a place to go on from, too. */
	assert_ptr_equal(roster_next(&roster, 5, &id), relay_of(7));
	leave(&roster, 10);
	assert_null(roster_next(&roster, 9, &id));
	leave(&roster, 1);
	expect_walk(&roster, 6);
	roster_fini(&roster);
}

static void ids_go_on_after_all_are_gone(void **state)
{
	struct roster roster = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		add(&roster, i);
		if (i > 3)
			leave(&roster, i - 3);
	}
	expect_walk(&roster, 3);
	for (uint64_t i = 998; i <= 1000; i++)
		leave(&roster, i);
	expect_walk(&roster, 0);
	add(&roster, ROSTER_ID_MAX);
	assert_ptr_equal(roster_find(&roster, ROSTER_ID_MAX), relay_of(ROSTER_ID_MAX));
	expect_walk(&roster, 1);
	roster_fini(&roster);
}

/* ---- many --------------------------------------------------------------------------------------
 */

static uint64_t seed = 11;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* What a roster is to hold: the ids, and which of them are gone. */
struct mirror {
	uint64_t last;
	size_t live;
	bool is_live[4 * RELAYS];
};

static void come(struct roster *roster, struct mirror *mirror)
{
	mirror->last += 1 + any() % 3;
	mirror->is_live[mirror->last] = true;
	mirror->live++;
	add(roster, mirror->last);
}

static void go(struct roster *roster, struct mirror *mirror, uint64_t id)
{
	while (id > 0 && !mirror->is_live[id])
		id--;
	if (id == 0)
		return;
	mirror->is_live[id] = false;
	mirror->live--;
	leave(roster, id);
}

static void compare(const struct roster *roster, const struct mirror *mirror)
{
	expect_walk(roster, mirror->live);
	for (uint64_t id = 0; id <= mirror->last + 1; id++)
		assert_ptr_equal(roster_find(roster, id),
				 mirror->is_live[id] ? relay_of(id) : NULL);
}

/* At most half are gaps, but for a few; and room is given back. */
static void expect_thrifty(const struct roster *roster)
{
	assert_true(roster->used <= 64 || roster->used <= 2 * roster->live + 1);
	assert_true(roster->used <= roster->capacity);
	assert_true(roster->capacity <= 64 || roster->capacity <= 8 * roster->live + 128);
}

static void sessions_come_and_go(void **state)
{
	static struct mirror mirror;
	struct roster roster = { 0 };

	(void)state;
	for (int i = 0; i < RELAYS; i++) {
		/* A crowd gathers, stays a while, and leaves; and again. */
		unsigned percent = i / 2500 % 2 == 0 ? 70 : 30;

		if (any() % 100 < percent)
			come(&roster, &mirror);
		else
			go(&roster, &mirror, 1 + any() % (mirror.last + 1));
		expect_thrifty(&roster);
		if (i % 997 == 0)
			compare(&roster, &mirror);
	}
	compare(&roster, &mirror);
	while (mirror.live > 0)
		go(&roster, &mirror, mirror.last);
	compare(&roster, &mirror);
	assert_true(roster.capacity <= 64);
	roster_fini(&roster);
}

/* In whatever order they leave, so often is not worked on that it would take long. */
static void a_crowd_leaves(void **state)
{
	(void)state;
	for (int order = 0; order < 3; order++) {
		struct roster roster = { 0 };

		for (uint64_t id = 1; id <= RELAYS; id++)
			add(&roster, id);
		for (uint64_t i = 0; i < RELAYS; i++) {
			uint64_t id = order == 0 ? i + 1 : RELAYS - i;

			leave(&roster, order < 2 ? id : i * 7919 % RELAYS + 1);
			expect_thrifty(&roster);
		}
		expect_walk(&roster, 0);
		roster_fini(&roster);
	}
}

/* A list that is read in slices, with any number of changes in between: none of those that were
 * there all the time is left out, and none comes twice. */
static void a_walk_while_sessions_come_and_go(void **state)
{
	static struct mirror mirror;
	static bool is_seen[4 * RELAYS];
	static bool is_old[4 * RELAYS];
	struct roster roster = { 0 };
	uint64_t id = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		come(&roster, &mirror);
	memcpy(is_old, mirror.is_live, sizeof is_old);
	while (roster_next(&roster, id, &id)) {
		assert_false(is_seen[id]);
		is_seen[id] = true;
		for (int i = 0; i < 2; i++) {
			if (mirror.last < 3 * RELAYS)
				come(&roster, &mirror);
			go(&roster, &mirror, 1 + any() % (mirror.last + 1));
			go(&roster, &mirror, id); /* also the one that it stands on */
		}
	}
	for (uint64_t i = 0; i < 4 * (uint64_t)RELAYS; i++)
		if (is_old[i] && mirror.is_live[i])
			assert_true(is_seen[i]);
	roster_fini(&roster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one),
		cmocka_unit_test(sessions_are_found_by_id),
		cmocka_unit_test(what_is_gone_is_not_found),
		cmocka_unit_test(ids_go_on_after_all_are_gone),
		cmocka_unit_test(sessions_come_and_go),
		cmocka_unit_test(a_crowd_leaves),
		cmocka_unit_test(a_walk_while_sessions_come_and_go),
	};

	return cmocka_run_group_tests_name("daemon/roster", tests, NULL, NULL);
}
