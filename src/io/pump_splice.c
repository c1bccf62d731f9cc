/*
 * splice(2) through a pipe of the worker's pool.
 *
 * Invariant: a source is only spliced into an empty pipe. So EAGAIN from there means "no bytes",
 * and EAGAIN from the other end "no room"; with bytes in the pipe neither could be told.
 *
 * Surprising: at an urgent mark splice(2) says EAGAIN for ever, and once a FIN is behind it, 0 with
 * bytes still unread: a false end of file. So an end is only believed from recv(2), and where the
 * poller has told of a mark, nothing is spliced. Nor does a short splice mean that the source is
 * empty: a pipe's slots, one a fragment, may have been used up before its bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "pump_private.h"

/* There is no MSG_NOSIGNAL for it: the process ignores SIGPIPE. SPLICE_F_MORE would hold the last
 * bytes back, TCP_NODELAY or not. */
static ssize_t splice_once(int from, int to, size_t size)
{
	ssize_t length;

	do
		length = splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK);
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}

/* What says more of splice(2) than of the source. */
static bool is_refusal(ssize_t error)
{
	return error == -EINVAL || error == -ENOMEM || error == -ENOSYS || error == -EOPNOTSUPP;
}

/* Sends what is in a pipe, as much as the sink takes now. */
static void empty(struct pipe *pipe, int sink, struct pump_report *report)
{
	while (pipe->used > 0) {
		ssize_t length = splice_once(pipe->fds[0], sink, pipe->used);

		if (length > 0) {
			pipe->used -= (uint32_t)length;
			report->wrote += (uint32_t)length;
		} else if (length == -EAGAIN) {
			report->is_sink_full = true;
			return;
		} else {
			report->sink_error = length < 0 ? (int)length : -EIO;
			return;
		}
	}
}

/* Where there is something left in the pipe it becomes the flow's rest, or is lost with the sink.
 */
static void keep_or_give(struct pump *pump, struct pump_flow *flow, struct pipe *pipe,
			 struct pump_report *report)
{
	if (report->is_sink_full) {
		flow->rest = malloc(sizeof *flow->rest);
		if (flow->rest) {
			*flow->rest = (struct rest){ .pipe = pipe };
			return;
		}
		report->sink_error = -ENOMEM;
	}
	pipes_give(&pump->pipes, pipe);
}

bool pump_splice(struct pump *pump, struct pump_flow *flow, struct pump_report *report)
{
	struct pipe *pipe = pipes_take(&pump->pipes);
	ssize_t length;

	if (!pipe)
		return false;
	length = splice_once(flow->source, pipe->fds[1], pipe->room);
	if (length > 0) {
		pipe->used = report->read = (uint32_t)length;
		empty(pipe, flow->sink, report);
		keep_or_give(pump, flow, pipe, report);
		return true;
	}
	pipes_give(&pump->pipes, pipe);
	if (length == 0 || is_refusal(length))
		return false;
	report->source = length == -EAGAIN ? PUMP_SOURCE_EMPTY : PUMP_SOURCE_ERROR;
	report->source_error = length == -EAGAIN ? 0 : (int)length;
	return true;
}

void pump_splice_rest(struct pump *pump, struct pump_flow *flow, struct pump_report *report)
{
	struct pipe *pipe = flow->rest->pipe;

	empty(pipe, flow->sink, report);
	if (pipe->used > 0)
		return;
	free(flow->rest);
	flow->rest = NULL;
	pipes_give(&pump->pipes, pipe);
}
