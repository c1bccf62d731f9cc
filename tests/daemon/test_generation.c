/*
 * daemon/generation: what a reload keeps, by name, and who releases what. AddressSanitizer watches
 * the last reference, ThreadSanitizer the others.
 */
#include <finback/daemon/generation.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define WORKERS 3

static struct registry registry;

static int open_registry(void **state)
{
	(void)state;
	registry_init(&registry, WORKERS);
	return 0;
}

static int close_registry(void **state)
{
	(void)state;
	registry_fini(&registry);
	return 0;
}

static struct config *load(const char *text)
{
	struct config_problems problems;
	struct config *config = NULL;

	if (config_load_text(text, "test", &config, &problems) < 0)
		fail_msg("%s", problems.error_count > 0 ? problems.errors[0] : "no memory");
	config_problems_fini(&problems);
	return config;
}

static struct generation *make(const char *text)
{
	struct generation *generation = generation_create(load(text), &registry);

	assert_non_null(generation);
	return generation;
}

static const char two_listeners[] =
	"pools = ( { name = \"web\"; servers = ( { name = \"one\"; address = \"127.0.0.1:1\"; },"
	"                                        { name = \"two\"; address = \"127.0.0.1:2\"; } ); "
	"},"
	"          { name = \"spare\"; servers = ( \"127.0.0.1:1\" ); } );"
	"listeners = ( { name = \"front\"; listen = \"127.0.0.1:0\"; pool = \"web\"; },"
	"              { name = \"back\"; listen = \"127.0.0.1:0\"; pool = \"spare\"; } );";

/* The same names in another order and with other settings; one server gone, one new. */
static const char reordered[] =
	"log = { every = \"7s\"; };"
	"pools = ( { name = \"spare\"; servers = ( \"127.0.0.1:1\" ); },"
	"          { name = \"web\"; balance = \"least_sessions\";"
	"            servers = ( { name = \"three\"; address = \"127.0.0.1:3\"; },"
	"                        { name = \"one\"; address = \"127.0.0.1:9\"; weight = 7; } ); } );"
	"listeners = ( { name = \"back\"; listen = \"127.0.0.1:0\"; pool = \"web\"; },"
	"              { name = \"front\"; listen = \"127.0.0.1:0\"; pool = \"web\"; },"
	"              { name = \"new\"; listen = \"127.0.0.1:0\"; pool = \"spare\"; } );";

static const char nothing_in_common[] = "listeners = ( { name = \"other\"; listen = "
					"\"127.0.0.1:0\"; servers = \"127.0.0.1:1\"; } );";

static void routes_follow_the_configuration(void **state)
{
	struct generation *generation = make(two_listeners);
	const struct config *config = generation->config;

	(void)state;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct route *route = &generation->routes[i];

		assert_ptr_equal(route->generation, generation);
		assert_ptr_equal(route->listener, &config->listeners[i]);
		assert_ptr_equal(route->pool, &generation->pools[i]);
		assert_ptr_equal(route->pool->config, config->listeners[i].pool);
		assert_string_equal(route->tally->name, config->listeners[i].name);
		assert_int_equal(route->tally->workers, WORKERS);
	}
	assert_ptr_not_equal(generation->routes[0].tally, generation->routes[1].tally);
	assert_ptr_not_equal(generation->pools[0].turn, generation->pools[1].turn);
	generation_unref(generation);
}

/* Each worker has a lane of its own on each route. */
static void lanes_lead_to_what_is_the_workers(void **state)
{
	struct generation *generation = make(two_listeners);
	struct generation *next = make(reordered);

	(void)state;
	for (size_t i = 0; i < 2 * WORKERS; i++) {
		const struct route *route = &generation->routes[i / WORKERS];
		const struct lane *lane = &route->lanes[i % WORKERS];

		assert_ptr_equal(lane->route, route);
		assert_ptr_equal(lane->policy, &route->listener->policy);
		assert_ptr_equal(lane->counters, &route->tally->workers_counters[i % WORKERS]);
		assert_ptr_equal(lane->half_closed,
				 &route->tally->workers_half_closed[i % WORKERS]);
		assert_true(lane->log_every_us == 0);
		assert_null(lane->relays);
	}
	/* After a reload: the settings are others, the counters are not. */
	assert_true(next->routes[2].lanes[2].log_every_us == 7000000);
	assert_ptr_equal(next->routes[0].lanes[1].policy, &next->config->listeners[0].policy);
	assert_ptr_equal(next->routes[0].lanes[1].counters,
			 generation->routes[1].lanes[1].counters);
	assert_ptr_not_equal(next->routes[0].lanes[1].counters, next->routes[2].lanes[1].counters);
	generation_unref(generation);
	generation_unref(next);
}

static void a_listeners_own_servers_are_a_pool(void **state)
{
	struct generation *generation = make(nothing_in_common);

	(void)state;
	assert_int_equal(generation->config->pool_count, 1);
	assert_string_equal(generation->routes[0].pool->config->name, "other");
	assert_non_null(generation->routes[0].pool->loads[0]);
	generation_unref(generation);
}

