#ifndef FINBACK_TESTS_ENGINE_PROBE_HARNESS_H
#define FINBACK_TESTS_ENGINE_PROBE_HARNESS_H

#include <finback/engine/probe.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * What the tests of the probes' parsers share: a talk between two peers through a probe, made by
 * hand, and the check of a recorded session. To be included after nothing but finback's headers.
 *
 * By hand:
 *
 *	struct talk talk;
 *	talk_start(&talk, &settings, SERVER);
 *	SAYS(&talk, CLIENT, "GET a\r\n");     what was said must arrive
 *	assert_true(talk_may(&talk));          a probe may go out here
 *
 * Recorded: runs of bytes from one side after the other, as they happened. check_recording() cuts
 * them into reads in every way that is told below, sends a probe wherever one may go, lets the
 * target answer it (at once, in pieces, or together with what it says next), and asserts that each
 * end received what the other sent, that where a probe may go does not depend on the cuts, and that
 * the parser understood all of it.
 */

#define TALK_MAX 16384

struct pile {
	size_t size;
	unsigned char bytes[TALK_MAX];
};

struct talk {
	const struct probe_settings *settings;
	struct probe probe;
	size_t probes;               /* that went out */
	size_t swallowed;            /* bytes of answers */
	struct pile sent[SIDES];     /* by that side, without answers to probes */
	struct pile received[SIDES]; /* by that side, without probes */
};

/* Bytes that one side sent, one read or many, before the other side went on. */
struct run {
	enum side from;
	const char *bytes;
	size_t size;
};

#define FROM(side, literal)                            \
	{                                              \
		(side), (literal), sizeof(literal) - 1 \
	}
#define FROM_CLIENT(literal) FROM(CLIENT, literal)
#define FROM_SERVER(literal) FROM(SERVER, literal)
/* For what is longer than a literal may be, or has no text in it. */
#define FROM_ARRAY(side, array)                              \
	{                                                    \
		(side), (const char *)(array), sizeof(array) \
	}

struct recording {
	const struct probe_settings *settings;
	enum side target;
	const struct run *runs;
	size_t runs_size;
	const char *answer; /* what the target says to a probe; NULL: nothing */
	size_t answer_size;
	size_t places; /* how many places a probe may go to, byte by byte; 0: not looked at */
};

/* An array, and how many it has. */
#define ALL(array)  (array), sizeof(array) / sizeof *(array)
#define RUNS(array) ALL(array)

/* When the target answers a probe. */
enum answering {
	ANSWER_AT_ONCE,
	ANSWER_IN_PIECES,   /* byte by byte, and the other side may speak in between: it does not */
	ANSWER_WITH_NEXT,   /* in one read with what it says next */
	ANSWER_AROUND_NEXT, /* its first half at once, the rest in one read with what it says next
			     */
	ANSWERINGS
};

/* How many bytes pairs of cuts may cost a recording. */
#define PAIRS_COST 8000000

/* --- A talk by hand --- */

static inline void pile_put(struct pile *pile, const void *bytes, size_t size)
{
	assert_true(size <= sizeof pile->bytes - pile->size);
	if (size > 0)
		memcpy(pile->bytes + pile->size, bytes, size);
	pile->size += size;
}

static inline void talk_start(struct talk *talk, const struct probe_settings *settings,
			      enum side target)
{
	talk->settings = settings;
	talk->probes = talk->swallowed = 0;
	for (enum side side = CLIENT; side < SIDES; side++)
		talk->sent[side].size = talk->received[side].size = 0;
	probe_init(&talk->probe, settings, target);
}

/* One read of bytes from `from`, in memory of exactly the size that is promised. */
static inline void talk_read(struct talk *talk, enum side from, const void *bytes, size_t size)
{
	unsigned char *memory = malloc(PROBE_HELD_MAX + size);
	unsigned char *at = NULL;
	size_t swallowed = 0;
	size_t passed;

	assert_non_null(memory);
	if (size > 0)
		memcpy(memory + PROBE_HELD_MAX, bytes, size);
	passed = probe_take(&talk->probe, talk->settings, from, memory + PROBE_HELD_MAX, size, &at,
			    &swallowed);
	assert_true(at >= memory && at + passed <= memory + PROBE_HELD_MAX + size);
	pile_put(&talk->received[other(from)], at, passed);
	talk->swallowed += swallowed;
	free(memory);
}

