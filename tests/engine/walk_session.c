/*
 * Walks every reachable state of a session and its surroundings, breadth first, and tries every
 * move in each: session_model.h says what may happen and what must hold. From each state it also
 * goes two ways to the end: one on which all goes well from here, and one on which nothing happens
 * any more but deadlines. At last it compares the cells it visited with both tables.
 *
 * The session's source is included, because its table of handlers is nobody else's business, and
 * because flow_step() is listened to on its way.
 */
#include <finback/engine/deadline.h>
#include <finback/engine/flow.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum flow_wish heard_flow_step(struct flow *flow, enum flow_event event);

#define flow_step heard_flow_step
#include "engine/session.c" /* NOLINT(bugprone-suspicious-include) */
#undef flow_step

#include "session_model.h"

#define NOW_US       INT64_C(1000000)
#define STATES_MAX   (1U << 19)
#define SLOTS        (1U << 20) /* of the hash tables: never more than half full */
#define KEY_BYTES    72
#define SESSION_KEY  32 /* the first bytes of a key: the session alone */
#define FRIENDLY_MAX 64
#define ALARMS_MAX   1000
#define DAY_US       (INT64_C(86400) * 1000000)

struct key {
	uint8_t bytes[KEY_BYTES];
};

struct state {
	struct model model;
	struct key key;
	uint32_t parent;
	struct move move; /* from the parent to here */
};

static struct state *states;
static uint32_t state_count;
static uint32_t *slots;   /* state number + 1, by key; 0: free */
static uint32_t *quieted; /* the same, for sessions alone that deadlines were tried on */
static uint64_t transitions;

static bool has_visited_flow[FLOW_STATES][FLOW_EVENTS];
static bool has_visited_session[SESSION_OVER][SESSION_EVENTS];
static const char *flow_broken;

static enum flow_wish heard_flow_step(struct flow *flow, enum flow_event event)
{
	if (!flow_can((enum flow_state)flow->state, event)) {
		flow_broken = "an event that the flow has no cell for";
		return FLOW_NO_WISH;
	}
	has_visited_flow[flow->state][event] = true;
	return flow_step(flow, event);
}

static const char *model_before_fact(const struct session *session, const struct fact *fact)
{
	if (session->phase == SESSION_OVER)
		return "a fact for a session that is over";
	if (!handlers[session->phase][fact->event])
		return "a fact that the session has no cell for";
	has_visited_session[session->phase][fact->event] = true;
	return NULL;
}

static void print_move(const struct move *move)
{
	(void)fprintf(stderr, "  %s", move_names[move->kind]);
	if (move->kind >= MOVE_READ && move->kind <= MOVE_INJECT)
		(void)fprintf(stderr, " %s, count %u", side_name(move->side), move->count);
	if (move->kind == MOVE_LOSE)
		(void)fprintf(stderr, ", %s", move->loss == LOSS_DEAD ? "dead" : "reset");
	(void)fprintf(stderr, "%s\n", move->flag ? ", after FIN or gentle" : "");
}

static void print_way(uint32_t number)
{
	if (number == 0)
		return;
	print_way(states[number].parent);
	print_move(&states[number].move);
}

/* Ends the walk with the shortest way to what was broken, and the moves made after it. */
static void fail(uint32_t number, const struct model *model, const struct move *move,
		 const char *broken)
{
	const struct session *session = &model->session;

	(void)fprintf(stderr, "walk_session: %s, after\n", broken);
	print_way(number);
	if (move)
		print_move(move);
	(void)fprintf(stderr, "phase %s, ending %s, flows %s and %s, held %u and %u\n",
		      session_phase_name((enum session_phase)session->phase),
		      ending_name((enum ending)session->ending),
		      flow_state_name((enum flow_state)session->flows[CLIENT].state),
		      flow_state_name((enum flow_state)session->flows[SERVER].state),
		      session->flows[CLIENT].held, session->flows[SERVER].held);
	exit(EXIT_FAILURE);
}

