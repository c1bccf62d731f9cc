/*
 * host/service: passed sockets as a service manager passes them, in a child that is given them, and
 * notices as they arrive at a notification socket of the test's own.
 */
#include <finback/host/service.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define PASSED_START 3 /* sd_listen_fds(3) */

static char directory[64], notify_path[96], listen_path[96];
static int notify_fd;

static int bound(int family, int type, const char *path)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} address;
	socklen_t length = sizeof(address.v4);
	int fd = socket(family, type, 0);

	memset(&address, 0, sizeof(address));
	address.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (family == AF_INET6) {
		address.v6.sin6_addr = in6addr_loopback;
		length = sizeof(address.v6);
	} else {
		(void)snprintf(address.un.sun_path, sizeof(address.un.sun_path), "%s", path);
		length = sizeof(address.un);
	}
	if (fd >= 0 && bind(fd, &address.any, length) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int listening(int family, const char *path)
{
	int fd = bound(family, SOCK_STREAM, path);

	if (fd >= 0 && listen(fd, 5) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/finback-service-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(notify_path, sizeof(notify_path), "%s/notify", directory);
	(void)snprintf(listen_path, sizeof(listen_path), "%s/listen", directory);
	notify_fd = bound(AF_UNIX, SOCK_DGRAM, notify_path);
	return notify_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	(void)close(notify_fd);
	(void)unlink(notify_path);
	(void)unlink(listen_path);
	return rmdir(directory);
}

/* Puts descriptors where a service manager puts them. Those given are far above. */
static bool place(const int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		int far = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 100 + i);

		if (far < 0 || dup2(far, PASSED_START + i) < 0)
			return false;
	}
	return true;
}

static void describe(int count, pid_t pid, const char *names)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	(void)setenv("LISTEN_PID", text, 1);
	(void)snprintf(text, sizeof(text), "%d", count);
	(void)setenv("LISTEN_FDS", text, 1);
	(void)unsetenv("LISTEN_FDNAMES");
	if (names)
		(void)setenv("LISTEN_FDNAMES", names, 1);
}

/* Runs a check in a child, which has its own descriptors and nothing taken yet. The check returns
 * the number of the step that failed. */
