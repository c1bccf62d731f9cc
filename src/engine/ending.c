/*
 * Why sessions end: the one table of names that log, metrics and control share.
 *
 * Every value of enum ending has its own name, in lower case and fit for a label. ENDING_NONE has
 * one too, so that a session that still runs can be printed like any other.
 */
#include <finback/engine/ending.h>

#include <assert.h>

static const char *const names[] = {
	[ENDING_NONE] = "none",
	[ENDING_COMPLETE] = "complete",
	[ENDING_CLIENT_RESET] = "client_reset",
	[ENDING_SERVER_RESET] = "server_reset",
	[ENDING_CLIENT_DEAD] = "client_dead",
	[ENDING_SERVER_DEAD] = "server_dead",
	[ENDING_IDLE_TIMEOUT] = "idle_timeout",
	[ENDING_HALF_CLOSED_TIMEOUT] = "half_closed_timeout",
	[ENDING_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
	[ENDING_STALL_TIMEOUT] = "stall_timeout",
	[ENDING_SESSION_TIMEOUT] = "session_timeout",
	[ENDING_CONNECT_TIMEOUT] = "connect_timeout",
	[ENDING_CONNECT_REFUSED] = "connect_refused",
	[ENDING_CONNECT_FAILED] = "connect_failed",
	[ENDING_NO_SERVER] = "no_server",
	[ENDING_UNDELIVERED] = "undelivered",
	[ENDING_DENIED] = "denied",
	[ENDING_LIMITED] = "limited",
	[ENDING_BAD_PROXY_HEADER] = "bad_proxy_header",
	[ENDING_EVICTED] = "evicted",
	[ENDING_KILLED] = "killed",
	[ENDING_DRAINED] = "drained",
	[ENDING_FAULT] = "fault",
};
static_assert(sizeof(names) / sizeof(names[0]) == ENDINGS, "every ending has a name");

const char *ending_name(enum ending ending)
{
	assert((unsigned)ending < ENDINGS);
	return names[ending];
}

static const char *const detector_names[] = {
	[DETECTOR_KEEPALIVE] = "keepalive",
	[DETECTOR_USER_TIMEOUT] = "user_timeout",
	[DETECTOR_PROBE] = "probe",
	[DETECTOR_LINK] = "link",
};
static_assert(sizeof(detector_names) / sizeof(detector_names[0]) == DETECTORS,
	      "every detector has a name");

const char *detector_name(enum detector detector)
{
	assert((unsigned)detector < DETECTORS);
	return detector_names[detector];
}
