#ifndef FINBACK_SRC_HOST_LOG_TARGET_H
#define FINBACK_SRC_HOST_LOG_TARGET_H

#include <finback/host/log.h>

#include <stdbool.h>
#include <stdint.h>

#include "log_entry.h"

/*
 * What the log is written to: stderr, a file or the journal. Whoever writes has it for itself from
 * log_target_begin to log_target_end; meanwhile another thread may open another target, which takes
 * the place of this one when it is free.
 */

/* Finds or opens what log_settings.target stands for; waits for nobody. Returns 0 or -errno as
 * log_open does. */
int log_target_open(const char *text, enum log_format format);

/* Waits until nobody else writes. Where a target takes nothing at the moment, a patient writer
 * waits for it (and all wait where write(2) itself blocks). */
void log_target_begin(bool is_patient);

/* The journal gets the entry at once; else its line is gathered, and log_target_flush writes.
 * Before it, log_target_has_room. */
void log_target_put(const struct log_entry *entry);
bool log_target_has_room(void);

/* Writes what was gathered, whole lines at a time: up to 64 KiB in one write(2), up to PIPE_BUF for
 * a pipe, where others may write as well (pipe(7)). Lines that fail are counted. */
void log_target_flush(void);

/* Flushes. */
void log_target_end(void);

/* From now on nothing is written, and who waits in log_target_flush leaves it as soon as it can. It
 * may still wait in write(2): nobody may begin any more. */
void log_target_abandon(void);

/* Lines that could not be written, or not whole. */
void log_target_count_lost(uint64_t lines);
uint64_t log_target_lost(void);

#endif
