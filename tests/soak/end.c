/*
 * One end of a session. An event is only a hint: end_play() tries the step it is at, and goes on
 * until one has to wait. Events are edge-triggered, so a step reads or sends until EAGAIN.
 */
#include "end.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "../load/pattern.h"
#include "../load/report.h"

#define STUCK_US     300000 /* a flood that has not moved for so long fills all there is */
#define LOOK_US      20000
#define SEND_MOST    65536
#define MOVES_A_STEP 64 /* reads or sends until others have their turn */

static struct end_context *context;
static uint8_t buffer[65536];

/* What became of one try of a step. */
enum outcome {
	OUTCOME_WAIT,
	OUTCOME_NEXT,
	OUTCOME_OVER
};

static struct end *peer_of(const struct end *end)
{
	return end->session == NULL ? NULL : end->session->ends[role_other(end->role)];
}

static void sleep_until(struct end *end, int64_t wake_us)
{
	end->wake_us = wake_us;
	if (end->is_sleeping)
		return;
	LIST_INSERT_HEAD(&context->sleepers, end, sleeping);
	end->is_sleeping = true;
}

static void stop_sleeping(struct end *end)
{
	end->wake_us = INT64_MAX;
	if (!end->is_sleeping)
		return;
	LIST_REMOVE(end, sleeping);
	end->is_sleeping = false;
}

static enum outcome finish(struct end *end)
{
	stop_sleeping(end);
	end->is_over = true;
	end->over_us = net_now_us();
	context->on_over(end);
	return OUTCOME_OVER;
}

static enum outcome close_end(struct end *end)
{
	watch_close(&end->watch);
	return finish(end);
}

static void abort_end(struct end *end)
{
	if (end == NULL || end->is_over)
		return;
	net_abort(end->watch.fd);
	end->watch.fd = -1;
	finish(end);
}

void end_fail(struct end *end, const char *format, ...)
{
	struct session *session = end->session;
	struct end *peer = peer_of(end);
	char what[128];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (session == NULL)
		report_error("a connection to the server that is no session's: %s", what);
	else if (!session->has_failed)
		report_error("session %" PRIu64 " (%s), %s at step %u: %s", session->number,
			     session->script.kind, role_names[end->role], end->step, what);
	if (session != NULL)
		session->has_failed = true;
	abort_end(end);
	abort_end(peer);
}

static enum outcome fail(struct end *end, const char *what)
{
	end_fail(end, "%s", what);
	return OUTCOME_OVER;
}

static enum outcome on_reset(struct end *end, int error)
{
	if (error != ECONNRESET && error != EPIPE)
		return fail(end, strerror(error));
	if (end->session == NULL || end->session->vanished_us == 0)
		return fail(end, "a reset that nobody caused");
	if (end->got_eof && end->fin_sent)
		return close_end(end);
	end->got_reset = true;
	return close_end(end);
}

void end_join(struct end *end, struct session *session)
{
	end->session = session;
	session->ends[ROLE_SERVER] = end;
}

/* The first bytes of a client are the name of its session. */
static bool take_name(struct end *end, const uint8_t *bytes, size_t size)
{
	struct session *session;

	memcpy(end->name + end->named, bytes, size);
	end->named += (unsigned)size;
	end->received += size;
	if (end->named < NAME_SIZE)
		return true;
	session = context->find(end->name);
	if (session == NULL || session->ends[ROLE_SERVER] != NULL) {
		end_fail(end, "its first bytes are not those of a session");
		return false;
	}
	end_join(end, session);
	return true;
}

static uint64_t stream_of(const struct session *session, enum role sender)
{
	return session->number * ROLES + sender;
}

static bool take_bytes(struct end *end, size_t size)
{
	const struct end *peer = peer_of(end);

	if (end->session == NULL)
		return take_name(end, buffer, size);
	if (end->received + size > peer->sent) {
		end_fail(end, "more bytes than were sent: %" PRIu64, end->received + size);
		return false;
	}
	if (!pattern_matches(stream_of(end->session, peer->role), end->received, buffer, size)) {
		end_fail(end, "wrong bytes from %" PRIu64 " on", end->received);
		return false;
	}
	end->received += size;
	return true;
}

/* A read of 0: an end of file, or, behind one, what the socket has to say. */
static enum outcome on_eof(struct end *end)
{
	const struct end *peer = peer_of(end);