/* Two servers of one name are two when their pools are. */
static void servers_are_known_by_pool_and_name(void **state)
{
	static const char text[] =
		"pools = ( { name = \"a\"; servers = ( \"127.0.0.1:1\", \"127.0.0.1:2\" ); },"
		"          { name = \"b\"; servers = ( \"127.0.0.1:1\" ); } );"
		"listeners = ( { name = \"x\"; listen = \"127.0.0.1:0\"; pool = \"a\"; },"
		"              { name = \"y\"; listen = \"127.0.0.1:0\"; pool = \"b\"; } );";
	struct generation *generation = make(text);

	(void)state;
	assert_ptr_not_equal(generation->pools[0].loads[0], generation->pools[0].loads[1]);
	assert_ptr_not_equal(generation->pools[0].loads[0], generation->pools[1].loads[0]);
	generation_unref(generation);
}

/* ---- what a reload keeps ----------------------------------------------------------------------
 */

static uint64_t accepted(const struct route *route)
{
	struct counters_sum sum = { .values = { [COUNTER_ACCEPTED] = 999 } };

	tally_sum(route->tally, &sum);
	return sum.values[COUNTER_ACCEPTED];
}

static void use(struct generation *generation)
{
	struct route *front = &generation->routes[0];

	for (unsigned i = 0; i < WORKERS; i++)
		for (unsigned sessions = 0; sessions <= i; sessions++)
			counters_accept(&front->tally->workers_counters[i], STATE_OPEN);
	counters_observe(&front->tally->workers_counters[1], HISTOGRAM_CONNECT, 70);
	atomic_store(&front->tally->active, 4);
	atomic_store(front->pool->turn, 17);
	atomic_store(&front->pool->loads[0]->sessions, 3);
	atomic_store(&front->pool->loads[1]->sessions, 1);
}

static void a_reload_keeps_what_has_a_name(void **state)
{
	struct generation *old = make(two_listeners);
	struct generation *next;
	struct counters_sum sum;

	(void)state;
	use(old);
	next = make(reordered);
	/* "front" is the second listener now, "web" the second pool, "one" its second server. */
	assert_ptr_equal(next->routes[1].tally, old->routes[0].tally);
	assert_ptr_equal(next->routes[0].tally, old->routes[1].tally);
	assert_int_equal(accepted(&next->routes[1]), 6);
	assert_int_equal(accepted(&next->routes[0]), 0);
	assert_int_equal(accepted(&next->routes[2]), 0);
	tally_sum(next->routes[1].tally, &sum);
	assert_int_equal(sum.sums_us[HISTOGRAM_CONNECT], 70);
	assert_int_equal(sum.active[STATE_OPEN], 6);
	assert_int_equal(atomic_load(&next->routes[1].tally->active), 4);
	assert_int_equal(atomic_load(&next->routes[2].tally->active), 0);
	assert_int_equal(atomic_load(next->pools[1].turn), 17);
	assert_int_equal(atomic_load(next->pools[0].turn), 0);
	assert_ptr_equal(next->pools[1].loads[1], old->pools[0].loads[0]);
	assert_int_equal(atomic_load(&next->pools[1].loads[1]->sessions), 3);
	assert_int_equal(atomic_load(&next->pools[1].loads[0]->sessions), 0);
	generation_unref(old);
	/* A session of the old one ends. */
	atomic_fetch_sub(&next->pools[1].loads[1]->sessions, 1);
	assert_int_equal(accepted(&next->routes[1]), 6);
	generation_unref(next);
}

static void what_was_left_out_is_remembered(void **state)
{
	struct generation *generation = make(two_listeners);

	(void)state;
	use(generation);
	generation_unref(generation);
	generation_unref(make(nothing_in_common));
	generation = make(two_listeners);
	assert_int_equal(accepted(&generation->routes[0]), 6);
	assert_int_equal(atomic_load(generation->pools[0].turn), 17);
	assert_int_equal(atomic_load(&generation->pools[0].loads[0]->sessions), 3);
	assert_int_equal(atomic_load(&generation->pools[0].loads[1]->sessions), 1);
	generation_unref(generation);
}

static void many_reloads_take_no_more_memory(void **state)
{
	size_t tallies = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		generation_unref(make(i % 2 == 0 ? two_listeners : reordered));
	for (const struct tally *tally = registry.tallies; tally; tally = tally->next)
		tallies++;
	assert_int_equal(tallies, 3);
}

/* ---- references -------------------------------------------------------------------------------
 */

static void the_last_reference_releases(void **state)
{
	struct config *config = config_ref(load(two_listeners));
	struct generation *generation = generation_create(config, &registry);

	(void)state;
	assert_non_null(generation);
	assert_int_equal(atomic_load(&config->references), 2);
	assert_ptr_equal(generation_ref(generation), generation);
	generation_unref(generation);
	assert_ptr_equal(generation->config, config);
	assert_int_equal(atomic_load(&config->references), 2);
	generation_unref(generation);
	assert_int_equal(atomic_load(&config->references), 1);
	config_unref(config);
	generation_unref(NULL);
}

