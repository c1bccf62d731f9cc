/*
 * Lists of sessions. Pages are small enough for a daemon to make one without holding anything up,
 * and each is given back before the next is asked for, so that a long list takes little memory.
 */
#include "listing.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"

#define PAGE       1000u
#define PAGE_ENDED 10000u /* these come in one page: there is no cursor */
#define PAGES_MAX  100000u

/* An option and its parameter. Those that end a session's life say nothing of one that has ended.
 */
static const struct {
	const char *option, *parameter;
	bool is_for_ended;
} filters[] = {
	[FILTER_STATE] = { "state", "state", false },
	[FILTER_LISTENER] = { "listener", "listener", true },
	[FILTER_POOL] = { "pool", "pool", true },
	[FILTER_SERVER] = { "server", "server", true },
	[FILTER_MIN_AGE] = { "min-age", "min_age", false },
	[FILTER_ENDING_WITHIN] = { "ending-within", "ending_within", false },
	[FILTER_CLIENT] = { "client", "client", false },
};
static_assert(sizeof filters / sizeof *filters == FILTERS, "a name for each filter");

size_t listing_choices(struct listing *listing, struct choice *choices)
{
	for (size_t i = 0; i < FILTERS; i++)
		choices[i] = (struct choice){ .name = filters[i].option,
					      .ret_value = &listing->filters[i] };
	choices[FILTERS] = (struct choice){ .name = "limit", .ret_value = &listing->limit };
	return FILTERS + 1;
}

bool listing_has_filter(const struct listing *listing)
{
	for (size_t i = 0; i < FILTERS; i++)
		if (listing->filters[i])
			return true;
	return false;
}

int listing_check(const struct command *command, const struct listing *listing)
{
	if (listing->limit &&
	    (!ctl_is_id(listing->limit) || strtoull(listing->limit, NULL, 10) > LISTING_MAX))
		return ctl_say_usage(command, "%s: --limit %s: right is a number from 1 to %u",
				     command->name, listing->limit, LISTING_MAX);
	for (size_t i = 0; listing->is_ended && i < FILTERS; i++)
		if (listing->filters[i] && !filters[i].is_for_ended)
			return ctl_say_usage(command,
					     "%s: --%s is about live sessions and does not go "
					     "with --ended",
					     command->name, filters[i].option);
	return -1;
}

/* Adds a parameter to the path that is being written. */
static void add(FILE *path, const char *name, const char *value)
{
	char *encoded = ctl_need(client_encode(value));

	(void)fprintf(path, "&%s=%s", name, encoded);
	free(encoded);
}

/* The path of one page, for the caller to free. */
static char *page_path(const struct listing *listing, uint64_t limit, const char *cursor)
{
	char *text = NULL;
	size_t size;
	FILE *path = ctl_need(open_memstream(&text, &size));

	(void)fprintf(path, "/api/v1/sessions?limit=%" PRIu64, limit);
	if (listing->is_ended)
		add(path, "state", "ended");
	else if (listing->is_brief)
		add(path, "brief", "1");
	for (size_t i = 0; i < FILTERS; i++)
		if (listing->filters[i])
			add(path, filters[i].parameter, listing->filters[i]);
	if (cursor)
		add(path, "after", cursor);
	if (fclose(path) != 0)
		ctl_need(NULL);
	return text;
}

static int get_page(struct ctl *ctl, const struct listing *listing, uint64_t limit,
		    const char *cursor, json_t **ret)
{
	char *path = page_path(listing, limit, cursor);
	int status = ctl_get(ctl, path, ret);

	free(path);
	if (status == CTL_OK && !field_array(*ret, "sessions")) {
		ctl_say("the answer at %s is not finback's: it has no list of sessions",
			ctl->socket);
		json_decref(*ret);
		return EX_PROTOCOL;
	}
	return status;
}

/* The walk's place. A daemon may give pages with few sessions, or none, as long as it gets on. */
struct walk {
	uint64_t left;
	unsigned pages;
	char *cursor; /* NULL: the first page, or the end */
};

/* Goes on behind a page. Returns CTL_OK, with no cursor at the end, or the exit status. */
static int go_on(struct ctl *ctl, struct walk *walk, const json_t *page)
{
	const char *next = field_text(page, "next");
	uint64_t count = json_array_size(field_array(page, "sessions"));
	bool is_stuck = next && walk->cursor && strcmp(next, walk->cursor) == 0;

	free(walk->cursor);
	walk->cursor = NULL;
	walk->left -= count < walk->left ? count : walk->left;
	if (!next || walk->left == 0)
		return CTL_OK;
	if (is_stuck || ++walk->pages == PAGES_MAX) {
		ctl_say("the answer at %s is not finback's: its list has no end", ctl->socket);
		return EX_PROTOCOL;
	}
	walk->cursor = ctl_need(strdup(next));
	return CTL_OK;
}

int listing_walk(struct ctl *ctl, const struct listing *listing,
		 int (*on_page)(void *user, const json_t *sessions), void *user)
{
	struct walk walk = { .left = LISTING_MAX };
	uint64_t most = listing->is_ended ? PAGE_ENDED : PAGE;
	int status;

	if (listing->limit)
		walk.left = strtoull(listing->limit, NULL, 10);
	do {
		json_t *page;

		status = get_page(ctl, listing, walk.left < most ? walk.left : most, walk.cursor,
				  &page);
		if (status != CTL_OK)
			break;
		status = on_page(user, field_array(page, "sessions"));
		if (status == CTL_OK)
			status = go_on(ctl, &walk, page);
		json_decref(page);
	} while (status == CTL_OK && walk.cursor);
	free(walk.cursor);
	return status;
}
