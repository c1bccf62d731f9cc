#ifndef FINBACK_SRC_ENGINE_PROBE_PARSER_H
#define FINBACK_SRC_ENGINE_PROBE_PARSER_H

#include <finback/engine/probe.h>

/*
 * What each protocol's parser provides. Its state is a struct of at most PROBE_STATE_MAX bytes in
 * probe->state, zeroed at the start; `from` is the side that sent the bytes.
 */

/* How far a parser got. */
enum probe_verdict {
	PROBE_FITS,   /* all of it was understood */
	PROBE_ANSWER, /* up to where the answer to our probe must begin */
	PROBE_MISFIT  /* a byte is not understood, or the session turns to what cannot be probed */
};

struct probe_parser {
	const char *name;
	unsigned targets; /* bits, 1 << enum side: where probes may go */
	bool has_answer;  /* each probe has one, which is taken out */
	/* Follows bytes of the flow from `from`; *size comes in as how many there are and goes out
	 * as how many were followed, all of them unless the verdict is PROBE_ANSWER. `is_awaiting`:
	 * our probe is out. */
	enum probe_verdict (*follow)(void *state, const struct probe_settings *settings,
				     enum side from, const unsigned char *bytes, size_t *size,
				     bool is_awaiting);
	/* Whether a probe may be put before the next byte towards `target`. */
	bool (*can_send)(const void *state, enum side target);
	/* The probe, towards `target`; it is written whole. Returns its size. */
	size_t (*message)(void *state, const struct probe_settings *settings, enum side target,
			  unsigned char message[PROBE_MESSAGE_MAX]);
	/* has_answer: the answer came and was taken out. */
	void (*on_answered)(void *state);
	/* has_answer: what is expected at the answer's place. Returns its size; 0: this one has no
	 * answer. */
	size_t (*answer)(const void *state, const struct probe_settings *settings,
			 unsigned char answer[PROBE_MESSAGE_MAX]);
};

extern const struct probe_parser probe_redis;
extern const struct probe_parser probe_memcached;
extern const struct probe_parser probe_telnet;
extern const struct probe_parser probe_irc;
extern const struct probe_parser probe_xmpp;
extern const struct probe_parser probe_stomp;
extern const struct probe_parser probe_amqp;
extern const struct probe_parser probe_mqtt;
extern const struct probe_parser probe_postgresql;
extern const struct probe_parser probe_mysql;
extern const struct probe_parser probe_lines;

#endif
