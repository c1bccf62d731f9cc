#ifndef FINBACK_ENGINE_SESSION_H
#define FINBACK_ENGINE_SESSION_H

#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/engine/flow.h>
#include <finback/engine/side.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Two flows and the connect phase: facts about sockets come in, the phase and the flows change, and
 * wishes come out for the relay to carry out. It decides when a session is over and why. Pure: it
 * holds no pointer, asks no clock and calls no system; the record is what a hand-over writes.
 *
 *   connecting --connected--> relaying --both ended--> closing --all acknowledged--> over
 *                                \                        |
 *                                 `--a side lost--> cutting --last bytes delivered--> over
 *
 * Any phase goes straight to over when finback itself cuts the session.
 */

enum session_phase {
	SESSION_CONNECTING, /* the server is being connected to; the client is not read yet */
	SESSION_RELAYING,   /* at least one flow is open */
	SESSION_CLOSING,    /* both flows ended; their last bytes and FINs get acknowledged */
	SESSION_CUTTING,    /* a side is lost: what came from it goes on, then the other is reset */
	SESSION_OVER,       /* close both sockets: their SO_LINGER resets what is not finished */
	SESSION_PHASES
};

/* Where a session is, in the words that users see. */
enum session_state {
	STATE_CONNECTING,
	STATE_OPEN,               /* both flows run */
	STATE_HALF_CLOSED_CLIENT, /* the client's flow has ended, the server's runs */
	STATE_HALF_CLOSED_SERVER,
	STATE_CLOSING, /* both have ended, or a side is lost: the last bytes are delivered */
	STATES
};

enum session_event {
	SESSION_CONNECTED, /* the server answered */
	SESSION_SPOKE,     /* the client's first byte or FIN waits in its socket */
	SESSION_READ,      /* `count` bytes were read from `side` and are held */
	SESSION_WROTE,     /* `count` bytes held of the flow from `side` went on */
	SESSION_ENDED,     /* `side`'s FIN was read: a proven end of file */
	SESSION_LOST, /* `side` was reset or died. Connecting: `count` bytes of it are unread */
	SESSION_EXHAUSTED, /* the last byte of the lost `side` was read */
	SESSION_ACKED, /* the kernel holds `count` bytes, FIN included, unacknowledged by `side` */
	SESSION_INJECTED, /* a probe was put into what goes towards `side`, who had acknowledged all
			   */
	SESSION_SPARED,   /* `idle` has passed, and both peers are known to be alive */
	SESSION_EXPIRED, /* `ending` says by which deadline; `is_gentle`: with FIN, not with a reset
			  */
	SESSION_NEXT,    /* the connect attempt failed or took too long: try the next server */
	SESSION_CUT,     /* finback ends it: `ending` */
	SESSION_EVENTS
};

/* How a side was lost. */
enum loss {
	LOSS_NONE,
	LOSS_RESET, /* RST, or a write that failed */
	LOSS_DEAD   /* no word any more: keepalive, user timeout, unreachable */
};

struct fact {
	enum session_event event;
	enum side side;
	uint32_t count;
	enum ending ending;
	enum loss loss;
	enum detector detector; /* SESSION_LOST, LOSS_DEAD: what found it */
	uint8_t vigil;     /* SESSION_ACKED, is_judged: when it is to be again (engine/vigil) */
	bool is_judged;    /* SESSION_ACKED: and found not dead */
	bool is_after_fin; /* SESSION_LOST: its FIN was genuine and came before */
	bool is_gentle;
};

/* What the relay is to do, as bits. They stay set until it takes them. */
enum wish {
	WISH_FIN_CLIENT = 1 << CLIENT, /* shutdown(SHUT_WR) on the client's socket */
	WISH_FIN_SERVER = 1 << SERVER,
	WISH_DISCARD_CLIENT = 4 << CLIENT, /* throw away what is held of the flow from the client */
	WISH_DISCARD_SERVER = 4 << SERVER,
	WISH_NEXT_SERVER = 16,    /* drop the connect attempt and start the next one */
	WISH_ABANDON_SERVER = 32, /* drop the connect attempt for good */
	WISH_LOOK = 64,           /* look now how much is unacknowledged, and report it */
	WISH_REARM = 128          /* the next deadline may be nearer than before */
};

#define WISH_FIN(side)     ((unsigned)WISH_FIN_CLIENT << (side))
#define WISH_DISCARD(side) ((unsigned)WISH_DISCARD_CLIENT << (side))

/* Who ended something first. */
enum closer {
	CLOSER_NONE,
	CLOSER_CLIENT,
	CLOSER_SERVER,
	CLOSER_FINBACK,
	CLOSERS
};

/* One side: its socket, and what goes towards it. */
struct leg {
	int64_t waiting_us;    /* since when, without a pause, something is unacknowledged */
	int64_t acked_us;      /* when a look last found more acknowledged than the look before */
	int64_t looked_us;     /* the last look */
	int32_t fd;            /* -1: none */
	uint32_t acked;        /* bytes acknowledged so far at the last look, modulo 2^32 */
	uint32_t before;       /* bytes that had gone to it at waiting_us, all acknowledged */
	uint8_t loss;          /* enum loss */
	uint8_t detector;      /* enum detector, where loss is LOSS_DEAD */
	uint8_t vigil;         /* is_judged: when it is to be again (engine/vigil) */
	bool is_after_fin : 1; /* it was lost, but its FIN came before and counts */
	bool has_fin_read : 1; /* its FIN was read */
	bool has_fin_sent : 1; /* our FIN went to it */
	bool is_acked : 1;     /* nothing is unacknowledged */
	bool is_looked : 1; /* a look has been since waiting_us: the next one can tell progress */
	bool is_judged : 1; /* dead or slow: it was found not dead since waiting_us */
};

struct session {
	uint64_t id;
	int64_t accepted_us;
	int64_t attempted_us;   /* the current connect attempt began */
	int64_t connected_us;   /* 0: not yet */
	int64_t half_closed_us; /* the first flow ended; 0: none has */
	int64_t closing_us;     /* both ended, or one was cut; 0: not yet */
	int64_t spared_us;      /* when `idle` last passed and was not held against it; 0: never */
	struct flow flows[SIDES]; /* by the side they come from */
	struct leg legs[SIDES];
	struct endpoint peers[SIDES];
	uint16_t connects;  /* attempts so far */
	uint8_t phase;      /* enum session_phase */
	uint8_t ending;     /* enum ending: set once, by the first cause */
	uint8_t closer;     /* enum closer: who ended or cut something first */
	uint8_t wishes;     /* bits of enum wish */
	bool has_spoken;    /* the client has sent a byte or its FIN */
	bool is_discarding; /* ended by a deadline, gently: what still comes is thrown away */
};
static_assert(sizeof(struct session) <= 256, "the durable record stays small");

/* A session just accepted; the client's socket and address are filled in afterwards. */
void session_init(struct session *session, uint64_t id, int64_t now_us);

/* A connect attempt begins; `connects` were made so far, this one included. Phase CONNECTING only.
 */
void session_attempt(struct session *session, uint16_t connects, int64_t now_us);

/* Takes one fact. It must be possible in the session's phase; facts that come after the session is
 * over change nothing. Returns the wishes that are open now, without taking them. */
unsigned session_step(struct session *session, const struct fact *fact, int64_t now_us);

/* Returns the open wishes and clears them. */
unsigned session_take_wishes(struct session *session);

/* Whether bytes of the flow from `side` may be read now and passed on, holding them if need be. */
bool session_wants_read(const struct session *session, enum side side);

/* Whether `side` is read only to throw away what comes, until its FIN. */
bool session_wants_discard(const struct session *session, enum side side);

/* Whether bytes are held for `side`, which would take them. */
bool session_wants_write(const struct session *session, enum side side);

/* Whether something went to `side` that may be unacknowledged: a look can tell. */
bool session_is_outstanding(const struct session *session, enum side side);

/* Whether that is, in part at least, what the other side sent, and not a probe alone. */
bool session_is_awaited(const struct session *session, enum side side);

/* Of `count` bytes that the kernel holds unacknowledged by `side`, those that the other side sent,
 * its FIN included: the last of them, as a probe goes out only where nothing is before it. */
uint32_t session_sent_of(const struct session *session, enum side side, uint32_t count);

/* When a byte last moved in either flow, or was acknowledged by either side. */
int64_t session_progress_us(const struct session *session);

/* Where the session is. */
enum session_state session_state(const struct session *session);

/* Its word: "connecting", "open", "half_closed_client", "half_closed_server", "closing". */
const char *session_state_name(enum session_state state);

/* "client", "server", "finback"; "-" for nobody. */
const char *closer_name(enum closer closer);

/* "connecting" ... and "connected" ...: for tests and debug lines. */
const char *session_phase_name(enum session_phase phase);
const char *session_event_name(enum session_event event);

#endif
