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

#define RUNS(array) (array), sizeof(array) / sizeof *(array)

/* When the target answers a probe. */
enum answering {
	ANSWER_AT_ONCE,
	ANSWER_IN_PIECES,  /* byte by byte, and the other side may speak in between: it does not */
	ANSWER_WITH_NEXT,  /* in one read with what it says next */
	ANSWER_AROUND_NEXT /* its first half at once, the rest in one read with what it says next */
};

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
	return probe_can_send(&talk->probe, talk->settings);
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

/* --- A recorded session --- */

/* One way to play a recording. */
struct play {
	const struct recording *recording;
	struct talk talk;
	enum answering answering;
	size_t owed;         /* bytes of an answer that the target has yet to say */
	const bool *cuts;    /* [offset]: whether a read ends before that byte */
	const bool *allowed; /* [offset]: whether a probe may go there; NULL: not known yet */
	bool *ret_allowed;   /* to be filled in, sending none */
	uint64_t seed;       /* 0: a probe wherever one may go; else at random */
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

static inline void play_probe(struct play *play)
{
	const struct recording *recording = play->recording;
	unsigned char message[PROBE_MESSAGE_MAX];

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
	if (may && (!play->seed || harness_random(&play->seed) % 2 == 0))
		play_probe(play);
}

static inline void play_read(struct play *play, const struct run *run, size_t at, size_t size)
{
	if (run->from == play->recording->target && play->owed > 0)
		play_answer(play, play->owed, run->bytes + at, size);
	else
		talk_says(&play->talk, run->from, run->bytes + at, size);
	play->offset += size;
	if (talk_is_off(&play->talk))
		fail_msg("not understood, before byte %zu of the recording", play->offset);
	play_pause(play);
}

static inline void play_run(struct play *play, const struct run *run)
{
	size_t begin = 0;

	for (size_t at = 1; at <= run->size; at++) {
		if (at < run->size && !play->cuts[play->offset + at - begin])
			continue;
		play_read(play, run, begin, at - begin);
		begin = at;
	}
}

static inline void play_recording(struct play *play)
{
	const struct recording *recording = play->recording;

	talk_start(&play->talk, recording->settings, recording->target);
	play->offset = play->owed = 0;
	play_pause(play);
	for (size_t i = 0; i < recording->runs_size; i++)
		play_run(play, &recording->runs[i]);
	if (play->owed > 0)
		play_answer(play, play->owed, NULL, 0);
	talk_ends(&play->talk, CLIENT);
	assert_false(talk_may(&play->talk));
	talk_ends(&play->talk, SERVER);
	assert_int_equal(play->talk.swallowed, play->talk.probes * recording->answer_size);
	talk_is_whole(&play->talk);
}

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

/* All as it came, every byte alone, each split of the whole in two, and random ones. */
static inline void recording_in_all_splits(struct play *play, bool *cuts)
{
	size_t size = recording_size(play->recording);
	uint64_t seed = 0x9e3779b97f4a7c15;

	memset(cuts, true, size + 1);
	play_recording(play);
	for (size_t i = 0; i <= size; i++) {
		memset(cuts, false, size + 1);
		cuts[i] = true;
		play_recording(play);
	}
	for (unsigned i = 0; i < 64; i++) {
		for (size_t at = 0; at <= size; at++)
			cuts[at] = harness_random(&seed) % (2 + i) == 0;
		play->seed = seed;
		play_recording(play);
	}
	play->seed = 0;
}

/* Garbage after each prefix of the recording, from either side: every byte is passed on. */
static inline void recording_with_garbage(struct play *play, size_t stop, uint64_t seed)
{
	const struct recording *recording = play->recording;
	size_t left = stop;

	talk_start(&play->talk, recording->settings, recording->target);
	for (size_t i = 0; i < recording->runs_size && left > 0; i++) {
		const struct run *run = &recording->runs[i];
		size_t size = run->size < left ? run->size : left;

		talk_says(&play->talk, run->from, run->bytes, size);
		left -= size;
	}
	for (unsigned i = 0; i < 16; i++) {
		unsigned char bytes[24];
		size_t size = 1 + harness_random(&seed) % sizeof bytes;

		for (size_t at = 0; at < size; at++)
			bytes[at] = (unsigned char)(harness_random(&seed) >> 24);
		talk_says(&play->talk, harness_random(&seed) % 3 ? CLIENT : SERVER, bytes, size);
	}
	talk_ends(&play->talk, SERVER);
	talk_ends(&play->talk, CLIENT);
	talk_is_whole(&play->talk);
}

/* The whole property, for one recording. */
static inline void check_recording(const struct recording *recording)
{
	size_t size = recording_size(recording);
	bool *cuts = calloc(size + 1, sizeof *cuts);
	bool *allowed = calloc(size + 1, sizeof *allowed);
	struct play *play = calloc(1, sizeof *play);

	assert_true(cuts && allowed && play);
	recording_places(recording, cuts, allowed);
	*play = (struct play){ .recording = recording, .cuts = cuts, .allowed = allowed };
	recording_in_all_splits(play, cuts);
	for (int i = ANSWER_IN_PIECES; recording->answer && i <= ANSWER_AROUND_NEXT; i++) {
		play->answering = (enum answering)i;
		recording_in_all_splits(play, cuts);
	}
	for (size_t stop = 0; stop <= size; stop++)
		recording_with_garbage(play, stop, 0x2545f4914f6cdd1d + stop);
	free(play);
	free(allowed);
	free(cuts);
}

#endif
