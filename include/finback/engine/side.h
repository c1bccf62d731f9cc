#ifndef FINBACK_ENGINE_SIDE_H
#define FINBACK_ENGINE_SIDE_H

/*
 * The two sides of a session. Whatever exists once for each side is an array of SIDES indexed by
 * this enum; a flow is named after the side its bytes come from.
 */

enum side {
	CLIENT,
	SERVER,
	SIDES
};

/* The other side: where the flow that comes from `side` goes to. */
static inline enum side other(enum side side)
{
	return side == CLIENT ? SERVER : CLIENT;
}

/* "client" or "server". */
static inline const char *side_name(enum side side)
{
	return side == CLIENT ? "client" : "server";
}

#endif
