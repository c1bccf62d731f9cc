#ifndef FINBACK_HOST_DURATION_H
#define FINBACK_HOST_DURATION_H

#include <stdint.h>

/*
 * Durations as users write them, in the configuration and elsewhere.
 */

/* What is right, as part of a sentence. */
#define DURATION_HINT "a number with us, ms, s, m, h or d, such as 30s"

/* "50us", "500ms", "30s", "5m", "1h", "1d", or "0". Returns 0; -EINVAL when it is no duration;
 * -ERANGE when it is over ten years. */
int duration_parse(const char *text, int64_t *ret_us);

#endif
