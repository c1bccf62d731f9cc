/*
 * io/sock, and the facts of the kernel that finback stands on: what sockets inherit, when a close
 * is a reset, who is told an error, and what happens to a socket file. A kernel that differs fails
 * here first.
 */
#include <finback/io/liveness.h>
#include <finback/io/sock.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "peers.h"

#define NOBODY 65534

static const struct sock_listen plain = {
	.backlog = 16,
	.owner = (uid_t)-1,
	.group = (gid_t)-1,
};

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/finback-sock-XXXXXX");
	return mkdtemp(folder) ? chmod(folder, 0755) : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int listening(const struct address *address)
{
	int fd = sock_listen(address, &plain);

	assert_true(fd >= 0);
	return fd;
}

static int accepted(int listener)
{
	struct address peer;
	int fd;

	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(listener, &peer);
	assert_true(fd >= 0);
	return fd;
}

/* ---- options ----------------------------------------------------------------------------------
 */

static void check_options(int fd)
{
	struct linger linger = { 0 };
	socklen_t length = sizeof linger;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length), 0);
	assert_int_equal(linger.l_onoff, 1);
	assert_int_equal(linger.l_linger, 0);
	assert_int_not_equal(option_of(fd, SOL_SOCKET, SO_OOBINLINE), 0);
	assert_int_not_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
}

static void check_flags(int fd)
{
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void check_keepalive(int fd, const struct keepalive *keepalive)
{
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), keepalive->idle_s);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), keepalive->interval_s);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), keepalive->count);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), keepalive->user_timeout_ms);
}

static void accepted_sockets_inherit_from(int listener)
{
	const struct keepalive keepalive = {
		.is_set = true, .idle_s = 21, .interval_s = 11, .count = 4, .user_timeout_ms = 7000
	};
	struct address address = address_of(listener);
	int peer;
	int fd;

	assert_int_equal(liveness_apply(listener, &keepalive), 0);
	peer = peer_connected(&address);
	fd = accepted(listener);
	check_options(fd);
	check_flags(fd);
	check_keepalive(fd, &keepalive);
	sock_close(fd);
	(void)close(peer);
}

static void accepted_sockets_inherit_options(void **state)
{
	struct address address = loopback();
	int own = listening(&address);
	int passed = peer_listening(&address, 4);

	(void)state;
	check_flags(own);
	accepted_sockets_inherit_from(own);
	assert_int_equal(sock_prepare(passed), 0);
	accepted_sockets_inherit_from(passed);
	sock_close(own);
	sock_close(passed);
}

/* Why sock_accept asks for it: the listener's O_NONBLOCK is its own. */
static void accepted_sockets_do_not_inherit_nonblock(void **state)
{
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	int peer = peer_connected(&bound);
	int fd;

	(void)state;
	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	sock_close(fd);
	(void)close(peer);
	sock_close(listener);
}

static void connected_sockets_have_options(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	check_options(pair.ours);
	check_flags(pair.ours);
	close_pair(&pair);
}

static void preparing_what_is_no_tcp_socket(void **state)
{
	struct pair pair = unix_pair();
	int fds[2];

	(void)state;
	assert_int_equal(sock_prepare(pair.ours), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sock_prepare(fds[0]), -ENOTSOCK);
	assert_int_equal(sock_prepare(-1), -EBADF);
	(void)close(fds[0]);
	(void)close(fds[1]);
	close_pair(&pair);
}

/* ---- what a close means -----------------------------------------------------------------------
 */

static void close_with_nothing_ended_resets(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	put(pair.ours, "abc");
	wait_until_acked(pair.ours);
	sock_close(pair.ours);
	pair.ours = -1;
	expect_text(pair.peer, "abc");
	expect_result(pair.peer, -ECONNRESET);
	close_pair(&pair);
}

static void close_after_the_peers_fin_alone_resets(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	send_fin(pair.peer);
	expect_result(pair.ours, 0);
	sock_close(pair.ours);
	pair.ours = -1;
	expect_result(pair.peer, -ECONNRESET);
	close_pair(&pair);
}

