/*
 * HTTP over a UNIX socket with libcurl, whose multi interface lets `top` watch the keyboard while
 * an answer comes. An answer is kept whole, up to CLIENT_ANSWER_MAX, and judged only at its end.
 *
 * Where no connection comes about, libcurl tells no more than the error number; what that means for
 * this socket, and what to do about it, is found out by looking at its path.
 */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>

#define CONNECT_PATIENCE_MS 5000L
#define SILENCE_S           10L /* without a byte; the daemon itself gives up on a worker after 5 s */
#define PATIENCE_S          60L
#define WHY_MAX             2048

struct buffer {
	char *bytes;
	size_t length, room;
	bool is_too_large;
};

struct client {
	const char *socket_path;
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;      /* of a request without a body */
	struct curl_slist *body_headers; /* of one with it */
	struct buffer answer;
	CURLcode result;
	bool is_begun, is_done;
	long http_status;
	pid_t peer;
	json_t *problem;
	char why[WHY_MAX];
	char curl_why[CURL_ERROR_SIZE];
};

static bool buffer_grow(struct buffer *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : 16384;
	char *bytes;

	while (room - buffer->length < more)
		room *= 2;
	if (room == buffer->room)
		return true;
	bytes = realloc(buffer->bytes, room);
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->room = room;
	return true;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user)
{
	struct buffer *buffer = user;
	size_t length = size * count;

	if (length > CLIENT_ANSWER_MAX - buffer->length) {
		buffer->is_too_large = true;
		return 0;
	}
	if (!buffer_grow(buffer, length))
		return 0;
	if (length > 0)
		memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	return length;
}

static bool add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);

	if (!longer)
		return false;
	*list = longer;
	return true;
}

/* A header without a value takes away the one that libcurl adds on its own. */
static bool make_headers(struct client *client)
{
	return add_header(&client->headers, "Accept: application/json") &&
	       add_header(&client->headers, "Content-Type:") &&
	       add_header(&client->body_headers, "Accept: application/json") &&
	       add_header(&client->body_headers, "Content-Type: application/json");
}

/* What is the same for every request. A proxy in the environment is not meant for this socket. */
static bool set_up(struct client *client)
{
	CURL *easy = client->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
	failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "finbackctl/" FINBACK_VERSION);
	failed |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_PATIENCE_MS);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, &client->answer);
	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_why);
	return failed == CURLE_OK;
}

struct client *client_create(const char *socket_path)
{
	struct client *client;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	client = calloc(1, sizeof *client);
	if (!client) {
		curl_global_cleanup();
		return NULL;
	}
	client->socket_path = socket_path;
	client->is_done = true;
	client->easy = curl_easy_init();
	client->multi = curl_multi_init();
	if (client->easy && client->multi && make_headers(client) && set_up(client))
		return client;
	client_destroy(client);
	return NULL;
}

void client_destroy(struct client *client)
{
	if (!client)
		return;
	if (client->is_begun)
		(void)curl_multi_remove_handle(client->multi, client->easy);
	curl_easy_cleanup(client->easy);
	(void)curl_multi_cleanup(client->multi);
	curl_slist_free_all(client->headers);
	curl_slist_free_all(client->body_headers);
	json_decref(client->problem);
	free(client->answer.bytes);
	free(client);
	curl_global_cleanup();
}

/* Method and body. A POST without a body says so with a length of 0. */
static int set_method(CURL *easy, const struct request *request)
{
	bool is_get = strcmp(request->method, "GET") == 0;
	bool is_delete = strcmp(request->method, "DELETE") == 0;
	const char *body = request->body ? request->body : "";
	int failed = 0;

	if (is_get || is_delete) {
		failed |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	} else {
		failed |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		failed |= curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
	}
	failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, is_get ? NULL : request->method);
	return failed;
}

static int set_request(struct client *client, const struct request *request)
{
	CURL *easy = client->easy;
	long patience = request->patience_s ? request->patience_s : PATIENCE_S;
	long silence = request->patience_s ? request->patience_s : SILENCE_S;
	size_t size = strlen(request->path) + sizeof "http://localhost";
	char *url = malloc(size);
	int failed = url ? set_method(easy, request) : 1;

	if (failed) {
		free(url);
		return failed;
	}
	(void)snprintf(url, size, "http://localhost%s", request->path);
	failed |= curl_easy_setopt(easy, CURLOPT_URL, url);
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
				   request->body ? client->body_headers : client->headers);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, patience * 1000);
	failed |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence);
	free(url);
	return failed;
}

void client_begin(struct client *client, const struct request *request)
{
	client->answer.length = 0;
	client->answer.is_too_large = false;
	client->http_status = 0;
	client->why[0] = '\0';
	client->curl_why[0] = '\0';
	json_decref(client->problem);
	client->problem = NULL;
	client->is_begun = false;
	client->is_done = true;
	client->result = CURLE_OUT_OF_MEMORY;
	if (set_request(client, request) != 0)
		return;
	if (curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
		return;
	client->is_begun = true;
	client->is_done = false;
}

static void look_for_end(struct client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		client->result = message->data.result;
		client->is_done = true;
	}
}

