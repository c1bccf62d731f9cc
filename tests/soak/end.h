#ifndef FINBACK_SOAK_END_H
#define FINBACK_SOAK_END_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../load/net.h"
#include "script.h"

/*
 * One end of a session: plays its script on a socket, and checks what arrives against what the
 * other end has really done: its bytes, an end of file only for a FIN that was sent, and a reset
 * only where the other end has vanished.
 *
 * One that vanishes keeps its socket, and with it the port, but from then on nothing that arrives
 * reaches it, not even its kernel's TCP, and what it still sends carries END_SILENT, for which its
 * host drops it: no FIN, no reset, no acknowledgement.
 */

#define END_SILENT 0xdead

struct session;

struct end {
	struct watch watch;
	enum role role;
	struct session *session; /* NULL: a server's end that does not know it yet */
	uint8_t name[NAME_SIZE]; /* the session's, as received */
	unsigned named;          /* bytes of it */
	unsigned step;
	unsigned heard; /* messages */
	uint64_t sent;
	uint64_t received;
	uint64_t goal;         /* of the step's message or messages, in sent or received; 0: none */
	int64_t moved_us;      /* when the last byte moved */
	int64_t wake_us;       /* when to step next without an event; INT64_MAX: never */
	int64_t wait_until_us; /* 0: not waiting */
	int64_t over_us;
	bool is_connected;
	bool is_flooded; /* its flood is over */
	bool fin_sent;
	bool got_eof;
	bool got_reset;
	bool is_over; /* its socket is closed, or has vanished */
	LIST_ENTRY(end) sleeping;
	bool is_sleeping;
};

struct session {
	uint64_t number; /* in the run */
	unsigned slot;
	struct script script;
	struct end *ends[ROLES]; /* the server's: NULL until it is known */
	int64_t begun_us;
	int64_t vanished_us; /* 0: nobody has */
	unsigned note;       /* the caller's, of one that vanishes */
	bool has_failed;
	bool is_known; /* to those who look for it by its name */
};

struct end_context {
	const struct script_settings *settings;
	/* The session that a server's end has read the name of; NULL: there is none such. */
	struct session *(*find)(const uint8_t name[NAME_SIZE]);
	void (*write_name)(const struct session *session, uint8_t name[NAME_SIZE]);
	/* An end is over, its session with it if both are. */
	void (*on_over)(struct end *end);
	LIST_HEAD(end_list, end) sleepers;
};

void end_setup(struct end_context *context);

/* For a connecting or connected socket; the caller has set role and session. */
void end_start(struct end *end, int fd);

/* The server's end of this session is this one. */
void end_join(struct end *end, struct session *session);

/* Goes on for as long as it can without waiting. */
void end_play(struct end *end, int64_t now_us);

/* Steps those whose time has come. */
void end_wake(int64_t now_us);

/* Reports what is wrong, and gives the session up. */
void end_fail(struct end *end, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
