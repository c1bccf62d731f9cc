/*
 * Addresses as JSON strings.
 *
 * Invariant: what is written is what endpoint_format writes, byte for byte. The kinds that nearly
 * all addresses are of take a tenth of its time here, and a list has forty thousand of them.
 *
 * IPv6 is written as RFC 5952 says: the first of the longest runs of two zero groups or more is
 * "::".
 */
#include <finback/io/address.h>

#include "render_private.h"

#define IPV4_BYTES      4
#define IPV6_GROUPS     8
#define GROUPS_OF_ZEROS 5  /* that begin what inet_ntop(3) may write with an IPv4 address in it */
#define PLAIN_MAX       64 /* [8 groups of 4 digits]:port, and quotes */

static char *put_decimal(char *at, unsigned number)
{
	if (number >= 10)
		at = put_decimal(at, number / 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

static char *put_hex(char *at, unsigned number)
{
	if (number >= 16)
		at = put_hex(at, number / 16);
	*at++ = "0123456789abcdef"[number % 16];
	return at;
}

static char *put_ipv4(char *at, const struct endpoint *endpoint)
{
	for (unsigned i = 0; i < IPV4_BYTES; i++) {
		if (i > 0)
			*at++ = '.';
		at = put_decimal(at, endpoint->ip[i]);
	}
	return at;
}

/* Groups that are 0, one after the other. */
struct run {
	unsigned from;
	unsigned length;
};

static struct run longest_zeros(const unsigned groups[IPV6_GROUPS])
{
	struct run best = { IPV6_GROUPS, 1 }; /* one alone is written as 0 */
	struct run run = { 0 };

	for (unsigned i = 0; i < IPV6_GROUPS; i++) {
		run.length = groups[i] == 0 ? run.length + 1 : 0;
		run.from = i + 1 - run.length;
		if (run.length > best.length)
			best = run;
	}
	return best;
}

static char *put_ipv6(char *at, const unsigned groups[IPV6_GROUPS])
{
	struct run zeros = longest_zeros(groups);

	*at++ = '[';
	for (unsigned i = 0; i < IPV6_GROUPS; i++) {
		if (i == zeros.from) {
			*at++ = ':';
			i += zeros.length - 1;
			if (i == IPV6_GROUPS - 1)
				*at++ = ':';
			continue;
		}
		if (i > 0)
			*at++ = ':';
		at = put_hex(at, groups[i]);
	}
	*at++ = ']';
	return at;
}

/* Whether the text is the groups and nothing else: no zone, no IPv4 address at the end. */
static bool read_groups(const struct endpoint *endpoint, unsigned ret_groups[IPV6_GROUPS])
{
	bool begins_with_zeros = true;

	for (unsigned i = 0; i < IPV6_GROUPS; i++) {
		ret_groups[i] = (unsigned)endpoint->ip[2 * i] << 8 | endpoint->ip[2 * i + 1];
		if (i < GROUPS_OF_ZEROS && ret_groups[i] != 0)
			begins_with_zeros = false;
	}
	return endpoint->scope == 0 && !begins_with_zeros;
}

/* Any kind, the slow way. */
static void append_formatted(struct text *text, const struct endpoint *endpoint)
{
	char formatted[ADDRESS_TEXT_MAX];

	text_append_json(text, endpoint_format(endpoint, formatted, sizeof formatted));
}

void render_endpoint(struct text *text, const struct endpoint *endpoint)
{
	unsigned groups[IPV6_GROUPS];
	char plain[PLAIN_MAX] = "\"";
	char *at = plain + 1;

	if (endpoint->family == ENDPOINT_NONE) {
		TEXT_APPEND(text, "null");
		return;
	}
	if (endpoint->family == ENDPOINT_IPV4) {
		at = put_ipv4(at, endpoint);
	} else if (endpoint->family == ENDPOINT_IPV6 && read_groups(endpoint, groups)) {
		at = put_ipv6(at, groups);
	} else {
		append_formatted(text, endpoint);
		return;
	}
	*at++ = ':';
	at = put_decimal(at, endpoint->port);
	*at++ = '"';
	text_append(text, plain, (size_t)(at - plain));
}
