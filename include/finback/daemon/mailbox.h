#ifndef FINBACK_DAEMON_MAILBOX_H
#define FINBACK_DAEMON_MAILBOX_H

#include <finback/io/address.h>

#include <ev.h>
#include <pthread.h>
#include <stddef.h>

/*
 * Letters from one thread's loop to another's: a function to be called there with its arguments.
 * First in, first out. A letter of a fixed size holds what a session's hand-over needs, so that
 * nothing is allocated for each of them.
 */

struct letter;
typedef void letter_handler(void *recipient, struct letter *letter);

struct letter {
	letter_handler *handle; /* called in the recipient's thread, once */
	void *subject;
	void *object;
	int fd;
	struct address address;
};

struct mailbox {
	struct ev_loop *loop;
	ev_async arrival;
	void *recipient;
	pthread_mutex_t lock;
	struct letter *letters; /* waiting; guarded by lock */
	struct letter *opened;  /* being handled; the recipient's alone */
	size_t count;
	size_t capacity;
	size_t opened_capacity;
};

/* In the thread that will own `loop`, or before it runs. Returns 0 or -errno. */
int mailbox_init(struct mailbox *mailbox, struct ev_loop *loop, void *recipient);

/* When no other thread can post any more. Letters that still wait are handled first. */
void mailbox_fini(struct mailbox *mailbox);

/* Posts a copy of the letter. Any thread. Returns 0, or -ENOMEM with nothing posted. */
int mailbox_post(struct mailbox *mailbox, const struct letter *letter);

/* Handles all that waits now. The recipient's thread; its loop calls it when letters arrive. */
void mailbox_open(struct mailbox *mailbox);

#endif
