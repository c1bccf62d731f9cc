/*
 * libFuzzer over engine/probe and all its parsers: bytes choose the protocol, the target and the
 * settings, and then what each side says, where reads end, and when a probe goes out and is
 * answered. The promise: what is passed on is what was sent, in order, but for answers to our own
 * probes, byte for byte as expected and only while one is awaited; an answer that is the first that
 * the target says is taken out, whatever the other side said meanwhile; nothing is held that cannot
 * be such an answer; none goes out after an end; one that is taken back leaves nothing behind.
 *
 * The first bytes are the settings. Then each move begins with one byte, whose low bits are its
 * kind and whose high bits are how many bytes follow it for a peer to say. An answer is what the
 * parser expects, put where the move stands: at its place, or at a wrong one.
 */
#include <finback/engine/probe.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/engine/probe_parser.h"

#define HEAD      5
#define KIND_BITS 3
#define SAID_MAX  (1 << 14)
#define LONG_SIZE 256

enum move_kind {
	CLIENT_SAYS,
	SERVER_SAYS,
	CLIENT_SAYS_MUCH,
	SERVER_SAYS_MUCH,
	SEND,
	ANSWER,
	BREAK,
	END
};

/* What a side said and has not been passed on, in order: a window over what was said. */
struct flow {
	size_t said;
	size_t passed;
	unsigned char bytes[SAID_MAX];
};

