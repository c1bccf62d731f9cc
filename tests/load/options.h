#ifndef FINBACK_LOAD_OPTIONS_H
#define FINBACK_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "net.h"

/* The command line. Counts are zero where they were not given and the mode has its own default. */

enum direction {
	DIRECTION_UP,
	DIRECTION_DOWN,
	DIRECTION_BOTH,
	DIRECTIONS
};

struct options {
	struct net_address listen;
	struct net_address via; /* after options_meet: where clients connect to */
	bool has_via;
	bool direct; /* clients connect to the listener itself */
	bool wait;   /* a line on stdin starts the measured part, another ends the holding */
	enum direction direction;
	uint64_t seed;
	uint64_t sessions;
	uint64_t connections;
	uint64_t idle;
	uint64_t size;
	uint64_t bytes;
	uint64_t resets; /* in thousand */
	uint64_t huge;   /* in ten thousand */
	uint64_t sources;
	uint64_t rate;       /* connections a second; 0: as fast as they go */
	int64_t duration_us; /* of the measured part; of a crowd: the most that it may take */
	int64_t patience_us; /* the longest wait without any progress */
};

/* Reads argv[2..]; on a mistake says which and exits. */
void options_parse(struct options *options, int argc, char **argv);

/* Listens, prints "listening=ADDRESS", and learns from --via, --direct or a line on stdin where the
 * clients are to connect to. Returns the listening descriptor; exits on a failure. */
int options_meet(struct options *options);

/* Prints "ready=COUNT", and with --wait waits for the line that starts the measured part. */
void options_ready(const struct options *options, uint64_t count);

/* With --wait: waits for the line, or the end of stdin, that ends the holding. */
void options_hold(const struct options *options);

/* The source address of the n-th connection, for net_connect. */
unsigned options_source(const struct options *options, uint64_t n);

void options_help(void);

#endif
