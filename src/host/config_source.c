#include "config_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The text as it grows, and the map of its lines. A stretch is added wherever the file changes;
 * two may begin in one line, and then the later one is what the line ends in.
 */

/* An array of `size` elements has room for `count` + 1 of them at each power of two. */
static void *grow(void *array, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return array;
	return realloc(array, (count == 0 ? 1 : count * 2) * size);
}

int config_source_append(struct config_source *source, const char *bytes, size_t length)
{
	if (source->capacity - source->length <= length) {
		size_t capacity = source->length + length + 1 + source->capacity;
		char *grown = realloc(source->text, capacity);

		if (grown == NULL)
			return -ENOMEM;
		source->text = grown;
		source->capacity = capacity;
	}
	for (size_t i = 0; i < length; i++)
		source->lines += bytes[i] == '\n';
	memcpy(source->text + source->length, bytes, length);
	source->length += length;
	source->text[source->length] = '\0';
	return 0;
}

int config_source_add_file(struct config_source *source, const char *path)
{
	char **files = grow(source->files, source->file_count, sizeof(*files));

	if (files == NULL)
		return -ENOMEM;
	source->files = files;
	files[source->file_count] = strdup(path);
	if (files[source->file_count] == NULL)
		return -ENOMEM;
	source->file_count++;
	return 0;
}

int config_source_add_stretch(struct config_source *source, size_t file, unsigned file_line)
{
	struct config_stretch *stretches =
		grow(source->stretches, source->stretch_count, sizeof(*stretches));

	if (stretches == NULL)
		return -ENOMEM;
	source->stretches = stretches;
	stretches[source->stretch_count++] = (struct config_stretch){ .line = source->lines,
								      .file = file,
								      .file_line = file_line };
	return 0;
}

int config_source_add_string(struct config_source *source)
{
	unsigned *lines = grow(source->string_lines, source->string_count, sizeof(*lines));

	if (lines == NULL)
		return -ENOMEM;
	source->string_lines = lines;
	lines[source->string_count++] = source->lines;
	return 0;
}

struct config_place config_source_place(const struct config_source *source, unsigned line)
{
	struct config_place place = { .file = source->file_count > 0 ? source->files[0] : "" };
	size_t low = 0;
	size_t high = source->stretch_count;

	if (line == 0 || high == 0)
		return place;
	/* The last stretch that begins at or before the line: of several that begin in it, the one
	 * that the line ends in. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (source->stretches[middle].line <= line)
			low = middle;
		else
			high = middle;
	}
	place.file = source->files[source->stretches[low].file];
	place.line = source->stretches[low].file_line + (line - source->stretches[low].line);
	return place;
}

void config_source_fini(struct config_source *source)
{
	for (size_t i = 0; i < source->file_count; i++)
		free(source->files[i]);
	free(source->files);
	free(source->stretches);
	free(source->string_lines);
	free(source->text);
	*source = (struct config_source){ 0 };
}
