/*
 * The timers of one worker's sessions, as one heap and one timer of the loop.
 *
 * Invariant: a relay knows its place in the heap, counted from 1, and 0 where it is not in it; and
 * the loop's timer fires no later than the earliest time.
 *
 * Surprising: the loop's timer may fire too early: who had the earliest time is gone, or has a
 * later one now. It is then set for what is the earliest by that time, and nobody else is woken.
 */
#include <finback/daemon/agenda.h>
#include <finback/daemon/pages.h>

#include <assert.h>
#include <errno.h>

#include "relay_private.h"

/* Four children: half the levels of two, and they lie beside each other. */
#define CHILDREN     4
#define CAPACITY_MIN 64
#define SECONDS(us)  ((double)(us) / 1e6)

/* ---- the heap ------------------------------------------------------------------------------- */

static void put(struct agenda *agenda, size_t at, struct agenda_entry entry)
{
	agenda->entries[at] = entry;
	entry.relay->agenda_place = (uint32_t)(at + 1) & AGENDA_MAX;
}

/* Where an entry belongs that is not after any below `at`, a gap. */
static void sift_up(struct agenda *agenda, size_t at, struct agenda_entry entry)
{
	while (at > 0) {
		size_t parent = (at - 1) / CHILDREN;

		if (agenda->entries[parent].due_us <= entry.due_us)
			break;
		put(agenda, at, agenda->entries[parent]);
		at = parent;
	}
	put(agenda, at, entry);
}

/* The earliest child of a place that has one. */
static size_t earliest_child(const struct agenda *agenda, size_t at)
{
	size_t child = at * CHILDREN + 1;
	size_t end = child + CHILDREN < agenda->used ? child + CHILDREN : agenda->used;
	size_t earliest = child;

	while (++child < end)
		if (agenda->entries[child].due_us < agenda->entries[earliest].due_us)
			earliest = child;
	return earliest;
}

/* Likewise, where it is not before any above `at`. */
static void sift_down(struct agenda *agenda, size_t at, struct agenda_entry entry)
{
	while (at * CHILDREN + 1 < agenda->used) {
		size_t child = earliest_child(agenda, at);

		if (entry.due_us <= agenda->entries[child].due_us)
			break;
		put(agenda, at, agenda->entries[child]);
		at = child;
	}
	put(agenda, at, entry);
}

/* Puts an entry where there is a gap, or as near to it as it may be. */
static void fill_gap(struct agenda *agenda, size_t at, struct agenda_entry entry)
{
	if (at > 0 && agenda->entries[(at - 1) / CHILDREN].due_us > entry.due_us)
		sift_up(agenda, at, entry);
	else
		sift_down(agenda, at, entry);
}

static int resize(struct agenda *agenda, size_t capacity)
{
	struct agenda_entry *entries = pages_resize(
		agenda->entries, agenda->capacity * sizeof *entries, capacity * sizeof *entries);

	if (!entries)
		return -ENOMEM;
	agenda->entries = entries;
	agenda->capacity = capacity;
	return 0;
}

/* What a crowd took is given back; to give back less is fine. */
static void shrink(struct agenda *agenda, size_t count)
{
	if (agenda->capacity > CAPACITY_MIN && count < agenda->capacity / 4)
		(void)resize(agenda, agenda->capacity / 2);
}

int agenda_reserve(struct agenda *agenda, size_t count)
{
	size_t grown = agenda->capacity + agenda->capacity / 2;

	assert(count >= agenda->used);
	shrink(agenda, count);
	if (count <= agenda->capacity)
		return 0;
	if (count > AGENDA_MAX)
		return -ENOMEM;
	if (grown < CAPACITY_MIN)
		grown = CAPACITY_MIN;
	return resize(agenda, count > grown ? count : grown);
}

/* ---- the loop's timer ----------------------------------------------------------------------- */

static void stop_timer(struct agenda *agenda)
{
	agenda->timer_us = 0;
	ev_timer_stop(agenda->loop, &agenda->timer);
}

/* Sees to it that the loop wakes up for the earliest. */
static void start_timer(struct agenda *agenda, int64_t now_us)
{
	int64_t due_us = agenda->entries[0].due_us;

	if (agenda->timer_us != 0 && agenda->timer_us <= due_us)
		return;
	stop_timer(agenda);
	ev_timer_set(&agenda->timer, due_us > now_us ? SECONDS(due_us - now_us) : 0., 0.);
	ev_timer_start(agenda->loop, &agenda->timer);
	agenda->timer_us = due_us;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct agenda *agenda = watcher->data;
	int64_t now_us = monotonic_us();

	(void)loop;
	(void)events;
	/* The time that has passed stays in timer_us: what is set meanwhile waits for the end of
	 * this. */
	for (int i = 0; i < AGENDA_TURN && agenda->used > 0; i++) {
		struct agenda_entry earliest = agenda->entries[0];

		if (earliest.due_us > now_us)
			break;
		agenda_drop(agenda, earliest.relay);
		agenda->on_due(earliest.relay, earliest.due_us);
	}
	agenda->timer_us = 0;
	if (agenda->used > 0)
		start_timer(agenda, now_us);
}

/* ---- for the relays ------------------------------------------------------------------------- */

void agenda_init(struct agenda *agenda, struct ev_loop *loop, agenda_handler *on_due)
{
	*agenda = (struct agenda){ .loop = loop, .on_due = on_due };
	ev_timer_init(&agenda->timer, on_timer, 0., 0.);
	agenda->timer.data = agenda;
}

void agenda_fini(struct agenda *agenda)
{
	stop_timer(agenda);
	pages_unmap(agenda->entries, agenda->capacity * sizeof *agenda->entries);
	agenda->entries = NULL;
	agenda->used = agenda->capacity = 0;
}

void agenda_set(struct agenda *agenda, struct relay *relay, int64_t due_us, int64_t now_us)
{
	const struct agenda_entry entry = { due_us, relay };

	if (relay->agenda_place == 0) {
		assert(agenda->used < agenda->capacity);
		sift_up(agenda, agenda->used++, entry);
	} else {
		fill_gap(agenda, relay->agenda_place - 1, entry);
	}
	start_timer(agenda, now_us);
}

void agenda_drop(struct agenda *agenda, struct relay *relay)
{
	struct agenda_entry last;

	if (relay->agenda_place == 0)
		return;
	last = agenda->entries[--agenda->used];
	if (last.relay != relay)
		fill_gap(agenda, relay->agenda_place - 1, last);
	relay->agenda_place = 0;
	if (agenda->used == 0)
		stop_timer(agenda);
}

int64_t agenda_due_us(const struct agenda *agenda, const struct relay *relay)
{
	return relay->agenda_place > 0 ? agenda->entries[relay->agenda_place - 1].due_us : 0;
}
