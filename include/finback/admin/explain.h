#ifndef FINBACK_ADMIN_EXPLAIN_H
#define FINBACK_ADMIN_EXPLAIN_H

#include <finback/daemon/view.h>

/*
 * A session in one plain sentence, for who has to decide what to do about it: who waits for whom,
 * since when, and what ends it. It says what the view shows, and nothing else: without the kernel's
 * facts (a brief view, a UNIX socket) it claims nothing about the kernel.
 */

/* Every sentence fits, with its NUL; a name longer than 64 bytes is cut. */
#define EXPLANATION_MAX 1024

/* Writes the sentence, without a capital and a full stop: "the client finished sending 42 s ago;
 * finback waits for the server, which acknowledged everything and has sent nothing for 41 s;
 * half_closed ends it in 4 min 19 s". Durations and sizes are rounded down. Pure: no system call,
 * no memory from the heap. */
void explain_session(const struct session_view *view, char text[EXPLANATION_MAX]);

#endif
