#ifndef FINBACK_ADMIN_METRICS_H
#define FINBACK_ADMIN_METRICS_H

#include <finback/admin/text.h>

#include <stdint.h>

/*
 * All that is counted, as Prometheus's text format 0.0.4. Every sample of a family is there from
 * the start, with 0, so that the first event is seen as a rate; what was counted for a listener
 * stays when a reload leaves it out. A pool's servers are those of the configuration in force.
 */

struct crew;
struct process_facts;
struct supervisor;
struct worker;

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the metrics as they are now; where there is no memory, the text becomes short. In the
 * supervisor's thread. */
void metrics_render(struct text *text, const struct supervisor *supervisor);

/* Descriptors that a worker has open now: its sessions' sockets, and what its loop is made of.
 * Those of listeners are the process's. Any thread. */
uint64_t metrics_worker_fds(const struct worker *worker);

/* process_read(), which is told of all workers' descriptors. */
void metrics_read_process(const struct crew *crew, struct process_facts *ret_facts);

#endif
