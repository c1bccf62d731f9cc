#ifndef FINBACK_HOST_LOG_H
#define FINBACK_HOST_LOG_H

#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/engine/side.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * The log: the journal, stderr or a file; levels; one line for each ended session, and for those
 * that still run. Thread-safe. Once started, no caller ever waits for what the log is written to: a
 * line is queued, and a thread of the log's own writes it. Nothing here ends the program, which
 * ignores SIGPIPE: a line that cannot be written is dropped and counted.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVELS
};

enum log_sessions {
	LOG_SESSIONS_ALL,
	LOG_SESSIONS_FAILED, /* all but `complete` */
	LOG_SESSIONS_NONE,
	LOG_SESSIONS_CHOICES
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON, /* JSON lines, RFC 8259: one object a line */
	LOG_FORMATS
};

/* What the configuration says. */
struct log_settings {
	const char *target; /* "auto", "journal", "stderr" or the absolute path of a file */
	enum log_level level;
	enum log_sessions sessions;
	enum log_format format; /* of stderr and of a file; the journal has fields, always */
	int64_t every_us;       /* a line for each running session so often; 0: none. Kept for those
				 * who run sessions: the log has no clock that strikes. */
};

/* Before log_open everything goes to stderr at level info. Opens the target and switches to it;
 * "auto" is the journal where stderr is connected to it (systemd.exec(5), $JOURNAL_STREAM),
 * else stderr. May be called again, at a reload; a file is opened anew, so that a rotated one is
 * let go: at once, or when what is just being written to it is written. Lines that are queued go to
 * the old target or to the new one. Main thread only; others may log meanwhile. Returns 0 or
 * -errno with the old settings still in use: -ENOENT for "journal" where there is none, -EINVAL for
 * a path that is not absolute. */
int log_open(const struct log_settings *settings);

/* Before log_start, and after log_stop, each line is written when it is logged, and the caller
 * waits for that. From log_start on lines go into a queue of 1 MiB, and a thread writes them, many
 * at a time, in the order in which they came and a few milliseconds later. Where the queue is full
 * a line is dropped; when there is room again a warning says how many were, at most once a second.
 * The thread blocks all signals. Returns 0; -errno of pthread_create(3) with all as before; -EBUSY
 * when it runs already. */
int log_start(void);

/* Writes what is queued and ends the thread; does nothing where there is none. Where that takes
 * longer than 2 s, because the target blocks, it returns all the same: the rest is dropped, and so
 * is every line after it. Main thread only, when nobody else logs any more. */
void log_stop(void);

/* log_stop, then closes a file and goes back to stderr. An error that is logged before it is
 * written when it returns. */
void log_close(void);

/* Lines that were not written, or not whole, since the start: the queue was full, or the target
 * failed. */
uint64_t log_dropped(void);

/* One line of at most LOG_LINE_MAX bytes; a longer one is cut. Control characters in it are
 * written as '?', so that a line stays one. On stderr and in a file: "finback: warning: ..." (info
 * without its level), in a file with the local time before it (RFC 3339); in the journal with
 * PRIORITY, and "<4>..." where stderr itself is a stream to the journal (sd-daemon(3)). In JSON:
 * {"time":"2001-02-03T04:05:06.789+01:00","level":"warning","message":"..."}, valid whatever the
 * message holds (control characters are escaped, what is no UTF-8 is U+FFFD), and longer by the
 * escapes. */
#define LOG_LINE_MAX 2048
void log_say(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a line of this level would be written: for what is costly to compute. */
bool log_wants(enum log_level level);

/* A bound on lines that a peer can cause: at most one a second for each `struct log_limit`
 * (static storage, zeroed; thread-safe). The next line that passes says how many were left out.
 * `now_us` is the caller's monotonic time. */
struct log_limit {
	_Atomic int64_t next_us;
	_Atomic uint64_t left_out;
};
void log_say_limited(struct log_limit *limit, int64_t now_us, enum log_level level,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One session. Pointers live as long as the call. */
struct log_session {
	uint64_t id;
	const char *listener;
	const char *pool;
	const char *server_name;       /* NULL: none was chosen */
	struct endpoint peers[SIDES];  /* the client's and the server's address */
	struct endpoint locals[SIDES]; /* finback's own address towards each */
	enum ending ending;            /* ENDING_NONE while it runs */
	const char *state;             /* "half_closed_client" while it runs; else NULL */
	const char *first_closer;      /* "client", "server", "finback"; NULL: nobody so far */
	const char *detector;          /* what found a peer dead: "keepalive"; NULL: none is */
	const char *detail;      /* what is known beyond the ending, e.g. an errno's words; NULL */
	uint64_t bytes[SIDES];   /* that came from that side */
	uint64_t flow_ms[SIDES]; /* how long that flow ran */
	uint64_t half_closed_ms;
	uint64_t connect_ms;
	uint64_t total_ms;
	unsigned connects; /* servers tried */
};

/* The line of an ended session, as settings.sessions alone allows, whatever the level. Text:
 * "session 42 complete: listener=web ..." as key=value pairs in a fixed order, "-" for what there
 * is none of; `detector` and `detail` are left out then. In the journal the same as MESSAGE, each
 * pair as a field of its own (FINBACK_SESSION, FINBACK_ENDING, FINBACK_LISTENER ...) and the
 * MESSAGE_ID below. In JSON the message is "session 42 complete", and "session":42 and the pairs
 * are members of the object: numbers as numbers, null for "-". A text of more than 511 bytes is
 * cut. */
#define LOG_SESSION_MESSAGE_ID "b3d1d2a4c0e94ef1a5f2f1f0a97c6e55"
void log_session(const struct log_session *session);

/* The line of a session that still runs: the same with state= in place of ending= (FINBACK_STATE),
 * the state for the ending in the message, and a MESSAGE_ID of its own. Not written with
 * LOG_SESSIONS_NONE. */
#define LOG_RUNNING_MESSAGE_ID "33a67962f0884a56864b032304d8f775"
void log_session_running(const struct log_session *session);

/* Whether settings.sessions wants a line for this ending, ENDING_NONE for one that still runs: for
 * what is costly to find out. */
bool log_wants_session(enum ending ending);

/* "error", "warning", "info", "debug"; "all", "failed", "none"; "text", "json": the
 * configuration's words. */
const char *log_level_name(enum log_level level);
const char *log_sessions_name(enum log_sessions sessions);
const char *log_format_name(enum log_format format);

#endif
