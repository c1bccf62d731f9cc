/*
 * libFuzzer over engine/session and engine/deadline: bytes choose among the facts that are
 * possible, with many bytes under way and with time passing, for a relay that has one timer and
 * arms it only when it is told to or when it has fired. The promises are those of the walk; here
 * time is looked at too: nothing is overdue when time has passed, no deadline passes early, none
 * comes nearer without WISH_REARM, and no look is due again at once, be it for a deadline or to
 * tell the dead from the slow.
 *
 * The first bytes are the policy and what the peers have to send; then each move takes two.
 */
#include <finback/engine/deadline.h>
#include <finback/engine/vigil.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../engine/session_model.h"

#define START_US  INT64_C(1000000000)
#define MS_US     INT64_C(1000)
#define SECOND_US INT64_C(1000000)
#define HEAD      (3 + DEADLINES)
#define FIRES_MAX 4096

struct run {
	struct model model;
	struct policy policy;
	int64_t armed_us;
	int64_t moved_us[SIDES]; /* a byte of the flow from that side moved, or its FIN went on */
	int64_t waits_us[SIDES]; /* since then, at the least, its sink may have taken nothing */
	bool is_armed;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "%s\n", what);
		abort();
	}
}

static const char *model_before_fact(const struct session *session, const struct fact *fact)
{
	(void)session;
	(void)fact;
	return NULL; /* the session asserts that it has a cell */
}

static void arm(struct run *run)
{
	struct deadline_at next = deadline_next(&run->model.session, &run->policy);

	run->is_armed = next.deadline != DEADLINE_NONE;
	run->armed_us = next.at_us;
}

static void note_times(struct run *run, const struct move *move)
{
	int64_t now_us = run->model.now_us;

	if (move->kind == MOVE_READ || move->kind == MOVE_WRITE)
		run->moved_us[move->side] = now_us;
	if (move->kind == MOVE_CONNECT)
		run->moved_us[CLIENT] = run->moved_us[SERVER] = now_us;
	for (enum side side = CLIENT; side < SIDES; side++)
		if (run->model.wishes & WISH_FIN(side))
			run->moved_us[other(side)] = now_us;
}

/* What goes into the kernel's buffer is not taken by the reader. Only where nothing was outstanding
 * does a move of the flow begin the wait anew. */
static void note_waits(struct run *run, const bool was_outstanding[SIDES])
{
	for (enum side side = CLIENT; side < SIDES; side++)
		if (!was_outstanding[other(side)])
			run->waits_us[side] = run->moved_us[side];
}

/* Without WISH_REARM the timer stays where it is: nothing may be due before it rings. Only a look
 * may: progress makes the next one nearer, and a late look costs nothing but a look. A read whose
 * bytes are not written in the same turn may begin a stall, and the write that must follow arms. */
static void check_order(const struct run *run, struct deadline_at before, const struct move *move)
{
	struct deadline_at after = deadline_next(&run->model.session, &run->policy);

	if (after.deadline >= DEADLINES ||
	    (after.deadline == DEADLINE_STALL && move->kind == MOVE_READ))
		return;
	require(before.deadline != DEADLINE_NONE && after.at_us >= before.at_us,
		"a deadline came nearer without WISH_REARM");
}

static void make(struct run *run, const struct move *move)
{
	struct deadline_at before = deadline_next(&run->model.session, &run->policy);
	const bool was_outstanding[SIDES] = {
		session_is_outstanding(&run->model.session, CLIENT),
		session_is_outstanding(&run->model.session, SERVER),
	};
	const char *broken;

	if (!model_can(&run->model, move))
		return;
	broken = model_apply(&run->model, move);
	require(!broken, broken);
	note_times(run, move);
	note_waits(run, was_outstanding);
	if ((run->model.wishes & (WISH_REARM | WISH_NEXT_SERVER)) || model_is_over(&run->model))
		arm(run);
	else
		check_order(run, before, move);
}

/* Whether bytes from `side` have waited so long, here or in the kernel. */
static bool has_stalled(const struct run *run, enum side side, int64_t timeout_us)
{
	const struct model *model = &run->model;

	return (model->session.flows[side].held > 0 ||
		session_is_outstanding(&model->session, other(side))) &&
	       model->now_us >= run->waits_us[side] + timeout_us;
}

static void check_not_early(const struct run *run, enum deadline deadline)
{
	int64_t now_us = run->model.now_us;
	int64_t timeout_us = run->policy.timeouts_us[deadline];
	bool is_quiet = now_us >= run->moved_us[CLIENT] + timeout_us &&
			now_us >= run->moved_us[SERVER] + timeout_us;

	require(timeout_us > 0, "a deadline that is off");
	require(now_us >= START_US + timeout_us, "earlier than any deadline may be");
	if (deadline == DEADLINE_STALL)
		require(has_stalled(run, CLIENT, timeout_us) ||
				has_stalled(run, SERVER, timeout_us),
			"a stall though bytes were taken");
	if (deadline == DEADLINE_IDLE || deadline == DEADLINE_HALF_CLOSED ||
	    deadline == DEADLINE_LINGER)
		require(is_quiet, "a deadline on progress though bytes moved");
}

/* As the relay judges: where it is due, by what the kernel may say then. */
static void judge(const struct run *run, struct move *look, uint32_t share)
{
	const struct session *session = &run->model.session;
	int64_t dead_after_us = run->policy.dead_after_us[look->side];
	struct vitals vitals = { dead_after_us * share / 128, share & 3 };
	int64_t now_us = run->model.now_us;

	if (dead_after_us == 0 || !session_is_outstanding(session, look->side) ||
	    now_us < vigil_due_us(session, look->side, dead_after_us))
		return;
	look->is_judged = true;
	look->vigil = vigil_next(&vitals, dead_after_us, now_us);
}

