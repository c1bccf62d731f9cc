#ifndef FINBACK_DAEMON_RELAY_PRIVATE_H
#define FINBACK_DAEMON_RELAY_PRIVATE_H

#include <finback/daemon/pool.h>
#include <finback/daemon/relay.h>
#include <finback/engine/probe.h>
#include <finback/engine/session.h>
#include <finback/engine/times.h>

/*
 * What the files of the relay share: relay.c moves bytes and steps, relay_connect.c finds a server,
 * relay_extra.c has what few sessions need, relay_timer.c knows what is due, relay_vigil.c tells
 * dead peers from slow ones, relay_probe.c probes, relay_limits.c keeps half-closed and embryonic
 * sessions few, relay_end.c counts, logs and closes, relay_view.c copies it for who shows it,
 * relays.c keeps all relays of one worker.
 */

struct relay_side {
	struct gait gait; /* of the flow from this side */
	bool is_readable : 1;
	bool is_thorough : 1; /* a short read does not mean "empty" */
	bool is_urgent : 1;   /* a mark is among what is unread */
	bool is_writable : 1;
	bool is_faulty : 1; /* an error was announced and not taken yet */
	bool is_ended : 1;  /* its FIN is in the kernel, announced while there was no error */
	bool is_kept : 1;   /* the kernel keeps watch over it, as dead_after asks */
};

/* A session's application probe towards one side. */
struct relay_probe {
	struct probe probe;
	int64_t tried_us;    /* when one was sent, or could not be */
	int64_t answered_us; /* when the last answer came; 0: none did */
	uint32_t sent;
	uint32_t replies;
	bool is_on;
	bool is_overdue; /* the answer is, and that was noticed */
};

/* Only where the listener has a probe. */
struct relay_probes {
	struct relay_probe sides[SIDES]; /* by the side they go to */
};

/* A session's way to a server, while it is connecting. */
struct relay_attempt {
	struct pool_attempt pool;
	int64_t retry_us; /* when a UNIX server with a full backlog is tried again; 0: no */
};

/* What a session has none of, mostly. */
struct relay_extra {
	struct relay_attempt *attempt; /* while connecting */
	struct relay_probes *probes;   /* NULL: none */
	struct rest *rests[SIDES]; /* read from that side, for the other; NULL: nothing is held */
};

struct relay {
	struct session session;
	uint8_t address; /* of the server's: the one that was tried last */
	struct relay_side sides[SIDES];
	uint32_t agenda_place : 24; /* the agenda's; 0: no timer runs */
	uint8_t counted : 3;        /* enum session_state that it counts in now */
	bool is_pending : 1;        /* it may be dead as well; then it is on this list still */
	bool is_dead : 1;
	bool is_embryonic : 1;     /* counts as such in the tally */
	bool is_half_closed : 1;   /* likewise, and is in its worker's silence */
	int16_t server;            /* in the pool; BALANCE_NONE: none */
	int16_t error;             /* -errno behind the ending; 0: none known */
	struct lane *lane;         /* what it shares with others */
	struct relay_extra *extra; /* NULL: none of it */
	struct relay *next;        /* pending or dead: on that list of its worker's */
};
static_assert(sizeof(struct relay) <= sizeof(struct session) + 40, "and what is beside it, too");
static_assert(BALANCE_SERVERS_MAX <= INT16_MAX, "a server's index fits");
static_assert(STATES <= 8, "three bits");

/* Puts one on a list of its worker's. */
static inline void relay_push(struct relay **list, struct relay *relay)
{
	relay->next = *list;
	*list = relay;
}

/* NULL: it is not connecting. */
static inline struct relay_attempt *attempt_of(const struct relay *relay)
{
	return relay->extra ? relay->extra->attempt : NULL;
}

/* When the server that is connected to has room again, perhaps; 0: it is not waited for. */
static inline int64_t retry_us_of(const struct relay *relay)
{
	const struct relay_attempt *attempt = attempt_of(relay);

	return attempt ? attempt->retry_us : 0;
}

static inline struct relay_probes *probes_of(const struct relay *relay)
{
	return relay->extra ? relay->extra->probes : NULL;
}

/* What was read from a side and has not gone on. */
static inline struct rest *rest_of(const struct relay *relay, enum side side)
{
	return relay->extra ? relay->extra->rests[side] : NULL;
}

static inline struct counters *counters_of(const struct relay *relay)
{
	return relay->lane->counters;
}

static inline const struct policy *policy_of(const struct relay *relay)
{
	return relay->lane->policy;
}

/* How often a session that still runs gets a line in the log; 0: never. */
static inline int64_t log_every_us(const struct relay *relay)
{
	return relay->lane->log_every_us;
}

static inline bool is_unix(const struct relay *relay, enum side side)
{
	return relay->session.legs[side].is_unix;
}

/* One socket of a session more, or less. */
static inline void count_descriptors(struct relays *relays, int by)
{
	uint64_t now = atomic_load_explicit(&relays->descriptors, memory_order_relaxed);

	atomic_store_explicit(&relays->descriptors, now + (uint64_t)by, memory_order_relaxed);
}

/* relay.c */

/* Takes in what the sockets say and does what follows from it, until nothing more follows. */
void relay_step(struct relay *relay);

