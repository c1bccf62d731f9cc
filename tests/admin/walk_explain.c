/*
 * admin/explain, tried for truth: sessions with two peers and their kernels around them go random
 * ways, and at each step the sentence is held against what the peers and the kernels really did.
 * What a kernel has got acknowledged the session may not have noticed; the sentence must know.
 */
#include <finback/admin/explain.h>
#include <finback/engine/deadline.h>

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "../engine/session_model.h"

#define WALKS     10000
#define STEPS     60
#define START_US  INT64_C(1000000000)
#define SECOND_US INT64_C(1000000)
#define TRIES     40 /* to find a move that is possible */

struct walk {
	struct model model;
	struct session_view view;
	uint32_t in_kernel[SIDES]; /* for that side, and not acknowledged: never more than the model
				    * holds for possible */
	uint32_t behind[SIDES];    /* a probe: what went to that side after the last one */
	bool is_probed[SIDES];
	bool is_spared; /* idle passed, and nothing has moved since */
	char text[EXPLANATION_MAX];
};

static uint64_t seed = 2463534242;
static uint64_t sentences;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static const char *model_before_fact(const struct session *session, const struct fact *fact)
{
	(void)session;
	(void)fact;
	return NULL;
}

/* ---- one claim each -----------------------------------------------------------------------------
 */

static void require(const struct walk *walk, bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s: %s\n", what, walk->text);
	exit(1);
}

/* Whether the sentence has these words, with the side's name in place of "%s". */
static bool says(const struct walk *walk, const char *format, enum side side)
{
	char words[128];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(words, sizeof words, format, side_name(side));
#pragma GCC diagnostic pop
	return strstr(walk->text, words) != NULL;
}

static uint32_t held_for(const struct walk *walk, enum side side)
{
	const struct model_peer *source = &walk->model.peers[other(side)];

	return source->read - source->written - source->discarded;
}

/* What the other peer sent, and the FIN, of that which its kernel holds for a side. A probe goes
 * before them. */
static uint32_t sent_in_kernel(const struct walk *walk, enum side side)
{
	uint32_t in_kernel = walk->in_kernel[side];

	if (walk->is_probed[side] && in_kernel > walk->behind[side])
		return walk->behind[side];
	return in_kernel;
}

static void check_probes(const struct walk *walk, enum side side)
{
	const struct probe_view *probe = &walk->view.probes[side];
	bool is_awaited = probe->is_on && probe->mode == PROBE_AWAITING;

	if (says(walk, "the %s has not acknowledged a probe", side))
		require(walk, walk->in_kernel[side] > 0 && sent_in_kernel(walk, side) == 0,
			"it is no probe");
	if (says(walk, "the %s has not acknowledged", side) &&
	    !says(walk, "the %s has not acknowledged a probe", side))
		require(walk, sent_in_kernel(walk, side) > 0, "it is a probe");
	if (says(walk, "a probe was sent to the %s", side))
		require(walk, is_awaited && !walk->view.is_brief, "no answer is awaited");
	if (says(walk, "without which the %s is dead", side))
		require(walk, is_awaited && probe->is_fatal, "its silence is not held against it");
}

/* What is said of the deaths to come and of deadlines that spare. */
static void check_outlook(const struct walk *walk)
{
	const struct session_view *view = &walk->view;
	unsigned unanswered = 0;

	for (enum side side = CLIENT; side < SIDES; side++)
		if (view->dead_after_us[side] > 0)
			unanswered |= view->tcp[side].retransmits | view->tcp[side].probes;
	if (strstr(walk->text, "taken for dead"))
		require(walk, unanswered > 0 && !view->is_brief, "nothing is unanswered");
	if (strstr(walk->text, "spared by"))
		require(walk, walk->is_spared && view->is_sparing_alive, "it was not spared");
	if (strstr(walk->text, "is put off"))
		require(walk, !walk->is_spared && view->is_sparing_alive, "it is not put off");
	if (strstr(walk->text, "; idle ends it"))
		require(walk, !view->is_sparing_alive, "it does not, where both are alive");
}

