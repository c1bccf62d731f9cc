/*
 * daemon/sockets: a reload keeps the sockets it can, opens the others, and where one cannot be
 * opened nothing has happened.
 */
#include <finback/daemon/sockets.h>
#include <finback/host/service.h>

#include <sys/resource.h>

#include "../io/peers.h"

#define PASSED_START 3 /* sd_listen_fds(3) */
#define TEXT_MAX     4096

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/finback-sockets-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* One listener for each pair of name and what it listens on, as in the file; ends with NULL. */
static struct config *load(const char *const *listeners)
{
	struct config_problems problems;
	struct config *config = NULL;
	char text[TEXT_MAX] = "listeners = (";
	size_t used = strlen(text);

	for (size_t i = 0; listeners[i]; i += 2)
		used += (size_t)snprintf(text + used, sizeof text - used,
					 "%s{ name = \"%s\"; listen = [ %s ];"
					 " servers = \"127.0.0.1:1\"; }",
					 i > 0 ? ", " : "", listeners[i], listeners[i + 1]);
	assert_true(used < sizeof text - 4);
	strcpy(text + used, " );");
	if (config_load_text(text, "test", &config, &problems) < 0)
		fail_msg("%s", problems.error_count > 0 ? problems.errors[0] : "no memory");
	config_problems_fini(&problems);
	return config;
}

/* A start or a reload: the set for these listeners, given the one that is open. */
static int try_open(struct sockets *set, const struct sockets *open, char why[SOCKETS_WHY_MAX],
		    const char *const *listeners)
{
	struct config *config = load(listeners);
	int result = sockets_open(set, config, open, why);

	config_unref(config);
	return result;
}

static const struct sockets nothing_open;

#define LISTENERS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct sockets open_sockets(const struct sockets *open, const char *const *listeners)
{
	struct sockets set = { 0 };
	char why[SOCKETS_WHY_MAX] = "";

	if (try_open(&set, open, why, listeners) < 0)
		fail_msg("%s", why);
	return set;
}

/* As after the daemon's end: every listener of the set is there once. */
static void close_all(struct sockets *set)
{
	for (size_t i = 0; i < set->count; i++)
		listener_destroy(set->entries[i].listener);
	sockets_fini(set);
	assert_null(set->entries);
	assert_int_equal(set->count, 0);
}

static struct address address_at(const struct sockets *set, size_t index)
{
	return address_of(set->entries[index].listener->fd);
}

