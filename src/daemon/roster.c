/*
 * Sessions in the order of their ids: a sorted array in which the gone leave a gap.
 *
 * Invariant: ids rise from entry to entry, and at most half of the entries are gaps once there are
 * more than a few. When it is full, the gaps are closed first; only then does it grow.
 *
 * Surprising: the id of a live one stands in its relay, which nobody may have looked at for hours,
 * so a search looks at as few as it can. And roster_next() may pass many gaps, all of them at most
 * once in a walk.
 */
#include <finback/daemon/pages.h>
#include <finback/daemon/roster.h>

#include <assert.h>
#include <errno.h>

#include "relay_private.h"

#define CAPACITY_MIN 64

void roster_fini(struct roster *roster)
{
	pages_unmap(roster->entries, roster->capacity * sizeof *roster->entries);
	*roster = (struct roster){ 0 };
}

static bool is_gone(roster_entry entry)
{
	return entry & 1;
}

static roster_entry entry_of(const struct relay *relay)
{
	return (uintptr_t)relay;
}

static struct relay *relay_of(roster_entry entry)
{
	return is_gone(entry) ? NULL : (struct relay *)entry;
}

static uint64_t id_of(roster_entry entry)
{
	return is_gone(entry) ? entry >> 1 : relay_of(entry)->session.id;
}

static void close_gaps(struct roster *roster)
{
	size_t kept = 0;

	for (size_t i = 0; i < roster->used; i++)
		if (!is_gone(roster->entries[i]))
			roster->entries[kept++] = roster->entries[i];
	roster->used = kept;
}

/* An empty or nearly empty roster gives back what a crowd took. */
static int resize(struct roster *roster, size_t capacity)
{
	roster_entry *entries;

	if (capacity < CAPACITY_MIN)
		capacity = CAPACITY_MIN;
	if (capacity == roster->capacity)
		return 0;
	entries = pages_resize(roster->entries, roster->capacity * sizeof *entries,
			       capacity * sizeof *entries);
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

void roster_add(struct roster *roster, struct relay *relay)
{
	uint64_t id = relay->session.id;

	assert(id <= ROSTER_ID_MAX);
	assert(roster->used < roster->capacity);
	assert(roster->used == 0 || id_of(roster->entries[roster->used - 1]) < id);
	roster->entries[roster->used++] = entry_of(relay);
	roster->live++;
}

/* What a search knows: the first entry above `id` is one of low..high, where `used` is none; and
 * two entries that it has looked at, one on each side. */
struct search {
	uint64_t id;
	size_t low;
	size_t high;
	size_t below_at;
	size_t above_at;
	uint64_t below;
	uint64_t above;
};

/* Looks at one entry, of those from low to below high. Ids rise by one at the least, so an entry
 * whose id is less by n says that the one above `id` is within n + 1 behind it; likewise before. */
static void look(const struct roster *roster, size_t at, struct search *search)
{
	uint64_t found = id_of(roster->entries[at]);

	if (found <= search->id) {
		search->below_at = at;
		search->below = found;
		if (search->low <= at)
			search->low = at + 1;
		if (search->high - search->low > search->id - found)
			search->high = search->low + (size_t)(search->id - found);
	} else {
		search->above_at = at;
		search->above = found;
		search->high = at;
		if (search->high - search->low > found - search->id - 1)
			search->low = search->high - (size_t)(found - search->id - 1);
	}
}

/* Where it should be, were the ids between the two as far from each other everywhere. */
static size_t guess(const struct search *search)
{
	double share =
		(double)(search->id - search->below) / (double)(search->above - search->below);
	size_t at =
		search->below_at + (size_t)(share * (double)(search->above_at - search->below_at));

	if (at < search->low)
		return search->low;
	return at < search->high ? at : search->high - 1;
}

/* The first entry above `id`. The last one and the first say how far it can be from either end;
 * where ids are dense, that is enough. Else every other look halves what is left, as guesses alone
 * may be wrong for long. */
static size_t place_above(const struct roster *roster, uint64_t id)
{
	struct search search = { .id = id, .high = roster->used };

	if (search.low < search.high)
		look(roster, search.high - 1, &search);
	if (search.low < search.high)
		look(roster, 0, &search);
	for (bool is_guess = true; search.low < search.high; is_guess = !is_guess)
		look(roster,
		     is_guess ? guess(&search) : search.low + (search.high - search.low) / 2,
		     &search);
	return search.low;
}

/* NULL: it never was, or its gap is closed. */
static roster_entry *find(const struct roster *roster, uint64_t id)
{
	size_t place = place_above(roster, id);

	if (place == 0 || id_of(roster->entries[place - 1]) != id)
		return NULL;
	return &roster->entries[place - 1];
}

void roster_remove(struct roster *roster, const struct relay *relay)
{
	roster_entry *entry = find(roster, relay->session.id);

	assert(entry && *entry == entry_of(relay));
	*entry = relay->session.id << 1 | 1;
	roster->live--;
	/* The newest often go first: no gap at the end. */
	while (roster->used > 0 && is_gone(roster->entries[roster->used - 1]))
		roster->used--;
	if (roster->used > CAPACITY_MIN && roster->live < roster->used / 2)
		close_gaps(roster);
	if (roster->used < roster->capacity / 4)
		(void)resize(roster, roster->capacity / 2); /* to give back less is fine */
}

struct relay *roster_find(const struct roster *roster, uint64_t id)
{
	const roster_entry *entry = find(roster, id);

	return entry ? relay_of(*entry) : NULL;
}

struct relay *roster_next(const struct roster *roster, uint64_t id, uint64_t *ret_id)
{
	for (size_t place = place_above(roster, id); place < roster->used; place++) {
		struct relay *relay = relay_of(roster->entries[place]);

		if (!relay)
			continue;
		*ret_id = relay->session.id;
		return relay;
	}
	return NULL;
}
