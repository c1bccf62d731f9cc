/*
 * engine/probe_xmpp and engine/probe_xml: a session of slixmpp with prosody in every cut; where a
 * space may go, and what turns it off.
 */
#include "probe_harness.h"

static const struct probe_settings settings = { .protocol = PROBE_XMPP };

/* prosody 0.12: SCRAM, binding, stream management. */
static const struct run from_prosody[] = {
	FROM_CLIENT(
		"<stream:stream to='example.org' xmlns:stream='http://etherx.jabber.org/streams' "
		"xmlns='jabber:client' xml:lang='en' version='1.0'>"),
	FROM_SERVER("<?xml version='1.0'?>"
		    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
		    "id='8b7f5da1-0695-44e2-8f1c-499a733c55c4' xmlns='jabber:client' "
		    "from='example.org' version='1.0' xml:lang='en'>"
		    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
		    "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
		    "<mechanism>SCRAM-SHA-256</mechanism></mechanisms>"
		    "<register xmlns='http://jabber.org/features/iq-register'/>"
		    "</stream:features>"),
	FROM_CLIENT("<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" "
		    "mechanism=\"SCRAM-SHA-256\">biwsbj1hbm4scj0wNzI3ODkyMTQwNjI4MjgwMQ==</auth>"),
	FROM_SERVER("<challenge "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
		    "cj0wNzI3ODkyMTQwNjI4MjgwMTdiOGExNDQwLTIzODUtNDIzZi1iZDMyLWY1MWYxYjkzYjkxNyxzPU"
		    "9EazJaakEyWmpZdE5qWmpOeTAwT1dJMkxUa3lNMk10WWpSaE4yUXhPVE0wWW1SbCxpPTEwMDAw</"
		    "challenge>"),
	FROM_CLIENT(
		"<response "
		"xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">"
		"Yz1iaXdzLHI9MDcyNzg5MjE0MDYyODI4MDE3YjhhMTQ0MC0yMzg1LTQyM2YtYmQzMi1mNTFmMWI5M2I5MT"
		"cscD1JWTN5aXBxdXZERVgvbzNtV2pORTJldy83bmZ1enJqOXp1dnNLZ2FxTm5BPQ==</response>"),
	FROM_SERVER("<success "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
		    "dj00SU9GT0ZiVWE0SkQ5M1hYOE1ZYkxmbW9GUTI1K3o1SVY2YjdjcnBRaDNZPQ==</success>"),
	FROM_CLIENT(
		"<stream:stream to='example.org' xmlns:stream='http://etherx.jabber.org/streams' "
		"xmlns='jabber:client' xml:lang='en' version='1.0'>"),
	FROM_SERVER("<?xml version='1.0'?>"
		    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
		    "id='c5229f22-986b-4997-aae8-57a6f9b083cc' xmlns='jabber:client' "
		    "from='example.org' version='1.0' xml:lang='en'>"
		    "<stream:features><sm xmlns='urn:xmpp:sm:2'><optional/></sm>"
		    "<sm xmlns='urn:xmpp:sm:3'><optional/></sm>"
		    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><required/></bind>"
		    "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/>"
		    "</session><sub xmlns='urn:xmpp:features:pre-approval'/>"
		    "<ver xmlns='urn:xmpp:features:rosterver'/>"
		    "<c xmlns='http://jabber.org/protocol/caps' ver='KjDRwWDjaXBb2lmR6bk5s54vuAE=' "
		    "hash='sha-1' node='http://prosody.im'/>"
		    "</stream:features>"),
	FROM_CLIENT("<iq id=\"bfed71c9279f406f8a441ff5136a4946\" type=\"set\">"
		    "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">"
		    "<resource>desk</resource></bind></iq>"),
	FROM_SERVER("<iq id='bfed71c9279f406f8a441ff5136a4946' type='result'>"
		    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
		    "<jid>ann@example.org/desk</jid></bind></iq>"),
	FROM_CLIENT("<enable xmlns=\"urn:xmpp:sm:3\" resume=\"true\" />"
		    "<presence id=\"5b196c5d94fa43ecac43c895ddd4ab9f\" xml:lang=\"en\" />"
		    "<iq id=\"37460ab47d8248fd95a7d2f480f65831\" type=\"get\">"
		    "<query xmlns=\"jabber:iq:roster\" ver=\"\" /></iq>"),
	FROM_SERVER(
		"<enabled xmlns='urn:xmpp:sm:3' id='n9uRnHD074yB' resume='true' max='600'/>"
		"<presence from='ann@example.org/desk' id='5b196c5d94fa43ecac43c895ddd4ab9f' "
		"xml:lang='en'/>"
		"<iq to='ann@example.org/desk' type='result' id='37460ab47d8248fd95a7d2f480f65831'>"
		"<query xmlns='jabber:iq:roster' ver='1'/></iq>"
		"<r xmlns='urn:xmpp:sm:3'/>"),
	FROM_CLIENT("<a xmlns=\"urn:xmpp:sm:3\" h=\"2\" />"
		    "<message type=\"chat\" to=\"ann@example.org/desk\" "
		    "id=\"efd3d41e6c234d75b0605e126936d5f0\" xml:lang=\"en\">"
		    "<body>a &lt;b&gt; &amp; &quot;c&quot; &gt; &apos; ]]&gt;</body>"
		    "</message>"),
	FROM_SERVER("<message to='ann@example.org/desk' from='ann@example.org/desk' type='chat' "
		    "id='efd3d41e6c234d75b0605e126936d5f0' xml:lang='en'>"
		    "<body>a &lt;b&gt; &amp; &quot;c&quot; &gt; &apos; ]]&gt;</body>"
		    "</message><r xmlns='urn:xmpp:sm:3'/>"),
	FROM_CLIENT("<a xmlns=\"urn:xmpp:sm:3\" h=\"3\" />"
		    "<iq id=\"2cf2841becdf4870b296033f2598e528\" type=\"get\" to=\"example.org\">"
		    "<ping xmlns=\"urn:xmpp:ping\" /></iq>"),
	FROM_SERVER("<iq type='result' to='ann@example.org/desk' "
		    "id='2cf2841becdf4870b296033f2598e528' from='example.org'/>"
		    "<r xmlns='urn:xmpp:sm:3'/>"),
	FROM_CLIENT("<a xmlns=\"urn:xmpp:sm:3\" h=\"4\" /></stream:stream>"),
	FROM_SERVER("<a xmlns='urn:xmpp:sm:3' h='4'/></stream:stream>"),
};

