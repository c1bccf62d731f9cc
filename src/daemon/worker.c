/*
 * Workers: one thread, one loop each.
 *
 * Invariant: a worker's loop, listeners and relays are touched by its own thread alone. Others post
 * letters and read atomics.
 *
 * Surprising: a session counts on the worker it is placed on before that worker knows of it, so a
 * burst spreads evenly though nobody has started to serve it.
 */
#include <finback/daemon/worker.h>
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

/* The deepest path keeps a batch of events and a log line on its stack. */
#define STACK_BYTES (256 * 1024)

static void tell_if_empty(struct worker *worker)
{
	const struct letter letter = { .handle = worker->crew->on_empty };

	/* Without memory for a letter the drain's own timer still ends it. */
	if (worker->is_draining && atomic_load_explicit(&worker->active, memory_order_acquire) == 0)
		(void)mailbox_post(worker->crew->supervisor, &letter);
}

static void on_session_over(void *owner)
{
	struct worker *worker = owner;

	for (struct listener *listener = worker->listeners; listener; listener = listener->next)
		listener_retry(listener);
	tell_if_empty(worker);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

/* The loop has been asked what is ready, and nothing of it has been called yet. Timers are not what
 * a spin waits for: nobody sends anything because one of ours is due. */
static void on_polled(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct worker *worker = watcher->data;
	bool is_stirred =
		ev_is_pending(&worker->relays.readiness) || ev_is_pending(&worker->mailbox.arrival);

	(void)loop;
	(void)events;
	for (struct listener *listener = worker->listeners; listener && !is_stirred;
	     listener = listener->next)
		is_stirred = ev_is_pending(&listener->readable);
	if (is_stirred)
		worker->stirred_us = monotonic_us();
}

static bool is_spinning(const struct worker *worker)
{
	return worker->spin_us > 0 && monotonic_us() - worker->stirred_us < worker->spin_us;
}

static void *run(void *argument)
{
	struct worker *worker = argument;

	while (!worker->is_over)
		(void)ev_run(worker->loop, is_spinning(worker) ? EVRUN_NOWAIT : EVRUN_ONCE);
	return NULL;
}

static int start_thread(struct worker *worker)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (error == 0)
		error = pthread_create(&worker->thread, &attributes, run, worker);
	(void)pthread_attr_destroy(&attributes); /* never fails on Linux */
	worker->is_started = error == 0;
	return -error;
}

static int start(struct worker *worker, struct crew *crew, size_t index)
{
	int error;

	worker->crew = crew;
	worker->index = index;
	atomic_store(&worker->beat_us, monotonic_us());
	worker->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!worker->loop)
		return -ENOMEM;
	error = mailbox_init(&worker->mailbox, worker->loop, worker);
	if (error < 0)
		goto fail;
	error = relays_init(&worker->relays, worker->loop, index, crew->count, crew->pipes);
	if (error < 0) {
		mailbox_fini(&worker->mailbox);
		goto fail;
	}
	worker->relays.pump.way = crew->way;
	worker->relays.active = &worker->active;
	worker->relays.on_over = on_session_over;
	worker->relays.owner = worker;
	ev_check_init(&worker->stirred, on_polled);
	/* After libev's own watcher, which passes letters on, and before all of ours. */
	ev_set_priority(&worker->stirred, 1);
	worker->stirred.data = worker;
	return 0;
fail:
	ev_loop_destroy(worker->loop);
	worker->loop = NULL;
	return error;
}

static void fini(struct worker *worker)
{
	if (!worker->loop)
		return;
	mailbox_fini(&worker->mailbox);
	relays_fini(&worker->relays);
	ev_loop_destroy(worker->loop);
}

static int start_threads(struct crew *crew)
{
	sigset_t all;
	sigset_t old;
	int error = 0;

	/* Threads inherit the mask: signals are the supervisor's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	for (size_t i = 0; i < crew->count && error == 0; i++)
		error = start_thread(&crew->workers[i]);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

int crew_start(struct crew *crew, size_t count, struct mailbox *supervisor,
	       letter_handler *on_reply, letter_handler *on_empty)
{
	int error = 0;

	crew->count = count;
	crew->supervisor = supervisor;
	crew->on_reply = on_reply;
	crew->on_empty = on_empty;
	crew->workers = aligned_alloc(_Alignof(struct worker), count * sizeof *crew->workers);
	if (!crew->workers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		crew->workers[i] = (struct worker){ 0 };
	for (size_t i = 0; i < count && error == 0; i++)
		error = start(&crew->workers[i], crew, i);
	if (error == 0)
		error = start_threads(crew);
	if (error < 0) {
		crew_stop(crew);
		crew_fini(crew);
	}
	return error;
}

static void on_stop(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	(void)letter;
	worker->is_over = true;
}

void crew_stop(struct crew *crew)
{
	const struct letter letter = { .handle = on_stop };

	for (size_t i = 0; i < crew->count; i++) {
		struct worker *worker = &crew->workers[i];

		if (!worker->is_started)
			continue;
		while (mailbox_post(&worker->mailbox, &letter) < 0)
			continue; /* the worker frees memory as it goes */
		(void)pthread_join(worker->thread, NULL);
		worker->is_started = false;
	}
}

