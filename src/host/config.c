#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_arena.h"
#include "config_reader.h"
#include "config_report.h"
#include "config_source.h"

/*
 * A configuration's life: text, libconfig's tree, our tree, references. Invariant: a configuration
 * that is handed out has no error, and nothing changes it any more. libconfig's own memory is gone
 * by then; all that is kept was copied into the arena.
 */

static void built_in(struct config *config)
{
	config->drain_us = INT64_C(30) * 1000000;
	config->log.target = "auto";
	config->log.level = LOG_LEVEL_INFO;
	config->log.sessions = LOG_SESSIONS_ALL;
	config->log.format = LOG_FORMAT_TEXT;
	config->log.every_us = 0;
	config_control_built_in(&config->control);
}

/* Gives each unnamed string the line that it begins in; see config_source.h. */
static size_t place_strings(config_setting_t *setting, const struct config_source *source,
			    size_t next)
{
	if (setting->type == CONFIG_TYPE_STRING) {
		if (setting->name == NULL && next < source->string_count)
			setting->line = source->string_lines[next];
		return next + 1;
	}
	if (!config_setting_is_aggregate(setting))
		return next;
	for (int i = 0; i < config_setting_length(setting); i++)
		next = place_strings(config_setting_get_elem(setting, (unsigned)i), source, next);
	return next;
}

/* Where there are errors, one of them may be why nothing uses a pool. */
static void check_pools_used(struct config_reader *reader, const config_setting_t *pools)
{
	const struct config *config = reader->config;

	if (reader->report->error_count > 0)
		return;
	for (size_t i = 0; i < config->pool_count; i++) {
		bool is_used = false;

		for (size_t j = 0; j < config->listener_count && !is_used; j++)
			is_used = config->listeners[j].pool == &config->pools[i];
		if (!is_used)
			config_warning(reader, config_setting_get_elem(pools, (unsigned)i),
				       "no listener uses this pool");
	}
}

static size_t count_listeners(struct config_reader *reader, const config_setting_t *root,
			      const config_setting_t *listeners)
{
	static const char right[] =
		"right is a list of groups: listeners = ( { name = ...; listen = ...; } )";
	int count;

	if (listeners == NULL) {
		config_missing(reader, root, "listeners", right);
		return 0;
	}
	if (listeners->type == CONFIG_TYPE_NONE)
		return 0;
	if (listeners->type != CONFIG_TYPE_LIST) {
		config_error(reader, listeners, "%s", right);
		return 0;
	}
	count = config_setting_length(listeners);
	if (count == 0 && !reader->is_partial)
		config_error(reader, listeners, "is empty; %s", right);
	if (count > CONFIG_LISTENERS_MAX) {
		config_error(reader, listeners, "%d listeners; right are at most %d", count,
			     CONFIG_LISTENERS_MAX);
		return 0;
	}
	return (size_t)count;
}

static void read_tree(struct config_reader *reader, const config_setting_t *root)
{
	const config_setting_t *pools = config_setting_get_member(root, "pools");
	const config_setting_t *listeners = config_setting_get_member(root, "listeners");
	size_t count;

	config_read_group(reader, root, &config_root_group, reader->config);
	count = count_listeners(reader, root, listeners);
	config_read_pools(reader, pools, count);
	config_read_listeners(reader, config_setting_get_member(root, "defaults"), listeners,
			      count);
	config_check_control(reader, config_setting_get_member(root, "control"));
	check_pools_used(reader, pools);
}

/* What libconfig says, what it means to the user, and what would be right. */
static const char *const syntax_errors[][3] = {
	{ "syntax error", "syntax error",
	  "look here and in the line before for a missing ; quote or bracket, or a comma too "
	  "many" },
	{ "duplicate setting name", "a key is set twice in one group",
	  "right is to keep one of them" },
	{ "mismatched element type in array", "an array with values of different kinds",
	  "right is a list, ( ... )" },
};

