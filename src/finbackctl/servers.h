#ifndef FINBACK_SRC_FINBACKCTL_SERVERS_H
#define FINBACK_SRC_FINBACKCTL_SERVERS_H

#include <jansson.h>

#include "table.h"

/* A table of servers, a row each; for the caller to destroy. */
struct table *servers_table(void);

/* Adds the daemon's array of servers. */
void servers_add(struct table *table, const json_t *servers);

#endif
