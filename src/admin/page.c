/*
 * The status page, and the nonce that lets its own style and script run.
 *
 * Invariant: the text that goes out has the nonce in exactly the places where page.html has the
 * placeholder, and the policy that goes with it names the same nonce.
 *
 * The file is put in by the assembler, byte for byte; CMake says where it is and compiles this
 * again when it changes. The placeholder is as long as a nonce, so the size never changes.
 */
#include <finback/admin/page.h>

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONCE_BYTES  16
#define NONCE_LENGTH ((size_t)2 * NONCE_BYTES)

#define PLACEHOLDER "the-nonce-of-this-answer-is-here"
static_assert(sizeof PLACEHOLDER - 1 == NONCE_LENGTH, "the placeholder is as long as a nonce");

#define POLICY                                                                                  \
	"default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; " \
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
static_assert(sizeof POLICY + 2 * NONCE_LENGTH <= PAGE_POLICY_MAX, "the policy fits");

__asm__(".pushsection .rodata\n"
	".balign 8\n"
	".globl finback_page_size\n"
	".hidden finback_page_size\n"
	"finback_page_size:\n"
	".8byte 1f - finback_page\n"
	".globl finback_page\n"
	".hidden finback_page\n"
	"finback_page:\n"
	".incbin \"" PAGE_HTML "\"\n"
	"1:\n"
	".popsection\n");

extern const uint64_t finback_page_size;
extern const char finback_page[];

/* Hexadecimal: fit for the attribute and for the header without quoting. */
static int make_nonce(char ret_nonce[NONCE_LENGTH + 1])
{
	unsigned char random[NONCE_BYTES];
	ssize_t got;

	do {
		got = getrandom(random, sizeof random, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	/* So few bytes come whole or not at all. */
	assert(got == NONCE_BYTES);

	for (size_t i = 0; i < NONCE_BYTES; i++)
		snprintf(ret_nonce + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static void put_nonce(char *text, size_t size, const char *nonce)
{
	char *end = text + size;

	while ((text = memmem(text, end - text, PLACEHOLDER, NONCE_LENGTH)))
		text = (char *)mempcpy(text, nonce, NONCE_LENGTH);
}

int page_render(char **ret_text, size_t *ret_size, char ret_policy[PAGE_POLICY_MAX])
{
	const size_t size = finback_page_size;
	char nonce[NONCE_LENGTH + 1];
	char *text;
	int error = make_nonce(nonce);

	if (error < 0)
		return error;
	text = malloc(size);
	if (!text)
		return -ENOMEM;

	memcpy(text, finback_page, size);
	put_nonce(text, size, nonce);
	snprintf(ret_policy, PAGE_POLICY_MAX, POLICY, nonce, nonce);
	*ret_text = text;
	*ret_size = size;
	return 0;
}
