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

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

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

static unsigned ready_of(uint32_t events)
{
	static const struct {
		uint32_t event;
		unsigned ready;
	} meanings[] = {
		{ EPOLLIN, READY_READ },    { EPOLLOUT, READY_WRITE }, { EPOLLRDHUP, READY_FIN },
		{ EPOLLPRI, READY_URGENT }, { EPOLLHUP, READY_HUP },   { EPOLLERR, READY_ERROR },
	};
	unsigned ready = 0;

	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (events & meanings[i].event)
			ready |= meanings[i].ready;
	return ready;
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
			.ready = ready_of(events[i].events),
		};
	}
	return count < 0 ? 0 : count; /* EINTR: what is ready stays so */
}