/* The peer has read our FIN, so only SO_ERROR tells it of the reset. */
static void close_after_our_fin_alone_resets(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	assert_int_equal(sock_finish(pair.ours), 0);
	wait_until_acked(pair.ours);
	sock_close(pair.ours);
	pair.ours = -1;
	assert_true(wait_for(pair.peer, 0, PATIENCE_MS) & POLLERR);
	expect_result(pair.peer, 0);
	assert_int_equal(sock_take_error(pair.peer), -EPIPE);
	close_pair(&pair);
}

/* Both ends of file passed on, and our last bytes still on their way: the reason for waiting. */
static void close_before_the_acknowledgement_loses_the_tail(void **state)
{
	struct pair pair = small_tcp_pair();
	size_t written;
	size_t arrived;

	(void)state;
	written = fill(pair.ours);
	assert_int_equal(sock_finish(pair.ours), 0);
	send_fin(pair.peer);
	expect_result(pair.ours, 0);
	assert_true(sock_unacked(pair.ours) > 0);
	sock_close(pair.ours);
	pair.ours = -1;
	assert_int_equal(drain(pair.peer, &arrived), -ECONNRESET);
	assert_true(arrived < written);
	close_pair(&pair);
}

/* Writes, closes, and wants the peer to read all of it and an end of file, whatever it does. */
static void close_softly(const struct address *address)
{
	struct sock_listen soft = plain;
	struct address bound;
	int listener;
	int ours;
	int peer;

	soft.has_soft_close = true;
	listener = sock_listen(address, &soft);
	assert_true(listener >= 0);
	bound = address_of(listener);
	peer = peer_connected(&bound);
	ours = accepted(listener);
	check_flags(ours);
	put(ours, "an answer");
	sock_close(ours);
	expect_text(peer, "an answer");
	expect_result(peer, 0);
	assert_int_equal(sock_take_error(peer), 0);
	(void)close(peer);
	sock_close(listener);
}

static void a_soft_close_delivers_what_was_written(void **state)
{
	struct address address = loopback();

	(void)state;
	close_softly(&address);
}

static void close_after_both_fins_does_not_reset(void **state)
{
	(void)state;
	for (int is_ours_first = 0; is_ours_first < 2; is_ours_first++) {
		struct pair pair = tcp_pair();

		put(pair.ours, "tail");
		if (is_ours_first)
			assert_int_equal(sock_finish(pair.ours), 0);
		send_fin(pair.peer);
		expect_result(pair.ours, 0);
		if (!is_ours_first)
			assert_int_equal(sock_finish(pair.ours), 0);
		wait_until_acked(pair.ours);
		sock_close(pair.ours);
		pair.ours = -1;
		assert_false(wait_for(pair.peer, 0, SETTLE_MS) & POLLERR);
		expect_text(pair.peer, "tail");
		expect_result(pair.peer, 0);
		assert_int_equal(sock_take_error(pair.peer), 0);
		close_pair(&pair);
	}
}

static void a_killed_process_resets_its_peers(void **state)
{
	struct pair pair = tcp_pair();
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0)
		for (;;)
			(void)pause();
	assert_true(child > 0);
	sock_close(pair.ours); /* the child's copy keeps the connection */
	pair.ours = -1;
	assert_int_equal(wait_for(pair.peer, POLLIN, SETTLE_MS), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	expect_result(pair.peer, -ECONNRESET);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close_pair(&pair);
}

static void closing_nothing_is_fine(void **state)
{
	(void)state;
	sock_close(-1);
}

/* ---- errors -----------------------------------------------------------------------------------
 */

enum asker {
	ASK_RECV,
	ASK_SEND,
	ASK_ERROR,
	ASKERS
};

static int ask(int fd, enum asker asker)
{
	char byte = 'x';
	ssize_t result;

	if (asker == ASK_ERROR)
		return sock_take_error(fd);
	result = asker == ASK_RECV ? recv(fd, &byte, 1, MSG_DONTWAIT)
				   : send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return result < 0 ? -errno : (int)result;
}

/* What each says after the error was told: a read of 0 is no end of file then. */
static const int later_answers[ASKERS] = {
	[ASK_RECV] = 0,
	[ASK_SEND] = -EPIPE,
	[ASK_ERROR] = 0,
};

