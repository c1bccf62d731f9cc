/*
 * XMPP: a space between stanzas, towards either side, once a resource is bound.
 *
 * RFC 6120 sections 4 (streams), 4.6.1 (whitespace keepalive), 5 (STARTTLS), 6 (SASL), 7 (binding)
 * and 11 (XML usage); XML 1.0; XEP-0138 (compression), XEP-0198 (a session that is resumed is one
 * that was bound).
 *
 * Invariant: of each flow the depth of elements is known, and at depth 1, between the stanzas,
 * there is white space alone. Only there is a space put in.
 *
 * Surprising: SASL's success begins both streams again, without an end of the old ones: from there
 * to the new header, a space would be an error. It is a matter of both flows at once.
 */
#include <assert.h>

#include "probe_parser.h"
#include "probe_xml.h"

struct xmpp_flow {
	struct xml xml;
	uint8_t bound_depth; /* of the open elements, from the first on, those in bound_path */
	bool is_success;     /* the child that is open is SASL's success */
};

struct xmpp {
	struct xmpp_flow flows[SIDES];
	bool is_bound;
	bool is_over; /* one of the streams has ended */
};
static_assert(sizeof(struct xmpp) <= PROBE_STATE_MAX, "fits into a probe");

/* What the server's answer to a binding has and no error about one. */
static const char *const bound_path[] = { "stream", "iq", "bind", "jid" };
#define BOUND_DEPTH (sizeof bound_path / sizeof *bound_path)

/* Children of a stream that turn it to TLS, to compression, or to an authentication after which it
 * does not begin again. A stream in a stream is a header that did not wait for SASL's success. */
static const struct xmpp_turn {
	const char *name;
	enum side from;
} turns[] = {
	{ "starttls", CLIENT },     { "proceed", SERVER }, { "compress", CLIENT },
	{ "compressed", SERVER },   { "stream", CLIENT },  { "stream", SERVER },
	{ "authenticate", CLIENT },
};

static bool turns_away(const struct probe_word *name, enum side from)
{
	for (unsigned i = 0; i < sizeof turns / sizeof *turns; i++)
		if (turns[i].from == from && probe_word_is(name, turns[i].name))
			return true;
	return false;
}

/* Both streams begin again. The client waits for that: it has nothing under way. */
static enum probe_verdict restart(struct xmpp *xmpp)
{
	if (!xml_is_between(&xmpp->flows[CLIENT].xml) || xmpp->is_bound || xmpp->is_over)
		return PROBE_MISFIT;
	*xmpp = (struct xmpp){ 0 };
	return PROBE_FITS;
}

static enum probe_verdict on_closed(struct xmpp *xmpp, struct xmpp_flow *flow)
{
	if (flow->bound_depth > flow->xml.depth)
		flow->bound_depth = flow->xml.depth;
	if (flow->xml.depth == 0)
		xmpp->is_over = true;
	if (flow->is_success && flow->xml.depth == 1)
		return restart(xmpp);
	return PROBE_FITS;
}

/* A child of the stream: a stanza, or the stream's own negotiation. */
static enum probe_verdict on_child(struct xmpp *xmpp, struct xmpp_flow *flow, enum side from)
{
	if (turns_away(&flow->xml.name, from))
		return PROBE_MISFIT;
	flow->is_success = from == SERVER && probe_word_is(&flow->xml.name, "success");
	if (from == SERVER && probe_word_is(&flow->xml.name, "resumed"))
		xmpp->is_bound = true;
	return PROBE_FITS;
}

static enum probe_verdict on_opened(struct xmpp *xmpp, struct xmpp_flow *flow, enum side from)
{
	uint8_t parents = (uint8_t)(flow->xml.depth - 1);

	if (flow->bound_depth == parents && parents < BOUND_DEPTH &&
	    probe_word_is(&flow->xml.name, bound_path[parents]))
		flow->bound_depth++;
	if (flow->bound_depth == BOUND_DEPTH && from == SERVER)
		xmpp->is_bound = true;
	if (parents == 0)
		return flow->bound_depth == 1 ? PROBE_FITS : PROBE_MISFIT;
	return parents == 1 ? on_child(xmpp, flow, from) : PROBE_FITS;
}

static enum probe_verdict on_byte(void *state, enum side from, unsigned char byte)
{
	struct xmpp *xmpp = state;
	struct xmpp_flow *flow = &xmpp->flows[from];

	switch (xml_follow(&flow->xml, byte)) {
	case XML_FITS:
		return PROBE_FITS;
	case XML_OPENED:
		return on_opened(xmpp, flow, from);
	case XML_CLOSED:
		return on_closed(xmpp, flow);
	case XML_MISFIT:
		break;
	}
	return PROBE_MISFIT;
}

static size_t follow(void *state, enum side from, const unsigned char *bytes, size_t size)
{
	return probe_follow_each(on_byte, state, from, bytes, size);
}

static bool can_send(const void *state, enum side target)
{
	const struct xmpp *xmpp = state;

	return xmpp->is_bound && !xmpp->is_over && xml_is_between(&xmpp->flows[other(target)].xml);
}

const struct probe_parser probe_xmpp = {
	.name = "xmpp",
	.targets = 1u << CLIENT | 1u << SERVER,
	.follow = follow,
	.can_send = can_send,
	.message = { " ", 1 },
};
