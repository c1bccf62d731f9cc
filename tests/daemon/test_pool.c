/*
 * daemon/pool over real sockets: which server and address comes next, what a failure leads to, and
 * that each server's load counts a session exactly while it is its own.
 */
#include <finback/daemon/pool.h>

#include <pthread.h>
#include <sys/resource.h>

#include "../io/peers.h"

/* What a server of the test is. */
enum kind {
	LISTENS,
	REFUSES,
	MISSING,  /* a UNIX path where nothing is */
	IS_BUSY,  /* a UNIX server with a full backlog */
	NO_ROUTE, /* fails at once, inside connect(2) */
	KINDS
};

#define SERVERS_MAX   8
#define ADDRESSES_MAX 4

struct site {
	struct config_server servers[SERVERS_MAX];
	struct address addresses[SERVERS_MAX][ADDRESSES_MAX];
	int fds[SERVERS_MAX][ADDRESSES_MAX];
	int fillers[SERVERS_MAX][ADDRESSES_MAX]; /* the connections that fill a backlog */
	struct config_pool config;
	struct pool_load loads[SERVERS_MAX];
	_Atomic uint64_t turn;
	struct pool pool;
	struct pool_origin origin;
	size_t count;
};

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/finback-pool-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void make_server(struct site *site, size_t server, size_t index, enum kind kind)
{
	struct address *address = &site->addresses[server][index];
	int *fd = &site->fds[server][index];
	int *filler = &site->fillers[server][index];
	char name[32];

	(void)snprintf(name, sizeof name, "%zu-%zu", server, index);
	*address = kind == MISSING || kind == IS_BUSY ? unix_path(folder, name) : loopback();
	*fd = *filler = -1;
	switch (kind) {
	case LISTENS:
		*fd = peer_listening(address, 1024);
		break;
	case REFUSES:
		*fd = peer_bound(address);
		break;
	case IS_BUSY:
		*fd = peer_listening(address, 0);
		*filler = peer_connected(address);
		break;
	case NO_ROUTE: /* a broadcast address has no stream */
		address->v4.sin_addr.s_addr = INADDR_BROADCAST;
		address->v4.sin_port = htons(9);
		break;
	default:
		break;
	}
	if (kind == LISTENS || kind == REFUSES)
		*address = address_of(*fd);
}

/* Servers of one address each, all of weight 1. */
static void open_site(struct site *site, enum balance_kind kind, const enum kind *kinds,
		      size_t count)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
	struct balance_server weights[SERVERS_MAX];

	memset(site, 0, sizeof *site);
	site->count = count;
	for (size_t i = 0; i < count; i++) {
		make_server(site, i, 0, kinds[i]);
		weights[i] = (struct balance_server){ .weight = 1 };
		site->servers[i] = (struct config_server){ .name = names[i],
							   .text = names[i],
							   .addresses = site->addresses[i],
							   .address_count = 1 };
		site->loads[i].name = names[i];
		site->pool.loads[i] = &site->loads[i];
	}
	site->config.name = "site";
	site->config.servers = site->servers;
	assert_int_equal(balance_init(&site->config.balance, kind, weights, count), 0);
	site->pool.config = &site->config;
	site->pool.name = "site";
	site->pool.turn = &site->turn;
}

#define OPEN(site, ...)                                                                    \
	do {                                                                               \
		const enum kind kinds[] = { __VA_ARGS__ };                                 \
		open_site(site, BALANCE_ROUND_ROBIN, kinds, sizeof kinds / sizeof *kinds); \
	} while (0)

static void add_address(struct site *site, size_t server, enum kind kind)
{
	make_server(site, server, site->servers[server].address_count++, kind);
}

/* No session may be left. */
static void close_site(struct site *site)
{
	for (size_t i = 0; i < site->count; i++) {
		assert_int_equal(atomic_load(&site->loads[i].sessions), 0);
		for (size_t j = 0; j < site->servers[i].address_count; j++) {
			sock_close(site->fds[i][j]);
			sock_close(site->fillers[i][j]);
			if (site->addresses[i][j].any.sa_family == AF_UNIX)
				(void)unlink(site->addresses[i][j].un.sun_path);
		}
	}
	balance_fini(&site->config.balance);
}

