/*
 * A heap whose keys are lower bounds.
 *
 * Invariant: an entry's time is never after the session's last progress. So the top is right once
 * it has been asked and has nothing later to say.
 *
 * Surprising: to find the longest-silent one may correct many entries, yet no more than there were
 * sessions that moved since they were last asked.
 */
#include <finback/daemon/silence.h>

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

void silence_init(struct silence *silence)
{
	*silence = (struct silence){ .since_us = SILENCE_NOBODY };
}

void silence_fini(struct silence *silence)
{
	free(silence->entries);
	silence_init(silence);
}

static void publish(struct silence *silence)
{
	int64_t since_us = silence->used > 0 ? silence->entries[0].since_us : SILENCE_NOBODY;

	atomic_store_explicit(&silence->since_us, since_us, memory_order_relaxed);
}

static void swap(struct silence_entry *a, struct silence_entry *b)
{
	struct silence_entry kept = *a;

	*a = *b;
	*b = kept;
}

static void sift_up(struct silence *silence, size_t at)
{
	struct silence_entry *entries = silence->entries;

	while (at > 0 && entries[at].since_us < entries[(at - 1) / 2].since_us) {
		swap(&entries[at], &entries[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

/* The earlier child of an entry; `used` where it has none. */
static size_t earlier_child(const struct silence *silence, size_t at)
{
	size_t left = at * 2 + 1;
	size_t right = left + 1;

	if (left >= silence->used)
		return silence->used;
	if (right < silence->used &&
	    silence->entries[right].since_us < silence->entries[left].since_us)
		return right;
	return left;
}

static void sift_down(struct silence *silence, size_t at)
{
	struct silence_entry *entries = silence->entries;
	size_t child = earlier_child(silence, at);

	while (child < silence->used && entries[child].since_us < entries[at].since_us) {
		swap(&entries[child], &entries[at]);
		at = child;
		child = earlier_child(silence, at);
	}
}

static int resize(struct silence *silence, size_t capacity)
{
	struct silence_entry *entries = reallocarray(silence->entries, capacity, sizeof *entries);

	if (!entries)
		return -ENOMEM;
	silence->entries = entries;
	silence->capacity = capacity;
	return 0;
}

int silence_add(struct silence *silence, uint64_t id, int64_t since_us)
{
	size_t capacity = silence->capacity > 0 ? silence->capacity * 2 : CAPACITY_MIN;

	if (silence->used == silence->capacity && resize(silence, capacity) < 0)
		return -ENOMEM;
	silence->entries[silence->used] = (struct silence_entry){ since_us, id };
	sift_up(silence, silence->used++);
	publish(silence);
	return 0;
}

/* What a crowd took is given back. To give back less is fine. */
static void shrink(struct silence *silence)
{
	if (silence->capacity > CAPACITY_MIN && silence->used < silence->capacity / 4)
		(void)resize(silence, silence->capacity / 2);
}

/* Throws out all that are gone, and makes a heap of the rest. */
static void rebuild(struct silence *silence, silence_asker *ask, void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < silence->used; i++) {
		struct silence_entry entry = silence->entries[i];

		entry.since_us = ask(context, entry.id);
		if (entry.since_us != SILENCE_NOBODY)
			silence->entries[kept++] = entry;
	}
	silence->used = kept;
	silence->gone = 0;
	for (size_t at = kept / 2; at-- > 0;)
		sift_down(silence, at);
	shrink(silence);
	publish(silence);
}

void silence_forget(struct silence *silence, silence_asker *ask, void *context)
{
	silence->gone++;
	if (silence->gone > silence->used / 2)
		rebuild(silence, ask, context);
}

/* The top is gone. */
static void drop_top(struct silence *silence)
{
	silence->entries[0] = silence->entries[--silence->used];
	if (silence->gone > 0)
		silence->gone--;
	sift_down(silence, 0);
	shrink(silence);
}

uint64_t silence_longest(struct silence *silence, silence_asker *ask, void *context,
			 int64_t *ret_since_us)
{
	uint64_t id = 0;

	*ret_since_us = SILENCE_NOBODY;
	/* Bounded: an entry is dropped, or put right; once put right it is found right. */
	while (silence->used > 0) {
		struct silence_entry *top = &silence->entries[0];
		int64_t since_us = ask(context, top->id);

		if (since_us == SILENCE_NOBODY) {
			drop_top(silence);
		} else if (since_us > top->since_us) {
			top->since_us = since_us;
			sift_down(silence, 0);
		} else {
			id = top->id;
			*ret_since_us = top->since_us;
			break;
		}
	}
	publish(silence);
	return id;
}