/* The line that an error stands in, as a quote. */
static void report_syntax(struct config_reader *reader, const char *text, const char *what,
			  unsigned line)
{
	const char *const *words = NULL;
	const char *at = text;
	size_t length;

	for (unsigned i = 1; i < line && at != NULL; i++)
		at = strchr(at, '\n') == NULL ? NULL : strchr(at, '\n') + 1;
	if (at == NULL)
		at = "";
	at += strspn(at, " \t");
	for (size_t i = 0; i < sizeof(syntax_errors) / sizeof(syntax_errors[0]); i++)
		if (strcmp(what, syntax_errors[i][0]) == 0)
			words = syntax_errors[i];
	length = strcspn(at, "\r\n");
	report_add(reader->report, line, false, "%s, in `%.*s`; %s",
		   words != NULL ? words[1] : what, (int)(length < 60 ? length : 60), at,
		   words != NULL ? words[2] : "see libconfig's syntax");
}

/* A syntax error ends libconfig's work; what it has until then is checked all the same. */
static void parse(struct config_reader *reader, const struct config_source *source)
{
	config_t tree;

	config_init(&tree);
	if (!config_read_string(&tree, source->text)) {
		unsigned line = (unsigned)config_error_line(&tree);

		/* Where the text was cut, a syntax error at its end is no news. */
		if (!source->is_cut || line < source->cut_line)
			report_syntax(reader, source->text, config_error_text(&tree), line);
		reader->is_partial = true;
	}
	(void)place_strings(config_root_setting(&tree), source, 0);
	read_tree(reader, config_root_setting(&tree));
	config_destroy(&tree);
}

static struct config *create(const char *path)
{
	struct arena *arena = calloc(1, sizeof(*arena));
	struct config *config = arena == NULL ? NULL : arena_alloc(arena, 1, sizeof(*config));

	if (config == NULL) {
		free(arena);
		return NULL;
	}
	config->storage = arena;
	config->path = arena_copy(arena, path, strlen(path));
	atomic_init(&config->references, 1);
	built_in(config);
	return config;
}

static void destroy(struct config *config)
{
	struct arena *arena = config->storage;

	for (size_t i = 0; i < config->pool_count; i++)
		balance_fini(&config->pools[i].balance);
	arena_fini(arena); /* and with it the configuration */
	free(arena);
}

/* Reads what `source` holds. Returns 0, -EINVAL when there are errors, or -ENOMEM. */
static int build(struct config *config, const struct config_source *source,
		 struct config_report *report)
{
	struct config_reader reader = { .config = config,
					.arena = config->storage,
					.report = report,
					.source = source,
					.is_partial = source->is_cut || source->is_incomplete };

	parse(&reader, source);
	if (config->path == NULL || reader.is_out_of_memory || report->is_out_of_memory)
		return -ENOMEM;
	return report->error_count > 0 ? -EINVAL : 0;
}

static int load(const char *path, const char *text, struct config **ret_config,
		struct config_problems *problems)
{
	struct config_source source;
	struct config_report report = { 0 };
	struct config *config = create(path);
	int result;
	int finished;

	*problems = (struct config_problems){ 0 };
	if (text == NULL)
		result = config_source_read(&source, path, &report);
	else
		result = config_source_text(&source, text, path, &report);
	if (config == NULL)
		result = -ENOMEM;
	if (result == 0)
		result = build(config, &source, &report);
	finished = report_finish(&report, &source, problems);
	if (finished != 0)
		result = finished;
	report_fini(&report);
	config_source_fini(&source);
	if (result == 0)
		*ret_config = config;
	else
		config_unref(config);
	return result;
}

int config_load(const char *path, struct config **ret_config, struct config_problems *problems)
{
	return load(path, NULL, ret_config, problems);
}

int config_load_text(const char *text, const char *name, struct config **ret_config,
		     struct config_problems *problems)
{
	return load(name, text, ret_config, problems);
}

static void free_lines(char **lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
}

void config_problems_fini(struct config_problems *problems)
{
	free_lines(problems->errors, problems->error_count);
	free_lines(problems->warnings, problems->warning_count);
	*problems = (struct config_problems){ 0 };
}

struct config *config_ref(struct config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void config_unref(struct config *config)
{
	/* Release: what this thread did with it comes before its end, wherever that is. */
	if (config != NULL &&
	    atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) == 1)
		destroy(config);
}