#define HOLDERS 4
#define ROUNDS  5000

static void *hold_and_let_go(void *argument)
{
	struct generation *generation = argument;

	for (int i = 0; i < ROUNDS; i++) {
		(void)generation_ref(generation);
		atomic_fetch_add(&generation->routes[0].tally->active, 1);
		atomic_fetch_sub(&generation->routes[0].tally->active, 1);
		generation_unref(generation);
	}
	generation_unref(generation); /* whoever is last releases it */
	return NULL;
}

static void any_thread_may_be_the_last(void **state)
{
	struct config *config = config_ref(load(two_listeners));
	struct generation *generation = generation_create(config, &registry);
	pthread_t threads[HOLDERS];

	(void)state;
	assert_non_null(generation);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_and_let_go,
						generation_ref(generation)),
				 0);
	generation_unref(generation);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&config->references), 1);
	config_unref(config);
}

/* Each worker counts in its own block while others read. */
struct counting {
	struct tally *tally;
	size_t worker;
};

/* Every second time a session ends; half of them stay. */
static void *count(void *argument)
{
	const struct counting *counting = argument;
	struct counters *counters = &counting->tally->workers_counters[counting->worker];

	for (int i = 0; i < ROUNDS; i++) {
		counters_accept(counters, STATE_CONNECTING);
		counters_move(counters, STATE_CONNECTING, STATE_OPEN);
		if (i % 2 == 1)
			counters_end(counters, STATE_OPEN, ENDING_COMPLETE);
	}
	return NULL;
}

static uint64_t ended(const struct counters_sum *sum)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < ENDINGS; i++)
		all += sum->values[COUNTER_ENDED + i];
	return all;
}

/* What is read while the workers count holds together, and only grows. */
static void read_while_they_count(const struct tally *tally)
{
	struct counters_sum before = { 0 };

	do {
		struct counters_sum now;

		tally_sum(tally, &now);
		assert_true(now.values[COUNTER_ACCEPTED] >= before.values[COUNTER_ACCEPTED]);
		assert_true(ended(&now) >= ended(&before));
		assert_int_equal(now.values[COUNTER_ACCEPTED], counters_active(&now) + ended(&now));
		before = now;
	} while (before.values[COUNTER_ACCEPTED] < WORKERS * ROUNDS);
}

static void counters_hold_together_while_they_run(void **state)
{
	struct generation *generation = make(two_listeners);
	struct tally *tally = generation->routes[0].tally;
	struct counting counting[WORKERS];
	pthread_t threads[WORKERS];
	struct counters_sum sum;

	(void)state;
	for (size_t i = 0; i < WORKERS; i++) {
		counting[i] = (struct counting){ tally, i };
		assert_int_equal(pthread_create(&threads[i], NULL, count, &counting[i]), 0);
	}
	read_while_they_count(tally);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	tally_sum(tally, &sum);
	assert_int_equal(ended(&sum), WORKERS * ROUNDS / 2);
	assert_int_equal(sum.active[STATE_OPEN], WORKERS * ROUNDS / 2);
	generation_unref(generation);
}

static void only_listeners_that_were_in_force_are_shown(void **state)
{
	struct generation *taken = make(two_listeners);
	struct generation *not_taken = make(nothing_in_common);
	const struct tally *tally;

	(void)state;
	assert_null(registry_next(&registry, NULL));
	generation_serve(taken);
	tally = registry_next(&registry, NULL);
	assert_non_null(tally);
	assert_string_equal(tally->name, "front");
	tally = registry_next(&registry, tally);
	assert_non_null(tally);
	assert_string_equal(tally->name, "back");
	assert_null(registry_next(&registry, tally));
	generation_unref(not_taken);
	generation_unref(taken);
	assert_non_null(registry_next(&registry, NULL)); /* it was in force once */
}

#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, open_registry, close_registry)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REGISTRY_TEST(only_listeners_that_were_in_force_are_shown),
		REGISTRY_TEST(routes_follow_the_configuration),
		REGISTRY_TEST(lanes_lead_to_what_is_the_workers),
		REGISTRY_TEST(a_listeners_own_servers_are_a_pool),
		REGISTRY_TEST(servers_are_known_by_pool_and_name),
		REGISTRY_TEST(a_reload_keeps_what_has_a_name),
		REGISTRY_TEST(what_was_left_out_is_remembered),
		REGISTRY_TEST(many_reloads_take_no_more_memory),
		REGISTRY_TEST(the_last_reference_releases),
		REGISTRY_TEST(any_thread_may_be_the_last),
		REGISTRY_TEST(counters_hold_together_while_they_run),
	};

	return cmocka_run_group_tests_name("daemon/generation", tests, NULL, NULL);
}
