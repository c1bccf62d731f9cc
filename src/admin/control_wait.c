/*
 * Requests that wait for a worker's answer.
 *
 * Invariant: the memory that a worker writes its answer to lives until the answer has come, however
 * early the request has gone; and it counts as waiting until then, so that a worker that hangs
 * costs a bounded amount.
 *
 * Surprising: a request that was answered without the worker leaves its wait behind, which ends by
 * itself when the worker answers after all.
 */
#include <stdlib.h>

#include "control_private.h"

static void on_late(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct wait *wait = watcher->data;
	struct request *request = wait->request;

	(void)loop;
	(void)events;
	if (!request->is_answered)
		request_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
			       "worker %zu has not answered within %d s", wait->worker,
			       CONTROL_ANSWER_SECONDS);
	wait_finish(wait);
}

struct wait *wait_create(struct request *request, const struct wait_kind *kind)
{
	struct door *door = request->door;
	struct control *control = door->control;
	struct wait *wait;

	if (door->waiting >= CONTROL_WAITING_MAX) {
		request_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
			       "%d requests wait for workers already", CONTROL_WAITING_MAX);
		return NULL;
	}
	wait = calloc(1, kind->size);
	if (!wait)
		return NULL;
	*wait = (struct wait){ .kind = kind, .control = control, .door = door, .request = request };
	ev_timer_init(&wait->limit, on_late, CONTROL_ANSWER_SECONDS, 0.);
	wait->limit.data = wait;
	wait->next = control->waits;
	wait->place = &control->waits;
	if (wait->next)
		wait->next->place = &wait->next;
	control->waits = wait;
	door->waiting++;
	request->wait = wait;
	return wait;
}

static void destroy(struct wait *wait)
{
	ev_timer_stop(wait->control->loop, &wait->limit);
	*wait->place = wait->next;
	if (wait->next)
		wait->next->place = wait->place;
	wait->door->waiting--;
	if (wait->kind->fini)
		wait->kind->fini(wait);
	free(wait);
}

void wait_asked(struct wait *wait, size_t worker)
{
	wait->is_asked = true;
	wait->worker = worker;
	ev_timer_set(&wait->limit, CONTROL_ANSWER_SECONDS, 0.);
	ev_timer_start(wait->control->loop, &wait->limit);
}

void wait_answered(struct wait *wait)
{
	wait->is_asked = false;
	ev_timer_stop(wait->control->loop, &wait->limit);
	if (wait->request)
		wait->kind->on_answer(wait);
	else
		destroy(wait);
}

void wait_leave(struct wait *wait)
{
	if (!wait)
		return;
	ev_timer_stop(wait->control->loop, &wait->limit);
	if (wait->kind->on_left)
		wait->kind->on_left(wait);
	wait->request->wait = NULL;
	wait->request = NULL;
	if (!wait->is_asked)
		destroy(wait);
}

void wait_finish(struct wait *wait)
{
	struct request *request = wait->request;

	wait_leave(wait);
	request_resume(request);
}

void wait_release_all(struct control *control)
{
	struct wait *next;

	for (struct wait *wait = control->waits; wait; wait = next) {
		next = wait->next;
		destroy(wait);
	}
}
