/*
 * host/config_scan, config_file and config_source: includes and the lines they come from, and all
 * that libconfig must never be given.
 */
#include <finback/host/config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "host/config_report.h"
#include "host/config_scan.h"
#include "host/config_source.h"

/* A folder of its own for each test, and what was read from it. */
struct folder {
	char path[64];
	struct config_source source;
	struct config_report report;
	struct config_problems problems;
};

static int folder_setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (folder == NULL)
		return -1;
	strcpy(folder->path, "/tmp/test_config_XXXXXX");
	*state = folder;
	return mkdtemp(folder->path) == NULL ? -1 : 0;
}

static void forget(struct folder *folder)
{
	report_fini(&folder->report);
	config_source_fini(&folder->source);
	config_problems_fini(&folder->problems);
}

static int folder_teardown(void **state)
{
	struct folder *folder = *state;
	char command[128];

	forget(folder);
	snprintf(command, sizeof(command), "rm -rf %s", folder->path);
	free(folder);
	return system(command);
}

static void write_file(const struct folder *folder, const char *name, const char *text,
		       size_t length)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const struct folder *folder, const char *name, const char *text)
{
	write_file(folder, name, text, strlen(text));
}

/* Reads a file of the folder; the errors are in folder->problems. */
static void read_file(struct folder *folder, const char *name)
{
	char path[PATH_MAX];

	forget(folder);
	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	assert_int_equal(config_source_read(&folder->source, path, &folder->report), 0);
	assert_int_equal(report_finish(&folder->report, &folder->source, &folder->problems), 0);
}

static void read_text(struct folder *folder, const char *text)
{
	forget(folder);
	assert_int_equal(config_source_text(&folder->source, text, "memory", &folder->report), 0);
	assert_int_equal(report_finish(&folder->report, &folder->source, &folder->problems), 0);
}

static void assert_error(const struct folder *folder, const char *part)
{
	assert_true(folder->problems.error_count >= 1);
	print_message("%s\n", folder->problems.errors[0]);
	assert_non_null(strstr(folder->problems.errors[0], part));
}

static void assert_place(const struct folder *folder, const char *needle, const char *file,
			 unsigned line)
{
	const char *at = strstr(folder->source.text, needle);
	struct config_place place;
	unsigned text_line = 1;

	assert_non_null(at);
	for (const char *c = folder->source.text; c < at; c++)
		text_line += *c == '\n';
	place = config_source_place(&folder->source, text_line);
	assert_non_null(strrchr(place.file, '/'));
	assert_string_equal(strrchr(place.file, '/') + 1, file);
	assert_int_equal(place.line, line);
}

static void includes_are_put_in_and_lines_found_again(void **state)
{
	struct folder *folder = *state;

	write_text(folder, "a.conf",
		   "one = 1;\n\n  @include \"b.conf\"  // here\nfour = "
		   "4;\n@include\t\"e.conf\"\nsix = 6;");
	write_text(folder, "b.conf",
		   "b_one = 1;\n@include \"c.conf\"\nb_three = 3; // no line's end");
	write_text(folder, "c.conf", "c_one = \"x\n y\"; c_two = 2");
	write_text(folder, "e.conf", "");
	read_file(folder, "a.conf");
	assert_int_equal(folder->problems.error_count, 0);
	assert_null(strstr(folder->source.text, "@"));
	assert_place(folder, "one = 1", "a.conf", 1);
	assert_place(folder, "b_one", "b.conf", 1);
	assert_place(folder, "c_one", "c.conf", 1);
	assert_place(folder, "c_two", "c.conf", 2);
	assert_place(folder, "b_three", "b.conf", 3);
	assert_place(folder, "// here", "a.conf", 3);
	assert_place(folder, "four", "a.conf", 4);
	assert_place(folder, "six", "a.conf", 6);
}

static void includes_in_strings_and_comments_are_none(void **state)
{
	struct folder *folder = *state;

	read_text(folder, "a = \"\n@include \\\"x\\\" \\\\\"; # @include \"x\"\n/*\n@include \"x\" "
			  "*/ // @\n");
	assert_int_equal(folder->problems.error_count, 0);
	assert_non_null(strstr(folder->source.text, "@include \\\"x\\\""));
}

static void an_include_stands_on_its_own_line(void **state)
{
	static const char *const bad[] = {
		"\n\na = 1; @include \"x\"\n",
		"\n\n/* */ @include \"x\"\n",
		"\n\n@include x\n",
		"\n\n@include\"x\"\n",
		"\n\n@include \"x\n\"",
		"\n\n@include \"x",
		"\n\n@",
		"\n\n@include ",
		"\n\na = @;",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		read_text(*state, bad[i]);
		assert_error(*state, "memory:3: @");
		assert_null(strchr(((struct folder *)*state)->source.text, '@'));
	}
}