/* A peer says something of its own, in one read. */
static inline void talk_says(struct talk *talk, enum side from, const void *bytes, size_t size)
{
	pile_put(&talk->sent[from], bytes, size);
	talk_read(talk, from, bytes, size);
}

#define SAYS(talk, from, literal) talk_says((talk), (from), (literal), sizeof(literal) - 1)
/* The target answers a probe: read as all bytes are, and not to be received. */
#define ANSWERS(talk, literal) \
	talk_read((talk), (enum side)(talk)->probe.target, (literal), sizeof(literal) - 1)

static inline bool talk_may(const struct talk *talk)
{
	return probe_can_send(&talk->probe);
}

/* Sends a probe; returns its size. */
static inline size_t talk_probe(struct talk *talk, unsigned char message[PROBE_MESSAGE_MAX])
{
	size_t size = probe_send(&talk->probe, talk->settings, message);

	assert_in_range(size, 1, PROBE_MESSAGE_MAX);
	talk->probes++;
	return size;
}

/* A probe that must be possible and must be this. */
#define PROBES(talk, literal)                                                              \
	do {                                                                               \
		unsigned char probes_message[PROBE_MESSAGE_MAX];                           \
		assert_true(talk_may(talk));                                               \
		assert_int_equal(talk_probe((talk), probes_message), sizeof(literal) - 1); \
		assert_memory_equal(probes_message, (literal), sizeof(literal) - 1);       \
	} while (0)

/* The flow from `from` ends, and what was held of it is passed on. */
static inline void talk_ends(struct talk *talk, enum side from)
{
	size_t held = probe_end(&talk->probe, from);

	pile_put(&talk->received[other(from)], talk->probe.held, held);
}

/* Each side has received what the other sent: all of it, nothing else, in order. */
static inline void talk_is_whole(const struct talk *talk)
{
	for (enum side from = CLIENT; from < SIDES; from++) {
		const struct pile *sent = &talk->sent[from];
		const struct pile *received = &talk->received[other(from)];

		assert_int_equal(received->size, sent->size);
		assert_memory_equal(received->bytes, sent->bytes, sent->size);
	}
}

static inline bool talk_is_off(const struct talk *talk)
{
	return talk->probe.mode == PROBE_OFF;
}

/* --- What every parser must do --- */

/* Brings a talk from nothing to somewhere. */
typedef void talk_set_up(struct talk *talk);

/* What turns probing off, and where. */
struct misfit {
	talk_set_up *set_up;
	struct run run;
};

/* For good; and all that is said later is passed on. */
static inline void check_misfits(const struct misfit *misfits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct run *run = &misfits[i].run;
		struct talk talk;

		misfits[i].set_up(&talk);
		assert_false(talk_is_off(&talk));
		talk_says(&talk, run->from, run->bytes, run->size);
		if (!talk_is_off(&talk))
			fail_msg("misfit %zu was understood", i);
		SAYS(&talk, run->from, "\x16\x03\x01 anything\0\r\n");
		SAYS(&talk, other(run->from), "anything\r\n\0");
		assert_true(talk_is_off(&talk));
		assert_false(talk_may(&talk));
		talk_is_whole(&talk);
	}
}

/* Where the set-up leads to, one may go out, and none once a flow has ended. */
static inline void check_not_after_an_end(talk_set_up *set_up)
{
	for (enum side side = CLIENT; side < SIDES; side++) {
		struct talk talk;

		set_up(&talk);
		assert_true(talk_may(&talk));
		talk_ends(&talk, side);
		assert_false(talk_may(&talk));
		assert_true(probe_is_done(&talk.probe));
		talk_is_whole(&talk);
	}
}

/* In the middle of a message: none may go out after any of these pieces of it. */
static inline void talk_says_pieces(struct talk *talk, enum side from, const char *const pieces[],
				    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		talk_says(talk, from, pieces[i], strlen(pieces[i]));
		assert_false(talk_may(talk));
	}
}

/* Messages that leave a probe where it may go out. */
static inline void talk_says_ordinary(struct talk *talk, const char *const messages[], size_t count)
{
	unsigned char message[PROBE_MESSAGE_MAX];

	for (size_t i = 0; i < count; i++) {
		talk_says(talk, CLIENT, messages[i], strlen(messages[i]));
		assert_true(talk_may(talk));
		(void)talk_probe(talk, message);
	}
	talk_is_whole(talk);
}

