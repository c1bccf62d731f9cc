#ifndef FINBACK_IO_ADDRESS_H
#define FINBACK_IO_ADDRESS_H

#include <finback/engine/endpoint.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * Socket addresses as text and back: "10.0.0.5:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80",
 * "name.example:80", "unix:/run/app.sock". Never binds or connects anything; only address_resolve
 * asks a name server.
 */

struct address {
	socklen_t length;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	};
};

/* Enough for every address as text: a UNIX path, or an IPv6 address with zone and port. */
#define ADDRESS_TEXT_MAX 160
/* A name that resolves to more addresses than this keeps the first ones. */
#define ADDRESS_RESOLVE_MAX 16

/* Reads an address without asking anybody. "*:80" is not taken: "0.0.0.0:80" or "[::]:80" say which
 * is meant. A port is 0 to 65535, in digits. A UNIX path is absolute. Only a link-local address has
 * a zone, by name or number (RFC 4007). Returns 0; -EINVAL when the text is no address; -EAGAIN
 * when it is HOST:PORT with a name for a host, for address_resolve to look up; -ENAMETOOLONG for a
 * UNIX path that does not fit; -ENODEV for a zone that is no network interface here. `ret` is
 * untouched on failure. */
int address_parse(struct address *ret, const char *text);

/* Reads an IP address alone, with the zone of a link-local one: "10.0.0.5", "2001:db8::5",
 * "fe80::1%eth0". Its port is 0. Returns 0, -EINVAL or -ENODEV, as address_parse. */
int address_parse_host(struct address *ret, const char *text);

/* As address_parse, and looks names up (getaddrinfo(3); this may block for seconds). Writes up to
 * `max` different addresses in the resolver's order, which prefers what this host can reach.
 * Returns how many (at least 1) or -errno: those of address_parse, but -EAGAIN when looking up
 * failed for now, and -ENOENT for a name that does not exist. *ret_why then is a sentence part that
 * says what was wrong, static or for this thread's next call to overwrite, e.g. "name or service
 * not known". */
int address_resolve(const char *text, struct address *ret, size_t max, const char **ret_why);

/* Writes the text of an address: `size` of ADDRESS_TEXT_MAX is always enough; less (not 0) cuts it
 * off. An unnamed UNIX socket is "unix:", one in the abstract namespace "unix:@name" (unix(7)),
 * what is no address at all "-". Returns `text`. */
char *address_format(const struct address *address, char *text, size_t size);

bool address_equals(const struct address *a, const struct address *b);

/* The same address as an endpoint; a path is dropped. */
struct endpoint endpoint_of(const struct address *address);

/* Writes the text of an endpoint: "10.0.0.5:80", "unix", or "-" for none. Returns `text`. */
char *endpoint_format(const struct endpoint *endpoint, char *text, size_t size);

/* Reads an IP address or a network: "10.1.2.3", "10.0.0.0/8", "2001:db8::/32"; without a port,
 * brackets or a zone. *ret_prefix is how many of its first bits count, all of them for an address;
 * those behind are cleared in *ret, whose port is 0: "10.1.2.3/8" is 10.0.0.0/8. Returns 0 or
 * -EINVAL, with both untouched. */
int address_parse_network(const char *text, struct endpoint *ret, unsigned *ret_prefix);

#endif