/* Times become what they mean, and what only deadlines care about is left out: the moves do not
 * depend on it. */
static void normalise(struct model *model)
{
	struct session *session = &model->session;

	for (enum side side = CLIENT; side < SIDES; side++) {
		struct flow *flow = &session->flows[side];
		struct leg *leg = &session->legs[side];

		flow->progressed = moment_of(moment_us(flow->progressed) ? NOW_US : 0);
		flow->ended = moment_of(moment_us(flow->ended) ? NOW_US : 0);
		leg->waiting = leg->gained = leg->looked = moment_of(0);
		leg->acked = leg->before = 0;
		leg->vigil = 0;
		leg->is_looked = leg->is_judged = false;
	}
	if (session_spared_us(session) != 0)
		session->spared_or_closing = moment_of(0);
	model->spared_us = 0;
	session->connects = 1;
}

static uint8_t bits(bool a, bool b, bool c, bool d, bool e)
{
	return (uint8_t)(a | b << 1 | c << 2 | d << 3 | e << 4);
}

static struct key key_of(const struct model *model)
{
	const struct session *session = &model->session;
	struct key key = { { session->phase, session->ending, session->closer,
			     bits(session->has_spoken, session->is_discarding,
				  session_connected_us(session), session_half_closed_us(session),
				  session_closing_us(session)) } };
	size_t at = 4;

	for (enum side side = CLIENT; side < SIDES; side++) {
		const struct flow *flow = &session->flows[side];
		const struct leg *leg = &session->legs[side];

		key.bytes[at++] = flow->state;
		key.bytes[at++] = (uint8_t)flow->held;
		key.bytes[at++] =
			bits(moment_us(flow->progressed), moment_us(flow->ended), 0, 0, 0);
		key.bytes[at++] = leg->loss;
		key.bytes[at++] = bits(leg->is_after_fin, leg->has_fin_read, leg->has_fin_sent,
				       leg->is_acked, 0);
	}
	assert(at <= SESSION_KEY);
	at = SESSION_KEY;
	for (enum side side = CLIENT; side < SIDES; side++) {
		const struct model_peer *peer = &model->peers[side];

		key.bytes[at++] = (uint8_t)peer->left;
		key.bytes[at++] = (uint8_t)peer->read;
		key.bytes[at++] = (uint8_t)peer->written;
		key.bytes[at++] = (uint8_t)peer->discarded;
		key.bytes[at++] = (uint8_t)peer->unacked;
		key.bytes[at++] = bits(peer->is_fin_read, peer->is_lost, peer->is_after_fin,
				       peer->is_exhausted, peer->has_fin);
	}
	key.bytes[at++] = (uint8_t)model->servers;
	key.bytes[at++] = (uint8_t)model->expected;
	key.bytes[at++] = (uint8_t)model->closer;
	key.bytes[at++] = bits(model->is_connected, model->is_gentle, model->is_cut_short, 0, 0);
	assert(at <= KEY_BYTES);
	return key;
}

static uint32_t hash(const uint8_t *bytes, size_t size)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
	return (uint32_t)(sum ^ sum >> 32);
}

/* The slot of an equal key, or the free one where it belongs. */
static uint32_t *find(uint32_t *table, const struct key *key, size_t size)
{
	uint32_t at = hash(key->bytes, size) % SLOTS;

	while (table[at] && memcmp(states[table[at] - 1].key.bytes, key->bytes, size) != 0)
		at = (at + 1) % SLOTS;
	return &table[at];
}

static void keep(const struct model *model, uint32_t parent, const struct move *move)
{
	struct key key = key_of(model);
	uint32_t *slot = find(slots, &key, sizeof(key.bytes));

	if (*slot)
		return;
	if (state_count == STATES_MAX)
		fail(parent, model, move, "more states than the walk has room for");
	states[state_count] = (struct state){ *model, key, parent, *move };
	*slot = ++state_count;
}

