#ifndef FINBACK_DAEMON_AGENDA_H
#define FINBACK_DAEMON_AGENDA_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

/*
 * When which session of one worker is to be looked at: a heap of times, of which the loop knows the
 * earliest. A session costs 16 bytes in it, where a timer of the loop's own costs 56, and to move
 * the earliest does not bother the loop unless it has to wake up sooner. Never allocates when a
 * time is set: room is made when a session comes.
 */

struct relay;

struct agenda_entry {
	int64_t due_us;
	struct relay *relay;
};

/* Its time has come; it is not in the agenda any more, and may be set again. */
typedef void agenda_handler(struct relay *relay, int64_t due_us);

struct agenda {
	struct ev_loop *loop;
	ev_timer timer;
	int64_t timer_us; /* when it fires; 0: it does not run */
	agenda_handler *on_due;
	struct agenda_entry *entries; /* a heap: the earliest on top */
	size_t used;
	size_t capacity;
};

/* As many as a relay's 24 bits for its place can tell apart. */
#define AGENDA_MAX 0xffffff

/* At most so many in one turn of the loop; the others follow in the next. */
#define AGENDA_TURN 256

void agenda_init(struct agenda *agenda, struct ev_loop *loop, agenda_handler *on_due);
void agenda_fini(struct agenda *agenda);

/* Makes room for `count` in all, those that are in it included, so that agenda_set() cannot fail
 * for so many; gives back room for far more. Returns 0 or -ENOMEM. */
int agenda_reserve(struct agenda *agenda, size_t count);

/* Puts a relay in, or moves it to another time, of CLOCK_MONOTONIC. `now_us` is that of the
 * callback. */
void agenda_set(struct agenda *agenda, struct relay *relay, int64_t due_us, int64_t now_us);

/* Takes one out; it need not be in. */
void agenda_drop(struct agenda *agenda, struct relay *relay);

/* For when it is set; 0: it is not in. */
int64_t agenda_due_us(const struct agenda *agenda, const struct relay *relay);

#endif
