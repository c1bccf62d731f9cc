/*
 * finbackctl kill: ends sessions, by their ids or by what they have in common.
 *
 * A filter is resolved to ids first, and these are ended: what comes to fit it meanwhile was not
 * counted, and is left alone.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "field.h"
#include "listing.h"

static const char usage[] =
	"usage: finbackctl kill ID...\n"
	"       finbackctl kill FILTER... [--yes]\n"
	"\n"
	"Ends sessions: both sides are reset, and the log says `killed`. With filters,\n"
	"all that fit every one of them; how many these are is asked back first.\n"
	"\n" LISTING_USAGE
	"  -y, --yes                do not ask back; needed where there is no terminal\n";

struct ids {
	uint64_t *values;
	size_t count, room;
};

struct outcome {
	size_t killed, gone;
	bool says_gone; /* which ones: somebody asked for each by its id */
};

static void ids_add(struct ids *ids, uint64_t id)
{
	if (ids->count == ids->room) {
		ids->room = ids->room ? 2 * ids->room : 256;
		ids->values = ctl_need(reallocarray(ids->values, ids->room, sizeof *ids->values));
	}
	ids->values[ids->count++] = id;
}

static int on_page(void *user, const json_t *sessions)
{
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		uint64_t id = field_count(json_array_get(sessions, i), "id");

		if (id > 0)
			ids_add(user, id);
	}
	return CTL_OK;
}

/* Ends one. One that has ended by itself is no failure here. */
static int kill_one(struct ctl *ctl, uint64_t id, struct outcome *outcome)
{
	char path[64];
	struct request request = { .method = "DELETE", .path = path };
	json_t *answer;
	int status;

	(void)snprintf(path, sizeof path, "/api/v1/sessions/%" PRIu64, id);
	if (!ctl->client)
		ctl->client = ctl_need(client_create(ctl->socket));
	status = client_ask(ctl->client, &request, &answer);
	if (status == CTL_OK) {
		json_decref(answer);
		outcome->killed++;
		return CTL_OK;
	}
	if (client_http_status(ctl->client) != 404) {
		ctl_say("session %" PRIu64 ": %s", id, client_why(ctl->client));
		return status;
	}
	if (outcome->says_gone)
		ctl_say("%s", client_why(ctl->client));
	outcome->gone++;
	return CTL_OK;
}

static const char *plural(size_t count)
{
	return count == 1 ? "session" : "sessions";
}

/* Ends all, and says how many, also where it had to stop in between. */
static int kill_all(struct ctl *ctl, const struct ids *ids, struct outcome *outcome)
{
	int status = CTL_OK;

	for (size_t i = 0; i < ids->count && status == CTL_OK; i++)
		status = kill_one(ctl, ids->values[i], outcome);
	if (status != CTL_OK && outcome->killed == 0)
		return status;
	(void)printf("ended %zu %s", outcome->killed, plural(outcome->killed));
	if (outcome->gone > 0)
		(void)printf("; %zu had ended before", outcome->gone);
	(void)putchar('\n');
	return status;
}

static int kill_given(struct ctl *ctl, int count, char **values)
{
	struct ids ids = { 0 };
	struct outcome outcome = { .says_gone = true };
	int status;

	for (int i = 0; i < count; i++) {
		if (!ctl_is_id(values[i])) {
			free(ids.values);
			return ctl_say_usage(&command_kill,
					     "kill: '%s' is no session's ID; right is a number",
					     values[i]);
		}
		ids_add(&ids, strtoull(values[i], NULL, 10));
	}
	status = kill_all(ctl, &ids, &outcome);
	free(ids.values);
	return status == CTL_OK && outcome.gone > 0 ? CTL_REFUSED : status;
}

/* Only a word that begins with y is a yes. */
static bool is_confirmed(size_t count)
{
	char line[64];

	(void)fprintf(stderr, "end %zu %s? [y/N] ", count, plural(count));
	if (!fgets(line, sizeof line, stdin)) {
		(void)fputc('\n', stderr);
		return false;
	}
	return line[0] == 'y' || line[0] == 'Y';
}

/* Whether to go on with as many sessions: -1, else the exit status. */
static int ask_back(size_t count, bool is_yes)
{
	if (count == 0) {
		(void)puts("no session fits");
		return CTL_OK;
	}
	if (is_yes)
		return -1;
	if (!isatty(STDIN_FILENO))
		return ctl_say_usage(&command_kill,
				     "kill: %zu %s would end, and there is no terminal to ask back "
				     "on; nothing was done; add --yes to do it",
				     count, plural(count));
	if (is_confirmed(count))
		return -1;
	(void)puts("nothing was done");
	return CTL_OK;
}

static int kill_fitting(struct ctl *ctl, struct listing *listing, bool is_yes)
{
	struct ids ids = { 0 };
	struct outcome outcome = { 0 };
	int status;

	listing->is_brief = true;
	status = listing_walk(ctl, listing, on_page, &ids);
	if (status == CTL_OK) {
		status = ask_back(ids.count, is_yes);
		if (status < 0)
			status = kill_all(ctl, &ids, &outcome);
	}
	free(ids.values);
	return status;
}

static int run(struct ctl *ctl, int count, char **values)
{
	struct listing listing = { 0 };
	struct choice choices[CHOICES_MAX];
	size_t choice_count = listing_choices(&listing, choices);
	bool is_yes = false;
	int first, status;

	choices[choice_count++] =
		(struct choice){ .name = "yes", .letter = 'y', .ret_is_set = &is_yes };
	status = ctl_options(ctl, &command_kill, choices, choice_count, count, values, &first);
	if (status < 0)
		status = listing_check(&command_kill, &listing);
	if (status >= 0)
		return status;
	if (first < count && (listing_has_filter(&listing) || listing.limit))
		return ctl_say_usage(&command_kill, "kill: either IDs or filters, not both");
	if (first < count)
		return kill_given(ctl, count - first, values + first);
	if (!listing_has_filter(&listing))
		return ctl_say_usage(&command_kill,
				     "kill: which? Right are IDs, or one filter at least");
	return kill_fitting(ctl, &listing, is_yes);
}

const struct command command_kill = { "kill", usage, false, run };
