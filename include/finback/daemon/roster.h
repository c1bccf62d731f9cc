#ifndef FINBACK_DAEMON_ROSTER_H
#define FINBACK_DAEMON_ROSTER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The live sessions of one worker in the order of their ids, which only grow. To add one costs next
 * to nothing; to find one, or to go on behind one that is gone meanwhile, takes a search. So a list
 * can be read a slice at a time while sessions come and go.
 */

struct relay;

/* The relay, which knows its id; or of one that is gone the id, twice and one more, as no relay
 * lies at an odd address. */
typedef uintptr_t roster_entry;

/* No session has a larger id. */
#define ROSTER_ID_MAX (UINT64_MAX / 2)

struct roster {
	roster_entry *entries;
	size_t used; /* entries, those that are gone included */
	size_t live;
	size_t capacity;
};

/* Zeroed storage is an empty roster. Releases it, not the relays. */
void roster_fini(struct roster *roster);

/* Makes room for one more, so that the next roster_add cannot fail. Returns 0 or -ENOMEM. */
int roster_reserve(struct roster *roster);

/* Appends one, for which there is room; the id of its session is above all before it. */
void roster_add(struct roster *roster, struct relay *relay);

/* Removes one that is there. */
void roster_remove(struct roster *roster, const struct relay *relay);

/* The one with this id; NULL: it has ended or never was. */
struct relay *roster_find(const struct roster *roster, uint64_t id);

/* The first one above `id`, with its id in *ret_id; 0 begins. NULL: there is none. */
struct relay *roster_next(const struct roster *roster, uint64_t id, uint64_t *ret_id);

#endif
