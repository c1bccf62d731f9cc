/*
 * One end of a session. Both ends live in this process, so that an end knows what the other one
 * has done up to this moment: what it reads can only be that or less.
 *
 * The kernel tells of a reset once: to the next recv or send, whichever is first. After a send that
 * failed the rest is read, and a 0 there is no end of file.
 */
#include "crowd_end.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"
#include "report.h"

#define CALLS_PER_STEP 8
#define DRAIN_CALLS    100000

static struct end_context context;
static uint8_t buffer[PATTERN_VIEW];

static const char *const role_names[] = { [ROLE_CLIENT] = "client", [ROLE_SERVER] = "server" };
_Static_assert(sizeof(role_names) / sizeof(role_names[0]) == ROLES, "each role has a name");

void end_setup(const struct end_context *run)
{
	context = *run;
}

static const struct script *script_of(const struct end *end)
{
	return end->session == NULL ? NULL : &end->session->plan.ends[end->role];
}

static void close_end(struct end *end)
{
	watch_close(&end->watch);
	end->over = true;
}

static void abort_end(struct end *end)
{
	end->aborted = true;
	net_abort(end->watch.fd);
	end->watch.fd = -1;
	end->over = true;
}

static void print_end(const struct end *end, char *text, size_t size)
{
	const struct script *script = script_of(end);

	(void)snprintf(text, size,
		       "%s %" PRIu64 " [%s, %s: sent %" PRIu64 " of %" PRIu64 ", received %" PRIu64
		       "%s%s%s%s]",
		       role_names[end->role], end->number,
		       script == NULL ? "unknown" : start_names[script->start],
		       script == NULL ? "unknown" : finish_names[script->finish], end->sent,
		       script == NULL ? 0 : script->bytes, end->received,
		       end->fin_sent ? ", FIN sent" : "", end->got_eof ? ", end of file" : "",
		       end->aborted ? ", cut off" : "", end->got_reset ? ", reset" : "");
}

void end_fail(struct end *end, const char *format, ...)
{
	char what[256];
	char own[256];
	char other[256] = "no other end";
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	print_end(end, own, sizeof(own));
	if (end->peer != NULL)
		print_end(end->peer, other, sizeof(other));
	if (end->session == NULL || !end->session->failed)
		report_error("%s: %s; %s, %s",
			     end->session == NULL ? "unknown session" : end->session->plan.shape,
			     what, own, other);
	if (end->session != NULL)
		end->session->failed = true;
	if (!end->over)
		abort_end(end);
}

static void on_progress(struct end *end, int64_t now_us)
{
	end->deadline_us = now_us + context.patience_us;
}

/* The number that the other end sent, once it is whole. */
static void on_header(struct end *end, int64_t now_us)
{
	uint64_t number;

	memcpy(&number, end->header, sizeof(number));

	struct end *peer = context.find(end, number);

	if (peer == NULL || (end->peer != NULL && end->peer != peer) ||
	    (peer->peer != NULL && peer->peer != end)) {
		end_fail(end, "the first bytes read are not those of its other end: %" PRIu64,
			 number);
		return;
	}
	if (end->peer != NULL)
		return;
	end->peer = peer;
	peer->peer = end;
	if (end->session == NULL)
		end->session = peer->session;
	else
		peer->session = end->session;
	peer->wake_us = now_us;
}

static void on_bytes(struct end *end, size_t size, int64_t now_us)
{
	on_progress(end, now_us);
	if (end->received < HEADER_SIZE) {
		memcpy(end->header + end->received, buffer, size);
		end->received += size;
		if (end->received == HEADER_SIZE)
			on_header(end, now_us);
		return;
	}

	uint64_t stream = end->session->client.number * ROLES + role_other(end->role);

	if (end->received + size > end->peer->sent)
		end_fail(end, "more bytes read than were sent: %" PRIu64, end->received + size);
	else if (!pattern_matches(stream, end->received, buffer, size))
		end_fail(end, "wrong bytes between %" PRIu64 " and %" PRIu64, end->received,
			 end->received + size);
	end->received += size;
}

static void on_eof(struct end *end, int64_t now_us)
{
	bool is_client = end->role == ROLE_CLIENT;

	on_progress(end, now_us);
	end->got_eof = true;
	if (end->peer != NULL) {
		if (!end->peer->fin_sent || end->received != end->peer->sent)
			end_fail(end, "an end of file that the other end did not send");
	} else if (end->received != 0 || (is_client && !plan_is_nameless(&end->session->plan))) {
		end_fail(end, "an end of file before the other end could be known");
	} else if (!is_client && end->answers_nameless) {
		end->greeted = true;
	}
}

