/*
 * Listening sockets, kept or opened.
 *
 * Invariant: all or nothing. Where one socket cannot be opened, those opened before it in the same
 * call are closed again, and the ones in use are untouched.
 *
 * Surprising: a socket with a port of the kernel's choice is known by its listener's name, as two
 * of them have the same address in the file.
 */
#include <finback/daemon/sockets.h>
#include <finback/host/service.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSED_MAX 256
#define KEY_MAX    (ADDRESS_TEXT_MAX + 80)

/* One socket to be found or opened. */
struct wanted {
	const struct config_listener *settings;
	size_t route;
	char key[KEY_MAX];
	const struct address *address; /* NULL: it was passed */
	int fd;                        /* the passed descriptor */
};

static bool has_port(const struct address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return address->v4.sin_port != 0;
	case AF_INET6:
		return address->v6.sin6_port != 0;
	default:
		return true;
	}
}

/* An open socket with this key that is not taken yet: a listener may ask for two of the kernel's
 * ports. */
static struct listener *find(const struct sockets *open, const struct sockets *taken,
			     const char *key)
{
	for (size_t i = 0; i < open->count; i++) {
		struct listener *listener = open->entries[i].listener;

		if (strcmp(listener->key, key) == 0 && !sockets_has(taken, listener))
			return listener;
	}
	return NULL;
}

static int append(struct sockets *sockets, const struct sockets_entry *entry)
{
	struct sockets_entry *entries =
		reallocarray(sockets->entries, sockets->count + 1, sizeof *entries);

	if (!entries)
		return -ENOMEM;
	sockets->entries = entries;
	sockets->entries[sockets->count++] = *entry;
	return 0;
}

static int obtain(struct sockets *sockets, const struct wanted *wanted, const struct sockets *open)
{
	struct sockets_entry entry = { .route = wanted->route };
	int error = 0;

	entry.listener = find(open, sockets, wanted->key);
	if (!entry.listener) {
		entry.is_new = true;
		error = wanted->address ? listener_open(&entry.listener, wanted->key,
							wanted->address, wanted->settings)
					: listener_take(&entry.listener, wanted->key, wanted->fd,
							wanted->settings);
	}
	if (error < 0)
		return error;
	error = append(sockets, &entry);
	if (error < 0 && entry.is_new)
		listener_destroy(entry.listener);
	return error;
}

static int obtain_passed(struct sockets *sockets, const struct config_bind *bind,
			 struct wanted *wanted, const struct sockets *open,
			 char why[SOCKETS_WHY_MAX])
{
	int fds[PASSED_MAX];
	int count = service_sockets(bind->systemd_name, fds, PASSED_MAX);
	int error = 0;

	if (count == 0) {
		(void)snprintf(why, SOCKETS_WHY_MAX,
			       "listener %s: %s: no socket of this name was passed; passed: %s",
			       wanted->settings->name, bind->text,
			       *service_socket_names() ? service_socket_names() : "none");
		return -ENOENT;
	}
	if (count > PASSED_MAX) {
		(void)snprintf(why, SOCKETS_WHY_MAX,
			       "listener %s: %s: %d sockets of this name were passed; at most %d",
			       wanted->settings->name, bind->text, count, PASSED_MAX);
		return -E2BIG;
	}
	for (int i = 0; i < count && error == 0; i++) {
		(void)snprintf(wanted->key, sizeof wanted->key, "%s#%d", bind->text, i);
		wanted->address = NULL;
		wanted->fd = fds[i];
		error = obtain(sockets, wanted, open);
	}
	if (error < 0)
		(void)snprintf(why, SOCKETS_WHY_MAX, "listener %s: %s: %s", wanted->settings->name,
			       bind->text, strerrordesc_np(-error));
	return error;
}

static int obtain_own(struct sockets *sockets, const struct config_bind *bind,
		      struct wanted *wanted, const struct sockets *open, char why[SOCKETS_WHY_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	int error = 0;

	for (size_t i = 0; i < bind->address_count && error == 0; i++) {
		wanted->address = &bind->addresses[i];
		(void)address_format(wanted->address, text, sizeof text);
		(void)snprintf(wanted->key, sizeof wanted->key, "%s%s%s",
			       has_port(wanted->address) ? "" : wanted->settings->name,
			       has_port(wanted->address) ? "" : "@", text);
		error = obtain(sockets, wanted, open);
	}
	if (error < 0)
		(void)snprintf(why, SOCKETS_WHY_MAX, "listener %s: cannot listen on %s: %s",
			       wanted->settings->name, text, strerrordesc_np(-error));
	return error;
}

static int obtain_listener(struct sockets *sockets, const struct config *config, size_t route,
			   const struct sockets *open, char why[SOCKETS_WHY_MAX])
{
	const struct config_listener *settings = &config->listeners[route];
	struct wanted wanted = { .settings = settings, .route = route };
	int error = 0;

	for (size_t i = 0; i < settings->bind_count && error == 0; i++) {
		const struct config_bind *bind = &settings->binds[i];

		error = bind->systemd_name ? obtain_passed(sockets, bind, &wanted, open, why)
					   : obtain_own(sockets, bind, &wanted, open, why);
	}
	return error;
}

int sockets_open(struct sockets *ret, const struct config *config, const struct sockets *open,
		 char why[SOCKETS_WHY_MAX])
{
	struct sockets sockets = { 0 };
	int error = 0;

	for (size_t i = 0; i < config->listener_count && error == 0; i++)
		error = obtain_listener(&sockets, config, i, open, why);
	if (error < 0) {
		sockets_close_new(&sockets);
		sockets_fini(&sockets);
		return error;
	}
	*ret = sockets;
	return 0;
}

bool sockets_has(const struct sockets *sockets, const struct listener *listener)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->entries[i].listener == listener)
			return true;
	return false;
}

void sockets_close_new(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->entries[i].is_new)
			listener_destroy(sockets->entries[i].listener);
	sockets->count = 0;
}

void sockets_fini(struct sockets *sockets)
{
	free(sockets->entries);
	sockets->entries = NULL;
	sockets->count = 0;
}
