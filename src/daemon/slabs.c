/*
 * Records in slabs.
 *
 * Invariant: a slab begins at a multiple of its size, so that the address of a record says which it
 * lies in. One with room is on the list; a full one is not, and its first free record puts it
 * there.
 *
 * Surprising: pages of a slab that were never taken from are not there yet, so records that were
 * given back are taken again before any that are new.
 */
#include <finback/daemon/pages.h>
#include <finback/daemon/slabs.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__ /* it finds who looks into a record that is free */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

struct free_record {
	struct free_record *next;
};

struct slab {
	struct slab *next; /* with room, too */
	struct slab *previous;
	struct free_record *given_back;
	uint32_t taken;
	uint32_t new_at; /* from here on no record was taken yet */
};

/* Mostly below the slab before it, which is where it should be. Else room for two has one. */
static void *map_aligned(void)
{
	unsigned char *at = pages_map(SLAB_BYTES);
	size_t before;

	if (!at || (uintptr_t)at % SLAB_BYTES == 0)
		return at;
	pages_unmap(at, SLAB_BYTES);
	at = pages_map(2 * SLAB_BYTES);
	if (!at)
		return NULL;
	before = SLAB_BYTES - (uintptr_t)at % SLAB_BYTES;
	pages_unmap(at, before);
	pages_unmap(at + before + SLAB_BYTES, SLAB_BYTES - before);
	return at + before;
}

static struct slab *create(struct slabs *slabs)
{
	struct slab *slab = map_aligned();

	if (!slab)
		return NULL;
	slab->new_at = sizeof *slab;
	ASAN_POISON_MEMORY_REGION(slab + 1, SLAB_BYTES - sizeof *slab);
	slabs->count++;
	return slab;
}

static void destroy(struct slabs *slabs, struct slab *slab)
{
	if (!slab)
		return;
	slabs->count--;
	ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_BYTES);
	pages_unmap(slab, SLAB_BYTES);
}

static void open_slab(struct slabs *slabs, struct slab *slab)
{
	slab->previous = NULL;
	slab->next = slabs->open;
	if (slab->next)
		slab->next->previous = slab;
	slabs->open = slab;
}

static void close_slab(struct slabs *slabs, struct slab *slab)
{
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		slabs->open = slab->next;
	if (slab->next)
		slab->next->previous = slab->previous;
}

static bool has_room(const struct slabs *slabs, const struct slab *slab)
{
	return slab->given_back || slab->new_at + slabs->record_bytes <= SLAB_BYTES;
}

void slabs_init(struct slabs *slabs, size_t record_bytes)
{
	size_t unit = sizeof(struct free_record);

	*slabs = (struct slabs){ .record_bytes = (record_bytes + unit - 1) / unit * unit };
	assert(slabs->record_bytes <= SLAB_BYTES / 8);
}

void slabs_fini(struct slabs *slabs)
{
	assert(!slabs->open);
	destroy(slabs, slabs->spare);
	slabs->spare = NULL;
	assert(slabs->count == 0);
}

/* Opens one where none has room. Returns whether there is one. */
static bool find_room(struct slabs *slabs)
{
	struct slab *slab = slabs->spare;

	if (slabs->open)
		return true;
	if (!slab)
		slab = create(slabs);
	if (!slab)
		return false;
	slabs->spare = NULL;
	open_slab(slabs, slab);
	return true;
}

void *slabs_take(struct slabs *slabs)
{
	struct slab *slab;
	struct free_record *record;

	if (!find_room(slabs))
		return NULL;
	slab = slabs->open;
	record = slab->given_back;
	if (!record) {
		record = (struct free_record *)((unsigned char *)slab + slab->new_at);
		slab->new_at += (uint32_t)slabs->record_bytes;
	}
	ASAN_UNPOISON_MEMORY_REGION(record, slabs->record_bytes);
	if (slab->given_back)
		slab->given_back = record->next;
	slab->taken++;
	if (!has_room(slabs, slab))
		close_slab(slabs, slab);
	return memset(record, 0, slabs->record_bytes);
}

/* One is kept: who comes and goes at its edge does not map and unmap it each time. */
static void retire(struct slabs *slabs, struct slab *slab)
{
	close_slab(slabs, slab);
	if (slabs->spare)
		destroy(slabs, slab);
	else
		slabs->spare = slab;
}

void slabs_give(struct slabs *slabs, void *record)
{
	struct free_record *free_record = record;
	struct slab *slab = (struct slab *)((uintptr_t)record & ~(uintptr_t)(SLAB_BYTES - 1));

	if (!record)
		return;
	assert(slab->taken > 0);
	if (!has_room(slabs, slab))
		open_slab(slabs, slab);
	free_record->next = slab->given_back;
	slab->given_back = free_record;
	ASAN_POISON_MEMORY_REGION(record, slabs->record_bytes);
	if (--slab->taken == 0)
		retire(slabs, slab);
}