static void expect_loads(const struct site *site, const char *loads)
{
	char text[SERVERS_MAX + 1] = "";

	for (size_t i = 0; i < site->count; i++)
		text[i] = (char)('0' + atomic_load(&site->loads[i].sessions));
	assert_string_equal(text, loads);
}

/* How often attempts to connect to a server had this result. */
static uint64_t results_of(const struct site *site, size_t server, enum pool_result result)
{
	return atomic_load(&site->loads[server].connects[result]);
}

/* "ok=1 refused=2" of one server; results that never came are left out. */
static void expect_results(const struct site *site, size_t server, const char *expected)
{
	char text[128] = "";
	size_t used = 0;

	for (enum pool_result i = 0; i < POOL_RESULTS; i++)
		if (results_of(site, server, i) > 0)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%d",
						 used > 0 ? " " : "", pool_result_name(i),
						 (int)results_of(site, server, i));
	assert_string_equal(text, expected);
}

static void set_state(struct site *site, size_t server, enum pool_state state)
{
	atomic_store(&site->loads[server].state, state);
}

/* ---- one attempt ------------------------------------------------------------------------------
 */

/* Waits until the connection under way is there, or has failed: 0 or -errno. */
static int settle(int *fd)
{
	int error;

	assert_true(wait_for(*fd, POLLOUT, PATIENCE_MS) != 0);
	error = sock_take_error(*fd);
	if (error < 0) {
		sock_close(*fd);
		*fd = -1;
	}
	return error;
}

/* What a session does: tries on and on. Returns the server's index, with its socket; or what ended
 * it: -EAGAIN, -ENOENT. `path` gets the servers that were tried. */
static int try_all(struct pool_attempt *attempt, int *fd, char *path)
{
	uint8_t address;

	for (int i = 0; i < SERVERS_MAX * ADDRESSES_MAX + 1; i++) {
		int result = pool_attempt_next(attempt, fd, &address);

		if (result == -EAGAIN || result == -ENOENT)
			return result;
		assert_in_range(result + EINPROGRESS, 0, EINPROGRESS);
		*path++ = (char)('a' + attempt->server);
		*path = '\0';
		assert_int_equal(address, attempt->address);
		result = settle(fd);
		if (result == 0) {
			pool_attempt_connected(attempt);
			return attempt->server;
		}
		pool_attempt_failed(attempt, result);
	}
	fail_msg("there is no end to it");
	return -1;
}

static void the_first_server_answers(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(attempt.server, BALANCE_NONE);
	assert_null(pool_server_name(&site.pool, attempt.server));
	expect_loads(&site, "00");
	assert_int_equal(try_all(&attempt, &fd, path), 0);
	assert_string_equal(path, "a");
	assert_string_equal(pool_server_name(&site.pool, attempt.server), "a");
	assert_int_equal(attempt.last, POOL_FAILURE_NONE);
	expect_loads(&site, "10");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	expect_loads(&site, "00");
	pool_release(&site.pool, BALANCE_NONE);
	expect_loads(&site, "00");
	close_site(&site);
}

