#ifndef FINBACK_TESTS_ENGINE_SESSION_MODEL_H
#define FINBACK_TESTS_ENGINE_SESSION_MODEL_H

#include <finback/engine/session.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A session together with all that surrounds it: two peers, their kernels' queues, and a relay that
 * gives the session only the facts which it has a reason to give. A move is one such fact with what
 * it does to the surroundings; model_apply() makes it and says which promise was broken, if any.
 *
 * What a peer's kernel holds is decided as late as possible: how much a peer had sent when it is
 * read or lost, how much it had acknowledged when somebody looks. So a walk over all moves covers
 * every order in which these things may really have happened.
 */

enum move_kind {
	MOVE_CONNECT, /* the server answers */
	MOVE_REFUSE,  /* the server does not, and the relay has another one to try */
	MOVE_SPEAK,   /* something of the client's waits while the server is being connected to */
	MOVE_READ,
	MOVE_WRITE, /* `count` bytes of the flow from `side` */
	MOVE_END,
	MOVE_LOSE, /* `count` bytes of it are left in the kernel, and its FIN if `flag` */
	MOVE_EXHAUST,
	MOVE_LOOK,   /* finds `count` bytes unacknowledged by `side` */
	MOVE_INJECT, /* a probe of one byte goes to `side` */
	MOVE_SPARE,
	MOVE_EXPIRE, /* gently if `flag` */
	MOVE_CUT,
	MOVE_KINDS
};

struct move {
	enum move_kind kind;
	enum side side;
	uint32_t count;
	enum loss loss;
	bool flag;
	bool is_judged; /* a look that is to tell the dead from the slow */
	uint8_t vigil;
};

struct model_peer {
	uint32_t left;      /* bytes it may still send; once it is lost, those it did send */
	uint32_t read;      /* of its bytes */
	uint32_t written;   /* of its bytes, to the other peer */
	uint32_t discarded; /* of its bytes */
	uint32_t unacked;   /* by it, our FIN included, at the most */
	bool is_fin_read;
	bool is_lost;
	bool is_after_fin; /* lost, and its FIN is behind what is left */
	bool is_exhausted; /* lost, and the end of what it sent was found */
	bool has_fin;      /* our FIN went to it */
};

struct model {
	struct session session;
	struct model_peer peers[SIDES]; /* what comes from a peer, and how it is */
	int64_t now_us;
	/* When; 0: not yet. */
	int64_t connected_us;
	int64_t half_closed_us;
	int64_t closing_us;
	int64_t spared_us;
	uint32_t servers;     /* left to try after this one */
	enum ending expected; /* by the first cause; ENDING_NONE: complete */
	enum closer closer;
	enum ending due; /* what the next expiry ends with; ENDING_NONE: as fits the phase */
	unsigned wishes; /* raised by the last move */
	bool is_connected;
	bool is_gentle;
	bool is_cut_short; /* by finback, with a reset */
};

/* Given by the includer: called before each fact; a text refuses it. */
static const char *model_before_fact(const struct session *session, const struct fact *fact);

static const char *const move_names[] = {
	[MOVE_CONNECT] = "connect", [MOVE_REFUSE] = "refuse",   [MOVE_SPEAK] = "speak",
	[MOVE_READ] = "read",       [MOVE_WRITE] = "write",     [MOVE_END] = "end",
	[MOVE_LOSE] = "lose",       [MOVE_EXHAUST] = "exhaust", [MOVE_LOOK] = "look",
	[MOVE_INJECT] = "inject",   [MOVE_SPARE] = "spare",     [MOVE_EXPIRE] = "expire",
	[MOVE_CUT] = "cut",
};
static_assert(sizeof(move_names) / sizeof(move_names[0]) == MOVE_KINDS, "a name for each move");

static inline void model_init(struct model *model, const uint32_t bytes[SIDES], uint32_t servers,
			      int64_t now_us)
{
	memset(model, 0, sizeof(*model));
	session_init(&model->session, 1, now_us);
	session_attempt(&model->session, 1, now_us);
	(void)session_take_wishes(&model->session);
	model->now_us = now_us;
	model->servers = servers;
	for (enum side side = CLIENT; side < SIDES; side++)
		model->peers[side].left = bytes[side];
}

static inline bool model_is_over(const struct model *model)
{
	return model->session.phase == SESSION_OVER;
}

/* The relay goes on reading a peer for as long as its flow is open, also within one turn after it
 * read something; when the flow is not open any more, only to throw away. */
