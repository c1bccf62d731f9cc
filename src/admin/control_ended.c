/*
 * The last sessions that ended, of all workers, newest first.
 *
 * Surprising: the workers are asked one after the other, each for all it has kept, into the same
 * memory; what is among the newest so far is kept aside.
 */
#include <finback/admin/render.h>
#include <finback/daemon/relay.h>
#include <finback/daemon/survey.h>
#include <finback/daemon/worker.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_listing.h"

#define SLICE 256 /* rendered at a time */

struct ended_list {
	struct listing listing;
	struct ended_survey survey;
	struct ended_view *views; /* the newest so far, newest first, and room for one answer */
	size_t max;               /* of them; the room comes on top */
	size_t count;
	int64_t now_us; /* the same moment as `now` */
	struct timespec now;
};

static void on_reply(struct inquiry *inquiry)
{
	struct ended_survey *survey = (struct ended_survey *)inquiry;
	struct ended_list *list =
		(struct ended_list *)((char *)survey - offsetof(struct ended_list, survey));

	wait_answered(&list->listing.wait);
}

static void ask(struct ended_list *list)
{
	struct wait *wait = &list->listing.wait;

	wait_asked(wait, list->survey.worker);
	survey_ask_ended(supervisor_facts(wait->control->supervisor).crew, &list->survey);
}

static int compare(const void *left, const void *right)
{
	const struct ended_view *a = left;
	const struct ended_view *b = right;

	if (a->ended_us != b->ended_us)
		return a->ended_us > b->ended_us ? -1 : 1;
	return a->id > b->id ? -1 : a->id < b->id;
}

static void keep_newest(struct ended_list *list)
{
	memcpy(list->views + list->count, list->survey.views,
	       list->survey.count * sizeof *list->views);
	list->count += list->survey.count;
	qsort(list->views, list->count, sizeof *list->views, compare);
	if (list->count > list->max)
		list->count = list->max;
}

static void show(struct listing *listing)
{
	struct ended_list *list = (struct ended_list *)listing;

	for (size_t i = 0; i < SLICE && listing->shown < list->count; i++) {
		const struct ended_view *view = &list->views[listing->shown];

		listing_separate(listing);
		render_ended(&listing->text, view, list->now_us, list->now);
	}
	if (listing->shown == list->count)
		listing_close(listing, NULL);
}

static void on_answer(struct wait *wait)
{
	struct ended_list *list = (struct ended_list *)wait;

	keep_newest(list);
	if (++list->survey.worker < supervisor_facts(wait->control->supervisor).crew->count) {
		ask(list);
		return;
	}
	list->now_us = monotonic_us();
	(void)clock_gettime(CLOCK_REALTIME, &list->now); /* cannot fail for this clock */
	listing_open(&list->listing);
	show(&list->listing);
	listing_deliver(&list->listing);
}

static void fini(struct wait *wait)
{
	free(((struct ended_list *)wait)->views);
	listing_fini(wait);
}

static const struct wait_kind kind = {
	.size = sizeof(struct ended_list),
	.on_answer = on_answer,
	.fini = fini,
};

void sessions_handle_ended(struct request *request, const struct query *query)
{
	size_t kept = control_facts(request).crew->count * ENDED_MAX;
	struct ended_list *list = (struct ended_list *)wait_create(request, &kind);

	if (!list)
		return;
	list->max = query->limit < kept ? query->limit : kept;
	list->views = calloc(list->max + ENDED_MAX, sizeof *list->views);
	if (!list->views) {
		wait_leave(&list->listing.wait);
		return;
	}
	query_copy(&list->listing.query, query);
	list->listing.more = show;
	list->survey.inquiry.on_answer = on_reply;
	list->survey.filter = list->listing.query.filter;
	ask(list);
}
