/*
 * control_path: a request's path as words, and which patterns it fits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/control_path.h"

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static void check_decoded(const char *text, const char *wanted)
{
	char bytes[64];

	(void)snprintf(bytes, sizeof bytes, "%s", text);
	if (!wanted) {
		assert_int_equal(path_decode(bytes), -EINVAL);
		return;
	}
	assert_int_equal(path_decode(bytes), 0);
	assert_string_equal(bytes, wanted);
}

static void decoding(void **state)
{
	(void)state;
	check_decoded("", "");
	check_decoded("plain", "plain");
	check_decoded("%41%62%7e", "Ab~");
	check_decoded("a%2Fb%2fc", "a/b/c");
	check_decoded("%25%32%35", "%25");
	check_decoded("+", "+");
	check_decoded("%FF%80", "\xff\x80");
	check_decoded("%", NULL);
	check_decoded("%4", NULL);
	check_decoded("a%4g", NULL);
	check_decoded("%g4", NULL);
	check_decoded("%00", NULL);
	check_decoded("a%", NULL);
	check_decoded("% 1", NULL);
}

static void words(void **state)
{
	struct path path;

	(void)state;
	assert_int_equal(path_split(&path, "/"), 0);
	assert_int_equal(path.count, 0);
	assert_int_equal(path_split(&path, "/api/v1/servers/web/unix:%2Frun%2Fapp"), 0);
	assert_int_equal(path.count, 5);
	assert_string_equal(path.words[0], "api");
	assert_string_equal(path.words[3], "web");
	assert_string_equal(path.words[4], "unix:/run/app");
	assert_int_equal(path_split(&path, "/a/"), 0);
	assert_int_equal(path.count, 2);
	assert_string_equal(path.words[1], "");
	assert_int_equal(path_split(&path, "//"), 0);
	assert_int_equal(path.count, 2);
}

static void what_is_no_path(void **state)
{
	char text[PATH_BYTES_MAX + 2];
	struct path path;

	(void)state;
	assert_int_equal(path_split(&path, ""), -ENOENT);
	assert_int_equal(path_split(&path, "*"), -ENOENT);
	assert_int_equal(path_split(&path, "api"), -ENOENT);
	assert_int_equal(path_split(&path, "http://x/"), -ENOENT);
	assert_int_equal(path_split(&path, "/a/%"), -EINVAL);
	assert_int_equal(path_split(&path, "/1/2/3/4/5/6/7/8"), 0);
	assert_int_equal(path_split(&path, "/1/2/3/4/5/6/7/8/9"), -ENOENT);
	memset(text, 'x', sizeof text - 1);
	text[0] = '/';
	text[PATH_BYTES_MAX + 1] = '\0';
	assert_int_equal(path_split(&path, text), -ENAMETOOLONG);
	text[PATH_BYTES_MAX] = '\0';
	assert_int_equal(path_split(&path, text), 0);
	assert_int_equal(strlen(path.words[0]), PATH_BYTES_MAX - 1);
}

static bool fits(const char *text, const char *pattern)
{
	struct path path;

	assert_int_equal(path_split(&path, text), 0);
	return path_fits(&path, pattern);
}

static void patterns(void **state)
{
	(void)state;
	assert_true(fits("/", "/"));
	assert_false(fits("/x", "/"));
	assert_false(fits("/", "/x"));
	assert_true(fits("/api/v1/status", "/api/v1/status"));
	assert_true(fits("/%61pi/v1/status", "/api/v1/status"));
	assert_false(fits("/api/v1/statu", "/api/v1/status"));
	assert_false(fits("/api/v1/statuses", "/api/v1/status"));
	assert_false(fits("/api/v1/status/", "/api/v1/status"));
	assert_false(fits("/api%2Fv1/status", "/api/v1/status"));
	assert_true(fits("/servers/a%2Fb", "/servers/*"));
	assert_false(fits("/servers/a/b", "/servers/*"));
	assert_true(fits("/servers/a/b", "/servers/*/*"));
	assert_true(fits("/servers/*", "/servers/*"));
	assert_true(fits("/servers/", "/servers/*"));
	assert_false(fits("/servers", "/servers/*"));
	assert_false(fits("/*", "/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoding),
		cmocka_unit_test(words),
		cmocka_unit_test(what_is_no_path),
		cmocka_unit_test(patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
