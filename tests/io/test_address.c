/*
 * io/address: what is an address and what is not, at every edge of the grammar; the text of each
 * kind; that text and address are each other's inverse; and looking names up, without a network.
 */
#include <finback/io/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants these before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	const char *canonical;
} good[] = {
	{ "10.0.0.5:80", "10.0.0.5:80" },
	{ "0.0.0.0:0", "0.0.0.0:0" },
	{ "255.255.255.255:65535", "255.255.255.255:65535" },
	{ "127.0.0.1:00080", "127.0.0.1:80" },
	{ "[::]:8080", "[::]:8080" },
	{ "[::1]:1", "[::1]:1" },
	{ "[2001:db8::1]:80", "[2001:db8::1]:80" },
	{ "[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80" },
	{ "[::ffff:10.0.0.5]:80", "[::ffff:10.0.0.5]:80" },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ "[fe80::1]:80", "[fe80::1]:80" },
	{ "[fe80::1%lo]:80", "[fe80::1%lo]:80" },
	{ "[fe80::1%1]:80", "[fe80::1%lo]:80" },
	{ "[fe80::1%4294967295]:80", "[fe80::1%4294967295]:80" },
	{ "unix:/run/app.sock", "unix:/run/app.sock" },
	{ "unix:/", "unix:/" },
	{ "unix:/with space:and:colons", "unix:/with space:and:colons" },
};

static const struct {
	const char *text;
	int error;
} bad[] = {
	{ "", -EINVAL },
	{ ":", -EINVAL },
	{ ":80", -EINVAL },
	{ "10.0.0.5", -EINVAL },
	{ "10.0.0.5:", -EINVAL },
	{ "10.0.0.5:65536", -EINVAL },
	{ "10.0.0.5:99999999999999999999", -EINVAL },
	{ "10.0.0.5:000080", -EINVAL },
	{ "10.0.0.5:-1", -EINVAL },
	{ "10.0.0.5:+1", -EINVAL },
	{ "10.0.0.5: 80", -EINVAL },
	{ "10.0.0.5:80 ", -EINVAL },
	{ " 10.0.0.5:80", -EINVAL },
	{ "10.0.0.5:http", -EINVAL },
	{ "10.0.0.5:0x50", -EINVAL },
	{ "10.0.0.256:80", -EINVAL },
	{ "10.0.0:80", -EINVAL },
	{ "10.0.0.5.6:80", -EINVAL },
	{ "10:80", -EINVAL },
	{ "010.0.0.5:80", -EINVAL },
	{ "0x7f000001:80", -EINVAL },
	{ "0X7F.1:80", -EINVAL },
	{ "name.0x:80", -EINVAL },
	{ "name.1:80", -EINVAL },
	{ "name.1.:80", -EINVAL },
	{ "*:80", -EINVAL },
	{ "::1:80", -EINVAL },
	{ "::", -EINVAL },
	{ "[::1]", -EINVAL },
	{ "[::1]:", -EINVAL },
	{ "[::1]80", -EINVAL },
	{ "[::1]:80:", -EINVAL },
	{ "[::1:80", -EINVAL },
	{ "[]:80", -EINVAL },
	{ "[10.0.0.5]:80", -EINVAL },
	{ "[name]:80", -EINVAL },
	{ "[::1%lo]:80", -EINVAL },
	{ "[2001:db8::1%lo]:80", -EINVAL },
	{ "[fe80::1%]:80", -ENODEV },
	{ "[fe80::1%0]:80", -ENODEV },
	{ "[fe80::1%4294967296]:80", -ENODEV },
	{ "[fe80::1%no-such-link]:80", -ENODEV },
	{ "[fe80::1%" LABEL_63 "]:80", -EINVAL },
	{ "[fe80::1%lo]:x", -EINVAL },
	{ "unix:", -EINVAL },
	{ "unix:relative.sock", -EINVAL },
	{ "unix:@name", -EINVAL },
	{ "UNIX:/run/app.sock", -EINVAL },
	{ "a b:80", -EINVAL },
	{ "-a:80", -EINVAL },
	{ "a-:80", -EINVAL },
	{ "a-.b:80", -EINVAL },
	{ "a.-b:80", -EINVAL },
	{ "a..b:80", -EINVAL },
	{ ".a:80", -EINVAL },
	{ ".:80", -EINVAL },
	{ "a\xc3\xa4:80", -EINVAL },
	{ LABEL_63 "a:80", -EINVAL },
	{ "a:b:80", -EINVAL },
	{ "a:65536", -EINVAL },
	{ "a", -EINVAL },
	/* names, to be looked up */
	{ "a:0", -EAGAIN },
	{ "localhost:65535", -EAGAIN },
	{ "name.example:80", -EAGAIN },
	{ "name.example.:80", -EAGAIN },
	{ "my_app-1.Example:80", -EAGAIN },
	{ "1a:80", -EAGAIN },
	{ "1.example:80", -EAGAIN },
	{ "0xg:80", -EAGAIN },
	{ LABEL_63 "." LABEL_63 ":80", -EAGAIN },
	{ "unix:80", -EINVAL },
	{ "unix2:80", -EAGAIN },
};

