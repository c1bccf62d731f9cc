"""`systemctl reload`: a good file is taken for new sessions, a bad one is refused and said why."""

import socket

from sandbox import CONFIG, eventually, read_all


def test_a_good_file_takes_effect_for_new_sessions(service, sandbox):
    service.start()
    pid = service.show("MainPID")
    old = service.connect()
    old.sendall(b"begun before")
    eventually(lambda: service.backends[0].accepted == 1, "a session")
    assert service.ask(b"x") == b"a:x"
    service.configure(service.backend(b"b"))
    sandbox.check("systemctl", "reload", "finback.service")
    assert service.ask(b"x") == b"b:x"  # in force when systemctl returns
    old.shutdown(socket.SHUT_WR)
    assert read_all(old) == b"a:begun before"
    assert service.show("MainPID") == pid
    eventually(lambda: service.show("ActiveState") == "active", "active again")
    assert service.show("StatusText")


def test_a_bad_file_fails_keeps_the_old_and_says_why(service, sandbox):
    service.start()
    pid = service.show("MainPID")
    sandbox.write(CONFIG, '\n\nworkers = "many";\n')
    assert sandbox.run("systemctl", "reload", "finback.service")["status"] != 0
    service.wait_message(f"{CONFIG}:3")
    assert service.ask(b"x") == b"a:x"
    assert service.show("MainPID") == pid
    assert service.show("ActiveState") == "active"

    # and a good one is taken afterwards
    service.configure(service.backend(b"b"))
    sandbox.check("systemctl", "reload", "finback.service")
    assert service.ask(b"x") == b"b:x"


def test_a_reload_that_cannot_be_taken_fails_too(service, sandbox):
    """A file that is good by itself, and asks for an address that somebody else has."""
    service.start()
    taken = service.backend(b"b")
    service.configure(taken, listen=f"127.0.0.1:{taken.port}")
    done = sandbox.run("systemctl", "reload", "finback.service")
    assert done["status"] != 0
    service.wait_message("cannot listen on")
    assert service.ask(b"x") == b"a:x"
