/*
 * XML of a stream, as far as a relay must know it: where elements begin and end.
 *
 * XML 1.0 (fifth edition) sections 2.4 to 2.7 and 3.1; RFC 6120 section 11.1 for what a stream does
 * not have: a document type, and text outside its children.
 *
 * Invariant: `depth` is the count of start tags whose end has not come. Quotes, comments, CDATA and
 * processing instructions hide what looks like markup.
 *
 * Surprising: well-formedness is not proven: end tags are not compared with start tags. A peer that
 * sends them crossed is cut off by the other one, whatever finback thinks of it.
 */
#include "probe_xml.h"

#include <assert.h>

enum xml_at {
	AT_TEXT,
	AT_MARKUP,     /* after < */
	AT_NAME,       /* of a start tag */
	AT_ATTRIBUTES, /* of a start tag, up to > */
	AT_SINGLE_QUOTES,
	AT_DOUBLE_QUOTES,
	AT_SLASH, /* of an empty element, > is to come */
	AT_END_NAME,
	AT_INSTRUCTION,     /* <? ... */
	AT_INSTRUCTION_END, /* and its ? */
	AT_BANG,            /* after <! */
	AT_COMMENT_BEGIN,   /* <!- */
	AT_COMMENT,
	AT_COMMENT_DASH,   /* <!-- ... - */
	AT_COMMENT_DASHES, /* <!-- ... -- */
	AT_CDATA_BEGIN,    /* <![ ... */
	AT_CDATA,
	AT_CDATA_BRACKET,  /* ] */
	AT_CDATA_BRACKETS, /* ]] */
	XML_STATES
};

static_assert((int)AT_TEXT == 0, "a scanner of zeroes is at its start");

typedef enum xml_event on_byte(struct xml *xml, unsigned char byte);