static inline bool model_is_reading(const struct model *model, enum side side)
{
	return model->is_connected && model->session.flows[side].state == FLOW_OPEN;
}

static inline bool model_can_lose(const struct model *model, const struct move *move)
{
	const struct model_peer *peer = &model->peers[move->side];

	if (move->loss == LOSS_NONE || (move->side == SERVER && !model->is_connected))
		return false;
	if (peer->is_lost) /* said twice */
		return move->count == 0 && !move->flag;
	if (peer->is_fin_read)
		return move->count == 0 && move->flag;
	return move->count <= peer->left;
}

/* Whether the relay may come to give this fact: by what it sees and what the session wants. */
static inline bool model_can(const struct model *model, const struct move *move)
{
	const struct session *session = &model->session;
	const struct model_peer *peer = &model->peers[move->side];

	if (model_is_over(model))
		return false;
	switch (move->kind) {
	case MOVE_CONNECT:
		return !model->is_connected && !model->is_gentle;
	case MOVE_REFUSE:
		return !model->is_connected && !model->is_gentle && model->servers > 0;
	case MOVE_SPEAK:
		return !model->is_connected && !model->is_gentle && !peer->is_lost &&
		       move->side == CLIENT;
	case MOVE_READ:
		return session_wants_read(session, move->side) && move->count > 0 &&
		       move->count <= peer->left;
	case MOVE_WRITE:
		return session_wants_write(session, other(move->side)) && move->count > 0 &&
		       move->count <= peer->read - peer->written - peer->discarded;
	case MOVE_END:
		return !peer->is_lost && !peer->is_fin_read &&
		       (model_is_reading(model, move->side) ||
			session_wants_discard(session, move->side));
	case MOVE_LOSE:
		return model_can_lose(model, move);
	case MOVE_EXHAUST:
		return peer->is_lost && peer->left == 0 && model_is_reading(model, move->side);
	case MOVE_LOOK:
		return session_is_outstanding(session, move->side) && move->count <= peer->unacked;
	case MOVE_INJECT:
		return session_state(session) == STATE_OPEN &&
		       !session_is_outstanding(session, move->side) &&
		       session->flows[other(move->side)].held == 0;
	case MOVE_SPARE:
		return session_state(session) == STATE_OPEN;
	case MOVE_EXPIRE:
	case MOVE_CUT:
		return true;
	case MOVE_KINDS:
		break;
	}
	return false;
}

static inline enum ending model_deadline(const struct session *session)
{
	if (session->phase == SESSION_CONNECTING)
		return ENDING_CONNECT_TIMEOUT;
	if (session->phase != SESSION_RELAYING)
		return ENDING_UNDELIVERED;
	return session_half_closed_us(session) == 0 ? ENDING_IDLE_TIMEOUT
						    : ENDING_HALF_CLOSED_TIMEOUT;
}

static inline struct fact model_fact(const struct model *model, const struct move *move)
{
	static const enum session_event events[MOVE_KINDS] = {
		[MOVE_CONNECT] = SESSION_CONNECTED, [MOVE_REFUSE] = SESSION_NEXT,
		[MOVE_SPEAK] = SESSION_SPOKE,       [MOVE_READ] = SESSION_READ,
		[MOVE_WRITE] = SESSION_WROTE,       [MOVE_END] = SESSION_ENDED,
		[MOVE_LOSE] = SESSION_LOST,         [MOVE_EXHAUST] = SESSION_EXHAUSTED,
		[MOVE_LOOK] = SESSION_ACKED,        [MOVE_EXPIRE] = SESSION_EXPIRED,
		[MOVE_CUT] = SESSION_CUT,           [MOVE_INJECT] = SESSION_INJECTED,
		[MOVE_SPARE] = SESSION_SPARED,
	};
	struct fact fact = { .event = events[move->kind],
			     .side = move->side,
			     .count = move->count };

	if (move->kind == MOVE_LOSE) {
		fact.loss = move->loss;
		fact.is_after_fin = move->flag;
	} else if (move->kind == MOVE_EXPIRE) {
		fact.ending = model->due ? model->due : model_deadline(&model->session);
		fact.is_gentle = move->flag;
	} else if (move->kind == MOVE_CUT) {
		fact.ending = ENDING_KILLED;
	} else if (move->kind == MOVE_LOOK && move->count > 0) {
		fact.is_judged = move->is_judged;
		fact.vigil = move->vigil;
	}
	return fact;
}

