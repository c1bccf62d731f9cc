/*
 * host/config, the group `control`: where the interface listens, what is the default, and that what
 * is wrong is said.
 */
#include <finback/host/config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#define LISTENER(listen) \
	"listeners = ( { name = \"web\"; listen = " listen "; servers = \"127.0.0.1:9\"; } );"
#define GOOD LISTENER("\"127.0.0.1:0\"")

static struct config *load(const char *text)
{
	struct config *config = NULL;
	struct config_problems problems;
	int error = config_load_text(text, "t.conf", &config, &problems);

	for (size_t i = 0; i < problems.error_count; i++)
		print_message("%s\n", problems.errors[i]);
	config_problems_fini(&problems);
	assert_int_equal(error, 0);
	return config;
}

static void refuse(const char *text, const char *error)
{
	struct config *config = NULL;
	struct config_problems problems;

	assert_int_equal(config_load_text(text, "t.conf", &config, &problems), -EINVAL);
	assert_int_equal(problems.error_count, 1);
	if (strncmp(problems.errors[0], error, strlen(error)) != 0)
		fail_msg("want %s\nhave %s", error, problems.errors[0]);
	config_problems_fini(&problems);
}

static const char *http_of(const struct config *config, size_t index, char *text)
{
	return address_format(&config->control.http[index], text, ADDRESS_TEXT_MAX);
}

static int forget_directory(void **state)
{
	(void)state;
	return unsetenv("RUNTIME_DIRECTORY");
}

static void nothing_by_default(void **state)
{
	struct config *config = load(GOOD);

	(void)state;
	assert_false(config->control.has_socket);
	assert_int_equal(config->control.http_count, 0);
	config_unref(config);
	config = load("control = { };" GOOD);
	assert_false(config->control.has_socket);
	assert_int_equal(config->control.http_count, 0);
	config_unref(config);
}

static void all_that_can_be_said(void **state)
{
	struct config *config =
		load("control = { socket = \"/run/x/c.sock\"; http = "
		     "\"127.0.0.1:9180\"; mode = \"0660\"; owner = \"0:7\"; };" GOOD);
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_true(config->control.has_socket);
	assert_string_equal(config->control.socket.un.sun_path, "/run/x/c.sock");
	assert_int_equal(config->control.mode, 0660);
	assert_int_equal(config->control.owner, 0);
	assert_int_equal(config->control.group, 7);
	assert_int_equal(config->control.http_count, 1);
	assert_string_equal(http_of(config, 0, text), "127.0.0.1:9180");
	config_unref(config);
}

static void only_the_owner_unless_said(void **state)
{
	struct config *config = load("control = { socket = \"/c\"; };" GOOD);

	(void)state;
	assert_int_equal(config->control.mode, 0600);
	assert_true(config->control.owner == (uid_t)-1);
	assert_true(config->control.group == (gid_t)-1);
	config_unref(config);
}

static void other_owners(void **state)
{
	struct config *config = load("control = { socket = \"/c\"; owner = \":7\"; };" GOOD);

	(void)state;
	assert_true(config->control.owner == (uid_t)-1);
	assert_int_equal(config->control.group, 7);
	config_unref(config);
}

static void check_default(const char *directory, const char *text, const char *path)
{
	struct config *config;

	assert_int_equal(setenv("RUNTIME_DIRECTORY", directory, 1), 0);
	config = load(text);
	assert_int_equal(config->control.has_socket, path != NULL);
	if (path != NULL)
		assert_string_equal(config->control.socket.un.sun_path, path);
	config_unref(config);
}

static void the_runtime_directory_has_the_socket(void **state)
{
	(void)state;
	check_default("/run/finback", GOOD, "/run/finback/control.sock");
	check_default("/run/a:/run/b", GOOD, "/run/a/control.sock");
	check_default("/run/a", "control = { http = \"[::1]:9180\"; };" GOOD,
		      "/run/a/control.sock");
	check_default("/run/a", "control = { socket = \"/b\"; };" GOOD, "/b");
	check_default("/run/a", "control = { socket = \"none\"; };" GOOD, NULL);
	check_default("", GOOD, NULL);
	check_default("relative", GOOD, NULL);
}