static void in_child(int (*check)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool is_ours_now(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static int check_families_under_one_name(void)
{
	int fds[4] = { listening(AF_INET, NULL), listening(AF_UNIX, listen_path),
		       listening(AF_INET, NULL), listening(AF_INET6, NULL) };
	int count = fds[3] < 0 ? 3 : 4; /* a machine may be without IPv6 */
	int got[4] = { -1, -1, -1, -1 };

	if (!place(fds, count))
		return 1;
	describe(count, getpid(), count == 4 ? "front:front:admin:front" : "front:front:admin");
	if (service_take_sockets() != count)
		return 2;
	if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
		return 3;
	for (int i = 0; i < count; i++) {
		if (!is_ours_now(PASSED_START + i))
			return 4;
	}
	if (service_sockets("front", got, 4) != count - 1 || got[0] != 3 || got[1] != 4)
		return 5;
	if (got[2] != (count == 4 ? 6 : -1) || got[3] != -1)
		return 6;
	if (service_sockets("admin", got, 4) != 1 || got[0] != 5)
		return 7;
	if (service_sockets("fron", got, 4) != 0 || service_sockets("", got, 4) != 0)
		return 8;
	if (strcmp(service_socket_names(), "front, admin") != 0)
		return 9;
	/* taking them again changes nothing, and they can be asked for again */
	if (service_take_sockets() != count || service_sockets("front", got, 4) != count - 1)
		return 10;
	return 0;
}

static void test_families_under_one_name(void **state)
{
	(void)state;
	in_child(check_families_under_one_name);
}

static int check_max(void)
{
	int fds[3] = { listening(AF_INET, NULL), listening(AF_INET, NULL),
		       listening(AF_INET, NULL) };
	int got[3] = { -1, -1, -1 };

	if (!place(fds, 3))
		return 1;
	describe(3, getpid(), "a:a:a");
	if (service_take_sockets() != 3)
		return 2;
	if (service_sockets("a", got, 2) != 3 || got[0] != 3 || got[1] != 4 || got[2] != -1)
		return 3;
	return service_sockets("a", NULL, 0) == 3 ? 0 : 4;
}

static void test_tells_of_more_than_there_is_room_for(void **state)
{
	(void)state;
	in_child(check_max);
}

/* A datagram socket, a stream socket that does not listen, and no socket at all. */
static int check_others(void)
{
	int fds[4] = { bound(AF_INET, SOCK_DGRAM, NULL), bound(AF_INET, SOCK_STREAM, NULL),
		       open("/dev/null", O_RDWR), listening(AF_UNIX, listen_path) };
	int log = memfd_create("stderr", 0);
	int got[4] = { -1, -1, -1, -1 };
	char text[2048];
	ssize_t length;

	if (log < 0 || !place(fds, 4) || dup2(fcntl(log, F_DUPFD, 100), STDERR_FILENO) < 0)
		return 1;
	describe(4, getpid(), "front:front:front:front");
	if (service_take_sockets() != 4)
		return 2;
	if (service_sockets("front", got, 4) != 1 || got[0] != 6)
		return 3;
	length = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "finback: warning: descriptor 3, passed as \"front\"") &&
			       strstr(text, "descriptor 4,") && strstr(text, "descriptor 5,") &&
			       !strstr(text, "descriptor 6,")
		       ? 0
		       : 4;
}

static void test_leaves_out_what_does_not_listen(void **state)
{
	(void)state;
	in_child(check_others);
}

static int check_unnamed(void)
{
	int fds[1] = { listening(AF_INET, NULL) };
	int got[1];

	if (!place(fds, 1))
		return 1;
	describe(1, getpid(), NULL);
	if (service_take_sockets() != 1 || service_sockets("unknown", got, 1) != 1)
		return 2;
	return strcmp(service_socket_names(), "unknown") == 0 ? 0 : 3;
}

static void test_sockets_without_names(void **state)
{
	(void)state;
	in_child(check_unnamed);
}

static int check_none(void)
{
	int got[1];

	if (service_take_sockets() != 0)
		return 1;
	describe(1, getppid(), "front"); /* meant for another process */
	if (service_take_sockets() != 0)
		return 2;
	if (service_sockets("front", got, 1) != 0 || strcmp(service_socket_names(), "") != 0)
		return 3;
	describe(1, getpid(), "front");
	(void)close(PASSED_START); /* nothing there */
	if (service_take_sockets() != -EBADF)
		return 4;
	describe(1, getpid(), "front:more"); /* names for more than there are */
	return service_take_sockets() < 0 ? 0 : 5;
}

static void test_no_sockets(void **state)
{
	(void)state;
	in_child(check_none);
}

static const char *notice(void)
{
	static char text[4096];
	ssize_t length = recv(notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void test_notices(void **state)
{
	static const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
	const char *text;
	char *rest;

	(void)state;
	assert_int_equal(setenv("NOTIFY_SOCKET", notify_path, 1), 0);
	service_ready("serving 2 listeners");
	assert_string_equal(notice(), "READY=1\nSTATUS=serving 2 listeners");
	service_ready(NULL);
	assert_string_equal(notice(), "READY=1\n");
	service_reloading();
	text = notice();
	assert_memory_equal(text, reloading, strlen(reloading));
	assert_true(strtoull(text + strlen(reloading), &rest, 10) > 0);
	assert_string_equal(rest, "\n");
	service_stopping("draining");
	assert_string_equal(notice(), "STOPPING=1\nSTATUS=draining");
	service_status("3 sessions");
	assert_string_equal(notice(), "STATUS=3 sessions");
	service_watchdog();
	assert_string_equal(notice(), "WATCHDOG=1\n");
	assert_string_equal(notice(), "");
}

static void test_a_status_is_one_short_line(void **state)
{
	char status[4096];
	const char *text;

	(void)state;
	assert_int_equal(setenv("NOTIFY_SOCKET", notify_path, 1), 0);
	service_status("a\nSTOPPING=1");
	assert_string_equal(notice(), "STATUS=a STOPPING=1");
	memset(status, 's', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	service_ready(status);
	text = notice();
	assert_memory_equal(text, "READY=1\nSTATUS=sss", 18);
	assert_in_range(strlen(text), 1000, 1024);
}

static void test_without_a_service_manager_nothing_happens(void **state)
{
	(void)state;
	service_ready("ready");
	service_reloading();
	service_stopping("stopping");
	service_status("status");
	service_watchdog();
	assert_string_equal(notice(), "");
	assert_int_equal(service_watchdog_us(), 0);
}

/* A service manager that went away is said once, not at every notice. */
static int check_gone(void)
{
	int log = memfd_create("stderr", 0);
	char text[2048], gone[128];
	ssize_t length;
	size_t lines = 0;

	(void)snprintf(gone, sizeof(gone), "%s/gone", directory);
	if (log < 0 || dup2(log, STDERR_FILENO) < 0 || setenv("NOTIFY_SOCKET", gone, 1) < 0)
		return 1;
	for (int i = 0; i < 5; i++)
		service_watchdog();
	length = pread(log, text, sizeof(text), 0);
	for (ssize_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	/* two, where the second changes meanwhile */
	return lines >= 1 && lines <= 2 ? 0 : 2;
}

static void test_a_failed_notice_is_logged_at_a_bounded_rate(void **state)
{
	(void)state;
	in_child(check_gone);
}

static void test_watchdog_interval(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(service_watchdog_us(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "10000000", 1), 0);
	assert_int_equal(service_watchdog_us(), 5000000);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(service_watchdog_us(), 5000000);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getppid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(service_watchdog_us(), 0);
	assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
	assert_int_equal(service_watchdog_us(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_families_under_one_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_of_more_than_there_is_room_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_leaves_out_what_does_not_listen, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_sockets_without_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_sockets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_notices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_status_is_one_short_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_service_manager_nothing_happens,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_failed_notice_is_logged_at_a_bounded_rate,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_watchdog_interval, set_up, tear_down),
	};

	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	(void)unsetenv("LISTEN_PID");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