/* --- A recorded session --- */

/* One way to play a recording. */
struct play {
	const struct recording *recording;
	struct talk talk;
	enum answering answering;
	size_t owed;         /* bytes of an answer that the target has yet to say */
	const bool *cuts;    /* [offset]: whether a read ends before that byte */
	const bool *allowed; /* [offset]: whether a probe may go there; NULL: not known yet */
	const bool *probed;  /* [offset]: whether one goes there, where it may; NULL: everywhere */
	bool *ret_allowed;   /* to be filled in, sending none */
	size_t offset;       /* of all bytes of the recording */
};

static inline uint64_t harness_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static inline size_t recording_size(const struct recording *recording)
{
	size_t size = 0;

	for (size_t i = 0; i < recording->runs_size; i++)
		size += recording->runs[i].size;
	return size;
}

/* Says `size` bytes of what is owed, before `next_size` bytes of the target's own, in one read. */
static inline void play_answer(struct play *play, size_t size, const char *next, size_t next_size)
{
	const struct recording *recording = play->recording;
	static unsigned char read[TALK_MAX];

	assert_true(size + next_size <= sizeof read);
	if (size > 0)
		memcpy(read, recording->answer + recording->answer_size - play->owed, size);
	if (next_size > 0)
		memcpy(read + size, next, next_size);
	play->owed -= size;
	pile_put(&play->talk.sent[recording->target], next, next_size);
	talk_read(&play->talk, recording->target, read, size + next_size);
}

/* A side says bytes of its own; the target, what it owes before them. */
static inline void play_says(struct play *play, enum side from, const char *bytes, size_t size)
{
	if (from == play->recording->target && play->owed > 0)
		play_answer(play, play->owed, bytes, size);
	else
		talk_says(&play->talk, from, bytes, size);
}

/* One that is taken back leaves nothing behind. */
static inline void play_cancelled_probe(struct play *play)
{
	struct probe before = play->talk.probe;
	unsigned char message[PROBE_MESSAGE_MAX];

	(void)probe_send(&play->talk.probe, play->talk.settings, message);
	probe_cancel(&play->talk.probe);
	assert_memory_equal(&play->talk.probe, &before, sizeof before);
}

static inline void play_probe(struct play *play)
{
	const struct recording *recording = play->recording;
	unsigned char message[PROBE_MESSAGE_MAX];

	play_cancelled_probe(play);
	(void)talk_probe(&play->talk, message);
	if (!recording->answer)
		return;
	play->owed = recording->answer_size;
	if (play->answering == ANSWER_AT_ONCE)
		play_answer(play, play->owed, NULL, 0);
	while (play->answering == ANSWER_IN_PIECES && play->owed > 0)
		play_answer(play, 1, NULL, 0);
	if (play->answering == ANSWER_AROUND_NEXT && play->owed > 1)
		play_answer(play, play->owed / 2, NULL, 0);
}

/* Between two reads. */
static inline void play_pause(struct play *play)
{
	bool may = talk_may(&play->talk);

	if (play->ret_allowed) {
		play->ret_allowed[play->offset] = may;
		return;
	}
	if (play->owed > 0)
		return;
	/* An answer that is awaited may change what may be done, but its end changes it back. */
	assert_int_equal(may, play->allowed[play->offset]);
	if (may && (!play->probed || play->probed[play->offset]))
		play_probe(play);
}

static inline void play_read(struct play *play, const struct run *run, size_t at, size_t size)
{
	play_says(play, run->from, run->bytes + at, size);
	play->offset += size;
	if (talk_is_off(&play->talk))
		fail_msg("not understood, before byte %zu of the recording", play->offset);
	play_pause(play);
}

/* A run from its byte `begin` on, of which `size` bytes at most. */
static inline void play_run(struct play *play, const struct run *run, size_t begin, size_t size)
{
	size_t run_offset = play->offset - begin;
	size_t end = size < run->size - begin ? begin + size : run->size;

	for (size_t at = begin + 1; at <= end; at++) {
		if (at < end && !play->cuts[run_offset + at])
			continue;
		play_read(play, run, begin, at - begin);
		begin = at;
	}
}

/* Goes on from where it stands up to the byte `stop`. */
static inline void play_until(struct play *play, size_t stop)
{
	const struct recording *recording = play->recording;
	size_t begin = 0;

	for (size_t i = 0; i < recording->runs_size && play->offset < stop; i++) {
		const struct run *run = &recording->runs[i];

		if (play->offset < begin + run->size)
			play_run(play, run, play->offset - begin, stop - play->offset);
		begin += run->size;
	}
}

