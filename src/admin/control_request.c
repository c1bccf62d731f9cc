/*
 * One request, from its first line to its answer.
 *
 * Invariant: a request has one answer, and it is JSON, also where it is a refusal; only what the
 * library cannot read as HTTP it refuses itself, in its own words.
 *
 * Surprising: a body that is too long is read on for a while. To close a socket with unread bytes
 * is a reset (RFC 9293, 3.6.1), and the caller might never read why it was refused.
 */
#include <finback/daemon/relay.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control_private.h"

#define PROBLEM_JSON "application/problem+json"
#define DETAIL_MAX   1024
#define ALLOW_MAX    64

/* ---- answers ----------------------------------------------------------------------------------
 */

static void drop_answer(struct request *request)
{
	if (request->response)
		MHD_destroy_response(request->response);
	request->response = NULL;
}

void request_add_header(struct request *request, const char *name, const char *value)
{
	if (request->response && MHD_add_response_header(request->response, name, value) != MHD_YES)
		drop_answer(request);
}

/* Takes `response` over; NULL: there was no memory for it. */
static void give(struct request *request, unsigned status, const char *type,
		 struct MHD_Response *response)
{
	request->status = status;
	request->response = response;
	request_add_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	request_add_header(request, "X-Content-Type-Options", "nosniff");
	if (request->is_last)
		request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
}

void request_answer(struct request *request, unsigned status, const char *type, struct text *text)
{
	size_t length;
	char *bytes = text_take(text, &length);
	struct MHD_Response *response;

	if (!bytes)
		return;
	response = MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(bytes);
	give(request, status, type, response);
}

void request_stream(struct request *request, MHD_ContentReaderCallback read)
{
	/* libmicrohttpd 0.9.75 ends the chunks of a HEAD, too, of which there are none: nobody may
	 * take that for the beginning of the next answer. */
	request->is_last = request->is_head;
	give(request, MHD_HTTP_OK, CONTROL_JSON,
	     MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CONTROL_CALLER_BYTES, read,
					       request, NULL));
}

void request_begin_problem(struct text *text, unsigned status, const char *detail)
{
	TEXT_APPEND(text, "{\"type\":\"about:blank\",\"title\":");
	text_append_json(text, MHD_get_reason_phrase_for(status));
	TEXT_APPEND(text, ",\"status\":");
	text_append_number(text, status);
	TEXT_APPEND(text, ",\"detail\":");
	text_append_json(text, detail);
}

void request_end_problem(struct request *request, unsigned status, struct text *text)
{
	TEXT_APPEND(text, "}");
	request_answer(request, status, PROBLEM_JSON, text);
}

void request_refuse(struct request *request, unsigned status, const char *format, ...)
{
	char detail[DETAIL_MAX];
	struct text text = { 0 };
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	request_begin_problem(&text, status, detail);
	request_end_problem(request, status, &text);
}

static void set_idle_limit(struct request *request, unsigned seconds)
{
	/* It fails for an unknown option only. */
	(void)MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT,
					seconds);
}

/* When libmicrohttpd 0.9.75 resumes a connection, it first reads on, and closes it at an end of
 * file without a look at the answer that is there by now; but those that have a time limit of their
 * own are asked for their answers before that. */
void request_suspend(struct request *request)
{
	request->is_suspended = true;
	request->suspended_us = monotonic_us();
	set_idle_limit(request, CONTROL_IDLE_SECONDS + 1);
	MHD_suspend_connection(request->connection);
}

void request_resume(struct request *request)
{
	if (!request->is_suspended)
		return;
	request->is_suspended = false;
	/* It was not the caller who took this time. */
	request->caller->since_us += monotonic_us() - request->suspended_us;
	MHD_resume_connection(request->connection);
	door_wake(request->door);
}

