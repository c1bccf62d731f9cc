#ifndef FINBACK_ENGINE_ENDING_H
#define FINBACK_ENGINE_ENDING_H

/*
 * Why sessions end. Every accepted connection ends with exactly one of these; the names are the
 * interface that log, metrics and control share. ENDING_NONE is a session that still runs.
 */

enum ending {
	ENDING_NONE,
	ENDING_COMPLETE,     /* both ends of file passed on, everything acknowledged */
	ENDING_CLIENT_RESET, /* the client sent a reset, or closed on unread data */
	ENDING_SERVER_RESET,
	ENDING_CLIENT_DEAD, /* the client vanished without a word */
	ENDING_SERVER_DEAD,
	ENDING_IDLE_TIMEOUT,
	ENDING_HALF_CLOSED_TIMEOUT,
	ENDING_FIRST_BYTE_TIMEOUT,
	ENDING_STALL_TIMEOUT,
	ENDING_SESSION_TIMEOUT,
	ENDING_CONNECT_TIMEOUT, /* the last server tried did not answer in time */
	ENDING_CONNECT_REFUSED, /* the last server tried refused */
	ENDING_CONNECT_FAILED,  /* the last server tried could not be reached */
	ENDING_NO_SERVER,       /* the pool had no server to try */
	ENDING_UNDELIVERED,     /* the last bytes were not acknowledged within `linger` */
	ENDING_DENIED,
	ENDING_LIMITED, /* a limit, or no descriptor, port or memory left */
	ENDING_BAD_PROXY_HEADER,
	ENDING_EVICTED,
	ENDING_KILLED,  /* ended by the operator */
	ENDING_DRAINED, /* still running when a drain was over */
	ENDING_FAULT,   /* injected on purpose by fault mode */
	ENDINGS
};

/* What found out that a peer had vanished. */
enum detector {
	DETECTOR_KEEPALIVE,    /* the kernel's probes of an idle connection had no answer */
	DETECTOR_USER_TIMEOUT, /* what was sent was not acknowledged, or the way there is gone */
	DETECTOR_PROBE,        /* the application probe had no answer */
	DETECTOR_LINK,         /* the heartbeat of a framed link stopped */
	DETECTORS
};

/* The ending's name in the contract's words, e.g. "client_reset"; "none" while the session runs. */
const char *ending_name(enum ending ending);

/* "keepalive", "user_timeout", "probe", "link". */
const char *detector_name(enum detector detector);

#endif
