#ifndef FINBACK_SRC_FINBACKCTL_FACTS_H
#define FINBACK_SRC_FINBACKCTL_FACTS_H

#include <jansson.h>

#include "lines.h"

/* Lays out one live session: the sentence that explains it, what is true of the whole, then client
 * and server side by side. Made for `width` columns, 40 at least; what does not fit loses its
 * middle. Adds to `lines`. */
void facts_lay_out(const json_t *session, int width, struct lines *lines);

#endif
