/*
 * Paths as words.
 *
 * Invariant: a path is taken apart before its words are decoded, so that an encoded "/" belongs to
 * a word.
 */
#include "control_path.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static unsigned hex_digit(char digit)
{
	if (isdigit((unsigned char)digit))
		return (unsigned)(digit - '0');
	return (unsigned)(tolower((unsigned char)digit) - 'a') + 10;
}

int path_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		unsigned byte = (unsigned char)*from;

		if (*from == '%') {
			if (!isxdigit((unsigned char)from[1]) || !isxdigit((unsigned char)from[2]))
				return -EINVAL;
			byte = hex_digit(from[1]) << 4 | hex_digit(from[2]);
			if (byte == 0)
				return -EINVAL;
			from += 2;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	return 0;
}

int path_split(struct path *ret, const char *text)
{
	size_t length = strlen(text);
	char *rest = ret->bytes;

	ret->count = 0;
	if (length > PATH_BYTES_MAX)
		return -ENAMETOOLONG;
	if (text[0] != '/')
		return -ENOENT;
	memcpy(ret->bytes, text, length + 1);
	if (length == 1)
		return 0;
	for (char *word = rest + 1; word; word = rest) {
		rest = strchr(word, '/');
		if (rest)
			*rest++ = '\0';
		if (ret->count == PATH_WORDS_MAX)
			return -ENOENT;
		if (path_decode(word) < 0)
			return -EINVAL;
		ret->words[ret->count++] = word;
	}
	return 0;
}

bool path_fits(const struct path *path, const char *pattern)
{
	size_t count = 0;

	while (*pattern == '/' && pattern[1]) {
		size_t length = strcspn(++pattern, "/");
		bool is_any = length == 1 && *pattern == '*';

		if (count == path->count)
			return false;
		if (!is_any && (strlen(path->words[count]) != length ||
				memcmp(path->words[count], pattern, length) != 0))
			return false;
		count++;
		pattern += length;
	}
	return count == path->count;
}