/* The first cause decides how the session will end, and who ended something first. */
static inline void model_expect(struct model *model, enum ending ending, enum closer closer)
{
	if (ending != ENDING_NONE && model->expected == ENDING_NONE)
		model->expected = ending;
	if (model->closer == CLOSER_NONE)
		model->closer = closer;
}

static inline void model_lose(struct model *model, const struct move *move)
{
	struct model_peer *peer = &model->peers[move->side];
	bool is_dead = move->loss == LOSS_DEAD;

	if (peer->is_lost)
		return;
	peer->is_lost = true;
	peer->is_after_fin = move->flag;
	peer->left = move->count;
	if (move->side == CLIENT)
		model_expect(model, is_dead ? ENDING_CLIENT_DEAD : ENDING_CLIENT_RESET,
			     CLOSER_CLIENT);
	else
		model_expect(model, is_dead ? ENDING_SERVER_DEAD : ENDING_SERVER_RESET,
			     CLOSER_SERVER);
}

/* What the move does to the surroundings. */
static inline void model_move(struct model *model, const struct move *move, const struct fact *fact)
{
	struct model_peer *peer = &model->peers[move->side];

	switch (move->kind) {
	case MOVE_CONNECT:
		model->is_connected = true;
		break;
	case MOVE_READ:
		peer->left -= move->count;
		peer->read += move->count;
		break;
	case MOVE_WRITE:
		peer->written += move->count;
		model->peers[other(move->side)].unacked += move->count;
		break;
	case MOVE_END:
		peer->is_fin_read = true;
		peer->left = 0;
		model_expect(model, ENDING_NONE,
			     move->side == CLIENT ? CLOSER_CLIENT : CLOSER_SERVER);
		break;
	case MOVE_LOSE:
		model_lose(model, move);
		break;
	case MOVE_EXHAUST:
		peer->is_exhausted = true;
		break;
	case MOVE_LOOK:
		peer->unacked = move->count;
		break;
	case MOVE_INJECT:
		peer->unacked++;
		break;
	case MOVE_EXPIRE:
	case MOVE_CUT:
		/* Only a session that nothing has ended yet can be ended gently. */
		if (move->kind == MOVE_EXPIRE && move->flag && model->expected == ENDING_NONE &&
		    model->session.phase <= SESSION_RELAYING)
			model->is_gentle = true;
		else
			model->is_cut_short = true;
		model_expect(model, fact->ending, CLOSER_FINBACK);
		break;
	case MOVE_REFUSE:
	case MOVE_SPEAK:
	case MOVE_SPARE:
	case MOVE_KINDS:
		break;
	}
}

static inline const char *model_send_fin(struct model *model, enum side side)
{
	struct model_peer *sink = &model->peers[side];
	const struct model_peer *source = &model->peers[other(side)];

	if (sink->has_fin)
		return "a second FIN";
	if (sink->is_lost)
		return "a FIN for a side that is lost";
	if (side == SERVER && !model->is_connected)
		return "a FIN for a server that is not connected";
	if (source->discarded > 0)
		return "a FIN after bytes were thrown away";
	if (source->written != source->read)
		return "a FIN that overtakes bytes held";
	if (!model->is_gentle && !source->is_fin_read &&
	    !(source->is_exhausted && source->is_after_fin))
		return "a FIN that the other side never sent";
	if (!model->is_gentle && source->left > 0)
		return "a FIN that overtakes bytes unread";
	sink->has_fin = true;
	sink->unacked++;
	return NULL;
}

static inline const char *model_discard(struct model *model, enum side side)
{
	struct model_peer *peer = &model->peers[side];

	if (!model->peers[other(side)].is_lost && !(model->is_gentle && !model->is_connected))
		return "bytes thrown away whose reader is there";
	peer->discarded = peer->read - peer->written;
	return NULL;
}

/* Carries out the wishes as a relay would, and judges each. */
static inline const char *model_carry_out(struct model *model, unsigned wishes)
{
	const char *broken = NULL;

	for (enum side side = CLIENT; side < SIDES && !broken; side++) {
		if (wishes & WISH_DISCARD(side))
			broken = model_discard(model, side);
		if (!broken && (wishes & WISH_FIN(side)))
			broken = model_send_fin(model, side);
	}
	if (broken)
		return broken;
	if ((wishes & WISH_ABANDON_SERVER) && (model->is_connected || !model->is_gentle))
		return "a connect attempt dropped for nothing";
	if ((wishes & WISH_NEXT_SERVER) && (wishes & WISH_ABANDON_SERVER))
		return "the next server wanted, and none";
	if (wishes & WISH_NEXT_SERVER) {
		if (model->is_connected || model->servers == 0)
			return "a next server wanted for nothing";
		model->servers--;
		session_attempt(&model->session, 2, model->now_us);
		(void)session_take_wishes(&model->session);
	}
	return NULL;
}