static void check_side(const struct walk *walk, enum side side)
{
	const struct model_peer *peer = &walk->model.peers[side];
	uint32_t in_kernel = walk->in_kernel[side];

	if (says(walk, "waits for the %s, which acknowledged everything", side))
		require(walk, in_kernel == 0 && held_for(walk, side) == 0, "it did not");
	if (says(walk, "the %s has not acknowledged", side))
		require(walk, in_kernel > 0 && held_for(walk, side) == 0, "it did");
	if (says(walk, "waits for the %s to acknowledge", side))
		require(walk, in_kernel > 0 || (walk->view.is_brief && peer->unacked > 0),
			"nothing is to be acknowledged");
	if (says(walk, "waits for the %s to take", side))
		require(walk, held_for(walk, side) > 0, "nothing is held");
	if (says(walk, "the %s finished sending", side) ||
	    says(walk, "the %s, which had finished sending", side))
		require(walk, peer->is_fin_read || peer->is_after_fin, "it did not finish");
	if (says(walk, "the %s has sent nothing yet", side) ||
	    says(walk, "the %s, which has sent nothing yet", side))
		require(walk, peer->read == 0, "it did send something");
	if (says(walk, "bytes move from the %s", side) || strstr(walk->text, "in both directions"))
		require(walk, peer->read > 0, "nothing came from it");
	if (says(walk, "the %s reset the connection", side) || says(walk, "the %s was found", side))
		require(walk, peer->is_lost, "it was not lost");
}

static void check_whole(const struct walk *walk)
{
	const struct model *model = &walk->model;

	if (strstr(walk->text, "both sides finished sending"))
		require(walk, model->peers[CLIENT].is_fin_read && model->peers[SERVER].is_fin_read,
			"they did not");
	if (strstr(walk->text, "both directions are open") || strstr(walk->text, "bytes move"))
		require(walk, model_state(model) == STATE_OPEN, "they are not open");
	if (strstr(walk->text, "everything is acknowledged"))
		require(walk, walk->in_kernel[CLIENT] + walk->in_kernel[SERVER] == 0,
			"not everything");
	if (strstr(walk->text, "finback ended it"))
		require(walk, model->is_gentle, "finback did not");
	if (strstr(walk->text, " ends as "))
		require(walk, strstr(walk->text, ending_name(model->expected)) != NULL,
			"another ending");
}

/* At the end each side that is waited for is named. */
static void check_nothing_is_missing(const struct walk *walk, enum side side)
{
	bool is_waited_for = held_for(walk, side) > 0 || walk->in_kernel[side] > 0;

	if (walk->model.session.phase != SESSION_CLOSING || !is_waited_for)
		return;
	require(walk,
		says(walk, "for the %s to", side) || says(walk, "the %s has not", side) ||
			(walk->view.is_brief && walk->in_kernel[side] > 0),
		"nothing of who is waited for");
}

/* ---- a walk -------------------------------------------------------------------------------------
 */

static bool is_there(const struct model *model, enum side side)
{
	return side == CLIENT || model->is_connected;
}

/* What the kernel would say: some of what may be unacknowledged may be by now. */
static void ask_kernel(struct walk *walk, enum side side)
{
	const struct model_peer *peer = &walk->model.peers[side];
	struct tcp_facts *tcp = &walk->view.tcp[side];
	uint32_t fewest = 0;

	*tcp = (struct tcp_facts){ .state = is_there(&walk->model, side) ? TCP_ESTABLISHED : 0 };
	if (walk->in_kernel[side] > peer->unacked)
		walk->in_kernel[side] = peer->unacked;
	if (peer->is_lost)
		walk->in_kernel[side] = 0;
	if (walk->in_kernel[side] > 0 && any(4) > 0)
		fewest = walk->in_kernel[side]; /* nothing happened */
	walk->in_kernel[side] =
		fewest + (uint32_t)any(walk->in_kernel[side] - fewest + (uint64_t)1);
	tcp->unsent_bytes = (uint32_t)any(walk->in_kernel[side] + (uint64_t)1);
	tcp->unacked_bytes = walk->in_kernel[side] - tcp->unsent_bytes;
	tcp->retransmits = tcp->unacked_bytes > 0 ? (uint8_t)any(4) : 0;
	tcp->probes = tcp->unacked_bytes == 0 ? (uint8_t)any(3) : 0;
	tcp->unread_bytes = (uint32_t)any(peer->left + (uint64_t)1);
	tcp->last_heard_ms = (uint32_t)any(100000);
}

