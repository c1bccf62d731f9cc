"""Live sessions and those that ended, as the control interface lists them: filters, pages, what is
said of each, and the end of one on demand."""

import contextlib
import ctypes
import os
import threading
import time

import pytest

from lib.control import Controlled, ControlledFinback
from lib.peers import TIMEOUT, Backend, Peer, SilentBackend, eventually, format_address

BRIEF_LACKS = {"explanation"}
SIDE_LACKS = {"tcp", "local_address", "dead_after_s", "probe"}


def ids(sessions):
    return [session["id"] for session in sessions]


def session_of(control, client):
    """The one whose client has this Peer's address."""
    name = format_address(client.name)
    return eventually(lambda: next(
        (one for one in control.sessions(limit=10_000) if one["client"]["address"] == name), None),
        "the session in the list")


def in_state(control, state, count=1):
    """Waits for so many sessions in this state, and returns them."""
    return eventually(lambda: len(found := control.sessions(state=state)) == count and found,
                      f"{count} sessions {state}")


# ---- what is said of one -----------------------------------------------------------------------


def test_one_session_whole():
    with Controlled() as relay:
        client, server = relay.pair()
        client.send(b"12345")
        assert server.receive(5) == b"12345"
        session = eventually(lambda: (one := session_of(relay.control, client))["state"] == "open"
                             and one["client"]["bytes"] == 5 and one)
        whole = relay.control.session(session["id"])
        assert whole.keys() == session.keys()
        assert whole["listener"] == whole["pool"] == "web"
        assert whole["server_name"] == relay.backend.address
        assert whole["explanation"]
        assert whole["client"]["local_address"] == relay.address()
        assert whole["server"]["address"] == relay.backend.address
        assert whole["server"]["local_address"] == format_address(server.remote_name)
        for side in ("client", "server"):
            assert whole[side]["flow"] == "open"
            assert whole[side]["tcp"]["state"] == "ESTABLISHED"
        assert whole["ending_in"]["deadline"] == "idle"
        assert 0 <= whole["age_s"] < TIMEOUT

        brief = relay.control.sessions(brief=True)[0]
        assert session.keys() - brief.keys() == BRIEF_LACKS
        assert session["client"].keys() - brief["client"].keys() == SIDE_LACKS


def test_half_closed_as_seen_from_the_kernel():
    with Controlled() as relay:
        client, server = relay.pair()
        client.send_and_half_close(b"all")
        assert server.read_to_eof() == b"all"
        session = in_state(relay.control, "half_closed_client")[0]
        assert session["first_closer"] == "client"
        assert session["client"]["flow"] == "finished"
        assert session["half_closed_s"] >= 0
        assert session["client"]["tcp"]["state"] == "CLOSE_WAIT"
        assert session["ending_in"]["deadline"] == "half_closed"
        eventually(lambda: relay.control.session(session["id"])["server"]["tcp"]["state"] ==
                   "FIN_WAIT2", "the server's kernel has acknowledged the end")


# ---- the list ----------------------------------------------------------------------------------


def test_filters():
    with Backend() as one, Backend() as two:
        config = {"workers": 2, "pools": (
            {"name": "both", "servers": (one.address, two.address)},),
            "listeners": ({"name": "a", "listen": "127.0.0.1:0", "pool": "both"},
                          {"name": "b", "listen": "127.0.0.1:0", "servers": one.address,
                           "timeouts": {"idle": "1h", "session": "90s"}})}
        with ControlledFinback(config) as finback:
            control = finback.control
            for listener in ("a", "a", "b"):
                finback.connect(listener)
            for backend, count in ((one, 2), (two, 1)):
                for _ in range(count):
                    finback.peers.append(backend.accept())
            in_state(control, "open", 3)

            def count(**query):
                return len(control.sessions(**query))

            assert count(listener="a") == 2 and count(listener="b") == 1
            assert count(listener="absent") == 0
            assert count(pool="both") == 2 and count(pool="b") == 1
            assert count(server=one.address) == 2 and count(server=two.address) == 1
            assert count(pool="both", server=one.address) == 1
            assert count(state="open") == 3 and count(state="half_closed") == 0
            assert count(state="half_closed_client,open") == 3
            assert count(ending_within="2m") == 1 and count(ending_within="2h") == 3
            assert count(ending_within="10s") == 0
            assert count(client="127.0.0.1") == 3 and count(client="127.0.0.0/8") == 3
            assert count(client="10.0.0.0/8") == 0 and count(client="::1") == 0
            assert count(min_age="1h") == 0 and count(min_age="0") == 3
            finback.peers[0].half_close()
            in_state(control, "half_closed")
            time.sleep(1)
            assert count(min_age="1s") == 3
            for peer in finback.peers:
                peer.reset()