static void expect_served(const struct sockets *set, size_t index)
{
	struct address address = address_at(set, index);
	struct address peer;
	int client = peer_connected(&address);
	int fd;

	assert_true(wait_for(set->entries[index].listener->fd, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(set->entries[index].listener->fd, &peer);
	assert_true(fd >= 0);
	sock_close(fd);
	(void)close(client);
}

static const char *quoted(const struct address *address)
{
	static char texts[4][ADDRESS_TEXT_MAX + 2];
	static size_t next;
	char *text = texts[next++ % 4];
	char plain[ADDRESS_TEXT_MAX];

	(void)snprintf(text, sizeof texts[0], "\"%s\"",
		       address_format(address, plain, sizeof plain));
	return text;
}

/* A port that nobody else gets while `fd` is open, though a listener may bind it. */
static int reserve(struct address *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	*address = loopback();
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(fd, &address->any, address->length), 0);
	*address = address_of(fd);
	return fd;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static void all_are_opened_in_order(void **state)
{
	struct address path = unix_path(folder, "path");
	struct sockets set =
		open_sockets(&nothing_open, LISTENERS("a", "\"127.0.0.1:0\", \"127.0.0.2:0\"", "b",
						      quoted(&path)));

	(void)state;
	assert_int_equal(set.count, 3);
	for (size_t i = 0; i < 3; i++) {
		struct sockets_entry *entry = &set.entries[i];

		assert_int_equal(entry->route, i == 2);
		assert_true(entry->is_new);
		assert_false(entry->listener->is_passed);
		assert_true(sockets_has(&set, entry->listener));
		expect_served(&set, i);
	}
	assert_int_equal(address_at(&set, 1).v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK + 1));
	assert_int_equal(address_at(&set, 2).any.sa_family, AF_UNIX);
	assert_false(sockets_has(&nothing_open, set.entries[0].listener));
	close_all(&set);
	assert_int_equal(access(path.un.sun_path, F_OK), -1);
}

static void one_that_cannot_be_opened_closes_all(void **state)
{
	struct address path = unix_path(folder, "path");
	struct address taken = loopback();
	int holder = peer_listening(&taken, 1);
	struct sockets_entry untouched;
	struct sockets set = { &untouched, 7 };
	char why[SOCKETS_WHY_MAX] = "";
	size_t before = count_descriptors();
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	taken = address_of(holder);
	assert_int_equal(try_open(&set, &nothing_open, why,
				  LISTENERS("first", "\"127.0.0.1:0\"", "second", quoted(&path),
					    "third", quoted(&taken), "fourth", "\"127.0.0.1:0\"")),
			 -EADDRINUSE);
	assert_non_null(strstr(why, "third"));
	assert_non_null(strstr(why, address_format(&taken, text, sizeof text)));
	assert_non_null(strstr(why, "in use"));
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(access(path.un.sun_path, F_OK), -1);
	/* Untouched on failure. */
	assert_ptr_equal(set.entries, &untouched);
	assert_int_equal(set.count, 7);
	(void)close(holder);
}

/* ---- reloading --------------------------------------------------------------------------------
 */

static void the_same_again_keeps_all(void **state)
{
	struct address path = unix_path(folder, "path");
	struct address address;
	int reserved = reserve(&address);
	const char *const *listeners = LISTENERS("a", quoted(&address), "b", quoted(&path));
	struct sockets old = open_sockets(&nothing_open, listeners);
	struct sockets next = open_sockets(&old, listeners);

	(void)state;
	assert_int_equal(next.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_ptr_equal(next.entries[i].listener, old.entries[i].listener);
		assert_false(next.entries[i].is_new);
	}
	sockets_fini(&old);
	expect_served(&next, 0);
	expect_served(&next, 1);
	close_all(&next);
	(void)close(reserved);
}

/* What waits in its queue waits for whatever listener has the address now. */
static void a_socket_is_known_by_its_address(void **state)
{
	struct address address;
	struct address other_address;
	int reserved = reserve(&address);
	int other_reserved = reserve(&other_address);
	struct sockets old = open_sockets(&nothing_open, LISTENERS("before", quoted(&address)));
	int client = peer_connected(&address);
	struct sockets next = open_sockets(
		&old, LISTENERS("new", quoted(&other_address), "after", quoted(&address)));
	struct address peer;
	int fd;

	(void)state;
	assert_int_equal(next.count, 2);
	assert_true(next.entries[0].is_new);
	assert_false(next.entries[1].is_new);
	assert_ptr_equal(next.entries[1].listener, old.entries[0].listener);
	assert_int_equal(next.entries[1].route, 1);
	fd = sock_accept(next.entries[1].listener->fd, &peer);
	assert_true(fd >= 0);
	sock_close(fd);
	(void)close(client);
	sockets_fini(&old);
	close_all(&next);
	(void)close(reserved);
	(void)close(other_reserved);
}

static void what_is_not_asked_for_is_left_alone(void **state)
{
	struct address address;
	int reserved = reserve(&address);
	struct sockets old = open_sockets(&nothing_open,
					  LISTENERS("a", quoted(&address), "b", "\"127.0.0.1:0\""));
	struct sockets next = open_sockets(&old, LISTENERS("a", quoted(&address)));

	(void)state;
	assert_int_equal(next.count, 1);
	assert_true(sockets_has(&next, old.entries[0].listener));
	assert_false(sockets_has(&next, old.entries[1].listener));
	expect_served(&old, 1);
	sockets_fini(&next);
	close_all(&old);
	(void)close(reserved);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
	struct address path = unix_path(folder, "path");
	struct address new_path = unix_path(folder, "new");
	struct address taken = loopback();
	int holder = peer_listening(&taken, 1);
	struct sockets old =
		open_sockets(&nothing_open, LISTENERS("a", "\"127.0.0.1:0\"", "b", quoted(&path)));
	struct sockets next = { 0 };
	char why[SOCKETS_WHY_MAX] = "";
	size_t before = count_descriptors();

	(void)state;
	taken = address_of(holder);
	assert_int_equal(try_open(&next, &old, why,
				  LISTENERS("a", "\"127.0.0.1:0\"", "b", quoted(&path), "c",
					    quoted(&new_path), "d", quoted(&taken))),
			 -EADDRINUSE);
	assert_non_null(strstr(why, "listener d"));
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(access(new_path.un.sun_path, F_OK), -1);
	expect_served(&old, 0);
	expect_served(&old, 1);
	close_all(&old);
	(void)close(holder);
}

static void new_ones_can_be_closed_again(void **state)
{
	struct address path = unix_path(folder, "path");
	struct sockets old = open_sockets(&nothing_open, LISTENERS("a", "\"127.0.0.1:0\""));
	size_t before = count_descriptors();
	struct sockets next = open_sockets(&old, LISTENERS("a", "\"127.0.0.1:0\"", "b",
							   quoted(&path), "c", "\"127.0.0.1:0\""));

	(void)state;
	assert_int_equal(next.count, 3);
	sockets_close_new(&next);
	sockets_fini(&next);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(access(path.un.sun_path, F_OK), -1);
	expect_served(&old, 0);
	close_all(&old);
}

/* ---- port 0 -----------------------------------------------------------------------------------
 */

static void ports_of_the_kernels_choice_are_known_by_name(void **state)
{
	struct sockets old = open_sockets(
		&nothing_open, LISTENERS("a", "\"127.0.0.1:0\"", "b", "\"127.0.0.1:0\""));
	struct sockets next =
		open_sockets(&old, LISTENERS("b", "\"127.0.0.1:0\"", "c", "\"127.0.0.1:0\"", "a",
					     "\"127.0.0.1:0\""));

	(void)state;
	assert_int_not_equal(address_at(&old, 0).v4.sin_port, address_at(&old, 1).v4.sin_port);
	assert_ptr_equal(next.entries[0].listener, old.entries[1].listener);
	assert_ptr_equal(next.entries[2].listener, old.entries[0].listener);
	assert_true(next.entries[1].is_new);
	sockets_fini(&old);
	close_all(&next);
}

/* The configuration takes that; each socket has one place in the next set. */
static void two_ports_of_the_kernels_choice_for_one_listener(void **state)
{
	const char *const *listeners = LISTENERS("a", "\"127.0.0.1:0\", \"127.0.0.1:0\"");
	struct sockets old = open_sockets(&nothing_open, listeners);
	struct sockets next = open_sockets(&old, listeners);

	(void)state;
	assert_int_equal(old.count, 2);
	assert_int_equal(next.count, 2);
	assert_ptr_not_equal(next.entries[0].listener, next.entries[1].listener);
	for (size_t i = 0; i < 2; i++) {
		assert_false(next.entries[i].is_new);
		assert_true(sockets_has(&next, old.entries[i].listener));
	}
	sockets_fini(&old);
	close_all(&next);
}

/* ---- the kernel's buffers -----------------------------------------------------------------------
 */

#define CAP 98304 /* other than what the kernel starts with */

static struct config_listener capped(uint32_t cap)
{
	return (struct config_listener){
		.name = "a",
		.backlog = 4,
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
		.buffer_cap = cap,
	};
}

/* What a connection accepted now has. */
static int accepted_receives(int listener)
{
	struct address address = address_of(listener);
	int client = peer_connected(&address);
	int fd;
	int bytes;

	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(listener, &address);
	bytes = option_of(fd, SOL_SOCKET, SO_RCVBUF);
	sock_close(fd);
	(void)close(client);
	return bytes;
}

static void a_cap_follows_reloads(void **state)
{
	const uint32_t caps[] = { CAP, CAP, CAP / 2, 0, CAP, 0, 0 };
	struct config_listener settings = capped(0);
	struct address address = loopback();
	struct listener *listener;
	int tuned;

	(void)state;
	assert_int_equal(listener_open(&listener, "a", &address, &settings), 0);
	tuned = accepted_receives(listener->fd);
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
		settings = capped(caps[i]);
		listener_adjust(listener, &settings);
		assert_int_equal(accepted_receives(listener->fd),
				 caps[i] > 0 ? 2 * (int)caps[i] : tuned);
	}
	listener_destroy(listener);
	/* And where the cap was there from the start. */
	settings = capped(CAP / 2);
	assert_int_equal(listener_open(&listener, "a", &address, &settings), 0);
	assert_int_equal(accepted_receives(listener->fd), CAP);
	settings = capped(0);
	listener_adjust(listener, &settings);
	assert_int_equal(accepted_receives(listener->fd), tuned);
	listener_destroy(listener);
}