static inline const char *model_check_bytes(const struct model *model)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		const struct flow *flow = &model->session.flows[side];
		const struct model_peer *peer = &model->peers[side];

		if (flow->bytes != peer->read)
			return "bytes read that are not counted, or the reverse";
		if (flow->held != peer->read - peer->written - peer->discarded)
			return "bytes lost or invented";
	}
	return NULL;
}

static inline const char *model_check_side(const struct model *model, enum side side)
{
	const struct session *session = &model->session;
	const struct model_peer *peer = &model->peers[side];
	const struct model_peer *source = &model->peers[other(side)];
	bool is_there = side == CLIENT || model->is_connected;
	bool wants_read = session_wants_read(session, side);
	bool wants_discard = session_wants_discard(session, side);

	if ((wants_read || wants_discard) && (!is_there || peer->is_fin_read || peer->is_exhausted))
		return "wants to read a side that has nothing to read";
	if (wants_read && (!model->is_connected || model->peers[other(side)].is_lost))
		return "wants to read for a side that takes nothing";
	if (wants_discard && (!model->is_gentle || peer->is_lost || wants_read))
		return "wants to throw away without a cause";
	if (session_wants_write(session, side) &&
	    (!is_there || peer->is_lost || peer->has_fin ||
	     source->read == source->written + source->discarded))
		return "wants to write what it has not, or to a side that takes nothing";
	if (session_is_outstanding(session, side) && (!is_there || peer->is_lost))
		return "something outstanding where nothing can be";
	if (!session_is_outstanding(session, side) && peer->unacked > 0 && !peer->is_lost)
		return "takes for acknowledged what is not";
	if (model_is_over(model) &&
	    (wants_read || wants_discard || session_wants_write(session, side)))
		return "wants something though it is over";
	return NULL;
}

/* Everything that came from the lost side got to the other, which had no cause to go too. */
static inline const char *model_check_delivered(const struct model *model, enum side lost)
{
	const struct model_peer *peer = &model->peers[lost];
	const struct model_peer *survivor = &model->peers[other(lost)];

	if (!model->is_connected)
		return peer->left > 0 && !model->is_gentle ? "over without what the client sent"
							   : NULL;
	if (peer->left > 0 && !model->is_gentle)
		return "over with bytes of the lost side unread";
	if (peer->written != peer->read)
		return "over with bytes of the lost side held";
	if (survivor->unacked > 0)
		return "over with bytes of the lost side unacknowledged";
	if ((peer->is_fin_read || peer->is_after_fin) && !survivor->has_fin)
		return "over without the genuine FIN of the lost side";
	return NULL;
}

static inline const char *model_check_complete(const struct model *model)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		const struct model_peer *peer = &model->peers[side];

		if (side == SERVER && !model->is_connected)
			return model->is_gentle ? NULL : "complete without a server";
		if (!peer->is_fin_read)
			return "complete without a FIN from each side";
		if (!peer->has_fin)
			return "complete without a FIN to each side";
		if (peer->unacked > 0)
			return "complete before everything was acknowledged";
		if (peer->written != peer->read)
			return "complete with bytes missing";
	}
	return NULL;
}

static inline const char *model_check_over(const struct model *model)
{
	const struct session *session = &model->session;
	enum ending expected = model->expected ? model->expected : ENDING_COMPLETE;

	if (session->ending == ENDING_NONE)
		return "over without an ending";
	if (session->ending != expected)
		return "not the ending of the first cause";
	if (model->is_cut_short)
		return NULL;
	if (model->peers[CLIENT].is_lost && model->peers[SERVER].is_lost)
		return NULL;
	if (model->peers[CLIENT].is_lost)
		return model_check_delivered(model, CLIENT);
	if (model->peers[SERVER].is_lost)
		return model_check_delivered(model, SERVER);
	return model_check_complete(model);
}

/* Where users would say that it is. */
static inline enum session_state model_state(const struct model *model)
{
	const struct model_peer *client = &model->peers[CLIENT];
	const struct model_peer *server = &model->peers[SERVER];

	if (model_is_over(model) || model->is_gentle)
		return STATE_CLOSING;
	if (!model->is_connected)
		return STATE_CONNECTING;
	if (client->is_lost || server->is_lost || (client->is_fin_read && server->is_fin_read))
		return STATE_CLOSING;
	if (client->is_fin_read)
		return STATE_HALF_CLOSED_CLIENT;
	return server->is_fin_read ? STATE_HALF_CLOSED_SERVER : STATE_OPEN;
}