#define HEADER                                                                        \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.org' " \
	"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
#define FEATURES \
	"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
#define AUTH    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
#define BIND    "<iq id='1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
#define BOUND                                                           \
	"<iq id='1' type='result'><bind xmlns='urn:ietf:params:xml:ns:" \
	"xmpp-bind'><jid>ann@example.org/1</jid></bind></iq>"

/* What XML may hide, other prefixes, an empty result, and white space of the peers' own. */
static const struct run by_hand[] = {
	FROM_CLIENT(HEADER),
	FROM_SERVER(HEADER FEATURES),
	FROM_CLIENT(AUTH),
	FROM_SERVER(SUCCESS),
	FROM_CLIENT("\n<s:stream\n\tto = \"example.org\" "
		    "xmlns:s='http://etherx.jabber.org/streams' >\n"),
	FROM_SERVER(HEADER FEATURES),
	FROM_CLIENT(BIND),
	FROM_SERVER("<iq id='1' type='error'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
		    "<resource>x</resource></bind><error type='modify'/></iq>"),
	FROM_CLIENT(BIND),
	FROM_SERVER(BOUND),
	FROM_CLIENT(" <message to='b@example.org'><body>a &gt; b > c</body><x a='>/>' "
		    "b=\"'/>\"/></message>"),
	FROM_CLIENT("<message><!-- </message> <starttls/> - --><body><![CDATA[</message> ]]] ]>"
		    "]]]></body><!----></message >\r\n"),
	FROM_SERVER("<message><?pi > </message> ? >?><success/><stream/><starttls\n/></message>"
		    "<!-- between --><iq\n/>"),
	FROM_CLIENT("<h\xc3\xa9 "
		    "l\xc3\xb6='\xe2\x82\xac'>\xe2\x82\xac</h\xc3\xa9><r/"
		    "><a-long-name-of-an-element/>"),
	FROM_SERVER("\n</stream:stream>"),
	FROM_CLIENT("</s:stream>\n"),
};

