/*
 * The words of a session's line: one table makes the text, the JSON object and the journal's
 * fields, so that all say the same. The order of the table is the order of the line, which is an
 * interface.
 *
 * Names of servers and listeners are the operator's own words, so they are quoted where they would
 * not read back as one value.
 */
#include "log_session.h"

#include <finback/io/address.h>

#include <assert.h>
#include <string.h>

enum kind {
	KIND_TEXT,
	KIND_OPTIONAL, /* text that is left out where there is none */
	KIND_DETAIL,   /* the same, and quoted always */
	KIND_ENDPOINT,
	KIND_ENDING, /* of an ended session */
	KIND_STATE,  /* of a running one */
	KIND_NUMBER,
	KIND_COUNT
};

struct literal {
	const char *text;
	size_t length;
};

struct field {
	struct literal pair;
	struct literal member;
	struct literal journal;
	enum kind kind;
	size_t at;
};

#define LITERAL(literal)                       \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}
#define FIELD(key, name, kind, place)                                                    \
	{                                                                                \
		LITERAL(" " key "="), LITERAL(",\"" key "\":"), LITERAL(name "="), kind, \
			offsetof(struct log_session, place)                              \
	}

/* Before these comes the session's number. */
static const struct field fields[] = {
	FIELD("listener", "FINBACK_LISTENER", KIND_TEXT, listener),
	FIELD("pool", "FINBACK_POOL", KIND_TEXT, pool),
	FIELD("server_name", "FINBACK_SERVER_NAME", KIND_TEXT, server_name),
	FIELD("client", "FINBACK_CLIENT", KIND_ENDPOINT, peers[CLIENT]),
	FIELD("client_local", "FINBACK_CLIENT_LOCAL", KIND_ENDPOINT, locals[CLIENT]),
	FIELD("server", "FINBACK_SERVER", KIND_ENDPOINT, peers[SERVER]),
	FIELD("server_local", "FINBACK_SERVER_LOCAL", KIND_ENDPOINT, locals[SERVER]),
	FIELD("ending", "FINBACK_ENDING", KIND_ENDING, ending),
	FIELD("state", "FINBACK_STATE", KIND_STATE, state),
	FIELD("first_closer", "FINBACK_FIRST_CLOSER", KIND_TEXT, first_closer),
	FIELD("bytes_from_client", "FINBACK_BYTES_FROM_CLIENT", KIND_NUMBER, bytes[CLIENT]),
	FIELD("bytes_from_server", "FINBACK_BYTES_FROM_SERVER", KIND_NUMBER, bytes[SERVER]),
	FIELD("ms_from_client", "FINBACK_MS_FROM_CLIENT", KIND_NUMBER, flow_ms[CLIENT]),
	FIELD("ms_from_server", "FINBACK_MS_FROM_SERVER", KIND_NUMBER, flow_ms[SERVER]),
	FIELD("half_closed_ms", "FINBACK_HALF_CLOSED_MS", KIND_NUMBER, half_closed_ms),
	FIELD("connect_ms", "FINBACK_CONNECT_MS", KIND_NUMBER, connect_ms),
	FIELD("total_ms", "FINBACK_TOTAL_MS", KIND_NUMBER, total_ms),
	FIELD("connects", "FINBACK_CONNECTS", KIND_COUNT, connects),
	FIELD("detector", "FINBACK_DETECTOR", KIND_OPTIONAL, detector),
	FIELD("detail", "FINBACK_DETAIL", KIND_DETAIL, detail),
};

#define FIELDS (sizeof(fields) / sizeof(*fields))
static_assert(FIELDS + 2 <= LOG_FIELDS_MAX, "all fields fit");

enum form {
	FORM_ABSENT, /* the field is left out */
	FORM_NONE,
	FORM_NUMBER,
	FORM_TEXT,
	FORM_QUOTED
};

struct value {
	enum form form;
	const char *text;
	size_t length;
	char buffer[ADDRESS_TEXT_MAX]; /* of what is no text to begin with */
};

static void set_text(struct value *value, const char *text)
{
	value->form = text ? FORM_TEXT : FORM_NONE;
	value->text = text ? text : "-";
	value->length = strlen(value->text);
}

static void set_words(struct value *value, enum form form, const struct words *words)
{
	value->form = form;
	value->text = words->text;
	value->length = words->used;
}

static void set_number(struct value *value, uint64_t number)
{
	struct words words = { .text = value->buffer, .size = sizeof(value->buffer) };

	words_add_number(&words, number);
	set_words(value, FORM_NUMBER, &words);
}

/* As endpoint_format() does it, at a tenth of the cost: four of them were half of a line's time. */
static void set_ipv4(struct value *value, const struct endpoint *endpoint)
{
	struct words words = { .text = value->buffer, .size = sizeof(value->buffer) };

	for (int i = 0; i < 4; i++) {
		words_add_number(&words, endpoint->ip[i]);
		words_add(&words, i < 3 ? "." : ":", 1);
	}
	words_add_number(&words, endpoint->port);
	set_words(value, FORM_TEXT, &words);
}