static void the_peer_is_told(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	struct endpoint peer;
	uint8_t address = 9;
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_in_range(pool_attempt_next(&attempt, &fd, &address) + EINPROGRESS, 0, EINPROGRESS);
	peer = pool_server_endpoint(&site.pool, attempt.server, address);
	assert_int_equal(peer.family, ENDPOINT_IPV4);
	assert_int_equal(peer.port, ntohs(site.addresses[0][0].v4.sin_port));
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

/* Who could not be reached is still told, by the last address. */
static void a_failed_server_s_address_is_told(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address = 9;
	int fd = -1;

	(void)state;
	OPEN(&site, MISSING);
	add_address(&site, 0, NO_ROUTE);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -ENOENT);
	assert_int_equal(address, 1);
	assert_int_equal(pool_server_endpoint(&site.pool, 0, 0).family, ENDPOINT_UNIX);
	assert_int_not_equal(pool_server_endpoint(&site.pool, 0, 1).family, ENDPOINT_UNIX);
	assert_int_equal(pool_server_endpoint(&site.pool, BALANCE_NONE, 1).family, ENDPOINT_NONE);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_server_that_refuses_is_passed_over(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, REFUSES, NO_ROUTE, MISSING, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), 3);
	assert_string_equal(path, "ad"); /* the other two failed inside connect(2) */
	expect_loads(&site, "0001");
	expect_results(&site, 0, "refused=1");
	expect_results(&site, 1, "unreachable=1");
	expect_results(&site, 2, "failed=1");
	expect_results(&site, 3, "ok=1");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void each_server_is_tried_once(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, REFUSES, REFUSES, REFUSES);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), -ENOENT);
	assert_int_equal(strlen(path), 3);
	assert_true(strchr(path, 'a') && strchr(path, 'b') && strchr(path, 'c'));
	assert_int_equal(attempt.tries, 3);
	/* However often it is asked again. The last one stays, for its name and its address. */
	address = 9;
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -ENOENT);
	assert_int_equal(fd, -1);
	assert_int_equal(attempt.tries, 3);
	assert_int_equal(attempt.server, path[2] - 'a');
	assert_int_equal(address, 9);
	assert_int_equal(atomic_load(&site.loads[attempt.server].sessions), 1);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void all_addresses_of_a_server_come_first(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, REFUSES, REFUSES, LISTENS);
	add_address(&site, 0, REFUSES);
	add_address(&site, 0, REFUSES);
	add_address(&site, 1, MISSING);
	add_address(&site, 1, REFUSES);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), 2);
	if (strcmp(path, "aaabbc") != 0 && strcmp(path, "aaac") != 0)
		fail_msg("tried %s", path);
	expect_results(&site, 0, "refused=3"); /* each address is an attempt */
	expect_results(&site, 2, "ok=1");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_later_address_answers(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, REFUSES);
	add_address(&site, 0, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), 0);
	assert_string_equal(path, "aa");
	expect_loads(&site, "1");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

/* A relay that gives an attempt up while it is under way releases the server as well. */
static void an_attempt_that_is_given_up(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_in_range(pool_attempt_next(&attempt, &fd, &address) + EINPROGRESS, 0, EINPROGRESS);
	expect_loads(&site, "10");
	sock_close(fd);
	pool_attempt_failed(&attempt, 0);
	expect_loads(&site, "10"); /* until the next pick, or the release */
	assert_in_range(pool_attempt_next(&attempt, &fd, &address) + EINPROGRESS, 0, EINPROGRESS);
	expect_loads(&site, "01");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

/* ---- how it ends ------------------------------------------------------------------------------
 */

struct failure_case {
	int error;
	enum pool_failure failure;
	enum ending ending;
	const char *result;
};

static const struct failure_case failure_cases[] = {
	{ 0, POOL_FAILURE_TIMEOUT, ENDING_CONNECT_TIMEOUT, "timeout" },
	{ -ETIMEDOUT, POOL_FAILURE_TIMEOUT, ENDING_CONNECT_TIMEOUT, "timeout" },
	{ -ECONNREFUSED, POOL_FAILURE_REFUSED, ENDING_CONNECT_REFUSED, "refused" },
	{ -ECONNRESET, POOL_FAILURE_REFUSED, ENDING_CONNECT_REFUSED, "refused" },
	{ -EHOSTUNREACH, POOL_FAILURE_UNREACHABLE, ENDING_CONNECT_FAILED, "unreachable" },
	{ -ENETUNREACH, POOL_FAILURE_UNREACHABLE, ENDING_CONNECT_FAILED, "unreachable" },
	{ -EMFILE, POOL_FAILURE_EXHAUSTED, ENDING_LIMITED, "failed" },
	{ -ENFILE, POOL_FAILURE_EXHAUSTED, ENDING_LIMITED, "failed" },
	{ -ENOMEM, POOL_FAILURE_EXHAUSTED, ENDING_LIMITED, "failed" },
	{ -ENOBUFS, POOL_FAILURE_EXHAUSTED, ENDING_LIMITED, "failed" },
	{ -EADDRNOTAVAIL, POOL_FAILURE_EXHAUSTED, ENDING_LIMITED, "failed" },
	{ -ENOENT, POOL_FAILURE_OTHER, ENDING_CONNECT_FAILED, "failed" },
	{ -EACCES, POOL_FAILURE_OTHER, ENDING_CONNECT_FAILED, "failed" },
};

static void each_failure_has_its_ending(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof failure_cases / sizeof *failure_cases; i++) {
		const struct failure_case *one = &failure_cases[i];
		struct site site;
		struct pool_attempt attempt;
		uint8_t address;
		char expected[32];
		int fd = -1;

		OPEN(&site, LISTENS);
		pool_attempt_init(&attempt, &site.pool, &site.origin);
		(void)pool_attempt_next(&attempt, &fd, &address);
		sock_close(fd);
		pool_attempt_failed(&attempt, one->error);
		assert_int_equal(attempt.last, one->failure);
		assert_int_equal(attempt.last_error, one->error);
		assert_int_equal(pool_attempt_ending(&attempt), one->ending);
		(void)snprintf(expected, sizeof expected, "%s=1", one->result);
		expect_results(&site, 0, expected);
		pool_release(&site.pool, attempt.server);
		close_site(&site);
	}
}

