/*
 * libFuzzer over the control interface: a daemon runs in a thread of its own, with a live session,
 * and whatever bytes a caller sends, it goes on, and what it answers is HTTP; its refusals are
 * JSON.
 *
 * The first byte of the input says how it is sent: as it is, or as the target, a header and the
 * body of a request that is whole.
 */
#include <finback/admin/control.h>
#include <finback/daemon/supervisor.h>
#include <finback/host/config.h>
#include <finback/io/address.h>
#include <finback/io/sock.h>

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX  8192
#define ANSWER_MAX (1 << 20)
#define QUIET_MS   4 /* half a request gets no answer */
#define START_MS   10000

static char folder[] = "/tmp/finback-fuzz-XXXXXX";
static char path[64];
static struct address control_address;
static struct address backend;
static pthread_t daemon_thread;
static bool is_running;
static int session[2] = { -1, -1 };

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's names */
int LLVMFuzzerInitialize(int *count, char ***values);
/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

/* ---- the daemon -------------------------------------------------------------------------------
 */

static void *run_daemon(void *argument)
{
	struct config *config = argument;
	struct supervisor_guest guest;
	struct control *control;

	require(control_create(&control) == 0, "no memory");
	guest = control_guest(control, config);
	require(supervisor_run(config, true, &guest) == 0, "the daemon did not start");
	control_destroy(control);
	return NULL;
}

static struct config *load(int backend_fd)
{
	char text[512], server[ADDRESS_TEXT_MAX];
	struct config_problems problems;
	struct config *config = NULL;

	backend = sock_local(backend_fd);
	(void)snprintf(
		text, sizeof text,
		"workers = 2; drain = \"1h\"; log = { target = \"/dev/null\"; };"
		"control = { socket = \"%s\"; };"
		"listeners = ({ name = \"web\"; listen = \"unix:%s/web\"; servers = \"%s\"; });",
		path, folder, address_format(&backend, server, sizeof server));
	require(config_load_text(text, "fuzz", &config, &problems) == 0, "a bad configuration");
	config_problems_fini(&problems);
	return config;
}

static int connected(const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, &address->any, address->length) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void end_session(void)
{
	for (int i = 0; i < 2; i++) {
		if (session[i] >= 0)
			(void)close(session[i]);
		session[i] = -1;
	}
}

static void start_session(int backend_fd)
{
	struct pollfd watched = { .fd = backend_fd, .events = POLLIN };
	struct address web;
	char text[128];

	(void)snprintf(text, sizeof text, "unix:%s/web", folder);
	require(address_parse(&web, text) == 0, "no address");
	for (int i = 0; session[0] < 0 && i < START_MS; i++) {
		session[0] = connected(&web);
		if (session[0] < 0)
			(void)usleep(1000);
	}
	require(session[0] >= 0, "the daemon does not listen");
	require(poll(&watched, 1, START_MS) == 1, "no session");
	session[1] = accept(backend_fd, NULL, NULL);
	require(session[1] >= 0, "no session");
}

/* It was not started yet, or an input has drained it. */
static void start_daemon(int backend_fd)
{
	if (is_running)
		(void)pthread_join(daemon_thread, NULL);
	require(pthread_create(&daemon_thread, NULL, run_daemon, load(backend_fd)) == 0,
		"no thread");
	is_running = true;
	start_session(backend_fd);
}

static void remove_folder(void)
{
	char text[128];

	(void)unlink(path);
	(void)snprintf(text, sizeof text, "%s/web", folder);
	(void)unlink(text);
	(void)rmdir(folder);
}

/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerInitialize(int *count, char ***values)
{
	char text[128];

	(void)count;
	(void)values;
	(void)signal(SIGPIPE, SIG_IGN);
	require(mkdtemp(folder) != NULL, "no folder");
	(void)snprintf(path, sizeof path, "%s/control", folder);
	(void)snprintf(text, sizeof text, "unix:%s", path);
	require(address_parse(&control_address, text) == 0, "no address");
	return atexit(remove_folder);
}

/* ---- one caller -------------------------------------------------------------------------------
 */

static int caller(void)
{
	static int backend_fd = -1;
	int fd = is_running ? connected(&control_address) : -1;

	if (fd >= 0)
		return fd;
	if (backend_fd < 0) {
		struct address loopback;
		const struct sock_listen options = { .backlog = 16 };

		require(address_parse(&loopback, "127.0.0.1:0") == 0, "no address");
		backend_fd = sock_listen(&loopback, &options);
		require(backend_fd >= 0, "no backend");
	}
	start_daemon(backend_fd);
	fd = connected(&control_address);
	require(fd >= 0, "no control interface");
	return fd;
}

static void put(int fd, const void *bytes, size_t size)
{
	(void)send(fd, bytes, size, MSG_NOSIGNAL); /* it may hang up on us */
}

/* "METHOD target HTTP/1.1": the target ends at the first line feed, a header at the next. */
static void put_request(int fd, const char *method, const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	size_t target = end ? (size_t)(end - text) : size;
	const char *header = text + (end ? target + 1 : size);
	size_t left = size - (size_t)(header - text);
	const char *header_end = memchr(header, '\n', left);
	size_t header_size = header_end ? (size_t)(header_end - header) : 0;
	const char *body = header + (header_end ? header_size + 1 : 0);
	size_t body_size = size - (size_t)(body - text);
	char head[INPUT_MAX + 256];
	int length = snprintf(head, sizeof head,
			      "%s /%.*s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%.*s%s\r\n",
			      method, (int)target, text, body_size, (int)header_size, header,
			      header_size > 0 ? "\r\n" : "");

	put(fd, head, (size_t)length);
	put(fd, body, body_size);
}

static size_t read_answer(int fd, char *answer)
{
	struct pollfd watched = { .fd = fd, .events = POLLIN };
	size_t length = 0;

	while (length < ANSWER_MAX - 1 && poll(&watched, 1, QUIET_MS) > 0) {
		ssize_t count = recv(fd, answer + length, ANSWER_MAX - 1 - length, 0);

		if (count <= 0)
			break;
		length += (size_t)count;
	}
	answer[length] = '\0';
	return length;
}

static void check_answer(const char *answer, size_t length)
{
	const char *body = strstr(answer, "\r\n\r\n");
	const char *type = strstr(answer, "application/problem+json");
	json_t *problem;

	require(length == 0 || strncmp(answer, "HTTP/1.", 7) == 0, "an answer that is no HTTP");
	if (!body || !type || type > body || !body[4])
		return;
	problem = json_loads(body + 4, JSON_DISABLE_EOF_CHECK, NULL);
	require(problem != NULL, "a refusal that is no JSON");
	require(json_is_string(json_object_get(problem, "detail")), "a refusal without a word");
	json_decref(problem);
}

/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "GET", "HEAD", "PATCH", "DELETE", "POST", "BREW" };
	static char answer[ANSWER_MAX];
	int fd;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	fd = caller();
	if (data[0] < sizeof methods / sizeof methods[0])
		put_request(fd, methods[data[0]], (const char *)data + 1, size - 1);
	else
		put(fd, data, size);
	(void)shutdown(fd, SHUT_WR);
	check_answer(answer, read_answer(fd, answer));
	(void)close(fd);
	if (strstr(answer, "{\"draining\":true,"))
		end_session(); /* and with it the daemon */
	return 0;
}
