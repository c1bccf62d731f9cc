#ifndef FINBACK_SRC_ENGINE_PROBE_XML_H
#define FINBACK_SRC_ENGINE_PROBE_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "probe_word.h"

/*
 * Follows the XML of one flow of a stream, byte by byte: one root element that is open for as long
 * as the flow is, and children with white space between them. Zeroed at the start.
 */

/* More than any stanza has. */
#define XML_DEPTH_MAX 200

enum xml_event {
	XML_FITS,
	XML_OPENED, /* a start tag's name is whole: `name`, and `depth` is the element's own */
	XML_CLOSED, /* an element ended; `depth` is its parent's */
	XML_MISFIT
};

struct xml {
	struct probe_word name; /* XML_OPENED: the local name, without a prefix */
	uint8_t at;             /* within markup, or not */
	uint8_t depth;          /* elements that are open */
};

/* Never again after XML_MISFIT. */
enum xml_event xml_follow(struct xml *xml, unsigned char byte);

/* Whether the root is open, none of its children is, and no markup has begun. */
bool xml_is_between(const struct xml *xml);

#endif
