#ifndef FINBACK_HOST_CONFIG_H
#define FINBACK_HOST_CONFIG_H

#include <finback/engine/balance.h>
#include <finback/engine/deadline.h>
#include <finback/engine/probe.h>
#include <finback/engine/side.h>
#include <finback/host/log.h>
#include <finback/io/address.h>
#include <finback/io/liveness.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The configuration: a libconfig file made into one immutable tree, or a list of all that is wrong
 * with it. Never opens a socket; looks host names up. Defaults are filled in: a reader needs no
 * other source.
 */

#define CONFIG_SOURCES_MAX    64            /* of one listener */
#define CONFIG_FILE_BYTES_MAX (1024 * 1024) /* of a file and its includes together */

/* One entry of `listen`. No other has the same address; only at port 0, where the kernel picks a
 * port for each, can two have one text. */
struct config_bind {
	const char *text; /* as written, e.g. "0.0.0.0:80"; names this socket over reloads */
	const char *systemd_name;  /* of "systemd:NAME"; NULL: bind an address of our own */
	struct address *addresses; /* what the text stands for; a name may stand for several */
	size_t address_count;
};

struct config_server {
	const char *name;          /* `name`, else the address as written */
	const char *text;          /* the address as written */
	struct address *addresses; /* tried in this order */
	size_t address_count;
};

struct config_pool {
	const char *name; /* a listener's own `servers` make a pool with the listener's name */
	struct balance balance;
	struct config_server *servers; /* balance.count of them */
};

struct config_side {
	struct keepalive keepalive; /* as written, or what dead_after comes to */
	bool has_probe;
	struct probe_settings probe;
	struct address *sources; /* SERVER: where connections come from, in turn; ports are 0 */
	size_t source_count;     /* 0: the kernel chooses */
};

struct config_listener {
	const char *name;
	struct config_bind *binds;
	size_t bind_count;
	const struct config_pool *pool;
	struct policy policy;
	struct config_side sides[SIDES];
	unsigned max_sessions;    /* 0: none */
	unsigned max_half_closed; /* 0: none */
	unsigned max_embryonic;   /* 0: none */
	int backlog;
	uint32_t buffer_cap; /* of each of the kernel's buffers of a socket; 0: its own tuning */
	bool has_mode;       /* UNIX sockets: */
	mode_t mode;
	uid_t owner; /* (uid_t)-1: left as it is */
	gid_t group; /* (gid_t)-1: left as it is */
};

/* Where the control interface listens. */
struct config_control {
	bool has_socket;
	struct address socket; /* UNIX */
	mode_t mode;           /* of the socket's file; 0600 where the configuration is silent */
	uid_t owner;           /* (uid_t)-1: left as it is */
	gid_t group;           /* (gid_t)-1: left as it is */
	struct address *http;  /* TCP, for reads alone; a name may stand for several */
	size_t http_count;     /* 0: none */
};

struct config {
	const char *path;
	unsigned workers;      /* 0: one for each CPU this process may use */
	unsigned max_sessions; /* 0: what the descriptor limit allows */
	int64_t drain_us;
	int64_t spin_us; /* how long a worker polls before it sleeps; 0: it sleeps at once */
	struct log_settings log;
	struct config_control control;
	struct config_pool *pools;
	size_t pool_count;
	struct config_listener *listeners;
	size_t listener_count;
	void *storage; /* private: all of the above lives here */
	atomic_uint references;
};

/* What is wrong, one line each: "FILE:LINE: KEY: what is wrong; what would be right". Warnings do
 * not make a file bad. */
struct config_problems {
	char **errors;
	size_t error_count;
	char **warnings;
	size_t warning_count;
};

#define CONFIG_PROBLEMS_MAX 200 /* of each; the last line then says that there are more */

/* Reads and checks a file with all its @includes (relative to the file's directory). Where it does
 * not name the control socket, that is control.sock in the first of the $RUNTIME_DIRECTORY
 * (systemd.exec(5)); without one there is none. Returns 0 with *ret_config holding one reference of
 * the caller's; -EINVAL with at least one error in `problems`; -ENOMEM. `problems` is filled in
 * both cases and is the caller's to release. */
int config_load(const char *path, struct config **ret_config, struct config_problems *problems);

/* The same from memory; `name` stands for the file in messages. */
int config_load_text(const char *text, const char *name, struct config **ret_config,
		     struct config_problems *problems);

void config_problems_fini(struct config_problems *problems);

/* One more reference, from any thread. Returns `config`. */
struct config *config_ref(struct config *config);

/* Gives one reference back; the last one releases everything. NULL is fine. */
void config_unref(struct config *config);

#endif