/* What its unit set stays, until something is asked for. */
static void a_passed_socket_keeps_its_own_buffers(void **state)
{
	struct config_listener settings = capped(0);
	struct address address = loopback();
	int fd = peer_listening(&address, 4);
	int tuned = accepted_receives(fd);
	int own = 3 * CAP;
	struct listener *listener;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &own, sizeof own), 0);
	assert_int_equal(listener_take(&listener, "a", fd, &settings), 0);
	assert_int_equal(accepted_receives(fd), 2 * own);
	listener_adjust(listener, &settings);
	assert_int_equal(accepted_receives(fd), 2 * own);
	settings = capped(CAP);
	listener_adjust(listener, &settings);
	assert_int_equal(accepted_receives(fd), 2 * CAP);
	settings = capped(0);
	listener_adjust(listener, &settings);
	assert_int_equal(accepted_receives(fd), tuned);
	listener_destroy(listener);
	settings = capped(CAP);
	assert_int_equal(listener_take(&listener, "a", fd, &settings), 0);
	assert_int_equal(accepted_receives(fd), 2 * CAP);
	listener_destroy(listener);
	(void)close(fd);
}

/* ---- passed sockets -----------------------------------------------------------------------------
 */

/* In a child: as the service manager passes `count` listening sockets, with their names. */
static void pass_sockets(const int *fds, int count, const char *names)
{
	char text[16];

	for (int i = 0; i < count; i++)
		CHILD_CHECK(dup2(fds[i], PASSED_START + i) == PASSED_START + i);
	(void)snprintf(text, sizeof text, "%d", count);
	CHILD_CHECK(setenv("LISTEN_FDS", text, 1) == 0);
	(void)snprintf(text, sizeof text, "%d", (int)getpid());
	CHILD_CHECK(setenv("LISTEN_PID", text, 1) == 0);
	CHILD_CHECK(setenv("LISTEN_FDNAMES", names, 1) == 0);
	CHILD_CHECK(service_take_sockets() == count);
}