static void a_directory_that_is_too_long_is_no_default(void **state)
{
	char directory[400];

	(void)state;
	directory[0] = '/';
	memset(directory + 1, 'd', sizeof(directory) - 2);
	for (size_t length = 90; length < sizeof(directory); length += 5) {
		size_t path_length = length + strlen("/control.sock");
		char path[sizeof(directory) + 16];

		directory[length] = '\0';
		(void)snprintf(path, sizeof(path), "%s/control.sock", directory);
		check_default(directory, GOOD, path_length <= 107 ? path : NULL);
		directory[length] = 'd';
	}
}

static void none_is_off(void **state)
{
	struct config *config = load("control = { socket = \"none\"; http = \"none\"; };" GOOD);

	(void)state;
	assert_false(config->control.has_socket);
	assert_int_equal(config->control.http_count, 0);
	config_unref(config);
}

static void what_is_wrong_is_said(void **state)
{
	static const char *const cases[][2] = {
		{ "control = 1;" GOOD, "t.conf:1: control: is an integer; right is a group" },
		{ "control = { sockets = \"/x\"; };" GOOD,
		  "t.conf:1: control.sockets: unknown key; did you mean \"socket\"?" },
		{ "control = { socket = 1; };" GOOD,
		  "t.conf:1: control.socket: is an integer; right is the socket's path from / on" },
		{ "control = { socket = \"c.sock\"; };" GOOD,
		  "t.conf:1: control.socket: \"c.sock\" is no path; right is the socket's path" },
		{ "control = { socket = \"unix:/c.sock\"; };" GOOD,
		  "t.conf:1: control.socket: \"unix:/c.sock\" is no path; right is" },
		{ "control = { socket = \"\"; };" GOOD,
		  "t.conf:1: control.socket: \"\" is no path" },
		{ "control = {\n socket = \"/"
		  "0123456789012345678901234567890123456789012345678901234567890123456789"
		  "0123456789012345678901234567890123456789\"; };" GOOD,
		  "t.conf:2: control.socket: \"/0123456789" },
		{ "control = { http = 9180; };" GOOD,
		  "t.conf:1: control.http: is an integer; right is \"127.0.0.1:9180\"" },
		{ "control = { http = \"9180\"; };" GOOD,
		  "t.conf:1: control.http: \"9180\" is no address" },
		{ "control = { http = \"unix:/x\"; };" GOOD,
		  "t.conf:1: control.http: \"unix:/x\" is no TCP address; right is" },
		{ "control = { mode = \"0999\"; };" GOOD,
		  "t.conf:1: control.mode: \"0999\" is no mode" },
		{ "control = { owner = \"\"; };" GOOD,
		  "t.conf:1: control.owner: \"\" is no owner" },
		{ "control = { socket = \"/c\"; };" LISTENER("\"unix:/c\""),
		  "t.conf:1: control.socket: \"/c\" is listened on by listener \"web\"" },
		{ "control = { http = \"127.0.0.1:80\"; };" LISTENER(
			  "[ \"127.0.0.1:81\", \"127.0.0.1:80\" ]"),
		  "t.conf:1: control.http: \"127.0.0.1:80\" is listened on by listener \"web\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse(cases[i][0], cases[i][1]);
}

static void a_port_of_the_kernels_choice_is_nobodys(void **state)
{
	struct config *config = load("control = { http = \"127.0.0.1:0\"; };" GOOD);

	(void)state;
	assert_int_equal(config->control.http_count, 1);
	config_unref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_by_default),
		cmocka_unit_test(all_that_can_be_said),
		cmocka_unit_test(only_the_owner_unless_said),
		cmocka_unit_test(other_owners),
		cmocka_unit_test_teardown(the_runtime_directory_has_the_socket, forget_directory),
		cmocka_unit_test_teardown(a_directory_that_is_too_long_is_no_default,
					  forget_directory),
		cmocka_unit_test(none_is_off),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_port_of_the_kernels_choice_is_nobodys),
	};

	(void)unsetenv("RUNTIME_DIRECTORY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