	if (end->got_eof) {
		int error = net_take_error(end->watch.fd);

		return error == 0 ? OUTCOME_WAIT : on_reset(end, error);
	}
	if (peer == NULL || !peer->fin_sent || end->received != peer->sent)
		return fail(end, "an end of file that was not sent");
	end->got_eof = true;
	return OUTCOME_NEXT;
}

/* Reads until `goal` bytes have come, or the end of file, or nothing more for now. */
static enum outcome read_on(struct end *end, int64_t now_us)
{
	for (int i = 0; i < MOVES_A_STEP; i++) {
		size_t room = end->session == NULL ? NAME_SIZE - end->named : sizeof(buffer);
		ssize_t count = net_recv(end->watch.fd, buffer, room);

		if (count == -EAGAIN)
			return OUTCOME_WAIT;
		if (count < 0)
			return on_reset(end, (int)-count);
		if (count == 0)
			return on_eof(end);
		end->moved_us = now_us;
		if (!take_bytes(end, (size_t)count))
			return OUTCOME_OVER;
		if (end->goal > 0 && end->received >= end->goal)
			return OUTCOME_NEXT;
	}
	sleep_until(end, now_us);
	return OUTCOME_WAIT;
}

/* A server's end reads the name first: before it, it knows no script. */
static enum outcome learn_session(struct end *end, int64_t now_us)
{
	end->goal = NAME_SIZE;
	enum outcome outcome = read_on(end, now_us);

	end->goal = 0;
	return outcome;
}

static enum outcome hear(struct end *end, int64_t now_us)
{
	enum outcome outcome = OUTCOME_NEXT;

	if (end->goal == 0)
		end->goal = script_sent_after(&end->session->script, role_other(end->role),
					      end->heard + 1);
	if (end->received < end->goal)
		outcome = read_on(end, now_us);
	if (outcome != OUTCOME_NEXT)
		return outcome;
	if (end->received < end->goal)
		return fail(end, "an end of file before the message was whole");
	end->heard++;
	return OUTCOME_NEXT;
}

static enum outcome read_to_eof(struct end *end, int64_t now_us)
{
	return end->got_eof ? OUTCOME_NEXT : read_on(end, now_us);
}

/* OUTCOME_NEXT never comes: an end of file that was sent is no reset yet. */
static enum outcome read_to_reset(struct end *end, int64_t now_us)
{
	enum outcome outcome = read_on(end, now_us);

	return outcome == OUTCOME_NEXT ? read_on(end, now_us) : outcome;
}

static ssize_t send_piece(struct end *end)
{
	const struct session *session = end->session;
	uint64_t size = end->goal - end->sent;
	uint8_t name[NAME_SIZE];

	if (end->role == ROLE_CLIENT && !session->script.is_quiet && end->sent < NAME_SIZE) {
		context->write_name(session, name);
		return net_send(end->watch.fd, name + end->sent, NAME_SIZE - end->sent);
	}
	return net_send(end->watch.fd, pattern_view(stream_of(session, end->role), end->sent),
			size > SEND_MOST ? SEND_MOST : size);
}

static enum outcome say(struct end *end, int64_t now_us)
{
	if (end->goal == 0)
		end->goal = end->sent + script_message(&end->session->script, end->role, end->step);
	for (int i = 0; i < MOVES_A_STEP; i++) {
		ssize_t count = send_piece(end);

		if (count == -EAGAIN)
			return OUTCOME_WAIT;
		if (count < 0)
			return on_reset(end, (int)-count);
		end->moved_us = now_us;
		end->sent += (uint64_t)count;
		if (end->sent == end->goal)
			return OUTCOME_NEXT;
	}
	sleep_until(end, now_us);
	return OUTCOME_WAIT;
}

static enum outcome flood(struct end *end, int64_t now_us)
{
	enum outcome outcome = say(end, now_us);

	if (outcome == OUTCOME_NEXT)
		return fail(end, "a flood that nobody read found its way");
	if (outcome != OUTCOME_WAIT)
		return outcome;
	if (now_us - end->moved_us > STUCK_US) {
		end->is_flooded = true;
		return OUTCOME_NEXT;
	}
	sleep_until(end, now_us + LOOK_US);
	return OUTCOME_WAIT;
}