struct run {
	struct probe_settings settings;
	struct probe probe;
	struct flow flows[SIDES];
	bool has_ended[SIDES];
	bool is_out;   /* a probe with an answer */
	bool is_fresh; /* and the target has said nothing since */
	const unsigned char *expected;
	size_t expected_size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* Takes a whole answer out of what was said and not passed on, at the place where it stands. */
static void swallow(struct run *run, struct flow *flow, const unsigned char *passed, size_t size)
{
	size_t at = 0;

	while (at < size && passed[at] == flow->bytes[flow->passed + at])
		at++;
	/* Where the bytes before it are like its first ones, the place is ambiguous and the bytes
	 * are the same: it is as far back as the answer fits. */
	while (at > 0 &&
	       (flow->said - flow->passed - at < run->expected_size ||
		memcmp(flow->bytes + flow->passed + at, run->expected, run->expected_size) != 0))
		at--;
	at += flow->passed;
	require(flow->said - at >= run->expected_size &&
			memcmp(flow->bytes + at, run->expected, run->expected_size) == 0,
		"something was taken out that is no answer");
	memmove(flow->bytes + at, flow->bytes + at + run->expected_size,
		flow->said - at - run->expected_size);
	flow->said -= run->expected_size;
}

/* What is passed on must be the oldest of what was not. */
static void pass(struct run *run, enum side from, const unsigned char *bytes, size_t size)
{
	struct flow *flow = &run->flows[from];

	require(size <= flow->said - flow->passed, "more was passed on than was said");
	require(memcmp(bytes, flow->bytes + flow->passed, size) == 0,
		"other bytes, or another order");
	flow->passed += size;
	require(flow->passed == flow->said || (run->is_out && from == run->probe.target),
		"bytes are held, and no answer is awaited");
	require(flow->said - flow->passed <= PROBE_HELD_MAX, "more is held than an answer can be");
	require(flow->passed == flow->said || !probe_is_done(&run->probe),
		"off, and bytes are held");
}

/* One read, in memory of exactly the size that is promised. */
static void say(struct run *run, enum side from, const unsigned char *bytes, size_t size)
{
	struct flow *flow = &run->flows[from];
	unsigned char *memory, *at = NULL;
	size_t passed, swallowed = 0;

	if (size == 0 || size > SAID_MAX - flow->said || run->has_ended[from])
		return;
	memory = malloc(PROBE_HELD_MAX + size);
	require(memory, "no memory");
	if (from == (enum side)run->probe.target)
		run->is_fresh = false;
	memcpy(memory + PROBE_HELD_MAX, bytes, size);
	memcpy(flow->bytes + flow->said, bytes, size);
	flow->said += size;
	passed = probe_take(&run->probe, &run->settings, from, memory + PROBE_HELD_MAX, size, &at,
			    &swallowed);
	require(at >= memory && at + passed <= memory + PROBE_HELD_MAX + size,
		"outside of the room");
	require(!probe_is_done(&run->probe) || run->probe.held_size == 0, "off, and it holds");
	if (swallowed > 0) {
		require(run->is_out && from == run->probe.target, "nothing was awaited");
		require(swallowed == run->expected_size, "not one answer, or not all of it");
		swallow(run, flow, at, passed);
		run->is_out = false;
	}
	pass(run, from, at, passed);
	free(memory);
}

/* Returns the size of the message, of a probe that may go out; 0: none may. */
static size_t try_probe(struct run *run)
{
	unsigned char message[PROBE_MESSAGE_MAX];
	size_t size;

	if (!probe_can_send(&run->probe))
		return 0;
	require(!run->has_ended[CLIENT] && !run->has_ended[SERVER], "after an end");
	require(!run->is_out, "two are out");
	size = probe_send(&run->probe, &run->settings, message);
	require(size > 0 && size <= PROBE_MESSAGE_MAX, "no message");
	return size;
}

static void send_probe(struct run *run)
{
	struct probe_bytes answer = probe_answer_of(&run->settings);

	if (try_probe(run) == 0)
		return;
	run->is_out = run->is_fresh = answer.size > 0;
	run->expected = answer.at;
	run->expected_size = answer.size;
	require(run->is_out == (run->probe.mode == PROBE_AWAITING), "an answer is forgotten");
	require(answer.size <= PROBE_MESSAGE_MAX, "an answer of more than there is room for");
}

static void cancel_probe(struct run *run)
{
	struct probe before = run->probe;

	if (try_probe(run) == 0)
		return;
	probe_cancel(&run->probe);
	require(memcmp(&run->probe, &before, sizeof before) == 0, "something is left behind");
}

/* All of the answer, or the first bytes of it, or the rest. */
static void answer(struct run *run, unsigned part)
{
	size_t half = run->expected_size / 2;
	bool is_due = part % 3 == 0 && run->is_out && run->is_fresh;

	if (run->expected_size == 0)
		return;
	if (part % 3 == 0)
		say(run, (enum side)run->probe.target, run->expected, run->expected_size);
	else if (part % 3 == 1)
		say(run, (enum side)run->probe.target, run->expected, half);
	else
		say(run, (enum side)run->probe.target, run->expected + half,
		    run->expected_size - half);
	/* There is no room for more where a flow has said all that it may. */
	require(!is_due || run->is_fresh || !run->is_out, "our answer was passed on");
}

static void end(struct run *run, enum side from)
{
	unsigned char held[PROBE_HELD_MAX];
	size_t size;

	if (run->has_ended[from])
		return;
	run->has_ended[from] = true;
	size = probe_end(&run->probe, from);
	require(size <= sizeof held, "more is held than there is room for");
	memcpy(held, run->probe.held, size);
	if (from == run->probe.target)
		run->is_out = false;
	pass(run, from, held, size);
	require(!probe_can_send(&run->probe), "may be sent after an end");
}

static void begin(struct run *run, const uint8_t head[HEAD])
{
	enum probe_protocol protocol = (enum probe_protocol)(head[0] % PROBE_PROTOCOLS);
	enum side target = head[1] & 1 ? CLIENT : SERVER;

	run->settings.protocol = protocol;
	run->settings.answer_us = head[1] & 2 ? 1000000 : 0;
	run->settings.ends_session = head[1] & 4;
	run->settings.send_size = (uint8_t)(1 + head[2] % PROBE_MESSAGE_MAX);
	memset(run->settings.send, 'n', sizeof run->settings.send);
	run->settings.send[run->settings.send_size - 1] = '\n';
	/* Of two letters, so that bytes that are like it are found. */
	run->settings.expect_size = (uint8_t)(head[3] % (PROBE_MESSAGE_MAX + 1));
	for (size_t i = 0; i < run->settings.expect_size; i++)
		run->settings.expect[i] = head[4] >> i % 8 & 1 ? 'O' : 'K';
	if (run->settings.expect_size > 0)
		run->settings.expect[run->settings.expect_size - 1] = '\n';
	probe_init(&run->probe, &run->settings,
		   probe_protocol_goes_to(protocol, target) ? target : other(target));
}

/* Makes the move at `data`; returns its size. */
static size_t make(struct run *run, const uint8_t *data, size_t size)
{
	enum move_kind kind = (enum move_kind)(data[0] % (1 << KIND_BITS));
	unsigned count = data[0] >> KIND_BITS;
	size_t length = count;

	if (kind == CLIENT_SAYS_MUCH || kind == SERVER_SAYS_MUCH)
		length = count * 8U + LONG_SIZE / 8;
	if (length > size - 1)
		length = size - 1;
	switch (kind) {
	case CLIENT_SAYS:
	case CLIENT_SAYS_MUCH:
		say(run, CLIENT, data + 1, length);
		return 1 + length;
	case SERVER_SAYS:
	case SERVER_SAYS_MUCH:
		say(run, SERVER, data + 1, length);
		return 1 + length;
	case SEND:
		send_probe(run);
		return 1;
	case ANSWER:
		answer(run, count);
		return 1;
	case BREAK: /* the same bytes, each a read of its own */
		for (size_t i = 0; i < length; i++)
			say(run, count & 1 ? CLIENT : SERVER, data + 1 + i, 1);
		return 1 + length;
	case END:
		if (count % 4 == 0)
			end(run, count & 4 ? CLIENT : SERVER);
		else if (count % 4 == 1)
			cancel_probe(run);
		return 1;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *run;
	size_t at = HEAD;

	if (size < HEAD)
		return 0;
	run = calloc(1, sizeof *run);
	require(run, "no memory");
	begin(run, data);
	while (at < size)
		at += make(run, data + at, size - at);
	end(run, (enum side)run->probe.target);
	end(run, other((enum side)run->probe.target));
	for (enum side side = CLIENT; side < SIDES; side++)
		require(run->flows[side].passed == run->flows[side].said, "bytes were lost");
	free(run);
	return 0;
}