static void test_reads_addresses(void **state)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address, again;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(address_parse(&address, good[i].text), 0);
		assert_string_equal(address_format(&address, text, sizeof(text)),
				    good[i].canonical);
		assert_int_equal(address_parse(&again, text), 0);
		assert_true(address_equals(&address, &again));
		assert_int_equal(address.length, again.length);
	}
}

static void test_refuses_the_rest_and_leaves_the_result_alone(void **state)
{
	struct address address, before;

	(void)state;
	memset(&address, 0x5a, sizeof(address));
	before = address;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (address_parse(&address, bad[i].text) != bad[i].error)
			fail_msg("\"%s\": %d, not %d", bad[i].text,
				 address_parse(&address, bad[i].text), bad[i].error);
		assert_memory_equal(&address, &before, sizeof(address));
	}
}

static void test_fills_what_the_kernel_reads(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse(&address, "10.1.2.3:258"), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_in));
	assert_int_equal(address.v4.sin_family, AF_INET);
	assert_int_equal(ntohs(address.v4.sin_port), 258);
	assert_int_equal(ntohl(address.v4.sin_addr.s_addr), 0x0a010203);

	assert_int_equal(address_parse(&address, "[fe80::2%lo]:258"), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_in6));
	assert_int_equal(address.v6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(address.v6.sin6_port), 258);
	assert_int_equal(address.v6.sin6_scope_id, 1);
	assert_int_equal(address.v6.sin6_addr.s6_addr[0], 0xfe);
	assert_int_equal(address.v6.sin6_addr.s6_addr[15], 2);

	assert_int_equal(address_parse(&address, "unix:/a"), 0);
	assert_int_equal(address.un.sun_family, AF_UNIX);
	assert_string_equal(address.un.sun_path, "/a");
	assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + 3);
}

static void test_a_unix_path_fits_or_is_too_long(void **state)
{
	char text[160] = "unix:/";
	char formatted[ADDRESS_TEXT_MAX];
	struct address address;

	(void)state;
	memset(text + 6, 'p', 106);
	text[5 + 107] = '\0';
	assert_int_equal(address_parse(&address, text), 0);
	assert_string_equal(address_format(&address, formatted, sizeof(formatted)), text);
	text[5 + 107] = 'p';
	text[5 + 108] = '\0';
	assert_int_equal(address_parse(&address, text), -ENAMETOOLONG);
}

static void test_a_host_name_has_at_most_253_bytes(void **state)
{
	char text[300];
	struct address address;

	(void)state;
	for (size_t i = 0; i < 253; i++)
		text[i] = i % 50 == 49 ? '.' : 'h';
	memcpy(text + 253, ":80", sizeof(":80"));
	assert_int_equal(address_parse(&address, text), -EAGAIN);
	memcpy(text + 253, "h:80", sizeof("h:80"));
	assert_int_equal(address_parse(&address, text), -EINVAL);
}

/* What getpeername(2) and accept(2) give for UNIX sockets, which no configuration can say. */
static void test_writes_every_kind_of_unix_address(void **state)
{
	const socklen_t before = offsetof(struct sockaddr_un, sun_path);
	struct address address = { .un.sun_family = AF_UNIX };
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	address.length = before;
	assert_string_equal(address_format(&address, text, sizeof(text)), "unix:");
	memcpy(address.un.sun_path, "\0ab\n\0z\xff", 7);
	address.length = before + 7;
	assert_string_equal(address_format(&address, text, sizeof(text)), "unix:@ab??z?");
	/* a path of full length has no NUL at its end */
	memset(address.un.sun_path, '/', sizeof(address.un.sun_path));
	address.length = sizeof(address.un);
	assert_int_equal(strlen(address_format(&address, text, sizeof(text))), 5 + 108);
	/* the kernel counts a NUL after the end of the structure; nothing there is read */
	address.length = sizeof(address.un) + 1;
	assert_int_equal(strlen(address_format(&address, text, sizeof(text))), 5 + 108);
}