bool client_wait(struct client *client, int fd, int timeout_ms)
{
	struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
	int running = 0;

	if (client->is_done)
		return true;
	if (curl_multi_perform(client->multi, &running) != CURLM_OK) {
		client->result = CURLE_OUT_OF_MEMORY;
		client->is_done = true;
		return true;
	}
	look_for_end(client);
	if (!client->is_done)
		(void)curl_multi_poll(client->multi, &extra, fd >= 0, timeout_ms, NULL);
	return client->is_done;
}

/* Why the socket cannot be connected to, and what to do. */
static const char *socket_advice(const char *path, int error)
{
	struct stat status;

	if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return "the path is longer than a UNIX socket can have";
	if (error == EACCES || error == EPERM)
		return "permission denied; become root or join the group that control.owner names";
	if (stat(path, &status) < 0 && errno == ENOENT)
		return "there is no such socket; is finback running? Where control.socket is "
		       "another, say so with --socket";
	if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return "that is no socket; say which is with --socket";
	if (error == ECONNREFUSED)
		return "nobody listens on it; finback has ended, start it again";
	return error ? strerror(error) : "the connection failed";
}

static int fail_to_reach(struct client *client, const char *why)
{
	(void)snprintf(client->why, sizeof client->why, "cannot reach finback at %.1024s: %s",
		       client->socket_path, why);
	return EX_UNAVAILABLE;
}

static int fail_to_understand(struct client *client, const char *why)
{
	(void)snprintf(client->why, sizeof client->why,
		       "the answer at %.1024s is not finback's: %.512s", client->socket_path, why);
	return EX_PROTOCOL;
}

/* The transfer did not come to its end. */
static int judge_failure(struct client *client)
{
	long error = 0;

	(void)curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &error);
	switch (client->result) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST: /* the path does not fit into an address */
		return fail_to_reach(client, socket_advice(client->socket_path, (int)error));
	case CURLE_OPERATION_TIMEDOUT:
		return fail_to_reach(client, "no answer in time; it is stopped or overloaded");
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return fail_to_reach(client, "the connection was closed without an answer; "
					     "it has ended, or takes no more connections");
	case CURLE_WRITE_ERROR:
		if (client->answer.is_too_large)
			return fail_to_understand(client, "it is larger than 64 MiB");
		/* fall through */
	case CURLE_OUT_OF_MEMORY:
		(void)snprintf(client->why, sizeof client->why, "out of memory");
		return EX_OSERR;
	default:
		return fail_to_understand(client, client->curl_why[0]
							  ? client->curl_why
							  : curl_easy_strerror(client->result));
	}
}

/* A refusal has a problem's `detail` (RFC 9457); anything else is not from finback. */
static int judge_refusal(struct client *client, json_t *body)
{
	const char *detail = json_string_value(json_object_get(body, "detail"));
	char why[64];

	if (client->http_status < 400 || !detail) {
		(void)snprintf(why, sizeof why, "HTTP status %ld%s", client->http_status,
			       client->http_status < 400 ? "" : " without a reason");
		json_decref(body);
		return fail_to_understand(client, why);
	}
	(void)snprintf(client->why, sizeof client->why, "%.1900s", detail);
	client->problem = body;
	return client->http_status == 400 ? EX_USAGE : 1;
}

static int judge_answer(struct client *client, json_t **ret)
{
	json_error_t error;
	json_t *body;
	char why[256];

	body = json_loadb(client->answer.bytes ? client->answer.bytes : "", client->answer.length,
			  0, &error);
	if (client->http_status < 200 || client->http_status > 299)
		return judge_refusal(client, body);
	if (json_is_object(body)) {
		*ret = body;
		return 0;
	}
	(void)snprintf(why, sizeof why, "%.200s",
		       body ? "its JSON is no object" : "it is not JSON: ");
	if (!body)
		(void)snprintf(why + strlen(why), sizeof why - strlen(why), "%.200s", error.text);
	json_decref(body);
	return fail_to_understand(client, why);
}

/* Whose process is at the other end, as long as the connection is known. */
static void note_peer(struct client *client)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct ucred peer;
	socklen_t length = sizeof peer;

	client->peer = 0;
	if (curl_easy_getinfo(client->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0)
		client->peer = peer.pid;
}

int client_finish(struct client *client, json_t **ret)
{
	if (client->is_begun) {
		note_peer(client);
		(void)curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &client->http_status);
		(void)curl_multi_remove_handle(client->multi, client->easy);
		client->is_begun = false;
	}
	if (client->result != CURLE_OK)
		return judge_failure(client);
	return judge_answer(client, ret);
}

int client_ask(struct client *client, const struct request *request, json_t **ret)
{
	client_begin(client, request);
	while (!client_wait(client, -1, 1000))
		; /* ends by the request's own patience */
	return client_finish(client, ret);
}

const char *client_why(const struct client *client)
{
	return client->why;
}

const json_t *client_problem(const struct client *client)
{
	return client->problem;
}

long client_http_status(const struct client *client)
{
	return client->http_status;
}

pid_t client_peer(const struct client *client)
{
	return client->peer;
}

char *client_encode(const char *text)
{
	char *encoded = curl_easy_escape(NULL, text, 0);
	char *copy = encoded ? strdup(encoded) : NULL;

	curl_free(encoded);
	return copy;
}