static void the_last_failure_counts(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, REFUSES, MISSING);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_NO_SERVER);
	assert_int_equal(try_all(&attempt, &fd, path), -ENOENT);
	assert_int_equal(attempt.last_error, -ENOENT);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_CONNECT_FAILED);

	pool_release(&site.pool, attempt.server);

	atomic_store(&site.turn, 1); /* now the other one is the last */
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), -ENOENT);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_CONNECT_REFUSED);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_pool_without_servers(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	int fd = -1;

	(void)state;
	open_site(&site, BALANCE_ROUND_ROBIN, NULL, 0);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -ENOENT);
	assert_int_equal(fd, -1);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_NO_SERVER);
	close_site(&site);
}

/* ---- a UNIX server with a full backlog ---------------------------------------------------------
 */

static void a_busy_server_is_tried_again_later_and_later(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	unsigned waited_ms = 0;
	int fd = -1;

	(void)state;
	OPEN(&site, IS_BUSY, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -EAGAIN);
		assert_int_equal(attempt.server, 0);
		assert_int_equal(fd, -1);
		assert_in_range(attempt.busy_ms, waited_ms > 0 ? waited_ms : 1, 1000);
		waited_ms = attempt.busy_ms;
		expect_loads(&site, "10");
	}
	assert_int_equal(attempt.tries, 1);
	assert_true(waited_ms >= 10);
	(void)close(accept(site.fds[0][0], NULL, NULL));
	expect_results(&site, 0, ""); /* to wait is no result */
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), 0);
	assert_int_equal(pool_server_endpoint(&site.pool, 0, address).family, ENDPOINT_UNIX);
	assert_int_equal(attempt.server, 0);
	expect_loads(&site, "10");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

/* It took too long: then it is another server's turn. */
static void a_server_that_stays_busy_is_passed_over(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, IS_BUSY, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), -EAGAIN);
	assert_int_equal(try_all(&attempt, &fd, path), -EAGAIN);
	pool_attempt_failed(&attempt, 0);
	assert_int_equal(try_all(&attempt, &fd, path), 1);
	assert_string_equal(path, "b");
	expect_loads(&site, "01");
	expect_results(&site, 0, "timeout=1");
	expect_results(&site, 1, "ok=1");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_pool_of_busy_servers_comes_to_an_end(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	int fd = -1;

	(void)state;
	OPEN(&site, IS_BUSY, IS_BUSY);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -EAGAIN);
		pool_attempt_failed(&attempt, 0);
	}
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -ENOENT);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_CONNECT_TIMEOUT);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

/* ---- no room of our own -------------------------------------------------------------------------
 */

static void attempt_without_descriptors(void)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	struct rlimit before;
	struct rlimit none;
	int fd = -1;

	OPEN(&site, LISTENS, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	/* It waits, and blames no server. */
	for (int i = 0; i < 3; i++) {
		CHILD_CHECK(pool_attempt_next(&attempt, &fd, &address) == -EAGAIN);
		CHILD_CHECK(attempt.server == 0 && attempt.tries == 1 && attempt.busy_ms > 0);
		CHILD_CHECK(attempt.last == POOL_FAILURE_NONE);
	}
	/* Not for ever: and then it says why. */
	pool_attempt_failed(&attempt, 0);
	CHILD_CHECK(attempt.last == POOL_FAILURE_EXHAUSTED && attempt.last_error == -EMFILE);
	CHILD_CHECK(pool_attempt_ending(&attempt) == ENDING_LIMITED);
	CHILD_CHECK(pool_attempt_next(&attempt, &fd, &address) == -EAGAIN);
	CHILD_CHECK(attempt.server == 1 && attempt.tries == 2 && fd == -1);
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHILD_CHECK(pool_attempt_next(&attempt, &fd, &address) == -EINPROGRESS || fd >= 0);
	CHILD_CHECK(attempt.server == 1 && attempt.tries == 2);
}