static void try_move(uint32_t number, const struct move *move)
{
	struct model model = states[number].model;
	const char *broken;

	if (!model_can(&model, move))
		return;
	transitions++;
	broken = model_apply(&model, move);
	if (!broken)
		broken = flow_broken;
	if (broken)
		fail(number, &model, move, broken);
	normalise(&model);
	keep(&model, number, move);
}

/* Every move of every kind; those that cannot be are sorted out by the model. */
static void try_all_moves(uint32_t number, uint32_t count_max)
{
	for (enum move_kind kind = 0; kind < MOVE_KINDS; kind++)
		for (enum side side = CLIENT; side < SIDES; side++)
			for (uint32_t count = 0; count <= count_max; count++)
				for (unsigned how = 0; how < 4; how++) {
					bool is_plain = kind != MOVE_LOSE && kind != MOVE_EXPIRE;
					bool is_sided = kind >= MOVE_READ && kind <= MOVE_INJECT;
					bool is_counted = kind == MOVE_READ || kind == MOVE_WRITE ||
							  kind == MOVE_LOSE || kind == MOVE_LOOK;
					struct move move = { kind,    side,  count, LOSS_NONE,
							     how & 1, false, 0 };

					if ((is_plain && how > 0) || (!is_counted && count > 0) ||
					    (!is_sided && side != CLIENT) ||
					    (kind == MOVE_EXPIRE && how > 1))
						continue;
					if (kind == MOVE_LOSE)
						move.loss = how & 2 ? LOSS_DEAD : LOSS_RESET;
					try_move(number, &move);
				}
}

/* From here on the server answers, both peers send what they have and then their FIN, and take and
 * acknowledge everything. The session must get to its end by that alone. */
static bool find_friendly_move(const struct model *model, struct move *ret_move)
{
	static const enum move_kind order[] = { MOVE_CONNECT, MOVE_WRITE, MOVE_READ,
						MOVE_EXHAUST, MOVE_END,   MOVE_LOOK };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (enum side side = CLIENT; side < SIDES; side++) {
			const struct model_peer *peer = &model->peers[side];
			struct move move = { .kind = order[i], .side = side };

			if (order[i] == MOVE_WRITE)
				move.count = peer->read - peer->written - peer->discarded;
			else if (order[i] == MOVE_READ)
				move.count = peer->left;
			if (model_can(model, &move)) {
				*ret_move = move;
				return true;
			}
		}
	return false;
}

static void go_on_well(uint32_t number)
{
	struct model model = states[number].model;
	struct move move = { 0 };

	for (int i = 0; i < FRIENDLY_MAX && !model_is_over(&model); i++) {
		const char *broken;

		if (!find_friendly_move(&model, &move))
			fail(number, &model, NULL, "stuck though all goes well");
		broken = model_apply(&model, &move);
		if (broken)
			fail(number, &model, &move, broken);
	}
	if (!model_is_over(&model))
		fail(number, &model, &move, "no end though all goes well");
}

/* From here on nothing happens but time, with the default timeouts. Only the session matters. */
static void wait_for_the_end(uint32_t number, bool is_gentle)
{
	struct model model = states[number].model;
	struct session *session = &model.session;
	struct policy policy = { .buffer_bytes = 1 };
	int64_t now_us = NOW_US;

	memcpy(policy.timeouts_us, deadline_defaults_us, sizeof(policy.timeouts_us));
	for (int i = 0; i < ALARMS_MAX && session->phase != SESSION_OVER; i++) {
		struct deadline_at next = deadline_next(session, &policy);
		struct fact fact = { .event = SESSION_EXPIRED, .is_gentle = is_gentle };

		if (next.deadline == DEADLINE_NONE)
			fail(number, &model, NULL, "no deadline in a session that is not over");
		now_us = next.at_us > now_us ? next.at_us : now_us;
		if (next.deadline != DEADLINE_LOOK) {
			fact.ending = deadline_ending(next.deadline);
			(void)session_step(session, &fact, now_us);
			continue;
		}
		for (enum side side = CLIENT; side < SIDES; side++) {
			fact = (struct fact){ SESSION_ACKED, .side = side, .count = 1 };
			if (session_is_outstanding(session, side))
				(void)session_step(session, &fact, now_us);
		}
	}
	if (session->phase != SESSION_OVER || now_us - NOW_US > DAY_US)
		fail(number, &model, NULL, "deadlines alone do not end it");
}

