/*
 * Entries as lines: what stands before the message, the message, and the bound on both.
 *
 * A text line has at most LOG_LINE_MAX bytes. A JSON line is never cut, as half of one is worth
 * nothing: its parts have bounds, and so it has one.
 */
#include "log_line.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const struct {
	const char *prefix;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error: ", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning: ", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug: ", LOG_DEBUG },
};
static_assert(sizeof(levels) / sizeof(*levels) == LOG_LEVELS, "every level has its words");
static_assert(LOG_RENDERED_MAX > LOG_LINE_MAX * WORDS_JSON_GROWTH + 256,
	      "the longest message fits as JSON");

int log_line_priority(enum log_level level)
{
	return levels[level].priority;
}

/* Looks the words of a second up. Without a local time there are none. */
static void set_clock(struct log_clock *clock, time_t second)
{
	struct words date = { .text = clock->date, .size = sizeof(clock->date) };
	struct words zone = { .text = clock->zone, .size = sizeof(clock->zone) };
	struct tm local = { 0 };
	unsigned minutes;

	if (localtime_r(&second, &local)) {
		minutes = (unsigned)labs(local.tm_gmtoff) / 60;
		words_add_digits(&date, (unsigned)local.tm_year + 1900, 4);
		WORDS_ADD(&date, "-");
		words_add_digits(&date, (unsigned)local.tm_mon + 1, 2);
		WORDS_ADD(&date, "-");
		words_add_digits(&date, (unsigned)local.tm_mday, 2);
		WORDS_ADD(&date, "T");
		words_add_digits(&date, (unsigned)local.tm_hour, 2);
		WORDS_ADD(&date, ":");
		words_add_digits(&date, (unsigned)local.tm_min, 2);
		WORDS_ADD(&date, ":");
		words_add_digits(&date, (unsigned)local.tm_sec, 2);
		words_add(&zone, local.tm_gmtoff < 0 ? "-" : "+", 1);
		words_add_digits(&zone, minutes / 60, 2);
		WORDS_ADD(&zone, ":");
		words_add_digits(&zone, minutes % 60, 2);
	}
	clock->date_length = date.used;
	clock->zone_length = zone.used;
	clock->second = second;
	clock->is_set = true;
}

/* "2001-02-03T04:05:06.789+01:00", RFC 3339. */
static void add_time(struct words *words, struct log_clock *clock, const struct timespec *time)
{
	if (!clock->is_set || clock->second != time->tv_sec)
		set_clock(clock, time->tv_sec);
	words_add(words, clock->date, clock->date_length);
	WORDS_ADD(words, ".");
	words_add_digits(words, (uint64_t)time->tv_nsec / 1000000, 3);
	words_add(words, clock->zone, clock->zone_length);
}

static void add_text(struct words *words, const struct log_entry *entry)
{
	if (entry->kind == LOG_KIND_MESSAGE)
		words_add_clean(words, entry->message, entry->length);
	else
		log_session_text(words, entry);
	if (words->is_cut)
		memcpy(words->text + words->size - 3, "...", 3);
}

void log_line_message(struct words *words, const struct log_entry *entry)
{
	struct words message = { .text = words->text + words->used, .size = LOG_LINE_MAX };

	add_text(&message, entry);
	words->used += message.used;
}

/* A line that is too long keeps its end: "...", and the newline. */
static void render_text(struct words *words, const struct log_entry *entry, enum log_medium medium,
			struct log_clock *clock)
{
	struct words line = { .text = words->text + words->used, .size = LOG_LINE_MAX - 1 };
	const char *prefix = levels[entry->level].prefix;

	if (medium == LOG_MEDIUM_STREAM) {
		WORDS_ADD(&line, "<");
		words_add_number(&line, (unsigned)levels[entry->level].priority);
		WORDS_ADD(&line, ">");
	} else {
		if (medium == LOG_MEDIUM_FILE) {
			add_time(&line, clock, &entry->time);
			WORDS_ADD(&line, " ");
		}
		WORDS_ADD(&line, "finback: ");
		words_add(&line, prefix, strlen(prefix));
	}
	add_text(&line, entry);
	words->used += line.used;
}

/* A message of more than a line is cut as in text. */
static void add_message_member(struct words *words, const struct log_entry *entry)
{
	char message[LOG_LINE_MAX];
	size_t length = entry->length;

	memcpy(message, entry->message, length < sizeof(message) ? length : sizeof(message));
	if (length > sizeof(message)) {
		length = sizeof(message);
		memcpy(message + length - 3, "...", 3);
	}
	WORDS_ADD(words, "\"message\":");
	words_add_json(words, message, length);
}

static void render_json(struct words *words, const struct log_entry *entry, enum log_medium medium,
			struct log_clock *clock)
{
	const char *level = log_level_name(entry->level);

	if (medium == LOG_MEDIUM_STREAM) {
		WORDS_ADD(words, "<");
		words_add_number(words, (unsigned)levels[entry->level].priority);
		WORDS_ADD(words, ">");
	}
	WORDS_ADD(words, "{\"time\":\"");
	add_time(words, clock, &entry->time);
	WORDS_ADD(words, "\",\"level\":\"");
	words_add(words, level, strlen(level));
	WORDS_ADD(words, "\",");
	if (entry->kind == LOG_KIND_MESSAGE)
		add_message_member(words, entry);
	else
		log_session_json(words, entry);
	WORDS_ADD(words, "}");
}

void log_line_render(struct words *words, const struct log_entry *entry, enum log_medium medium,
		     enum log_format format, struct log_clock *clock)
{
	if (format == LOG_FORMAT_JSON)
		render_json(words, entry, medium, clock);
	else
		render_text(words, entry, medium, clock);
	WORDS_ADD(words, "\n");
}