static void on_reset(struct end *end, int error)
{
	end->got_reset = true;
	if (error != ECONNRESET && error != EPIPE)
		end_fail(end, "%s", strerror(error));
	else if (end->peer == NULL && end->role == ROLE_CLIENT)
		end_fail(end, "a reset before the server was known");
	else if (end->peer != NULL && !end->peer->aborted)
		end_fail(end, "a reset that the other end did not send");
	else
		close_end(end);
}

/* A send has taken the error: what had arrived before it is still to be read and checked. */
static void on_send_failed(struct end *end, int error, int64_t now_us)
{
	for (int i = 0; i < DRAIN_CALLS && !end->over && !end->got_eof; i++) {
		size_t room =
			end->received < HEADER_SIZE ? HEADER_SIZE - end->received : sizeof(buffer);
		ssize_t count = net_recv(end->watch.fd, buffer, room);

		if (count <= 0)
			break;
		on_bytes(end, (size_t)count, now_us);
	}
	if (!end->over)
		on_reset(end, error);
}

static size_t read_room(const struct end *end)
{
	const struct script *script = script_of(end);

	if (end->received < HEADER_SIZE)
		return HEADER_SIZE - end->received;
	return script->slow_reads > end->slow_reads_done ? script->read_most : sizeof(buffer);
}

static bool wants_to_read(const struct end *end, int64_t now_us)
{
	const struct script *script = script_of(end);

	if (end->over || end->got_eof || now_us < end->read_us)
		return false;
	if (script == NULL || script->finish != FINISH_CLOSE_UNREAD)
		return true;
	/* The server has to learn who it is, and leaves the rest. */
	return end->role == ROLE_SERVER && end->received < HEADER_SIZE;
}

/* Both of these return true when they stopped for fairness alone. */
static bool read_some(struct end *end, int64_t now_us)
{
	for (int i = 0; i < CALLS_PER_STEP; i++) {
		if (!wants_to_read(end, now_us))
			return false;

		const struct script *script = script_of(end);
		ssize_t count = net_recv(end->watch.fd, buffer, read_room(end));

		if (count == -EAGAIN)
			return false;
		if (count < 0) {
			on_reset(end, (int)-count);
			return false;
		}
		if (count == 0) {
			on_eof(end, now_us);
			return false;
		}
		on_bytes(end, (size_t)count, now_us);
		if (script != NULL && end->slow_reads_done < script->slow_reads) {
			end->slow_reads_done++;
			end->read_us = now_us + script->read_gap_us;
		}
	}
	return true;
}

static bool has_started(const struct end *end)
{
	const struct script *script = script_of(end);

	if (script == NULL)
		return false;
	return script->start == START_AT_ONCE ||
	       (script->start == START_AFTER_HEADER && end->received >= HEADER_SIZE) ||
	       (script->start == START_AFTER_FIN && end->got_eof);
}

/* How much it may have sent so far. */
static uint64_t send_limit(const struct end *end)
{
	const struct script *script = script_of(end);
	uint64_t limit = end->greeted ? HEADER_SIZE : 0;

	return has_started(end) && script->bytes > limit ? script->bytes : limit;
}

static ssize_t send_piece(struct end *end, uint64_t limit)
{
	const struct script *script = script_of(end);

	if (end->sent < HEADER_SIZE)
		return net_send(end->watch.fd, (const uint8_t *)&end->number + end->sent,
				HEADER_SIZE - end->sent);

	uint64_t stream = end->session->client.number * ROLES + end->role;
	uint64_t size = limit - end->sent;

	if (size > script->send_most)
		size = script->send_most;
	if (end->sent < script->pause_at && size > script->pause_at - end->sent)
		size = script->pause_at - end->sent;
	return net_send(end->watch.fd, pattern_view(stream, end->sent), size);
}

static void pause_where_due(struct end *end, int64_t now_us)
{
	const struct script *script = script_of(end);

	if (script == NULL || end->paused || end->sent < script->pause_at || script->pause_us == 0)
		return;
	end->paused = true;
	end->pause_until_us = now_us + script->pause_us;
}

static bool send_some(struct end *end, int64_t now_us)
{
	for (int i = 0; i < CALLS_PER_STEP; i++) {
		uint64_t limit = send_limit(end);

		if (end->over || end->fin_sent || end->sent >= limit ||
		    now_us < end->pause_until_us)
			return false;

		ssize_t count = send_piece(end, limit);

		if (count == -EAGAIN)
			return false;
		if (count < 0) {
			on_send_failed(end, (int)-count, now_us);
			return false;
		}
		on_progress(end, now_us);
		end->sent += (uint64_t)count;
		pause_where_due(end, now_us);
	}
	return true;
}