/* The poller's word about one socket; steps. */
void relay_on_ready(struct relay *relay, enum side side, unsigned ready);

/* Gives facts to the session, as of relays->now_us. */
void relay_tell(struct relay *relay, const struct fact *fact);
void relay_tell_event(struct relay *relay, enum session_event event, enum side side,
		      uint32_t count);
void relay_cut(struct relay *relay, enum ending ending);

/* A side is lost, by `error` (-errno). */
void relay_lose(struct relay *relay, enum side side, int error);

/* A side is found dead, by finback itself. */
void relay_lose_dead(struct relay *relay, enum side side, enum detector detector);

/* Bytes of the flow from `side` that were read before go on, ahead of any other. */
void relay_pass(struct relay *relay, enum side side, const unsigned char *bytes, size_t size);

/* Takes an error that was announced on a side's socket: a loss, where there is one. */
void relay_take_fault(struct relay *relay, enum side side);

/* relay_extra.c */

/* Begins to connect, and has done so. Returns 0 or -ENOMEM. */
int relay_begin_attempts(struct relay *relay);
void relay_end_attempts(struct relay *relay);

/* Zeroed; they last as long as the relay. NULL: no memory. */
struct relay_probes *relay_make_probes(struct relay *relay);

/* Sets what is held of the flow from `side`; NULL: nothing any more. Returns 0, or -ENOMEM when it
 * has been dropped instead: bytes are lost. */
int relay_hold(struct relay *relay, enum side side, struct rest *rest);

/* Drops it. */
void relay_drop_rest(struct relay *relay, enum side side);

/* Releases all but the rests, of which there must be none. */
void relay_extra_fini(struct relay *relay);

/* relay_timer.c */

/* Sees to it that the timer fires when the next of what is due is. After each step that may have
 * brought it nearer. */
void relay_arm(struct relay *relay);

/* The one timer of a session, which was armed for `due_us`: does what has passed, and steps. */
void relay_on_timer(struct relay *relay, int64_t due_us);

/* relay_vigil.c */

/* Looks how much is unacknowledged by a side, where something may be, and whether the side lives.
 */
void relay_look(struct relay *relay, enum side side);
void relay_look_both(struct relay *relay);

/* Whether a side was heard from lately enough to be known to be alive. */
bool relay_is_alive(const struct relay *relay, enum side side);

/* When the kernel is to be asked to keep watch over a side; 0: it does, or is not to. */
int64_t relay_vigil_next_us(const struct relay *relay);

/* Asks it where that is due. */
void relay_vigil_on_timer(struct relay *relay);

/* relay_probe.c */

/* Makes the probes that the listener asks for. Returns 0 or -ENOMEM. */
int relay_probe_init(struct relay *relay);

/* What was read of a flow passes through the probes, whose answers stay behind. For struct
 * pump_filter, with a struct relay_reading as its owner. */
struct relay_reading {
	struct relay *relay;
	enum side side;
};
size_t relay_probe_pass(void *owner, unsigned char *bytes, size_t size, unsigned char **ret_at);

/* The flow from `side` has come to its end, or nothing more is read of it: what was held of it goes
 * on. */
void relay_probe_end(struct relay *relay, enum side side);

/* When the next probe towards a side, or its answer, is due, of a relay that has probes; 0: nothing
 * is due by itself. */
int64_t relay_probe_due_us(const struct relay *relay, enum side target);

/* The earlier of both sides'; 0: never. */
int64_t relay_probe_next_us(const struct relay *relay);

/* Sends what is due, and notices what has had no answer. */
void relay_probe_on_timer(struct relay *relay);

/* relay_connect.c */

/* A side's address. The server's, while it is being connected to, is the one that is tried. */
struct endpoint relay_peer(const struct relay *relay, enum side side);

/* Starts to connect to the next server, or gives the session up when there is none. */
void relay_start_attempt(struct relay *relay);

/* The attempt under way failed with `error` (-errno), or took too long (0). */
void relay_fail_attempt(struct relay *relay, int error);

/* Closes the server's socket while connecting. */
void relay_drop_server(struct relay *relay);

/* What the two sockets say while the server is being connected to. */
void relay_watch_connect(struct relay *relay);

/* relay_limits.c */

/* A connection that relay_admit() let in: it holds its place, or gives it back as it came to
 * nothing. */
void relay_limits_adopt(struct relay *relay);
void relay_limits_drop(const struct route *route);

/* After each step; when it is over. */
void relay_limits_step(struct relay *relay);
void relay_limits_end(struct relay *relay);

/* At the end of a turn, where relays->crowded has something: ends half-closed sessions beyond
 * max_half_closed. */
void relay_limits_evict(struct relays *relays);

/* relay_view.c */

/* Copies a live session. */
void relay_view(const struct relay *relay, bool is_brief, struct session_view *ret_view);

/* Notes one that ends. */
void relay_note_end(const struct relay *relay, struct ended_view *ret_view);

/* relay_end.c */

/* The session is over: counts, logs and closes. The memory goes at the end of the loop's turn. */
void relay_end(struct relay *relay);

/* What found the peer dead whose death ended the session; DETECTORS: it has another ending. */
enum detector relay_detector(const struct session *session);

/* The line of a session that still runs. */
void relay_log_running(const struct relay *relay);

#endif
