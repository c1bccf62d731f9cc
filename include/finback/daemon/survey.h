#ifndef FINBACK_DAEMON_SURVEY_H
#define FINBACK_DAEMON_SURVEY_H

#include <finback/daemon/view.h>
#include <finback/engine/endpoint.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Questions about sessions, asked by the supervisor's thread and answered by the workers, by
 * letter. A worker answers a slice at a time and goes on relaying in between: a slice stops after
 * SURVEY_SLICE sessions or SURVEY_SLICE_US.
 */

struct crew;
struct worker;
struct relays;

#define SURVEY_SLICE    64
#define SURVEY_SLICE_US 500

/* A question on its way, or its answer. Whoever asks embeds it, owns it, and keeps it until
 * on_answer was called. */
struct inquiry {
	void (*answer)(struct relays *relays, struct inquiry *inquiry); /* worker's thread */
	void (*on_answer)(struct inquiry *inquiry);                     /* supervisor's thread */
	struct crew *crew;
};

/* Which sessions. Zeroed, with empty names: all. */
struct survey_filter {
	unsigned states;      /* bits, 1 << enum session_state; 0: any */
	const char *listener; /* names; NULL: any. They live as long as the survey */
	const char *pool;
	const char *server;
	int64_t min_age_us;
	int64_t ending_within_us; /* a deadline ends it within; 0: whenever */
	struct endpoint client;   /* the client's network; ENDPOINT_NONE: any */
	unsigned client_prefix;   /* its bits that count */
};

/* A part of the list of live sessions: by worker, then oldest first. */
struct survey {
	struct inquiry inquiry;
	struct survey_filter filter;
	uint64_t id; /* this session alone; 0: all that the filter takes */
	bool is_brief;
	size_t worker;  /* whose sessions */
	uint64_t after; /* those above this id; moves on with each slice */
	size_t room;    /* views at most, 1 to SURVEY_SLICE */
	size_t count;   /* the answer: */
	struct session_view views[SURVEY_SLICE];
	bool is_through; /* this worker has no more */
};

/* The last sessions of one worker that ended. */
struct ended_survey {
	struct inquiry inquiry;
	struct survey_filter filter; /* names alone count */
	size_t worker;
	size_t count; /* the answer: */
	struct ended_view views[ENDED_MAX];
};

/* An order to end one session as `killed`. */
struct kill_order {
	struct inquiry inquiry;
	uint64_t id;
	bool is_found;
};

/* Each asks one worker; on_answer is set by the caller and is called later. */
void survey_ask(struct crew *crew, struct survey *survey);
void survey_ask_ended(struct crew *crew, struct ended_survey *survey);
void survey_kill(struct crew *crew, struct kill_order *order);

/* The worker that has, or had, the session with this id, which is not 0. */
size_t survey_worker_of(const struct crew *crew, uint64_t id);

#endif
