"""Sockets that systemd opens: connections made while no daemon runs wait, and are served."""

import socket

from sandbox import eventually, read_all


def test_connections_made_before_the_start_are_served(service, sandbox):
    service.configure(service.backends[0], listen="systemd:front")
    sandbox.check("systemctl", "start", "finback.socket")
    assert service.show("ActiveState") == "inactive"
    early = [service.connect() for _ in range(3)]
    for number, peer in enumerate(early):
        peer.sendall(b"early %d" % number)
        peer.shutdown(socket.SHUT_WR)
    eventually(lambda: service.show("ActiveState") == "active", "started by a connection")
    for number, peer in enumerate(early):
        assert read_all(peer) == b"a:early %d" % number
    assert service.ask(b"late") == b"a:late"


def test_a_stop_leaves_the_socket_to_start_it_again(service, sandbox):
    service.configure(service.backends[0], listen="systemd:front")
    sandbox.check("systemctl", "start", "finback.socket")
    service.start()
    assert service.ask(b"one") == b"a:one"
    sandbox.check("systemctl", "stop", "finback.service")
    assert sandbox.show("finback.socket", "ActiveState") == "active"
    assert service.ask(b"two") == b"a:two"
    assert service.show("ActiveState") == "active"


def test_a_passed_unix_socket_shares_the_name(service, sandbox):
    service.configure(service.backends[0], listen="systemd:front")
    sandbox.write("/etc/systemd/system/finback.socket.d/test.conf",
                  "[Socket]\nListenStream=/run/front.sock\nListenStream=[::1]:8080\n")
    try:
        sandbox.check("systemctl", "daemon-reload")
        sandbox.check("systemctl", "start", "finback.socket")
        service.start()
        for address in ("UNIX-CONNECT:/run/front.sock", "TCP:127.0.0.1:8080"):
            answer = sandbox.check("sh", "-c", f"printf hello | socat -t 10 - {address}")
            assert answer == "a:hello"
    finally:
        sandbox.check("systemctl", "stop", "finback.socket", "finback.service")
        sandbox.check("rm", "-r", "/etc/systemd/system/finback.socket.d")
        sandbox.check("systemctl", "daemon-reload")
