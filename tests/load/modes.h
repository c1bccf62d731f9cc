#ifndef FINBACK_LOAD_MODES_H
#define FINBACK_LOAD_MODES_H

#include "options.h"

/* Each runs to its end and reports; errors are counted in report.h. */
void crowd_run(struct options *options);
void bulk_run(struct options *options);
void ping_run(struct options *options);
void churn_run(struct options *options);
void idle_run(struct options *options);
void stall_run(struct options *options);
void flood_run(struct options *options);

#endif