static void test_writes_what_is_no_address(void **state)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	memset(&address, 0, sizeof(address));
	assert_string_equal(address_format(&address, text, sizeof(text)), "-");
	address.any.sa_family = AF_NETLINK;
	address.length = sizeof(address.any);
	assert_string_equal(address_format(&address, text, sizeof(text)), "-");
}

static void test_cuts_the_text_off(void **state)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(address_parse(&address, "10.0.0.5:80"), 0);
	for (size_t size = 1; size <= 13; size++) {
		memset(text, '#', sizeof(text));
		assert_ptr_equal(address_format(&address, text, size), text);
		assert_int_equal(strlen(text), size <= 12 ? size - 1 : 11);
		assert_memory_equal(text, "10.0.0.5:80", strlen(text));
		assert_int_equal(text[size], '#');
	}
}

static void test_tells_addresses_apart(void **state)
{
	static const char *const different[] = {
		"10.0.0.5:80", "10.0.0.5:81", "10.0.0.6:80",    "[::1]:80",
		"[::1]:81",    "[::2]:80",    "[fe80::1%1]:80", "[fe80::1%2]:80",
		"unix:/a",     "unix:/ab",    "unix:/b",        "[::ffff:10.0.0.5]:80",
	};
	const size_t count = sizeof(different) / sizeof(*different);
	struct address a, b;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++) {
			memset(&a, 0, sizeof(a));
			memset(&b, 0xff, sizeof(b));
			assert_int_equal(address_parse(&a, different[i]), 0);
			assert_int_equal(address_parse(&b, different[k]), 0);
			assert_int_equal(address_equals(&a, &b), i == k);
		}
	}
}

/* getsockname(2) counts the NUL of a path, or not; padding and what follows the path is anything.
 */
static void test_the_same_path_is_equal_however_it_is_stored(void **state)
{
	struct address a, b;

	(void)state;
	assert_int_equal(address_parse(&a, "unix:/run/a"), 0);
	memset(&b, 'x', sizeof(b));
	b.un.sun_family = AF_UNIX;
	memcpy(b.un.sun_path, "/run/a", 6);
	b.length = offsetof(struct sockaddr_un, sun_path) + 6;
	assert_true(address_equals(&a, &b));
	b.length++;
	assert_false(address_equals(&a, &b));
}

static void check_endpoint(const char *text, const char *expected, enum endpoint_family family)
{
	struct address address;
	struct endpoint endpoint;
	char formatted[ADDRESS_TEXT_MAX];

	assert_int_equal(address_parse(&address, text), 0);
	endpoint = endpoint_of(&address);
	assert_int_equal(endpoint.family, family);
	assert_string_equal(endpoint_format(&endpoint, formatted, sizeof(formatted)), expected);
}

static void test_endpoints_say_the_same(void **state)
{
	struct endpoint none = { .family = ENDPOINT_NONE };
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	check_endpoint("10.0.0.5:80", "10.0.0.5:80", ENDPOINT_IPV4);
	check_endpoint("[2001:db8::1]:65535", "[2001:db8::1]:65535", ENDPOINT_IPV6);
	check_endpoint("[fe80::1%lo]:80", "[fe80::1%lo]:80", ENDPOINT_IPV6);
	check_endpoint("unix:/run/app.sock", "unix", ENDPOINT_UNIX);
	assert_string_equal(endpoint_format(&none, text, sizeof(text)), "-");
	memset(&address, 0, sizeof(address));
	assert_int_equal(endpoint_of(&address).family, ENDPOINT_NONE);
	assert_int_equal(address_parse(&address, "10.1.2.3:80"), 0);
	assert_memory_equal(endpoint_of(&address).ip, "\x0a\1\2\3", 4);
	assert_int_equal(endpoint_of(&address).port, 80);
}

