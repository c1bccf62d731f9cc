#ifndef FINBACK_ADMIN_PAGE_H
#define FINBACK_ADMIN_PAGE_H

#include <stddef.h>

/*
 * The status page: one file of HTML, style and script that is part of the program. What it shows it
 * asks of the control interface's reads; it never writes, and needs nothing from anywhere else.
 *
 * A browser runs only the style and the script that carry the answer's own nonce, so whatever text
 * of a peer's might get into the page stays text (Content Security Policy Level 3).
 */

#define PAGE_TYPE "text/html; charset=utf-8"

/* Room for the policy with its NUL. */
#define PAGE_POLICY_MAX 384

/* The page for one answer, under a fresh nonce of 128 bits. `ret_text` becomes `ret_size` bytes
 * from the heap, the caller's to free (no NUL behind them); `ret_policy` the value of the
 * Content-Security-Policy header that this text goes with and no other. Returns 0; -ENOMEM, or what
 * getrandom(2) failed with. */
int page_render(char **ret_text, size_t *ret_size, char ret_policy[PAGE_POLICY_MAX]);

#endif