static void descriptors_run_out(void **state)
{
	(void)state;
	run_in_child(attempt_without_descriptors);
}

/* ---- many sessions ----------------------------------------------------------------------------
 */

/* One session that is over at once. Returns its server. */
static int one_session(struct site *site)
{
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;
	int server;

	pool_attempt_init(&attempt, &site->pool, &site->origin);
	server = try_all(&attempt, &fd, path);
	assert_true(server >= 0);
	sock_close(fd);
	(void)close(accept(site->fds[server][0], NULL, NULL));
	pool_release(&site->pool, attempt.server);
	return server;
}

static void servers_take_turns(void **state)
{
	struct site site;
	int sessions[SERVERS_MAX] = { 0 };

	(void)state;
	OPEN(&site, LISTENS, LISTENS, LISTENS);
	for (int i = 0; i < 30; i++)
		sessions[one_session(&site)]++;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sessions[i], 10);
	close_site(&site);
}

/* A turn is a session's, not an attempt's: the sessions of a dead server go to all others alike. */
static void a_dead_servers_share_is_spread(void **state)
{
	struct site site;
	int sessions[SERVERS_MAX] = { 0 };

	(void)state;
	OPEN(&site, REFUSES, LISTENS, LISTENS);
	for (int i = 0; i < 60; i++)
		sessions[one_session(&site)]++;
	assert_int_equal(sessions[0], 0);
	assert_in_range(sessions[1], 28, 32);
	assert_in_range(sessions[2], 28, 32);
	close_site(&site);
}

/* A burst of which nobody is connected yet. */
static void a_burst_goes_to_the_least_loaded(void **state)
{
	static const enum kind kinds[] = { LISTENS, LISTENS, LISTENS };
	struct site site;
	struct pool_attempt attempts[9];
	int fds[9];

	(void)state;
	open_site(&site, BALANCE_LEAST_SESSIONS, kinds, 3);
	for (int i = 0; i < 9; i++) {
		uint8_t address;

		pool_attempt_init(&attempts[i], &site.pool, &site.origin);
		assert_in_range(pool_attempt_next(&attempts[i], &fds[i], &address) + EINPROGRESS, 0,
				EINPROGRESS);
	}
	expect_loads(&site, "333");
	for (int i = 0; i < 9; i++)
		if (attempts[i].server == 1)
			pool_release(&site.pool, attempts[i].server);
	expect_loads(&site, "303");
	/* The next one knows. */
	assert_int_equal(one_session(&site), 1);
	for (int i = 0; i < 9; i++) {
		sock_close(fds[i]);
		if (attempts[i].server != 1)
			pool_release(&site.pool, attempts[i].server);
	}
	close_site(&site);
}

/* ---- what the operator wants --------------------------------------------------------------------
 */

/* Neither its turn nor its weight brings a session to a server that is to have none. */
static void a_server_in_drain_or_maint_gets_none(void **state)
{
	static const enum pool_state states[] = { POOL_DRAIN, POOL_MAINT };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct site site;
		struct pool_attempt attempt;
		char path[64] = "";
		int fd = -1;

		OPEN(&site, LISTENS, LISTENS);
		set_state(&site, 0, states[i]);
		for (int turn = 0; turn < 4; turn++) {
			pool_attempt_init(&attempt, &site.pool, &site.origin);
			assert_int_equal(try_all(&attempt, &fd, path), 1);
			assert_string_equal(path, "b");
			expect_loads(&site, "01");
			sock_close(fd);
			pool_release(&site.pool, attempt.server);
		}
		expect_results(&site, 0, "");
		expect_results(&site, 1, "ok=4");
		set_state(&site, 0, POOL_READY);
		pool_attempt_init(&attempt, &site.pool, &site.origin);
		assert_int_equal(try_all(&attempt, &fd, path), 0);
		sock_close(fd);
		pool_release(&site.pool, attempt.server);
		close_site(&site);
	}
}

