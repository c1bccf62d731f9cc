#ifndef FINBACK_DAEMON_RELAY_PRIVATE_H
#define FINBACK_DAEMON_RELAY_PRIVATE_H

#include <finback/daemon/pool.h>
#include <finback/daemon/relay.h>
#include <finback/engine/session.h>

/*
 * What the files of the relay share: relay.c moves bytes and steps, relay_connect.c finds a server,
 * relay_end.c counts, logs and closes, relay_view.c copies it for who shows it, relays.c keeps all
 * relays of one worker.
 */

struct relay_side {
	struct ring *rest; /* read from this side, for the other; NULL: nothing is held */
	bool is_readable;
	bool is_thorough; /* a short read does not mean "empty" */
	bool is_writable;
	bool is_faulty; /* an error was announced and not taken yet */
	bool is_ended;  /* its FIN is in the kernel, announced while there was no error */
};

struct relay {
	struct session session;
	struct relay_side sides[SIDES];
	const struct route *route;
	struct relays *relays;
	struct pool_attempt *attempt; /* while connecting */
	int server;                   /* in the pool; BALANCE_NONE: none */
	int error;                    /* -errno behind the ending; 0: none known */
	ev_timer timer;
	int64_t armed_us; /* when the timer fires; 0: it does not run */
	int64_t retry_us; /* when a UNIX server with a full backlog is tried again; 0: no */
	struct relay *next_pending;
	struct relay *next_dead;
	uint8_t counted; /* enum session_state that it counts in now */
	bool is_pending;
	bool is_dead;
};

static inline struct counters *counters_of(const struct relay *relay)
{
	return &relay->route->tally->workers_counters[relay->relays->worker];
}

static inline const struct policy *policy_of(const struct relay *relay)
{
	return &relay->route->listener->policy;
}

/* How often a session that still runs gets a line in the log; 0: never. */
static inline int64_t log_every_us(const struct relay *relay)
{
	return relay->route->generation->config->log.every_us;
}

static inline bool is_unix(const struct relay *relay, enum side side)
{
	return relay->session.peers[side].family == ENDPOINT_UNIX;
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

/* The one timer of a session. */
void relay_on_timer(struct ev_loop *loop, ev_timer *watcher, int events);

/* Gives facts to the session, as of relays->now_us. */
void relay_tell(struct relay *relay, const struct fact *fact);
void relay_tell_event(struct relay *relay, enum session_event event, enum side side,
		      uint32_t count);
void relay_cut(struct relay *relay, enum ending ending);

/* A side is lost, by `error` (-errno). */
void relay_lose(struct relay *relay, enum side side, int error);

/* Takes an error that was announced on a side's socket: a loss, where there is one. */
void relay_take_fault(struct relay *relay, enum side side);

/* relay_connect.c */

/* Starts to connect to the next server, or gives the session up when there is none. */
void relay_start_attempt(struct relay *relay);

/* The attempt under way failed with `error` (-errno), or took too long (0). */
void relay_fail_attempt(struct relay *relay, int error);

/* Closes the server's socket while connecting. */
void relay_drop_server(struct relay *relay);

/* What the two sockets say while the server is being connected to. */
void relay_watch_connect(struct relay *relay);

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
