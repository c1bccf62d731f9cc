"""Start, readiness, failure, crash and stop of the service."""

import errno
import socket
import time

import pytest

from sandbox import CONFIG, eventually, read_all


def test_start_waits_until_it_serves(service):
    service.start()
    assert service.ask(b"hello") == b"a:hello"  # at once: no second try
    assert service.show("ActiveState") == "active"
    assert service.show("Type") == "notify"
    service.wait_message("ready")


def test_status_text_says_what_it_does(service):
    service.start()
    assert service.show("StatusText")


def test_the_socket_unit_is_not_needed(service, sandbox):
    service.start()
    assert sandbox.show("finback.socket", "ActiveState") == "inactive"


def test_runs_as_a_user_of_its_own_behind_the_hardening(service, sandbox):
    # a low port, which takes the one capability that is left
    service.configure(service.backend(b"b"), listen="127.0.0.1:81")
    service.start()
    assert service.ask(b"x", port=81) == b"b:x"
    pid = service.show("MainPID")
    status = dict(line.split(":\t", 1) for line in sandbox.read(f"/proc/{pid}/status").splitlines())
    user = int(status["Uid"].split()[0])
    assert 61184 <= user <= 65519, "a dynamic user"
    assert int(status["CapEff"], 16) == 1 << 10, "CAP_NET_BIND_SERVICE alone"
    assert int(status["CapBnd"], 16) == 1 << 10
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"


def test_the_descriptor_limit_is_raised(service, sandbox):
    service.start()
    limits = sandbox.read(f"/proc/{service.show('MainPID')}/limits").splitlines()
    line = next(line for line in limits if line.startswith("Max open files"))
    soft, hard = map(int, line.split()[3:5])
    assert soft == hard
    assert soft > 1024


def test_a_session_is_found_in_the_journal_by_its_fields(service, sandbox):
    service.start()
    assert service.ask(b"hello") == b"a:hello"
    entry = service.wait_session("complete")
    assert entry["FINBACK_LISTENER"] == "front"
    assert entry["FINBACK_FIRST_CLOSER"] == "client"
    assert entry["FINBACK_BYTES_FROM_CLIENT"] == "5"
    assert entry["FINBACK_BYTES_FROM_SERVER"] == "7"
    assert entry["FINBACK_SERVER"].startswith("127.0.0.1:")
    assert entry["MESSAGE_ID"] == "b3d1d2a4c0e94ef1a5f2f1f0a97c6e55"
    assert entry["MESSAGE"].startswith(f"session {entry['FINBACK_SESSION']} complete: listener=")
    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "finback"
    assert entry["_SYSTEMD_UNIT"] == "finback.service"
    # and as an operator would ask for it
    found = sandbox.check("journalctl", "--no-pager", "-o", "cat", "FINBACK_ENDING=complete",
                          "FINBACK_LISTENER=front", "FINBACK_SESSION=" + entry["FINBACK_SESSION"])
    assert entry["MESSAGE"] in found


def test_a_bad_configuration_fails_once_and_says_why(service, sandbox):
    sandbox.write(CONFIG, "\nlistners = ();\n")
    assert sandbox.run("systemctl", "start", "finback.service")["status"] != 0
    service.wait_message(f"{CONFIG}:2")
    time.sleep(0.5)  # five times what it would wait before a restart
    assert service.show("ActiveState") == "failed"
    assert service.show("ExecMainStatus") == "78"
    assert service.show("NRestarts") == "0"


def test_comes_back_after_a_crash(service, sandbox):
    service.start()
    first = service.show("MainPID")
    sandbox.check("kill", "-KILL", first)
    eventually(lambda: service.show("MainPID") not in ("0", first), "another process")
    eventually(lambda: service.show("ActiveState") == "active", "active again")
    assert service.ask(b"x") == b"a:x"


def test_stop_without_sessions_is_quick_and_clean(service, sandbox):
    service.start()
    assert service.ask(b"x") == b"a:x"
    start = time.monotonic()
    sandbox.check("systemctl", "stop", "finback.service")
    assert time.monotonic() - start < 1.5, "no drain where there is nothing to wait for"
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"


def test_stop_lets_sessions_finish(service, sandbox):
    backend = service.backend(b"b")
    service.configure(backend, drain="15s")
    service.start()
    peer = service.connect()
    peer.sendall(b"half a ")
    eventually(lambda: backend.accepted == 1, "a session")
    sandbox.check("systemctl", "stop", "--no-block", "finback.service")
    eventually(lambda: refuses(sandbox), "no new connection is taken")
    assert service.show("ActiveState") == "deactivating"
    start = time.monotonic()
    peer.sendall(b"word")
    peer.shutdown(socket.SHUT_WR)
    assert read_all(peer) == b"b:half a word"
    eventually(lambda: service.show("ActiveState") == "inactive", "stopped")
    assert time.monotonic() - start < 10, "it waits for sessions, not for the drain to be over"
    assert service.show("Result") == "success"
    service.wait_session("complete")


def refuses(sandbox):
    with sandbox.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 8080)) == errno.ECONNREFUSED


def test_stop_ends_what_the_drain_leaves(service, sandbox):
    service.start()
    peer = service.connect()
    peer.sendall(b"never ends")
    eventually(lambda: service.backends[0].accepted == 1, "a session")
    start = time.monotonic()
    sandbox.check("systemctl", "stop", "finback.service")
    elapsed = time.monotonic() - start
    assert 1.9 < elapsed < 8, f"a drain of 2 s took {elapsed:.1f} s"
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"
    service.wait_session("drained")