static enum outcome send_fin(struct end *end)
{
	if (shutdown(end->watch.fd, SHUT_WR) < 0) {
		int error = net_take_error(end->watch.fd);

		return on_reset(end, error == 0 ? ECONNRESET : error);
	}
	end->fin_sent = true;
	return OUTCOME_NEXT;
}

static enum outcome wait_from(struct end *end, int64_t since_us, int64_t now_us)
{
	if (end->wait_until_us == 0)
		end->wait_until_us =
			since_us + script_wait_us(&end->session->script, context->settings,
						  end->role, end->step);
	if (now_us >= end->wait_until_us)
		return OUTCOME_NEXT;
	sleep_until(end, end->wait_until_us);
	return OUTCOME_WAIT;
}

static enum outcome wait_bereft(struct end *end, int64_t now_us)
{
	if (end->session->vanished_us > 0)
		return wait_from(end, end->session->vanished_us, now_us);
	sleep_until(end, now_us + LOOK_US);
	return OUTCOME_WAIT;
}

static enum outcome wait_flooded(struct end *end, int64_t now_us)
{
	const struct end *peer = peer_of(end);

	if (peer != NULL && peer->is_flooded)
		return OUTCOME_NEXT;
	sleep_until(end, now_us + LOOK_US);
	return OUTCOME_WAIT;
}

/* Nothing that arrives gets past the filter; nothing that is marked leaves the host. */
static enum outcome vanish(struct end *end)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog filter = { .len = 1, .filter = nothing };
	unsigned mark = END_SILENT;

	if (setsockopt(end->watch.fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
	    setsockopt(end->watch.fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return fail(end, strerror(errno));
	end->session->vanished_us = net_now_us();
	return finish(end);
}

static enum outcome end_script(struct end *end)
{
	if (!end->fin_sent || !end->got_eof)
		return fail(end, "its script has no end");
	return close_end(end);
}

static enum outcome try_step(struct end *end, int64_t now_us)
{
	switch ((enum step)end->session->script.steps[end->role][end->step]) {
	case STEP_DONE:
		return end_script(end);
	case STEP_SAY:
	case STEP_SAY_BIG:
		return say(end, now_us);
	case STEP_FLOOD:
		return flood(end, now_us);
	case STEP_HEAR:
		return hear(end, now_us);
	case STEP_FIN:
		return send_fin(end);
	case STEP_EOF:
		return read_to_eof(end, now_us);
	case STEP_PAUSE:
	case STEP_REST:
		return wait_from(end, now_us, now_us);
	case STEP_FLOODED:
		return wait_flooded(end, now_us);
	case STEP_VANISH:
		return vanish(end);
	case STEP_BEREFT:
	case STEP_OUTLIVED:
		return wait_bereft(end, now_us);
	case STEP_CUT:
		return read_to_reset(end, now_us);
	case STEPS:
		break;
	}
	return fail(end, "a step that is none");
}

void end_play(struct end *end, int64_t now_us)
{
	enum outcome outcome = OUTCOME_NEXT;

	if (end->is_over || !end->is_connected)
		return;
	stop_sleeping(end);
	if (end->session == NULL)
		outcome = learn_session(end, now_us);
	while (outcome == OUTCOME_NEXT && !end->is_over) {
		outcome = try_step(end, now_us);
		if (outcome != OUTCOME_NEXT)
			break;
		end->step++;
		end->goal = 0;
		end->wait_until_us = 0;
		end->moved_us = now_us;
	}
}

void end_wake(int64_t now_us)
{
	struct end *next;

	for (struct end *end = LIST_FIRST(&context->sleepers); end != NULL; end = next) {
		next = LIST_NEXT(end, sleeping);
		if (now_us >= end->wake_us)
			end_play(end, now_us);
	}
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct end *end = (struct end *)watch;

	(void)events;
	if (!end->is_connected) {
		int error = net_take_error(watch->fd);

		if (error != 0) {
			end_fail(end, "cannot connect: %s", strerror(error));
			return;
		}
		end->is_connected = true;
	}
	end_play(end, net_now_us());
}

void end_start(struct end *end, int fd)
{
	end->watch = (struct watch){ .on_ready = on_ready, .fd = fd };
	end->is_connected = end->role == ROLE_SERVER;
	end->moved_us = net_now_us();
	end->wake_us = INT64_MAX;
	watch_start(&end->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void end_setup(struct end_context *run)
{
	context = run;
	LIST_INIT(&context->sleepers);
}
