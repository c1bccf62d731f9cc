/*
 * Socket addresses as text and back.
 *
 * What address_parse takes, address_format writes in one canonical way, and that text reads back as
 * an equal address.
 *
 * getaddrinfo(3) takes more for an address than people mean: "1.2.3" is 1.2.0.3 to it, and
 * "0x7f000001" is the loopback. So a host that ends in a number is an IPv4 address in four parts or
 * an error here, and never gets there.
 */
#include <finback/io/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_LENGTH_MAX  253
#define LABEL_LENGTH_MAX 63
#define PORT_DIGITS_MAX  5
#define UNIX_PREFIX      "unix:"

static const char why_no_address[] =
	"not an address; one is HOST:PORT, IPV4:PORT, [IPV6]:PORT or unix:/PATH";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_label_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

/* Reads all of `text` as a decimal number of at most `max`. */
static bool parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!is_digit(*text))
			return false;
		value = value * 10 + (unsigned long)(*text - '0');
		if (value > max)
			return false;
	}
	*ret = value;
	return true;
}

static int parse_port(const char *text, in_port_t *ret_port, const char **ret_why)
{
	unsigned long port;

	if (strlen(text) > PORT_DIGITS_MAX || !parse_number(text, UINT16_MAX, &port)) {
		*ret_why = "the port is not a number from 0 to 65535";
		return -EINVAL;
	}
	*ret_port = htons((uint16_t)port);
	return 0;
}

static int parse_unix(struct address *ret, const char *path, const char **ret_why)
{
	size_t length = strlen(path);
	struct address address = { .un.sun_family = AF_UNIX };

	if (path[0] != '/') {
		*ret_why = "the path of a UNIX socket is absolute: unix:/PATH";
		return -EINVAL;
	}
	if (length >= sizeof(address.un.sun_path)) {
		*ret_why = "the path of a UNIX socket has at most 107 bytes";
		return -ENAMETOOLONG;
	}
	memcpy(address.un.sun_path, path, length + 1);
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	*ret = address;
	return 0;
}

/* A name goes before a number, as in getaddrinfo(3): an interface may be called "7". */
static int parse_zone(const char *text, uint32_t *ret_scope, const char **ret_why)
{
	unsigned long number;
	unsigned index = if_nametoindex(text);

	if (index == 0 && parse_number(text, UINT32_MAX, &number))
		index = (unsigned)number;
	if (index == 0) {
		*ret_why = "the zone of the IPv6 address is not a network interface of this host";
		return -ENODEV;
	}
	*ret_scope = index;
	return 0;
}

/* `text` is what follows the opening bracket. */
static int parse_ipv6(struct address *ret, const char *text, const char **ret_why)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
	const char *end = strchr(text, ']');
	struct address address = { .length = sizeof(address.v6), .v6.sin6_family = AF_INET6 };
	char *zone;
	int r;

	if (!end || end[1] != ':' || (size_t)(end - text) >= sizeof(host)) {
		*ret_why = "an IPv6 address with its port is [IPV6]:PORT";
		return -EINVAL;
	}
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	zone = strchr(host, '%');
	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) != 1) {
		*ret_why = "not an IPv6 address between the brackets";
		return -EINVAL;
	}
	if (zone && !IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr)) {
		*ret_why = "only a link-local IPv6 address has a zone";
		return -EINVAL;
	}
	r = parse_port(end + 2, &address.v6.sin6_port, ret_why);
	if (r == 0 && zone)
		r = parse_zone(zone, &address.v6.sin6_scope_id, ret_why);
	if (r == 0)
		*ret = address;
	return r;
}

/* Whether getaddrinfo() would read the host as an IPv4 address: its last label, with the root's dot
 * aside, is a decimal or hexadecimal number. */
