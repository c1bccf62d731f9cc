"""A server counts as served once its own program listens, whoever else has its port before: what a
connect() says, to a stranger's socket or to itself, is no word of it."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import socket
import sys

import pytest

from lib import ports
from lib.ports import free_port, is_served_by
from programs import Server

# Listens on its first argument, as a grandchild of the process that was started.
GRANDCHILD = """
import os, socket, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        time.sleep(60)
    time.sleep(60)
time.sleep(60)
"""
LATE = "import time; time.sleep(0.5)\n" + GRANDCHILD
LISTENER = """
import socket, sys, time
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""
DEAF = "import time; time.sleep(60)"


def command(program):
    return lambda port: [sys.executable, "-c", program, str(port)]


@pytest.mark.parametrize("program", (GRANDCHILD, LATE), ids=("at_once", "late"))
def test_a_descendant_listens(tmp_path, program):
    """Its process group ends with it here, as the middle ones pass no signal on."""
    with Server(tmp_path, command(program), process_group=0) as server:
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)


class Impatient(Server):
    starts_within = 1


@pytest.mark.parametrize("address", ("127.0.0.1", "0.0.0.0", "::"))
def test_a_strangers_socket_is_not_the_servers(tmp_path, address):
    """It took the port between our look and the start."""
    with contextlib.ExitStack() as strangers:
        def occupied(port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            strangers.enter_context(socket.create_server((address, port), family=family))
            return command(DEAF)(port)

        with pytest.raises(AssertionError, match="serves"):
            Impatient(tmp_path, occupied)


def test_a_socket_connected_to_itself_is_not_the_servers(tmp_path):
    with contextlib.ExitStack() as strangers:
        def occupied(port):
            sock = strangers.enter_context(socket.socket())
            sock.bind(("127.0.0.1", port))
            sock.connect(("127.0.0.1", port))
            assert sock.getpeername() == sock.getsockname()
            return command(DEAF)(port)

        with pytest.raises(AssertionError, match="serves"):
            Impatient(tmp_path, occupied)


def test_a_server_that_finds_its_port_taken_gets_another(tmp_path):
    with contextlib.ExitStack() as strangers:
        def occupied_once(port):
            if not tried:
                strangers.enter_context(socket.create_server(("127.0.0.1", port)))
            tried.append(port)
            return command(LISTENER)(port)

        tried = []
        with Server(tmp_path, occupied_once) as server:
            assert is_served_by(server.process.pid, server.port)
            assert len(tried) == 2 and server.port == tried[1] != tried[0]


def test_no_two_get_the_same_and_the_kernel_gives_none_away(monkeypatch):
    """With few ports to choose among, in several processes at once."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    assert not set(ports._candidates()) & set(range(first, last + 1)) or first <= 11000
    few = range(ports._candidates()[0], ports._candidates()[0] + 200)
    monkeypatch.setattr(ports, "_candidates", lambda: few)
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(4, context) as pool:
        given = [one.result() for one in [pool.submit(free_port) for _ in range(120)]]
    assert len(set(given)) == 120 and set(given) <= set(few)
