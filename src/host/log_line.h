#ifndef FINBACK_SRC_HOST_LOG_LINE_H
#define FINBACK_SRC_HOST_LOG_LINE_H

#include <finback/host/log.h>

#include <stddef.h>
#include <sys/uio.h>

/*
 * Between the two sources of the log: log.c owns the target and its settings, log_session.c makes
 * the words of a session's line.
 */

/* Storage for a message: a byte more than a line may have, so that one that was cut shows, and NUL.
 */
#define LOG_MESSAGE_SIZE (LOG_LINE_MAX + 2)

/* More journal fields than this beside a message are not taken. */
#define LOG_FIELDS_MAX 32

/* Writes one message to the target in use, its control characters as '?'. `fields` ("NAME=value",
 * no other end than their length) are for the journal alone. */
void log_line(enum log_level level, const char *message, const struct iovec *fields, size_t count);

#endif