static inline bool model_is_any_lost(const struct model *model)
{
	return model->peers[CLIENT].is_lost || model->peers[SERVER].is_lost;
}

/* When that which users are told of began. Who is cut short was not on the way out; who is lost on
 * it has another way to go from there. */
static inline void model_note_times(const struct model *before, struct model *after,
				    const struct move *move)
{
	enum session_state from = model_state(before);
	enum session_state to = model_state(after);
	bool is_lost = model_is_any_lost(after) && !model_is_any_lost(before);
	int64_t now_us = after->now_us;

	if (after->is_connected && !before->is_connected)
		after->connected_us = now_us;
	if (move->kind == MOVE_SPARE)
		after->spared_us = now_us;
	if (move->kind == MOVE_END && from == STATE_OPEN)
		after->half_closed_us = now_us;
	if (to == STATE_CLOSING && (from != STATE_CLOSING || is_lost) && !after->is_cut_short &&
	    (after->is_connected || after->is_gentle))
		after->closing_us = now_us;
}

static inline const char *model_check_times(const struct model *model)
{
	const struct session *session = &model->session;

	if (session_connected_us(session) != model->connected_us)
		return "not the time when the server was connected";
	if (session_half_closed_us(session) != model->half_closed_us)
		return "not the time since when it was half-closed";
	if (session_closing_us(session) != model->closing_us)
		return "not the time since when it is closing";
	if (model_state(model) == STATE_OPEN && session_spared_us(session) != model->spared_us)
		return "not the time when it was spared";
	return NULL;
}

static inline const char *model_check(const struct model *model)
{
	const struct session *session = &model->session;
	const char *broken = model_check_bytes(model);

	for (enum side side = CLIENT; side < SIDES && !broken; side++)
		broken = model_check_side(model, side);
	if (!broken)
		broken = model_check_times(model);
	if (broken)
		return broken;
	if (session_state(session) != model_state(model))
		return "not in the state that users are told";
	if (model_is_over(model))
		return model_check_over(model);
	if (model->is_cut_short)
		return "cut short, and not over";
	if (model->peers[CLIENT].is_lost && model->peers[SERVER].is_lost)
		return "both sides lost, and not over";
	if (session->ending != model->expected)
		return "an ending without its cause, or the reverse";
	if (session->closer != model->closer)
		return "not the one who ended something first";
	return NULL;
}

/* Whether all that is missing is the survivor's acknowledgement, of which the kernel says nothing
 * by itself: somebody must look. */
static inline bool model_waits_for_a_look(const struct model *model)
{
	for (enum side side = CLIENT; side < SIDES; side++)
		if (model->peers[side].is_lost && !model_is_over(model) &&
		    flow_is_over(&model->session.flows[side]))
			return session_is_outstanding(&model->session, other(side));
	return false;
}

/* The wishes that a move must raise, whatever else it raises. */
static inline unsigned model_needed_wishes(const struct model *before, const struct model *after,
					   const struct move *move)
{
	unsigned needed = 0;

	if (move->kind == MOVE_REFUSE)
		needed |= WISH_NEXT_SERVER;
	if (after->is_gentle && !before->is_gentle && !after->is_connected)
		needed |= WISH_ABANDON_SERVER;
	if (model_waits_for_a_look(after) && !model_waits_for_a_look(before))
		needed |= WISH_LOOK;
	return needed;
}

/* Makes a move, which must be possible. Returns NULL, or which promise was broken. */
static inline const char *model_apply(struct model *model, const struct move *move)
{
	struct fact fact = model_fact(model, move);
	struct model before = *model;
	const char *broken = model_before_fact(&model->session, &fact);

	if (broken)
		return broken;
	model_move(model, move, &fact);
	(void)session_step(&model->session, &fact, model->now_us);
	model_note_times(&before, model, move);
	model->wishes = session_take_wishes(&model->session);
	if (session_take_wishes(&model->session) != 0)
		return "wishes taken and still there";
	if (before.session.ending != ENDING_NONE && model->session.ending != before.session.ending)
		return "the ending changed";
	if (model_needed_wishes(&before, model, move) & ~model->wishes)
		return "a wish is missing";
	broken = model_carry_out(model, model->wishes);
	return broken ? broken : model_check(model);
}

#endif
