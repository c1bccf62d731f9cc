/*
 * finback-load: the clients and the servers of a TCP relay in one process, so that each end knows
 * what the other one really did, and every byte, end of file and reset is checked against that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "modes.h"
#include "report.h"

static const struct mode {
	const char *name;
	void (*run)(struct options *options);
} modes[] = {
	{ "crowd", crowd_run }, /* sessions of every shape, one after another */
	{ "bulk", bulk_run },   /* streams as fast as they go */
	{ "ping", ping_run },   /* requests and responses */
	{ "churn", churn_run }, /* sessions as short as they get, with a half-close in each */
	{ "idle", idle_run },   /* sessions that are only held */
	{ "stall", stall_run }, /* clients that do not read */
	{ "flood", flood_run }, /* clients that never speak */
};

/* Two descriptors a session are needed here, where the shell's default is 1024. */
static void take_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .resets = 150, .huge = 10 };

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		options_help();
		return argc < 2 ? EXIT_USAGE : EXIT_SUCCESS;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[1]) != 0)
			continue;
		options_parse(&options, argc, argv);
		take_descriptors();
		modes[i].run(&options);
		report_count("errors", report_errors());
		return report_errors() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	report_die(EXIT_USAGE, "no mode %s; finback-load --help lists them", argv[1]);
}
