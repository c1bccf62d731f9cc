/*
 * One session's attempts to connect, over the servers of a pool.
 *
 * Invariant: a server's load counts a session from the moment it is picked until pool_release or
 * the next pick, so that a burst spreads before the first of it is connected.
 *
 * Surprising: a UNIX server with a full backlog answers EAGAIN at once instead of letting us wait
 * in SYN_SENT as TCP does, so waiting is up to us. The same goes for descriptors that run out.
 */
#include <finback/daemon/pool.h>
#include <finback/io/sock.h>

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#define BUSY_FIRST_MS 2
#define BUSY_LAST_MS  250

void pool_attempt_init(struct pool_attempt *attempt, struct pool *pool,
		       const struct pool_origin *origin)
{
	*attempt = (struct pool_attempt){
		.pool = pool,
		.origin = origin,
		.turn = atomic_fetch_add_explicit(pool->turn, 1, memory_order_relaxed),
		.server = BALANCE_NONE,
	};
}

void pool_release(struct pool *pool, int server)
{
	if (server != BALANCE_NONE)
		atomic_fetch_sub_explicit(&pool->loads[server]->sessions, 1, memory_order_relaxed);
}

static const struct config_server *current(const struct pool_attempt *attempt)
{
	return &attempt->pool->config->servers[attempt->server];
}

/* Goes on to the next server that was not tried. Returns whether there is one; where there is none,
 * the last one stays, for its name. */
static bool pick(struct pool_attempt *attempt)
{
	struct pool *pool = attempt->pool;
	const struct balance *balance = &pool->config->balance;
	uint32_t loads[BALANCE_SERVERS_MAX];
	int server;

	for (size_t i = 0; i < balance->count; i++) {
		loads[i] = atomic_load_explicit(&pool->loads[i]->sessions, memory_order_relaxed);
		if (atomic_load_explicit(&pool->loads[i]->state, memory_order_relaxed) !=
		    POOL_READY)
			balance_mark_tried(&attempt->tried, i);
	}
	server = balance_pick(balance, attempt->turn, loads, &attempt->tried);
	if (server == BALANCE_NONE)
		return false;
	pool_release(pool, attempt->server);
	attempt->server = server;
	attempt->address = 0;
	balance_mark_tried(&attempt->tried, (size_t)server);
	atomic_fetch_add_explicit(&pool->loads[server]->sessions, 1, memory_order_relaxed);
	return true;
}

/* What passes by itself, and is not the server's fault. */
static bool is_busy(int error, const struct address *address)
{
	switch (-error) {
	case EAGAIN:
		return address->any.sa_family == AF_UNIX;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return true;
	default:
		return false;
	}
}

/* Waits a little longer each time. */
static int wait_for_room(struct pool_attempt *attempt, int error)
{
	attempt->busy_error = error;
	attempt->busy_ms = attempt->busy_ms ? attempt->busy_ms * 2 : BUSY_FIRST_MS;
	if (attempt->busy_ms > BUSY_LAST_MS)
		attempt->busy_ms = BUSY_LAST_MS;
	return -EAGAIN;
}

/* Those of the address's family. Returns how many. */
static size_t fitting_sources(const struct pool_origin *origin, const struct address *address,
			      const struct address *ret_sources[CONFIG_SOURCES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < origin->source_count; i++)
		if (origin->sources[i].any.sa_family == address->any.sa_family)
			ret_sources[count++] = &origin->sources[i];
	return count;
}

/* From the source whose turn it is; from each other one, as long as they have no port left. */
static int connect_to(const struct pool_attempt *attempt, const struct address *address,
		      int *ret_fd)
{
	const struct pool_origin *origin = attempt->origin;
	const struct address *sources[CONFIG_SOURCES_MAX];
	struct sock_connect options = { .buffer_cap = origin->buffer_cap,
					.has_bytes = attempt->has_bytes };
	size_t count = fitting_sources(origin, address, sources);
	int result = -EADDRNOTAVAIL;
	uint64_t turn;

	if (count == 0)
		return sock_connect(address, &options, ret_fd);
	turn = atomic_fetch_add_explicit(&origin->turns[attempt->server], 1, memory_order_relaxed);
	for (size_t i = 0; i < count && result == -EADDRNOTAVAIL; i++) {
		options.source = sources[(turn + i) % count];
		result = sock_connect(address, &options, ret_fd);
	}
	return result;
}