static void an_include_that_cannot_be_had_is_named_and_the_rest_read(void **state)
{
	struct folder *folder = *state;

	write_text(folder, "a.conf",
		   "\n@include \"none.conf\"\n@include \".\"\n@include \"/dev/null\"\nlast = 1;");
	read_file(folder, "a.conf");
	assert_int_equal(folder->problems.error_count, 3);
	assert_non_null(strstr(folder->problems.errors[0], "a.conf:2: @include"));
	assert_non_null(strstr(folder->problems.errors[0], "none.conf\": cannot be read: No such"));
	assert_non_null(strstr(folder->problems.errors[1], "a.conf:3: "));
	assert_non_null(strstr(folder->problems.errors[1], "it is a directory"));
	assert_non_null(strstr(folder->problems.errors[2], "a.conf:4: "));
	assert_non_null(strstr(folder->problems.errors[2], "it is no regular file"));
	assert_true(folder->source.is_incomplete);
	assert_non_null(strstr(folder->source.text, "last"));
}

static void loops_and_depth_end(void **state)
{
	struct folder *folder = *state;
	char name[16];
	char text[64];

	write_text(folder, "a.conf", "@include \"b.conf\"");
	write_text(folder, "b.conf", "\n@include \"a.conf\"");
	read_file(folder, "a.conf");
	assert_error(folder, "b.conf:2: ");
	assert_error(folder, "it includes itself");
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(text, sizeof(text), "@include \"%d\"", i + 1);
		write_text(folder, name, text);
	}
	write_text(folder, "12", "");
	read_file(folder, "3");
	assert_int_equal(folder->problems.error_count, 0);
	read_file(folder, "2");
	assert_error(folder, "/11:1: @include");
	assert_error(folder, "more than 10 files");
}

static void files_over_a_mebibyte_are_refused(void **state)
{
	struct folder *folder = *state;
	size_t most = CONFIG_FILE_BYTES_MAX;
	char *text = malloc(most + 2);

	assert_non_null(text);
	memset(text, '\n', most + 2);
	write_file(folder, "full.conf", text, most);
	read_file(folder, "full.conf");
	assert_int_equal(folder->problems.error_count, 0);
	write_file(folder, "over.conf", text, most + 1);
	read_file(folder, "over.conf");
	assert_error(folder, "over.conf: cannot be read: it is larger than 1 MiB");
	write_text(folder, "a.conf", "@include \"over.conf\"");
	read_file(folder, "a.conf");
	assert_error(folder, "a.conf:1: ");
	write_text(folder, "b.conf", "\n@include \"full.conf\"");
	read_file(folder, "b.conf");
	assert_error(folder, "b.conf:2: ");
	assert_error(folder, "all files together");
	text[most + 1] = '\0';
	read_text(folder, text);
	assert_error(folder, "memory: cannot be read: it is larger than 1 MiB");
	text[most] = '\0';
	read_text(folder, text);
	assert_int_equal(folder->problems.error_count, 0);
	free(text);
}

static void brackets_nest_as_deep_as_allowed(void **state)
{
	char text[1024] = "";

	for (int i = 0; i < CONFIG_NESTING_MAX; i++)
		strcat(text, i % 2 == 0 ? "a={" : "b=(");
	read_text(*state, text);
	assert_int_equal(((struct folder *)*state)->problems.error_count, 0);
	strcat(text, "\n[");
	read_text(*state, text);
	assert_error(*state, "memory:2: more than 32 brackets");
	assert_null(strchr(((struct folder *)*state)->source.text, '['));
	/* Brackets that are none, and brackets that are shut again. */
	text[0] = '\0';
	for (int i = 0; i < 40; i++)
		strcat(text, "=\"({[\" #({[\n()");
	read_text(*state, text);
	assert_int_equal(((struct folder *)*state)->problems.error_count, 0);
}

static void what_does_not_end_is_placed_where_it_begins(void **state)
{
	struct folder *folder = *state;

	read_text(folder, "a = 1;\nb = \"open\n\n\n");
	assert_error(folder, "memory:2: the string that begins here");
	assert_true(folder->source.is_cut);
	read_text(folder, "a = 1;\n/* open\n\n\n *");
	assert_error(folder, "memory:2: the comment that begins here");
	read_text(folder, "a = \"\\");
	assert_error(folder, "memory:1: the string");
	read_text(folder, "a = \"\\\"");
	assert_error(folder, "memory:1: the string");
	read_text(folder, "/*/");
	assert_error(folder, "memory:1: the comment");
	/* An include does not borrow its end from the file around it. */
	write_text(folder, "a.conf", "\n@include \"b.conf\"\n*/");
	write_text(folder, "b.conf", "\n\n/* open");
	read_file(folder, "a.conf");
	assert_error(folder, "b.conf:3: the comment");
}

