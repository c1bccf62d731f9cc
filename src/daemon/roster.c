/*
 * Sessions in the order of their ids: a sorted array in which the gone leave a gap.
 *
 * Invariant: ids rise from entry to entry, and at most half of the entries are gaps once there are
 * more than a few. When it is full, the gaps are closed first; only then does it grow.
 *
 * Surprising: roster_next() may pass many gaps, all of them at most once in a walk.
 */
#include <finback/daemon/roster.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

void roster_fini(struct roster *roster)
{
	free(roster->entries);
	*roster = (struct roster){ 0 };
}

static void close_gaps(struct roster *roster)
{
	size_t kept = 0;

	for (size_t i = 0; i < roster->used; i++)
		if (roster->entries[i].relay)
			roster->entries[kept++] = roster->entries[i];
	roster->used = kept;
}

/* An empty or nearly empty roster gives back what a crowd took. */
static int resize(struct roster *roster, size_t capacity)
{
	struct roster_entry *entries;

	if (capacity < CAPACITY_MIN)
		capacity = CAPACITY_MIN;
	if (capacity == roster->capacity)
		return 0;
	entries = reallocarray(roster->entries, capacity, sizeof *entries);
	if (!entries)
		return capacity < roster->capacity ? 0 : -ENOMEM;
	roster->entries = entries;
	roster->capacity = capacity;
	return 0;
}

int roster_reserve(struct roster *roster)
{
	if (roster->used < roster->capacity)
		return 0;
	close_gaps(roster);
	/* A quarter of the room is left at least, so that this is not done again at once. */
	if (roster->used <= roster->capacity / 4 * 3 && roster->capacity > 0)
		return 0;
	if (resize(roster, roster->capacity + roster->capacity / 2) == 0)
		return 0;
	return roster->used < roster->capacity ? 0 : -ENOMEM;
}

void roster_add(struct roster *roster, uint64_t id, struct relay *relay)
{
	assert(roster->used < roster->capacity);
	assert(roster->used == 0 || roster->entries[roster->used - 1].id < id);
	roster->entries[roster->used++] = (struct roster_entry){ id, relay };
	roster->live++;
}

/* The first entry above `id`. */
static size_t place_above(const struct roster *roster, uint64_t id)
{
	size_t low = 0;
	size_t high = roster->used;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (roster->entries[middle].id <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct roster_entry *entry_of(const struct roster *roster, uint64_t id)
{
	size_t place = place_above(roster, id);

	if (place == 0 || roster->entries[place - 1].id != id)
		return NULL;
	return &roster->entries[place - 1];
}

void roster_remove(struct roster *roster, uint64_t id)
{
	struct roster_entry *entry = entry_of(roster, id);

	assert(entry && entry->relay);
	entry->relay = NULL;
	roster->live--;
	/* The newest often go first: no gap at the end. */
	while (roster->used > 0 && !roster->entries[roster->used - 1].relay)
		roster->used--;
	if (roster->used > CAPACITY_MIN && roster->live < roster->used / 2)
		close_gaps(roster);
	if (roster->used < roster->capacity / 4)
		(void)resize(roster, roster->capacity / 2); /* to give back less is fine */
}

struct relay *roster_find(const struct roster *roster, uint64_t id)
{
	const struct roster_entry *entry = entry_of(roster, id);

	return entry ? entry->relay : NULL;
}

struct relay *roster_next(const struct roster *roster, uint64_t id, uint64_t *ret_id)
{
	for (size_t place = place_above(roster, id); place < roster->used; place++) {
		if (!roster->entries[place].relay)
			continue;
		*ret_id = roster->entries[place].id;
		return roster->entries[place].relay;
	}
	return NULL;
}
