#ifndef FINBACK_SRC_ADMIN_CONTROL_PATH_H
#define FINBACK_SRC_ADMIN_CONTROL_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A request's path as words. Pure: no memory from the heap, no system call.
 */

#define PATH_BYTES_MAX 4096
#define PATH_WORDS_MAX 8

/* "/api/v1/servers/web/unix:%2Frun%2Fapp" as "api", "v1", "servers", "web", "unix:/run/app"; "/"
 * has none. The words point into `bytes`: not to be copied. */
struct path {
	size_t count;
	const char *words[PATH_WORDS_MAX];
	char bytes[PATH_BYTES_MAX + 1];
};

/* Replaces each %20 and the like by its byte, in place. Returns 0; -EINVAL for a % without two
 * hexadecimal digits behind it, and for %00, with the text partly replaced. */
int path_decode(char *text);

/* Takes a path apart, still encoded, as it stands in a request. Returns 0; -EINVAL when it is not
 * encoded rightly; -ENOENT when it begins with no "/" or has too many words; -ENAMETOOLONG. */
int path_split(struct path *ret, const char *text);

/* Whether it is one of those that the pattern means: words with "/" before each of them, where "*"
 * is any word. */
bool path_fits(const struct path *path, const char *pattern);

#endif