static const struct {
	const char *text;
	const char *canonical; /* with port 0 */
	unsigned prefix;
} networks[] = {
	{ "10.1.2.3", "10.1.2.3:0", 32 },
	{ "0.0.0.0", "0.0.0.0:0", 32 },
	{ "0.0.0.0/0", "0.0.0.0:0", 0 },
	{ "10.0.0.0/8", "10.0.0.0:0", 8 },
	{ "10.0.0.0/08", "10.0.0.0:0", 8 },
	{ "10.255.255.255/9", "10.128.0.0:0", 9 },
	{ "255.255.255.255/31", "255.255.255.254:0", 31 },
	{ "255.255.255.255/32", "255.255.255.255:0", 32 },
	{ "255.255.255.255/0", "0.0.0.0:0", 0 },
	{ "::", "[::]:0", 128 },
	{ "::/0", "[::]:0", 0 },
	{ "2001:DB8::1", "[2001:db8::1]:0", 128 },
	{ "2001:db8:ffff::1/33", "[2001:db8:8000::]:0", 33 },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:0", 127 },
	{ "::ffff:10.0.0.5/104", "[::ffff:10.0.0.0]:0", 104 },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0", 128 },
};

static const char *const no_networks[] = {
	"",
	"/",
	"/8",
	"10",
	"10.0.0",
	"10.0.0.0/",
	"10.0.0.0/33",
	"10.0.0.0/-1",
	"10.0.0.0/+8",
	"10.0.0.0/ 8",
	"10.0.0.0/8 ",
	"10.0.0.0/8/8",
	"10.0.0.0/255.0.0.0",
	"10.0.0.0/99999999999999999999",
	"10.0.0.256",
	"010.0.0.1",
	"0x0a.0.0.1",
	" 10.0.0.1",
	"10.0.0.1 ",
	"10.0.0.1:80",
	"10.*",
	"*",
	"::/129",
	"::1::",
	"[::1]",
	"[::1]:80",
	"[::1]/128",
	"fe80::1%lo",
	"fe80::1%1/64",
	"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
	"localhost",
	"unix",
	"unix:/run/app.sock",
	"-",
};

static void test_reads_networks(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(networks) / sizeof(*networks); i++) {
		struct endpoint network = { .port = 80, .scope = 5 };
		unsigned prefix = 777;

		assert_int_equal(address_parse_network(networks[i].text, &network, &prefix), 0);
		assert_string_equal(endpoint_format(&network, text, sizeof(text)),
				    networks[i].canonical);
		assert_int_equal(prefix, networks[i].prefix);
		assert_int_equal(network.scope, 0);
		assert_true(endpoint_is_within(&network, &network, prefix));
	}
}

static void test_refuses_what_is_no_network(void **state)
{
	struct endpoint network, before;
	unsigned prefix = 777;

	(void)state;
	memset(&network, 0x5a, sizeof(network));
	before = network;
	for (size_t i = 0; i < sizeof(no_networks) / sizeof(*no_networks); i++) {
		if (address_parse_network(no_networks[i], &network, &prefix) != -EINVAL)
			fail_msg("\"%s\" is taken", no_networks[i]);
		assert_memory_equal(&network, &before, sizeof(network));
		assert_int_equal(prefix, 777);
	}
}

static void test_reads_hosts(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
	} hosts[] = {
		{ "10.0.0.5", "10.0.0.5:0" },
		{ "0.0.0.0", "0.0.0.0:0" },
		{ "::", "[::]:0" },
		{ "2001:DB8::5", "[2001:db8::5]:0" },
		{ "fe80::1%lo", "[fe80::1%lo]:0" },
		{ "fe80::1%1", "[fe80::1%lo]:0" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct address address;
		char text[ADDRESS_TEXT_MAX];

		assert_int_equal(address_parse_host(&address, hosts[i].text), 0);
		assert_string_equal(address_format(&address, text, sizeof(text)),
				    hosts[i].canonical);
	}
}

static void test_refuses_what_is_no_host(void **state)
{
	static const struct {
		const char *text;
		int error;
	} hosts[] = {
		{ "", -EINVAL },
		{ "localhost", -EINVAL },
		{ "name.example", -EINVAL },
		{ "10.0.0", -EINVAL },
		{ "10.0.0.5:80", -EINVAL },
		{ "10.0.0.5/32", -EINVAL },
		{ "10.0.0.5%lo", -EINVAL },
		{ "[::1]", -EINVAL },
		{ "[::1]:80", -EINVAL },
		{ "::1]:80", -EINVAL },
		{ "::1%lo", -EINVAL },
		{ "fe80::1%", -ENODEV },
		{ "fe80::1%no-such", -ENODEV },
		{ "unix:/run/x", -EINVAL },
		{ ":", -EINVAL },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct address address = { .length = 77 };

		assert_int_equal(address_parse_host(&address, hosts[i].text), hosts[i].error);
		assert_int_equal(address.length, 77);
	}
}

