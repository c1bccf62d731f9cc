#include <string.h>

#include "config_reader.h"

/*
 * Whether the peers of a listener are alive: what dead_after and keepalive come to, and what needs
 * it. Keys are read one by one and inherited; only here are they seen together. Surprising: until a
 * listener is whole, its keepalive holds what was written, and what dead_after comes to is filled
 * in last, so that a keepalive is never written over a derived one.
 */

/* What cannot be. The side is the one that nothing is known of. */
enum fault {
	FAULT_SPARING_CLIENT,
	FAULT_SPARING_SERVER,
	FAULT_PROBED_PAST_CLIENT,
	FAULT_PROBED_PAST_SERVER,
	FAULT_PROTOCOLS
};

/* Where a listener's settings come from. */
struct scope {
	const config_setting_t *listener;
	const config_setting_t *defaults;
};

/* A key in a group of a listener's. */
struct path {
	const char *group;
	const char *key;
};

static const config_setting_t *find(const config_setting_t *setting, struct path path)
{
	const config_setting_t *group =
		setting == NULL ? NULL : config_setting_get_member(setting, path.group);

	return group == NULL ? NULL : config_setting_get_member(group, path.key);
}

void config_settle_liveness(struct config_reader *reader, const config_setting_t *setting,
			    struct config_listener *listener)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		const config_setting_t *keepalive =
			find(setting, (struct path){ side_name(side), "keepalive" });
		const config_setting_t *dead_after =
			find(setting, (struct path){ side_name(side), "dead_after" });

		if (keepalive != NULL && dead_after != NULL) {
			bool is_last =
				config_setting_index(keepalive) > config_setting_index(dead_after);

			config_error(reader, is_last ? keepalive : dead_after,
				     "there is a %s too; right is either keepalive or dead_after",
				     is_last ? "dead_after" : "keepalive");
		}
		if (keepalive != NULL)
			listener->policy.dead_after_us[side] = 0;
		else if (dead_after != NULL)
			listener->sides[side].keepalive.is_set = false;
	}
}

static void derive(struct config_listener *listener, enum side side)
{
	struct keepalive *keepalive = &listener->sides[side].keepalive;
	int64_t within_us = listener->policy.dead_after_us[side];

	if (within_us > 0)
		*keepalive = liveness_within(within_us);
	else if (keepalive->is_set)
		within_us =
			(keepalive->idle_s + (int64_t)keepalive->interval_s * keepalive->count) *
			1000000;
	listener->policy.alive_us[side] = within_us;
}

static bool is_tcp(const char *text)
{
	return text != NULL && strncmp(text, "unix:", 5) != 0;
}

/* A passed socket may be one. The other end of a UNIX socket cannot vanish without a word. */
static bool can_be_tcp(const struct config_listener *listener, enum side side)
{
	const struct config_pool *pool = listener->pool;

	for (size_t i = 0; side == CLIENT && i < listener->bind_count; i++)
		if (is_tcp(listener->binds[i].text))
			return true;
	for (size_t i = 0; side == SERVER && pool != NULL && i < pool->balance.count; i++)
		if (is_tcp(pool->servers[i].text))
			return true;
	return false;
}

/* The setting that a fault is told at, of the two that it comes from: the first one or else the
 * second of the listener itself, or else the first of `defaults`. NULL: it has been told. */
static const config_setting_t *place_of(struct config_reader *reader, const struct scope *scope,
					enum fault fault, const struct path paths[2])
{
	const config_setting_t *setting = find(scope->listener, paths[0]);

	if (setting == NULL)
		setting = find(scope->listener, paths[1]);
	if (setting != NULL || (reader->faults_told >> fault & 1) != 0)
		return setting;
	reader->faults_told |= 1U << fault;
	return find(scope->defaults, paths[0]);
}

static void require_alive(struct config_reader *reader, const struct scope *scope,
			  const struct config_listener *listener, enum fault fault, enum side side)
{
	bool is_probe = fault >= FAULT_PROBED_PAST_CLIENT;
	const struct path paths[2] = {
		is_probe ? (struct path){ side_name(other(side)), "probe" }
			 : (struct path){ "timeouts", "idle_spares_alive" },
		{ side_name(side), "dead_after" },
	};
	const config_setting_t *place;

	if (listener->policy.alive_us[side] > 0 || !can_be_tcp(listener, side))
		return;
	place = place_of(reader, scope, fault, paths);
	if (place != NULL)
		config_error(reader, place,
			     "%s.%s needs to know whether the %s is alive, and %s.dead_after is "
			     "\"0\"; right is \"3s\" to \"1d\" there",
			     paths[0].group, paths[0].key, side_name(side), side_name(side));
}

static void check_protocols(struct config_reader *reader, const struct scope *scope,
			    const struct config_listener *listener)
{
	static const struct path paths[2] = { { "server", "probe" }, { "client", "probe" } };
	enum probe_protocol client = listener->sides[CLIENT].probe.protocol;
	enum probe_protocol server = listener->sides[SERVER].probe.protocol;
	const config_setting_t *place;

	if (client == server)
		return;
	place = place_of(reader, scope, FAULT_PROTOCOLS, paths);
	if (place != NULL)
		config_error(reader, place,
			     "probes in \"%s\" to the client and in \"%s\" to the server; right is "
			     "one protocol, as a session speaks one",
			     probe_protocol_name(client), probe_protocol_name(server));
}

/* What decides may stand behind a syntax error, and is not missed then. */
void config_finish_liveness(struct config_reader *reader, const config_setting_t *defaults,
			    const config_setting_t *setting, struct config_listener *listener)
{
	const struct scope scope = { setting, defaults };

	for (enum side side = CLIENT; side < SIDES; side++)
		derive(listener, side);
	if (reader->is_partial)
		return;
	for (enum side side = CLIENT; side < SIDES; side++) {
		if (listener->policy.is_sparing_alive)
			require_alive(reader, &scope, listener, FAULT_SPARING_CLIENT + side, side);
		if (listener->sides[other(side)].has_probe)
			require_alive(reader, &scope, listener, FAULT_PROBED_PAST_CLIENT + side,
				      side);
	}
	if (listener->sides[CLIENT].has_probe && listener->sides[SERVER].has_probe)
		check_protocols(reader, &scope, listener);
}
