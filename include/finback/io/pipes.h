#ifndef FINBACK_IO_PIPES_H
#define FINBACK_IO_PIPES_H

#include <stdint.h>

/*
 * The pipes that a worker splices through (splice(2)). A flow has one only while bytes are in it;
 * an empty one goes back to the pool and serves the next flow. Bounded: who gets none copies.
 */

struct pipe {
	int fds[2];        /* to read from, to write to (pipe(2)); neither blocks */
	uint32_t room;     /* bytes that a splice may ask for */
	uint32_t used;     /* bytes in it */
	struct pipe *next; /* in the pool */
};

struct pipes {
	struct pipe *idle;
	unsigned idle_count;
	unsigned open; /* all, those in use included */
	unsigned max;
	unsigned skips; /* so many that are asked for are refused unseen */
};

/* A pipe as large as an unprivileged process may make it as long as few are there (pipe(7)). */
#define PIPES_BYTES (256 * 1024)
/* A smaller one is not worth its calls: what a user gets beyond fs.pipe-user-pages-soft. */
#define PIPES_BYTES_MIN (64 * 1024)
/* Kept when they are empty; more are closed. */
#define PIPES_IDLE_MAX 64

/* At most `max` pipes at once; 0: none. Opens nothing yet. */
void pipes_init(struct pipes *pipes, unsigned max);

/* Closes the idle ones. None is in use any more. */
void pipes_fini(struct pipes *pipes);

/* An empty pipe. NULL: there are as many as there may be, or the kernel gives none, or only small
 * ones; then it is not asked again for some time. */
struct pipe *pipes_take(struct pipes *pipes);

/* Takes a pipe back. One that is not empty is closed with what is in it. NULL is fine. */
void pipes_give(struct pipes *pipes, struct pipe *pipe);

#endif