/* libconfig 1.5 does not free them. */
static void strings_out_of_place_are_refused(void **state)
{
	static const char *const bad[] = {
		"\"x\"",           "\na \"x\"",       "a = 1 \"x\"",   "a = 1; \"x\"",
		"a = 1, \"x\"",    "a = { \"x\"",     "a = ( 1 \"x\"", "a = [ \"x\"; \"y\"",
		"a = ( ( ) \"x\"", "a = [ 1 ] \"x\"", "a = { } \"x\"", "a = ( { b = 1; }, { \"x\"",
	};
	static const char *const good[] = {
		"a = \"x\"",
		"a : \"x\" /* */ \"y\"",
		"a = ( \"x\", \"y\", ( \"z\" ) )",
		"a = [ \"x\" \"y\" ]",
		"a = ( { b = \"x\" }, \"y\" ) c = \"z\"",
		"a = // =\n \"x\"",
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		read_text(folder, bad[i]);
		assert_error(folder, ": a string is not expected here");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		read_text(folder, good[i]);
		assert_int_equal(folder->problems.error_count, 0);
	}
}

static void zero_bytes_are_refused(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.conf", "a = 1;\nb = \0 2;", 15);
	read_file(folder, "a.conf");
	assert_error(folder, "a.conf:2: a zero byte");
	read_text(folder, "a = \"x\\x00y\";");
	assert_error(folder, "memory:1: a string cannot hold a zero byte");
	read_text(folder, "a = \"x\\\\x00y\\x41\";");
	assert_int_equal(folder->problems.error_count, 0);
}

/* What libconfig would wrap round at 32 or 64 bits gets the L that says how wide it is. */
static void wide_integers_are_marked(void **state)
{
	static const char *const cases[][2] = {
		{ "2147483647", "2147483647" },
		{ "2147483648", "2147483648L" },
		{ "-2147483648", "-2147483648" },
		{ "-2147483649", "-2147483649L" },
		{ "+4294967297", "+4294967297L" },
		{ "4294967297L", "4294967297L" },
		{ "4294967297LL", "4294967297LL" },
		{ "99999999999999999999999", "99999999999999999999999L" },
		{ "0xFFFFFFF", "0xFFFFFFF" },
		{ "0xFFFFFFFF", "0xFFFFFFFFL" },
		{ "0X00000000000000000001", "0X00000000000000000001" },
		{ "0xFFFFFFFFFL", "0xFFFFFFFFFL" },
		{ "0x10000000000000001", "0x7FFFFFFFFFFFFFFFL" },
		{ "0x10000000000000001LL", "0x7FFFFFFFFFFFFFFFLL" },
		{ "99999999999.5", "99999999999.5" },
		{ "0.99999999999", "0.99999999999" },
		{ ".99999999999", ".99999999999" },
		{ "99999999999e5", "99999999999e5" },
		{ "99999999999e", "99999999999Le" },
		{ "a99999999999", "a99999999999" },
		{ "=\"99999999999\"", "=\"99999999999\"" },
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[64];

		read_text(folder, cases[i][0]);
		snprintf(want, sizeof(want), "%s\n", cases[i][1]);
		assert_string_equal(folder->source.text, want);
	}
}

static void settings_are_bounded(void **state)
{
	size_t count = CONFIG_SETTINGS_MAX;
	char *text = malloc(count * 2 + 2);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * 2, i % 2 == 0 ? "= " : ":\n", 2);
	text[count * 2] = '\0';
	read_text(*state, text);
	assert_int_equal(((struct folder *)*state)->problems.error_count, 0);
	memcpy(text + count * 2, "=", 2);
	read_text(*state, text);
	assert_error(*state, "more than 65536 settings");
	free(text);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(includes_are_put_in_and_lines_found_again),
		IN_FOLDER(includes_in_strings_and_comments_are_none),
		IN_FOLDER(an_include_stands_on_its_own_line),
		IN_FOLDER(an_include_that_cannot_be_had_is_named_and_the_rest_read),
		IN_FOLDER(loops_and_depth_end),
		IN_FOLDER(files_over_a_mebibyte_are_refused),
		IN_FOLDER(brackets_nest_as_deep_as_allowed),
		IN_FOLDER(what_does_not_end_is_placed_where_it_begins),
		IN_FOLDER(strings_out_of_place_are_refused),
		IN_FOLDER(zero_bytes_are_refused),
		IN_FOLDER(wide_integers_are_marked),
		IN_FOLDER(settings_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