/* A session that is being connected goes on; where that fails, it is not sent to one in drain. */
static void an_attempt_under_way_meets_a_drain(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	char path[64] = "";
	uint8_t address;
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS, LISTENS, LISTENS);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_in_range(pool_attempt_next(&attempt, &fd, &address) + EINPROGRESS, 0, EINPROGRESS);
	set_state(&site, 0, POOL_DRAIN);
	set_state(&site, 1, POOL_MAINT);
	expect_loads(&site, "100");
	sock_close(fd);
	pool_attempt_failed(&attempt, -ECONNREFUSED);
	assert_int_equal(try_all(&attempt, &fd, path), 2);
	assert_string_equal(path, "c");
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_pool_in_drain_has_no_server(void **state)
{
	struct site site;
	struct pool_attempt attempt;
	uint8_t address;
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS, LISTENS);
	set_state(&site, 0, POOL_DRAIN);
	set_state(&site, 1, POOL_MAINT);
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(pool_attempt_next(&attempt, &fd, &address), -ENOENT);
	assert_int_equal(attempt.server, BALANCE_NONE);
	assert_int_equal(attempt.tries, 0);
	assert_int_equal(pool_attempt_ending(&attempt), ENDING_NO_SERVER);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

static void a_backup_stands_in_for_one_in_drain(void **state)
{
	static const struct balance_server weights[] = { { .weight = 1 },
							 { .weight = 1, .is_backup = true } };
	struct site site;

	(void)state;
	OPEN(&site, LISTENS, LISTENS);
	balance_fini(&site.config.balance);
	assert_int_equal(balance_init(&site.config.balance, BALANCE_ROUND_ROBIN, weights, 2), 0);
	assert_int_equal(one_session(&site), 0);
	set_state(&site, 0, POOL_DRAIN);
	assert_int_equal(one_session(&site), 1);
	assert_int_equal(one_session(&site), 1);
	set_state(&site, 0, POOL_READY);
	assert_int_equal(one_session(&site), 0);
	close_site(&site);
}

static void a_share_in_drain_is_spread(void **state)
{
	struct site site;
	int sessions[SERVERS_MAX] = { 0 };

	(void)state;
	OPEN(&site, LISTENS, LISTENS, LISTENS);
	set_state(&site, 1, POOL_DRAIN);
	for (int i = 0; i < 60; i++)
		sessions[one_session(&site)]++;
	assert_int_equal(sessions[1], 0);
	assert_in_range(sessions[0], 28, 32);
	assert_in_range(sessions[2], 28, 32);
	close_site(&site);
}

static void names_of_states_and_results(void **state)
{
	static const char *const results[] = { "ok", "refused", "timeout", "unreachable",
					       "failed" };
	static const char *const states[] = { "ready", "drain", "maint" };

	(void)state;
	assert_int_equal(sizeof results / sizeof *results, POOL_RESULTS);
	assert_int_equal(sizeof states / sizeof *states, POOL_STATES);
	for (enum pool_result i = 0; i < POOL_RESULTS; i++)
		assert_string_equal(pool_result_name(i), results[i]);
	for (enum pool_state i = 0; i < POOL_STATES; i++)
		assert_string_equal(pool_state_name(i), states[i]);
}

/* ---- workers ----------------------------------------------------------------------------------
 */

#define WORKERS  4
#define SESSIONS 300

static _Atomic uint64_t connected;
static _Atomic uint64_t refused;

static void *work(void *argument)
{
	struct site *site = argument;
	intptr_t faults = 0;

	for (int i = 0; i < SESSIONS; i++) {
		struct pool_attempt attempt;
		uint8_t address;
		int fd = -1;
		int result;

		pool_attempt_init(&attempt, &site->pool, &site->origin);
		while ((result = pool_attempt_next(&attempt, &fd, &address)) == 0 ||
		       result == -EINPROGRESS) {
			sock_close(fd);
			/* More than all workers together is less than none. */
			for (size_t j = 0; j < site->count; j++)
				faults += atomic_load(&site->loads[j].sessions) > WORKERS;
			if (i % 3 == attempt.server) { /* as good as connected */
				pool_attempt_connected(&attempt);
				atomic_fetch_add(&connected, 1);
				break;
			}
			pool_attempt_failed(&attempt, -ECONNREFUSED);
			atomic_fetch_add(&refused, 1);
		}
		faults += result == -EAGAIN;
		pool_release(&site->pool, attempt.server);
	}
	return (void *)faults;
}

