/* Balancing: exact shares, smooth order, ties, backups, and servers that were tried. */
#include <finback/engine/balance.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

static const struct balance_tried none_tried;

/* A pool of servers with these weights; the weight of a backup is given as negative. */
static void make_pool(struct balance *pool, enum balance_kind kind, const int *weights,
		      size_t count)
{
	struct balance_server servers[BALANCE_SERVERS_MAX];
	for (size_t i = 0; i < count; i++) {
		servers[i].weight = (uint16_t)abs(weights[i]);
		servers[i].is_backup = weights[i] < 0;
	}
	assert_int_equal(balance_init(pool, kind, servers, count), 0);
}

#define MAKE_POOL(pool, kind, ...)                          \
	make_pool(pool, kind, (const int[]){ __VA_ARGS__ }, \
		  sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static uint64_t random_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 16;
}

static uint64_t random_seed(void)
{
	uint64_t seed = (uint64_t)time(NULL) * 2654435761u | 1;
	print_message("seed %llu\n", (unsigned long long)seed);
	return seed;
}

static void one_server_takes_every_turn(void **state)
{
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_ROUND_ROBIN, 7);
	assert_int_equal(pool.turns, 1);
	for (uint64_t turn = 0; turn < 10; turn++)
		assert_int_equal(balance_pick(&pool, turn, NULL, &none_tried), 0);
	assert_int_equal(balance_pick(&pool, UINT64_MAX, NULL, &none_tried), 0);
	balance_fini(&pool);
}

static void a_pool_without_servers_has_none(void **state)
{
	(void)state;
	struct balance pool;
	assert_int_equal(balance_init(&pool, BALANCE_ROUND_ROBIN, NULL, 0), 0);
	assert_int_equal(balance_pick(&pool, 0, NULL, &none_tried), BALANCE_NONE);
	balance_fini(&pool);
}

static void equal_servers_go_in_turn(void **state)
{
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_ROUND_ROBIN, 5, 5, 5);
	assert_int_equal(pool.turns, 3);
	for (uint64_t turn = 0; turn < 9; turn++)
		assert_int_equal(balance_pick(&pool, turn, NULL, &none_tried), turn % 3);
	balance_fini(&pool);
}

static void shares_are_exact_over_any_cycle(void **state)
{
	static const int weights[] = { 10, 2, 4, 256, 6 };
	static const unsigned reduced[] = { 5, 1, 2, 128, 3 };
	(void)state;
	struct balance pool;
	make_pool(&pool, BALANCE_ROUND_ROBIN, weights, 5);
	assert_int_equal(pool.turns, 139);
	for (uint64_t start = 0; start < 300; start += 37) {
		unsigned counts[5] = { 0 };
		for (uint64_t turn = start; turn < start + pool.turns; turn++)
			counts[balance_pick(&pool, turn, NULL, &none_tried)]++;
		assert_memory_equal(counts, reduced, sizeof(counts));
	}
	balance_fini(&pool);
}

/* The known order for 5, 1, 1: the heavy server never has three turns at a stretch. */
static void heavy_servers_are_spread_out(void **state)
{
	static const int order[] = { 0, 0, 1, 0, 2, 0, 0 };
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_ROUND_ROBIN, 5, 1, 1);
	for (size_t turn = 0; turn < 7; turn++)
		assert_int_equal(balance_pick(&pool, turn, NULL, &none_tried), order[turn]);
	balance_fini(&pool);
}

/* No server waits more than about twice its even distance for its next turn. */
static void check_gaps(const struct balance *pool)
{
	for (size_t server = 0; server < pool->count; server++) {
		uint64_t share = pool->servers[server].weight / pool->unit;
		uint64_t most = 2 * (pool->turns + share - 1) / share;
		uint64_t gap = 0;
		for (uint64_t turn = 0; turn < 2 * pool->turns; turn++) {
			gap++;
			if (balance_pick(pool, turn, NULL, &none_tried) == (int)server)
				gap = 0;
			assert_true(gap <= most);
		}
	}
}

static void random_pools_are_smooth(void **state)
{
	(void)state;
	uint64_t random = random_seed();
	for (int round = 0; round < 40; round++) {
		int weights[8];
		size_t count = 1 + random_next(&random) % 8;
		for (size_t i = 0; i < count; i++)
			weights[i] = (int)(1 + random_next(&random) % 20);
		struct balance pool;
		make_pool(&pool, BALANCE_ROUND_ROBIN, weights, count);
		check_gaps(&pool);
		balance_fini(&pool);
	}
}

