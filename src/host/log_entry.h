#ifndef FINBACK_SRC_HOST_LOG_ENTRY_H
#define FINBACK_SRC_HOST_LOG_ENTRY_H

#include <finback/host/log.h>

#include <stddef.h>
#include <time.h>

/*
 * What was logged, before it is words: as the caller has it, and packed into bytes without
 * pointers, as it waits to be written. How it reads is settled by the target that it gets to in the
 * end.
 */

enum log_kind {
	LOG_KIND_MESSAGE,
	LOG_KIND_ENDED,  /* a session that has ended */
	LOG_KIND_RUNNING /* one that runs */
};

struct log_entry {
	enum log_kind kind;
	enum log_level level;
	struct timespec time;              /* CLOCK_REALTIME */
	const char *message;               /* of LOG_KIND_MESSAGE */
	size_t length;                     /* of the message */
	const struct log_session *session; /* of the others */
};

/* Storage for a message: a byte more than a line may have, so that one that was cut shows, and NUL.
 */
#define LOG_MESSAGE_SIZE (LOG_LINE_MAX + 2)

#define LOG_TEXT_MAX   511  /* bytes of each text of a session; a longer one is cut */
#define LOG_TEXTS      7    /* how many texts a session has */
#define LOG_PACKED_MAX 4096 /* bytes of a packed entry */

/* Packs an entry whose message has at most LOG_LINE_MAX + 1 bytes into LOG_PACKED_MAX bytes.
 * Returns how many it takes, a multiple of 8; they begin with that number as an uint32_t. */
size_t log_entry_pack(const struct log_entry *entry, char *bytes);

/* The way back; what `ret` points to is in `bytes` and `ret_session`. */
void log_entry_unpack(const char *bytes, struct log_entry *ret, struct log_session *ret_session);

#endif