static void workers_share_a_pool(void **state)
{
	struct site site;
	pthread_t threads[WORKERS];
	void *faults = NULL;
	uint64_t results[POOL_RESULTS] = { 0 };

	(void)state;
	OPEN(&site, REFUSES, REFUSES, REFUSES, MISSING);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &site), 0);
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(threads[i], &faults), 0);
		assert_null(faults);
	}
	for (size_t i = 0; i < site.count; i++)
		for (enum pool_result j = 0; j < POOL_RESULTS; j++)
			results[j] += results_of(&site, i, j);
	assert_int_equal(results[POOL_RESULT_OK], atomic_load(&connected));
	assert_int_equal(results[POOL_RESULT_REFUSED], atomic_load(&refused));
	assert_int_equal(results[POOL_RESULT_FAILED], results_of(&site, 3, POOL_RESULT_FAILED));
	close_site(&site);
}

/* ---- where connections come from ---------------------------------------------------------------
 */

#define SOURCES_MAX 4

struct origin {
	struct address sources[SOURCES_MAX];
	_Atomic uint64_t turns[SERVERS_MAX];
};

static void set_sources(struct site *site, struct origin *origin, const char *const *sources)
{
	memset(origin, 0, sizeof *origin);
	site->origin = (struct pool_origin){ .sources = origin->sources, .turns = origin->turns };
	for (; sources[site->origin.source_count]; site->origin.source_count++)
		assert_int_equal(address_parse_host(&origin->sources[site->origin.source_count],
						    sources[site->origin.source_count]),
				 0);
}

#define SOURCES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* One session: the last byte of the address that its connection came from, behind the server's
 * letter; or the name of how it failed. */
static const char *come_from(struct site *site)
{
	static char text[64];
	struct pool_attempt attempt;
	char path[64] = "";
	int fd = -1;
	int server;

	pool_attempt_init(&attempt, &site->pool, &site->origin);
	server = try_all(&attempt, &fd, path);
	if (server < 0) {
		(void)snprintf(text, sizeof text, "%s after %u, %s",
			       ending_name(pool_attempt_ending(&attempt)), attempt.tries,
			       strerrorname_np(-attempt.last_error));
	} else {
		struct address from = address_of(fd);
		const unsigned char *bytes = (const unsigned char *)&from.v4.sin_addr;

		(void)snprintf(text, sizeof text, "%c%d", 'a' + server,
			       from.any.sa_family == AF_INET ? bytes[3] : 0);
	}
	sock_close(fd);
	pool_release(&site->pool, attempt.server);
	return text;
}

/* Servers and sources both take turns; that they are as many must not tie them to each other. */
static void sources_take_turns_at_each_server(void **state)
{
	static const char *const want[] = { "a2", "b2", "a3", "b3", "a2", "b2" };
	struct origin origin;
	struct site site;

	(void)state;
	OPEN(&site, LISTENS, LISTENS);
	set_sources(&site, &origin, SOURCES("127.0.0.2", "127.0.0.3"));
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		assert_string_equal(come_from(&site), want[i]);
	close_site(&site);
}

static void sources_of_the_other_family_have_no_turn(void **state)
{
	struct origin origin;
	struct site site;

	(void)state;
	OPEN(&site, LISTENS);
	set_sources(&site, &origin, SOURCES("::1", "127.0.0.2", "::2", "127.0.0.3"));
	assert_string_equal(come_from(&site), "a2");
	assert_string_equal(come_from(&site), "a3");
	assert_string_equal(come_from(&site), "a2");
	set_sources(&site, &origin, SOURCES("::1"));
	assert_string_equal(come_from(&site), "a1");
	close_site(&site);
}