static void look(struct run *run, uint32_t share)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		uint64_t unacked = run->model.peers[side].unacked;
		struct move move = { .kind = MOVE_LOOK, .side = side };

		move.count = (uint32_t)(unacked * share / UINT8_MAX);
		judge(run, &move, share);
		make(run, &move);
	}
}

static void expire(struct run *run, enum deadline deadline)
{
	struct move refuse = { .kind = MOVE_REFUSE };
	struct move move = { .kind = MOVE_EXPIRE, .flag = run->policy.is_closed_on_timeout };

	check_not_early(run, deadline);
	if (deadline == DEADLINE_CONNECT && model_can(&run->model, &refuse)) {
		make(run, &refuse);
		return;
	}
	run->model.due = deadline_ending(deadline);
	make(run, &move);
	run->model.due = ENDING_NONE;
	require(model_is_over(&run->model) || run->model.is_gentle, "expired, and not ended");
}

/* The timer rings: does what has become due, if anything, and arms anew. */
static void fire(struct run *run, uint32_t share)
{
	struct deadline_at next = deadline_next(&run->model.session, &run->policy);

	if (next.deadline != DEADLINE_NONE && next.at_us <= run->model.now_us) {
		struct deadline_at after;

		if (next.deadline == DEADLINE_LOOK)
			look(run, share);
		else
			expire(run, next.deadline);
		after = deadline_next(&run->model.session, &run->policy);
		require(after.deadline != DEADLINE_LOOK || next.deadline != DEADLINE_LOOK ||
				after.at_us > run->model.now_us,
			"a look is due again at once");
		require(!run->model.is_gentle || after.deadline >= DEADLINES ||
				after.at_us > run->model.now_us,
			"ended gently, and ended again at once");
	}
	arm(run);
}

/* A kernel that holds nothing takes something: what is held does not wait for it. */
static void write_what_can_go(struct run *run)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		struct move move = { .kind = MOVE_WRITE, .side = side, .count = 1 };

		if (!session_is_outstanding(&run->model.session, other(side)))
			make(run, &move);
	}
}

static void let_time_pass(struct run *run, int64_t for_us, uint32_t share)
{
	int64_t until_us = run->model.now_us + for_us;
	struct deadline_at next;

	write_what_can_go(run);
	for (int i = 0; run->is_armed && run->armed_us <= until_us; i++) {
		if (i == FIRES_MAX) /* looks at a reader that goes on and on: enough of it */
			return;
		if (run->armed_us > run->model.now_us)
			run->model.now_us = run->armed_us;
		fire(run, share);
	}
	run->model.now_us = until_us;
	next = deadline_next(&run->model.session, &run->policy);
	require(next.deadline >= DEADLINES || next.at_us > run->model.now_us,
		"a deadline is overdue");
}

static uint32_t count_of(const struct run *run, enum move_kind kind, enum side side, uint8_t byte)
{
	const struct model_peer *peer = &run->model.peers[side];
	uint64_t of = peer->left;

	if (kind == MOVE_WRITE)
		of = peer->read - peer->written - peer->discarded;
	else if (kind == MOVE_LOOK)
		of = peer->unacked;
	else if (kind != MOVE_READ && (kind != MOVE_LOSE || peer->is_lost || peer->is_fin_read))
		of = 0;
	return (uint32_t)((of * byte + UINT8_MAX - 1) / UINT8_MAX);
}

static void choose(struct run *run, uint8_t what, uint8_t byte)
{
	struct move move = { .kind = (enum move_kind)(what & 15),
			     .side = (enum side)(what >> 4 & 1),
			     .loss = what & 32 ? LOSS_DEAD : LOSS_RESET,
			     .flag = what & 64 };

	if ((what & 15) >= MOVE_KINDS) {
		let_time_pass(run, MS_US << (byte >> 3 & 31) >> 2, byte & 7U ? byte : 0);
		return;
	}
	if (move.kind == MOVE_EXPIRE) /* only the timer knows */
		return;
	move.count = count_of(run, move.kind, move.side, byte);
	if (move.kind == MOVE_LOOK)
		judge(run, &move, byte);
	if (move.kind == MOVE_LOSE && run->model.peers[move.side].is_fin_read)
		move.flag = !run->model.peers[move.side].is_lost;
	make(run, &move);
}

static void begin(struct run *run, const uint8_t head[HEAD])
{
	static const int64_t timeouts_us[] = {
		0, 100 * MS_US, 1500 * MS_US, 60 * SECOND_US, 3600 * SECOND_US, 86400 * SECOND_US
	};
	static const int64_t dead_after_us[] = { 0, 3 * SECOND_US, 120 * SECOND_US,
						 3600 * SECOND_US };
	const uint32_t bytes[SIDES] = { 1U << (head[0] & 15), 1U << (head[1] & 15) };

	memset(run, 0, sizeof(*run));
	model_init(&run->model, bytes, head[2] & 3, START_US);
	run->policy.is_closed_on_timeout = head[2] & 4;
	run->policy.buffer_bytes = 65536;
	for (size_t i = 0; i < DEADLINES; i++)
		run->policy.timeouts_us[i] =
			timeouts_us[head[3 + i] % (sizeof(timeouts_us) / sizeof(timeouts_us[0]))];
	for (enum side side = CLIENT; side < SIDES; side++)
		run->policy.dead_after_us[side] = dead_after_us[head[2] >> (3 + 2 * side) & 3];
	arm(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run;

	if (size < HEAD)
		return 0;
	begin(&run, data);
	for (size_t at = HEAD; at + 1 < size && !model_is_over(&run.model); at += 2)
		choose(&run, data[at], data[at + 1]);
	return 0;
}
