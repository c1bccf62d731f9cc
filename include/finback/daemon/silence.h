#ifndef FINBACK_DAEMON_SILENCE_H
#define FINBACK_DAEMON_SILENCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who has been silent for longest, of one worker's sessions: a heap of ids by the time of their
 * last progress. A session that moves tells nobody; the time in its entry is then too early, and is
 * put right when the entry comes to the top. So progress costs nothing here, a session's record has
 * no field for it, and each correction is paid for by progress that there was.
 */

struct silence_entry {
	int64_t since_us; /* the last progress that is known: the real one is not before it */
	uint64_t id;
};

struct silence {
	struct silence_entry *entries; /* a heap: the earliest on top */
	size_t used;                   /* those that are gone included */
	size_t gone;
	size_t capacity;
	_Atomic int64_t since_us; /* of the top; any thread may read */
};

/* SILENCE_NOBODY: as a time of the top, there is none; as a session's progress, it is gone. */
#define SILENCE_NOBODY INT64_MAX

/* When a session last made progress, which is never before what was said of it earlier;
 * SILENCE_NOBODY: it does not count any more. */
typedef int64_t silence_asker(void *context, uint64_t id);

void silence_init(struct silence *silence);
void silence_fini(struct silence *silence);

/* Adds one that is not in it. Returns 0, or -ENOMEM with nothing changed. */
int silence_add(struct silence *silence, uint64_t id, int64_t since_us);

/* One of them is gone: from now on `ask` says so of it. Those that are gone are thrown out before
 * they are more than half. */
void silence_forget(struct silence *silence, silence_asker *ask, void *context);

/* The one that has been silent for longest, by what `ask` says now, with its last progress in
 * *ret_since_us. It stays. 0 and SILENCE_NOBODY: there is none. */
uint64_t silence_longest(struct silence *silence, silence_asker *ask, void *context,
			 int64_t *ret_since_us);

/* The time of the top, which is not after any real one: any thread. */
static inline int64_t silence_since_us(const struct silence *silence)
{
	return atomic_load_explicit(&silence->since_us, memory_order_relaxed);
}

#endif