static void unix_servers_have_no_source(void **state)
{
	struct origin origin;
	struct site site;

	(void)state;
	OPEN(&site, MISSING);
	site.fds[0][0] = peer_listening(&site.addresses[0][0], 4);
	set_sources(&site, &origin, SOURCES("127.0.0.2"));
	assert_string_equal(come_from(&site), "a0");
	close_site(&site);
}

/* As with one that has no port left. */
static void a_source_that_gives_nothing_is_passed_over(void **state)
{
	struct origin origin;
	struct site site;

	(void)state;
	OPEN(&site, LISTENS);
	set_sources(&site, &origin,
		    SOURCES("203.0.113.71", "127.0.0.2", "203.0.113.72", "127.0.0.3"));
	assert_string_equal(come_from(&site), "a2");
	assert_string_equal(come_from(&site), "a2");
	assert_string_equal(come_from(&site), "a3");
	assert_string_equal(come_from(&site), "a3");
	expect_results(&site, 0, "ok=4");
	set_sources(&site, &origin, SOURCES("203.0.113.71", "203.0.113.72"));
	assert_string_equal(come_from(&site), "limited after 1, EADDRNOTAVAIL");
	expect_results(&site, 0, "ok=4 failed=1");
	close_site(&site);
}

/* What a server answers is no matter of the source. */
static void a_refusal_is_asked_for_once(void **state)
{
	struct origin origin;
	struct site site;

	(void)state;
	OPEN(&site, REFUSES, LISTENS);
	set_sources(&site, &origin, SOURCES("127.0.0.2", "127.0.0.3"));
	assert_string_equal(come_from(&site), "b2");
	expect_results(&site, 0, "refused=1");
	close_site(&site);
}

static void the_cap_is_set_on_the_servers_socket(void **state)
{
	struct pool_attempt attempt;
	struct site site;
	char path[64] = "";
	int fd = -1;

	(void)state;
	OPEN(&site, LISTENS);
	site.origin.buffer_cap = 65536;
	pool_attempt_init(&attempt, &site.pool, &site.origin);
	assert_int_equal(try_all(&attempt, &fd, path), 0);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_SNDBUF), 2 * 65536);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_RCVBUF), 2 * 65536);
	sock_close(fd);
	pool_release(&site.pool, attempt.server);
	close_site(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_server_answers),
		cmocka_unit_test(the_peer_is_told),
		cmocka_unit_test(a_failed_server_s_address_is_told),
		cmocka_unit_test(a_server_that_refuses_is_passed_over),
		cmocka_unit_test(each_server_is_tried_once),
		cmocka_unit_test(all_addresses_of_a_server_come_first),
		cmocka_unit_test(a_later_address_answers),
		cmocka_unit_test(an_attempt_that_is_given_up),
		cmocka_unit_test(each_failure_has_its_ending),
		cmocka_unit_test(the_last_failure_counts),
		cmocka_unit_test(a_pool_without_servers),
		cmocka_unit_test(a_busy_server_is_tried_again_later_and_later),
		cmocka_unit_test(a_server_that_stays_busy_is_passed_over),
		cmocka_unit_test(a_pool_of_busy_servers_comes_to_an_end),
		cmocka_unit_test(descriptors_run_out),
		cmocka_unit_test(servers_take_turns),
		cmocka_unit_test(a_dead_servers_share_is_spread),
		cmocka_unit_test(a_burst_goes_to_the_least_loaded),
		cmocka_unit_test(a_server_in_drain_or_maint_gets_none),
		cmocka_unit_test(an_attempt_under_way_meets_a_drain),
		cmocka_unit_test(a_pool_in_drain_has_no_server),
		cmocka_unit_test(a_backup_stands_in_for_one_in_drain),
		cmocka_unit_test(a_share_in_drain_is_spread),
		cmocka_unit_test(names_of_states_and_results),
		cmocka_unit_test(workers_share_a_pool),
		cmocka_unit_test(sources_take_turns_at_each_server),
		cmocka_unit_test(sources_of_the_other_family_have_no_turn),
		cmocka_unit_test(unix_servers_have_no_source),
		cmocka_unit_test(a_source_that_gives_nothing_is_passed_over),
		cmocka_unit_test(a_refusal_is_asked_for_once),
		cmocka_unit_test(the_cap_is_set_on_the_servers_socket),
	};

	return cmocka_run_group_tests_name("daemon/pool", tests, make_folder, remove_folder);
}
