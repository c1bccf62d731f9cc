#ifndef FINBACK_SRC_ADMIN_CONTROL_PRIVATE_H
#define FINBACK_SRC_ADMIN_CONTROL_PRIVATE_H

#include <finback/admin/control.h>
#include <finback/admin/text.h>
#include <finback/io/sock.h>

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control_path.h"

/*
 * What the files of the control interface share: control.c is the supervisor's guest,
 * control_door.c lets callers in, control_caller.c looks after them, control_request.c takes a
 * request apart and answers it, control_wait.c keeps one that waits for a worker,
 * control_operations.c knows the paths; the other files answer those that have more to them. All of
 * it runs in the supervisor's thread.
 */

/* What callers may cost, each of the two doors. */
#define CONTROL_CALLERS_MAX      128
#define CONTROL_BACKLOG          1024           /* that wait to be accepted, in the kernel */
#define CONTROL_CALLER_BYTES     (64 * 1024)    /* for a request's head, or a piece of its answer */
#define CONTROL_HEAD_BYTES_MAX   (16 * 1024)    /* of a request; longer ones get 431 ... */
#define CONTROL_URI_BYTES_MAX    PATH_BYTES_MAX /* ... or 414 */
#define CONTROL_BODY_BYTES_MAX   4096           /* 413 */
#define CONTROL_BODY_BYTES_READ  (64 * 1024)    /* and thrown away, so that the 413 is read */
#define CONTROL_IDLE_SECONDS     10             /* a connection on which nothing moves */
#define CONTROL_REQUEST_SECONDS  30  /* until a request is whole; and until its answer is taken */
#define CONTROL_WAITING_MAX      32  /* requests that wait for workers */
#define CONTROL_ANSWER_SECONDS   5   /* until a worker has answered */
#define CONTROL_FAREWELL_SECONDS 0.5 /* at the end, for the answers under way */

/* ---- doors ------------------------------------------------------------------------------------
 */

struct control;
struct request;

/* A listening socket. */
struct entrance {
	struct door *door;
	struct address address;      /* as asked for; a reload knows it by this */
	char text[ADDRESS_TEXT_MAX]; /* what it is bound to: a path without "unix:" */
	int fd;
	dev_t device;   /* of a UNIX socket's file, and ... */
	ino_t inode;    /* ... it is ours as long as they are the same */
	bool is_wanted; /* by the configuration that is being prepared */
	bool is_new;    /* opened for it; not accepting yet */
	ev_io readable;
	struct entrance *next;
};

/* One who is connected. */
struct caller {
	struct MHD_Connection *connection; /* NULL: this place is free */
	int fd;
	int64_t since_us; /* since it was accepted, or its last request was whole or answered */
	struct request *request; /* whole, and not answered yet; NULL: none */
	bool has_said_all;       /* its end of file is there, behind its last request */
	bool is_ended;           /* shut down; the library will notice */
};

/* One way in: an HTTP daemon of libmicrohttpd's and those who are connected to it. */
struct door {
	struct control *control;
	bool is_read_only;
	struct MHD_Daemon *daemon; /* NULL: it was never needed */
	struct entrance *entrances;
	struct caller callers[CONTROL_CALLERS_MAX];
	unsigned waiting; /* requests that wait for workers */
	bool has_leavers; /* callers that have said all */
	ev_io work;       /* the daemon's epoll set */
	ev_timer due;     /* the daemon's next deadline */
	ev_timer watch;   /* looks after callers; runs while there is one */
	ev_timer pause;   /* runs while there is nothing to accept with */
};

/* Nothing is started or opened by it. */
void door_init(struct door *door, struct control *control, bool is_read_only);

/* The entrance at an address; NULL: none. One whose socket file is gone is none: nobody finds it.
 */
struct entrance *door_entrance(struct door *door, const struct address *address);

/* Opens an entrance, which accepts nobody before door_admit. `options` are sock_listen's. Returns 0
 * or -errno. */
int door_open(struct door *door, const struct address *address, const struct sock_listen *options);

/* Lets callers in. */
void door_admit(struct entrance *entrance);

/* Closes those entrances that are not wanted (`is_new` false) or those that are new (true), and
 * removes the files of UNIX sockets. Who already waits at one is let in first. */
void door_close(struct door *door, bool is_new);

/* It has work that its own descriptors do not tell of: runs it at the next turn of the loop. */
void door_wake(struct door *door);

/* Ends it, and all connections; answers under way get CONTROL_FAREWELL_SECONDS. */
void door_fini(struct door *door);

/* ---- callers ----------------------------------------------------------------------------------
 */

/* libmicrohttpd's callback for the beginning and the end of a connection; its owner is the door. */
void caller_on_connection(void *owner, struct MHD_Connection *connection, void **ret_caller,
			  enum MHD_ConnectionNotificationCode code);

/* The place of who is connected by it; NULL: there is none. */
struct caller *caller_of(struct MHD_Connection *connection);

size_t callers_count(const struct door *door);

/* Ends one, for another who wants in. Not one who waits for a worker: fewer may wait than there are
 * places. */
void callers_make_room(struct door *door);

/* Now and then: ends those whose time is up, or who have gone. */
void callers_look_after(struct door *door);

/* After a request was answered: was it the last of this caller's? */
void caller_look_for_end(struct door *door, struct caller *caller);
/* Then, when the library has nothing left to do: ends those whose last request it was. */
void callers_end_leavers(struct door *door);

