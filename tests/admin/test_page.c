/* The status page as it goes out: whole, under a nonce of its own, and with the policy for it. */
#include <finback/admin/page.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define NONCE_LENGTH 32

struct page {
	char *text; /* with a NUL behind it */
	size_t size;
	char policy[PAGE_POLICY_MAX];
	char nonce[NONCE_LENGTH + 1];
};

static void read_nonce(struct page *page)
{
	const char *at = strstr(page->policy, "script-src 'nonce-");

	assert_non_null(at);
	assert_int_equal(sscanf(at, "script-src 'nonce-%32[0-9a-f]'", page->nonce), 1);
	assert_int_equal(strlen(page->nonce), NONCE_LENGTH);
}

static struct page render(void)
{
	struct page page = { .text = NULL };
	char *text = NULL;

	assert_int_equal(page_render(&text, &page.size, page.policy), 0);
	page.text = malloc(page.size + 1);
	assert_non_null(page.text);
	memcpy(page.text, text, page.size);
	page.text[page.size] = '\0';
	free(text);
	read_nonce(&page);
	return page;
}

static size_t occurrences(const char *text, const char *part)
{
	size_t count = 0;

	while ((text = strstr(text, part))) {
		count++;
		text += strlen(part);
	}
	return count;
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static void is_the_whole_file(void **state)
{
	struct page page = render();
	const char *end = "</html>\n";

	(void)state;
	assert_int_equal(strlen(page.text), page.size);
	assert_int_equal(strncmp(page.text, "<!DOCTYPE html>", 15), 0);
	assert_string_equal(page.text + page.size - strlen(end), end);
	free(page.text);
}

/* One style and one script, each with the nonce, and nobody else has it. */
static void style_and_script_carry_the_nonce(void **state)
{
	struct page page = render();
	char tag[64];

	(void)state;
	snprintf(tag, sizeof tag, "<style nonce=\"%s\">", page.nonce);
	assert_int_equal(occurrences(page.text, tag), 1);
	snprintf(tag, sizeof tag, "<script type=\"module\" nonce=\"%s\">", page.nonce);
	assert_int_equal(occurrences(page.text, tag), 1);
	assert_int_equal(occurrences(page.text, page.nonce), 2);
	assert_int_equal(occurrences(page.text, "<style"), 1);
	assert_int_equal(occurrences(page.text, "<script"), 1);
	assert_false(has(page.text, "the-nonce-of-this-answer"));
	free(page.text);
}

static void policy_lets_nothing_else_in(void **state)
{
	struct page page = render();
	char expected[PAGE_POLICY_MAX];

	(void)state;
	snprintf(expected, sizeof expected,
		 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
		 "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		 "frame-ancestors 'none'",
		 page.nonce, page.nonce);
	assert_string_equal(page.policy, expected);
	free(page.text);
}

/* The policy would stop these; the page is not to have them in the first place. */
static void needs_nothing_from_outside(void **state)
{
	const char *const forbidden[] = { " style=\"",
					  " onclick=",
					  " onload=",
					  " src=\"",
					  "<link rel=\"stylesheet",
					  "innerHTML",
					  "outerHTML",
					  "insertAdjacentHTML",
					  "document.write",
					  "eval(",
					  "https://" };
	struct page page = render();

	(void)state;
	for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
		if (has(page.text, forbidden[i]))
			fail_msg("page.html has %s", forbidden[i]);
	free(page.text);
}

static void every_answer_has_a_nonce_of_its_own(void **state)
{
	enum {
		ANSWERS = 64
	};
	char nonces[ANSWERS][NONCE_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < ANSWERS; i++) {
		struct page page = render();

		memcpy(nonces[i], page.nonce, sizeof nonces[i]);
		free(page.text);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(nonces[i], nonces[j]);
	}
}

/* What the script makes of text would not survive anything else; a tag is never cut. */
static void is_utf8_without_control_characters(void **state)
{
	struct page page = render();

	(void)state;
	for (size_t i = 0; i < page.size; i++) {
		unsigned char c = (unsigned char)page.text[i];

		if (iscntrl(c) && c != '\n' && c != '\t')
			fail_msg("byte %zu is %#x", i, c);
	}
	assert_true(has(page.text, "<meta charset=\"utf-8\">"));
	free(page.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_the_whole_file),
		cmocka_unit_test(style_and_script_carry_the_nonce),
		cmocka_unit_test(policy_lets_nothing_else_in),
		cmocka_unit_test(needs_nothing_from_outside),
		cmocka_unit_test(every_answer_has_a_nonce_of_its_own),
		cmocka_unit_test(is_utf8_without_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
