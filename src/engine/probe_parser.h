#ifndef FINBACK_SRC_ENGINE_PROBE_PARSER_H
#define FINBACK_SRC_ENGINE_PROBE_PARSER_H

#include <finback/engine/probe.h>

/*
 * What each protocol's parser provides. Its state is a struct of at most PROBE_STATE_MAX bytes in
 * probe->state, zeroed at the start; `from` is the side that sent the bytes. Probes of our own and
 * their answers are not shown to it: a probe that goes out changes nothing in its state.
 */

/* Of a parser that looks at one byte after the other. */
enum probe_verdict {
	PROBE_FITS,
	PROBE_MISFIT /* it is not understood, or the session turns to what cannot be probed */
};

typedef enum probe_verdict probe_on_byte(void *state, enum side from, unsigned char byte);

struct probe_bytes {
	const void *at;
	size_t size;
};

struct probe_parser {
	const char *name;
	unsigned targets;           /* bits, 1 << enum side: where probes may go */
	bool is_configured;         /* message and answer are the settings' own */
	struct probe_bytes message; /* at most PROBE_MESSAGE_MAX bytes, written whole */
	struct probe_bytes answer;  /* likewise; none where it is empty */
	/* Notes what can_send() must know of the settings. NULL: nothing. */
	void (*init)(void *state, const struct probe_settings *settings);
	/* Follows one byte or more of those at `bytes`, of which there is one at least, but not
	 * past a place where is_answer() may turn true. Returns how many; 0: one of them does not
	 * fit, and none of this flow comes again. */
	size_t (*follow)(void *state, enum side from, const unsigned char *bytes, size_t size);
	/* Whether a probe may be put before the next byte towards `target`. */
	bool (*can_send)(const void *state, enum side target);
	/* Where there are answers, and ours is awaited: whether the target's next byte, this one,
	 * stands where it begins. What the other side said since must not matter. */
	bool (*is_answer)(const void *state, unsigned char byte);
};

/* follow(), of one byte after the other. */
static inline size_t probe_follow_each(probe_on_byte *on_byte, void *state, enum side from,
				       const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (on_byte(state, from, bytes[i]) != PROBE_FITS)
			return 0;
	return size;
}

/* What goes out, and what comes back; empty: nothing. */
struct probe_bytes probe_message_of(const struct probe_settings *settings);
struct probe_bytes probe_answer_of(const struct probe_settings *settings);

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
