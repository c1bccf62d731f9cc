#ifndef FINBACK_DAEMON_ROSTER_H
#define FINBACK_DAEMON_ROSTER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The live sessions of one worker in the order of their ids, which only grow. To add one and to
 * remove one costs next to nothing; to find one, or to go on behind one that is gone meanwhile,
 * takes a binary search. So a list can be read a slice at a time while sessions come and go.
 */

struct relay;

struct roster_entry {
	uint64_t id;
	struct relay *relay; /* NULL: gone */
};

struct roster {
	struct roster_entry *entries;
	size_t used; /* entries, those that are gone included */
	size_t live;
	size_t capacity;
};

/* Zeroed storage is an empty roster. Releases it, not the relays. */
void roster_fini(struct roster *roster);

/* Makes room for one more, so that the next roster_add cannot fail. Returns 0 or -ENOMEM. */
int roster_reserve(struct roster *roster);

/* Appends one, for which there is room; its id is above all before it. */
void roster_add(struct roster *roster, uint64_t id, struct relay *relay);

/* Removes one that is there. */
void roster_remove(struct roster *roster, uint64_t id);

/* The one with this id; NULL: it has ended or never was. */
struct relay *roster_find(const struct roster *roster, uint64_t id);

/* The first one above `id`, with its id in *ret_id; 0 begins. NULL: there is none. */
struct relay *roster_next(const struct roster *roster, uint64_t id, uint64_t *ret_id);

#endif