/* A listening socket, out of the way of those that are passed. */
static int far_listening(void)
{
	struct address address = loopback();
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int far = fcntl(fd, F_DUPFD_CLOEXEC, 500);

	CHILD_CHECK(far >= 500);
	(void)close(fd);
	CHILD_CHECK(bind(far, &address.any, address.length) == 0 && listen(far, 4) == 0);
	return far;
}

static void use_passed_sockets(void)
{
	const int fds[] = { far_listening(), far_listening(), far_listening() };
	struct sockets old = { 0 };
	struct sockets next = { 0 };
	char why[SOCKETS_WHY_MAX] = "";

	pass_sockets(fds, 3, "web:mail:web");
	/* One name may stand for several, and what is not named is not used. */
	CHILD_CHECK(try_open(&old, &nothing_open, why, LISTENERS("a", "\"systemd:web\"")) == 0);
	CHILD_CHECK(old.count == 2);
	CHILD_CHECK(old.entries[0].listener->fd == PASSED_START);
	CHILD_CHECK(old.entries[1].listener->fd == PASSED_START + 2);
	for (size_t i = 0; i < 2; i++) {
		struct linger linger = { 0 };
		socklen_t length = sizeof linger;
		int fd = old.entries[i].listener->fd;

		CHILD_CHECK(old.entries[i].is_new && old.entries[i].listener->is_passed);
		/* Prepared like a socket of our own. */
		CHILD_CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0);
		CHILD_CHECK(linger.l_onoff == 1 && linger.l_linger == 0);
		CHILD_CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	}
	/* Kept by another listener, and in another order. */
	CHILD_CHECK(try_open(&next, &old, why,
			     LISTENERS("b", "\"systemd:mail\"", "c", "\"systemd:web\"")) == 0);
	CHILD_CHECK(next.count == 3 && next.entries[0].is_new);
	CHILD_CHECK(next.entries[1].listener == old.entries[0].listener);
	CHILD_CHECK(next.entries[2].listener == old.entries[1].listener);
	sockets_fini(&old);
	/* They stay the service manager's, and can be taken again. */
	for (size_t i = 0; i < next.count; i++)
		listener_destroy(next.entries[i].listener);
	sockets_fini(&next);
	CHILD_CHECK(fcntl(PASSED_START, F_GETFD) >= 0 && fcntl(PASSED_START + 2, F_GETFD) >= 0);
	CHILD_CHECK(try_open(&old, &nothing_open, why, LISTENERS("a", "\"systemd:web\"")) == 0);
	CHILD_CHECK(old.count == 2);
}

