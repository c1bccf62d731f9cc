/*
 * Which server of a pool comes next.
 *
 * Invariant: schedule[0 .. turns) holds every server that is no backup as often as its weight in
 * units, schedule[turns .. turns + backup_turns) every backup; nothing changes after balance_init.
 *
 * The surprise: a choice is never carried over from one pick to the next. The smooth weighted
 * order is computed once, as a table, and a pick only reads the entry of its turn. Where some
 * servers are out of the question (tried, or with more sessions than others), the turn picks among
 * the entries of those that remain. Walking on to the next one instead would hand all turns of a
 * dead server to its neighbour.
 */
#include <finback/engine/balance.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[BALANCE_ROUND_ROBIN] = "round_robin",
	[BALANCE_LEAST_SESSIONS] = "least_sessions",
};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == BALANCE_KINDS,
	      "every kind of balancing has a name");

/* The schedule of the backups, or of all others. */
struct group {
	bool is_backup;
	const uint16_t *schedule;
	size_t turns;
	unsigned unit;
};

/* The servers of a group that are equally good for this pick. */
struct choice {
	bool has[BALANCE_SERVERS_MAX];
	size_t servers;
	size_t turns; /* their entries in the schedule */
	int one;      /* any of them */
};

static unsigned common_divisor(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* The greatest common divisor of the weights of a group, and their sum in units of it. */
static void measure_group(const struct balance *balance, bool is_backup, unsigned *ret_unit,
			  size_t *ret_turns)
{
	unsigned unit = 0;
	size_t sum = 0;

	for (size_t i = 0; i < balance->count; i++) {
		const struct balance_server *server = &balance->servers[i];
		assert(server->weight >= 1 && server->weight <= BALANCE_WEIGHT_MAX);
		if (server->is_backup != is_backup)
			continue;
		unit = common_divisor(unit, server->weight);
		sum += server->weight;
	}
	*ret_unit = unit;
	*ret_turns = unit == 0 ? 0 : sum / unit;
}

/* Smooth weighted round robin: each turn every server gains its weight, and the one with the most
 * is taken and pays one round for all. After `turns` turns every server is back at 0. */
static void fill_schedule(const struct balance *balance, const struct group *group,
			  uint16_t *schedule)
{
	long gained[BALANCE_SERVERS_MAX] = { 0 };

	for (size_t turn = 0; turn < group->turns; turn++) {
		size_t best = BALANCE_SERVERS_MAX;
		for (size_t i = 0; i < balance->count; i++) {
			if (balance->servers[i].is_backup != group->is_backup)
				continue;
			gained[i] += (long)(balance->servers[i].weight / group->unit);
			if (best == BALANCE_SERVERS_MAX || gained[i] > gained[best])
				best = i;
		}
		assert(best < BALANCE_SERVERS_MAX); /* a group with turns has a server */
		gained[best] -= (long)group->turns;
		schedule[turn] = (uint16_t)best;
	}
}

static struct group group_of(const struct balance *balance, bool is_backup)
{
	if (is_backup)
		return (struct group){ true, balance->schedule + balance->turns,
				       balance->backup_turns, balance->backup_unit };
	return (struct group){ false, balance->schedule, balance->turns, balance->unit };
}

int balance_init(struct balance *balance, enum balance_kind kind,
		 const struct balance_server *servers, size_t count)
{
	assert(count <= BALANCE_SERVERS_MAX);
	memset(balance, 0, sizeof(*balance));
	balance->kind = kind;
	balance->count = count;
	for (size_t i = 0; i < count; i++)
		balance->servers[i] = servers[i];
	measure_group(balance, false, &balance->unit, &balance->turns);
	measure_group(balance, true, &balance->backup_unit, &balance->backup_turns);

	/* One entry more than needed: a pool without servers is not out of memory. */
	balance->schedule =
		calloc(balance->turns + balance->backup_turns + 1, sizeof(*balance->schedule));
	if (balance->schedule == NULL)
		return -ENOMEM;
	struct group group = group_of(balance, false);
	struct group backups = group_of(balance, true);
	fill_schedule(balance, &group, balance->schedule);
	fill_schedule(balance, &backups, balance->schedule + balance->turns);
	return 0;
}

void balance_fini(struct balance *balance)
{
	free(balance->schedule);
	balance->schedule = NULL;
}

/* Below 0 when server `a` has fewer sessions for its weight than `b`, 0 when as many. The products
 * fit: 32 bits times 16. */
static int compare_loads(const struct balance *balance, const uint32_t *loads, size_t a, size_t b)
{
	uint64_t load_a = (uint64_t)loads[a] * balance->servers[b].weight;
	uint64_t load_b = (uint64_t)loads[b] * balance->servers[a].weight;
	return (load_a > load_b) - (load_a < load_b);
}

static void choose_also(struct choice *choice, size_t server, size_t turns)
{
	choice->has[server] = true;
	choice->servers++;
	choice->turns += turns;
	choice->one = (int)server;
}

static struct choice choose(const struct balance *balance, const struct group *group,
			    const uint32_t *loads, const struct balance_tried *tried)
{
	struct choice choice = { .one = BALANCE_NONE };

	for (size_t i = 0; i < balance->count; i++) {
		if (balance->servers[i].is_backup != group->is_backup ||
		    balance_was_tried(tried, i))
			continue;
		if (balance->kind == BALANCE_LEAST_SESSIONS && choice.servers > 0) {
			int order = compare_loads(balance, loads, i, (size_t)choice.one);
			if (order > 0)
				continue;
			if (order < 0)
				choice = (struct choice){ .one = BALANCE_NONE };
		}
		choose_also(&choice, i, balance->servers[i].weight / group->unit);
	}
	return choice;
}

/* The entry number `nth` among those of the chosen servers. */
static int nth_chosen(const struct group *group, const struct choice *choice, size_t nth)
{
	for (size_t i = 0; i < group->turns; i++) {
		if (!choice->has[group->schedule[i]])
			continue;
		if (nth == 0)
			return group->schedule[i];
		nth--;
	}
	return choice->one;
}

static int pick_from(const struct balance *balance, const struct group *group, uint64_t turn,
		     const uint32_t *loads, const struct balance_tried *tried)
{
	struct choice choice = choose(balance, group, loads, tried);
	if (choice.servers <= 1)
		return choice.one;

	uint64_t position = turn % group->turns;
	if (choice.turns == group->turns)
		return group->schedule[position];
	/* The turns of one dead server are always at the same positions of the cycle: the number of
	 * the cycle moves them on, or they would fall to the same few servers each time. */
	uint64_t cycle = turn / group->turns;
	return nth_chosen(group, &choice, (size_t)((position + cycle) % choice.turns));
}

int balance_pick(const struct balance *balance, uint64_t turn, const uint32_t *loads,
		 const struct balance_tried *tried)
{
	struct group group = group_of(balance, false);
	int server = pick_from(balance, &group, turn, loads, tried);
	if (server != BALANCE_NONE)
		return server;
	struct group backups = group_of(balance, true);
	return pick_from(balance, &backups, turn, loads, tried);
}

const char *balance_kind_name(enum balance_kind kind)
{
	assert((unsigned)kind < BALANCE_KINDS);
	return kind_names[kind];
}
