/*
 * daemon/mailbox: each letter handled once, in order and in the recipient's thread, whoever posts
 * while it runs. Worth the most under ThreadSanitizer.
 */
#include <finback/daemon/mailbox.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define POSTERS 4
#define EACH    5000
/* More than a mailbox holds at first. */
#define MANY 1000

/* What the recipient keeps; its thread's alone. */
struct desk {
	struct mailbox mailbox;
	struct ev_loop *loop;
	pthread_t thread;
	int handled;
	int last_fds[POSTERS];
	int out_of_order;
	int in_wrong_thread;
	int with_wrong_words;
};

static struct desk desk;

static int open_desk(void **state)
{
	(void)state;
	desk = (struct desk){ .loop = ev_loop_new(EVBACKEND_EPOLL), .thread = pthread_self() };
	for (int i = 0; i < POSTERS; i++)
		desk.last_fds[i] = -1;
	if (!desk.loop)
		return -1;
	return mailbox_init(&desk.mailbox, desk.loop, &desk);
}

static int close_desk(void **state)
{
	(void)state;
	mailbox_fini(&desk.mailbox);
	ev_loop_destroy(desk.loop);
	return 0;
}

/* Letters of one poster are numbered by `fd`; `subject` is the poster's place. */
static void on_numbered(void *recipient, struct letter *letter)
{
	struct desk *here = recipient;
	int *last = letter->subject;

	here->handled++;
	here->out_of_order += letter->fd != *last + 1;
	here->in_wrong_thread += !pthread_equal(pthread_self(), here->thread);
	here->with_wrong_words += letter->object != last || letter->handle != on_numbered ||
				  letter->address.length != (socklen_t)letter->fd;
	*last = letter->fd;
}

static struct letter numbered(int poster, int number)
{
	return (struct letter){
		.handle = on_numbered,
		.subject = &desk.last_fds[poster],
		.object = &desk.last_fds[poster],
		.fd = number,
		.address.length = (socklen_t)number,
	};
}

static void post_numbered(int poster, int number)
{
	struct letter letter = numbered(poster, number);

	assert_int_equal(mailbox_post(&desk.mailbox, &letter), 0);
	letter = (struct letter){ 0 }; /* it was a copy */
}

static void expect_handled(int count)
{
	assert_int_equal(desk.handled, count);
	assert_int_equal(desk.out_of_order, 0);
	assert_int_equal(desk.in_wrong_thread, 0);
	assert_int_equal(desk.with_wrong_words, 0);
}

static void nothing_waits(void **state)
{
	(void)state;
	mailbox_open(&desk.mailbox);
	assert_int_equal(ev_run(desk.loop, EVRUN_NOWAIT), 1);
	expect_handled(0);
}

static void letters_come_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++)
		post_numbered(0, i);
	expect_handled(0);
	mailbox_open(&desk.mailbox);
	expect_handled(MANY);
	mailbox_open(&desk.mailbox);
	expect_handled(MANY);
	/* And again, now that both of its buffers have been in use. */
	for (int i = MANY; i < 4 * MANY; i++)
		post_numbered(0, i);
	mailbox_open(&desk.mailbox);
	expect_handled(4 * MANY);
}

static void the_loop_opens_it(void **state)
{
	(void)state;
	post_numbered(0, 0);
	post_numbered(0, 1);
	assert_int_equal(ev_run(desk.loop, EVRUN_ONCE), 1);
	expect_handled(2);
	post_numbered(0, 2);
	assert_int_equal(ev_run(desk.loop, EVRUN_ONCE), 1);
	expect_handled(3);
}

static void on_chain(void *recipient, struct letter *letter)
{
	struct desk *here = recipient;

	here->handled++;
	if (letter->fd == 0)
		return;
	/* Two, so that the buffer posted into grows beside the one that is read. */
	assert_int_equal(mailbox_post(&here->mailbox,
				      &(struct letter){ .handle = on_chain, .fd = letter->fd - 1 }),
			 0);
	assert_int_equal(mailbox_post(&here->mailbox,
				      &(struct letter){ .handle = on_chain, .fd = letter->fd - 1 }),
			 0);
}

#define CHAIN_DEPTH 9

static void letters_may_post_letters(void **state)
{
	(void)state;
	assert_int_equal(mailbox_post(&desk.mailbox,
				      &(struct letter){ .handle = on_chain, .fd = CHAIN_DEPTH }),
			 0);
	/* Each opening handles what waited when it began: what it brings about waits. */
	mailbox_open(&desk.mailbox);
	assert_int_equal(desk.handled, 1);
	mailbox_open(&desk.mailbox);
	assert_int_equal(desk.handled, 3);
	for (int level = 2; level <= CHAIN_DEPTH; level++)
		(void)ev_run(desk.loop, EVRUN_ONCE);
	assert_int_equal(desk.handled, (2 << CHAIN_DEPTH) - 1);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void what_waits_is_handled_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(open_desk(NULL), 0);
	for (int i = 0; i < MANY; i++)
		post_numbered(0, i);
	mailbox_fini(&desk.mailbox);
	expect_handled(MANY);
	ev_loop_destroy(desk.loop);
}

