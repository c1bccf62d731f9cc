#ifndef FINBACK_SRC_HOST_CONFIG_SCAN_H
#define FINBACK_SRC_HOST_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The walk over one file's tokens that puts them into a config_source. It knows strings, comments,
 * numbers, brackets and @include as libconfig's lexer does, and no grammar.
 */

#define CONFIG_NESTING_MAX   32    /* brackets open at once */
#define CONFIG_SETTINGS_MAX  65536 /* libconfig looks for each name among all of its group */
#define CONFIG_INCLUDES_MAX  1024  /* @include lines followed */
#define CONFIG_INCLUDE_DEPTH 10    /* files open at once */

struct config_report;
struct config_source;

/* What all files of one configuration count together. */
struct config_scan_totals {
	unsigned open_brackets;
	char brackets[CONFIG_NESTING_MAX + 1]; /* which they are, the outermost first */
	char last;                             /* the first byte of the last token */
	unsigned settings;
	unsigned includes;
};

/* One file being walked. */
struct scan {
	struct config_source *source;
	struct config_report *report;
	struct config_scan_totals *totals;
	const struct scan *includer; /* NULL: the file that was asked for */
	const char *folder;          /* where relative includes are */
	dev_t device;
	ino_t inode;
	size_t file;
	unsigned line;
	const char *at;
	const char *end;
	bool is_line_start;   /* only blanks since the line began */
	bool is_after_string; /* a string that follows belongs to the one before */
	int result;           /* -ENOMEM once there was no memory: the walk ends */
};

/* Walks `length` bytes, behind which a NUL stands, as the last file of scan->source. */
void config_scan(struct scan *scan, const char *bytes, size_t length);

/* Ends the walk of all files with an error; what was put together before stays. */
void config_scan_cut(struct scan *scan, unsigned line, const char *why);

/* Opens and walks an included file (config_file.c). One that cannot be had is an error in
 * `at_line`, and the walk goes on. Returns 0 or -ENOMEM. */
int config_scan_include(struct scan *includer, const char *path, unsigned at_line);

#endif
