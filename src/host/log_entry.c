/*
 * Entries as bytes and back. Packing is all that a session's worker does for its line, so it copies
 * and formats nothing.
 *
 * The surprising thing: a session is copied as it is, with pointers that mean nothing in the copy.
 * The texts that they pointed to follow it, and unpacking points them there.
 */
#include "log_entry.h"

#include <assert.h>
#include <string.h>

#define NO_TEXT UINT16_MAX
#define ALIGN   8

struct head {
	uint32_t size;
	uint8_t kind;
	uint8_t level;
	uint16_t length; /* of the message */
	struct timespec time;
};

#define TEXT(member) offsetof(struct log_session, member)

static const size_t texts[] = {
	TEXT(listener),     TEXT(pool),     TEXT(server_name), TEXT(state),
	TEXT(first_closer), TEXT(detector), TEXT(detail),
};

#define TEXTS (sizeof(texts) / sizeof(*texts))
static_assert(TEXTS == LOG_TEXTS, "every text has its bound");
static_assert(sizeof(struct head) + sizeof(struct log_session) +
			      TEXTS * (sizeof(uint16_t) + LOG_TEXT_MAX + 1) + ALIGN <=
		      LOG_PACKED_MAX,
	      "a session with the longest texts fits");
static_assert(sizeof(struct head) + LOG_MESSAGE_SIZE + ALIGN <= LOG_PACKED_MAX,
	      "the longest message fits");

/* The length of the text, the text and a NUL. Returns where the next one goes. */
static char *pack_text(char *at, const char *text)
{
	uint16_t length = text ? (uint16_t)strnlen(text, LOG_TEXT_MAX) : NO_TEXT;

	memcpy(at, &length, sizeof(length));
	at += sizeof(length);
	if (!text)
		return at;
	memcpy(at, text, length);
	at[length] = '\0';
	return at + length + 1;
}

static const char *unpack_text(const char *at, const char **ret_text)
{
	uint16_t length;

	memcpy(&length, at, sizeof(length));
	at += sizeof(length);
	*ret_text = length == NO_TEXT ? NULL : at;
	return length == NO_TEXT ? at : at + length + 1;
}

static char *pack_session(char *at, const struct log_session *session)
{
	memcpy(at, session, sizeof(*session));
	at += sizeof(*session);
	for (size_t i = 0; i < TEXTS; i++) {
		const char *text;

		memcpy(&text, (const char *)session + texts[i], sizeof(text));
		at = pack_text(at, text);
	}
	return at;
}

static void unpack_session(const char *at, struct log_session *ret)
{
	memcpy(ret, at, sizeof(*ret));
	at += sizeof(*ret);
	for (size_t i = 0; i < TEXTS; i++) {
		const char *text;

		at = unpack_text(at, &text);
		memcpy((char *)ret + texts[i], &text, sizeof(text));
	}
}

size_t log_entry_pack(const struct log_entry *entry, char *bytes)
{
	struct head head = { .kind = (uint8_t)entry->kind,
			     .level = (uint8_t)entry->level,
			     .time = entry->time };
	char *end = bytes + sizeof(head);

	if (entry->kind == LOG_KIND_MESSAGE) {
		head.length = (uint16_t)entry->length;
		memcpy(end, entry->message, entry->length);
		end += entry->length;
	} else {
		end = pack_session(end, entry->session);
	}
	head.size = (uint32_t)((size_t)(end - bytes) + ALIGN - 1) & ~(uint32_t)(ALIGN - 1);
	memcpy(bytes, &head, sizeof(head));
	return head.size;
}

void log_entry_unpack(const char *bytes, struct log_entry *ret, struct log_session *ret_session)
{
	struct head head;

	memcpy(&head, bytes, sizeof(head));
	*ret = (struct log_entry){ .kind = (enum log_kind)head.kind,
				   .level = (enum log_level)head.level,
				   .time = head.time,
				   .message = bytes + sizeof(head),
				   .length = head.length,
				   .session = ret_session };
	if (ret->kind != LOG_KIND_MESSAGE)
		unpack_session(bytes + sizeof(head), ret_session);
}
