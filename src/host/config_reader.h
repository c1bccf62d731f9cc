#ifndef FINBACK_SRC_HOST_CONFIG_READER_H
#define FINBACK_SRC_HOST_CONFIG_READER_H

#include <finback/host/config.h>

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_arena.h"
#include "config_report.h"

/*
 * From libconfig's tree to the configuration: groups of keys as tables, and one function for each
 * kind of value. A reader writes what is right to its place, reports what is wrong and goes on; it
 * never stops the others.
 */

struct config_source;
struct config_lookup;

#define CONFIG_LISTENERS_MAX 4096
#define CONFIG_POOLS_MAX     4096
#define CONFIG_BINDS_MAX     64 /* of one listener */

struct config_reader {
	struct config *config;
	struct arena *arena;
	struct config_report *report;
	const struct config_source *source;
	struct config_lookup *lookups; /* names already asked for */
	/* The tree ends at an error: what is missing from it may stand behind. */
	bool is_partial;
	bool is_in_defaults;
	unsigned faults_told; /* of `defaults`, by config_liveness.c: once, not at each listener */
	bool is_out_of_memory;
};

struct config_key;
typedef void config_read_value(struct config_reader *reader, const config_setting_t *setting,
			       const struct config_key *key, void *into);

/* The words that one key takes. */
struct config_words {
	const char *(*word)(unsigned value);
	unsigned count;
	const char *const *later; /* words of later versions, up to a NULL */
};

/* One key of a group. */
struct config_key {
	const char *name;
	config_read_value
		*read; /* NULL: a key of the contract that this version does nothing with */
	size_t offset; /* of the value in what the group is read into */
	int64_t min, max;
	int64_t unit_us;                  /* of whole numbers that are written as durations */
	size_t size;                      /* for config_read_word: of the value */
	const struct config_words *words; /* for config_read_word */
	const struct config_group *group; /* for config_read_subgroup */
	enum side side;                   /* for config_read_probe: where it goes */
	bool is_of_one;                   /* belongs to one listener, never to `defaults` */
};

struct config_group {
	const struct config_key *keys;
	size_t count;
};

/* config_schema.c */
extern const struct config_group config_root_group;
extern const struct config_group config_pool_group;
extern const struct config_group config_server_group;
extern const struct config_group config_listener_group;
extern const struct config_group config_keepalive_group;
extern const struct config_group config_probe_group;

/* One server as written. */
struct config_server_draft {
	const char *name;
	int weight;
	bool is_backup;
};

/* One probe as written. */
struct config_message {
	uint8_t size; /* 0: absent */
	unsigned char bytes[PROBE_MESSAGE_MAX];
};

struct config_probe_draft {
	unsigned protocol; /* enum probe_protocol, or one of the two below */
	int64_t interval_us;
	int64_t answer_us; /* 0: absent */
	bool ends_session;
	struct config_message send;
	struct config_message expect;
};

#define CONFIG_PROBE_OFF   ((unsigned)PROBE_PROTOCOLS)
#define CONFIG_PROBE_UNSET (CONFIG_PROBE_OFF + 1)

/* config_read.c: each member of a group by its key. */
void config_read_group(struct config_reader *reader, const config_setting_t *setting,
		       const struct config_group *group, void *into);

config_read_value config_read_integer;  /* int or unsigned, min to max */
config_read_value config_read_duration; /* int64_t, microseconds, min to max */
/* int64_t, microseconds: 0, or min to max. */
config_read_value config_read_duration_or_none;
config_read_value config_read_whole;        /* int, duration in whole unit_us, min to max of them */
config_read_value config_read_size;         /* uint32_t, min to max */
config_read_value config_read_size_or_none; /* uint32_t: 0, or min to max */
config_read_value config_read_boolean;      /* bool */
config_read_value config_read_word;         /* an enum or a bool */
config_read_value config_read_name;         /* const char * */
config_read_value config_read_subgroup;
config_read_value config_read_apart; /* nothing: who reads the group takes this key by itself */