static void an_error_is_told_once(void **state)
{
	(void)state;
	for (int first = 0; first < ASKERS; first++) {
		for (int second = 0; second < ASKERS; second++) {
			struct pair pair = tcp_pair();

			send_reset(&pair.peer);
			assert_true(wait_for(pair.ours, 0, PATIENCE_MS) & POLLERR);
			assert_int_equal(ask(pair.ours, (enum asker)first), -ECONNRESET);
			assert_false(wait_for(pair.ours, 0, 0) & POLLERR);
			assert_int_equal(ask(pair.ours, (enum asker)second), later_answers[second]);
			close_pair(&pair);
		}
	}
}

static void a_reset_after_a_fin_is_told_as_epipe(void **state)
{
	(void)state;
	for (int is_read_first = 0; is_read_first < 2; is_read_first++) {
		struct pair pair = tcp_pair();

		put(pair.peer, "abc");
		send_fin(pair.peer);
		send_reset(&pair.peer);
		assert_true(wait_for(pair.ours, 0, PATIENCE_MS) & POLLERR);
		if (is_read_first) {
			expect_text(pair.ours, "abc");
			expect_result(pair.ours, 0);
		}
		assert_int_equal(sock_take_error(pair.ours), -EPIPE);
		assert_int_equal(sock_take_error(pair.ours), 0);
		if (!is_read_first)
			expect_text(pair.ours, "abc");
		expect_result(pair.ours, 0);
		close_pair(&pair);
	}
}

static void bytes_before_a_reset_stay_readable(void **state)
{
	(void)state;
	for (int is_error_taken = 0; is_error_taken < 2; is_error_taken++) {
		struct pair pair = tcp_pair();

		put(pair.peer, "abc");
		send_reset(&pair.peer);
		assert_true(wait_for(pair.ours, 0, PATIENCE_MS) & POLLERR);
		assert_int_equal(sock_unread(pair.ours), 3);
		if (is_error_taken)
			assert_int_equal(sock_take_error(pair.ours), -ECONNRESET);
		expect_text(pair.ours, "abc");
		expect_result(pair.ours, is_error_taken ? 0 : -ECONNRESET);
		expect_result(pair.ours, 0);
		close_pair(&pair);
	}
}

static void a_peer_that_closes_on_unread_bytes_resets(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	put(pair.ours, "abc");
	wait_until_acked(pair.ours);
	(void)close(pair.peer);
	pair.peer = -1;
	expect_result(pair.ours, -ECONNRESET);
	close_pair(&pair);
}

static void errors_of_what_cannot_be(void **state)
{
	struct pair pair = tcp_pair();
	int unconnected = socket(AF_INET, SOCK_STREAM, 0);
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sock_take_error(fds[0]), -ENOTSOCK);
	assert_int_equal(sock_finish(unconnected), -ENOTCONN);
	send_reset(&pair.peer);
	assert_true(wait_for(pair.ours, 0, PATIENCE_MS) & POLLERR);
	assert_int_equal(sock_finish(pair.ours), -ENOTCONN);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(unconnected);
	close_pair(&pair);
}

/* ---- finishing and what is unacknowledged ------------------------------------------------------
 */

static void the_fin_counts_until_it_is_acknowledged(void **state)
{
	struct pair pair = small_tcp_pair();
	uint32_t unacked;
	size_t written;
	size_t arrived;

	(void)state;
	written = fill(pair.ours);
	unacked = sock_unacked(pair.ours);
	assert_in_range(unacked, 1, written);
	assert_int_equal(sock_finish(pair.ours), 0);
	assert_int_equal(sock_unacked(pair.ours), unacked + 1);
	assert_int_equal(tcp_state(pair.ours), TCP_FIN_WAIT1);
	assert_int_equal(drain(pair.peer, &arrived), 0);
	assert_int_equal(arrived, written);
	wait_until_acked(pair.ours);
	assert_int_equal(tcp_state(pair.ours), TCP_FIN_WAIT2);
	close_pair(&pair);
}