static void what_the_last_letters_post_is_handled_too(void **state)
{
	(void)state;
	assert_int_equal(open_desk(NULL), 0);
	assert_int_equal(
		mailbox_post(&desk.mailbox, &(struct letter){ .handle = on_chain, .fd = 3 }), 0);
	mailbox_fini(&desk.mailbox);
	assert_int_equal(desk.handled, 15);
	ev_loop_destroy(desk.loop);
}

/* A loop that still runs is not kept awake, and no watcher is left in it. */
static void the_loop_outlives_the_mailbox(void **state)
{
	(void)state;
	assert_int_equal(open_desk(NULL), 0);
	post_numbered(0, 0);
	mailbox_fini(&desk.mailbox);
	assert_int_equal(ev_run(desk.loop, 0), 0);
	expect_handled(1);
	ev_loop_destroy(desk.loop);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static void on_stop(void *recipient, struct letter *letter)
{
	struct desk *here = recipient;

	(void)letter;
	ev_break(here->loop, EVBREAK_ALL);
}

static void *receive(void *argument)
{
	desk.thread = pthread_self();
	(void)ev_run(desk.loop, 0);
	return argument;
}

/* Posts as fast as it can, with a pause now and then so that the recipient falls asleep. */
static void *post_each(void *argument)
{
	int poster = (int)(intptr_t)argument;

	for (int i = 0; i < EACH; i++) {
		struct letter letter = numbered(poster, i);

		if (mailbox_post(&desk.mailbox, &letter) < 0)
			return (void *)1;
		if (i % 1000 == 999) {
			const struct timespec moment = { .tv_nsec = 1000000 };

			(void)nanosleep(&moment, NULL);
		}
	}
	return NULL;
}

static void threads_post_while_the_recipient_runs(void **state)
{
	pthread_t recipient;
	pthread_t posters[POSTERS];
	void *failed = NULL;

	(void)state;
	assert_int_equal(pthread_create(&recipient, NULL, receive, NULL), 0);
	for (intptr_t i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&posters[i], NULL, post_each, (void *)i), 0);
	for (int i = 0; i < POSTERS; i++) {
		assert_int_equal(pthread_join(posters[i], &failed), 0);
		assert_null(failed);
	}
	/* Behind all of them: the last wake-up must not be lost either. */
	assert_int_equal(mailbox_post(&desk.mailbox, &(struct letter){ .handle = on_stop }), 0);
	assert_int_equal(pthread_join(recipient, NULL), 0);
	expect_handled(POSTERS * EACH);
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(desk.last_fds[i], EACH - 1);
}

/* Two loops that answer each other: a wake-up that is lost would hang them. */
#define EXCHANGES 5000

struct player {
	struct mailbox mailbox;
	struct ev_loop *loop;
	struct player *opponent;
	int hits;
};

static void on_ball(void *recipient, struct letter *letter)
{
	struct player *player = recipient;
	struct letter back = { .handle = on_ball, .fd = letter->fd - 1 };

	player->hits++;
	if (letter->fd >= 0)
		(void)mailbox_post(&player->opponent->mailbox, &back);
	if (letter->fd <= 0)
		ev_break(player->loop, EVBREAK_ALL);
}

static void *play(void *argument)
{
	struct player *player = argument;

	(void)ev_run(player->loop, 0);
	return NULL;
}

static void no_wake_up_is_lost(void **state)
{
	struct player players[2] = { { .hits = 0 }, { .hits = 0 } };
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		players[i].opponent = &players[1 - i];
		players[i].loop = ev_loop_new(EVBACKEND_EPOLL);
		assert_non_null(players[i].loop);
		assert_int_equal(mailbox_init(&players[i].mailbox, players[i].loop, &players[i]),
				 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
	assert_int_equal(mailbox_post(&players[0].mailbox,
				      &(struct letter){ .handle = on_ball, .fd = EXCHANGES }),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(players[0].hits + players[1].hits, EXCHANGES + 2);
	for (int i = 0; i < 2; i++) {
		mailbox_fini(&players[i].mailbox);
		ev_loop_destroy(players[i].loop);
	}
}

#define DESK_TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(nothing_waits),
		DESK_TEST(letters_come_in_order),
		DESK_TEST(the_loop_opens_it),
		DESK_TEST(letters_may_post_letters),
		cmocka_unit_test(what_waits_is_handled_at_the_end),
		cmocka_unit_test(what_the_last_letters_post_is_handled_too),
		cmocka_unit_test(the_loop_outlives_the_mailbox),
		DESK_TEST(threads_post_while_the_recipient_runs),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests_name("daemon/mailbox", tests, NULL, NULL);
}
