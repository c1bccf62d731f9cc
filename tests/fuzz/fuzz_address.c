/*
 * libFuzzer over io/address: any text is read or refused without harm, and what is read comes back
 * equal from its own text; any bytes that a kernel might give as a socket address can be written.
 */
#include <finback/io/address.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void check_text(const char *text)
{
	char formatted[ADDRESS_TEXT_MAX], again_formatted[ADDRESS_TEXT_MAX];
	struct address address, again;
	struct endpoint endpoint;
	int r = address_parse(&address, text);

	if (r != 0) {
		require(r == -EINVAL || r == -EAGAIN || r == -ENAMETOOLONG || r == -ENODEV,
			"an error that is not in the contract");
		return;
	}
	address_format(&address, formatted, sizeof(formatted));
	require(address_parse(&again, formatted) == 0, "its own text is no address");
	require(address_equals(&address, &again), "its own text is another address");
	address_format(&again, again_formatted, sizeof(again_formatted));
	require(strcmp(formatted, again_formatted) == 0, "two texts for one address");
	endpoint = endpoint_of(&address);
	require(endpoint.family != ENDPOINT_NONE, "an address without an endpoint");
	endpoint_format(&endpoint, again_formatted, sizeof(again_formatted));
	require(endpoint.family == ENDPOINT_UNIX || strcmp(formatted, again_formatted) == 0,
		"an endpoint with another text");
}

static void check_bytes(const uint8_t *data, size_t size)
{
	char text[ADDRESS_TEXT_MAX + 1];
	struct address address;
	struct endpoint endpoint;
	size_t room = sizeof(address) - offsetof(struct address, any);

	memset(&address, 0, sizeof(address));
	memcpy(&address.any, data, size < room ? size : room);
	address.length = (socklen_t)size;
	for (size_t cut = ADDRESS_TEXT_MAX; cut > 0; cut /= 2) {
		text[cut] = '#';
		address_format(&address, text, cut);
		require(strlen(text) < cut, "a text without an end");
		require(text[cut] == '#', "a text beyond its end");
	}
	endpoint = endpoint_of(&address);
	endpoint_format(&endpoint, text, ADDRESS_TEXT_MAX);
	require(address_equals(&address, &address), "an address that is not equal to itself");
}

/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX + 1];
	size_t length = size < TEXT_MAX ? size : TEXT_MAX;

	if (size > 0)
		memcpy(text, data, length);
	text[length] = '\0';
	check_text(text);
	if (size > 0)
		check_bytes(data, length);
	return 0;
}
