/*
 * The control interface as the supervisor's guest.
 *
 * Invariant: a reload opens what is new before anything changes; an address that stays keeps its
 * socket, and whoever waits on it.
 *
 * Surprising: the connections belong to a door, not to the address that they came in by. So an
 * address can go while its last requests are still answered.
 */
#include <finback/host/log.h>
#include <finback/io/sock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control_private.h"

/* Beside its callers a door has an epoll set and an event counter; during a reload it may have two
 * sets of entrances; and /proc is read now and then. */
#define DOOR_DESCRIPTORS  (CONTROL_CALLERS_MAX + 2)
#define SPARE_DESCRIPTORS 2

struct supervisor_facts control_facts(const struct request *request)
{
	return supervisor_facts(request->door->control->supervisor);
}

/* ---- what the configuration asks for ----------------------------------------------------------
 */

static struct sock_listen options_of(const struct config_control *config)
{
	return (struct sock_listen){
		.backlog = CONTROL_BACKLOG,
		.has_soft_close = true,
		.has_mode = true,
		.mode = config->mode,
		.owner = config->owner,
		.group = config->group,
	};
}

static const char *reason(const struct address *address, int error)
{
	struct stat status;

	if (error != -EADDRINUSE)
		return strerrordesc_np(-error);
	if (address->any.sa_family == AF_UNIX && lstat(address->un.sun_path, &status) == 0 &&
	    !S_ISSOCK(status.st_mode))
		return "there is a file that is no socket";
	return "another program listens there, or another finback";
}

static void explain(const struct config_control *config, const struct address *address, int error,
		    char why[SUPERVISOR_WHY_MAX])
{
	char text[ADDRESS_TEXT_MAX];

	(void)address_format(address, text, sizeof text);
	if (address->any.sa_family != AF_UNIX)
		(void)snprintf(why, SUPERVISOR_WHY_MAX, "control.http: cannot listen on %s: %s",
			       text, reason(address, error));
	else if (error == -EPERM && (config->owner != (uid_t)-1 || config->group != (gid_t)-1))
		(void)snprintf(why, SUPERVISOR_WHY_MAX,
			       "control.owner: cannot give %s to this owner: %s",
			       address->un.sun_path, strerrordesc_np(-error));
	else
		(void)snprintf(why, SUPERVISOR_WHY_MAX, "control.socket: cannot listen on %s: %s",
			       address->un.sun_path, reason(address, error));
}

/* Finds or opens one entrance. */
static int obtain(struct door *door, const struct config_control *config,
		  const struct address *address, char why[SUPERVISOR_WHY_MAX])
{
	struct sock_listen options = options_of(config);
	struct entrance *entrance = door_entrance(door, address);
	int error = 0;

	if (entrance)
		entrance->is_wanted = true;
	else
		error = door_open(door, address, &options);
	if (error < 0)
		explain(config, address, error, why);
	return error;
}

static int prepare(void *guest, const struct config *config, char why[SUPERVISOR_WHY_MAX])
{
	const struct config_control *wanted = &config->control;
	struct control *control = guest;
	int error = 0;

	for (size_t i = 0; i < CONTROL_DOORS; i++)
		for (struct entrance *entrance = control->doors[i].entrances; entrance;
		     entrance = entrance->next)
			entrance->is_wanted = false;
	if (wanted->has_socket)
		error = obtain(&control->doors[CONTROL_UNIX], wanted, &wanted->socket, why);
	for (size_t i = 0; i < wanted->http_count && error == 0; i++)
		error = obtain(&control->doors[CONTROL_TCP], wanted, &wanted->http[i], why);
	if (error == 0)
		control->options = options_of(wanted);
	for (size_t i = 0; i < CONTROL_DOORS && error < 0; i++)
		door_close(&control->doors[i], true);
	return error;
}

static void say(const char *format, const struct entrance *entrance)
{
	bool is_unix = entrance->address.any.sa_family == AF_UNIX;

	log_say(LOG_LEVEL_INFO, "control: %s%s %s", format, is_unix ? "socket" : "http on",
		entrance->text);
}

/* One that is kept may have another mode and owner from now on. */
static void adjust(const struct control *control, const struct entrance *entrance)
{
	int error = 0;

	if (entrance->address.any.sa_family == AF_UNIX)
		error = sock_set_owner(entrance->text, &control->options);
	if (error < 0)
		log_say(LOG_LEVEL_WARNING, "control: cannot change mode or owner of %s: %s",
			entrance->text, strerrordesc_np(-error));
}

static void take_door(struct control *control, struct door *door)
{
	for (struct entrance *entrance = door->entrances; entrance; entrance = entrance->next) {
		if (!entrance->is_wanted) {
			say("closed ", entrance);
		} else if (entrance->is_new) {
			door_admit(entrance);
			say("", entrance);
		} else {
			adjust(control, entrance);
		}
	}
	door_close(door, false);
}

static void take(void *guest)
{
	struct control *control = guest;

	for (size_t i = 0; i < CONTROL_DOORS; i++)
		take_door(control, &control->doors[i]);
}

/* ---- the guest --------------------------------------------------------------------------------
 */

static int start(void *guest, struct supervisor *supervisor)
{
	struct control *control = guest;

	control->supervisor = supervisor;
	control->loop = supervisor_facts(supervisor).loop;
	return 0;
}

static void stop(void *guest)
{
	struct control *control = guest;

	for (size_t i = 0; i < CONTROL_DOORS; i++)
		door_fini(&control->doors[i]);
}

static void fini(void *guest)
{
	wait_release_all(guest);
}

static unsigned descriptors_of(const struct config_control *config)
{
	unsigned count = 0;

	if (config->has_socket)
		count += DOOR_DESCRIPTORS + 2;
	if (config->http_count > 0)
		count += DOOR_DESCRIPTORS + 2 * (unsigned)config->http_count;
	return count > 0 ? count + SPARE_DESCRIPTORS : 0;
}

struct supervisor_guest control_guest(struct control *control, const struct config *config)
{
	return (struct supervisor_guest){
		.start = start,
		.prepare = prepare,
		.take = take,
		.stop = stop,
		.fini = fini,
		.guest = control,
		.descriptors = descriptors_of(&config->control),
	};
}

int control_create(struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);

	if (!control)
		return -ENOMEM;
	door_init(&control->doors[CONTROL_UNIX], control, false);
	door_init(&control->doors[CONTROL_TCP], control, true);
	*ret = control;
	return 0;
}

void control_destroy(struct control *control)
{
	free(control);
}