static void recordings(void **state)
{
	const struct recording all[] = {
		{ &settings, CLIENT, RUNS(from_prosody), NULL, 0, 609 },
		{ &settings, SERVER, RUNS(from_prosody), NULL, 0, 720 },
		{ &settings, CLIENT, RUNS(by_hand), NULL, 0, 250 },
		{ &settings, SERVER, RUNS(by_hand), NULL, 0, 155 },
	};

	(void)state;
	check_recordings(ALL(all));
}

static void talk_bound(struct talk *talk, enum side target)
{
	talk_start(talk, &settings, target);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, HEADER);
	SAYS(talk, SERVER, HEADER FEATURES);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, AUTH);
	SAYS(talk, SERVER, SUCCESS);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, HEADER);
	SAYS(talk, SERVER, HEADER FEATURES);
	assert_false(talk_may(talk));
	SAYS(talk, CLIENT, BIND);
	assert_false(talk_may(talk));
	SAYS(talk, SERVER, BOUND);
	assert_true(talk_may(talk));
}

static void between_stanzas(void **state)
{
	static const char stanza[] =
		"<message><body a='1' b=\"\">a<i/>b</body><!-- a --></message>";
	struct talk talk;

	(void)state;
	for (enum side target = CLIENT; target < SIDES; target++) {
		enum side from = other(target);

		talk_bound(&talk, target);
		PROBES(&talk, " ");
		for (size_t i = 0; i < sizeof stanza - 1; i++) {
			talk_says(&talk, from, &stanza[i], 1);
			assert_int_equal(talk_may(&talk), i == sizeof stanza - 2);
		}
		SAYS(&talk, target, "<message>"); /* a matter of the other flow */
		PROBES(&talk, " ");
		talk_is_whole(&talk);
	}
}

static void a_session_that_is_resumed_is_bound(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, HEADER);
	SAYS(&talk, SERVER, HEADER);
	SAYS(&talk, CLIENT, AUTH);
	SAYS(&talk, SERVER, SUCCESS);
	SAYS(&talk, CLIENT, HEADER "<resume xmlns='urn:xmpp:sm:3' h='1' previd='2'/>");
	SAYS(&talk, SERVER, HEADER FEATURES);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "<resumed xmlns='urn:xmpp:sm:3' h='1' previd='2'/>");
	PROBES(&talk, " ");
	talk_is_whole(&talk);
}

static void success_has_children(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, HEADER AUTH);
	SAYS(&talk, SERVER, HEADER "<success><a/>b</success>");
	SAYS(&talk, CLIENT, HEADER BIND);
	SAYS(&talk, SERVER, HEADER BOUND);
	PROBES(&talk, " ");
	talk_is_whole(&talk);
}

/* What a client says of a binding, or somebody in a message, binds nothing. */
static void not_bound_by_others(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, HEADER BOUND "<resumed/>");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, HEADER "<message>" BOUND "<bind><jid/></bind><resumed/></message>");
	SAYS(&talk, SERVER, "<iq><x><bind><jid/></bind></x><bind><x><jid/></x></bind><jid/></iq>");
	SAYS(&talk, SERVER, "<iq><x><jid/><jid/></x></iq><message><bind><jid/></bind></message>");
	SAYS(&talk, SERVER, "<bind><jid/></bind><iq/><bind><jid/></bind><!--<resumed/>-->");
	assert_false(talk_may(&talk));
	assert_false(talk_is_off(&talk));
	SAYS(&talk, SERVER, BOUND);
	assert_true(talk_may(&talk));
}

