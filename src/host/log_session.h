#ifndef FINBACK_SRC_HOST_LOG_SESSION_H
#define FINBACK_SRC_HOST_LOG_SESSION_H

#include <sys/uio.h>

#include "log_entry.h"
#include "log_words.h"

/*
 * The words of a session's line, for entries of LOG_KIND_ENDED and LOG_KIND_RUNNING: as a line for
 * people, as members of a JSON object, and as fields of the journal.
 */

/* "session 42 complete: listener=web ..." */
void log_session_text(struct words *words, const struct log_entry *entry);

/* "message":"session 42 complete","session":42,"listener":"web",... At most LOG_SESSION_JSON_MAX
 * bytes. */
void log_session_json(struct words *words, const struct log_entry *entry);
#define LOG_SESSION_JSON_MAX ((LOG_TEXTS + 1) * LOG_TEXT_MAX * WORDS_JSON_GROWTH + 2048)

/* "NAME=value" for each field, packed into `words` one behind the other, and where each lies in
 * `ret`, which has room for LOG_FIELDS_MAX. Returns how many. */
size_t log_session_fields(struct words *words, const struct log_entry *entry, struct iovec *ret);
#define LOG_FIELDS_MAX       32
#define LOG_FIELDS_BYTES_MAX (LOG_TEXTS * LOG_TEXT_MAX + 2048)

#endif
