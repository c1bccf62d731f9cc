#ifndef FINBACK_ENGINE_PROBE_H
#define FINBACK_ENGINE_PROBE_H

#include <finback/engine/side.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Application probes: a harmless message of the relayed protocol, put into an idle session at a
 * message boundary, and its answer, where there is one, taken out again. A parser sees every byte
 * of the session, in both directions, and never guesses: at the first byte that does not fit it
 * lets go of all it holds, in order, and the session is never probed again. Pure and bounded: no
 * allocation, no clock, no system call; the state is a small record without pointers.
 *
 * A probe goes towards one side, its target; what answers it comes from there.
 */

enum probe_protocol {
	PROBE_REDIS,
	PROBE_MEMCACHED,
	PROBE_TELNET,
	PROBE_IRC,
	PROBE_XMPP,
	PROBE_STOMP,
	PROBE_AMQP,
	PROBE_MQTT,
	PROBE_POSTGRESQL,
	PROBE_MYSQL,
	PROBE_LINES,
	PROBE_PROTOCOLS
};

/* Of a message, and of what is expected back. */
#define PROBE_MESSAGE_MAX 64
/* Bytes of an answer that are held until it is clear whose they are. */
#define PROBE_HELD_MAX PROBE_MESSAGE_MAX
/* A protocol's own state, both directions together. */
#define PROBE_STATE_MAX 96

/* What the configuration says about one side's probe. Immutable. */
struct probe_settings {
	enum probe_protocol protocol;
	int64_t interval_us;
	int64_t answer_us; /* how long to wait for an answer; 0: none is asked for */
	bool ends_session; /* on_silence = "end" */
	uint8_t send_size; /* PROBE_LINES: */
	uint8_t expect_size;
	unsigned char send[PROBE_MESSAGE_MAX];
	unsigned char expect[PROBE_MESSAGE_MAX];
};

enum probe_mode {
	PROBE_WATCHING, /* the parser follows; may send when it says so */
	PROBE_AWAITING, /* one is out, and its answer is awaited; never in a protocol without */
	PROBE_OFF,      /* a byte did not fit, or a flow ended: never again, and nothing is held */
	PROBE_MODES
};

struct probe {
	uint8_t protocol;  /* enum probe_protocol */
	uint8_t target;    /* enum side */
	uint8_t mode;      /* enum probe_mode */
	bool is_last;      /* awaiting, and off after it; the other side is followed no more */
	uint8_t held_size; /* bytes of the target's flow that may be an answer */
	unsigned char held[PROBE_HELD_MAX];
	_Alignas(8) unsigned char state[PROBE_STATE_MAX]; /* the protocol's own */
};

/* The target must be one that probe_protocol_goes_to(). The settings given here are those of all
 * later calls. */
void probe_init(struct probe *probe, const struct probe_settings *settings, enum side target);

/* Shows the parser `size` bytes that were just read from `from`, at `bytes`, with PROBE_HELD_MAX
 * bytes of room before them. Returns what is to be passed on now: *ret_at and its length. That is
 * all of it but for a probe's answer, which is left out, and for what may be the beginning of one,
 * which comes first the next time. `ret_at` may lie before `bytes`, and what follows a hole is
 * moved. *ret_swallowed is the size of answers taken out.
 *
 * Of the side that is not the target all is passed on, always. Where a byte of it does not fit
 * while an answer is awaited, the answer is still taken out, and only then is it PROBE_OFF. A byte
 * of the target that does not fit ends it at once: an answer that comes later is passed on. */
size_t probe_take(struct probe *probe, const struct probe_settings *settings, enum side from,
		  unsigned char *bytes, size_t size, unsigned char **ret_at, size_t *ret_swallowed);

/* Whether a probe may be put before the next byte towards the target: both parsers are where it
 * does no harm, none is out. (That nothing is held or unread is the caller's to know.) */
bool probe_can_send(const struct probe *probe);

/* Writes the message and notes that it is out. Returns its size. probe_can_send() must have said
 * yes. Once a byte of it was sent, all the rest goes before any other towards the target. */
size_t probe_send(struct probe *probe, const struct probe_settings *settings,
		  unsigned char message[PROBE_MESSAGE_MAX]);

/* Takes back a probe_send() of whose message no byte was sent: as if it had not been called. For
 * the call right after it alone. */
void probe_cancel(struct probe *probe);

/* The flow from `from` has come to its end of file, or was reset: no probe goes out any more, and
 * no bytes of it may be taken. Returns how many bytes, in probe->held, are to be passed on before
 * that end: of the target, what is held, since no answer will be made of it; of the other side
 * none, and an answer that is awaited is still taken out. */
size_t probe_end(struct probe *probe, enum side from);

/* Whether probe_take() would pass on all bytes as they come, from now on and for ever, so that it
 * need not be called any more. */
static inline bool probe_is_done(const struct probe *probe)
{
	return probe->mode == PROBE_OFF;
}

/* "watching", "awaiting", "off". */
const char *probe_mode_name(enum probe_mode mode);

/* "redis" ...: the configuration's words. */
const char *probe_protocol_name(enum probe_protocol protocol);

/* Whether probes of this protocol may go towards a side, and whether they can have an answer. */
bool probe_protocol_goes_to(enum probe_protocol protocol, enum side target);
bool probe_protocol_answers(enum probe_protocol protocol);

#endif
