#ifndef FINBACK_HOST_LOG_H
#define FINBACK_HOST_LOG_H

#include <finback/engine/ending.h>
#include <finback/engine/endpoint.h>
#include <finback/engine/side.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * The log: the journal, stderr or a file; levels; one line for each ended session. Thread-safe
 * once open. Nothing here ends the program, which ignores SIGPIPE: a line that cannot be written is
 * lost and counted.
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

/* What the configuration says. */
struct log_settings {
	const char *target; /* "auto", "journal", "stderr" or the absolute path of a file */
	enum log_level level;
	enum log_sessions sessions;
};

/* Before log_open everything goes to stderr at level info. Opens the target and switches to it;
 * "auto" is the journal where stderr is connected to it (systemd.exec(5), $JOURNAL_STREAM),
 * else stderr. May be called again, at a reload; a file is opened anew, so that a rotated one is
 * let go. Main thread only; others may log meanwhile. Returns 0 or -errno with the old settings
 * still in use: -ENOENT for "journal" where there is none, -EINVAL for a path that is not absolute.
 */
int log_open(const struct log_settings *settings);

/* Flushes nothing (every line is written at once), closes a file, goes back to stderr. Only when no
 * other thread logs any more. */
void log_close(void);

/* Lines that could not be written, or not whole, since the start. */
uint64_t log_lost(void);

/* One line of at most LOG_LINE_MAX bytes; a longer one is cut. Control characters in it are
 * written as '?', so that a line stays one. On stderr and in a file: "finback: warning: ..." (info
 * without its level), in a file with the local time before it (RFC 3339); in the journal with
 * PRIORITY, and "<4>..." where stderr itself is a stream to the journal (sd-daemon(3)). */
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

/* One ended session. Pointers live as long as the call. */
struct log_session {
	uint64_t id;
	const char *listener;
	const char *pool;
	const char *server_name;       /* NULL: none was chosen */
	struct endpoint peers[SIDES];  /* the client's and the server's address */
	struct endpoint locals[SIDES]; /* finback's own address towards each */
	enum ending ending;
	const char *first_closer; /* "client", "server", "finback" */
	const char *detail;       /* what is known beyond the ending, e.g. an errno's words; NULL */
	uint64_t bytes[SIDES];    /* that came from that side */
	uint64_t flow_ms[SIDES];  /* how long that flow ran */
	uint64_t half_closed_ms;
	uint64_t connect_ms;
	uint64_t total_ms;
	unsigned connects; /* servers tried */
};

/* The session line, as settings.sessions alone allows, whatever the level. Text: "session 42
 * complete: listener=web ..." as key=value pairs in a fixed order; in the journal the same as
 * MESSAGE, each pair as a field of its own (FINBACK_SESSION, FINBACK_ENDING, FINBACK_LISTENER ...)
 * and the MESSAGE_ID below. */
#define LOG_SESSION_MESSAGE_ID "b3d1d2a4c0e94ef1a5f2f1f0a97c6e55"
void log_session(const struct log_session *session);

/* Whether settings.sessions wants a line for this ending: for what is costly to find out. */
bool log_wants_session(enum ending ending);

/* "error", "warning", "info", "debug"; "all", "failed", "none": the configuration's words. */
const char *log_level_name(enum log_level level);
const char *log_sessions_name(enum log_sessions sessions);

#endif