int pool_attempt_next(struct pool_attempt *attempt, int *ret_fd, uint8_t *ret_address)
{
	/* Bounded: each pick marks a server as tried, each failure takes one address. */
	for (;;) {
		const struct address *address;
		int result;

		if (attempt->server == BALANCE_NONE ||
		    attempt->address >= current(attempt)->address_count)
			if (!pick(attempt))
				return -ENOENT;
		address = &current(attempt)->addresses[attempt->address];
		*ret_address = (uint8_t)attempt->address;
		if (attempt->busy_ms == 0 && attempt->tries < UINT16_MAX)
			attempt->tries++;
		result = connect_to(attempt, address, ret_fd);
		if (result == 0 || result == -EINPROGRESS) {
			attempt->busy_ms = 0;
			return result;
		}
		if (is_busy(result, address))
			return wait_for_room(attempt, result);
		pool_attempt_failed(attempt, result);
	}
}

static enum pool_failure failure_of(int error)
{
	switch (-error) {
	case 0:
	case ETIMEDOUT:
		return POOL_FAILURE_TIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
		return POOL_FAILURE_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return POOL_FAILURE_UNREACHABLE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* no port left towards this server */
	case EAGAIN:        /* connect(2), TCP: the same */
		return POOL_FAILURE_EXHAUSTED;
	default:
		return POOL_FAILURE_OTHER;
	}
}

static void count(const struct pool_attempt *attempt, enum pool_result result)
{
	struct pool_load *load = attempt->pool->loads[attempt->server];

	atomic_fetch_add_explicit(&load->connects[result], 1, memory_order_relaxed);
}

void pool_attempt_connected(const struct pool_attempt *attempt)
{
	count(attempt, POOL_RESULT_OK);
}

void pool_attempt_failed(struct pool_attempt *attempt, int error)
{
	static const enum pool_result results[] = {
		[POOL_FAILURE_NONE] = POOL_RESULT_FAILED,
		[POOL_FAILURE_REFUSED] = POOL_RESULT_REFUSED,
		[POOL_FAILURE_TIMEOUT] = POOL_RESULT_TIMEOUT,
		[POOL_FAILURE_UNREACHABLE] = POOL_RESULT_UNREACHABLE,
		[POOL_FAILURE_EXHAUSTED] = POOL_RESULT_FAILED,
		[POOL_FAILURE_OTHER] = POOL_RESULT_FAILED,
	};
	static_assert(sizeof results / sizeof *results == POOL_FAILURES, "one for each failure");

	/* It waited for room until its time was up: that is why, where the room is our own. */
	if (error == 0 && attempt->busy_ms > 0 && attempt->busy_error != -EAGAIN)
		error = attempt->busy_error;
	attempt->last = failure_of(error);
	attempt->last_error = error;
	count(attempt, results[attempt->last]);
	attempt->busy_ms = 0;
	attempt->address++;
}

enum ending pool_attempt_ending(const struct pool_attempt *attempt)
{
	static const enum ending endings[] = {
		[POOL_FAILURE_NONE] = ENDING_NO_SERVER,
		[POOL_FAILURE_REFUSED] = ENDING_CONNECT_REFUSED,
		[POOL_FAILURE_TIMEOUT] = ENDING_CONNECT_TIMEOUT,
		[POOL_FAILURE_UNREACHABLE] = ENDING_CONNECT_FAILED,
		[POOL_FAILURE_EXHAUSTED] = ENDING_LIMITED,
		[POOL_FAILURE_OTHER] = ENDING_CONNECT_FAILED,
	};
	static_assert(sizeof endings / sizeof *endings == POOL_FAILURES, "one for each failure");

	return endings[attempt->last];
}

const char *pool_server_name(const struct pool *pool, int server)
{
	return server == BALANCE_NONE ? NULL : pool->loads[server]->name;
}

struct endpoint pool_server_endpoint(const struct pool *pool, int server, uint8_t address)
{
	if (server == BALANCE_NONE)
		return (struct endpoint){ .family = ENDPOINT_NONE };
	return endpoint_of(&pool->config->servers[server].addresses[address]);
}

static const char *const result_names[] = {
	[POOL_RESULT_OK] = "ok",           [POOL_RESULT_REFUSED] = "refused",
	[POOL_RESULT_TIMEOUT] = "timeout", [POOL_RESULT_UNREACHABLE] = "unreachable",
	[POOL_RESULT_FAILED] = "failed",
};
static_assert(sizeof result_names / sizeof *result_names == POOL_RESULTS, "a name for each result");

const char *pool_result_name(enum pool_result result)
{
	return result_names[result];
}

static const char *const state_names[] = {
	[POOL_READY] = "ready",
	[POOL_DRAIN] = "drain",
	[POOL_MAINT] = "maint",
};
static_assert(sizeof state_names / sizeof *state_names == POOL_STATES, "a name for each state");

const char *pool_state_name(enum pool_state state)
{
	return state_names[state];
}