/* What a configuration may ask for, and how its probes may stand. */
static void configure(struct walk *walk, enum side side)
{
	walk->view.dead_after_us[side] = (int64_t)any(3) * 50 * SECOND_US;
	walk->view.probes[side] = (struct probe_view){
		.is_on = any(2) == 0,
		.mode = (uint8_t)any(PROBE_MODES),
		.is_fatal = any(2) == 0,
		.sent_us = walk->model.now_us - SECOND_US,
		.due_us = walk->model.now_us + (int64_t)any(5) * SECOND_US,
	};
}

static void look_at(struct walk *walk)
{
	struct policy policy = { .buffer_bytes = 4096 };

	for (size_t i = 0; i < DEADLINES; i++)
		policy.timeouts_us[i] = deadline_defaults_us[i];
	walk->view.session = walk->model.session;
	walk->view.now_us = walk->model.now_us + (int64_t)any(3) * SECOND_US;
	walk->view.server_name = "big";
	walk->view.is_brief = any(4) == 0;
	walk->view.ending = deadline_ending_next(&walk->model.session, &policy);
	walk->view.is_sparing_alive = any(2) == 0;
	for (enum side side = CLIENT; side < SIDES; side++) {
		configure(walk, side);
		ask_kernel(walk, side);
	}
	explain_session(&walk->view, walk->text);
	sentences++;
	check_whole(walk);
	check_outlook(walk);
	for (enum side side = CLIENT; side < SIDES; side++) {
		check_side(walk, side);
		check_probes(walk, side);
		check_nothing_is_missing(walk, side);
	}
}

static bool find_move(const struct walk *walk, struct move *ret_move)
{
	for (int i = 0; i < TRIES; i++) {
		struct move move = {
			.kind = (enum move_kind)any(MOVE_KINDS),
			.side = (enum side)any(SIDES),
			.count = (uint32_t)any(6),
			.loss = any(2) == 0 ? LOSS_RESET : LOSS_DEAD,
			.flag = any(2) == 0,
		};

		/* Ends are for later: else a walk is short. */
		if ((move.kind == MOVE_LOSE || move.kind >= MOVE_EXPIRE) && any(16) > 0)
			continue;
		/* A look finds what there is. */
		if (move.kind == MOVE_LOOK)
			move.count = walk->in_kernel[move.side];
		*ret_move = move;
		if (model_can(&walk->model, &move))
			return true;
	}
	return false;
}

/* What a move sends goes to the kernel. */
static void follow(struct walk *walk, const struct move *move, const struct model *before)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		uint32_t unacked = walk->model.peers[side].unacked;

		if (unacked <= before->peers[side].unacked)
			continue;
		walk->in_kernel[side] += unacked - before->peers[side].unacked;
		walk->behind[side] += unacked - before->peers[side].unacked;
	}
	if (move->kind == MOVE_INJECT) {
		walk->is_probed[move->side] = true;
		walk->behind[move->side] = 0;
	}
	if (move->kind == MOVE_SPARE)
		walk->is_spared = true;
	else if (session_progress_us(&walk->model.session) > session_progress_us(&before->session))
		walk->is_spared = false;
}

static void go(void)
{
	static struct walk walk;
	const uint32_t bytes[SIDES] = { (uint32_t)any(12), (uint32_t)any(12) };
	struct move move;

	memset(&walk, 0, sizeof walk);
	model_init(&walk.model, bytes, 1, START_US);
	for (int step = 0; step < STEPS && !model_is_over(&walk.model); step++) {
		struct model before = walk.model;
		const char *broken;

		look_at(&walk);
		if (!find_move(&walk, &move))
			return;
		walk.model.now_us += (int64_t)any(2 * SECOND_US);
		broken = model_apply(&walk.model, &move);
		require(&walk, !broken, broken ? broken : "");
		follow(&walk, &move, &before);
	}
}

int main(void)
{
	for (int i = 0; i < WALKS; i++)
		go();
	printf("walk_explain: %llu sentences, all true\n", (unsigned long long)sentences);
	return 0;
}
