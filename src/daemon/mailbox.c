/*
 * Letters between loops.
 *
 * Invariant: a letter is handled once, in the recipient's thread, in the order of posting. The lock
 * is held for a copy or a swap, never while a letter is handled.
 *
 * Surprising: ev_async_send makes no system call while the recipient's loop is awake.
 */
#include <finback/daemon/mailbox.h>

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64

static void on_arrival(struct ev_loop *loop, ev_async *watcher, int events)
{
	(void)loop;
	(void)events;
	mailbox_open(watcher->data);
}

int mailbox_init(struct mailbox *mailbox, struct ev_loop *loop, void *recipient)
{
	int error = pthread_mutex_init(&mailbox->lock, NULL);

	if (error != 0)
		return -error;
	mailbox->loop = loop;
	mailbox->recipient = recipient;
	mailbox->letters = mailbox->opened = NULL;
	mailbox->count = mailbox->capacity = mailbox->opened_capacity = 0;
	ev_async_init(&mailbox->arrival, on_arrival);
	mailbox->arrival.data = mailbox;
	ev_async_start(loop, &mailbox->arrival);
	return 0;
}

void mailbox_fini(struct mailbox *mailbox)
{
	/* Letters may post letters. Nobody else can any more, so the count needs no lock. */
	while (mailbox->count > 0)
		mailbox_open(mailbox);
	ev_async_stop(mailbox->loop, &mailbox->arrival);
	free(mailbox->letters);
	free(mailbox->opened);
	(void)pthread_mutex_destroy(&mailbox->lock); /* fails only while it is held */
}

static int make_room(struct mailbox *mailbox)
{
	size_t capacity = mailbox->capacity ? mailbox->capacity * 2 : FIRST_CAPACITY;
	struct letter *letters;

	if (mailbox->count < mailbox->capacity)
		return 0;
	letters = reallocarray(mailbox->letters, capacity, sizeof *letters);
	if (!letters)
		return -ENOMEM;
	mailbox->letters = letters;
	mailbox->capacity = capacity;
	return 0;
}

int mailbox_post(struct mailbox *mailbox, const struct letter *letter)
{
	int error;

	pthread_mutex_lock(&mailbox->lock);
	error = make_room(mailbox);
	if (error == 0)
		mailbox->letters[mailbox->count++] = *letter;
	pthread_mutex_unlock(&mailbox->lock);
	if (error == 0)
		ev_async_send(mailbox->loop, &mailbox->arrival);
	return error;
}

void mailbox_open(struct mailbox *mailbox)
{
	struct letter *letters;
	size_t count;
	size_t capacity;

	pthread_mutex_lock(&mailbox->lock);
	letters = mailbox->letters;
	count = mailbox->count;
	capacity = mailbox->capacity;
	mailbox->letters = mailbox->opened;
	mailbox->capacity = mailbox->opened_capacity;
	mailbox->count = 0;
	pthread_mutex_unlock(&mailbox->lock);

	mailbox->opened = letters;
	mailbox->opened_capacity = capacity;
	for (size_t i = 0; i < count; i++)
		letters[i].handle(mailbox->recipient, &letters[i]);
}
