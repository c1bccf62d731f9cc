/*
 * When a session is to be looked at again though nothing happens to it, and what has passed then.
 *
 * Invariant: the timer never fires later than the earliest of what is due.
 *
 * Surprising: it is lazy. It is armed anew only for something earlier, so it may fire too early,
 * finds that nothing has passed, and is armed again.
 */
#include "relay_private.h"

/* How many lines a session that runs should have had by then. */
static int64_t lines_until(const struct relay *relay, int64_t at_us)
{
	return (at_us - moment_us(relay->session.accepted)) / log_every_us(relay);
}

/* When its next line is due; 0: never. */
static int64_t next_line_us(const struct relay *relay)
{
	int64_t every_us = log_every_us(relay);

	if (every_us == 0)
		return 0;
	return moment_us(relay->session.accepted) +
	       (lines_until(relay, relay->lane->relays->now_us) + 1) * every_us;
}

void relay_arm(struct relay *relay)
{
	struct relays *relays = relay->lane->relays;
	struct deadline_at next = deadline_next(&relay->session, policy_of(relay));
	int64_t at_us = next.deadline == DEADLINE_NONE ? 0 : next.at_us;
	int64_t armed_us = agenda_due_us(&relays->agenda, relay);

	at_us = sooner(at_us, sooner(retry_us_of(relay), next_line_us(relay)));
	at_us = sooner(at_us, sooner(relay_vigil_next_us(relay), relay_probe_next_us(relay)));
	/* Lazy: a timer that fires too early finds out and is armed again. */
	if (at_us == 0 || (armed_us != 0 && armed_us <= at_us))
		return;
	agenda_set(&relays->agenda, relay, at_us, relays->now_us);
}

/* Idle, and both peers are known to be alive. */
static bool is_spared(const struct relay *relay)
{
	return policy_of(relay)->is_sparing_alive && relay_is_alive(relay, CLIENT) &&
	       relay_is_alive(relay, SERVER);
}

static void expire(struct relay *relay, enum deadline deadline)
{
	if (deadline == DEADLINE_CONNECT) {
		relay_fail_attempt(relay, 0);
	} else if (deadline == DEADLINE_IDLE && is_spared(relay)) {
		relay_tell_event(relay, SESSION_SPARED, CLIENT, 0);
	} else if (deadline < DEADLINES) {
		relay_tell(relay, &(struct fact){
					  .event = SESSION_EXPIRED,
					  .ending = deadline_ending(deadline),
					  .is_gentle = policy_of(relay)->is_closed_on_timeout,
				  });
	}
}

/* A deadline has passed by what is known. What the kernel knows may push it on, or end the session
 * well in the last moment. */
static void expire_after_look(struct relay *relay)
{
	struct deadline_at next;

	relay_look_both(relay);
	next = deadline_next(&relay->session, policy_of(relay));
	if (next.deadline != DEADLINE_NONE && next.at_us <= relay->lane->relays->now_us)
		expire(relay, next.deadline);
}

/* Nothing is kept of the lines there were: the timer fires at each of their times, or it was armed
 * for something before it, so what lies between the two is due. */
static void log_if_due(const struct relay *relay, int64_t armed_us)
{
	if (log_every_us(relay) > 0 &&
	    lines_until(relay, relay->lane->relays->now_us) > lines_until(relay, armed_us - 1))
		relay_log_running(relay);
}

void relay_on_timer(struct relay *relay, int64_t due_us)
{
	struct deadline_at next;

	relay->lane->relays->now_us = monotonic_us();
	log_if_due(relay, due_us);
	if (retry_us_of(relay) != 0 && retry_us_of(relay) <= relay->lane->relays->now_us)
		relay_start_attempt(relay);
	next = deadline_next(&relay->session, policy_of(relay));
	if (next.deadline != DEADLINE_NONE && next.at_us <= relay->lane->relays->now_us)
		expire_after_look(relay);
	relay_vigil_on_timer(relay);
	relay_probe_on_timer(relay);
	relay->session.wishes |= WISH_REARM;
	relay_step(relay);
}
