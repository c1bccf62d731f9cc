#ifndef FINBACK_SRC_HOST_LOG_QUEUE_H
#define FINBACK_SRC_HOST_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Entries that wait to be written, and the thread that writes them. log_start and log_stop, of
 * <finback/host/log.h>, are here.
 */

#define LOG_QUEUE_BYTES (1024 * 1024)

/* Queues a packed entry, or drops it and counts that. Never waits but for another thread's memcpy.
 * Returns false where no thread writes: then it is the caller's to write. */
bool log_queue_put(const char *packed, size_t size);

/* Lines that were dropped. */
uint64_t log_queue_dropped(void);

#endif
