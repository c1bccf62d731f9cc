#include <assert.h>
#include <string.h>

#include "config_reader.h"
#include "config_value.h"

/*
 * The group `probe` of a side. It is read as a whole into a draft and takes the place of what was
 * inherited as a whole, since its keys mean nothing without its protocol. Which keys go with which
 * protocol the engine knows.
 */

#define INTERVAL_US     (INT64_C(60) * 1000000)
#define INTERVAL_LOW_US (INT64_C(10) * 1000000)
#define ANSWER_US       (INT64_C(30) * 1000000)
#define PROBE_HINT      "a group { protocol = \"redis\"; interval = \"60s\"; }"
#define LINE_HINT       "a line in quotes that ends with \\n, of 1 to 64 bytes"

static_assert(PROBE_MESSAGE_MAX == 64, "the hint says how long a line may be");

void config_read_message(struct config_reader *reader, const config_setting_t *setting,
			 const struct config_key *key, void *into)
{
	struct config_message *message = into;
	size_t size;

	(void)key;
	if (!config_is_string(reader, setting, LINE_HINT))
		return;
	size = strlen(setting->value.sval);
	if (size == 0 || size > PROBE_MESSAGE_MAX) {
		config_error(reader, setting, "%zu bytes; right is " LINE_HINT, size);
		return;
	}
	if (setting->value.sval[size - 1] != '\n') {
		config_error(reader, setting, "does not end its line; right is " LINE_HINT);
		return;
	}
	message->size = (uint8_t)size;
	memcpy(message->bytes, setting->value.sval, size);
}

static bool has(const config_setting_t *setting, const char *key)
{
	return config_setting_get_member(setting, key) != NULL;
}

/* An error at each of the keys that are there, up to a NULL. */
static void refuse_keys(struct config_reader *reader, const config_setting_t *setting,
			const char *const *keys, const char *why)
{
	for (; *keys != NULL; keys++)
		if (has(setting, *keys))
			config_error(reader, config_setting_get_member(setting, *keys), "%s", why);
}

static void check_off(struct config_reader *reader, const config_setting_t *setting)
{
	static const char *const others[] = { "interval", "answer", "on_silence",
					      "send",     "expect", NULL };

	refuse_keys(reader, setting, others, "goes with a protocol, not with \"off\"; remove it");
}

static void check_lines(struct config_reader *reader, const config_setting_t *setting,
			enum probe_protocol protocol)
{
	static const char *const lines[] = { "send", "expect", NULL };

	if (protocol != PROBE_LINES)
		refuse_keys(reader, setting, lines,
			    "goes with protocol = \"lines\" alone; remove it");
	else if (!has(setting, "send"))
		config_missing(reader, setting, "send", "right is " LINE_HINT);
}

/* `answer` and on_silence = "end" are about an answer. */
static void check_answer(struct config_reader *reader, const config_setting_t *setting,
			 const struct config_probe_draft *draft)
{
	bool is_lines = draft->protocol == PROBE_LINES;
	const char *remedy = is_lines ? "add expect, or remove it" : "remove it";
	const char *what = is_lines ? " without expect" : "";

	if (has(setting, "answer"))
		config_error(reader, config_setting_get_member(setting, "answer"),
			     "\"%s\" has no answer%s; %s",
			     probe_protocol_name((enum probe_protocol)draft->protocol), what,
			     remedy);
	if (draft->ends_session)
		config_error(reader, config_setting_get_member(setting, "on_silence"),
			     "\"end\" is for probes with an answer, and \"%s\" has none%s; %s",
			     probe_protocol_name((enum probe_protocol)draft->protocol), what,
			     remedy);
}

/* Whether an answer is waited for. Behind a syntax error `expect` may follow. */
static bool is_answered(const struct config_reader *reader, const config_setting_t *setting,
			enum probe_protocol protocol)
{
	return probe_protocol_answers(protocol) &&
	       (protocol != PROBE_LINES || has(setting, "expect") || reader->is_partial);
}

static void take(struct config_side *side, const struct config_probe_draft *draft, bool is_answered)
{
	struct probe_settings *probe = &side->probe;

	side->has_probe = true;
	*probe = (struct probe_settings){
		.protocol = (enum probe_protocol)draft->protocol,
		.interval_us = draft->interval_us,
		.ends_session = draft->ends_session,
		.send_size = draft->send.size,
		.expect_size = draft->expect.size,
	};
	if (is_answered)
		probe->answer_us = draft->answer_us > 0 ? draft->answer_us : ANSWER_US;
	memcpy(probe->send, draft->send.bytes, sizeof(probe->send));
	memcpy(probe->expect, draft->expect.bytes, sizeof(probe->expect));
}

/* Warned of where it is written: in `defaults` once. */
static void check_interval(struct config_reader *reader, const config_setting_t *setting,
			   const struct config_probe_draft *draft)
{
	if (draft->interval_us < INTERVAL_LOW_US)
		config_warning(
			reader, config_setting_get_member(setting, "interval"),
			"a probe so often is a load for the peer; better is \"10s\" and more");
}

static void read_protocol(struct config_reader *reader, const config_setting_t *setting,
			  const struct config_probe_draft *draft, enum side target,
			  struct config_side *side)
{
	enum probe_protocol protocol = (enum probe_protocol)draft->protocol;

	check_lines(reader, setting, protocol);
	if (!probe_protocol_goes_to(protocol, target)) {
		config_error(reader, config_setting_get_member(setting, "protocol"),
			     "\"%s\" goes to the %s alone; right is %s = { probe = { ... }; }",
			     probe_protocol_name(protocol), side_name(other(target)),
			     side_name(other(target)));
		return;
	}
	if (!is_answered(reader, setting, protocol))
		check_answer(reader, setting, draft);
	check_interval(reader, setting, draft);
	take(side, draft, is_answered(reader, setting, protocol));
}

void config_read_probe(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_key *key, void *into)
{
	struct config_probe_draft draft = { .protocol = CONFIG_PROBE_UNSET,
					    .interval_us = INTERVAL_US };
	struct config_side *side = into;

	if (!config_is_group(reader, setting, PROBE_HINT))
		return;
	config_read_group(reader, setting, &config_probe_group, &draft);
	side->has_probe = false;
	if (!has(setting, "protocol"))
		config_missing(reader, setting, "protocol", "right is " PROBE_HINT);
	else if (draft.protocol == CONFIG_PROBE_OFF)
		check_off(reader, setting);
	else if (draft.protocol < CONFIG_PROBE_OFF)
		read_protocol(reader, setting, &draft, key->side, side);
}