/* Whether the setting is of the wanted kind: else an error that says `right`. */
bool config_is_string(struct config_reader *reader, const config_setting_t *setting,
		      const char *right);
bool config_is_group(struct config_reader *reader, const config_setting_t *setting,
		     const char *right);

/* The string in the arena, NULL when there is no memory. */
const char *config_keep(struct config_reader *reader, const char *text);
void *config_alloc(struct config_reader *reader, size_t count, size_t size);

/* An error or a warning about one setting; its place and its path are put before it. */
void config_error(struct config_reader *reader, const config_setting_t *setting, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));
void config_warning(struct config_reader *reader, const config_setting_t *setting,
		    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* `key` is missing from a group; says nothing where the tree is not whole. */
void config_missing(struct config_reader *reader, const config_setting_t *setting, const char *key,
		    const char *right);

/* Element `index` of a list has a name that no element before it has: else an error. `why` says
 * what a name is for. */
void config_check_name(struct config_reader *reader, const config_setting_t *list, size_t index,
		       const char *why);

/* Place of a setting, as "FILE:LINE". Returns `text`, REPORT_PLACE_MAX long. */
char *config_place(const struct config_reader *reader, const config_setting_t *setting, char *text);

/* config_address.c: what an address text stands for. Names are asked for once. Returns how many,
 * 0 after an error. `ret` lives as long as the configuration. */
size_t config_read_address(struct config_reader *reader, const config_setting_t *setting,
			   const char *text, struct address **ret);

bool config_has_port_0(const struct address *address);

/* config_pool.c: all of `pools`, with room for the `extra` pools of listeners. */
void config_read_pools(struct config_reader *reader, const config_setting_t *pools, size_t extra);
/* `servers` of a pool or a listener into a pool that has its name and its kind. */
void config_read_servers(struct config_reader *reader, const config_setting_t *servers,
			 enum balance_kind kind, struct config_pool *pool);

/* config_listener.c: the `count` listeners, each over what `defaults` says (NULL: nothing). Comes
 * after the pools, which have room for theirs. */
void config_read_listeners(struct config_reader *reader, const config_setting_t *defaults,
			   const config_setting_t *listeners, size_t count);

/* config_control.c: all of it goes into struct config_control. */
config_read_value config_read_control_socket;
config_read_value config_read_control_http;
config_read_value config_read_control_mode;
config_read_value config_read_control_owner;
/* What it is where the file says nothing. */
void config_control_built_in(struct config_control *control);
/* No listener has an address of `control` (NULL: the file has none); comes after the listeners. */
void config_check_control(struct config_reader *reader, const config_setting_t *control);

/* config_setting.c: values with rules of their own. */
config_read_value config_read_keepalive; /* struct keepalive */
config_read_value config_read_mode;      /* struct config_listener */
config_read_value config_read_owner;     /* struct config_listener */
config_read_value config_read_target;    /* const char *, of the log */
config_read_value config_read_cap;       /* uint32_t, of a socket's buffers */

/* config_outgoing.c */
config_read_value config_read_outgoing; /* struct config_side */

/* config_probe.c */
config_read_value config_read_probe;   /* struct config_side */
config_read_value config_read_message; /* struct config_message */

/* config_liveness.c: how the sides of a listener find out whether their peer is alive.
 *
 * After the keys of `setting`, a listener or `defaults`, were read: its dead_after takes the place
 * of a keepalive from elsewhere, and the other way round. */
void config_settle_liveness(struct config_reader *reader, const config_setting_t *setting,
			    struct config_listener *listener);
/* For a whole listener: fills in what follows from its keys, and checks that they agree with each
 * other. Where all that is wrong stands in `defaults` (NULL: none), it is said there, once. */
void config_finish_liveness(struct config_reader *reader, const config_setting_t *defaults,
			    const config_setting_t *setting, struct config_listener *listener);

#endif