static void tried_servers_never_come_back(void **state)
{
	(void)state;
	uint64_t random = random_seed();
	for (int round = 0; round < 400; round++) {
		int weights[20];
		uint32_t loads[20];
		size_t count = 1 + random_next(&random) % 20;
		size_t backups = 0;
		for (size_t i = 0; i < count; i++) {
			weights[i] = (int)(1 + random_next(&random) % 9);
			loads[i] = (uint32_t)(random_next(&random) % 3);
			if (random_next(&random) % 3 == 0) {
				weights[i] = -weights[i];
				backups++;
			}
		}
		struct balance pool;
		struct balance_tried tried = { 0 };
		uint64_t turn = random_next(&random);
		make_pool(&pool, (enum balance_kind)(round % BALANCE_KINDS), weights, count);
		for (size_t i = 0; i < count; i++) {
			int server = balance_pick(&pool, turn, loads, &tried);
			assert_in_range(server, 0, count - 1);
			assert_false(balance_was_tried(&tried, (size_t)server));
			/* Backups come last, all of them. */
			assert_int_equal(weights[server] < 0, i >= count - backups);
			balance_mark_tried(&tried, (size_t)server);
		}
		assert_int_equal(balance_pick(&pool, turn, loads, &tried), BALANCE_NONE);
		balance_fini(&pool);
	}
}

static void a_pool_of_backups_alone_serves(void **state)
{
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_ROUND_ROBIN, -4, -2);
	assert_int_equal(pool.turns, 0);
	assert_int_equal(pool.backup_turns, 3);
	unsigned counts[2] = { 0 };
	for (uint64_t turn = 0; turn < 300; turn++)
		counts[balance_pick(&pool, turn, NULL, &none_tried)]++;
	assert_int_equal(counts[0], 200);
	assert_int_equal(counts[1], 100);
	balance_fini(&pool);
}

/* Backups are as idle as can be, and still not taken. */
static void an_idle_backup_waits_for_its_case(void **state)
{
	static const uint32_t loads[] = { 1000, 0, 1000 };
	(void)state;
	struct balance pool;
	struct balance_tried tried = { 0 };
	MAKE_POOL(&pool, BALANCE_LEAST_SESSIONS, 1, -256, 1);
	for (uint64_t turn = 0; turn < 6; turn++)
		assert_int_not_equal(balance_pick(&pool, turn, loads, &none_tried), 1);
	balance_mark_tried(&tried, 0);
	assert_int_equal(balance_pick(&pool, 0, loads, &tried), 2);
	balance_mark_tried(&tried, 2);
	assert_int_equal(balance_pick(&pool, 0, loads, &tried), 1);
	balance_fini(&pool);
}

/* A dead server's turns are shared out by weight, not left to its neighbour. */
static void turns_of_a_dead_server_are_shared_out(void **state)
{
	(void)state;
	struct balance pool;
	struct balance_tried tried = { 0 };
	unsigned counts[4] = { 0 };
	MAKE_POOL(&pool, BALANCE_ROUND_ROBIN, 2, 1, 1, 2);
	balance_mark_tried(&tried, 0);
	for (uint64_t turn = 0; turn < 6 * 1200; turn++) {
		int server = balance_pick(&pool, turn, NULL, &none_tried);
		if (server == 0)
			counts[balance_pick(&pool, turn, NULL, &tried)]++;
	}
	assert_int_equal(counts[0], 0);
	assert_int_equal(counts[1], 600);
	assert_int_equal(counts[2], 600);
	assert_int_equal(counts[3], 1200);
	balance_fini(&pool);
}

static void the_least_loaded_for_its_weight_is_next(void **state)
{
	static const struct {
		uint32_t loads[3];
		int expected;
	} cases[] = {
		{ { 1, 0, 1 }, 1 },
		{ { 3, 1, 1 }, 0 }, /* 3/4 is under 1/1 */
		{ { 5, 1, 2 }, 1 }, /* 1/1 is under 5/4 and 2/1 */
		{ { 9, 3, 2 }, 2 },
		{ { UINT32_MAX, UINT32_MAX / 4, UINT32_MAX }, 1 },
		{ { UINT32_MAX, UINT32_MAX, UINT32_MAX }, 0 },
		{ { UINT32_MAX, UINT32_MAX / 4 + 1, UINT32_MAX }, 0 },
	};
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_LEAST_SESSIONS, 4, 1, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint64_t turn = 0; turn < 12; turn++)
			assert_int_equal(balance_pick(&pool, turn, cases[i].loads, &none_tried),
					 cases[i].expected);
	balance_fini(&pool);
}

/* The order found by cross multiplication is that of the exact fractions, at the largest values. */
static void loads_compare_without_overflow(void **state)
{
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_LEAST_SESSIONS, 256, 255);
	const uint32_t heavier[] = { UINT32_MAX, UINT32_MAX };
	const uint32_t lighter[] = { UINT32_MAX, UINT32_MAX / 256 * 255 };
	for (uint64_t turn = 0; turn < 4; turn++) {
		assert_int_equal(balance_pick(&pool, turn, heavier, &none_tried), 0);
		assert_int_equal(balance_pick(&pool, turn, lighter, &none_tried), 1);
	}
	balance_fini(&pool);
}

