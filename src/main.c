/*
 * finback's command: arguments, wiring, exit status.
 */
#include <finback/admin/control.h>
#include <finback/daemon/demo.h>
#include <finback/daemon/supervisor.h>
#include <finback/host/config.h>
#include <finback/host/log.h>
#include <finback/host/service.h>
#include <finback/io/address.h>

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_FILE  "/etc/finback/finback.conf"
#define DEMO_ADDRESS  "127.0.0.1:8080"
#define DEMO_FILE_MAX 1024

static const char usage[] =
	"usage: finback [-c FILE] [--check]\n"
	"       finback --demo[=ADDRESS]\n"
	"\n"
	"Relays TCP in front of backend servers, and keeps half-close and reset true end to end.\n"
	"\n"
	"  -c, --config FILE   the configuration; default " DEFAULT_FILE "\n"
	"      --check         only check the configuration; the exit status is 78 if it is bad\n"
	"      --demo[=ADDR]   relay to an embedded backend that sorts lines; default " DEMO_ADDRESS
	"\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this help\n"
	"\n"
	"SIGHUP reloads the configuration. SIGTERM stops accepting and lets sessions finish;\n"
	"a second one ends them. See finback.conf for every setting.\n";

struct arguments {
	const char *file;
	const char *demo; /* an address; NULL: no demo */
	bool is_check;
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int count, char **values, struct arguments *ret)
{
	enum {
		OPTION_CHECK = 256,
		OPTION_DEMO
	};
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, OPTION_CHECK },
		{ "demo", optional_argument, NULL, OPTION_DEMO },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(count, values, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->file = optarg;
			break;
		case OPTION_CHECK:
			ret->is_check = true;
			break;
		case OPTION_DEMO:
			ret->demo = optarg ? optarg : DEMO_ADDRESS;
			break;
		case 'V':
			(void)puts("finback " FINBACK_VERSION);
			return EX_OK;
		case 'h':
			(void)fputs(usage, stdout);
			return EX_OK;
		default: /* getopt_long has said what is wrong */
			(void)fputs("Try 'finback --help'.\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind < count) {
		(void)fprintf(stderr, "finback: unexpected argument '%s'\nTry 'finback --help'.\n",
			      values[optind]);
		return EX_USAGE;
	}
	if (ret->demo && (ret->file || ret->is_check)) {
		(void)fputs("finback: --demo goes with neither -c nor --check\n", stderr);
		return EX_USAGE;
	}
	if (!ret->file)
		ret->file = DEFAULT_FILE;
	return -1;
}

static void log_problems(const struct config_problems *problems)
{
	for (size_t i = 0; i < problems->error_count; i++)
		log_say(LOG_LEVEL_ERROR, "%s", problems->errors[i]);
	for (size_t i = 0; i < problems->warning_count; i++)
		log_say(LOG_LEVEL_WARNING, "%s", problems->warnings[i]);
}

static int run_with_control(struct config *config)
{
	struct supervisor_guest guest;
	struct control *control;
	int status;

	if (control_create(&control) < 0) {
		log_say(LOG_LEVEL_ERROR, "no memory to start with");
		config_unref(config);
		return EX_OSERR;
	}
	guest = control_guest(control, config);
	status = supervisor_run(config, true, &guest);
	control_destroy(control);
	return status;
}

static int run_file(const struct arguments *arguments)
{
	struct config *config = NULL;
	struct config_problems problems = { 0 };
	int error = config_load(arguments->file, &config, &problems);

	log_problems(&problems);
	config_problems_fini(&problems);
	if (error < 0)
		return EX_CONFIG;
	if (arguments->is_check) {
		log_say(LOG_LEVEL_INFO, "%s: good", arguments->file);
		config_unref(config);
		return EX_OK;
	}
	return run_with_control(config);
}

static int demo_config(const char *listen, const struct address *backend, struct config **ret)
{
	struct config_problems problems = { 0 };
	char server[ADDRESS_TEXT_MAX];
	char text[DEMO_FILE_MAX];
	int error;

	if (strpbrk(listen, "\"\\\n") || strlen(listen) >= ADDRESS_TEXT_MAX) {
		log_say(LOG_LEVEL_ERROR, "--demo: not an address");
		return EX_USAGE;
	}
	(void)snprintf(text, sizeof text,
		       "listeners = ({ name = \"demo\"; listen = \"%s\"; servers = \"%s\"; });\n",
		       listen, address_format(backend, server, sizeof server));
	error = config_load_text(text, "--demo", ret, &problems);
	log_problems(&problems);
	config_problems_fini(&problems);
	return error < 0 ? EX_USAGE : EX_OK;
}

static int run_demo(const struct arguments *arguments)
{
	struct config *config = NULL;
	struct demo *demo;
	struct address backend;
	const char *why = "";
	int status;

	if (demo_start(&demo, &backend, &why) < 0) {
		log_say(LOG_LEVEL_ERROR, "--demo: %s", why);
		return EX_OSERR;
	}
	status = demo_config(arguments->demo, &backend, &config);
	if (status == EX_OK)
		status = supervisor_run(config, false, NULL);
	demo_stop(demo);
	return status;
}

int main(int count, char **values)
{
	struct arguments arguments = { 0 };
	int status = parse_arguments(count, values, &arguments);

	if (status >= 0)
		return status;
	if (service_take_sockets() < 0) {
		log_say(LOG_LEVEL_ERROR, "cannot take over the sockets that were passed");
		return EX_OSERR;
	}
	status = arguments.demo ? run_demo(&arguments) : run_file(&arguments);
	log_close();
	return status;
}
