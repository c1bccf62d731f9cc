/*
 * Edge-triggered readiness, with FIN, reset and "all acknowledged" seen as they happen.
 *
 * Invariant: every interest is always on, so no call changes it while a session lives, and no state
 * of a socket wakes anybody twice.
 *
 * Surprising: EPOLLOUT also comes when our FIN is acknowledged, as the socket leaves FIN_WAIT1; no
 * level-triggered event tells that.
 */
#include <finback/io/poller.h>

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

static_assert((uint32_t)READY_READ == EPOLLIN && (uint32_t)READY_URGENT == EPOLLPRI &&
		      (uint32_t)READY_WRITE == EPOLLOUT && (uint32_t)READY_ERROR == EPOLLERR &&
		      (uint32_t)READY_HUP == EPOLLHUP && (uint32_t)READY_FIN == EPOLLRDHUP,
	      "no bit needs to be translated");

int poller_init(struct poller *poller)
{
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	return poller->fd < 0 ? -errno : 0;
}

void poller_fini(struct poller *poller)
{
	if (poller->fd >= 0)
		close(poller->fd);
	poller->fd = -1;
}

int poller_add(struct poller *poller, int fd, void *owner, enum side side)
{
	/* The side is the lowest bit of the pointer, which alignment leaves free. */
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
		.data.u64 = (uint64_t)(uintptr_t)owner | (uint64_t)side,
	};

	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int poller_take(struct poller *poller, struct poller_event ret_events[POLLER_BATCH])
{
	struct epoll_event events[POLLER_BATCH];
	int count = epoll_wait(poller->fd, events, POLLER_BATCH, 0);

	for (int i = 0; i < count; i++) {
		uintptr_t data = (uintptr_t)events[i].data.u64;

		ret_events[i] = (struct poller_event){
			.owner = (void *)(data &
					  ~(uintptr_t)1), /* NOLINT(performance-no-int-to-ptr) */
			.side = data & 1 ? SERVER : CLIENT,
			.ready = events[i].events,
		};
	}
	return count < 0 ? 0 : count; /* EINTR: what is ready stays so */
}
