#ifndef FINBACK_SOAK_OPTIONS_H
#define FINBACK_SOAK_OPTIONS_H

#include "../load/net.h"
#include "script.h"

/* The command line: the driver has made the sockets that listen, and put a relay in front. */

#define ROUTES_MOST 64
#define LANES_MOST  32

/* From an address (port 0: any) to one of the relay's. */
struct route {
	struct net_address from;
	struct net_address to;
};

/* A route of its own, with a server of its own: what arrives there while one session is expected
 * is that session. */
struct lane {
	struct watch listener;
	struct route route;
	struct session *expected;
};

struct options {
	struct script_settings script;
	uint64_t sessions;
	uint64_t at_a_time; /* of those that do not take their time */
	int64_t patience_us;
	struct watch listeners[ROUTES_MOST];
	unsigned listener_count;
	struct route routes[ROUTES_MOST];
	unsigned route_count;
	struct lane lanes[LANES_MOST];
	unsigned lane_count;
};

/* On a mistake says which, and exits. */
void options_parse(struct options *options, int argc, char **argv);

#endif
