/*
 * engine/endpoint: every prefix of both families, against a count of equal bits made another way;
 * families are not mixed up; an IPv4 peer of an IPv6 socket is one.
 */
#include <finback/engine/endpoint.h>

#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static struct endpoint endpoint(enum endpoint_family family, const char *ip, size_t length)
{
	struct endpoint made = { .family = (uint8_t)family, .port = 5000, .scope = 3 };

	memcpy(made.ip, ip, length);
	return made;
}

#define IPV4(ip) endpoint(ENDPOINT_IPV4, ip, 4)
#define IPV6(ip) endpoint(ENDPOINT_IPV6, ip, 16)

/* With one bit changed, an address lies in the networks that end before that bit. */
static void check_every_bit(struct endpoint network, unsigned bits)
{
	for (unsigned bit = 0; bit < bits; bit++) {
		struct endpoint near = network;

		near.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		near.port = 7;
		near.scope = 9;
		for (unsigned prefix = 0; prefix <= bits; prefix++)
			assert_int_equal(endpoint_is_within(&near, &network, prefix),
					 prefix <= bit);
	}
	for (unsigned prefix = 0; prefix <= bits; prefix++)
		assert_true(endpoint_is_within(&network, &network, prefix));
}

static void ipv4_by_every_prefix(void **state)
{
	(void)state;
	check_every_bit(IPV4("\x0a\x01\x82\xff"), 32);
	check_every_bit(IPV4("\0\0\0\0"), 32);
}

static void ipv6_by_every_prefix(void **state)
{
	(void)state;
	check_every_bit(IPV6("\x20\x01\x0d\xb8\x81\x02\x03\x04\x05\xff\x07\x08\x09\x0a\x0b\x80"),
			128);
	check_every_bit(IPV6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), 128);
}

static void families_are_apart(void **state)
{
	const struct endpoint all4 = IPV4("\0\0\0\0");
	const struct endpoint all6 = IPV6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	const struct endpoint unix_peer = { .family = ENDPOINT_UNIX };
	const struct endpoint none = { .family = ENDPOINT_NONE };

	(void)state;
	assert_false(endpoint_is_within(&all4, &all6, 0));
	assert_false(endpoint_is_within(&all6, &all4, 0));
	assert_false(endpoint_is_within(&unix_peer, &all4, 0));
	assert_false(endpoint_is_within(&unix_peer, &all6, 0));
	assert_false(endpoint_is_within(&none, &all4, 0));
	assert_false(endpoint_is_within(&none, &all6, 0));
}

static void a_mapped_ipv4_address_is_both(void **state)
{
	const struct endpoint mapped = IPV6("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03");
	const struct endpoint compatible = IPV6("\0\0\0\0\0\0\0\0\0\0\0\0\x0a\x01\x02\x03");
	const struct endpoint ten = IPV4("\x0a\0\0\0");
	const struct endpoint exact = IPV4("\x0a\1\2\3");
	const struct endpoint eleven = IPV4("\x0b\0\0\0");

	(void)state;
	assert_true(endpoint_is_within(&mapped, &ten, 8));
	assert_true(endpoint_is_within(&mapped, &exact, 32));
	assert_false(endpoint_is_within(&mapped, &eleven, 8));
	assert_false(endpoint_is_within(&compatible, &ten, 8));
	assert_true(endpoint_is_within(&mapped, &mapped, 128));
	/* the other way round there is no such socket */
	assert_false(endpoint_is_within(&exact, &mapped, 96));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_by_every_prefix),
		cmocka_unit_test(ipv6_by_every_prefix),
		cmocka_unit_test(families_are_apart),
		cmocka_unit_test(a_mapped_ipv4_address_is_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