/* Half-close is what finback is for: the other direction goes on. */
static void after_our_fin_the_peer_still_sends(void **state)
{
	struct pair pair = tcp_pair();

	(void)state;
	assert_int_equal(sock_finish(pair.ours), 0);
	expect_result(pair.peer, 0);
	put(pair.peer, "reply");
	expect_text(pair.ours, "reply");
	assert_int_equal(send(pair.ours, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	close_pair(&pair);
}

/* A listener whose queue is full, and an attempt that gets no answer. */
static int attempt_without_answer(int listener, int *clients, int count)
{
	struct address bound = address_of(listener);

	for (int i = 0; i < count; i++) {
		assert_in_range(sock_connect(&bound, &as_it_is, &clients[i]) + EINPROGRESS, 0,
				EINPROGRESS);
		if (wait_for(clients[i], POLLOUT, SETTLE_MS) == 0)
			return i;
	}
	return -1;
}

/* Why a client's early FIN waits until the server is connected. */
static void finishing_while_connecting_kills_the_attempt(void **state)
{
	struct address address = loopback();
	int listener = peer_listening(&address, 0);
	int clients[8];
	int last = attempt_without_answer(listener, clients, 8);

	(void)state;
	assert_true(last > 0);
	assert_int_equal(tcp_state(clients[last]), TCP_SYN_SENT);
	assert_int_equal(sock_finish(clients[last]), 0);
	assert_int_equal(tcp_state(clients[last]), TCP_CLOSE);
	assert_int_equal(sock_take_error(clients[last]), -ECONNRESET);
	for (int i = 0; i <= last; i++)
		sock_close(clients[i]);
	(void)close(listener);
}

/* ---- urgent data -------------------------------------------------------------------------------
 */

static void expect_all_in_line(struct pair *pair)
{
	put(pair->peer, "ab");
	put_urgent(pair->peer, "c");
	put(pair->peer, "de");
	sleep_ms(SETTLE_MS);
	expect_text(pair->ours, "ab"); /* a read stops at the mark, with more behind it */
	expect_text(pair->ours, "cde");
	put_urgent(pair->peer, "f");
	put_urgent(pair->peer, "g");
	expect_text(pair->ours, "f");
	expect_text(pair->ours, "g");
	close_pair(pair);
}

static void urgent_bytes_stay_in_line(void **state)
{
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	struct pair connected = tcp_pair();
	struct pair taken = { -1, peer_connected(&bound) };

	(void)state;
	taken.ours = accepted(listener);
	expect_all_in_line(&connected);
	expect_all_in_line(&taken);
	sock_close(listener);
}

/* Since Linux 5.15 UNIX sockets have urgent data as well, and drop it where it is not kept in line;
 * their accepted sockets inherit nothing. */
static void urgent_bytes_stay_in_line_on_unix_sockets(void **state)
{
	struct address address = unix_path(folder, "urgent");
	int listener = listening(&address);
	struct pair taken = { -1, peer_connected(&address) };
	struct pair connected = { -1, -1 };

	(void)state;
	taken.ours = accepted(listener);
	assert_int_equal(sock_connect(&address, &as_it_is, &connected.ours), 0);
	connected.peer = accepted(listener);
	assert_int_equal(unlink(address.un.sun_path), 0);
	if (send(taken.peer, "!", 1, MSG_OOB) < 0 && errno == EOPNOTSUPP)
		skip();
	expect_text(taken.ours, "!");
	expect_all_in_line(&taken);
	expect_all_in_line(&connected);
	sock_close(listener);
}

/* ---- accepting --------------------------------------------------------------------------------
 */

static void accepting_when_none_waits(void **state)
{
	struct address address = loopback();
	struct address peer = { .length = 1 };
	int listener = listening(&address);

	(void)state;
	assert_int_equal(sock_accept(listener, &peer), -EAGAIN);
	assert_int_equal(peer.length, 1);
	sock_close(listener);
}

static void accepting_tells_the_peer(void **state)
{
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	int client = peer_connected(&bound);
	struct address expected = address_of(client);
	struct address peer;
	struct address local;
	int fd;

	(void)state;
	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(listener, &peer);
	assert_true(fd >= 0);
	assert_true(address_equals(&peer, &expected));
	local = sock_local(fd);
	assert_true(address_equals(&local, &bound));
	sock_close(fd);
	(void)close(client);
	sock_close(listener);
	assert_int_equal(sock_local(-1).length, 0);
}

/* It is accepted all the same, and getpeername(2) would not say any more who it was. */
static void a_client_that_reset_before_it_was_accepted(void **state)
{
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	int client = peer_connected(&bound);
	struct address expected = address_of(client);
	struct address peer;
	int fd;

	(void)state;
	put(client, "abc");
	send_reset(&client);
	assert_true(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	fd = sock_accept(listener, &peer);
	assert_true(fd >= 0);
	assert_true(address_equals(&peer, &expected));
	assert_true(wait_for(fd, 0, PATIENCE_MS) & POLLERR);
	expect_text(fd, "abc");
	expect_result(fd, -ECONNRESET);
	sock_close(fd);
	sock_close(listener);
}

static void accept_without_descriptors(void)
{
	struct address address = loopback();
	struct address peer;
	int listener = sock_listen(&address, &plain);
	struct address bound = address_of(listener);
	int client = peer_connected(&bound);
	struct rlimit before;
	struct rlimit none;
	int fd = -1;

	CHILD_CHECK(wait_for(listener, POLLIN, PATIENCE_MS) & POLLIN);
	CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHILD_CHECK(sock_accept(listener, &peer) == -EMFILE);
	CHILD_CHECK(sock_connect(&bound, &as_it_is, &fd) == -EMFILE && fd == -1);
	CHILD_CHECK(sock_listen(&address, &plain) == -EMFILE);
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	/* The connection has waited. */
	fd = sock_accept(listener, &peer);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(send(client, "x", 1, 0) == 1);
	CHILD_CHECK(wait_for(fd, POLLIN, PATIENCE_MS) & POLLIN);
}

static void descriptors_run_out(void **state)
{
	(void)state;
	run_in_child(accept_without_descriptors);
}

/* ---- listening --------------------------------------------------------------------------------
 */

static void relistening_keeps_the_queue(void **state)
{
	static const char *const words[] = { "first", "second", "third" };
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	int clients[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		clients[i] = peer_connected(&bound);
		put(clients[i], words[i]);
	}
	/* Also below what waits already. */
	assert_int_equal(sock_relisten(listener, 1), 0);
	assert_int_equal(sock_relisten(listener, 64), 0);
	for (int i = 0; i < 3; i++) {
		int fd = accepted(listener);

		expect_text(fd, words[i]);
		sock_close(fd);
		(void)close(clients[i]);
	}
	sock_close(listener);
	assert_int_equal(sock_relisten(-1, 1), -EBADF);
}

static void a_port_in_use(void **state)
{
	struct address address = loopback();
	int first = listening(&address);
	struct address bound = address_of(first);
	size_t before = count_descriptors();

	(void)state;
	assert_int_equal(sock_listen(&bound, &plain), -EADDRINUSE);
	assert_int_equal(count_descriptors(), before);
	sock_close(first);
}

/* After a restart old connections are still in TIME_WAIT. */
static void a_port_with_old_connections(void **state)
{
	struct address address = loopback();
	int listener = listening(&address);
	struct address bound = address_of(listener);
	int client = peer_connected(&bound);
	int fd = accepted(listener);

	(void)state;
	assert_int_equal(sock_finish(fd), 0);
	wait_until_acked(fd);
	send_fin(client);
	expect_result(fd, 0);
	sock_close(fd);
	sock_close(listener);
	sock_close(listening(&bound));
	(void)close(client);
}

/* "[::]:80" leaves "0.0.0.0:80" to another listener. */
static void ipv6_listeners_are_ipv6_alone(void **state)
{
	struct address any6 = { .length = sizeof any6.v6, .v6.sin6_family = AF_INET6 };
	int six = sock_listen(&any6, &plain);
	struct address four = loopback();
	int fd = -1;

	(void)state;
	if (six == -EAFNOSUPPORT)
		skip();
	assert_true(six >= 0);
	assert_int_equal(option_of(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	four.v4.sin_port = address_of(six).v6.sin6_port;
	fd = sock_listen(&four, &plain);
	/* Somebody else may have that port on IPv4, but then not this listener. */
	if (fd != -EADDRINUSE)
		assert_true(fd >= 0);
	sock_close(fd);
	sock_close(six);
}

/* ---- UNIX socket files --------------------------------------------------------------------------
 */

static mode_t mode_of(const struct address *address)
{
	struct stat status;

	assert_int_equal(lstat(address->un.sun_path, &status), 0);
	return status.st_mode;
}

static void a_stale_socket_file_is_replaced(void **state)
{
	struct address address = unix_path(folder, "stale");
	int listener;
	int client;

	(void)state;
	(void)close(peer_listening(&address, 1));
	assert_true(S_ISSOCK(mode_of(&address)));
	listener = listening(&address);
	client = peer_connected(&address);
	sock_close(accepted(listener));
	(void)close(client);
	sock_close(listener);
	assert_int_equal(unlink(address.un.sun_path), 0);
}

static void a_live_socket_file_is_not_replaced(void **state)
{
	struct address address = unix_path(folder, "live");
	int live = peer_listening(&address, 0);
	struct stat before;
	struct stat after;
	int client = peer_connected(&address);

	(void)state;
	assert_int_equal(stat(address.un.sun_path, &before), 0);
	/* Its queue is full by now, so it does not take another connection. */
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	(void)close(accept(live, NULL, NULL));
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	assert_int_equal(stat(address.un.sun_path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	(void)close(client);
	(void)close(live);
	assert_int_equal(unlink(address.un.sun_path), 0);
}

static void a_live_datagram_socket_is_not_replaced(void **state)
{
	struct address address = unix_path(folder, "datagram");
	int live = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(bind(live, &address.any, address.length), 0);
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	assert_true(S_ISSOCK(mode_of(&address)));
	(void)close(live);
	assert_int_equal(unlink(address.un.sun_path), 0);
}

static void another_kind_of_file_is_not_replaced(void **state)
{
	struct address address = unix_path(folder, "file");
	struct address target = unix_path(folder, "target");

	(void)state;
	(void)close(open(address.un.sun_path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	assert_true(S_ISREG(mode_of(&address)));
	assert_int_equal(unlink(address.un.sun_path), 0);

	assert_int_equal(mkdir(address.un.sun_path, 0700), 0);
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	assert_int_equal(rmdir(address.un.sun_path), 0);

	/* A symbolic link, though to a stale socket. */
	(void)close(peer_listening(&target, 1));
	assert_int_equal(symlink(target.un.sun_path, address.un.sun_path), 0);
	assert_int_equal(sock_listen(&address, &plain), -EADDRINUSE);
	assert_true(S_ISLNK(mode_of(&address)));
	assert_int_equal(unlink(address.un.sun_path), 0);
	assert_int_equal(unlink(target.un.sun_path), 0);
}

static void mode_and_owner_are_set(void **state)
{
	struct address address = unix_path(folder, "owned");
	struct sock_listen options = plain;
	struct stat status;
	int fd;

	(void)state;
	options.has_mode = true;
	options.mode = 0626; /* no umask leaves this */
	options.owner = geteuid() == 0 ? NOBODY : geteuid();
	fd = sock_listen(&address, &options);
	assert_true(fd >= 0);
	assert_int_equal(stat(address.un.sun_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0626);
	assert_int_equal(status.st_uid, options.owner);
	assert_int_equal(status.st_gid, getegid());
	sock_close(fd);
	assert_int_equal(unlink(address.un.sun_path), 0);
}

#define ROUNDS 200

static void try_to_get_in(int stop, int started, const struct address *address)
{
	char byte = 'x';

	CHILD_CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	CHILD_CHECK(write(started, &byte, 1) == 1);
	while (wait_for(stop, POLLIN, 0) == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		CHILD_CHECK(fd >= 0);
		CHILD_CHECK(connect(fd, &address->any, address->length) < 0);
		(void)close(fd);
	}
	_exit(0);
}

/* Somebody else tries all the time, and the umask would let everybody in. */
static void nobody_gets_in_before_the_mode_is_set(void **state)
{
	struct address address = unix_path(folder, "guarded");
	struct sock_listen options = plain;
	int stop[2];
	int started[2];
	mode_t old;
	pid_t child;
	char byte = 'x';

	(void)state;
	if (geteuid() != 0)
		skip();
	options.has_mode = true;
	options.mode = 0600;
	old = umask(0);
	assert_int_equal(pipe(stop) | pipe(started), 0);
	child = fork();
	if (child == 0)
		try_to_get_in(stop[0], started[1], &address);
	assert_int_equal(read(started[0], &byte, 1), 1);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = sock_listen(&address, &options);

		assert_true(fd >= 0);
		sock_close(fd);
		assert_int_equal(unlink(address.un.sun_path), 0);
	}
	assert_int_equal(write(stop[1], &byte, 1), 1);
	join_child(child);
	(void)umask(old);
	for (int i = 0; i < 2; i++) {
		(void)close(stop[i]);
		(void)close(started[i]);
	}
}

static void listen_for_root(void)
{
	struct address address = unix_path(folder, "forbidden");
	struct sock_listen options = plain;
	struct stat status;

	CHILD_CHECK(chmod(folder, 0777) == 0);
	CHILD_CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	options.owner = 0;
	CHILD_CHECK(sock_listen(&address, &options) == -EPERM);
	CHILD_CHECK(lstat(address.un.sun_path, &status) < 0 && errno == ENOENT);
}

static void a_failed_listen_leaves_no_file(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	run_in_child(listen_for_root);
}

/* ---- connecting -------------------------------------------------------------------------------
 */

static int outcome(const struct address *address)
{
	int fd = -1;
	int result = sock_connect(address, &as_it_is, &fd);

	if (result != 0 && result != -EINPROGRESS) {
		assert_int_equal(fd, -1);
		return result;
	}
	assert_true(wait_for(fd, POLLOUT, PATIENCE_MS) != 0);
	result = sock_take_error(fd);
	sock_close(fd);
	return result;
}

static void connecting_to_nobody(void **state)
{
	struct address tcp = loopback();
	struct address path = unix_path(folder, "nobody");
	int tcp_bound = peer_bound(&tcp);
	int unix_bound = peer_bound(&path);
	size_t before = count_descriptors();

	(void)state;
	tcp = address_of(tcp_bound);
	assert_int_equal(outcome(&tcp), -ECONNREFUSED);
	assert_int_equal(outcome(&path), -ECONNREFUSED);
	assert_int_equal(unlink(path.un.sun_path), 0);
	assert_int_equal(outcome(&path), -ENOENT);
	assert_int_equal(count_descriptors(), before);
	(void)close(tcp_bound);
	(void)close(unix_bound);
}

/* A UNIX server is connected at once, or its backlog is full. */
static struct address host(const char *text)
{
	struct address address;

	assert_int_equal(address_parse_host(&address, text), 0);
	return address;
}

static void connect_from(const struct address *server, const char *source)
{
	struct address from = host(source);
	const struct sock_connect options = { .source = &from };
	int listener = peer_listening(server, 4);
	struct address bound = address_of(listener);
	struct address local;
	struct address peer;
	int fd = -1;
	int accepted_fd;

	assert_in_range(sock_connect(&bound, &options, &fd) + EINPROGRESS, 0, EINPROGRESS);
	accepted_fd = accepted(listener);
	local = address_of(fd);
	peer.length = sizeof peer.un;
	assert_int_equal(getpeername(accepted_fd, &peer.any, &peer.length), 0);
	assert_true(address_equals(&local, &peer));
	if (from.any.sa_family == AF_INET)
		from.v4.sin_port = local.v4.sin_port;
	else
		from.v6.sin6_port = local.v6.sin6_port;
	assert_true(address_equals(&local, &from));
	check_options(fd);
	sock_close(accepted_fd);
	sock_close(fd);
	(void)close(listener);
}

static void connections_come_from_the_source(void **state)
{
	struct address four = loopback();
	struct address six = { .length = sizeof six.v6, .v6.sin6_family = AF_INET6 };

	(void)state;
	six.v6.sin6_addr = in6addr_loopback;
	connect_from(&four, "127.0.0.9");
	connect_from(&four, "127.9.9.9");
	connect_from(&six, "::1");
}

/* TEST-NET-3 is nobody's (RFC 5737). */
static void a_source_that_is_not_here(void **state)
{
	struct address nowhere = host("203.0.113.71");
	struct address here = host("127.0.0.9");
	const struct sock_connect options = { .source = &nowhere };
	struct address server = loopback();
	int listener = peer_listening(&server, 4);
	size_t before = count_descriptors();
	int fd = -1;

	(void)state;
	server = address_of(listener);
	assert_int_equal(sock_connect(&server, &options, &fd), -EADDRNOTAVAIL);
	assert_int_equal(fd, -1);
	assert_int_equal(sock_try_source(&nowhere), -EADDRNOTAVAIL);
	assert_int_equal(sock_try_source(&here), 0);
	assert_int_equal(count_descriptors(), before);
	(void)close(listener);
}

static void a_full_unix_backlog(void **state)
{
	struct address path = unix_path(folder, "full");
	int listener = peer_listening(&path, 0);
	int first = -1;
	int second = -1;
	size_t before;

	(void)state;
	assert_int_equal(sock_connect(&path, &as_it_is, &first), 0);
	check_flags(first);
	before = count_descriptors();
	assert_int_equal(sock_connect(&path, &as_it_is, &second), -EAGAIN);
	assert_int_equal(second, -1);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(sock_relisten(listener, 8), 0);
	assert_int_equal(sock_connect(&path, &as_it_is, &second), 0);
	sock_close(first);
	sock_close(second);
	(void)close(listener);
	assert_int_equal(unlink(path.un.sun_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_sockets_inherit_options),
		cmocka_unit_test(accepted_sockets_do_not_inherit_nonblock),
		cmocka_unit_test(connected_sockets_have_options),
		cmocka_unit_test(preparing_what_is_no_tcp_socket),
		cmocka_unit_test(close_with_nothing_ended_resets),
		cmocka_unit_test(close_after_the_peers_fin_alone_resets),
		cmocka_unit_test(close_after_our_fin_alone_resets),
		cmocka_unit_test(close_before_the_acknowledgement_loses_the_tail),
		cmocka_unit_test(a_soft_close_delivers_what_was_written),
		cmocka_unit_test(close_after_both_fins_does_not_reset),
		cmocka_unit_test(a_killed_process_resets_its_peers),
		cmocka_unit_test(closing_nothing_is_fine),
		cmocka_unit_test(an_error_is_told_once),
		cmocka_unit_test(a_reset_after_a_fin_is_told_as_epipe),
		cmocka_unit_test(bytes_before_a_reset_stay_readable),
		cmocka_unit_test(a_peer_that_closes_on_unread_bytes_resets),
		cmocka_unit_test(errors_of_what_cannot_be),
		cmocka_unit_test(the_fin_counts_until_it_is_acknowledged),
		cmocka_unit_test(after_our_fin_the_peer_still_sends),
		cmocka_unit_test(finishing_while_connecting_kills_the_attempt),
		cmocka_unit_test(urgent_bytes_stay_in_line),
		cmocka_unit_test(urgent_bytes_stay_in_line_on_unix_sockets),
		cmocka_unit_test(accepting_when_none_waits),
		cmocka_unit_test(accepting_tells_the_peer),
		cmocka_unit_test(a_client_that_reset_before_it_was_accepted),
		cmocka_unit_test(descriptors_run_out),
		cmocka_unit_test(relistening_keeps_the_queue),
		cmocka_unit_test(a_port_in_use),
		cmocka_unit_test(a_port_with_old_connections),
		cmocka_unit_test(ipv6_listeners_are_ipv6_alone),
		cmocka_unit_test(a_stale_socket_file_is_replaced),
		cmocka_unit_test(a_live_socket_file_is_not_replaced),
		cmocka_unit_test(a_live_datagram_socket_is_not_replaced),
		cmocka_unit_test(another_kind_of_file_is_not_replaced),
		cmocka_unit_test(mode_and_owner_are_set),
		cmocka_unit_test(nobody_gets_in_before_the_mode_is_set),
		cmocka_unit_test(a_failed_listen_leaves_no_file),
		cmocka_unit_test(connecting_to_nobody),
		cmocka_unit_test(connections_come_from_the_source),
		cmocka_unit_test(a_source_that_is_not_here),
		cmocka_unit_test(a_full_unix_backlog),
	};

	return cmocka_run_group_tests_name("io/sock", tests, make_folder, remove_folder);
}