static inline void play_start(struct play *play)
{
	talk_start(&play->talk, play->recording->settings, play->recording->target);
	play->offset = play->owed = 0;
	play_pause(play);
}

/* The rest, and both ends. */
static inline void play_to_its_end(struct play *play)
{
	const struct recording *recording = play->recording;

	play_until(play, recording_size(recording));
	if (play->owed > 0)
		play_answer(play, play->owed, NULL, 0);
	talk_ends(&play->talk, CLIENT);
	assert_false(talk_may(&play->talk));
	talk_ends(&play->talk, SERVER);
	assert_int_equal(play->talk.swallowed, play->talk.probes * recording->answer_size);
	talk_is_whole(&play->talk);
}

static inline void play_recording(struct play *play)
{
	play_start(play);
	play_to_its_end(play);
}

/* --- What may come at any byte: each of these is played from a copy of a play that stands there */

/* The first of the two to end. What the target said of an answer that is cut off may be its own. */
static inline void play_first_end(struct play *play, enum side from)
{
	const struct recording *recording = play->recording;

	if (from == recording->target && play->owed > 0) {
		pile_put(&play->talk.sent[from], recording->answer,
			 recording->answer_size - play->owed);
		play->owed = 0;
	}
	talk_ends(&play->talk, from);
	assert_false(talk_may(&play->talk));
}

/* `from` ends its flow here; the other one says the rest of its own, and answers what it owes. */
static inline void play_end_of_file(struct play *play, enum side from)
{
	const struct recording *recording = play->recording;
	enum side left = other(from);
	size_t begin = 0;

	play_first_end(play, from);
	for (size_t i = 0; i < recording->runs_size; i++) {
		const struct run *run = &recording->runs[i];
		size_t at = play->offset > begin ? play->offset - begin : 0;

		if (run->from == left && at < run->size)
			play_says(play, left, run->bytes + at, run->size - at);
		begin += run->size;
	}
	if (play->owed > 0)
		play_answer(play, play->owed, NULL, 0);
	assert_true(probe_is_done(&play->talk.probe));
	talk_ends(&play->talk, left);
	talk_is_whole(&play->talk);
}

/* `from` resets the connection here: both flows are over. */
static inline void play_reset(struct play *play, enum side from)
{
	play_first_end(play, from);
	play->owed = from == play->recording->target ? 0 : play->owed;
	play_first_end(play, other(from));
	assert_true(probe_is_done(&play->talk.probe));
	talk_is_whole(&play->talk);
}

static inline void talk_says_garbage(struct talk *talk, enum side from, uint64_t *seed)
{
	unsigned char bytes[24];
	size_t size = 1 + harness_random(seed) % sizeof bytes;

	for (size_t at = 0; at < size; at++)
		bytes[at] = (unsigned char)(harness_random(seed) >> 24);
	talk_says(talk, from, bytes, size);
}

/* The other side turns to garbage, on which an answer that is owed comes; then both do. */
static inline void play_garbage(struct play *play, uint64_t seed)
{
	enum side target = play->recording->target;
	size_t swallowed = play->talk.probes * play->recording->answer_size;

	for (unsigned i = 0; i < 4; i++)
		talk_says_garbage(&play->talk, other(target), &seed);
	while (play->owed > 0)
		play_answer(play, 1, NULL, 0);
	assert_int_equal(play->talk.swallowed, swallowed);
	for (unsigned i = 0; i < 12; i++)
		talk_says_garbage(&play->talk, harness_random(&seed) % 3 ? CLIENT : SERVER, &seed);
	talk_ends(&play->talk, SERVER);
	talk_ends(&play->talk, CLIENT);
	talk_is_whole(&play->talk);
}

/* One probe and no other goes out here, and the rest comes in as few reads as there are. */
static inline void play_alone(struct play *play)
{
	static const bool nowhere[2 * TALK_MAX];

	play->cuts = play->probed = nowhere;
	if (play->allowed[play->offset])
		play_probe(play);
	play_to_its_end(play);
}

/* A copy of `play`, in the room of `branch`. */
static inline struct play *play_branch(struct play *branch, const struct play *play)
{
	*branch = *play;
	return branch;
}