static void passed_sockets_are_used_by_name(void **state)
{
	(void)state;
	run_in_child(use_passed_sockets);
}

static void ask_for_what_was_not_passed(void)
{
	const int fds[] = { far_listening() };
	struct sockets set = { 0 };
	char why[SOCKETS_WHY_MAX] = "";
	size_t before;

	pass_sockets(fds, 1, "web");
	before = count_descriptors();
	CHILD_CHECK(try_open(&set, &nothing_open, why,
			     LISTENERS("a", "\"systemd:web\", \"127.0.0.1:0\"", "b",
				       "\"systemd:mail\"")) == -ENOENT);
	CHILD_CHECK(strstr(why, "listener b") && strstr(why, "systemd:mail"));
	CHILD_CHECK(strstr(why, "passed: web"));
	/* The passed one is still open. */
	CHILD_CHECK(count_descriptors() == before);
	CHILD_CHECK(set.entries == NULL);
}

static void a_name_that_was_not_passed(void **state)
{
	(void)state;
	run_in_child(ask_for_what_was_not_passed);
}

static void ask_where_nothing_was_passed(void)
{
	struct sockets set = { 0 };
	char why[SOCKETS_WHY_MAX] = "";

	CHILD_CHECK(service_take_sockets() == 0);
	CHILD_CHECK(try_open(&set, &nothing_open, why, LISTENERS("a", "\"systemd:web\"")) ==
		    -ENOENT);
	CHILD_CHECK(strstr(why, "none"));
}

static void no_service_manager(void **state)
{
	(void)state;
	run_in_child(ask_where_nothing_was_passed);
}

/* More of one name than anybody wants: all of them, or a refusal that says so. */
#define MANY_PASSED 300

static void use_many_passed_sockets(void)
{
	struct sockets set = { 0 };
	char why[SOCKETS_WHY_MAX] = "";
	char names[MANY_PASSED * 2] = "";
	int fds[MANY_PASSED];
	int result;

	for (int i = 0; i < MANY_PASSED; i++) {
		fds[i] = far_listening();
		names[2 * i] = 'w';
		names[2 * i + 1] = i < MANY_PASSED - 1 ? ':' : '\0';
	}
	pass_sockets(fds, MANY_PASSED, names);
	result = try_open(&set, &nothing_open, why, LISTENERS("a", "\"systemd:w\""));
	CHILD_CHECK(result == 0 ? set.count == MANY_PASSED : strstr(why, "listener a") != NULL);
	for (size_t i = 0; i < set.count; i++)
		CHILD_CHECK(set.entries[i].listener->fd == PASSED_START + (int)i);
}

static void many_passed_sockets_of_one_name(void **state)
{
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 500 + MANY_PASSED + 64)
		skip();
	run_in_child(use_many_passed_sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_opened_in_order),
		cmocka_unit_test(one_that_cannot_be_opened_closes_all),
		cmocka_unit_test(the_same_again_keeps_all),
		cmocka_unit_test(a_socket_is_known_by_its_address),
		cmocka_unit_test(what_is_not_asked_for_is_left_alone),
		cmocka_unit_test(a_reload_that_fails_changes_nothing),
		cmocka_unit_test(new_ones_can_be_closed_again),
		cmocka_unit_test(ports_of_the_kernels_choice_are_known_by_name),
		cmocka_unit_test(two_ports_of_the_kernels_choice_for_one_listener),
		cmocka_unit_test(a_cap_follows_reloads),
		cmocka_unit_test(a_passed_socket_keeps_its_own_buffers),
		cmocka_unit_test(passed_sockets_are_used_by_name),
		cmocka_unit_test(a_name_that_was_not_passed),
		cmocka_unit_test(no_service_manager),
		cmocka_unit_test(many_passed_sockets_of_one_name),
	};

	return cmocka_run_group_tests_name("daemon/sockets", tests, make_folder, remove_folder);
}
