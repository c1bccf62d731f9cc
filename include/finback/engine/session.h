#ifndef FINBACK_ENGINE_SESSION_H
#define FINBACK_ENGINE_SESSION_H

#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/engine/flow.h>
#include <finback/engine/side.h>
#include <finback/engine/times.h>

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
struct __attribute__((packed)) leg {
	int32_t fd;            /* -1: none */
	uint32_t acked;        /* bytes acknowledged so far at the last look, modulo 2^32 */
	uint32_t before;       /* bytes that had gone to it at `waiting`, all acknowledged */
	struct moment waiting; /* since when, without a pause, something is unacknowledged */
	struct moment gained;  /* when a look last found more acknowledged than the look before */
	struct moment looked;  /* the last look */
	uint8_t vigil;         /* is_judged: when it is to be again (engine/vigil) */
	enum loss loss : 2;
	enum detector detector : 3; /* where loss is LOSS_DEAD; DETECTORS: none */
	bool is_after_fin : 1;      /* it was lost, but its FIN came before and counts */
	bool has_fin_read : 1;      /* its FIN was read */
	bool has_fin_sent : 1;      /* our FIN went to it */
	bool is_acked : 1;          /* nothing is unacknowledged */
	bool is_looked : 1; /* a look has been since `waiting`: the next can tell progress */
	bool is_judged : 1; /* dead or slow: it was found not dead since `waiting` */
	bool is_unix : 1;   /* a UNIX socket, which acknowledges nothing */
};

/* It is what an idle session costs, so it is packed, and two times that never matter at once share
 * a field: session_connected_us() and its like tell them apart. The server's address is not in it,
 * as the configuration has that. */
struct __attribute__((packed)) session {
	uint64_t id;
	uint8_t phase;            /* enum session_phase */
	uint8_t wishes;           /* bits of enum wish */
	uint8_t ending;           /* enum ending: set once, by the first cause */
	enum closer closer : 3;   /* who ended or cut something first */
	bool is_connected : 1;    /* the server was */
	bool has_spoken : 1;      /* the client has sent a byte or its FIN */
	bool has_half_closed : 1; /* a flow ended while the other ran */
	bool is_discarding : 1;   /* ended by a deadline, gently: what comes is thrown away */
	struct flow flows[SIDES]; /* by the side they come from */
	struct leg legs[SIDES];
	struct moment accepted;
	struct moment attempted_or_connected; /* by is_connected; the current attempt */
	struct moment spared_or_closing;      /* by whether both flows are open */
	uint16_t connects;                    /* attempts so far */
	struct endpoint client;
};
static_assert(sizeof(struct session) <= 172, "the durable record stays small");

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

/* When the server was connected; 0: not yet. */
int64_t session_connected_us(const struct session *session);

/* When the first flow ended while the other ran; 0: none has. */
int64_t session_half_closed_us(const struct session *session);

/* When both flows had ended, or one was cut; 0: not yet. */
int64_t session_closing_us(const struct session *session);

/* When `idle` last passed and was not held against it, with both flows open; 0: never, or they are
 * not any more. */
int64_t session_spared_us(const struct session *session);

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
