#ifndef FINBACK_ENGINE_BALANCE_H
#define FINBACK_ENGINE_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which server of a pool comes next. Pure: loads and the pool's turn come in as arguments, so that
 * all workers share one schedule without a lock. Servers marked `backup` are taken only when no
 * other is left to try. Where several servers are equally good, or the one whose turn it is was
 * tried, the turn decides among those that remain, by weight too: none of them inherits it all.
 */

enum balance_kind {
	BALANCE_ROUND_ROBIN,    /* in turn, by weight, spread out (smooth) */
	BALANCE_LEAST_SESSIONS, /* the fewest sessions for its weight; ties go in turn */
	BALANCE_KINDS
};

#define BALANCE_SERVERS_MAX 256
#define BALANCE_WEIGHT_MAX  256
#define BALANCE_NONE        (-1)

struct balance_server {
	uint16_t weight; /* 1 to BALANCE_WEIGHT_MAX */
	bool is_backup;
};

/* A pool as the balancer sees it. Made once by balance_init, immutable afterwards. */
struct balance {
	enum balance_kind kind;
	size_t count; /* servers */
	struct balance_server servers[BALANCE_SERVERS_MAX];
	size_t turns;        /* length of the schedule of the servers that are no backup */
	size_t backup_turns; /* and of the backups, which follow in the same array */
	unsigned unit; /* the weight that is one turn: the common divisor that was taken out */
	unsigned backup_unit;
	uint16_t *schedule;
};

/* The servers that one session has tried already. */
struct balance_tried {
	uint64_t bits[BALANCE_SERVERS_MAX / 64];
};

/* Builds the schedules. `count` is at most BALANCE_SERVERS_MAX. The weights are reduced by their
 * greatest common divisor, backups apart; the schedule is the smooth weighted round robin, one
 * entry a unit of weight, so at most BALANCE_SERVERS_MAX * BALANCE_WEIGHT_MAX entries. Returns 0 or
 * -ENOMEM; balance_fini may be called either way. */
int balance_init(struct balance *balance, enum balance_kind kind,
		 const struct balance_server *servers, size_t count);
void balance_fini(struct balance *balance);

/* The server for `turn` (a number that grows by one each session; it may wrap) among those not in
 * `tried`; `loads[i]` is the number of live sessions of server i (round_robin does not look at
 * it: NULL is fine). Every server gets its share of turns exactly: over balance.turns consecutive
 * turns with nothing tried, round_robin picks each server as often as its reduced weight, and so
 * does least_sessions while all loads are in proportion to the weights. Returns an index, or
 * BALANCE_NONE when all were tried. */
int balance_pick(const struct balance *balance, uint64_t turn, const uint32_t *loads,
		 const struct balance_tried *tried);

static inline void balance_mark_tried(struct balance_tried *tried, size_t server)
{
	tried->bits[server / 64] |= UINT64_C(1) << (server % 64);
}

static inline bool balance_was_tried(const struct balance_tried *tried, size_t server)
{
	return tried->bits[server / 64] >> (server % 64) & 1;
}

/* "round_robin" or "least_sessions", the configuration's words. */
const char *balance_kind_name(enum balance_kind kind);

#endif
