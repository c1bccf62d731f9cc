/*
 * A reload that is asked for, and waited for: its answer says how it went.
 *
 * Surprising: it has no time limit. It may wait for name servers, and it always ends.
 */
#include <finback/host/log.h>

#include <errno.h>

#include "control_private.h"

struct reload {
	struct wait wait;
	struct reload_wait done;
};

static void append_lines(struct text *text, char *const *lines, size_t count)
{
	TEXT_APPEND(text, "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			TEXT_APPEND(text, ",");
		text_append_json(text, lines[i]);
	}
	TEXT_APPEND(text, "]");
}

static void append_warnings(struct text *text, const struct config_problems *problems)
{
	TEXT_APPEND(text, ",\"warnings\":");
	append_lines(text, problems->warnings, problems->warning_count);
}

static void answer_taken(struct request *request, const struct reload_outcome *outcome)
{
	struct text text = { 0 };

	TEXT_APPEND(&text, "{\"reloaded\":true");
	append_warnings(&text, outcome->problems);
	TEXT_APPEND(&text, "}");
	request_answer(request, MHD_HTTP_OK, CONTROL_JSON, &text);
}

/* The file is bad, or it is good and what it asks for cannot be had. */
static void answer_refused(struct request *request, const struct reload_outcome *outcome)
{
	const struct config_problems *problems = outcome->problems;
	char *why = (char *)(uintptr_t)outcome->why; /* it is only read */
	struct text text = { 0 };

	request_begin_problem(&text, MHD_HTTP_UNPROCESSABLE_CONTENT,
			      problems->error_count > 0
				      ? "the file has errors; the old configuration stays in force"
				      : "the file was not taken; the old configuration stays in "
					"force");
	TEXT_APPEND(&text, ",\"errors\":");
	if (problems->error_count > 0)
		append_lines(&text, problems->errors, problems->error_count);
	else
		append_lines(&text, &why, *why ? 1 : 0);
	append_warnings(&text, problems);
	request_end_problem(request, MHD_HTTP_UNPROCESSABLE_CONTENT, &text);
}

static void on_done(struct reload_wait *done, const struct reload_outcome *outcome)
{
	struct reload *reload = (struct reload *)((char *)done - offsetof(struct reload, done));
	struct request *request = reload->wait.request;

	if (outcome->is_taken)
		answer_taken(request, outcome);
	else if (control_facts(request).is_draining)
		request_refuse(request, MHD_HTTP_CONFLICT, "finback is draining");
	else
		answer_refused(request, outcome);
	wait_finish(&reload->wait);
}

static void on_left(struct wait *wait)
{
	supervisor_forget_reload(wait->control->supervisor, &((struct reload *)wait)->done);
}

static const struct wait_kind kind = {
	.size = sizeof(struct reload),
	.on_left = on_left,
};

static void refuse(struct request *request, int error)
{
	if (error == -EBUSY)
		request_refuse(request, MHD_HTTP_CONFLICT, "finback is draining");
	else
		request_refuse(request, MHD_HTTP_CONFLICT,
			       "there is no configuration file to read");
}

void reload_handle(struct request *request)
{
	struct reload *reload = (struct reload *)wait_create(request, &kind);
	char who[REQUEST_CALLER_MAX];
	int error;

	if (!reload)
		return;
	log_say(LOG_LEVEL_INFO, "control: %s asks for a reload", request_caller(request, who));
	reload->done.on_done = on_done;
	error = supervisor_ask_reload(request->door->control->supervisor, &reload->done);
	if (error == 0)
		return;
	wait_leave(request->wait);
	refuse(request, error);
}
