/*
 * What all commands share: reading options, saying what is wrong, asking the daemon.
 */
#include "ctl.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define SAY_MAX   4096
#define ID_DIGITS 18 /* so many nines still fit into 63 bits */

void *ctl_need(void *pointer)
{
	if (!pointer) {
		(void)fputs("finbackctl: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return pointer;
}

static void __attribute__((format(printf, 1, 0))) say(const char *format, va_list values)
{
	char text[SAY_MAX];

	(void)vsnprintf(text, sizeof text, format, values);
	(void)fflush(stdout); /* whether it went out is asked at the end */
	(void)fprintf(stderr, "finbackctl: %s\n", words_one_line(text));
}

void ctl_say(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say(format, values);
	va_end(values);
}

int ctl_say_usage(const struct command *command, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say(format, values);
	va_end(values);
	(void)fprintf(stderr, "Try 'finbackctl %s --help'.\n", command->name);
	return EX_USAGE;
}

int ctl_ask(struct ctl *ctl, const struct request *request, json_t **ret)
{
	int status;

	if (!ctl->client)
		ctl->client = ctl_need(client_create(ctl->socket));
	status = client_ask(ctl->client, request, ret);
	if (status)
		ctl_say("%s", client_why(ctl->client));
	return status;
}

int ctl_get(struct ctl *ctl, const char *path, json_t **ret)
{
	return ctl_ask(ctl, &(struct request){ .method = "GET", .path = path }, ret);
}

bool ctl_is_id(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= ID_DIGITS && text[0] != '0' &&
	       strspn(text, "0123456789") == length;
}

/* The tables of getopt_long(3), from a command's own choices and those of every command. A choice
 * is known by its place, so that one without a letter has a number as well. */
enum {
	OPTION_FIRST = 256,
	OPTION_SOCKET = OPTION_FIRST + CHOICES_MAX,
	OPTION_JSON
};

struct option_tables {
	struct option options[CHOICES_MAX + 4];
	char letters[2 * CHOICES_MAX + 4];
};

static void fill_tables(struct option_tables *tables, const struct choice *choices, size_t count)
{
	size_t letters = 0;

	memset(tables, 0, sizeof *tables);
	tables->letters[letters++] = 'h';
	for (size_t i = 0; i < count; i++) {
		int takes_value = choices[i].ret_value ? required_argument : no_argument;

		tables->options[i] = (struct option){ choices[i].name, takes_value, NULL,
						      OPTION_FIRST + (int)i };
		if (choices[i].letter)
			tables->letters[letters++] = choices[i].letter;
		if (choices[i].letter && takes_value)
			tables->letters[letters++] = ':';
	}
	tables->options[count] =
		(struct option){ "socket", required_argument, NULL, OPTION_SOCKET };
	tables->options[count + 1] = (struct option){ "json", no_argument, NULL, OPTION_JSON };
	tables->options[count + 2] = (struct option){ "help", no_argument, NULL, 'h' };
}

static const struct choice *choice_of(const struct choice *choices, size_t count, int option)
{
	for (size_t i = 0; i < count; i++)
		if (option == OPTION_FIRST + (int)i ||
		    (choices[i].letter && option == choices[i].letter))
			return &choices[i];
	return NULL;
}

/* Returns -1 to go on, else the exit status. */
static int take_choice(const struct command *command, const struct choice *choice)
{
	if (!choice) { /* getopt_long has said what is wrong */
		(void)fprintf(stderr, "Try 'finbackctl %s --help'.\n", command->name);
		return EX_USAGE;
	}
	if (choice->ret_is_set) {
		*choice->ret_is_set = true;
		return -1;
	}
	if (*choice->ret_value)
		return ctl_say_usage(command, "%s: --%s is given twice", command->name,
				     choice->name);
	*choice->ret_value = optarg;
	return -1;
}

int ctl_options(struct ctl *ctl, const struct command *command, const struct choice *choices,
		size_t choice_count, int count, char **values, int *ret_first)
{
	static char name[] = "finbackctl"; /* getopt_long's messages begin with it */
	struct option_tables tables;
	int option, status = -1;

	values[0] = name;
	fill_tables(&tables, choices, choice_count);
	optind = 0; /* a new round: main() has used it */
	while (status < 0 &&
	       (option = getopt_long(count, values, tables.letters, tables.options, NULL)) != -1) {
		if (option == OPTION_SOCKET) {
			ctl->socket = optarg;
		} else if (option == OPTION_JSON) {
			ctl->is_json = true;
		} else if (option == 'h') {
			(void)fputs(command->usage, stdout);
			status = CTL_OK;
		} else {
			status = take_choice(command, choice_of(choices, choice_count, option));
		}
	}
	if (status < 0 && ctl->is_json && !command->has_json)
		return ctl_say_usage(command, "%s: there is no --json for this command",
				     command->name);
	*ret_first = optind;
	return status;
}
