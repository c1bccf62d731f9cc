#ifndef FINBACK_TESTS_HOST_CONFIG_HARNESS_H
#define FINBACK_TESTS_HOST_CONFIG_HARNESS_H

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

/*
 * What the tests of a side's settings share: a configuration of one listener, and what it comes to
 * or is refused for. To be included after nothing but finback's headers.
 */

#define S INT64_C(1000000)

/* Listener "web", over TCP on both sides; settings of `defaults` and its own. */
#define CONFIG(defaults, own)                                     \
	"defaults = { " defaults " };\n"                          \
	"listeners = ( { name = \"web\"; listen = \"[::1]:0\";\n" \
	"servers = \"127.0.0.1:9\"; " own " } );"

/* A text without errors, with one warning that is this, or none where that is NULL. */
static inline struct config *load_with(const char *text, const char *warning)
{
	struct config *config = NULL;
	struct config_problems problems;
	int error = config_load_text(text, "t.conf", &config, &problems);

	for (size_t i = 0; i < problems.error_count; i++)
		print_message("%s\n", problems.errors[i]);
	assert_int_equal(error, 0);
	assert_int_equal(problems.warning_count, warning == NULL ? 0 : 1);
	if (warning != NULL)
		assert_string_equal(problems.warnings[0], warning);
	config_problems_fini(&problems);
	return config;
}

static inline struct config *load(const char *text)
{
	return load_with(text, NULL);
}

/* Exactly these errors, up to a NULL. */
static inline void refuse_all(const char *text, const char *const *errors)
{
	struct config *config = NULL;
	struct config_problems problems;
	size_t count = 0;

	assert_int_equal(config_load_text(text, "t.conf", &config, &problems), -EINVAL);
	for (; errors[count] != NULL && count < problems.error_count; count++)
		assert_string_equal(problems.errors[count], errors[count]);
	assert_null(errors[count]);
	assert_int_equal(problems.error_count, count);
	config_problems_fini(&problems);
}

static inline void refuse(const char *text, const char *error)
{
	const char *const errors[] = { error, NULL };

	refuse_all(text, errors);
}

#endif