static bool ends_in_number(const char *host)
{
	size_t end = strlen(host);
	size_t start, i;

	if (end > 0 && host[end - 1] == '.')
		end--;
	for (start = end; start > 0 && host[start - 1] != '.'; start--)
		;
	if (end - start >= 2 && host[start] == '0' && (host[start + 1] | 0x20) == 'x') {
		for (i = start + 2; i < end && is_hex_digit(host[i]); i++)
			;
		return i == end;
	}
	for (i = start; i < end && is_digit(host[i]); i++)
		;
	return i == end && end > start;
}

/* RFC 1123 section 2.1, and the underscore, which container names and service records have. */
static bool is_host_name(const char *host)
{
	size_t label = 0;
	size_t i;

	for (i = 0; host[i]; i++) {
		if (host[i] == '.') {
			if (label == 0 || host[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_label_char(host[i]) || (label == 0 && host[i] == '-') ||
		    ++label > LABEL_LENGTH_MAX)
			return false;
	}
	return i > 0 && host[i - 1] != '-';
}

/* Splits "HOST:PORT" into `ret_host`, which has room for HOST_LENGTH_MAX bytes and an end. */
static int split_host(const char *text, char *ret_host, in_port_t *ret_port, const char **ret_why)
{
	const char *colon = strchr(text, ':');
	size_t length;
	int r;

	if (!colon) {
		*ret_why = *text ? "no port; an address is HOST:PORT" : why_no_address;
		return -EINVAL;
	}
	if (strchr(colon + 1, ':')) {
		*ret_why = "an IPv6 address with its port is [IPV6]:PORT";
		return -EINVAL;
	}
	length = (size_t)(colon - text);
	if (length > HOST_LENGTH_MAX) {
		*ret_why = "the host name is longer than 253 bytes";
		return -EINVAL;
	}
	r = parse_port(colon + 1, ret_port, ret_why);
	if (r < 0)
		return r;
	memcpy(ret_host, text, length);
	ret_host[length] = '\0';
	return 0;
}

static int parse_host(struct address *ret, const char *text, const char **ret_why)
{
	char host[HOST_LENGTH_MAX + 1];
	struct address address = { .length = sizeof(address.v4), .v4.sin_family = AF_INET };
	int r = split_host(text, host, &address.v4.sin_port, ret_why);

	if (r < 0)
		return r;
	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		*ret = address;
		return 0;
	}
	if (strcmp(host, "*") == 0)
		*ret_why = "\"*\" is not taken; 0.0.0.0:PORT or [::]:PORT says which is meant";
	else if (ends_in_number(host))
		*ret_why = "not an IPv4 address; one is four numbers from 0 to 255";
	else if (!is_host_name(host))
		*ret_why = why_no_address;
	else
		return -EAGAIN;
	return -EINVAL;
}

/* address_parse, with the reason. */
static int parse(struct address *ret, const char *text, const char **ret_why)
{
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_unix(ret, text + strlen(UNIX_PREFIX), ret_why);
	if (text[0] == '[')
		return parse_ipv6(ret, text + 1, ret_why);
	return parse_host(ret, text, ret_why);
}

int address_parse(struct address *ret, const char *text)
{
	const char *why;

	return parse(ret, text, &why);
}

int address_parse_host(struct address *ret, const char *text)
{
	char whole[INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof("[%]:0")];
	int length = snprintf(whole, sizeof(whole), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
	int r;

	if (length >= (int)sizeof(whole))
		return -EINVAL;
	r = address_parse(ret, whole);
	return r == -EAGAIN ? -EINVAL : r; /* a name */
}

static int lookup_errno(int error, int saved_errno)
{
	switch (error) {
	case EAI_SYSTEM:
		return saved_errno > 0 ? -saved_errno : -EIO;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* The resolver's words as part of a sentence: with a small first letter. */
static const char *lookup_why(int error, int saved_errno)
{
	static _Thread_local char words[120];

	if (error == EAI_SYSTEM)
		(void)snprintf(words, sizeof(words), "%s", strerrordesc_np(saved_errno) ?: "");
	else
		(void)snprintf(words, sizeof(words), "%s", gai_strerror(error));
	if (words[0] >= 'A' && words[0] <= 'Z')
		words[0] = (char)(words[0] | 0x20);
	return words[0] ? words : "looking the name up failed";
}

static bool is_among(const struct address *address, const struct address *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (address_equals(address, &list[i]))
			return true;
	}
	return false;
}

/* Copies the different addresses that have a use here. Returns how many. */
static size_t take_addresses(const struct addrinfo *found, struct address *ret, size_t max)
{
	size_t count = 0;

	for (; found && count < max; found = found->ai_next) {
		struct address address = { .length = found->ai_addrlen };

		if ((found->ai_family != AF_INET && found->ai_family != AF_INET6) ||
		    found->ai_addrlen > sizeof(address) - offsetof(struct address, any))
			continue;
		memcpy(&address.any, found->ai_addr, found->ai_addrlen);
		if (!is_among(&address, ret, count))
			ret[count++] = address;
	}
	return count;
}

int address_resolve(const char *text, struct address *ret, size_t max, const char **ret_why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	char host[HOST_LENGTH_MAX + 1];
	struct addrinfo *found = NULL;
	size_t count;
	int error, saved_errno;
	in_port_t port;
	int r;

	if (max == 0) {
		*ret_why = "no room for an address";
		return -EINVAL;
	}
	r = parse(ret, text, ret_why);
	if (r == 0)
		return 1;
	if (r != -EAGAIN)
		return r;
	r = split_host(text, host, &port, ret_why);
	if (r < 0)
		return r;
	error = getaddrinfo(host, strrchr(text, ':') + 1, &hints, &found);
	saved_errno = errno;
	if (error != 0) {
		*ret_why = lookup_why(error, saved_errno);
		return lookup_errno(error, saved_errno);
	}
	count = take_addresses(found, ret, max < INT_MAX ? max : INT_MAX);
	freeaddrinfo(found);
	if (count == 0) {
		*ret_why = "the name has no IP address";
		return -ENOENT;
	}
	return (int)count;
}

/* Bytes of the name in a UNIX address: of a path without the NUL that may end it (unix(7) allows it
 * to be missing), of an abstract name with the NUL that begins it. */
static size_t unix_name_length(const struct address *address)
{
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	size_t length;

	if (address->length <= before)
		return 0;
	length = address->length - before;
	if (length > sizeof(address->un.sun_path))
		length = sizeof(address->un.sun_path);
	if (address->un.sun_path[0] == '\0')
		return length > 1 ? length : 0;
	return strnlen(address->un.sun_path, length);
}

static void format_unix(const struct address *address, char *text, size_t size)
{
	char name[sizeof(address->un.sun_path) + 1];
	size_t length = unix_name_length(address);

	memcpy(name, address->un.sun_path, length);
	name[length] = '\0';
	/* An abstract name is any bytes: one of an attacker's choosing must not forge a log line.
	 */
	if (length > 0 && name[0] == '\0') {
		name[0] = '@';
		for (size_t i = 1; i < length; i++) {
			if (name[i] <= ' ' || name[i] > '~')
				name[i] = '?';
		}
	}
	(void)snprintf(text, size, UNIX_PREFIX "%s", name);
}

static void format_ipv6(const struct sockaddr_in6 *v6, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	char name[IF_NAMESIZE] = "";
	unsigned port = ntohs(v6->sin6_port);

	(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
	if (v6->sin6_scope_id == 0 || !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		(void)snprintf(text, size, "[%s]:%u", host, port);
	else if (if_indextoname(v6->sin6_scope_id, name))
		(void)snprintf(text, size, "[%s%%%s]:%u", host, name, port);
	else
		(void)snprintf(text, size, "[%s%%%u]:%u", host, v6->sin6_scope_id, port);
}

char *address_format(const struct address *address, char *text, size_t size)
{
	char host[INET_ADDRSTRLEN] = "";

	switch (address->length < sizeof(sa_family_t) ? AF_UNSPEC : address->any.sa_family) {
	case AF_INET:
		(void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		(void)snprintf(text, size, "%s:%u", host, (unsigned)ntohs(address->v4.sin_port));
		break;
	case AF_INET6:
		format_ipv6(&address->v6, text, size);
		break;
	case AF_UNIX:
		format_unix(address, text, size);
		break;
	default:
		(void)snprintf(text, size, "-");
		break;
	}
	return text;
}

bool address_equals(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	case AF_INET6:
		return a->v6.sin6_port == b->v6.sin6_port &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		       IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
	case AF_UNIX:
		return unix_name_length(a) == unix_name_length(b) &&
		       memcmp(a->un.sun_path, b->un.sun_path, unix_name_length(a)) == 0;
	default:
		return a->length == b->length;
	}
}

struct endpoint endpoint_of(const struct address *address)
{
	struct endpoint endpoint = { .family = ENDPOINT_NONE };

	switch (address->length < sizeof(sa_family_t) ? AF_UNSPEC : address->any.sa_family) {
	case AF_INET:
		endpoint.family = ENDPOINT_IPV4;
		endpoint.port = ntohs(address->v4.sin_port);
		memcpy(endpoint.ip, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
		break;
	case AF_INET6:
		endpoint.family = ENDPOINT_IPV6;
		endpoint.port = ntohs(address->v6.sin6_port);
		endpoint.scope = address->v6.sin6_scope_id;
		memcpy(endpoint.ip, &address->v6.sin6_addr, sizeof(endpoint.ip));
		break;
	case AF_UNIX:
		endpoint.family = ENDPOINT_UNIX;
		break;
	default:
		break;
	}
	return endpoint;
}

char *endpoint_format(const struct endpoint *endpoint, char *text, size_t size)
{
	struct address address = { .length = 0 };

	switch (endpoint->family) {
	case ENDPOINT_IPV4:
		address.length = sizeof(address.v4);
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(endpoint->port);
		memcpy(&address.v4.sin_addr, endpoint->ip, sizeof(address.v4.sin_addr));
		break;
	case ENDPOINT_IPV6:
		address.length = sizeof(address.v6);
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(endpoint->port);
		address.v6.sin6_scope_id = endpoint->scope;
		memcpy(&address.v6.sin6_addr, endpoint->ip, sizeof(endpoint->ip));
		break;
	case ENDPOINT_UNIX:
		(void)snprintf(text, size, "unix");
		return text;
	default:
		break;
	}
	return address_format(&address, text, size);
}

/* The address alone, of either family. Returns how many bits it has; 0: it is none. */
static unsigned parse_ip(const char *text, struct endpoint *ret)
{
	*ret = (struct endpoint){ .family = ENDPOINT_IPV4 };
	if (inet_pton(AF_INET, text, ret->ip) == 1)
		return 32;
	*ret = (struct endpoint){ .family = ENDPOINT_IPV6 };
	if (inet_pton(AF_INET6, text, ret->ip) == 1)
		return 128;
	return 0;
}

static void clear_behind(struct endpoint *network, unsigned prefix)
{
	for (unsigned bit = prefix; bit < sizeof(network->ip) * 8; bit++)
		network->ip[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
}

int address_parse_network(const char *text, struct endpoint *ret, unsigned *ret_prefix)
{
	char host[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, "/");
	struct endpoint network;
	unsigned long prefix;
	unsigned bits;

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	bits = parse_ip(host, &network);
	prefix = bits;
	if (bits == 0 || (text[length] == '/' && !parse_number(text + length + 1, bits, &prefix)))
		return -EINVAL;
	clear_behind(&network, (unsigned)prefix);
	*ret = network;
	*ret_prefix = (unsigned)prefix;
	return 0;
}
