/*
 * Addresses compared.
 *
 * Surprising: a socket that was passed in may serve IPv4 and IPv6 both, and then its IPv4 peers
 * have IPv6 addresses. Whoever asks for 10.0.0.0/8 means them as well.
 */
#include <finback/engine/endpoint.h>

#include <assert.h>
#include <string.h>

#define IPV4_BITS 32U
#define IPV6_BITS 128U

static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* The bytes of the address that a network of this family is compared with; NULL: none. */
static const uint8_t *bytes_in(const struct endpoint *endpoint, enum endpoint_family family)
{
	if (endpoint->family == family)
		return endpoint->ip;
	if (family == ENDPOINT_IPV4 && endpoint->family == ENDPOINT_IPV6 &&
	    memcmp(endpoint->ip, mapped, sizeof mapped) == 0)
		return endpoint->ip + sizeof mapped;
	return NULL;
}

bool endpoint_is_within(const struct endpoint *endpoint, const struct endpoint *network,
			unsigned prefix)
{
	const uint8_t *ip = bytes_in(endpoint, network->family);
	unsigned whole = prefix / 8;
	unsigned rest = prefix % 8;
	unsigned mask = 0xffU << (8 - rest) & 0xffU;

	assert(prefix <= (network->family == ENDPOINT_IPV4 ? IPV4_BITS : IPV6_BITS));
	if (!ip || memcmp(ip, network->ip, whole) != 0)
		return false;
	return rest == 0 || ((ip[whole] ^ network->ip[whole]) & mask) == 0;
}
