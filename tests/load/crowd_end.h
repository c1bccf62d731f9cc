#ifndef FINBACK_LOAD_CROWD_END_H
#define FINBACK_LOAD_CROWD_END_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "crowd_plan.h"
#include "net.h"

/*
 * One end of a session of the crowd: plays its script on a socket and checks what arrives against
 * what the other end has really done: its bytes, an end of file only for a FIN that was sent, and a
 * reset only where the other end made one.
 *
 * A server's end learns its session from the client's first bytes. Where none come within
 * END_GREETING_US, it speaks first, and the client that reads its number makes the two a pair.
 */

#define END_GREETING_US 10000

struct session;

struct end {
	struct watch watch;
	enum role role;
	uint64_t number;         /* of the session (client) or the connection (server) */
	struct session *session; /* NULL: a server's end that does not know it yet */
	struct end *peer;        /* NULL: not known yet */
	uint64_t sent;
	uint64_t received;
	uint8_t header[HEADER_SIZE]; /* as received */
	bool connected;
	bool greeted;          /* sends its header before it knows its session */
	bool answers_nameless; /* greets a client that ended without a byte */
	bool paused;
	bool fin_sent;
	bool got_eof;
	bool aborted; /* has cut the session off */
	bool got_reset;
	bool over;
	unsigned slow_reads_done;
	int64_t greet_us;
	int64_t pause_until_us;
	int64_t read_us;
	int64_t finish_us;
	int64_t deadline_us; /* stuck, when nothing has moved until then */
	int64_t wake_us;     /* when to step next without an event; INT64_MAX: never */
	LIST_ENTRY(end) live;
};

struct session {
	struct plan plan;
	struct end client;
	bool failed;
};

/* What ends need to know of the run. */
struct end_context {
	int64_t patience_us;
	/* The other end that this number, read by `end`, stands for; NULL: there is none such. */
	struct end *(*find)(const struct end *end, uint64_t number);
};

void end_setup(const struct end_context *run);

/* For a connected or connecting socket; the caller has set role, number, session and
 * answers_nameless. */
void end_start(struct end *end, int fd, int64_t now_us);

/* Moves whatever can be moved. Sets `over` once the socket is closed. */
void end_step(struct end *end, int64_t now_us);

/* For one whose time has come: steps, or says that it is stuck. */
void end_tick(struct end *end, int64_t now_us);

/* Reports what is wrong and gives the session up. */
void end_fail(struct end *end, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
