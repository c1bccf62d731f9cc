/*
 * The words of an ended session's line: one table makes the text and the journal's fields, so that
 * both always say the same. The order of the table is the order of the line, which is an interface.
 *
 * Names of servers and listeners are the operator's own words, so they are quoted where they would
 * not read back as one value.
 */
#include <finback/host/log.h>
#include <finback/io/address.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log_line.h"

#define VALUE_MAX  512  /* a longer value is cut */
#define PACKED_MAX 4096 /* five texts of the operator's, and the rest, which is short */

enum kind {
	KIND_TEXT,
	KIND_DETAIL, /* text that is left out where there is none, and quoted always */
	KIND_ENDPOINT,
	KIND_ENDING,
	KIND_NUMBER,
	KIND_COUNT
};

#define AT(member) offsetof(struct log_session, member)

/* Before these comes FINBACK_SESSION, which the text begins with. */
static const struct field {
	const char *key;
	const char *name;
	enum kind kind;
	size_t at;
} fields[] = {
	{ "listener", "FINBACK_LISTENER", KIND_TEXT, AT(listener) },
	{ "pool", "FINBACK_POOL", KIND_TEXT, AT(pool) },
	{ "server_name", "FINBACK_SERVER_NAME", KIND_TEXT, AT(server_name) },
	{ "client", "FINBACK_CLIENT", KIND_ENDPOINT, AT(peers[CLIENT]) },
	{ "client_local", "FINBACK_CLIENT_LOCAL", KIND_ENDPOINT, AT(locals[CLIENT]) },
	{ "server", "FINBACK_SERVER", KIND_ENDPOINT, AT(peers[SERVER]) },
	{ "server_local", "FINBACK_SERVER_LOCAL", KIND_ENDPOINT, AT(locals[SERVER]) },
	{ "ending", "FINBACK_ENDING", KIND_ENDING, AT(ending) },
	{ "first_closer", "FINBACK_FIRST_CLOSER", KIND_TEXT, AT(first_closer) },
	{ "bytes_from_client", "FINBACK_BYTES_FROM_CLIENT", KIND_NUMBER, AT(bytes[CLIENT]) },
	{ "bytes_from_server", "FINBACK_BYTES_FROM_SERVER", KIND_NUMBER, AT(bytes[SERVER]) },
	{ "ms_from_client", "FINBACK_MS_FROM_CLIENT", KIND_NUMBER, AT(flow_ms[CLIENT]) },
	{ "ms_from_server", "FINBACK_MS_FROM_SERVER", KIND_NUMBER, AT(flow_ms[SERVER]) },
	{ "half_closed_ms", "FINBACK_HALF_CLOSED_MS", KIND_NUMBER, AT(half_closed_ms) },
	{ "connect_ms", "FINBACK_CONNECT_MS", KIND_NUMBER, AT(connect_ms) },
	{ "total_ms", "FINBACK_TOTAL_MS", KIND_NUMBER, AT(total_ms) },
	{ "connects", "FINBACK_CONNECTS", KIND_COUNT, AT(connects) },
	{ "detail", "FINBACK_DETAIL", KIND_DETAIL, AT(detail) },
};

#define FIELDS (sizeof(fields) / sizeof(*fields))
static_assert(FIELDS + 2 <= LOG_FIELDS_MAX, "all fields fit beside a message");

/* Text that grows in a buffer of fixed size; what does not fit is left out. */
struct words {
	char *text;
	size_t size;
	size_t used;
};

static void add_bytes(struct words *words, const char *bytes, size_t length)
{
	size_t room = words->size - words->used - 1;

	if (length > room)
		length = room;
	memcpy(words->text + words->used, bytes, length);
	words->used += length;
	words->text[words->used] = '\0';
}

static void add(struct words *words, const char *text)
{
	add_bytes(words, text, strlen(text));
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (; *value; value++) {
		if ((unsigned char)*value <= ' ' || strchr("\"\\=", *value))
			return true;
	}
	return false;
}

static void add_quoted(struct words *words, const char *value)
{
	add(words, "\"");
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			add(words, "\\");
		add_bytes(words, value, 1);
	}
	add(words, "\"");
}

/* The value of a field, at most VALUE_MAX - 1 bytes; `buffer` has room for that. NULL: there is
 * none, and the field is left out. */
static const char *field_value(const struct field *field, const struct log_session *session,
			       char *buffer)
{
	const void *at = (const char *)session + field->at;
	const char *text;

	switch (field->kind) {
	case KIND_TEXT:
	case KIND_DETAIL:
		memcpy(&text, at, sizeof(text));
		if (!text)
			return field->kind == KIND_DETAIL ? NULL : "-";
		(void)snprintf(buffer, VALUE_MAX, "%s", text);
		return buffer;
	case KIND_ENDPOINT:
		return endpoint_format(at, buffer, VALUE_MAX);
	case KIND_ENDING:
		return ending_name(*(const enum ending *)at);
	case KIND_NUMBER:
		(void)snprintf(buffer, VALUE_MAX, "%" PRIu64, *(const uint64_t *)at);
		return buffer;
	case KIND_COUNT:
		(void)snprintf(buffer, VALUE_MAX, "%u", *(const unsigned *)at);
		return buffer;
	}
	return NULL;
}

/* Adds "NAME=value" to the packed fields. Returns where it lies. */
static struct iovec pack(struct words *packed, const char *name, const char *value)
{
	char *start = packed->text + packed->used;

	add(packed, name);
	add(packed, "=");
	add(packed, value);
	return (struct iovec){ start, (size_t)(packed->text + packed->used - start) };
}

static void add_pair(struct words *text, const struct field *field, const char *value)
{
	add(text, " ");
	add(text, field->key);
	add(text, "=");
	if (field->kind == KIND_DETAIL || needs_quotes(value))
		add_quoted(text, value);
	else
		add(text, value);
}

void log_session(const struct log_session *session)
{
	char line[LOG_MESSAGE_SIZE], storage[PACKED_MAX], buffer[VALUE_MAX];
	struct words text = { .text = line, .size = sizeof(line) };
	struct words packed = { .text = storage, .size = sizeof(storage) };
	struct iovec entries[FIELDS + 2];
	size_t count = 0;

	if (!log_wants_session(session->ending))
		return;
	(void)snprintf(buffer, sizeof(buffer), "%" PRIu64, session->id);
	entries[count++] = pack(&packed, "MESSAGE_ID", LOG_SESSION_MESSAGE_ID);
	entries[count++] = pack(&packed, "FINBACK_SESSION", buffer);
	add(&text, "session ");
	add(&text, buffer);
	add(&text, " ");
	add(&text, ending_name(session->ending));
	add(&text, ":");
	for (size_t i = 0; i < FIELDS; i++) {
		const char *value = field_value(&fields[i], session, buffer);

		if (!value)
			continue;
		entries[count++] = pack(&packed, fields[i].name, value);
		add_pair(&text, &fields[i], value);
	}
	log_line(LOG_LEVEL_INFO, line, entries, count);
}
