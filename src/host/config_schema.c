#include <finback/io/buffers.h>

#include "config_reader.h"
#include "config_value.h"

/*
 * Every key of the contract, as tables: what is read, into where, within which limits. A key
 * without a reader is one that a later version will read; giving it a reader turns it on. The order
 * is that of the documentation, and of the lists in error messages.
 */

#define LATER(key)            \
	{                     \
		.name = (key) \
	}
#define APART(key)                                       \
	{                                                \
		.name = (key), .read = config_read_apart \
	}
#define INTO(type, member) .offset = offsetof(struct type, member)
#define WORD(type, member, table) \
	INTO(type, member), .size = sizeof(((struct type *)NULL)->member), .words = &(table)
#define GROUP(keys)                                      \
	{                                                \
		(keys), sizeof(keys) / sizeof((keys)[0]) \
	}

static const char *level_word(unsigned value)
{
	return log_level_name((enum log_level)value);
}

static const char *sessions_word(unsigned value)
{
	return log_sessions_name((enum log_sessions)value);
}

static const char *format_word(unsigned value)
{
	return log_format_name((enum log_format)value);
}

static const char *balance_word(unsigned value)
{
	return balance_kind_name((enum balance_kind)value);
}

static const char *on_timeout_word(unsigned value)
{
	static const char *const words[] = { [false] = "reset", [true] = "close" };

	return words[value];
}

static const char *on_silence_word(unsigned value)
{
	static const char *const words[] = { [false] = "count", [true] = "end" };

	return words[value];
}

static const char *probe_word(unsigned value)
{
	return value == CONFIG_PROBE_OFF ? "off" : probe_protocol_name((enum probe_protocol)value);
}

static const char *const no_later[] = { NULL };
static const char *const balance_later[] = { "random_two", "source_hash", NULL };

static const struct config_words level_words = { level_word, LOG_LEVELS, no_later };
static const struct config_words sessions_words = { sessions_word, LOG_SESSIONS_CHOICES, no_later };
static const struct config_words format_words = { format_word, LOG_FORMATS, no_later };
static const struct config_words balance_words = { balance_word, BALANCE_KINDS, balance_later };
static const struct config_words on_timeout_words = { on_timeout_word, 2, no_later };
static const struct config_words on_silence_words = { on_silence_word, 2, no_later };
static const struct config_words probe_words = { probe_word, PROBE_PROTOCOLS + 1, no_later };

static const struct config_key log_keys[] = {
	{ "target", config_read_target, INTO(log_settings, target) },
	{ "level", config_read_word, WORD(log_settings, level, level_words) },
	{ "sessions", config_read_word, WORD(log_settings, sessions, sessions_words) },
	{ "every", config_read_duration_or_none, INTO(log_settings, every_us), .min = 1000000,
	  .max = CONFIG_DURATION_MAX_US },
	{ "format", config_read_word, WORD(log_settings, format, format_words) },
};
static const struct config_group log_group = GROUP(log_keys);

static const struct config_key control_keys[] = {
	{ "socket", config_read_control_socket, .offset = 0 },
	{ "http", config_read_control_http, .offset = 0 },
	{ "mode", config_read_control_mode, .offset = 0 },
	{ "owner", config_read_control_owner, .offset = 0 },
};
static const struct config_group control_group = GROUP(control_keys);

#define SPIN_MOST_US 10000

static const struct config_key root_keys[] = {
	{ "workers", config_read_integer, INTO(config, workers), .max = 1024 },
	{ "max_sessions", config_read_integer, INTO(config, max_sessions), .max = 10000000 },
	{ "drain", config_read_duration, INTO(config, drain_us), .max = CONFIG_DURATION_MAX_US },
	{ "spin", config_read_duration, INTO(config, spin_us), .max = SPIN_MOST_US },
	{ "log", config_read_subgroup, INTO(config, log), .group = &log_group },
	{ "control", config_read_subgroup, INTO(config, control), .group = &control_group },
	APART("defaults"),
	APART("pools"),
	APART("listeners"),
};
const struct config_group config_root_group = GROUP(root_keys);

static const struct config_key server_keys[] = {
	APART("address"),
	{ "weight", config_read_integer, INTO(config_server_draft, weight), .min = 1,
	  .max = BALANCE_WEIGHT_MAX },
	{ "backup", config_read_boolean, INTO(config_server_draft, is_backup) },
	{ "name", config_read_name, INTO(config_server_draft, name) },
	LATER("max_sessions"),
};
const struct config_group config_server_group = GROUP(server_keys);

static const struct config_key pool_keys[] = {
	{ "name", config_read_name, INTO(config_pool, name) },
	{ "balance", config_read_word, WORD(config_pool, balance.kind, balance_words) },
	APART("servers"),
	LATER("health"),
	LATER("fail_after"),
	LATER("retry_after"),
	LATER("slow_start"),
	LATER("queue"),
	LATER("queue_timeout"),
	LATER("on_down"),
	LATER("resolve"),
};
const struct config_group config_pool_group = GROUP(pool_keys);

#define TIMEOUT(deadline) \
	config_read_duration, INTO(policy, timeouts_us[deadline]), .max = CONFIG_DURATION_MAX_US

