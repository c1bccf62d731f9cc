/*
 * The service manager, through libsystemd: passed sockets, notices, the watchdog.
 *
 * Passed sockets stay open, and stay this module's, as long as the program runs: a listener that a
 * reload drops and a later one wants again finds its socket and the connections waiting in it.
 *
 * The surprising thing: sd_listen_fds_with_names(3) gives every socket of one .socket unit the same
 * name, so a name stands for several sockets, of different families too.
 */
#include <finback/host/log.h>
#include <finback/host/service.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define NOTICE_MAX 1024 /* a longer status text is cut */
#define NAMES_MAX  1024

/* The names of the passed descriptors, which begin at SD_LISTEN_FDS_START; set once. */
static char **socket_names;
static int socket_count;

static int64_t now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock is a constant */
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static void free_names(char **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

int service_take_sockets(void)
{
	char **names = NULL;
	int count;

	if (socket_names)
		return socket_count;
	count = sd_listen_fds_with_names(1, &names); /* sets close-on-exec */
	if (count <= 0)
		return count;
	for (int i = 0; i < count; i++) {
		int r = set_nonblocking(SD_LISTEN_FDS_START + i);

		if (r < 0) {
			free_names(names, count);
			return r;
		}
	}
	socket_names = names;
	socket_count = count;
	return count;
}

/* Whether connections can be accepted from it: a listening stream socket of a known family. */
static bool is_listener(int fd)
{
	return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
	       sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0 ||
	       sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
}

int service_sockets(const char *name, int *ret_fds, size_t max)
{
	size_t count = 0;

	for (int i = 0; i < socket_count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (strcmp(socket_names[i], name) != 0)
			continue;
		if (!is_listener(fd)) {
			log_say(LOG_LEVEL_WARNING,
				"descriptor %d, passed as \"%s\", is not a listening stream "
				"socket and is left out",
				fd, name);
			continue;
		}
		if (count < max)
			ret_fds[count] = fd;
		count++;
	}
	return (int)count;
}

static bool is_named_before(int index)
{
	for (int i = 0; i < index; i++) {
		if (strcmp(socket_names[i], socket_names[index]) == 0)
			return true;
	}
	return false;
}

const char *service_socket_names(void)
{
	static char text[NAMES_MAX];
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < socket_count; i++) {
		size_t room = sizeof(text) - used;
		int length;

		if (is_named_before(i))
			continue;
		length = snprintf(text + used, room, "%s%s", used > 0 ? ", " : "", socket_names[i]);
		if (length < 0 || (size_t)length >= room) {
			text[used] = '\0';
			break;
		}
		used += (size_t)length;
	}
	return text;
}

/* Sends one notice; `status` may be NULL. A line break in it would begin another assignment. */
static void notify(const char *assignment, const char *status)
{
	static struct log_limit limit;
	char text[NOTICE_MAX];
	size_t used = strlen(assignment);
	int r;

	(void)snprintf(text, sizeof(text), "%s%s%s", assignment, status ? "STATUS=" : "",
		       status ? status : "");
	for (char *at = text + used; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	r = sd_notify(0, text);
	if (r < 0)
		log_say_limited(&limit, now_us(), LOG_LEVEL_WARNING,
				"the service manager takes no notice: %s", strerrordesc_np(-r));
}

void service_ready(const char *status)
{
	notify("READY=1\n", status);
}

void service_reloading(void)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", now_us());
	notify(text, NULL);
}

void service_stopping(const char *status)
{
	notify("STOPPING=1\n", status);
}

void service_status(const char *status)
{
	notify("", status);
}

uint64_t service_watchdog_us(void)
{
	uint64_t limit_us = 0;

	return sd_watchdog_enabled(0, &limit_us) > 0 ? limit_us / 2 : 0;
}

void service_watchdog(void)
{
	notify("WATCHDOG=1\n", NULL);
}