static void send_fin(struct end *end, int64_t now_us)
{
	if (end->fin_sent)
		return;
	if (shutdown(end->watch.fd, SHUT_WR) < 0) {
		/* ENOTCONN is what a reset leaves behind; the reason is still in the socket. */
		int error = net_take_error(end->watch.fd);

		on_send_failed(end, error == 0 ? ECONNRESET : error, now_us);
		return;
	}
	end->fin_sent = true;
	on_progress(end, now_us);
}

static void finish_by_script(struct end *end, enum finish finish, int64_t now_us)
{
	switch (finish) {
	case FINISH_FIN:
		send_fin(end, now_us);
		break;
	case FINISH_FIN_AFTER_PEER:
		if (end->got_eof)
			send_fin(end, now_us);
		break;
	case FINISH_ABORT:
		abort_end(end);
		break;
	case FINISH_CLOSE_UNREAD:
		if (net_has_unread(end->watch.fd)) {
			end->aborted = true;
			close_end(end);
		}
		break;
	case FINISH_FIN_THEN_ABORT:
		if (end->fin_sent) {
			abort_end(end);
			break;
		}
		send_fin(end, now_us);
		end->finish_us = now_us + script_of(end)->finish_us;
		end->wake_us = now_us;
		break;
	case FINISH_HOLD:
	case FINISHES:
		break;
	}
}

static void finish_where_due(struct end *end, int64_t now_us)
{
	const struct script *script = script_of(end);

	if (end->over)
		return;
	if (script == NULL) {
		/* Nobody said a word: answer an end of file with one. */
		if (end->got_eof && !end->greeted)
			send_fin(end, now_us);
	} else if (has_started(end) && end->sent >= send_limit(end) &&
		   now_us >= end->pause_until_us) {
		if (end->finish_us == 0)
			end->finish_us = now_us + script->finish_us;
		if (now_us >= end->finish_us)
			finish_by_script(end, script->finish, now_us);
	}
	if (!end->over && end->fin_sent && end->got_eof &&
	    (script == NULL || script->finish != FINISH_FIN_THEN_ABORT))
		close_end(end);
}

/* After the other's FIN a read says 0 for ever: a reset behind it is only in SO_ERROR. */
static void look_behind_eof(struct end *end)
{
	int error;

	if (end->over || !end->got_eof)
		return;
	error = net_take_error(end->watch.fd);
	if (error != 0)
		on_reset(end, error);
}

static void soonest(int64_t *wake_us, int64_t candidate_us, int64_t now_us)
{
	if (candidate_us > now_us && candidate_us < *wake_us)
		*wake_us = candidate_us;
}

static void set_wake(struct end *end, int64_t now_us, bool again)
{
	bool again_soon = again || end->wake_us == now_us;

	end->wake_us = INT64_MAX;
	if (again_soon) {
		end->wake_us = now_us;
		return;
	}
	soonest(&end->wake_us, end->pause_until_us, now_us);
	soonest(&end->wake_us, end->read_us, now_us);
	soonest(&end->wake_us, end->finish_us, now_us);
	if (end->role == ROLE_SERVER && end->session == NULL && !end->greeted)
		soonest(&end->wake_us, end->greet_us, now_us);
}

void end_step(struct end *end, int64_t now_us)
{
	bool again;

	if (end->over || !end->connected)
		return;
	end->wake_us = INT64_MAX;
	if (end->role == ROLE_SERVER && end->session == NULL && now_us >= end->greet_us &&
	    end->received == 0 && !end->got_eof)
		end->greeted = true;
	again = read_some(end, now_us);
	look_behind_eof(end);
	again |= send_some(end, now_us);
	finish_where_due(end, now_us);
	if (!end->over)
		set_wake(end, now_us, again);
}

void end_tick(struct end *end, int64_t now_us)
{
	if (now_us >= end->deadline_us)
		end_fail(end, "stuck: nothing moved for %lld ms",
			 (long long)(context.patience_us / 1000));
	else if (now_us >= end->wake_us)
		end_step(end, now_us);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct end *end = (struct end *)watch;

	(void)events;
	if (!end->connected) {
		int error = net_take_error(watch->fd);

		/* A reset at once is the session's, not the connect's; read what it is. */
		if (error != 0 && error != ECONNRESET) {
			end_fail(end, "cannot connect: %s", strerror(error));
			return;
		}
		end->connected = true;
		if (error != 0) {
			on_reset(end, error);
			return;
		}
	}
	end_step(end, net_now_us());
}

void end_start(struct end *end, int fd, int64_t now_us)
{
	end->watch = (struct watch){ .on_ready = on_ready, .fd = fd };
	end->connected = end->role == ROLE_SERVER;
	end->greet_us = now_us + END_GREETING_US;
	end->wake_us = end->connected ? now_us : INT64_MAX;
	end->deadline_us = now_us + context.patience_us;
	watch_start(&end->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}