def wait_for_sessions(control, count):
    eventually(lambda: control.status()["sessions"] == count, f"{count} sessions")


@pytest.mark.parametrize("workers", (1, 3))
def test_pages(workers):
    count = 70
    with Controlled(workers=workers) as relay:
        for _ in range(count):
            relay.pair()
        wait_for_sessions(relay.control, count)
        whole, cursor = relay.control.page(limit=10_000)
        assert len(whole) == count and cursor is None
        assert len(set(ids(whole))) == count
        order = [(one["worker"], one["id"]) for one in whole]
        assert order == sorted(order)
        assert len({one["worker"] for one in whole}) == workers
        for limit in (1, 7, 35, 69, 70, 71):
            pages = []
            cursor = None
            while True:
                page, cursor = relay.control.page(limit=limit, after=cursor)
                pages.append(ids(page))
                if cursor is None:
                    break
            assert sum(pages, []) == ids(whole), limit
            assert [len(page) for page in pages] == \
                [limit] * (count // limit) + ([count % limit] if count % limit else [])
        assert len(relay.control.page()[0]) == 70  # within the default of 100
        assert relay.control.page(limit=70)[1] is None


class Churn:
    """Sessions that come and go in the background until the block is left."""

    def __init__(self, relay, threads=3):
        self._relay = relay
        self._stop = threading.Event()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self._answers = threading.Thread(target=self._answer, daemon=True)
        self.count = 0

    def _run(self):
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                peer = Peer.connect(self._relay.address())
                peer.send_and_half_close(b"x" * 100)
                peer.read_to_eof()
                peer.close()
                self.count += 1

    def _answer(self):
        while not self._is_over.is_set():
            with contextlib.suppress(OSError):
                peer = self._relay.backend.accept(within=0.2)
                threading.Thread(target=self._answer_one, args=(peer,), daemon=True).start()

    @staticmethod
    def _answer_one(peer):
        with contextlib.suppress(OSError):
            peer.read_to_eof()
            peer.send(b"y" * 50)
            peer.close()

    def __enter__(self):
        for thread in (*self._threads, self._answers):
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._is_over.set()
        self._answers.join(TIMEOUT)


@pytest.mark.threads
def test_pages_while_sessions_come_and_go():
    with Controlled(workers=4) as relay:
        for _ in range(150):
            relay.pair()
        wait_for_sessions(relay.control, 150)
        stay = set(ids(relay.control.sessions(limit=10_000)))
        with Churn(relay) as churn:
            end = time.monotonic() + TIMEOUT
            rounds = 0
            while rounds < 3 or churn.count <= 10:
                rounds += 1
                assert time.monotonic() < end, f"only {churn.count} came and went"
                for limit in (3, 17, 50, 1000):
                    seen = ids(relay.control.sessions(limit=limit, brief=True))
                    assert len(seen) == len(set(seen)), "one of them twice"
                    assert stay <= set(seen), f"{len(stay - set(seen))} were left out"


def test_a_client_that_leaves_in_the_middle_of_a_list():
    with Controlled(workers=2) as relay:
        for _ in range(300):
            relay.pair()
        for address in ("unix:" + relay.socket_path, relay.http_address):
            for _ in range(20):
                peer = relay.raw(address)
                peer.send(b"GET /api/v1/sessions?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert peer.receive(2000).startswith(b"HTTP/1.1 200")
                peer.reset()
        assert len(relay.control.sessions(limit=10_000)) == 300
        baseline = relay.descriptors()
        eventually(lambda: relay.descriptors() <= baseline)


# ---- those that ended --------------------------------------------------------------------------


def test_ended_sessions():
    with Controlled(workers=3) as relay:
        for number in range(30):
            client, server = relay.pair()
            client.send(b"x" * number)
            server.receive(number)
            client.reset()
            server.expect_reset()
            relay.wait_session(count=number + 1, ending="client_reset")
        ended = relay.control.ended()
        assert [one["client"]["bytes"] for one in ended] == list(range(29, -1, -1))
        last = ended[0]
        assert last["state"] == "ended" and last["ending"] == "client_reset"
        assert last["first_closer"] == "client" and last["detector"] is None
        assert last["server_name"] == relay.backend.address
        assert 0 <= last["ago_s"] < TIMEOUT and last["age_s"] >= 0
        assert last["ended"].endswith("Z")
        assert ids(relay.control.ended(limit=5)) == ids(ended)[:5]
        assert relay.control.ended(listener="other") == []
        assert relay.control.ended(server=relay.backend.address, limit=1) == \
            [{**last, "ago_s": pytest.approx(last["ago_s"], abs=TIMEOUT)}]
        assert relay.control.get(f"/api/v1/sessions/{last['id']}").status == 404


# ---- the end of one ----------------------------------------------------------------------------


def check_killed(relay, session):
    assert relay.control.kill(session["id"]).json() == {"killed": session["id"]}
    line = relay.wait_session(ending="killed")
    assert line["id"] == session["id"]
    assert relay.control.kill(session["id"]).status == 404
    assert relay.control.get(f"/api/v1/sessions/{session['id']}").status == 404
    assert relay.control.ended()[0]["ending"] == "killed"
    assert relay.control.listener()["endings"]["killed"] == 1


def test_kill_while_connecting():
    backend = SilentBackend()
    with Controlled(backend=backend, timeouts={"connect": "1h"}) as relay:
        client = relay.connect()
        check_killed(relay, in_state(relay.control, "connecting")[0])
        client.expect_reset()


def test_kill_while_open():
    with Controlled() as relay:
        client, server = relay.pair()
        check_killed(relay, in_state(relay.control, "open")[0])
        client.expect_reset()
        server.expect_reset()


@pytest.mark.parametrize("first", ("client", "server"))
def test_kill_while_half_closed(first):
    with Controlled() as relay:
        ended, running = relay.greeted_sides(first)
        ended.half_close()
        running.read_to_eof()
        check_killed(relay, in_state(relay.control, f"half_closed_{first}")[0])
        ended.expect_reset()
        running.expect_reset()


def test_kill_while_closing():
    with Controlled(receive_buffer=4096) as relay:
        client, server = relay.pair()
        client.send_and_half_close(b"x" * 100_000)
        server.half_close()
        check_killed(relay, in_state(relay.control, "closing")[0])
        server.expect_reset()


def test_only_the_one_that_is_meant_is_killed():
    with Controlled(workers=2) as relay:
        pairs = [relay.pair() for _ in range(10)]
        wait_for_sessions(relay.control, 10)
        victim = session_of(relay.control, pairs[4][0])
        assert relay.control.kill(victim["id"]).status == 200
        pairs[4][0].expect_reset()
        assert len(relay.control.sessions()) == 9
        for client, server in pairs[:4] + pairs[5:]:
            client.send(b"still")
            assert server.receive(5) == b"still"


# ---- a worker that does not answer --------------------------------------------------------------


PTRACE_ATTACH, PTRACE_DETACH = 16, 17


@contextlib.contextmanager
def one_thread_stopped(pid, task):
    """Needs the right to trace; skips the test without it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_ATTACH, task, None, None) < 0:
        pytest.skip("cannot trace the daemon: " + os.strerror(ctypes.get_errno()))
    os.waitpid(task, 0x40000000)  # __WALL
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, task, None, None)


def other_threads(relay):
    """All but the main one; which of them is the worker, only trying tells."""
    return sorted(set(map(int, os.listdir(f"/proc/{relay.process.pid}/task"))) -
                  {relay.process.pid})


def is_hanging(relay, number):
    """Whether the worker that has this session does not answer."""
    client = relay.client(relay.control.address, timeout=1)
    try:
        return client.get(f"/api/v1/sessions/{number}").status == 503
    except TimeoutError:
        return True


@pytest.mark.timeout(90)
def test_a_worker_that_hangs():
    with Controlled(workers=1) as relay:
        client, server = relay.pair()
        number = session_of(relay.control, client)["id"]
        for task in other_threads(relay):
            with one_thread_stopped(relay.process.pid, task):
                if is_hanging(relay, number):
                    check_hanging(relay, number)
                    break
        else:
            raise AssertionError("no thread is the worker")
        eventually(lambda: relay.control.get(f"/api/v1/sessions/{number}").status == 200)
        client.send(b"on it goes")
        assert server.receive(10) == b"on it goes"


def check_hanging(relay, number):
    before = relay.descriptors()
    gone = relay.raw()
    gone.send(f"GET /api/v1/sessions/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    eventually(lambda: relay.descriptors() > before)
    gone.close()
    eventually(lambda: relay.descriptors() <= before, "noticed that it is gone", within=3)

    start = time.monotonic()
    clients = [relay.raw() for _ in range(40)]
    for client in clients:
        client.send(f"GET /api/v1/sessions/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answers = [client.receive(12) for client in clients]
    took = time.monotonic() - start
    assert set(answers) == {b"HTTP/1.1 503"}
    assert 4.5 < took < 10, took
    # What needs no worker is not held up; and there is a bound on what waits.
    start = time.monotonic()
    assert relay.control.status()["sessions"] == 1
    refusal = relay.control.get(f"/api/v1/sessions/{number}")
    assert refusal.status == 503 and "wait for workers" in refusal.json()["detail"]
    assert time.monotonic() - start < 2
    for client in clients:
        client.close()
