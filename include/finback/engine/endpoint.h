#ifndef FINBACK_ENGINE_ENDPOINT_H
#define FINBACK_ENGINE_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A peer's address, small and without pointers, as a session's record keeps it. io/address turns
 * socket addresses into it. A UNIX peer has no address worth keeping: its family says it all.
 */

enum endpoint_family {
	ENDPOINT_NONE,
	ENDPOINT_IPV4,
	ENDPOINT_IPV6,
	ENDPOINT_UNIX
};

struct __attribute__((packed)) endpoint {
	uint8_t ip[16]; /* network byte order; IPv4 in the first four */
	uint32_t scope; /* IPv6 zone, 0: none */
	uint16_t port;  /* host byte order */
	uint8_t family; /* enum endpoint_family */
};

/* Whether an address lies in a network: the same family, and the first `prefix` bits alike (at most
 * 32 for IPv4, 128 for IPv6). An IPv4 peer of an IPv6 socket ("::ffff:10.0.0.5", RFC 4291 section
 * 2.5.5.2) lies in IPv4 networks, too. */
bool endpoint_is_within(const struct endpoint *endpoint, const struct endpoint *network,
			unsigned prefix);

#endif