char *request_caller(const struct request *request, char text[REQUEST_CALLER_MAX])
{
	struct ucred who;
	socklen_t length = sizeof who;

	if (getsockopt(request->caller->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0)
		(void)snprintf(text, REQUEST_CALLER_MAX, "somebody");
	else
		(void)snprintf(text, REQUEST_CALLER_MAX, "uid %u, pid %d", who.uid, who.pid);
	return text;
}

/* ---- what is asked for ------------------------------------------------------------------------
 */

static bool is_head(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static bool is_read(const char *method)
{
	return is_head(method) || strcmp(method, MHD_HTTP_METHOD_GET) == 0;
}

/* "GET, HEAD, PATCH": of the paths that fit. */
static void list_methods(const struct path *path, char text[ALLOW_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (const struct operation *operation = control_operations; operation->pattern;
	     operation++)
		if (path_fits(path, operation->pattern) && used < ALLOW_MAX)
			used += (size_t)snprintf(text + used, ALLOW_MAX - used, "%s%s%s",
						 used > 0 ? ", " : "", operation->method,
						 is_read(operation->method) ? ", HEAD" : "");
}

static void refuse_method(struct request *request, const char *method)
{
	char allow[ALLOW_MAX];

	list_methods(&request->path, allow);
	if (!*allow) {
		request_refuse(request, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
		return;
	}
	request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "%.32s is not for this path; %s",
		       method, allow);
	request_add_header(request, MHD_HTTP_HEADER_ALLOW, allow);
}

static const struct operation *find_operation(const struct path *path, const char *method)
{
	const char *wanted = is_head(method) ? MHD_HTTP_METHOD_GET : method;

	for (const struct operation *operation = control_operations; operation->pattern;
	     operation++)
		if (path_fits(path, operation->pattern) && strcmp(operation->method, wanted) == 0)
			return operation;
	return NULL;
}

static size_t head_bytes(const struct request *request)
{
	return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
		->header_size;
}

/* Whether it may go on; else it has its answer. */
static bool check_size(struct request *request)
{
	if (request->is_uri_long)
		request_refuse(request, MHD_HTTP_URI_TOO_LONG, "at most %d bytes",
			       CONTROL_URI_BYTES_MAX);
	else if (head_bytes(request) > CONTROL_HEAD_BYTES_MAX)
		request_refuse(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
			       "at most %d bytes of headers", CONTROL_HEAD_BYTES_MAX);
	else if (request->body_length > CONTROL_BODY_BYTES_MAX)
		request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "at most %d bytes of body",
			       CONTROL_BODY_BYTES_MAX);
	else
		return true;
	return false;
}

static bool check_path(struct request *request, const char *url)
{
	int error = path_split(&request->path, url);

	if (error == 0)
		return true;
	if (error == -ENOENT)
		request_refuse(request, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
	else
		request_refuse(request, MHD_HTTP_BAD_REQUEST,
			       "the path is not encoded rightly: %% and two hexadecimal digits, "
			       "not 00");
	return false;
}

static bool check_rest(struct request *request)
{
	bool has_query = MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, NULL,
						   NULL) > 0;

	if (request->body_length > 0 && request->operation->input != INPUT_BODY)
		request_refuse(request, MHD_HTTP_BAD_REQUEST, "%s takes no body here",
			       request->operation->method);
	else if (has_query && request->operation->input != INPUT_QUERY)
		request_refuse(request, MHD_HTTP_BAD_REQUEST, "this path takes no parameters");
	else
		return true;
	return false;
}

static void begin(struct request *request, const char *url, const char *method)
{
	if (!check_size(request))
		return;
	if (request->door->is_read_only && !is_read(method)) {
		request_refuse(request, MHD_HTTP_FORBIDDEN,
			       "only GET and HEAD here; all else on the UNIX socket");
		return;
	}
	if (!check_path(request, url))
		return;
	request->is_head = is_head(method);
	request->operation = find_operation(&request->path, method);
	if (!request->operation)
		refuse_method(request, method);
	else if (check_rest(request))
		request->operation->handle(request);
}

/* ---- the library's callbacks ------------------------------------------------------------------
 */

void *request_on_uri(void *owner, const char *uri, struct MHD_Connection *connection)
{
	struct caller *caller = caller_of(connection);
	struct request *request = caller ? malloc(sizeof *request) : NULL;

	if (!request)
		return NULL;
	/* Not all of it: its buffers are large. */
	memset(request, 0, offsetof(struct request, body));
	request->door = owner;
	request->caller = caller;
	request->connection = connection;
	request->is_uri_long = strlen(uri) > CONTROL_URI_BYTES_MAX;
	return request;
}

/* Whether there is, or will be, an answer. */
static enum MHD_Result proceed(struct request *request)
{
	enum MHD_Result result = MHD_NO;

	if (request->response) {
		result =
			MHD_queue_response(request->connection, request->status, request->response);
		MHD_destroy_response(request->response); /* the library keeps its own reference */
		request->response = NULL;
		request->is_answered = true;
	} else if (request->wait) {
		request_suspend(request);
		result = MHD_YES;
	}
	return result;
}

static void take_body(struct request *request, const char *data, size_t size)
{
	size_t room = CONTROL_BODY_BYTES_MAX - request->body_length;

	if (request->body_length < CONTROL_BODY_BYTES_MAX)
		memcpy(request->body + request->body_length, data, size < room ? size : room);
	request->body_length += size;
}

/* Announced as longer than what we would read and throw away? Then it is refused at once. */
static bool is_body_hopeless(const struct request *request)
{
	const char *length = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > CONTROL_BODY_BYTES_READ;
}

static enum MHD_Result show_head(struct request *request)
{
	request->is_begun = true;
	if (!is_body_hopeless(request))
		return MHD_YES;
	request->is_whole = true;
	request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "at most %d bytes of body",
		       CONTROL_BODY_BYTES_MAX);
	return proceed(request);
}

enum MHD_Result request_on_access(void *owner, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **ret_request)
{
	struct request *request = *ret_request;

	(void)owner;
	(void)connection;
	(void)version;
	if (!request)
		return MHD_NO; /* there was no memory for it */
	if (!request->is_begun)
		return show_head(request);
	if (*size > 0) {
		take_body(request, data, *size);
		*size = 0;
		return request->body_length <= CONTROL_BODY_BYTES_READ ? MHD_YES : MHD_NO;
	}
	if (!request->is_whole) {
		request->is_whole = true;
		request->caller->request = request;
		request->caller->since_us = monotonic_us();
		begin(request, url, method);
	}
	return proceed(request);
}

void request_on_completed(void *owner, struct MHD_Connection *connection, void **ret_request,
			  enum MHD_RequestTerminationCode code)
{
	struct request *request = *ret_request;

	(void)owner;
	(void)connection;
	(void)code;
	*ret_request = NULL;
	if (!request)
		return;
	set_idle_limit(request, CONTROL_IDLE_SECONDS);
	wait_leave(request->wait);
	drop_answer(request);
	request->caller->request = NULL;
	request->caller->since_us = monotonic_us();
	caller_look_for_end(request->door, request->caller);
	free(request);
}
