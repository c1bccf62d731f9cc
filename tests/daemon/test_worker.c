/*
 * daemon/worker: how long a worker polls before it sleeps. The CPU time of its thread tells; that
 * sessions work meanwhile is for tests/behaviour.
 */
#include <finback/daemon/worker.h>

#include <time.h>

#include "../io/peers.h"

#define SPIN_US 8000
#define ROUNDS  20

static struct ev_loop *loop;
static struct mailbox supervisor;
static struct crew crew;

static void on_reply(void *recipient, struct letter *letter)
{
	(void)recipient;
	(void)letter;
}

static int start_crew(void **state)
{
	(void)state;
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!loop || mailbox_init(&supervisor, loop, NULL) < 0)
		return -1;
	return crew_start(&crew, 1, &supervisor, on_reply, on_reply);
}

static int stop_crew(void **state)
{
	(void)state;
	crew_stop(&crew);
	crew_fini(&crew);
	mailbox_fini(&supervisor);
	ev_loop_destroy(loop);
	return 0;
}

static int64_t cpu_us(void)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(pthread_getcpuclockid(crew.workers[0].thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return used.tv_sec * INT64_C(1000000) + used.tv_nsec / 1000;
}

/* Letters, each long after the spin that the one before it began. Returns the CPU time that they
 * cost. */
static int64_t cost_of_letters(int64_t spin_us)
{
	int64_t before_us;

	crew_spin(&crew, spin_us);
	sleep_ms(50);
	before_us = cpu_us();
	for (int i = 0; i < ROUNDS; i++) {
		crew_beat(&crew);
		sleep_ms(3 * SPIN_US / 1000);
	}
	return cpu_us() - before_us;
}

/* A busy machine takes CPU time away, so the lower bound is far from what is expected. */
static void a_letter_makes_it_spin_for_that_long(void **state)
{
	int64_t whole_us = ROUNDS * (int64_t)SPIN_US;
	int64_t cost_us = cost_of_letters(SPIN_US);

	(void)state;
	assert_in_range(cost_us, whole_us / 8, whole_us * 5 / 4);
	cost_us = cost_of_letters(SPIN_US / 4);
	assert_in_range(cost_us, whole_us / 32, whole_us * 5 / 16);
}

static void without_it_a_letter_costs_next_to_nothing(void **state)
{
	(void)state;
	assert_true(cost_of_letters(0) < ROUNDS * (int64_t)SPIN_US / 20);
	(void)cost_of_letters(SPIN_US);
	assert_true(cost_of_letters(0) < ROUNDS * (int64_t)SPIN_US / 20);
}

static void it_sleeps_when_nothing_happens(void **state)
{
	int64_t before_us;

	(void)state;
	crew_spin(&crew, SPIN_US);
	sleep_ms(50);
	before_us = cpu_us();
	sleep_ms(300);
	assert_true(cpu_us() - before_us < SPIN_US / 2);
}

static void on_tick(struct ev_loop *of, ev_timer *watcher, int events)
{
	int *count = watcher->data;

	(void)of;
	(void)events;
	++*count;
}

static void start_timer(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	ev_timer_again(worker->loop, letter->subject);
	worker_reply(worker, &(struct letter){ .handle = on_reply });
}

static void stop_timer(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	ev_timer_stop(worker->loop, letter->subject);
	worker_reply(worker, &(struct letter){ .handle = on_reply });
}

/* Deadlines of idle sessions come round for ever, and mean no traffic. */
static void timers_run_and_are_nothing_to_spin_for(void **state)
{
	int ticks = 0;
	int64_t before_us;
	ev_timer timer;

	(void)state;
	ev_timer_init(&timer, on_tick, 0., SPIN_US / 2e6);
	timer.data = &ticks;
	crew_spin(&crew, SPIN_US);
	worker_post(&crew.workers[0], &(struct letter){ .handle = start_timer, .subject = &timer });
	sleep_ms(50);
	before_us = cpu_us();
	sleep_ms(400);
	assert_true(cpu_us() - before_us < 100000);
	worker_post(&crew.workers[0], &(struct letter){ .handle = stop_timer, .subject = &timer });
	crew_stop(&crew);
	assert_in_range(ticks, 20, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_letter_makes_it_spin_for_that_long, start_crew,
						stop_crew),
		cmocka_unit_test_setup_teardown(without_it_a_letter_costs_next_to_nothing,
						start_crew, stop_crew),
		cmocka_unit_test_setup_teardown(it_sleeps_when_nothing_happens, start_crew,
						stop_crew),
		cmocka_unit_test_setup_teardown(timers_run_and_are_nothing_to_spin_for, start_crew,
						stop_crew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
