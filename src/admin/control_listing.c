/*
 * Lists that stream.
 *
 * Invariant: the first slice is there before the answer begins, so that its status is known; after
 * that, what goes wrong ends the connection in the middle of a chunk, and nobody takes the part for
 * the whole (RFC 9112, 8).
 */
#include "control_listing.h"

#include <finback/daemon/worker.h>

#include <stdio.h>
#include <string.h>

/* ---- the query --------------------------------------------------------------------------------
 */

struct reading {
	struct query *query;
	char why[QUERY_WHY_MAX]; /* "": all is well */
};

/* The library has made a space of each "+" already. */
static bool decode(const char *text, char into[PATH_BYTES_MAX + 1])
{
	(void)snprintf(into, PATH_BYTES_MAX + 1, "%s", text); /* no URI is longer */
	return path_decode(into) == 0;
}

static enum MHD_Result read_parameter(void *owner, enum MHD_ValueKind kind, const char *name,
				      const char *value)
{
	struct reading *reading = owner;
	char names[PATH_BYTES_MAX + 1];
	char values[PATH_BYTES_MAX + 1];

	(void)kind;
	if (!decode(name, names) || (value && !decode(value, values))) {
		(void)snprintf(reading->why, sizeof reading->why,
			       "a parameter is not encoded rightly: %% and two hexadecimal digits, "
			       "not 00");
		return MHD_NO;
	}
	return query_add(reading->query, names, value ? values : NULL, reading->why) == 0 ? MHD_YES
											  : MHD_NO;
}

bool listing_read_query(struct request *request, struct query *ret)
{
	struct reading reading = { .query = ret };

	query_init(ret);
	(void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, read_parameter,
					&reading);
	if (!*reading.why)
		(void)query_check(ret, control_facts(request).crew->count, reading.why);
	if (*reading.why)
		request_refuse(request, MHD_HTTP_BAD_REQUEST, "%s", reading.why);
	return !*reading.why;
}

/* ---- the text ---------------------------------------------------------------------------------
 */

void listing_open(struct listing *listing)
{
	TEXT_APPEND(&listing->text, "{\"sessions\":[");
}

void listing_separate(struct listing *listing)
{
	if (listing->shown++ > 0)
		TEXT_APPEND(&listing->text, ",");
}

void listing_close(struct listing *listing, const char *cursor)
{
	TEXT_APPEND(&listing->text, "]");
	if (cursor) {
		TEXT_APPEND(&listing->text, ",\"next\":");
		text_append_json(&listing->text, cursor);
	}
	TEXT_APPEND(&listing->text, "}");
	listing->is_through = true;
}

void listing_fini(struct wait *wait)
{
	struct listing *listing = (struct listing *)wait;

	text_fini(&listing->text);
}

/* ---- the stream -------------------------------------------------------------------------------
 */

static ssize_t give(struct listing *listing, char *into, size_t max)
{
	size_t left = listing->text.length - listing->sent;
	size_t count = left < max ? left : max;

	memcpy(into, listing->text.bytes + listing->sent, count);
	listing->sent += count;
	return (ssize_t)count;
}

static ssize_t read_piece(void *owner, uint64_t position, char *into, size_t max)
{
	struct request *request = owner;
	struct listing *listing = (struct listing *)request->wait;

	(void)position;
	if (!listing || listing->text.is_short)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (listing->sent < listing->text.length)
		return give(listing, into, max);
	if (listing->is_through)
		return MHD_CONTENT_READER_END_OF_STREAM;
	text_truncate(&listing->text, 0);
	listing->sent = 0;
	listing->more(listing);
	if (listing->text.length > 0)
		return give(listing, into, max);
	request_suspend(request);
	return 0;
}

void listing_deliver(struct listing *listing)
{
	struct request *request = listing->wait.request;

	if (request->is_answered || request->response) {
		request_resume(request);
		return;
	}
	if (listing->text.is_short) { /* no answer: the connection is closed */
		wait_finish(&listing->wait);
		return;
	}
	request_stream(request, read_piece);
	request_resume(request);
}
