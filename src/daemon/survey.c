/*
 * What the workers answer about their sessions.
 *
 * Invariant: an answer is given in the worker's thread and read in the supervisor's, with a letter
 * between the two, so that nothing needs a lock. A slice ends in time, however many sessions there
 * are that the filter does not take.
 */
#include <finback/daemon/survey.h>
#include <finback/daemon/worker.h>

#include <assert.h>
#include <string.h>

#include "relay_private.h"

static void on_reply(void *recipient, struct letter *letter)
{
	struct inquiry *inquiry = letter->subject;

	(void)recipient;
	inquiry->on_answer(inquiry);
}

static void on_inquiry(void *recipient, struct letter *letter)
{
	struct worker *worker = recipient;
	struct inquiry *inquiry = letter->subject;
	const struct letter reply = { .handle = on_reply, .subject = inquiry };

	worker->relays.now_us = monotonic_us();
	inquiry->answer(&worker->relays, inquiry);
	worker_reply(worker, &reply);
}

static void ask(struct crew *crew, size_t worker, struct inquiry *inquiry)
{
	assert(worker < crew->count);
	inquiry->crew = crew;
	worker_post(&crew->workers[worker],
		    &(struct letter){ .handle = on_inquiry, .subject = inquiry });
}

size_t survey_worker_of(const struct crew *crew, uint64_t id)
{
	return (size_t)((id - 1) % crew->count);
}

/* ---- which sessions -------------------------------------------------------------------------- */

static bool is_called(const char *name, const char *wanted)
{
	return !wanted || (name && strcmp(name, wanted) == 0);
}

static bool is_ending_within(const struct relay *relay, int64_t within_us)
{
	struct deadline_at ending = deadline_ending_next(&relay->session, policy_of(relay));

	return ending.deadline != DEADLINE_NONE &&
	       ending.at_us - relay->lane->relays->now_us <= within_us;
}

static bool wants(const struct survey_filter *filter, const struct relay *relay)
{
	const struct session *session = &relay->session;
	const struct route *route = relay->lane->route;

	if (filter->states != 0 && !(filter->states & 1U << session_state(session)))
		return false;
	if (relay->lane->relays->now_us - moment_us(session->accepted) < filter->min_age_us)
		return false;
	if (!is_called(route->tally->name, filter->listener) ||
	    !is_called(route->pool->name, filter->pool) ||
	    !is_called(pool_server_name(route->pool, relay->server), filter->server))
		return false;
	if (filter->client.family != ENDPOINT_NONE &&
	    !endpoint_is_within(&session->client, &filter->client, filter->client_prefix))
		return false;
	return filter->ending_within_us == 0 || is_ending_within(relay, filter->ending_within_us);
}

/* ---- the answers -------------------------------------------------------------------------------
 */

static void answer_one(struct relays *relays, struct survey *survey)
{
	const struct relay *relay = roster_find(&relays->roster, survey->id);

	survey->is_through = true;
	if (relay)
		relay_view(relay, survey->is_brief, &survey->views[survey->count++]);
}

/* One session at the least: a slice gets on, however late this thread is. */
static void answer_slice(struct relays *relays, struct survey *survey)
{
	do {
		const struct relay *relay =
			roster_next(&relays->roster, survey->after, &survey->after);

		if (!relay) {
			survey->is_through = true;
			return;
		}
		if (wants(&survey->filter, relay))
			relay_view(relay, survey->is_brief, &survey->views[survey->count++]);
	} while (survey->count < survey->room && monotonic_us() - relays->now_us < SURVEY_SLICE_US);
}

static void answer_survey(struct relays *relays, struct inquiry *inquiry)
{
	struct survey *survey = (struct survey *)inquiry;

	survey->count = 0;
	survey->is_through = false;
	if (survey->id != 0)
		answer_one(relays, survey);
	else
		answer_slice(relays, survey);
}

void survey_ask(struct crew *crew, struct survey *survey)
{
	assert(survey->room > 0 && survey->room <= SURVEY_SLICE);
	survey->inquiry.answer = answer_survey;
	ask(crew, survey->worker, &survey->inquiry);
}

static bool wants_ended(const struct ended_view *view, const void *owner)
{
	const struct survey_filter *filter = owner;

	return is_called(view->listener, filter->listener) && is_called(view->pool, filter->pool) &&
	       is_called(view->server_name, filter->server);
}

static void answer_ended(struct relays *relays, struct inquiry *inquiry)
{
	struct ended_survey *survey = (struct ended_survey *)inquiry;

	survey->count =
		ended_copy(&relays->ended, survey->views, ENDED_MAX, wants_ended, &survey->filter);
}

void survey_ask_ended(struct crew *crew, struct ended_survey *survey)
{
	survey->inquiry.answer = answer_ended;
	ask(crew, survey->worker, &survey->inquiry);
}

static void answer_kill(struct relays *relays, struct inquiry *inquiry)
{
	struct kill_order *order = (struct kill_order *)inquiry;
	struct relay *relay = roster_find(&relays->roster, order->id);

	order->is_found = relay != NULL;
	if (!relay)
		return;
	relay_cut(relay, ENDING_KILLED);
	relay_step(relay);
}

void survey_kill(struct crew *crew, struct kill_order *order)
{
	order->inquiry.answer = answer_kill;
	ask(crew, survey_worker_of(crew, order->id), &order->inquiry);
}
