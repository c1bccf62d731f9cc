#ifndef FINBACK_SRC_FINBACKCTL_CLIENT_H
#define FINBACK_SRC_FINBACKCTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * HTTP over the daemon's UNIX socket, one request at a time on a connection that is kept. It never
 * prints: what went wrong is kept as a sentence for the caller to show where it likes.
 */

#define CLIENT_ANSWER_MAX (64u << 20)

struct client;

struct request {
	const char *method;
	const char *path; /* from /api on, already percent-encoded */
	const char *body; /* JSON; NULL: none */
	long patience_s;  /* how long until the answer must be whole; 0: the usual minute */
};

/* `socket_path` stays the caller's. Returns NULL when memory ran out. */
struct client *client_create(const char *socket_path);
void client_destroy(struct client *client);

/* Starts a request; the one before must be finished. */
void client_begin(struct client *client, const struct request *request);

/* Lets it go on for at most `timeout_ms`, or until `fd` (-1: none) can be read. Returns whether the
 * request is done; true, too, where there is none. */
bool client_wait(struct client *client, int fd, int timeout_ms);

/* Takes the answer of a request that is done. Returns 0 with `*ret` for the caller to give back;
 * else an exit status: 1 the daemon refused, EX_USAGE it found a parameter wrong, EX_UNAVAILABLE it
 * was not reached or did not answer, EX_PROTOCOL the answer was not understood. */
int client_finish(struct client *client, json_t **ret);

/* All three. */
int client_ask(struct client *client, const struct request *request, json_t **ret);

/* Of the last request that failed: one sentence; the body of the refusal, NULL where there was
 * none; its HTTP status, 0 where there was none. The client's own, until the next request. */
const char *client_why(const struct client *client);
const json_t *client_problem(const struct client *client);
long client_http_status(const struct client *client);

/* The process that listens on the other end of the connection in use, as this PID namespace counts;
 * 0 when it is not seen from here, or nothing is connected. */
pid_t client_peer(const struct client *client);

/* `text` percent-encoded for a path or a query, for the caller to free. */
char *client_encode(const char *text);

#endif