static bool is_space(unsigned char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Where a name may begin; beyond ASCII, all is let pass. */
static bool is_name_start(unsigned char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_' ||
	       byte >= 0x80;
}

static bool is_name_byte(unsigned char byte)
{
	return is_name_start(byte) || (byte >= '0' && byte <= '9') || byte == '-' || byte == '.';
}

static enum xml_event move(struct xml *xml, enum xml_at at)
{
	xml->at = (uint8_t)at;
	return XML_FITS;
}

static enum xml_event close_element(struct xml *xml)
{
	if (xml->depth == 0)
		return XML_MISFIT;
	xml->at = AT_TEXT;
	xml->depth--;
	return XML_CLOSED;
}

static enum xml_event on_text(struct xml *xml, unsigned char byte)
{
	if (byte == '<')
		return move(xml, AT_MARKUP);
	return xml->depth >= 2 || is_space(byte) ? XML_FITS : XML_MISFIT;
}

static enum xml_event on_markup(struct xml *xml, unsigned char byte)
{
	if (byte == '/')
		return move(xml, AT_END_NAME);
	if (byte == '?')
		return move(xml, AT_INSTRUCTION);
	if (byte == '!')
		return move(xml, AT_BANG);
	xml->name = (struct probe_word){ 0 };
	probe_word_add(&xml->name, byte);
	xml->at = AT_NAME;
	return is_name_start(byte) ? XML_FITS : XML_MISFIT;
}

/* Within a start tag, outside quotes. */
static enum xml_event on_attributes(struct xml *xml, unsigned char byte)
{
	switch (byte) {
	case '>':
		return move(xml, AT_TEXT);
	case '/':
		return move(xml, AT_SLASH);
	case '\'':
		return move(xml, AT_SINGLE_QUOTES);
	case '"':
		return move(xml, AT_DOUBLE_QUOTES);
	case '<':
		return XML_MISFIT;
	default:
		return move(xml, AT_ATTRIBUTES);
	}
}

/* The local name matters; streams differ in their prefixes. */
static enum xml_event on_name(struct xml *xml, unsigned char byte)
{
	if (byte == ':') {
		xml->name = (struct probe_word){ 0 };
		return XML_FITS;
	}
	if (is_name_byte(byte)) {
		probe_word_add(&xml->name, byte);
		return XML_FITS;
	}
	if (!is_space(byte) && byte != '>' && byte != '/')
		return XML_MISFIT;
	if (xml->name.size == 0 || xml->depth == XML_DEPTH_MAX)
		return XML_MISFIT;
	xml->depth++;
	(void)on_attributes(xml, byte); /* what ends a name always fits there */
	return XML_OPENED;
}

static enum xml_event on_quoted(struct xml *xml, unsigned char byte)
{
	if (byte == (xml->at == AT_SINGLE_QUOTES ? '\'' : '"'))
		xml->at = AT_ATTRIBUTES;
	return byte == '<' ? XML_MISFIT : XML_FITS;
}

static enum xml_event on_slash(struct xml *xml, unsigned char byte)
{
	return byte == '>' ? close_element(xml) : XML_MISFIT;
}

static enum xml_event on_end_name(struct xml *xml, unsigned char byte)
{
	if (byte == '>')
		return close_element(xml);
	return byte == ':' || is_name_byte(byte) || is_space(byte) ? XML_FITS : XML_MISFIT;
}

static enum xml_event on_instruction(struct xml *xml, unsigned char byte)
{
	if (xml->at == AT_INSTRUCTION_END && byte == '>')
		return move(xml, AT_TEXT);
	return move(xml, byte == '?' ? AT_INSTRUCTION_END : AT_INSTRUCTION);
}

/* A comment or CDATA; a document type is for no stream (RFC 6120 section 11.1). */
static enum xml_event on_bang(struct xml *xml, unsigned char byte)
{
	xml->name = (struct probe_word){ 0 };
	if (byte == '-')
		return move(xml, AT_COMMENT_BEGIN);
	if (byte == '[' && xml->depth >= 2)
		return move(xml, AT_CDATA_BEGIN);
	return XML_MISFIT;
}

static enum xml_event on_comment(struct xml *xml, unsigned char byte)
{
	switch (xml->at) {
	case AT_COMMENT_BEGIN:
		xml->at = AT_COMMENT;
		return byte == '-' ? XML_FITS : XML_MISFIT;
	case AT_COMMENT:
		return move(xml, byte == '-' ? AT_COMMENT_DASH : AT_COMMENT);
	case AT_COMMENT_DASH:
		return move(xml, byte == '-' ? AT_COMMENT_DASHES : AT_COMMENT);
	default: /* two dashes in a comment are its end */
		xml->at = AT_TEXT;
		return byte == '>' ? XML_FITS : XML_MISFIT;
	}
}

static enum xml_event on_cdata_begin(struct xml *xml, unsigned char byte)
{
	static const char begin[] = "CDATA[";
	if (byte != (unsigned char)begin[xml->name.size])
		return XML_MISFIT;
	probe_word_add(&xml->name, byte);
	return probe_word_is(&xml->name, begin) ? move(xml, AT_CDATA) : XML_FITS;
}

static enum xml_event on_cdata(struct xml *xml, unsigned char byte)
{
	if (byte == '>' && xml->at == AT_CDATA_BRACKETS)
		return move(xml, AT_TEXT);
	if (byte != ']')
		return move(xml, AT_CDATA);
	return move(xml, xml->at == AT_CDATA ? AT_CDATA_BRACKET : AT_CDATA_BRACKETS);
}

static on_byte *const states[] = {
	[AT_TEXT] = on_text,
	[AT_MARKUP] = on_markup,
	[AT_NAME] = on_name,
	[AT_ATTRIBUTES] = on_attributes,
	[AT_SINGLE_QUOTES] = on_quoted,
	[AT_DOUBLE_QUOTES] = on_quoted,
	[AT_SLASH] = on_slash,
	[AT_END_NAME] = on_end_name,
	[AT_INSTRUCTION] = on_instruction,
	[AT_INSTRUCTION_END] = on_instruction,
	[AT_BANG] = on_bang,
	[AT_COMMENT_BEGIN] = on_comment,
	[AT_COMMENT] = on_comment,
	[AT_COMMENT_DASH] = on_comment,
	[AT_COMMENT_DASHES] = on_comment,
	[AT_CDATA_BEGIN] = on_cdata_begin,
	[AT_CDATA] = on_cdata,
	[AT_CDATA_BRACKET] = on_cdata,
	[AT_CDATA_BRACKETS] = on_cdata,
};
static_assert(sizeof states / sizeof *states == XML_STATES, "a function for each state");

/* Control bytes are in no XML; TLS begins with one. */
enum xml_event xml_follow(struct xml *xml, unsigned char byte)
{
	if (byte < ' ' && !is_space(byte))
		return XML_MISFIT;
	return states[xml->at](xml, byte);
}

bool xml_is_between(const struct xml *xml)
{
	return xml->depth == 1 && xml->at == AT_TEXT;
}