static inline void play_branches(const struct play *play, struct play *branch)
{
	for (enum side from = CLIENT; from < SIDES; from++) {
		play_end_of_file(play_branch(branch, play), from);
		play_reset(play_branch(branch, play), from);
	}
	play_garbage(play_branch(branch, play), 0x2545f4914f6cdd1d + play->offset);
}

/* At every byte of the recording, with a probe just out wherever that may be. */
static inline void recording_at_every_byte(struct play *play, struct play *branch)
{
	size_t size = recording_size(play->recording);

	play_start(play);
	for (size_t stop = 0; stop <= size; stop++) {
		play_until(play, stop);
		play_branches(play, branch);
	}
}

/* Each place alone. */
static inline void recording_with_one_probe(struct play *play, struct play *branch, bool *nowhere)
{
	size_t size = recording_size(play->recording);

	play->probed = nowhere;
	play_start(play);
	for (size_t stop = 0; stop <= size; stop++) {
		play_until(play, stop);
		if (play->allowed[stop])
			play_alone(play_branch(branch, play));
	}
	play->probed = NULL;
}

/* --- And how it may be cut into reads */

/* Where probes may go when every byte is a read of its own. */
static inline void recording_places(const struct recording *recording, bool *cuts,
				    bool *ret_allowed)
{
	struct play play = { .recording = recording, .cuts = cuts, .ret_allowed = ret_allowed };
	size_t size = recording_size(recording);
	size_t places = 0;

	memset(cuts, true, size + 1);
	play_recording(&play);
	for (size_t i = 0; i <= size; i++)
		places += ret_allowed[i];
	if (recording->places > 0)
		assert_int_equal(places, recording->places);
	assert_true(places > 0);
}

/* Every byte alone; each cut; and pairs of cuts: all where the recording is short, and else those
 * that are near each other. */
static inline void recording_in_all_splits(struct play *play, bool *cuts)
{
	size_t size = recording_size(play->recording);
	size_t near = PAIRS_COST / (size * size + 1);

	memset(cuts, true, size + 1);
	play_recording(play);
	memset(cuts, false, size + 1);
	for (size_t i = 0; i <= size; i++) {
		cuts[i] = true;
		play_recording(play);
		for (size_t k = i + 1; k <= size && k - i <= near; k++) {
			cuts[k] = true;
			play_recording(play);
			cuts[k] = false;
		}
		cuts[i] = false;
	}
}

/* Cuts and probes at random, both of them rarer and rarer. */
static inline void recording_at_random(struct play *play, bool *cuts, bool *probed)
{
	size_t size = recording_size(play->recording);
	uint64_t seed = 0x9e3779b97f4a7c15;

	play->probed = probed;
	for (unsigned i = 0; i < 64; i++) {
		for (size_t at = 0; at <= size; at++) {
			cuts[at] = harness_random(&seed) % (2 + i) == 0;
			probed[at] = harness_random(&seed) % 2 == 0;
		}
		play_recording(play);
	}
	play->probed = NULL;
}

/* All of it, for one way of answering. */
static inline void check_play(struct play *play, bool *cuts)
{
	size_t size = recording_size(play->recording);
	struct play *branch = calloc(1, sizeof *branch);
	bool *probed = calloc(size + 1, sizeof *probed);

	assert_true(branch && probed);
	recording_with_one_probe(play, branch, probed);
	recording_at_every_byte(play, branch);
	recording_in_all_splits(play, cuts);
	recording_at_random(play, cuts, probed);
	free(probed);
	free(branch);
}

/* The whole property, for one recording. */
static inline void check_recording(const struct recording *recording)
{
	size_t size = recording_size(recording);
	int answerings = recording->answer ? ANSWERINGS : 1;
	bool *cuts = calloc(size + 1, sizeof *cuts);
	bool *allowed = calloc(size + 1, sizeof *allowed);
	struct play *play = calloc(1, sizeof *play);

	assert_true(cuts && allowed && play);
	recording_places(recording, cuts, allowed);
	for (int i = 0; i < answerings; i++) {
		memset(cuts, true, size + 1);
		*play = (struct play){ .recording = recording, .cuts = cuts, .allowed = allowed };
		play->answering = (enum answering)i;
		check_play(play, cuts);
	}
	free(play);
	free(allowed);
	free(cuts);
}

static inline void check_recordings(const struct recording *recordings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_recording(&recordings[i]);
}

#endif
