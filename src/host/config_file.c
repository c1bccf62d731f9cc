#include <finback/host/config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_report.h"
#include "config_scan.h"
#include "config_source.h"

/*
 * Opens the files of a configuration, one inside the other. Every file is regular, has a bounded
 * size, and is read once: what was checked is what libconfig is given, whatever happens to the file
 * meanwhile.
 */

static const char *error_words(int error)
{
	const char *words = strerrordesc_np(error);

	return words == NULL ? "unknown error" : words;
}

/* Reads to the end, at most `size` bytes. Returns how many, or -errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(fd, bytes + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/* Why a file is not for us, or NULL. Non-blocking, so that a FIFO without a writer does not hang.
 */
static const char *open_file(const char *path, int *ret_fd, struct stat *ret_status)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*ret_fd = fd;
	if (fd < 0 || fstat(fd, ret_status) != 0)
		return error_words(errno);
	if (S_ISDIR(ret_status->st_mode))
		return "it is a directory";
	if (!S_ISREG(ret_status->st_mode))
		return "it is no regular file";
	if (ret_status->st_size > CONFIG_FILE_BYTES_MAX)
		return "it is larger than 1 MiB";
	return NULL;
}

/* Walks an open file. `bytes` has room for one byte more than all files together may have, and a
 * NUL. */
static const char *scan_open_file(struct scan *scan, int fd, char *bytes)
{
	size_t room = CONFIG_FILE_BYTES_MAX - scan->source->bytes_read;
	ssize_t length = read_all(fd, bytes, room + 1);

	if (length < 0)
		return error_words((int)-length);
	if ((size_t)length > room)
		return scan->includer == NULL ? "it is larger than 1 MiB"
					      : "with it, all files together are larger than 1 MiB";
	scan->source->bytes_read += (size_t)length;
	bytes[length] = '\0';
	config_scan(scan, bytes, (size_t)length);
	return NULL;
}

static bool is_open_already(const struct scan *scan, const struct stat *status)
{
	for (const struct scan *s = scan->includer; s != NULL; s = s->includer)
		if (s->device == status->st_dev && s->inode == status->st_ino)
			return true;
	return false;
}

static const char *scan_file(struct scan *scan, const char *path)
{
	struct stat status;
	int fd = -1;
	const char *why = open_file(path, &fd, &status);
	char *bytes = NULL;

	if (why == NULL && is_open_already(scan, &status))
		why = "it includes itself";
	if (why == NULL) {
		scan->device = status.st_dev;
		scan->inode = status.st_ino;
		bytes = malloc(CONFIG_FILE_BYTES_MAX + 2);
		scan->result = bytes == NULL ? -ENOMEM : config_source_add_file(scan->source, path);
	}
	if (why == NULL && scan->result == 0)
		why = scan_open_file(scan, fd, bytes);
	free(bytes);
	if (fd >= 0)
		(void)close(fd); /* nothing was written to it */
	return why;
}

static unsigned depth_of(const struct scan *scan)
{
	unsigned depth = 0;

	for (; scan != NULL; scan = scan->includer)
		depth++;
	return depth;
}

/* An include that cannot be had is an error in the line that asks for it; the walk goes on behind
 * it, but what it would have brought is missing from here on. */
int config_scan_include(struct scan *includer, const char *path, unsigned at_line)
{
	struct scan scan = *includer;
	bool is_absolute = path[0] == '/';
	const char *why;
	char *full;

	scan.includer = includer;
	scan.is_after_string = includer->is_after_string;
	if (asprintf(&full, "%s%s", is_absolute ? "" : includer->folder, path) < 0)
		return -ENOMEM;
	if (depth_of(&scan) > CONFIG_INCLUDE_DEPTH)
		why = "more than 10 files include one another";
	else if (++includer->totals->includes > CONFIG_INCLUDES_MAX)
		why = "more than 1024 files are included";
	else
		why = scan_file(&scan, full);
	if (why != NULL) {
		includer->source->is_incomplete = true;
		report_add(includer->report, at_line, false, "@include \"%s\": cannot be read: %s",
			   full, why);
	}
	free(full);
	includer->is_after_string = scan.is_after_string;
	return scan.result;
}

/* "etc/" of "etc/finback.conf", "" of "finback.conf". */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash == NULL ? 0 : (size_t)(slash + 1 - path));
}

static int scan_all(struct config_source *source, struct config_report *report, const char *path,
		    const char *text)
{
	struct config_scan_totals totals = { 0 };
	char *folder = folder_of(path);
	struct scan scan = {
		.source = source, .report = report, .folder = folder, .totals = &totals
	};
	const char *why = NULL;

	*source = (struct config_source){ .lines = 1 };
	scan.result = folder == NULL ? -ENOMEM : config_source_append(source, "", 0);
	if (scan.result == 0 && text == NULL) {
		why = scan_file(&scan, path);
	} else if (scan.result == 0) {
		size_t length = strnlen(text, CONFIG_FILE_BYTES_MAX + 1);

		scan.result = config_source_add_file(source, path);
		source->bytes_read = length;
		if (length > CONFIG_FILE_BYTES_MAX)
			why = "it is larger than 1 MiB";
		else if (scan.result == 0)
			config_scan(&scan, text, length);
	}
	if (scan.result == 0 && source->file_count == 0)
		scan.result = config_source_add_file(source, path);
	if (why != NULL) {
		source->is_cut = true;
		report_add(report, 0, false, "cannot be read: %s", why);
	}
	free(folder);
	return scan.result;
}

int config_source_read(struct config_source *source, const char *path, struct config_report *report)
{
	return scan_all(source, report, path, NULL);
}

int config_source_text(struct config_source *source, const char *text, const char *name,
		       struct config_report *report)
{
	return scan_all(source, report, name, text);
}
