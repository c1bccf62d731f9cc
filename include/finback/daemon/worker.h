#ifndef FINBACK_DAEMON_WORKER_H
#define FINBACK_DAEMON_WORKER_H

#include <finback/daemon/generation.h>
#include <finback/daemon/listener.h>
#include <finback/daemon/mailbox.h>
#include <finback/daemon/relay.h>
#include <finback/engine/ending.h>

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A thread, its loop, its mailbox, its relays; and all of them together, the crew. The only file
 * that knows threads. What workers share is immutable or atomic; all else comes by letter.
 */

struct crew;

struct worker {
	/* What other threads touch, on a cache line without what this one works with. */
	_Alignas(64) atomic_uint active; /* sessions placed on it and not yet reaped */
	_Atomic int64_t beat_us;         /* when its loop last answered */
	_Atomic uint64_t pauses;         /* times that it had nothing to accept with */
	struct crew *crew;
	size_t index;
	pthread_t thread;
	struct ev_loop *loop;
	struct mailbox mailbox;
	struct relays relays;
	struct listener *listeners; /* the thread's */
	bool is_started;
	bool is_draining; /* the thread's, as all that follows */
	bool is_over;
	int64_t spin_us;    /* how long it polls before it sleeps */
	int64_t stirred_us; /* while it may spin: when something last happened */
	ev_check stirred;
};

struct crew {
	size_t count;
	struct worker *workers;
	atomic_uint max_sessions; /* of the process */
	/* Set before the start: */
	unsigned descriptor_sessions; /* that the descriptor limit allows */
	unsigned pipes;               /* of each worker, at most */
	enum pump_way way;            /* of bytes, in each worker */
	struct mailbox *supervisor;
	size_t next_listener; /* whose turn it is to own one; the supervisor's */
	letter_handler
		*on_reply; /* posted to the supervisor after each crew_unlisten and crew_sync */
	letter_handler *on_empty; /* posted when a draining worker has no session left */
};

/* Starts `count` workers, which take no signals. Returns 0 or -errno with nothing left running. */
int crew_start(struct crew *crew, size_t count, struct mailbox *supervisor,
	       letter_handler *on_reply, letter_handler *on_empty);

/* Ends the threads. No session may be left, no listener started. What was theirs can be read now.
 */
void crew_stop(struct crew *crew);

/* Releases what crew_start made, after crew_stop. */
void crew_fini(struct crew *crew);

/* Sessions now, those on their way to a worker included. Any thread. */
unsigned crew_active(const struct crew *crew);

/* Counts one session more on the worker with the fewest; `own` where it is one of these. */
struct worker *crew_place(struct crew *crew, struct worker *own);

/* Hands an accepted connection to the worker that crew_place chose. */
void worker_adopt(struct worker *worker, struct worker *from, const struct route *route, int fd,
		  const struct address *peer);

/* By letter, from the supervisor. Listeners are spread over the workers; each stays with its own.
 * All take over the caller's reference to the route's generation. */
void crew_listen(struct crew *crew, struct listener *listener, const struct route *route);
void crew_reroute(struct listener *listener, const struct route *route);
void crew_unlisten(struct listener *listener);

/* A letter to a worker, and one from it to the supervisor. None is lost: who posts waits for
 * memory.
 */
void worker_post(struct worker *worker, const struct letter *letter);
void worker_reply(struct worker *worker, const struct letter *letter);

/* By letter: ends all sessions; tells when none is left; asks each loop for a sign of life. */
void crew_cut(struct crew *crew, enum ending ending);
void crew_drain(struct crew *crew);

/* By letter: how long a worker goes on asking for readiness after something has happened, before it
 * sleeps; 0: not at all. */
void crew_spin(struct crew *crew, int64_t spin_us);

/* By letter: every worker replies once it has handled all letters before this one. */
void crew_sync(struct crew *crew);
void crew_beat(struct crew *crew);

/* The oldest sign of life, by monotonic_us(). */
int64_t crew_oldest_beat_us(const struct crew *crew);

#endif