static const struct config_key timeout_keys[] = {
	{ "connect", TIMEOUT(DEADLINE_CONNECT) },
	{ "first_byte", TIMEOUT(DEADLINE_FIRST_BYTE) },
	{ "idle", TIMEOUT(DEADLINE_IDLE) },
	{ "half_closed", TIMEOUT(DEADLINE_HALF_CLOSED) },
	{ "half_closed_max", TIMEOUT(DEADLINE_HALF_CLOSED_MAX) },
	{ "stall", TIMEOUT(DEADLINE_STALL) },
	{ "session", TIMEOUT(DEADLINE_SESSION) },
	{ "linger", TIMEOUT(DEADLINE_LINGER) },
	{ "idle_spares_alive", config_read_boolean, INTO(policy, is_sparing_alive) },
};
static const struct config_group timeout_group = GROUP(timeout_keys);

#define SECONDS .min = 1, .max = LIVENESS_SECONDS_MAX, .unit_us = 1000000

static const struct config_key keepalive_keys[] = {
	{ "idle", config_read_whole, INTO(keepalive, idle_s), SECONDS },
	{ "interval", config_read_whole, INTO(keepalive, interval_s), SECONDS },
	{ "count", config_read_integer, INTO(keepalive, count), .min = 1,
	  .max = LIVENESS_COUNT_MAX },
	{ "user_timeout", config_read_whole, INTO(keepalive, user_timeout_ms), .max = INT32_MAX,
	  .unit_us = 1000 },
};
const struct config_group config_keepalive_group = GROUP(keepalive_keys);

#define PROBE_LEAST_US 100000

static const struct config_key probe_keys[] = {
	{ "protocol", config_read_word, WORD(config_probe_draft, protocol, probe_words) },
	{ "interval", config_read_duration, INTO(config_probe_draft, interval_us),
	  .min = PROBE_LEAST_US, .max = CONFIG_DURATION_MAX_US },
	{ "answer", config_read_duration, INTO(config_probe_draft, answer_us),
	  .min = PROBE_LEAST_US, .max = CONFIG_DURATION_MAX_US },
	{ "on_silence", config_read_word,
	  WORD(config_probe_draft, ends_session, on_silence_words) },
	{ "send", config_read_message, INTO(config_probe_draft, send) },
	{ "expect", config_read_message, INTO(config_probe_draft, expect) },
};
const struct config_group config_probe_group = GROUP(probe_keys);

/* Into the listener, as dead_after is a matter of its policy. */
#define KEEPALIVE(which) config_read_keepalive, INTO(config_listener, sides[which].keepalive)
#define DEAD_AFTER(which)                                                                 \
	config_read_duration_or_none, INTO(config_listener, policy.dead_after_us[which]), \
		.min = LIVENESS_LEAST_US, .max = LIVENESS_MOST_US
#define PROBE(which) config_read_probe, INTO(config_listener, sides[which]), .side = (which)

static const struct config_key client_keys[] = {
	{ "keepalive", KEEPALIVE(CLIENT) },
	{ "dead_after", DEAD_AFTER(CLIENT) },
	{ "probe", PROBE(CLIENT) },
	LATER("link"),
	LATER("proxy_protocol"),
};
static const struct config_group client_group = GROUP(client_keys);

static const struct config_key server_side_keys[] = {
	{ "keepalive", KEEPALIVE(SERVER) },
	{ "dead_after", DEAD_AFTER(SERVER) },
	{ "probe", PROBE(SERVER) },
	LATER("link"),
	LATER("proxy_protocol"),
	{ "source", config_read_outgoing, INTO(config_listener, sides[SERVER]) },
};
static const struct config_group server_side_group = GROUP(server_side_keys);

#define LIMIT(member) config_read_integer, INTO(config_listener, member), .max = 10000000

static const struct config_key listener_keys[] = {
	{ "name", config_read_name, INTO(config_listener, name), .is_of_one = true },
	{ "listen", config_read_apart, .is_of_one = true },
	{ "pool", config_read_apart, .is_of_one = true },
	{ "servers", config_read_apart, .is_of_one = true },
	{ "timeouts", config_read_subgroup, INTO(config_listener, policy),
	  .group = &timeout_group },
	{ "on_timeout", config_read_word,
	  WORD(config_listener, policy.is_closed_on_timeout, on_timeout_words) },
	{ "buffer", config_read_size, INTO(config_listener, policy.buffer_bytes), .min = 1024,
	  .max = 64 * 1024 * 1024 },
	{ "buffer_cap", config_read_cap, INTO(config_listener, buffer_cap), .min = BUFFERS_LEAST,
	  .max = BUFFERS_MOST },
	{ "client", config_read_subgroup, .group = &client_group },
	{ "server", config_read_subgroup, .group = &server_side_group },
	{ "max_sessions", LIMIT(max_sessions) },
	{ "max_half_closed", LIMIT(max_half_closed) },
	{ "max_embryonic", LIMIT(max_embryonic) },
	{ "backlog", config_read_integer, INTO(config_listener, backlog), .min = 1, .max = 65535 },
	{ "mode", config_read_mode, .offset = 0 },
	{ "owner", config_read_owner, .offset = 0 },
	LATER("max_per_client"),
	LATER("accept_rate"),
	LATER("accept_rate_per_client"),
	LATER("allow"),
	LATER("deny"),
	LATER("trusted_proxies"),
	LATER("fast_open"),
	LATER("defer_accept"),
	LATER("congestion"),
	LATER("mark"),
	LATER("dscp"),
	LATER("fault"),
};
const struct config_group config_listener_group = GROUP(listener_keys);