static void test_resolve_takes_addresses_as_they_are(void **state)
{
	struct address found[2];
	const char *why = NULL;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(address_resolve("10.0.0.5:80", found, 2, &why), 1);
	assert_string_equal(address_format(&found[0], text, sizeof(text)), "10.0.0.5:80");
	assert_int_equal(address_resolve("unix:/a", found, 1, &why), 1);
	assert_null(why);
}

static void test_resolve_says_why_not(void **state)
{
	struct address found[1];
	const char *why = NULL;

	(void)state;
	assert_int_equal(address_resolve("10.0.0.5", found, 1, &why), -EINVAL);
	assert_non_null(strstr(why, "no port"));
	assert_int_equal(address_resolve("*:80", found, 1, &why), -EINVAL);
	assert_non_null(strstr(why, "0.0.0.0:PORT"));
	assert_int_equal(address_resolve("::1:80", found, 1, &why), -EINVAL);
	assert_non_null(strstr(why, "[IPV6]:PORT"));
	assert_int_equal(address_resolve("name:70000", found, 1, &why), -EINVAL);
	assert_non_null(strstr(why, "65535"));
	assert_int_equal(address_resolve("unix:a", found, 1, &why), -EINVAL);
	assert_non_null(strstr(why, "absolute"));
	assert_int_equal(address_resolve("[fe80::1%no-such-link]:1", found, 1, &why), -ENODEV);
	assert_non_null(strstr(why, "interface"));
	assert_int_equal(address_resolve("10.0.0.5:80", found, 0, &why), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (bad[i].error == -EAGAIN)
			continue;
		why = NULL;
		assert_int_equal(address_resolve(bad[i].text, found, 1, &why), bad[i].error);
		assert_non_null(why);
	}
}

static void test_resolve_looks_names_up(void **state)
{
	struct address found[ADDRESS_RESOLVE_MAX];
	const char *why = NULL;
	char text[ADDRESS_TEXT_MAX];
	int count = address_resolve("localhost:80", found, ADDRESS_RESOLVE_MAX, &why);

	(void)state;
	assert_in_range(count, 1, ADDRESS_RESOLVE_MAX);
	for (int i = 0; i < count; i++) {
		address_format(&found[i], text, sizeof(text));
		assert_true(strcmp(text, "127.0.0.1:80") == 0 || strcmp(text, "[::1]:80") == 0);
		for (int k = 0; k < i; k++)
			assert_false(address_equals(&found[i], &found[k]));
	}
	assert_int_equal(address_resolve("localhost:80", found, 1, &why), 1);
}

/* ".invalid" never exists (RFC 6761); without a name server the look-up fails for now. */
static void test_resolve_fails_for_a_name_that_is_none(void **state)
{
	struct address found[1], before;
	const char *why = NULL;
	int r;

	(void)state;
	/* one attempt of a second at most: this is no test of the resolver's patience */
	assert_int_equal(setenv("RES_OPTIONS", "timeout:1 attempts:1", 1), 0);
	memset(found, 0x5a, sizeof(found));
	before = found[0];
	r = address_resolve("no-such-name.invalid:80", found, 1, &why);
	assert_true(r == -ENOENT || r == -EAGAIN || r == -EIO);
	assert_non_null(why);
	assert_true(why[0] >= 'a' && why[0] <= 'z');
	assert_memory_equal(&found[0], &before, sizeof(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_addresses),
		cmocka_unit_test(test_refuses_the_rest_and_leaves_the_result_alone),
		cmocka_unit_test(test_fills_what_the_kernel_reads),
		cmocka_unit_test(test_a_unix_path_fits_or_is_too_long),
		cmocka_unit_test(test_a_host_name_has_at_most_253_bytes),
		cmocka_unit_test(test_writes_every_kind_of_unix_address),
		cmocka_unit_test(test_writes_what_is_no_address),
		cmocka_unit_test(test_cuts_the_text_off),
		cmocka_unit_test(test_tells_addresses_apart),
		cmocka_unit_test(test_the_same_path_is_equal_however_it_is_stored),
		cmocka_unit_test(test_endpoints_say_the_same),
		cmocka_unit_test(test_reads_networks),
		cmocka_unit_test(test_refuses_what_is_no_network),
		cmocka_unit_test(test_reads_hosts),
		cmocka_unit_test(test_refuses_what_is_no_host),
		cmocka_unit_test(test_resolve_takes_addresses_as_they_are),
		cmocka_unit_test(test_resolve_says_why_not),
		cmocka_unit_test(test_resolve_looks_names_up),
		cmocka_unit_test(test_resolve_fails_for_a_name_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