static void set_endpoint(struct value *value, const struct endpoint *endpoint)
{
	if (endpoint->family == ENDPOINT_NONE)
		set_text(value, NULL);
	else if (endpoint->family == ENDPOINT_IPV4)
		set_ipv4(value, endpoint);
	else
		set_text(value, endpoint_format(endpoint, value->buffer, sizeof(value->buffer)));
}

/* Most of what can be absent is. */
static void set_optional(struct value *value, const char *text)
{
	set_text(value, text);
	if (!text)
		value->form = FORM_ABSENT;
}

static const char *text_at(const void *at)
{
	const char *text;

	memcpy(&text, at, sizeof(text));
	return text;
}

/* Sets the value of a field; `value` keeps what it points to, or the entry does. */
static void find_value(struct value *value, const struct field *field,
		       const struct log_entry *entry)
{
	const void *at = (const char *)entry->session + field->at;
	bool is_running = entry->kind == LOG_KIND_RUNNING;

	switch (field->kind) {
	case KIND_TEXT:
		set_text(value, text_at(at));
		break;
	case KIND_OPTIONAL:
		set_optional(value, text_at(at));
		break;
	case KIND_DETAIL:
		set_optional(value, text_at(at));
		value->form = value->form == FORM_TEXT ? FORM_QUOTED : FORM_ABSENT;
		break;
	case KIND_ENDPOINT:
		set_endpoint(value, at);
		break;
	case KIND_ENDING:
		set_optional(value, is_running ? NULL : ending_name(*(const enum ending *)at));
		break;
	case KIND_STATE:
		set_text(value, text_at(at));
		if (!is_running)
			value->form = FORM_ABSENT;
		break;
	case KIND_NUMBER:
		set_number(value, *(const uint64_t *)at);
		break;
	case KIND_COUNT:
		set_number(value, *(const unsigned *)at);
		break;
	}
}

/* "session 42 complete" */
static void add_headline(struct words *words, const struct log_entry *entry)
{
	const struct log_session *session = entry->session;
	const char *verdict = ending_name(session->ending);

	if (entry->kind == LOG_KIND_RUNNING)
		verdict = session->state ? session->state : "-";
	WORDS_ADD(words, "session ");
	words_add_number(words, session->id);
	WORDS_ADD(words, " ");
	words_add_clean(words, verdict, strlen(verdict));
}

void log_session_text(struct words *words, const struct log_entry *entry)
{
	struct value value;

	add_headline(words, entry);
	WORDS_ADD(words, ":");
	for (size_t i = 0; i < FIELDS; i++) {
		find_value(&value, &fields[i], entry);
		if (value.form == FORM_ABSENT)
			continue;
		words_add(words, fields[i].pair.text, fields[i].pair.length);
		if (value.form == FORM_QUOTED)
			words_add_quoted(words, value.text, value.length);
		else if (value.form == FORM_TEXT)
			words_add_value(words, value.text, value.length);
		else
			words_add(words, value.text, value.length);
	}
}

void log_session_json(struct words *words, const struct log_entry *entry)
{
	char text[LOG_TEXT_MAX + 64];
	struct words headline = { .text = text, .size = sizeof(text) };
	struct value value;

	add_headline(&headline, entry);
	WORDS_ADD(words, "\"message\":");
	words_add_json(words, text, headline.used);
	WORDS_ADD(words, ",\"session\":");
	words_add_number(words, entry->session->id);
	for (size_t i = 0; i < FIELDS; i++) {
		find_value(&value, &fields[i], entry);
		if (value.form == FORM_ABSENT)
			continue;
		words_add(words, fields[i].member.text, fields[i].member.length);
		if (value.form == FORM_NONE)
			WORDS_ADD(words, "null");
		else if (value.form == FORM_NUMBER)
			words_add(words, value.text, value.length);
		else
			words_add_json(words, value.text, value.length);
	}
}

static struct iovec pack(struct words *words, const struct literal *name, const char *value,
			 size_t length)
{
	char *start = words->text + words->used;

	words_add(words, name->text, name->length);
	words_add(words, value, length);
	return (struct iovec){ start, (size_t)(words->text + words->used - start) };
}

size_t log_session_fields(struct words *words, const struct log_entry *entry, struct iovec *ret)
{
	static const struct literal message_id = LITERAL("MESSAGE_ID=");
	static const struct literal session_id = LITERAL("FINBACK_SESSION=");
	const char *id =
		entry->kind == LOG_KIND_RUNNING ? LOG_RUNNING_MESSAGE_ID : LOG_SESSION_MESSAGE_ID;
	struct value value = { .form = FORM_ABSENT };
	size_t count = 0;

	ret[count++] = pack(words, &message_id, id, strlen(id));
	set_number(&value, entry->session->id);
	ret[count++] = pack(words, &session_id, value.text, value.length);
	for (size_t i = 0; i < FIELDS; i++) {
		find_value(&value, &fields[i], entry);
		if (value.form != FORM_ABSENT)
			ret[count++] = pack(words, &fields[i].journal, value.text, value.length);
	}
	return count;
}