/* Facts that come after the end change nothing. */
static void knock_on_a_closed_door(uint32_t number)
{
	struct model model = states[number].model;

	for (enum session_event event = 0; event < SESSION_EVENTS; event++)
		for (enum side side = CLIENT; side < SIDES; side++) {
			struct session session = model.session;
			struct fact fact = { event,         side, 1,    ENDING_KILLED, LOSS_DEAD,
					     DETECTOR_LINK, 1,    true, true,          true };

			if (session_step(&session, &fact, NOW_US + 1) != 0 ||
			    memcmp(&session, &model.session, sizeof(session)) != 0)
				fail(number, &model, NULL, "over, and changed by a fact");
		}
}

static void visit(uint32_t number, uint32_t count_max)
{
	uint32_t *slot;

	if (model_is_over(&states[number].model)) {
		knock_on_a_closed_door(number);
		return;
	}
	try_all_moves(number, count_max);
	go_on_well(number);
	slot = find(quieted, &states[number].key, SESSION_KEY);
	if (*slot)
		return;
	*slot = number + 1;
	wait_for_the_end(number, false);
	wait_for_the_end(number, true);
}

/* A walk with peers that send up to so many bytes. */
static void walk(uint32_t client_bytes, uint32_t server_bytes)
{
	const uint32_t bytes[SIDES] = { client_bytes, server_bytes };
	uint32_t most = client_bytes > server_bytes ? client_bytes : server_bytes;
	uint32_t before = state_count;
	struct model model;

	model_init(&model, bytes, 1, NOW_US);
	normalise(&model);
	keep(&model, state_count, &(struct move){ 0 });
	for (uint32_t number = before; number < state_count; number++)
		visit(number, most + 1);
}

static int compare_cells(void)
{
	int wrong = 0;

	for (enum flow_state state = 0; state < FLOW_STATES; state++)
		for (enum flow_event event = 0; event < FLOW_EVENTS; event++) {
			bool is_needed = flow_can(state, event);

			if (has_visited_flow[state][event] == is_needed)
				continue;
			(void)fprintf(stderr, "walk_session: flow state %d, %s: %s\n", (int)state,
				      flow_event_name(event),
				      is_needed ? "filled, never visited" : "visited");
			wrong++;
		}
	for (enum session_phase phase = 0; phase < SESSION_OVER; phase++)
		for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
			if (has_visited_session[phase][event] == (handlers[phase][event] != NULL))
				continue;
			(void)fprintf(stderr, "walk_session: %s, %s: filled, never visited\n",
				      session_phase_name(phase), session_event_name(event));
			wrong++;
		}
	return wrong;
}

int main(void)
{
	int wrong;

	states = calloc(STATES_MAX, sizeof(*states));
	slots = calloc(SLOTS, sizeof(*slots));
	quieted = calloc(SLOTS, sizeof(*quieted));
	if (!states || !slots || !quieted) {
		(void)fprintf(stderr, "walk_session: no memory\n");
		return EXIT_FAILURE;
	}
	walk(2, 2);
	wrong = compare_cells();
	printf("walk_session: %u states, %llu transitions\n", state_count,
	       (unsigned long long)transitions);
	free(quieted);
	free(slots);
	free(states);
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