/* At the end: whether anybody still has a request; and whoever has is told that it is over. */
bool callers_have_requests(const struct door *door);
void callers_send_away(struct door *door);

/* ---- requests ---------------------------------------------------------------------------------
 */

struct wait;

/* What it takes beside its path. */
enum operation_input {
	INPUT_NONE,
	INPUT_QUERY,
	INPUT_BODY
};

struct operation {
	const char *pattern; /* as path_fits takes it */
	const char *method;
	void (*handle)(struct request *request);
	enum operation_input input;
};

/* The table, up to a pattern that is NULL. */
extern const struct operation control_operations[];

struct request {
	struct door *door;
	struct caller *caller;
	struct MHD_Connection *connection;
	const struct operation *operation;
	bool is_uri_long;
	bool is_head;  /* HEAD, which is answered as a GET */
	bool is_last;  /* its connection ends with the answer */
	bool is_begun; /* its head was shown to us */
	bool is_whole;
	bool is_suspended;
	int64_t suspended_us;          /* since when */
	bool is_answered;              /* its answer has begun; there is no other any more */
	struct MHD_Response *response; /* to be sent; NULL: none yet, or it has begun */
	unsigned status;
	struct wait *wait;  /* NULL: it waits for nobody */
	size_t body_length; /* as it came, even where it is too long */
	char body[CONTROL_BODY_BYTES_MAX + 1];
	struct path path;
};

/* libmicrohttpd's callbacks for a daemon; its owner is the door. */
enum MHD_Result request_on_access(void *owner, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **ret_request);
void *request_on_uri(void *owner, const char *uri, struct MHD_Connection *connection);
void request_on_completed(void *owner, struct MHD_Connection *connection, void **ret_request,
			  enum MHD_RequestTerminationCode code);

/* Each gives the request its answer. Without memory for one the connection is closed instead. */
#define CONTROL_JSON "application/json; charset=utf-8"
void request_answer(struct request *request, unsigned status, const char *type, struct text *text);
void request_refuse(struct request *request, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, piece by piece: `text` is an object without its closing brace, for more members. */
void request_begin_problem(struct text *text, unsigned status, const char *detail);
void request_end_problem(struct request *request, unsigned status, struct text *text);
/* An answer that `read` gives in pieces, called with the request; its size is not known. */
void request_stream(struct request *request, MHD_ContentReaderCallback read);

/* One more header for the answer that it has, if any; without memory for it the answer is gone. */
void request_add_header(struct request *request, const char *name, const char *value);

/* Its answer is there, or the next piece of it; or its connection is to be closed, where there is
 * none and it waits for nothing. */
void request_resume(struct request *request);

/* For MHD_ContentReaderCallback, with a return of 0: the next piece is not there yet. */
void request_suspend(struct request *request);

/* Who asked: "uid 0, pid 123". Returns `text`. */
#define REQUEST_CALLER_MAX 64
char *request_caller(const struct request *request, char text[REQUEST_CALLER_MAX]);

/* ---- waiting for workers ----------------------------------------------------------------------
 */

struct wait_kind {
	size_t size; /* of the struct that begins with a struct wait */
	/* The answer that wait_ask waited for has come, and somebody wants it. */
	void (*on_answer)(struct wait *wait);
	/* Nobody waits any more; what was asked may still be on its way. NULL: nothing to do. */
	void (*on_left)(struct wait *wait);
	/* Releases what it has besides. NULL: nothing. */
	void (*fini)(struct wait *wait);
};

/* What a request waits for. It lives until the request has left it and no worker has it. */
struct wait {
	const struct wait_kind *kind;
	struct control *control;
	struct door *door;
	struct request *request; /* NULL: it has left */
	bool is_asked;           /* a worker has it */
	size_t worker;           /* which one, for words */
	ev_timer limit;
	struct wait *next;
	struct wait **place; /* of the pointer to this one */
};

/* Makes one, zeroed but for its beginning, for a request to wait for. NULL: there are too many, or
 * there is no memory; the request has its answer then, or none. */
struct wait *wait_create(struct request *request, const struct wait_kind *kind);

/* Right after a worker was asked: the request is answered with 503 unless wait_answered is called
 * in time. */
void wait_asked(struct wait *wait, size_t worker);

/* The worker's answer is there: calls on_answer, if anybody still waits. */
void wait_answered(struct wait *wait);

/* The request leaves. NULL is fine. */
void wait_leave(struct wait *wait);

/* The answer is whole: the request leaves and goes on. */
void wait_finish(struct wait *wait);

/* When no worker answers any more: releases what is left. */
void wait_release_all(struct control *control);

/* ---- the whole --------------------------------------------------------------------------------
 */

enum control_door {
	CONTROL_UNIX,
	CONTROL_TCP,
	CONTROL_DOORS
};

struct control {
	struct supervisor *supervisor; /* NULL before the start */
	struct ev_loop *loop;
	struct door doors[CONTROL_DOORS];
	struct wait *waits;
	struct sock_listen options; /* as the configuration has them */
};

struct supervisor_facts control_facts(const struct request *request);

/* Handlers of the operations that have files of their own. */
void sessions_handle_list(struct request *request);
void sessions_handle_one(struct request *request);
void sessions_handle_kill(struct request *request);
struct query;
void sessions_handle_ended(struct request *request, const struct query *query);
void reload_handle(struct request *request);

#endif
