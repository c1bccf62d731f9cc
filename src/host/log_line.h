#ifndef FINBACK_SRC_HOST_LOG_LINE_H
#define FINBACK_SRC_HOST_LOG_LINE_H

#include "log_entry.h"
#include "log_session.h"
#include "log_words.h"

/*
 * An entry as the line that a target gets.
 */

/* What a target is, as far as the words matter. */
enum log_medium {
	LOG_MEDIUM_STDERR,
	LOG_MEDIUM_STREAM, /* stderr as a stream to the journal, where "<4>" says the priority */
	LOG_MEDIUM_FILE,
	LOG_MEDIUM_JOURNAL
};

/* The second that was last written, and its words: local time costs more than all else in a line.
 * Zeroed it knows none. */
struct log_clock {
	time_t second;
	bool is_set;
	char date[20]; /* "2001-02-03T04:05:06" */
	size_t date_length;
	char zone[8]; /* "+01:00" */
	size_t zone_length;
};

/* The most bytes that a line has, its newline among them. */
#define LOG_RENDERED_MAX (LOG_SESSION_JSON_MAX + 256)

/* Adds the line of an entry, with its newline. `words` has room for LOG_RENDERED_MAX bytes. */
void log_line_render(struct words *words, const struct log_entry *entry, enum log_medium medium,
		     enum log_format format, struct log_clock *clock);

/* Adds the message of an entry alone, at most LOG_LINE_MAX bytes of it: cut with "..." where it is
 * longer. */
void log_line_message(struct words *words, const struct log_entry *entry);

/* syslog(3)'s number. */
int log_line_priority(enum log_level level);

#endif
