/*
 * Live sessions: a list of them, one, and the end of one.
 *
 * Invariant: a list names no session twice, and leaves out none that was there all the time: each
 * worker's sessions come in the order of their ids, and a slice begins behind the last one's.
 *
 * Surprising: when a page is full, the workers are asked for one session more, so that the last
 * page has no `next`.
 */
#include <finback/admin/render.h>
#include <finback/daemon/survey.h>
#include <finback/daemon/worker.h>
#include <finback/host/log.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "control_listing.h"

/* ---- a list -----------------------------------------------------------------------------------
 */

struct list {
	struct listing listing;
	struct survey survey;
	uint64_t last; /* the id shown last */
};

static struct crew *crew_of(const struct wait *wait)
{
	return supervisor_facts(wait->control->supervisor).crew;
}

static void on_slice(struct inquiry *inquiry)
{
	struct survey *survey = (struct survey *)inquiry;
	struct list *list = (struct list *)((char *)survey - offsetof(struct list, survey));

	wait_answered(&list->listing.wait);
}

static void ask(struct listing *listing)
{
	struct list *list = (struct list *)listing;
	size_t left = listing->query.limit - listing->shown;

	list->survey.room = left < SURVEY_SLICE ? left : SURVEY_SLICE;
	if (left == 0) {
		list->survey.room = 1; /* whether there is one more */
		list->survey.is_brief = true;
	}
	wait_asked(&listing->wait, list->survey.worker);
	survey_ask(crew_of(&listing->wait), &list->survey);
}

/* Goes on with the next worker. Returns false when that was the last. */
static bool next_worker(struct list *list)
{
	list->survey.worker++;
	list->survey.after = 0;
	return list->survey.worker < crew_of(&list->listing.wait)->count;
}

static void show(struct list *list)
{
	for (size_t i = 0; i < list->survey.count; i++) {
		listing_separate(&list->listing);
		render_session(&list->listing.text, &list->survey.views[i]);
		list->last = list->survey.views[i].session.id;
	}
}

static void close_with_cursor(struct list *list)
{
	size_t worker = survey_worker_of(crew_of(&list->listing.wait), list->last);
	char cursor[QUERY_CURSOR_MAX];

	listing_close(&list->listing, query_cursor(worker, list->last, cursor));
}

static void on_list_answer(struct wait *wait)
{
	struct list *list = (struct list *)wait;
	struct listing *listing = &list->listing;
	bool is_full = listing->shown == listing->query.limit;

	if (is_full && list->survey.count > 0)
		close_with_cursor(list);
	else
		show(list);
	if (!listing->is_through && list->survey.is_through && !next_worker(list))
		listing_close(listing, NULL);
	if (listing->is_through || list->survey.count > 0)
		listing_deliver(listing);
	else
		ask(listing); /* a slice without any that the filter takes */
}

static const struct wait_kind list_kind = {
	.size = sizeof(struct list),
	.on_answer = on_list_answer,
	.fini = listing_fini,
};

static void begin_list(struct request *request, const struct query *query)
{
	struct list *list = (struct list *)wait_create(request, &list_kind);

	if (!list)
		return;
	query_copy(&list->listing.query, query);
	list->listing.more = ask;
	list->survey.inquiry.on_answer = on_slice;
	list->survey.filter = list->listing.query.filter;
	list->survey.is_brief = query->is_brief;
	list->survey.worker = query->worker;
	list->survey.after = query->after;
	listing_open(&list->listing);
	ask(&list->listing);
}

void sessions_handle_list(struct request *request)
{
	struct query query;

	if (!listing_read_query(request, &query))
		return;
	if (query.is_ended)
		sessions_handle_ended(request, &query);
	else
		begin_list(request, &query);
}

/* ---- one --------------------------------------------------------------------------------------
 */

/* Digits, as they are written in a session's id. 0: it is none. */
static uint64_t read_id(const char *text)
{
	char *end;
	uint64_t id;

	if (text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	id = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? id : 0;
}

static uint64_t requested_id(struct request *request)
{
	const char *word = request->path.words[request->path.count - 1];
	uint64_t id = read_id(word);

	if (id == 0)
		request_refuse(request, MHD_HTTP_NOT_FOUND,
			       "no session %.64s: its id is a whole number above 0", word);
	return id;
}

static void refuse_unknown(struct request *request, uint64_t id)
{
	request_refuse(request, MHD_HTTP_NOT_FOUND,
		       "no session %" PRIu64 ": it has ended or never was", id);
}

struct single {
	struct wait wait;
	struct survey survey;
};

static void on_found(struct inquiry *inquiry)
{
	struct survey *survey = (struct survey *)inquiry;
	struct single *single = (struct single *)((char *)survey - offsetof(struct single, survey));

	wait_answered(&single->wait);
}

static void on_single_answer(struct wait *wait)
{
	const struct survey *survey = &((struct single *)wait)->survey;
	struct text text = { 0 };

	if (survey->count == 0) {
		refuse_unknown(wait->request, survey->id);
	} else {
		render_session(&text, &survey->views[0]);
		request_answer(wait->request, MHD_HTTP_OK, CONTROL_JSON, &text);
	}
	wait_finish(wait);
}

static const struct wait_kind single_kind = {
	.size = sizeof(struct single),
	.on_answer = on_single_answer,
};

void sessions_handle_one(struct request *request)
{
	uint64_t id = requested_id(request);
	struct crew *crew = control_facts(request).crew;
	struct single *single =
		id != 0 ? (struct single *)wait_create(request, &single_kind) : NULL;

	if (!single)
		return;
	single->survey.inquiry.on_answer = on_found;
	single->survey.id = id;
	single->survey.room = 1;
	single->survey.worker = survey_worker_of(crew, id);
	wait_asked(&single->wait, single->survey.worker);
	survey_ask(crew, &single->survey);
}

/* ---- the end of one ---------------------------------------------------------------------------
 */

struct kill {
	struct wait wait;
	struct kill_order order;
};

static void on_killed(struct inquiry *inquiry)
{
	struct kill_order *order = (struct kill_order *)inquiry;
	struct kill *kill = (struct kill *)((char *)order - offsetof(struct kill, order));

	wait_answered(&kill->wait);
}

static void on_kill_answer(struct wait *wait)
{
	const struct kill_order *order = &((struct kill *)wait)->order;
	char who[REQUEST_CALLER_MAX];
	struct text text = { 0 };

	if (order->is_found) {
		log_say(LOG_LEVEL_INFO, "control: session %" PRIu64 " is ended (%s)", order->id,
			request_caller(wait->request, who));
		text_appendf(&text, "{\"killed\":%" PRIu64 "}", order->id);
		request_answer(wait->request, MHD_HTTP_OK, CONTROL_JSON, &text);
	} else {
		refuse_unknown(wait->request, order->id);
	}
	wait_finish(wait);
}

static const struct wait_kind kill_kind = {
	.size = sizeof(struct kill),
	.on_answer = on_kill_answer,
};

void sessions_handle_kill(struct request *request)
{
	uint64_t id = requested_id(request);
	struct crew *crew = control_facts(request).crew;
	struct kill *kill = id != 0 ? (struct kill *)wait_create(request, &kill_kind) : NULL;

	if (!kill)
		return;
	kill->order.inquiry.on_answer = on_killed;
	kill->order.id = id;
	wait_asked(&kill->wait, survey_worker_of(crew, id));
	survey_kill(crew, &kill->order);
}