static void ties_go_in_turn(void **state)
{
	static const uint32_t idle[4], busy_one[] = { 0, 1, 0, 1 };
	unsigned counts[4] = { 0 };
	(void)state;
	struct balance pool;
	MAKE_POOL(&pool, BALANCE_LEAST_SESSIONS, 3, 3, 3, 3);
	for (uint64_t turn = 0; turn < 12; turn++)
		assert_int_equal(balance_pick(&pool, turn, idle, &none_tried), turn % 4);
	for (uint64_t turn = 0; turn < 400; turn++)
		counts[balance_pick(&pool, turn, busy_one, &none_tried)]++;
	assert_int_equal(counts[0], 200);
	assert_int_equal(counts[2], 200);
	balance_fini(&pool);
}

/* Sessions that come and stay: the loads end in proportion to the weights. */
static void sessions_that_stay_settle_by_weight(void **state)
{
	(void)state;
	struct balance pool;
	uint32_t loads[3] = { 0 };
	MAKE_POOL(&pool, BALANCE_LEAST_SESSIONS, 5, 2, 1);
	for (uint64_t turn = 0; turn < 800; turn++)
		loads[balance_pick(&pool, turn, loads, &none_tried)]++;
	assert_in_range(loads[0], 499, 501);
	assert_in_range(loads[1], 199, 201);
	assert_in_range(loads[2], 99, 101);
	balance_fini(&pool);
}

static void the_largest_pool_of_equal_weights_is_one_round(void **state)
{
	(void)state;
	struct balance pool;
	struct balance_tried tried = { 0 };
	int weights[BALANCE_SERVERS_MAX];
	for (size_t i = 0; i < BALANCE_SERVERS_MAX; i++)
		weights[i] = BALANCE_WEIGHT_MAX;
	make_pool(&pool, BALANCE_ROUND_ROBIN, weights, BALANCE_SERVERS_MAX);
	assert_int_equal(pool.turns, BALANCE_SERVERS_MAX);
	for (uint64_t turn = 0; turn < BALANCE_SERVERS_MAX; turn++)
		assert_int_equal(balance_pick(&pool, turn, NULL, &none_tried), turn);
	for (size_t i = 0; i < BALANCE_SERVERS_MAX; i++) {
		assert_false(balance_was_tried(&tried, i));
		balance_mark_tried(&tried, i);
	}
	assert_int_equal(balance_pick(&pool, 3, NULL, &tried), BALANCE_NONE);
	balance_fini(&pool);
}

/* Weights without a common divisor: the longest schedule there is. */
static void the_longest_schedule_keeps_exact_shares(void **state)
{
	(void)state;
	struct balance pool;
	int weights[BALANCE_SERVERS_MAX];
	static unsigned counts[BALANCE_SERVERS_MAX];
	for (size_t i = 0; i < BALANCE_SERVERS_MAX; i++)
		weights[i] = i == 0 ? BALANCE_WEIGHT_MAX - 1 : BALANCE_WEIGHT_MAX;
	make_pool(&pool, BALANCE_ROUND_ROBIN, weights, BALANCE_SERVERS_MAX);
	assert_int_equal(pool.turns, BALANCE_SERVERS_MAX * BALANCE_WEIGHT_MAX - 1);
	for (size_t turn = 0; turn < pool.turns; turn++)
		counts[pool.schedule[turn]]++;
	for (size_t i = 0; i < BALANCE_SERVERS_MAX; i++)
		assert_int_equal(counts[i], weights[i]);
	balance_fini(&pool);
}

static void kinds_have_the_words_of_the_configuration(void **state)
{
	(void)state;
	assert_string_equal(balance_kind_name(BALANCE_ROUND_ROBIN), "round_robin");
	assert_string_equal(balance_kind_name(BALANCE_LEAST_SESSIONS), "least_sessions");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_server_takes_every_turn),
		cmocka_unit_test(a_pool_without_servers_has_none),
		cmocka_unit_test(equal_servers_go_in_turn),
		cmocka_unit_test(shares_are_exact_over_any_cycle),
		cmocka_unit_test(heavy_servers_are_spread_out),
		cmocka_unit_test(random_pools_are_smooth),
		cmocka_unit_test(tried_servers_never_come_back),
		cmocka_unit_test(a_pool_of_backups_alone_serves),
		cmocka_unit_test(an_idle_backup_waits_for_its_case),
		cmocka_unit_test(turns_of_a_dead_server_are_shared_out),
		cmocka_unit_test(the_least_loaded_for_its_weight_is_next),
		cmocka_unit_test(loads_compare_without_overflow),
		cmocka_unit_test(ties_go_in_turn),
		cmocka_unit_test(sessions_that_stay_settle_by_weight),
		cmocka_unit_test(the_largest_pool_of_equal_weights_is_one_round),
		cmocka_unit_test(the_longest_schedule_keeps_exact_shares),
		cmocka_unit_test(kinds_have_the_words_of_the_configuration),
	};
	return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
