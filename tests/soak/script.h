#ifndef FINBACK_SOAK_SCRIPT_H
#define FINBACK_SOAK_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the two ends of a session do, step by step: drawn from the run's seed and the session's
 * number alone. Which session has a peer that vanishes, which one and in which state, is known
 * beforehand, and so is every size. Never touches a socket.
 */

enum role {
	ROLE_CLIENT,
	ROLE_SERVER,
	ROLES
};

extern const char *const role_names[];

static inline enum role role_other(enum role role)
{
	return role == ROLE_CLIENT ? ROLE_SERVER : ROLE_CLIENT;
}

enum step {
	STEP_DONE,
	STEP_SAY,     /* sends a message */
	STEP_SAY_BIG, /* more than a reader's window, less than what fits in between */
	STEP_FLOOD,   /* sends until nothing fits in between any more */
	STEP_HEAR,    /* reads the other end's next message */
	STEP_FIN,
	STEP_EOF,      /* reads to the end of file */
	STEP_PAUSE,    /* for a random moment */
	STEP_REST,     /* longer than dead_after, and answers all the while */
	STEP_FLOODED,  /* reads nothing until the other end's flood is over */
	STEP_VANISH,   /* without a word */
	STEP_BEREFT,   /* until the other end has vanished, and then for a random while */
	STEP_OUTLIVED, /* reads nothing until the other end must have been found dead */
	STEP_CUT,      /* reads to the reset */
	STEPS
};

#define SCRIPT_STEPS 12

/* The bytes of a session's number and slot, with which the client's first message begins. */
#define NAME_SIZE 8

struct script {
	const char *kind;
	uint8_t steps[ROLES][SCRIPT_STEPS]; /* of enum step, STEP_DONE at the end */
	uint64_t random;
	enum role gone;  /* who vanishes, or ROLES */
	bool is_lasting; /* takes its time: the run goes on beside it */
	bool is_quiet;   /* the client's first bytes do not tell the server which session it is */
};

struct script_settings {
	uint64_t seed;
	uint64_t one_in;  /* of so many sessions one vanishes; 0: none */
	uint64_t rest_in; /* of so many one rests for longer than dead_after; 0: none */
	int64_t dead_after_us;
};

void script_draw(struct script *script, const struct script_settings *settings, uint64_t number);

/* The bytes of the message that this step sends. */
uint64_t script_message(const struct script *script, enum role role, unsigned step);

/* How much an end has sent after its first `count` messages. */
uint64_t script_sent_after(const struct script *script, enum role role, unsigned count);

/* How long a step waits; 0 for one that does not. */
int64_t script_wait_us(const struct script *script, const struct script_settings *settings,
		       enum role role, unsigned step);

#endif
