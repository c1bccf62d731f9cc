/*
 * The last sessions of a worker that ended: a ring, written by its thread alone.
 */
#include <finback/daemon/view.h>

#include <errno.h>
#include <stdlib.h>

int ended_init(struct ended *ended)
{
	ended->count = 0;
	/* Pages that are never written take no memory. */
	ended->views = calloc(ENDED_MAX, sizeof *ended->views);
	return ended->views ? 0 : -ENOMEM;
}

void ended_fini(struct ended *ended)
{
	free(ended->views);
	ended->views = NULL;
}

struct ended_view *ended_next(struct ended *ended)
{
	return &ended->views[ended->count++ % ENDED_MAX];
}

size_t ended_copy(const struct ended *ended, struct ended_view *ret_views, size_t max,
		  bool (*wants)(const struct ended_view *view, const void *owner),
		  const void *owner)
{
	uint64_t there = ended->count < ENDED_MAX ? ended->count : ENDED_MAX;
	size_t copied = 0;

	for (uint64_t back = 1; back <= there && copied < max; back++) {
		const struct ended_view *view = &ended->views[(ended->count - back) % ENDED_MAX];

		if (wants(view, owner))
			ret_views[copied++] = *view;
	}
	return copied;
}
