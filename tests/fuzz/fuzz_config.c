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