void crew_fini(struct crew *crew)
{
	for (size_t i = 0; i < crew->count; i++)
		fini(&crew->workers[i]);
	free(crew->workers);
	crew->workers = NULL;
	crew->count = 0;
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static unsigned active_of(const struct worker *worker)
{
	return atomic_load_explicit(&worker->active, memory_order_relaxed);
}

unsigned crew_active(const struct crew *crew)
{
	unsigned active = 0;

	for (size_t i = 0; i < crew->count; i++)
		active += active_of(&crew->workers[i]);
	return active;
}

struct worker *crew_place(struct crew *crew, struct worker *own)
{
	struct worker *chosen = own;
	unsigned fewest = active_of(own);

	for (size_t i = 0; i < crew->count && fewest > 0; i++) {
		unsigned active = active_of(&crew->workers[i]);

		if (active < fewest) {
			chosen = &crew->workers[i];
			fewest = active;
		}
	}
	atomic_fetch_add_explicit(&chosen->active, 1, memory_order_relaxed);
	return chosen;
}

static void on_adopt(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	relay_adopt(&worker->relays, letter->subject, letter->fd, &letter->address);
}

void worker_adopt(struct worker *worker, struct worker *from, const struct route *route, int fd,
		  const struct address *peer)
{
	const struct letter letter = {
		.handle = on_adopt,
		.subject = (void *)(uintptr_t)route,
		.fd = fd,
		.address = *peer,
	};

	if (worker != from && mailbox_post(&worker->mailbox, &letter) == 0)
		return;
	if (worker != from) { /* no memory for a letter: it stays here */
		atomic_fetch_sub_explicit(&worker->active, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&from->active, 1, memory_order_relaxed);
	}
	relay_adopt(&from->relays, route, fd, peer);
}

/* ---- letters from the supervisor ----------------------------------------------------------------
 */

/* Letters of the supervisor are few, and none may be lost: it waits for memory. */
void worker_post(struct worker *worker, const struct letter *letter)
{
	static struct log_limit rate;

	while (mailbox_post(&worker->mailbox, letter) < 0)
		log_say_limited(&rate, monotonic_us(), LOG_LEVEL_ERROR, "no memory for a letter");
}

static void on_listen(void *recipient, struct letter *letter)
{
	(void)recipient;
	listener_start(letter->subject, letter->object);
}

void crew_listen(struct crew *crew, struct listener *listener, const struct route *route)
{
	const struct letter letter = {
		.handle = on_listen,
		.subject = listener,
		.object = (void *)(uintptr_t)route,
	};

	listener->worker = &crew->workers[crew->next_listener++ % crew->count];
	worker_post(listener->worker, &letter);
}

static void on_reroute(void *recipient, struct letter *letter)
{
	(void)recipient;
	listener_reroute(letter->subject, letter->object);
}

void crew_reroute(struct listener *listener, const struct route *route)
{
	const struct letter letter = {
		.handle = on_reroute,
		.subject = listener,
		.object = (void *)(uintptr_t)route,
	};

	worker_post(listener->worker, &letter);
}

/* The supervisor counts on replies, so none may be lost. */
void worker_reply(struct worker *worker, const struct letter *letter)
{
	while (mailbox_post(worker->crew->supervisor, letter) < 0)
		continue;
}

static void on_sync(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	(void)letter;
	worker_reply(worker, &(struct letter){ .handle = worker->crew->on_reply });
}

static void on_unlisten(void *recipient, struct letter *letter)
{
	listener_stop(letter->subject);
	listener_destroy(letter->subject);
	on_sync(recipient, letter);
}

void crew_unlisten(struct listener *listener)
{
	const struct letter letter = { .handle = on_unlisten, .subject = listener };

	worker_post(listener->worker, &letter);
}

static void on_cut(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	relays_cut(&worker->relays, (enum ending)letter->fd);
}

static void on_drain(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	(void)letter;
	worker->is_draining = true;
	tell_if_empty(worker);
}

static void on_spin(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	worker->spin_us = letter->fd;
	if (worker->spin_us > 0)
		ev_check_start(worker->loop, &worker->stirred);
	else
		ev_check_stop(worker->loop, &worker->stirred);
}

static void on_beat(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;

	(void)letter;
	atomic_store_explicit(&worker->beat_us, monotonic_us(), memory_order_relaxed);
}

static void post_all(struct crew *crew, const struct letter *letter)
{
	for (size_t i = 0; i < crew->count; i++)
		worker_post(&crew->workers[i], letter);
}

void crew_cut(struct crew *crew, enum ending ending)
{
	post_all(crew, &(struct letter){ .handle = on_cut, .fd = (int)ending });
}

void crew_drain(struct crew *crew)
{
	post_all(crew, &(struct letter){ .handle = on_drain });
}

void crew_spin(struct crew *crew, int64_t spin_us)
{
	post_all(crew, &(struct letter){ .handle = on_spin, .fd = (int)spin_us });
}

void crew_sync(struct crew *crew)
{
	post_all(crew, &(struct letter){ .handle = on_sync });
}

void crew_beat(struct crew *crew)
{
	post_all(crew, &(struct letter){ .handle = on_beat });
}

int64_t crew_oldest_beat_us(const struct crew *crew)
{
	int64_t oldest_us = INT64_MAX;

	for (size_t i = 0; i < crew->count; i++) {
		int64_t beat_us =
			atomic_load_explicit(&crew->workers[i].beat_us, memory_order_relaxed);

		if (beat_us < oldest_us)
			oldest_us = beat_us;
	}
	return oldest_us;
}
