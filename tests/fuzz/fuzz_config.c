/*
 * libFuzzer over host/config: any text becomes a configuration that keeps its promises, or errors
 * that name the file. No name is looked up and no file is included: the fuzzer's inputs must not
 * reach a name server, nor depend on this machine.
 */
#include <finback/host/config.h>

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of the C library's. */
int getaddrinfo(const char *restrict node, const char *restrict service,
		const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)ret;
	return EAI_NONAME;
}

static void require(int holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void check_pool(const struct config_pool *pool)
{
	require(pool->name != NULL, "a pool without a name");
	require(pool->balance.count >= 1 && pool->balance.count <= BALANCE_SERVERS_MAX,
		"a pool without servers, or with too many");
	for (size_t i = 0; i < pool->balance.count; i++)
		require(pool->servers[i].name != NULL && pool->servers[i].address_count >= 1,
			"a server without a name or an address");
}

static void check_line(const unsigned char *line, size_t size)
{
	require(size <= PROBE_MESSAGE_MAX && (size == 0 || line[size - 1] == '\n'),
		"a probe's line that is too long, or not whole");
}

static void check_probe(const struct probe_settings *probe, enum side target)
{
	require(probe->protocol < PROBE_PROTOCOLS &&
			probe_protocol_goes_to(probe->protocol, target),
		"a probe that cannot go there");
	require(probe->interval_us >= 100000, "probes without a pause");
	require(probe->answer_us == 0 || probe_protocol_answers(probe->protocol),
		"an answer that never comes");
	require(probe->answer_us > 0 || !probe->ends_session, "an end without an answer");
	require((probe->send_size > 0) == (probe->protocol == PROBE_LINES),
		"a line of another protocol, or none");
	check_line(probe->send, probe->send_size);
	check_line(probe->expect, probe->expect_size);
}

static void check_side(const struct config_listener *listener, enum side side)
{
	const struct config_side *here = &listener->sides[side];
	const struct config_side *there = &listener->sides[other(side)];
	int64_t dead_after_us = listener->policy.dead_after_us[side];

	require(dead_after_us == 0 ||
			(dead_after_us >= LIVENESS_LEAST_US && dead_after_us <= LIVENESS_MOST_US),
		"a dead_after out of range");
	require((listener->policy.alive_us[side] > 0) == here->keepalive.is_set,
		"known to be alive without keepalive, or not with it");
	if (!here->has_probe)
		return;
	check_probe(&here->probe, side);
	require(!there->has_probe || there->probe.protocol == here->probe.protocol,
		"probes of two protocols");
}

static void check_listener(const struct config_listener *listener)
{
	require(listener->name != NULL && listener->pool != NULL && listener->bind_count >= 1,
		"a listener without a name, a pool or an address");
	require(listener->policy.buffer_bytes >= 1024, "a buffer below its least size");
	require(listener->backlog >= 1, "no backlog");
	for (size_t i = 0; i < DEADLINES; i++)
		require(listener->policy.timeouts_us[i] >= 0, "a negative deadline");
	for (size_t i = 0; i < listener->bind_count; i++)
		require(listener->binds[i].systemd_name != NULL ||
				listener->binds[i].address_count >= 1,
			"nothing to listen on");
	check_side(listener, CLIENT);
	check_side(listener, SERVER);
	check_pool(listener->pool);
}

static void check_config(const struct config *config)
{
	require(config->listener_count >= 1, "no listener");
	require(config->workers <= 1024, "too many workers");
	for (size_t i = 0; i < config->listener_count; i++)
		check_listener(&config->listeners[i]);
	for (size_t i = 0; i < config->pool_count; i++)
		check_pool(&config->pools[i]);
}

static void check_problems(const struct config_problems *problems)
{
	for (size_t i = 0; i < problems->error_count; i++) {
		const char *line = problems->errors[i];

		require(strncmp(line, "f.conf:", 7) == 0 || strncmp(line, "and ", 4) == 0,
			"an error without its file");
		for (const char *c = line; *c != '\0'; c++)
			require((unsigned char)*c >= ' ', "a control character in an error");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX + 1];
	struct config *config = NULL;
	struct config_problems problems;
	int result;

	if (size > TEXT_MAX)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (strstr(text, "@include") != NULL)
		return 0;
	result = config_load_text(text, "f.conf", &config, &problems);
	require(result == 0 || result == -EINVAL, "neither good nor bad");
	require((result == 0) == (problems.error_count == 0), "errors and result disagree");
	require((result == 0) == (config != NULL), "configuration and result disagree");
	if (config != NULL)
		check_config(config);
	check_problems(&problems);
	config_problems_fini(&problems);
	config_unref(config);
	return 0;
}