static void bound_to_client(struct talk *talk)
{
	talk_bound(talk, CLIENT);
}

static void not_after_an_end(void **state)
{
	struct talk talk;

	(void)state;
	check_not_after_an_end(bound_to_client);
	for (enum side from = CLIENT; from < SIDES; from++) {
		bound_to_client(&talk);
		SAYS(&talk, from, "</stream:stream>");
		assert_false(talk_may(&talk));
		assert_false(talk_is_off(&talk));
		talk_is_whole(&talk);
	}
}

static void off(void **state)
{
	static const struct misfit misfits[] = {
		{ bound_to_client,
		  FROM_CLIENT("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") },
		{ bound_to_client, FROM_CLIENT("<tls:starttls>") },
		{ bound_to_client, FROM_SERVER("<proceed/>") },
		{ bound_to_client, FROM_CLIENT("<compress>") },
		{ bound_to_client, FROM_SERVER("<compressed>") },
		{ bound_to_client, FROM_CLIENT("<authenticate xmlns='urn:xmpp:sasl:2'>") },
		{ bound_to_client, FROM_CLIENT(HEADER) }, /* without success */
		{ bound_to_client, FROM_SERVER(SUCCESS) },
		{ bound_to_client, FROM_CLIENT("text") },
		{ bound_to_client, FROM_CLIENT("<![CDATA[text]]>") },
		{ bound_to_client, FROM_CLIENT("<!DOCTYPE a>") },
		{ bound_to_client, FROM_CLIENT("\x16\x03\x01") }, /* TLS */
		{ bound_to_client, FROM_CLIENT("<a>\x01") },
		{ bound_to_client, FROM_CLIENT("<a b='<'/>") },
		{ bound_to_client, FROM_CLIENT("<a <b/>") },
		{ bound_to_client, FROM_CLIENT("<a / >") },
		{ bound_to_client, FROM_CLIENT("< a>") },
		{ bound_to_client, FROM_CLIENT("<a:>") },
		{ bound_to_client, FROM_CLIENT("<a=''>") },
		{ bound_to_client, FROM_CLIENT("<!-- -- -->") },
		{ bound_to_client, FROM_CLIENT("<a><![cdata[") },
		{ bound_to_client, FROM_CLIENT("</stream:stream></stream:stream>") },
		{ bound_to_client, FROM_CLIENT("</stream:stream><iq>") },
	};

	(void)state;
	check_misfits(ALL(misfits));
}

static void off_before_the_session(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, "GET / HTTP/1.1\r\n");
	assert_true(talk_is_off(&talk));
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, CLIENT, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
	assert_true(talk_is_off(&talk));
	/* A header that did not wait for success cannot be told from one that did. */
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, SERVER, HEADER FEATURES);
	SAYS(&talk, CLIENT, HEADER AUTH "<iq>");
	SAYS(&talk, SERVER, SUCCESS);
	assert_true(talk_is_off(&talk));
}

static void too_deep(void **state)
{
	struct talk talk;

	(void)state;
	talk_bound(&talk, SERVER);
	for (int depth = 2; depth <= 200; depth++)
		SAYS(&talk, CLIENT, "<a>");
	assert_false(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "<a>");
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recordings),
		cmocka_unit_test(between_stanzas),
		cmocka_unit_test(a_session_that_is_resumed_is_bound),
		cmocka_unit_test(success_has_children),
		cmocka_unit_test(not_bound_by_others),
		cmocka_unit_test(not_after_an_end),
		cmocka_unit_test(off),
		cmocka_unit_test(off_before_the_session),
		cmocka_unit_test(too_deep),
	};

	return cmocka_run_group_tests_name("probe_xmpp", tests, NULL, NULL);
}
