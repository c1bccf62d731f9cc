#ifndef FINBACK_SRC_HOST_CONFIG_SOURCE_H
#define FINBACK_SRC_HOST_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The text of a configuration: a file with its @includes put in, checked so far that libconfig can
 * be trusted with it, and the map from its lines back to the files. libconfig itself never
 * opens a file.
 */

struct config_report;

/* From this line of the text on, lines come from `file`, counted from `file_line`. */
struct config_stretch {
	unsigned line;
	size_t file;
	unsigned file_line;
};

struct config_place {
	const char *file;
	unsigned line; /* 0: the file as a whole */
};

struct config_source {
	char *text; /* ended with a NUL */
	size_t length;
	size_t capacity;
	unsigned lines; /* the line that the text's end is in, from 1 */
	size_t bytes_read;
	bool is_cut;        /* the text ends where an error made the rest worthless */
	unsigned cut_line;  /* and that is here */
	bool is_incomplete; /* an include is missing from it */
	char **files;
	size_t file_count;
	struct config_stretch *stretches;
	size_t stretch_count;
	/* The line that each string value begins in, in the order of the text: libconfig notes an
	 * unnamed one only when it has seen what follows, which may be lines further on. */
	unsigned *string_lines;
	size_t string_count;
};

/* Reads `path` and what it includes; a relative @include is looked for beside `path`. What is wrong
 * goes to `report`; then `text` is what was good before it. Returns 0 or -ENOMEM. */
int config_source_read(struct config_source *source, const char *path,
		       struct config_report *report);

/* The same for a text in memory that `name` stands for. */
int config_source_text(struct config_source *source, const char *text, const char *name,
		       struct config_report *report);

/* For the walk (config_scan.h): the text's next bytes, the next file, from here on that file, a
 * string here. All return 0 or -ENOMEM. */
int config_source_append(struct config_source *source, const char *bytes, size_t length);
int config_source_add_file(struct config_source *source, const char *path);
int config_source_add_stretch(struct config_source *source, size_t file, unsigned file_line);
int config_source_add_string(struct config_source *source);

/* Where a line of the text comes from. */
struct config_place config_source_place(const struct config_source *source, unsigned line);

void config_source_fini(struct config_source *source);

#endif
