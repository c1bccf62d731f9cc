/*
 * Dead or only slow.
 *
 * Invariant: who answers is never dead, however little it reads: an answer ends the silence and
 * starts the count of what is unanswered again.
 *
 * Surprising: neither alone is enough. A living reader whose window is shut is silent for as long
 * as the kernel leaves between two window probes, which grows; and three segments are lost quickly.
 */
#include <finback/engine/session.h>
#include <finback/engine/times.h>
#include <finback/engine/vigil.h>

/* Of the parts: silent for long enough, but not yet asked often enough, so an answer is near. */
#define IMPATIENT 4
#define QUARTER   (VIGIL_PARTS / 4)

bool vigil_is_dead(const struct vitals *vitals, int64_t dead_after_us)
{
	return vitals->silent_us >= dead_after_us && vitals->unanswered >= VIGIL_UNANSWERED;
}

uint8_t vigil_next(const struct vitals *vitals, int64_t dead_after_us, int64_t now_us)
{
	int64_t part_us = dead_after_us / VIGIL_PARTS;
	int64_t left_us = dead_after_us - vitals->silent_us;

	if (left_us <= 0)
		left_us = part_us * (vitals->unanswered > 0 ? IMPATIENT : QUARTER);
	left_us = earlier(left_us, part_us * QUARTER);
	return (uint8_t)((now_us + left_us + part_us - 1) / part_us);
}

/* The first judgement since something is unacknowledged. What was read of the peer was sent by a
 * living one. */
static int64_t first_due_us(const struct session *session, enum side side, int64_t dead_after_us)
{
	int64_t waiting_us = moment_us(session->legs[side].waiting);
	int64_t due_us = moment_us(session->flows[side].progressed) + dead_after_us;
	int64_t earliest_us = waiting_us + dead_after_us / VIGIL_PARTS;
	int64_t latest_us = waiting_us + dead_after_us / VIGIL_PARTS * QUARTER;

	return bounded(due_us, earliest_us, latest_us);
}

int64_t vigil_due_us(const struct session *session, enum side side, int64_t dead_after_us)
{
	const struct leg *leg = &session->legs[side];
	int64_t part_us = dead_after_us / VIGIL_PARTS;
	int64_t looked = moment_us(leg->looked) / part_us;

	if (!leg->is_judged)
		return first_due_us(session, side, dead_after_us);
	/* It lies less than 128 parts before or after the last look. */
	return (looked + (int8_t)(uint8_t)(leg->vigil - (uint8_t)looked)) * part_us;
}
