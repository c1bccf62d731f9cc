/*
 * finbackctl session: one session, explained.
 */
#include <stdio.h>

#include "ctl.h"
#include "facts.h"
#include "output.h"

static const char usage[] =
	"usage: finbackctl session ID [--json]\n"
	"\n"
	"Shows one live session: what it waits for, in one sentence, then all that\n"
	"finback and the kernel know of it, client and server side by side.\n"
	"\n"
	"      --json   print the session as finback describes it\n"
	"\n"
	"ID is a number from 'finbackctl sessions' or from the log.\n";

static int run(struct ctl *ctl, int count, char **values)
{
	char path[64];
	json_t *session;
	struct lines lines = { 0 };
	int first;
	int status = ctl_options(ctl, &command_session, NULL, 0, count, values, &first);

	if (status >= 0)
		return status;
	if (count - first != 1 || !ctl_is_id(values[first]))
		return ctl_say_usage(&command_session, "session: right is one ID, a number");
	(void)snprintf(path, sizeof path, "/api/v1/sessions/%s", values[first]);
	status = ctl_get(ctl, path, &session);
	if (status != CTL_OK)
		return status;
	if (ctl->is_json) {
		output_json(session);
	} else {
		facts_lay_out(session, output_wrap_width(), &lines);
		lines_print(&lines);
		lines_fini(&lines);
	}
	json_decref(session);
	return CTL_OK;
}

const struct command command_session = { "session", usage, true, run };
