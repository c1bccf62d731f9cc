/*
 * A pool of pipes.
 *
 * Invariant: what pipes_take() returns is empty, does not block, and takes 64 KiB or more.
 *
 * Surprising: beyond fs.pipe-user-pages-soft an unprivileged user still gets pipes, of 8 KiB, and
 * may not enlarge them (pipe(7)). Such a pipe is closed again, and the kernel left alone for a
 * while.
 */
#include <finback/io/pipes.h>

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* After a refusal: each would be three calls for nothing. */
#define SKIPS 1000

void pipes_init(struct pipes *pipes, unsigned max)
{
	*pipes = (struct pipes){ .max = max };
}

/* The size that it really has; 0: too small. */
static uint32_t enlarge(int fd)
{
	int size = fcntl(fd, F_SETPIPE_SZ, PIPES_BYTES);

	if (size < 0)
		size = fcntl(fd, F_GETPIPE_SZ);
	return size >= PIPES_BYTES_MIN ? (uint32_t)size : 0;
}

static void destroy(struct pipes *pipes, struct pipe *pipe)
{
	close(pipe->fds[0]);
	close(pipe->fds[1]);
	free(pipe);
	pipes->open--;
}

static struct pipe *create(struct pipes *pipes)
{
	struct pipe *pipe = malloc(sizeof *pipe);

	if (!pipe)
		return NULL;
	*pipe = (struct pipe){ .used = 0 };
	if (pipe2(pipe->fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	pipes->open++;
	pipe->room = enlarge(pipe->fds[1]);
	if (pipe->room == 0) {
		destroy(pipes, pipe);
		return NULL;
	}
	return pipe;
}

void pipes_fini(struct pipes *pipes)
{
	while (pipes->idle) {
		struct pipe *pipe = pipes->idle;

		pipes->idle = pipe->next;
		destroy(pipes, pipe);
	}
	pipes->idle_count = 0;
}

struct pipe *pipes_take(struct pipes *pipes)
{
	struct pipe *pipe = pipes->idle;

	if (pipe) {
		pipes->idle = pipe->next;
		pipes->idle_count--;
		return pipe;
	}
	if (pipes->open >= pipes->max)
		return NULL;
	if (pipes->skips > 0) {
		pipes->skips--;
		return NULL;
	}
	pipe = create(pipes);
	if (!pipe)
		pipes->skips = SKIPS;
	return pipe;
}

void pipes_give(struct pipes *pipes, struct pipe *pipe)
{
	if (!pipe)
		return;
	if (pipe->used > 0 || pipes->idle_count >= PIPES_IDLE_MAX) {
		destroy(pipes, pipe);
		return;
	}
	pipe->next = pipes->idle;
	pipes->idle = pipe;
	pipes->idle_count++;
}
