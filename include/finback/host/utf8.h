#ifndef FINBACK_HOST_UTF8_H
#define FINBACK_HOST_UTF8_H

#include <stddef.h>

/*
 * Whether bytes are text, RFC 3629.
 */

/* How many bytes the character at `bytes` has, of which there are `left`, at least 1. 0: they are
 * no UTF-8, which the first byte is to blame for. */
size_t utf8_length(const char *bytes, size_t left);

#endif
